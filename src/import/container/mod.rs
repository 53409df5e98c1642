//! What an archive comes in: a folder, a zip or a tar, told apart by content and read through one door.
//!
//! Files are opened by name, and nothing is ever written under a name that an archive gives. Must never know what the
//! files mean. Start with [`Container`]; `zip.rs` and `tar.rs` make the list of files, `section.rs` reads one of them.

mod section;
mod tar;
mod zip;

use super::Error;
use super::files::{one_line, stays_inside};
use super::limits::{Limits, mebibytes};
use crate::domain::source::Skipped;
use section::Section;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes at the beginning of a file that tell what it is: a tar says so at byte 257.
const MAGIC: usize = 262;

/// Problems of single files that are told one by one; the others are counted.
const TOLD: usize = 100;

/// A stream of a file's bytes.
pub type Bytes = Box<dyn Read + Send>;

/// The files of an archive.
#[derive(Debug)]
pub struct Container {
    /// What the user asked for, for messages.
    given: PathBuf,
    place: Place,
    /// Entries that are left out, each with its reason.
    problems: Vec<Skipped>,
    limits: Limits,
}

#[derive(Debug)]
enum Place {
    /// A folder, with every link in its own path resolved.
    Folder(PathBuf),
    /// A zip, or a tar that is not compressed.
    Packed(Packed),
    /// A compressed tar.
    Compressed(tar::Compressed),
}

/// Where files lie in one open file.
#[derive(Debug)]
struct Packed {
    file: Arc<File>,
    members: HashMap<String, Section>,
}

impl Packed {
    fn open(&self, name: &str) -> Option<io::Result<Bytes>> {
        self.members.get(name).map(|section| section.open(&self.file))
    }
}

/// Why a file of an archive cannot be opened.
#[derive(Debug)]
pub enum Closed {
    /// There is none of that name.
    Missing,
    /// It must not be, or cannot be, read.
    Refused(String),
}

impl Container {
    /// Open a folder, a zip or a tar; `None` for any other file.
    pub fn open(path: &Path, limits: &Limits) -> Result<Option<Container>, Error> {
        let failed = |cause| Error::Open { path: path.to_owned(), cause };
        let real = path.canonicalize().map_err(failed)?;
        let mut container =
            Container { given: path.to_owned(), place: Place::Folder(real), problems: vec![], limits: *limits };
        let Place::Folder(real) = &container.place else { return Ok(None) };
        if real.is_dir() {
            return Ok(Some(container));
        }
        if !real.is_file() {
            return Ok(None);
        }
        let file = File::open(real).map_err(failed)?;
        let mut start = [0; MAGIC];
        let length = read_start(&file, &mut start).map_err(failed)?;
        let mut problems = Problems { given: one_line(&path.to_string_lossy()), told: vec![], more: 0 };
        let place = match &start[..length] {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => zip::list(file, limits, &mut problems).map(Place::Packed),
            [0x1f, 0x8b, ..] => {
                tar::Compressed::open(file, tar::Packing::Gzip, limits, &mut problems).map(Place::Compressed)
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                tar::Compressed::open(file, tar::Packing::Zstd, limits, &mut problems).map(Place::Compressed)
            }
            start if start.ends_with(b"ustar") => tar::list(file, limits, &mut problems).map(Place::Packed),
            _ => return Ok(None),
        };
        container.place = place.map_err(|reason| Error::Refused { path: path.to_owned(), reason })?;
        container.problems = problems.into_skipped();
        Ok(Some(container))
    }

    /// Whether it is a folder: then it may hold more than one thing, and foreign files.
    pub fn is_folder(&self) -> bool {
        matches!(self.place, Place::Folder(_))
    }

    /// Where a file of that name stands: `""` for the top itself, `folder/` for a folder at the top. Sorted.
    ///
    /// A folder of the file system is looked into further only when it holds one folder and nothing else: so it looks
    /// when an archive was unpacked into a folder of its own.
    pub fn homes(&self, name: &str) -> Vec<String> {
        let mut homes: Vec<String> = match &self.place {
            Place::Folder(root) => {
                let inner = only_folder(root).map(|folder| format!("{folder}/"));
                let there = |home: &String| self.resolve(&format!("{home}{name}")).is_ok();
                [Some(String::new()), inner].into_iter().flatten().filter(there).collect()
            }
            Place::Packed(packed) => packed.members.keys().filter_map(|known| home_of(known, name)).collect(),
            Place::Compressed(tar) => tar.names().filter_map(|known| home_of(known, name)).collect(),
        };
        homes.sort_unstable();
        homes
    }

    /// The names of all files. Empty for a folder of the file system, which may hold anything.
    pub fn names(&self) -> Vec<&str> {
        match &self.place {
            Place::Folder(_) => vec![],
            Place::Packed(packed) => packed.members.keys().map(String::as_str).collect(),
            Place::Compressed(tar) => tar.names().collect(),
        }
    }

    /// Open a file by its name.
    pub fn read(&self, name: &str) -> Result<Bytes, Closed> {
        let refused = |cause: io::Error| Closed::Refused(format!("cannot be read: {}", one_line(&cause.to_string())));
        match &self.place {
            Place::Folder(_) => Ok(Box::new(File::open(self.resolve(name)?).map_err(refused)?)),
            Place::Packed(packed) => packed.open(name).ok_or(Closed::Missing)?.map_err(refused),
            Place::Compressed(tar) => tar.read(name, &self.limits)?.map_err(refused),
        }
    }

    /// Open a picture, film or sound by its name: no more than [`Limits::media`].
    pub fn read_media(&self, name: &str) -> Result<Bytes, Closed> {
        let size = self.size(name)?;
        if size > self.limits.media {
            let (size, most) = (mebibytes(size), mebibytes(self.limits.media));
            return Err(Closed::Refused(format!(
                "has {size}, and no more than {most} are read (import.max_media_mib)"
            )));
        }
        Ok(Box::new(self.read(name)?.take(self.limits.media)))
    }

    /// The bytes of a file that has to fit into memory.
    pub fn read_whole(&self, name: &str, most: u64) -> Result<Vec<u8>, Closed> {
        let mut bytes = Vec::new();
        let read = self.read(name)?.take(most + 1).read_to_end(&mut bytes);
        read.map_err(|cause| Closed::Refused(format!("cannot be read: {}", one_line(&cause.to_string()))))?;
        if bytes.len() as u64 > most {
            return Err(Closed::Refused(format!("has more than {}, which no such file has", mebibytes(most))));
        }
        Ok(bytes)
    }

    /// Read a file to its end, so that what its checksum says is known before anything of it is used.
    pub fn check(&self, name: &str) -> Result<(), Closed> {
        let whole = match &self.place {
            Place::Packed(packed) => packed.members.get(name).is_none_or(|section| !section.has_checksum()),
            Place::Folder(_) | Place::Compressed(_) => true,
        };
        if whole {
            return Ok(());
        }
        let read = io::copy(&mut self.read(name)?, &mut io::sink());
        read.map(|_| ()).map_err(|cause| Closed::Refused(one_line(&cause.to_string())))
    }

    /// What a file is called in messages.
    pub fn shown(&self, name: &str) -> String {
        match &self.place {
            Place::Folder(_) => one_line(&self.given.join(name).to_string_lossy()),
            _ => format!("{}: {}", one_line(&self.given.to_string_lossy()), one_line(name)),
        }
    }

    /// The path that was asked for.
    pub fn path(&self) -> &Path {
        &self.given
    }

    /// The entries that were left out; once.
    pub fn take_problems(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.problems)
    }

    fn size(&self, name: &str) -> Result<u64, Closed> {
        match &self.place {
            Place::Folder(_) => Ok(self.resolve(name)?.metadata().map(|kind| kind.len()).unwrap_or(0)),
            Place::Packed(packed) => packed.members.get(name).map(Section::size).ok_or(Closed::Missing),
            Place::Compressed(tar) => tar.size(name).ok_or(Closed::Missing),
        }
    }

    /// The real path of a file in a folder. Nothing outside of the folder is opened, whatever links say.
    fn resolve(&self, name: &str) -> Result<PathBuf, Closed> {
        let Place::Folder(root) = &self.place else { return Err(Closed::Missing) };
        if !stays_inside(Path::new(name)) {
            return Err(Closed::Refused("leads out of the archive".to_owned()));
        }
        let real = root.join(name).canonicalize().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Closed::Missing,
            _ => Closed::Refused(format!("cannot be opened: {}", one_line(&cause.to_string()))),
        })?;
        if !real.starts_with(root) {
            return Err(Closed::Refused("is a link that leads out of the archive".to_owned()));
        }
        if !real.is_file() {
            return Err(Closed::Refused("is not a file".to_owned()));
        }
        Ok(real)
    }
}

/// What is wrong with single entries: the first are told, the others counted.
#[derive(Debug, Default)]
struct Problems {
    given: String,
    told: Vec<Skipped>,
    more: u64,
}

impl Problems {
    fn note(&mut self, name: &str, reason: impl Into<String>) {
        match self.told.len() < TOLD {
            true => {
                let at =
                    if name.is_empty() { self.given.clone() } else { format!("{}: {}", self.given, one_line(name)) };
                self.told.push(Skipped { at, reason: reason.into() });
            }
            false => self.more += 1,
        }
    }

    fn into_skipped(mut self) -> Vec<Skipped> {
        if self.more > 0 {
            let reason = format!("{} more of its files are left out for such reasons", self.more);
            self.told.push(Skipped { at: self.given, reason });
        }
        self.told
    }
}

/// The name of an entry as files are asked for, or why it must not be used.
fn name_of(raw: &[u8]) -> Result<String, &'static str> {
    let Ok(text) = std::str::from_utf8(raw) else { return Err("has a name that is not UTF-8") };
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix("./") {
        rest = inner;
    }
    if rest.starts_with('/') || rest.contains(['\\', '\0']) || rest.split('/').any(|part| part == "..") {
        return Err("has a name that leads out of the archive");
    }
    Ok(rest.to_owned())
}

/// The folder at the top, or the top itself, in which `known` is called `name`.
fn home_of(known: &str, name: &str) -> Option<String> {
    let home = known.strip_suffix(name)?;
    let at_the_top = home.is_empty() || (home.ends_with('/') && home.matches('/').count() == 1);
    (at_the_top && !home.starts_with("__MACOSX/")).then(|| home.to_owned())
}

/// The name of the one folder in a folder that holds nothing else that can be seen.
fn only_folder(root: &Path) -> Option<String> {
    let hidden = |name: &str| name.starts_with('.') || name == "__MACOSX";
    let entries = std::fs::read_dir(root).ok()?.filter_map(Result::ok);
    let mut seen = entries.filter(|entry| !hidden(&entry.file_name().to_string_lossy()));
    let (first, second) = (seen.next()?, seen.next());
    let is_folder = first.file_type().ok()?.is_dir();
    (second.is_none() && is_folder).then(|| first.file_name().into_string().ok()).flatten()
}

fn read_start(file: &File, start: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < start.len() {
        match file.read_at(&mut start[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}
