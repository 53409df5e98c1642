//! The place of an export: written beside under another name, on the disk, then renamed. All of it is there, or nothing.
//!
//! Nothing that is there already is written over. A program that is killed leaves a `.everpost-…` beside the place.

use super::Error;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// How the name of something half written begins.
const PARTIAL: &str = ".everpost-";

/// An export on its way to its place.
#[derive(Debug)]
pub struct Output {
    place: PathBuf,
    partial: Partial,
}

#[derive(Debug)]
enum Partial {
    File(NamedTempFile),
    Folder(TempDir),
}

impl Output {
    /// A file. Who may read it follows from the umask; `secret` leaves it to its owner alone.
    pub fn file(place: &Path, secret: bool) -> Result<Output, Error> {
        let parent = vacant(place)?;
        let mode = if secret { 0o600 } else { 0o666 };
        let mut builder = Builder::new();
        let partial = builder.prefix(PARTIAL).permissions(Permissions::from_mode(mode)).tempfile_in(&parent);
        let partial = partial.map_err(|cause| Error::Io { path: parent, cause })?;
        Ok(Output { place: place.to_owned(), partial: Partial::File(partial) })
    }

    /// A folder, likewise.
    pub fn folder(place: &Path, secret: bool) -> Result<Output, Error> {
        let parent = vacant(place)?;
        let mode = if secret { 0o700 } else { 0o777 };
        let mut builder = Builder::new();
        let partial = builder.prefix(PARTIAL).permissions(Permissions::from_mode(mode)).tempdir_in(&parent);
        let partial = partial.map_err(|cause| Error::Io { path: parent, cause })?;
        Ok(Output { place: place.to_owned(), partial: Partial::Folder(partial) })
    }

    /// Where it is written until then.
    pub fn path(&self) -> &Path {
        match &self.partial {
            Partial::File(file) => file.path(),
            Partial::Folder(folder) => folder.path(),
        }
    }

    /// The file, to be written from its beginning.
    pub fn open(&self) -> Result<File, Error> {
        let failed = |cause| Error::Io { path: self.path().to_owned(), cause };
        File::options().read(true).write(true).open(self.path()).map_err(failed)
    }

    /// Put it into its place, once it is on the disk; where it is now.
    pub fn commit(self) -> Result<PathBuf, Error> {
        let Output { place, partial } = self;
        let failed = |cause| Error::Io { path: place.clone(), cause };
        match partial {
            Partial::File(file) => {
                file.as_file().sync_all().map_err(failed)?;
                let renamed = rename(file.path(), &place);
                renamed.map_err(|cause| taken(&place, cause))?;
                // The name is gone already, and with it what would be removed.
                let _ = file.into_temp_path().keep();
            }
            Partial::Folder(folder) => {
                // Everything in it at once: it may hold a hundred thousand files.
                File::open(folder.path()).and_then(|file| Ok(rustix::fs::syncfs(&file)?)).map_err(failed)?;
                rename(folder.path(), &place).map_err(|cause| taken(&place, cause))?;
                let _ = folder.keep();
            }
        }
        File::open(parent_of(&place)).and_then(|parent| parent.sync_all()).map_err(failed)?;
        Ok(place)
    }
}

/// The folder of a place where nothing stands yet.
fn vacant(place: &Path) -> Result<PathBuf, Error> {
    match place.symlink_metadata() {
        Ok(_) => return Err(Error::Exists(place.to_owned())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::Io { path: place.to_owned(), cause }),
    }
    if place.file_name().is_none() {
        return Err(Error::Refused(format!("{} is no name of a file or folder", place.display())));
    }
    Ok(parent_of(place))
}

fn parent_of(place: &Path) -> PathBuf {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Rename to where nothing is. Where the file system cannot promise that, what came meanwhile is looked for just before.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match to.symlink_metadata() {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(from, to),
        },
        other => Ok(other?),
    }
}

fn taken(place: &Path, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(place.to_owned()),
        _ => Error::Io { path: place.to_owned(), cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn nothing_stands_at_the_place_before_all_of_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.zip");
        let output = Output::file(&place, true).unwrap();
        output.open().unwrap().write_all(b"half").unwrap();
        assert!(!place.exists());
        assert_eq!(output.commit().unwrap(), place);
        assert_eq!(std::fs::read(&place).unwrap(), b"half");
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["a.zip"]);
    }

    #[test]
    fn what_is_there_is_never_written_over_not_even_what_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a");
        let (file, made) = (Output::file(&place, false).unwrap(), Output::folder(&place, false).unwrap());
        std::fs::create_dir(&place).unwrap();
        assert!(matches!(file.commit(), Err(Error::Exists(_))));
        assert!(matches!(made.commit(), Err(Error::Exists(_))));
        assert!(matches!(Output::file(&place, false), Err(Error::Exists(_))));
        assert_eq!(names(folder.path()), ["a"], "what was half written is gone");
    }

    #[test]
    fn a_folder_comes_with_all_that_is_in_it_and_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("site");
        let output = Output::folder(&place, false).unwrap();
        std::fs::write(output.path().join("index.html"), "x").unwrap();
        output.commit().unwrap();
        assert_eq!(names(&place), ["index.html"]);
        assert_ne!(place.metadata().unwrap().permissions().mode() & 0o055, 0, "as the umask says");
    }
}
