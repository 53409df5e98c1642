//! Small file-system tools of the private PostgreSQL: lock files, and folders with exact owner and mode.
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::Path;

use super::Error;

/// A user and group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Turns an I/O error into ours.
pub(super) fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { action, path: path.to_owned(), source }
}

/// Opens a lock file, creating it if it is missing, readable by its user only whatever the umask is.
pub(super) fn lock_file(path: &Path) -> Result<File, Error> {
    let open = || File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = open().map_err(file_error("open the lock file", path))?;
    let mode = file.metadata().map_err(file_error("read", path))?.permissions().mode() & 0o777;
    if mode & 0o600 != 0o600 {
        // Only a strange umask leads here; a failure shows itself at the next opening.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
    }
    Ok(file)
}

/// Repeats a system call that a signal interrupted.
pub(super) fn retry_interrupted(mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Creates a folder with exactly this mode and owner. Returns false if there is one already, which is left as it is.
pub(super) fn create_dir(path: &Path, mode: u32, owner: Option<Ids>) -> io::Result<bool> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    if let Some(ids) = owner {
        lchown(path, Some(ids.uid), Some(ids.gid))?;
    }
    Ok(true)
}

/// Whether this is a real folder (no link) of this user that nobody else may enter.
pub(super) fn is_private_dir(path: &Path, uid: u32) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0)
}

/// Writes a small file so that readers see all of it or none.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
        io::Write::write_all(&mut file, text)?;
        file.sync_all()?;
    }
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => sync_dir(folder),
        None => Ok(()),
    }
}

/// Makes renames inside a folder durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The last lines of a text, without empty lines at the end.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_counted_from_the_end() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
        assert_eq!(last_lines("", 5), "");
    }

    #[test]
    fn folders_have_their_mode_and_are_left_alone_afterwards() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("private");
        assert!(create_dir(&path, 0o700, None).expect("created"));
        let uid = fs::metadata(&path).expect("metadata").uid();
        assert!(is_private_dir(&path, uid));
        assert!(!is_private_dir(&path, uid + 1));
        assert!(!create_dir(&path, 0o755, None).expect("there already"));
        assert!(is_private_dir(&path, uid));
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(!is_private_dir(&link, uid));
    }
}
