//! The folder of sealed files: one folder an account, names that tell nothing, whole files or none.
//!
//! Only this folder's own operations can read from it: everything but [`Files::new`] is closed to other rooms.

use crate::domain::ids::AccountId;
use crate::domain::private::PrivateFile;
use crate::federation::keys::{self, Vault};
use crate::federation::seal::Sealing;
use crate::media::MediaStore;
use crate::operations::Error;
use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Who may read the folders and the files: their owner.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// How the name of a file that is being written begins.
const PARTIAL: &str = ".partial-";

/// The folder of sealed files.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
}

/// What a sealed file of an account is bound to, and what it is called in messages.
fn bound(account: AccountId) -> String {
    format!("a private file of account {account}")
}

impl Files {
    /// The files in `root`, which is made when the first one comes.
    pub fn new(root: &Path) -> Files {
        Files { root: root.to_owned() }
    }

    /// Seal what `source` yields, and say what it is; what is not a picture, film or sound is not kept, as in the public
    /// store. A file that is there already is not kept twice. On disk before it returns; a crash leaves a whole file, or
    /// the sealed beginning of one, which [`Files::sweep`] removes. Blocking.
    pub(super) fn seal(
        &self,
        vault: &Vault,
        media: &MediaStore,
        account: AccountId,
        source: &mut dyn Read,
    ) -> Result<PrivateFile, Error> {
        let folder = self.folder(account);
        make(&folder)?;
        let mut partial = Partial::create(&folder)?;
        let file = partial.file.try_clone().map_err(io)?;
        let mut passing = Passing { source, sealing: vault.seal_file(&bound(account), file)? };
        let found = media.recognise(&mut passing)?;
        passing.sealing.finish()?;
        let name = hex(&vault.name_of(&bound(account), found.sha256.as_bytes())?);
        let path = self.path(account, &name);
        if !path.exists() {
            let folder = path.parent().unwrap_or(&folder);
            make(folder)?;
            partial.file.sync_all().map_err(io)?;
            std::fs::rename(&partial.path, &path).map_err(io)?;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
            partial.renamed = true;
        }
        Ok(PrivateFile { name, media_type: found.media_type, extension: found.extension, bytes: found.bytes })
    }

    /// Open a file into `sink`, and see that it is the one that the name means; the SHA-256 of what is in it, in hexadecimal
    /// digits. If it fails, throw away what `sink` got. Blocking.
    pub(super) fn open(
        &self,
        vault: &Vault,
        account: AccountId,
        file: &PrivateFile,
        sink: &mut dyn Write,
    ) -> Result<String, Error> {
        let mut source = File::open(self.path(account, &file.name)).map_err(io)?;
        let mut hashing = Hashing { sink, hash: openssl::sha::Sha256::new() };
        vault.open_sealed(&bound(account), &mut source, &mut hashing)?;
        let sha256 = hex(&hashing.hash.finish());
        if hex(&vault.name_of(&bound(account), sha256.as_bytes())?) != file.name {
            return Err(Error::Keys(keys::Error::Closed { what: bound(account) }));
        }
        Ok(sha256)
    }

    /// Length in bytes and the bytes of a file, sealed as they are; `None` when it is not there. Blocking.
    pub(in crate::operations) fn closed(&self, account: AccountId, name: &str) -> Result<Option<(u64, File)>, Error> {
        match File::open(self.path(account, name)) {
            Ok(file) => Ok(Some((file.metadata().map_err(io)?.len(), file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(error)),
        }
    }

    /// Put back what [`Files::closed`] gave. On disk before it returns. Blocking.
    pub(in crate::operations) fn put_back(
        &self,
        account: AccountId,
        name: &str,
        source: &mut dyn Read,
    ) -> Result<(), Error> {
        let path = self.path(account, name);
        let folder = path.parent().unwrap_or(&self.root);
        make(folder)?;
        let mut partial = Partial::create(folder)?;
        std::io::copy(source, &mut partial.file).map_err(io)?;
        partial.file.sync_all().map_err(io)?;
        std::fs::rename(&partial.path, &path).map_err(io)?;
        partial.renamed = true;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
    }

    /// Whether no account has any.
    pub(in crate::operations) fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.root).map_or(true, |mut entries| entries.next().is_none())
    }

    /// Whether the file of that name is there.
    pub(super) fn holds(&self, account: AccountId, name: &str) -> bool {
        self.path(account, name).exists()
    }

    /// Whether an account has, or had, any files.
    pub(super) fn has_any(&self, account: AccountId) -> bool {
        self.folder(account).exists()
    }

    /// Remove all files of an account but those of the given names, and what a crash left half written. Nobody else may
    /// be writing: the caller holds the account's import. Blocking.
    pub(super) fn sweep(&self, account: AccountId, keep: &HashSet<String>) -> Result<(), Error> {
        let mut folders = vec![self.folder(account)];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                entries => entries.map_err(io)?,
            };
            for entry in entries {
                let entry = entry.map_err(io)?;
                if entry.file_type().map_err(io)?.is_dir() {
                    folders.push(entry.path());
                } else if !entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
                    gone(std::fs::remove_file(entry.path()))?;
                }
            }
        }
        Ok(())
    }

    /// Remove all files of an account. Blocking.
    pub(super) fn erase(&self, account: AccountId) -> Result<(), Error> {
        gone(std::fs::remove_dir_all(self.folder(account)))
    }

    fn folder(&self, account: AccountId) -> PathBuf {
        self.root.join(account.to_string())
    }

    fn path(&self, account: AccountId, name: &str) -> PathBuf {
        self.folder(account).join(name.get(..2).unwrap_or_default()).join(name)
    }
}

fn io(error: std::io::Error) -> Error {
    Error::Keys(keys::Error::Io(error))
}

fn make(folder: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(io)
}

/// That something is gone already is no failure.
fn gone(removed: std::io::Result<()>) -> Result<(), Error> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(error)),
        _ => Ok(()),
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file being written, which disappears unless it is renamed away.
struct Partial {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Partial {
    fn create(folder: &Path) -> Result<Partial, Error> {
        let path = folder.join(format!("{PARTIAL}{}", keys::token()?));
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path).map_err(io)?;
        Ok(Partial { path, file, renamed: false })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.renamed {
            // The next sweep takes what cannot be removed now.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Seals whatever is read through it, so that a file is judged and sealed in one pass and never lies open.
struct Passing<'a, W: Write> {
    source: &'a mut dyn Read,
    sealing: Sealing<W>,
}

impl<W: Write> Read for Passing<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.sealing.push(&buffer[..count]).map_err(std::io::Error::other)?;
        Ok(count)
    }
}

/// Hashes whatever is written through it.
struct Hashing<'a> {
    sink: &'a mut dyn Write,
    hash: openssl::sha::Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}
