//! Walks a file or a folder of any depth, lazily and in a fixed order, and opens the media in it.
//!
//! Nothing outside of the root is read, whatever links say. A bad entry is a [`Skipped`], never a panic.
//! Must never know any archive format. Start with [`Tree`].

use super::Error;
use super::limits::mebibytes;
use crate::domain::source::Skipped;
use percent_encoding::percent_decode_str;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The largest page that is read: posts are short, and a whole page is held in memory.
pub const MAX_PAGE: u64 = 4 * 1024 * 1024;

/// The largest media file that is opened, unless [`Tree::limited`] says otherwise.
pub const MAX_MEDIA: u64 = 100 * 1024 * 1024;

/// The bytes by which it is judged whether a page is worth reading.
const HEAD: usize = 64;

/// A file, or a folder with all that is below it. Iterating yields its regular files, depth first, sorted by name.
///
/// Hidden folders and `node_modules` are left out. A link to a file is followed while it stays inside of the root.
/// A link to a folder inside of the root is followed only if the folder would not be met otherwise, and only once.
#[derive(Debug)]
pub struct Tree {
    /// The folder that nothing may leave, with every link resolved.
    root: PathBuf,
    /// What the user asked for, for messages.
    given: PathBuf,
    /// Whether the user asked for one file.
    single: bool,
    /// The folders that are open now, outermost first.
    levels: Vec<Level>,
    /// The folders that were reached through a link.
    linked: HashSet<PathBuf>,
    /// The largest media file that is opened, in bytes.
    most_media: u64,
}

/// A folder whose names are still to come.
#[derive(Debug)]
struct Level {
    relative: PathBuf,
    /// Sorted backwards, so that the next one is at the end.
    names: Vec<OsString>,
}

/// A regular file of a [`Tree`].
#[derive(Debug)]
pub struct File {
    /// Its path below the root.
    pub relative: PathBuf,
    /// Its path for messages: below the root as the user gave it, on one line.
    pub shown: String,
    path: PathBuf,
}

impl Tree {
    /// Open a file or a folder. One file alone has the folder that it lies in as its root.
    pub fn open(path: &Path) -> Result<Tree, Error> {
        let failed = |cause| Error::Open { path: path.to_owned(), cause };
        let real = path.canonicalize().map_err(failed)?;
        let kind = fs::metadata(&real).map_err(failed)?;
        let mut tree = Tree {
            root: real.clone(),
            given: path.to_owned(),
            single: false,
            levels: vec![],
            linked: HashSet::new(),
            most_media: MAX_MEDIA,
        };
        if kind.is_dir() {
            let (names, broken) = names_in(&real).map_err(failed)?;
            if let Some(cause) = broken {
                return Err(failed(cause));
            }
            tree.levels.push(Level { relative: PathBuf::new(), names });
        } else if let (true, Some(folder), Some(name)) = (kind.is_file(), real.parent(), real.file_name()) {
            tree.root = folder.to_owned();
            tree.single = true;
            tree.levels.push(Level { relative: PathBuf::new(), names: vec![name.to_owned()] });
        } else {
            return Err(failed(io::Error::other("it is neither a file nor a folder")));
        }
        Ok(tree)
    }

    /// The same tree with another limit for media files, in bytes.
    pub fn limited(self, most_media: u64) -> Tree {
        Tree { most_media, ..self }
    }

    /// Open a media file by its path relative to the root. Nothing outside of the root is opened, and no folder.
    pub fn media(&self, reference: &str) -> Result<Box<dyn Read + Send>, Error> {
        let refuse = |reason: String| Error::Media { reference: one_line(reference), reason };
        let lower = reference.trim_start().to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return Err(refuse("is a link, not a file in the archive".into()));
        }
        if !stays_inside(Path::new(reference)) {
            return Err(refuse("leads out of the archive".into()));
        }
        let real = self.find(reference).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => refuse("is not in the archive".into()),
            _ => refuse(format!("cannot be opened: {}", one_line(&cause.to_string()))),
        })?;
        if !real.starts_with(&self.root) {
            return Err(refuse("is a link that leads out of the archive".into()));
        }
        let opened = fs::metadata(&real)
            .and_then(|kind| if kind.is_file() { fs::File::open(&real).map(Some) } else { Ok(None) });
        let file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => return Err(refuse("is not a file".into())),
            Err(cause) => return Err(refuse(format!("cannot be opened: {}", one_line(&cause.to_string())))),
        };
        let size = file.metadata().map(|kind| kind.len()).unwrap_or(0);
        if size > self.most_media {
            let (size, most) = (mebibytes(size), mebibytes(self.most_media));
            return Err(refuse(format!("has {size}, and no more than {most} are read (import.max_media_mib)")));
        }
        Ok(Box::new(file.take(self.most_media)))
    }

    /// Whether there is a file under a reference. Opening it may still be refused.
    pub fn holds(&self, reference: &str) -> bool {
        let is_file = |path: &str| {
            stays_inside(Path::new(path)) && fs::metadata(self.root.join(path)).is_ok_and(|kind| kind.is_file())
        };
        let decoded = || percent_decode_str(reference).decode_utf8().is_ok_and(|decoded| is_file(&decoded));
        is_file(reference) || (reference.contains('%') && decoded())
    }

    /// The real path of a reference: as it is written, or else with its percent signs decoded.
    fn find(&self, reference: &str) -> io::Result<PathBuf> {
        let written = self.root.join(reference).canonicalize();
        match percent_decode_str(reference).decode_utf8() {
            Ok(decoded) if written.is_err() && decoded != reference && stays_inside(Path::new(&*decoded)) => {
                self.root.join(&*decoded).canonicalize().or(written)
            }
            _ => written,
        }
    }

    /// What an entry is: a file to yield, or a folder that is entered, or nothing of interest.
    fn visit(&mut self, relative: PathBuf) -> Result<Option<File>, Skipped> {
        let path = self.root.join(&relative);
        let kind = fs::symlink_metadata(&path).map_err(|cause| self.unreadable(&relative, &cause))?;
        if kind.is_symlink() {
            return self.follow(relative, &path);
        }
        if kind.is_dir() && !is_left_out(&relative) {
            self.enter(relative)?;
            return Ok(None);
        }
        Ok(kind.is_file().then(|| self.file(relative, path)))
    }

    /// A link: its file, or the folder behind it if that would not be met at its own place.
    fn follow(&mut self, relative: PathBuf, path: &Path) -> Result<Option<File>, Skipped> {
        let target = path.canonicalize().map_err(|cause| Skipped {
            at: self.shown(&relative),
            reason: format!("is a link that leads nowhere: {}", one_line(&cause.to_string())),
        })?;
        let Ok(place) = target.strip_prefix(&self.root) else {
            let reason = "is a link that leads out of the archive. Put a copy in its place if it belongs there.".into();
            return Err(Skipped { at: self.shown(&relative), reason });
        };
        let kind = fs::metadata(&target).map_err(|cause| self.unreadable(&relative, &cause))?;
        if kind.is_dir() {
            let met_otherwise = !place.ancestors().any(is_left_out);
            if !met_otherwise && !is_left_out(&relative) && self.linked.insert(target) {
                self.enter(relative)?;
            }
            return Ok(None);
        }
        Ok(kind.is_file().then(|| self.file(relative, target)))
    }

    /// Make a folder the one whose names come next.
    fn enter(&mut self, relative: PathBuf) -> Result<(), Skipped> {
        let (names, broken) =
            names_in(&self.root.join(&relative)).map_err(|cause| self.unreadable(&relative, &cause))?;
        let problem = broken.map(|cause| self.unreadable(&relative, &cause));
        self.levels.push(Level { relative, names });
        problem.map_or(Ok(()), Err)
    }

    fn file(&self, relative: PathBuf, path: PathBuf) -> File {
        File { shown: self.shown(&relative), relative, path }
    }

    fn shown(&self, relative: &Path) -> String {
        let path = if self.single { self.given.clone() } else { self.given.join(relative) };
        one_line(&path.to_string_lossy())
    }

    fn unreadable(&self, relative: &Path, cause: &io::Error) -> Skipped {
        unreadable(self.shown(relative), cause)
    }
}

impl Iterator for Tree {
    type Item = Result<File, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let relative = level.relative.join(name);
            if let Some(item) = self.visit(relative).transpose() {
                return Some(item);
            }
        }
    }
}

impl File {
    /// Whether its name ends in one of these, without the dot and in lower case.
    pub fn has_extension(&self, wanted: &[&str]) -> bool {
        let extension = self.relative.extension().map(|text| text.to_string_lossy().to_ascii_lowercase());
        extension.is_some_and(|extension| wanted.contains(&extension.as_str()))
    }

    /// All its bytes, if there are no more than [`MAX_PAGE`]; `None` if it does not begin as wanted.
    pub fn read_if(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, Skipped> {
        let failed = |cause: io::Error| unreadable(self.shown.clone(), &cause);
        let mut file = fs::File::open(&self.path).map_err(failed)?;
        let mut bytes = Vec::with_capacity(HEAD);
        file.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(failed)?;
        if !wanted(&bytes) {
            return Ok(None);
        }
        let size = file.metadata().map_err(failed)?.len();
        if size <= MAX_PAGE {
            bytes.reserve(usize::try_from(size).unwrap_or_default());
            file.take(MAX_PAGE + 1).read_to_end(&mut bytes).map_err(failed)?;
        }
        let size = size.max(bytes.len() as u64);
        if size > MAX_PAGE {
            let reason =
                format!("has {}, and no more than {} of a page are read", mebibytes(size), mebibytes(MAX_PAGE));
            return Err(Skipped { at: self.shown.clone(), reason });
        }
        Ok(Some(bytes))
    }
}

/// A text with whatever could break a line or turn its direction made visible.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

fn unreadable(at: String, cause: &io::Error) -> Skipped {
    let reason = format!("cannot be read: {}. Check that this user may read it.", one_line(&cause.to_string()));
    Skipped { at, reason }
}

/// The names in a folder, last one first, and the failure that cut the list short, if any.
fn names_in(folder: &Path) -> io::Result<(Vec<OsString>, Option<io::Error>)> {
    let mut names = Vec::new();
    let mut broken = None;
    for entry in fs::read_dir(folder)? {
        match entry {
            Ok(entry) => names.push(entry.file_name()),
            Err(cause) => broken = Some(cause),
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok((names, broken))
}

/// Folders that hold no posts of the site: version control, caches, packages.
fn is_left_out(folder: &Path) -> bool {
    let name = folder.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    name.starts_with(b".") || name == b"node_modules"
}

/// Whether a path, taken word for word, is relative and never climbs above where it starts.
pub(super) fn stays_inside(path: &Path) -> bool {
    let mut depth = 0_usize;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn site(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    /// Every item of a tree: the path below the root, or `!` and the reason.
    fn walk(path: &Path) -> Vec<String> {
        let told = |item: Result<File, Skipped>| match item {
            Ok(file) => file.relative.to_string_lossy().into_owned(),
            Err(skipped) => format!("!{}", skipped.reason),
        };
        Tree::open(path).unwrap().map(told).collect()
    }

    fn media(tree: &Tree, reference: &str) -> String {
        let mut text = String::new();
        match tree.media(reference) {
            Ok(mut reader) => reader.read_to_string(&mut text).map(|_| text).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files_come_depth_first_by_name_without_hidden_folders() {
        let dir = site(&["b/2.md", "b/10/x.md", "a.md", "c.md", ".git/y.md", "node_modules/p/z.md", "public/o.md"]);
        assert_eq!(walk(dir.path()), ["a.md", "b/10/x.md", "b/2.md", "c.md", "public/o.md"]);
    }

    #[test]
    fn one_file_alone_has_its_folder_as_root() {
        let dir = site(&["a/index.md", "a/p.png", "other.md"]);
        let given = dir.path().join("a/index.md");
        assert_eq!(walk(&given), ["index.md"]);
        let mut tree = Tree::open(&given).unwrap();
        assert_eq!(media(&tree, "p.png"), "a/p.png");
        assert_eq!(tree.next().unwrap().unwrap().shown, given.to_string_lossy());
    }

    #[test]
    fn what_does_not_exist_cannot_be_opened() {
        let message = Tree::open(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(message.starts_with("cannot open /nowhere/at/all: "), "{message}");
    }

    #[test]
    fn a_link_is_followed_only_inside_of_the_root() {
        let outside = site(&["secret.md"]);
        let dir = site(&["real/a.md", ".store/b.md"]);
        symlink(outside.path().join("secret.md"), dir.path().join("1.md")).unwrap();
        symlink(outside.path(), dir.path().join("2")).unwrap();
        symlink("gone", dir.path().join("3.md")).unwrap();
        symlink("real/a.md", dir.path().join("4.md")).unwrap();
        symlink("real", dir.path().join("5")).unwrap();
        symlink(".store", dir.path().join("6")).unwrap();
        symlink("..", dir.path().join("real/loop")).unwrap();
        symlink("../6", dir.path().join(".store/loop")).unwrap();
        let items = walk(dir.path());
        assert!(items[0].starts_with("!is a link that leads out of the archive"), "{items:?}");
        assert!(items[1].starts_with("!is a link that leads out of the archive"), "{items:?}");
        assert!(items[2].starts_with("!is a link that leads nowhere"), "{items:?}");
        assert_eq!(items[3..], ["4.md", "6/b.md", "real/a.md"], "each real folder comes once");
    }

    #[test]
    fn a_name_cannot_break_the_line_of_a_message() {
        let dir = site(&["a\nb\u{202e}.md"]);
        let file = Tree::open(dir.path()).unwrap().next().unwrap().unwrap();
        assert!(file.shown.ends_with("/a\\nb\\u{202e}.md"), "{}", file.shown);
    }

    #[test]
    fn a_page_above_the_limit_is_skipped_with_its_size() {
        let dir = site(&["big.md"]);
        fs::File::create(dir.path().join("big.md")).unwrap().set_len(MAX_PAGE + 1).unwrap();
        let file = Tree::open(dir.path()).unwrap().next().unwrap().unwrap();
        let skipped = file.read_if(|_| true).unwrap_err();
        assert_eq!(skipped.reason, "has 4.1 MiB, and no more than 4.0 MiB of a page are read");
        assert_eq!(file.read_if(|_| false), Ok(None), "unless nobody wants it");
    }

    #[test]
    fn media_are_files_below_the_root_and_nothing_else() {
        let outside = site(&["secret.png"]);
        let dir = site(&["a/p.png", "a/with space.png", "huge.mp4"]);
        symlink(outside.path().join("secret.png"), dir.path().join("a/link.png")).unwrap();
        fs::File::create(dir.path().join("huge.mp4")).unwrap().set_len(MAX_MEDIA + 1).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        assert_eq!(media(&tree, "a/p.png"), "a/p.png");
        assert_eq!(media(&tree, "a/../a/p.png"), "a/p.png");
        assert_eq!(media(&tree, "a/with%20space.png"), "a/with space.png");
        assert_eq!(media(&tree, "a/gone.png"), "a/gone.png: is not in the archive");
        assert_eq!(media(&tree, "a"), "a: is not a file");
        assert_eq!(media(&tree, "a/link.png"), "a/link.png: is a link that leads out of the archive");
        assert_eq!(media(&tree, "../x.png"), "../x.png: leads out of the archive");
        assert_eq!(media(&tree, "%2e%2e/x.png"), "%2e%2e/x.png: is not in the archive");
        assert_eq!(media(&tree, "/etc/passwd"), "/etc/passwd: leads out of the archive");
        assert_eq!(
            media(&tree, "huge.mp4"),
            "huge.mp4: has 100.1 MiB, and no more than 100.0 MiB are read (import.max_media_mib)"
        );
        for (reference, there) in [("a/p.png", true), ("a/with%20space.png", true), ("a", false), ("../x.png", false)] {
            assert_eq!(tree.holds(reference), there, "{reference}");
        }
        let link = media(&tree, "https://a.example/p.png");
        assert_eq!(link, "https://a.example/p.png: is a link, not a file in the archive");
        assert!(media(&tree, "a\0b").contains("cannot be opened"), "{}", media(&tree, "a\0b"));
    }
}
