//! A backup becomes an instance again, on a machine on which there is none.
//!
//! From its first write to its last a marker lies in the data folder, and nothing is served while it does; so there is never
//! half an instance. Whoever finds the marker restores the same backup again, which does what is missing.

use super::read::{Verified, walk};
use super::{AHEAD, Passphrase, manifest::Member, read};
use crate::federation::keys;
use crate::media::MediaStore;
use crate::operations::private::Files;
use crate::operations::{Error, blocking};
use crate::store::load::Load;
use crate::store::snapshot::Table;
use crate::store::{self, Store};
use bytes::Bytes;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The marker's name in the data folder. It holds the id of the backup.
const MARKER: &str = "restore.unfinished";

/// Where a backup goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The database; its tables need not be there.
    pub store: Store,
    /// The URL of the database.
    pub url: String,
    /// The media files.
    pub media: MediaStore,
    /// The sealed files.
    pub sealed: Files,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where the key file goes, if the backup has one.
    pub key_file: PathBuf,
    /// Where the configuration goes, and what it says.
    pub configuration: (PathBuf, String),
}

/// Called with the bytes of the file that were read, and all.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Fail while a restore into this data folder is not finished. Blocking.
pub fn refuse_unfinished(data_dir: &Path) -> Result<(), Error> {
    match begun(data_dir)? {
        None => Ok(()),
        Some(_) => Err(Error::Refused(format!(
            "a restore into {} was begun and has not ended, so nothing can be served from it. Run the same `everpost restore` \
             again, which does what is missing; or, to begin anew, remove that folder (and empty the database, if \
             database.url names one)",
            data_dir.display()
        ))),
    }
}

/// Fail where the data folder holds something already that a restore would have to write over; a restore that was begun does
/// not count. Blocking, changes nothing.
pub fn refuse_filled(data_dir: &Path, media: &MediaStore, sealed: &Files) -> Result<(), Error> {
    if begun(data_dir)?.is_some() || media.is_empty()? && sealed.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "{} holds files of an instance already. A backup is restored where there is nothing: name an empty folder in \
         storage.data_dir, or move this one away",
        data_dir.display()
    )))
}

/// Fail where the database has rows in our tables, or somebody else's tables. Blocking, changes nothing.
pub fn refuse_filled_database(url: &str) -> Result<(), Error> {
    Store::first_filled_table(url)?.map_or(Ok(()), |table| Err(filled(&table)))
}

/// Restore a backup that was verified. Whatever had rows or files before is refused and left as it is.
///
/// Nothing is sent to other servers afterwards until deliveries are resumed: the instance that was backed up may still run,
/// or may have sent what waits here.
pub async fn restore(
    target: Target,
    path: &Path,
    passphrase: Option<Passphrase>,
    verified: &Verified,
    progress: Progress,
) -> Result<(), Error> {
    let Verified { manifest, key, .. } = verified;
    let again = match begun(&target.data_dir)? {
        Some(id) if id == manifest.id => true,
        Some(_) => {
            return Err(Error::Refused(format!(
                "a restore of another backup into {} was begun and has not ended. Restore that one again, or remove the \
                 folder (and empty the database, if database.url names one)",
                target.data_dir.display()
            )));
        }
        None => false,
    };
    refuse_filled(&target.data_dir, &target.media, &target.sealed)?;
    let key = key.as_ref().map(|key| (target.key_file.clone(), key.0.clone()));
    if let Some((file, key)) = &key {
        refuse_other_key(file, key)?;
    }
    let url = target.url.clone();
    let is_loaded = match blocking(move || Store::first_filled_table(&url)).await?? {
        None => false,
        Some(_) if again && target.store.holds_exactly(&manifest.tables).await? => true,
        Some(table) => return Err(filled(&table)),
    };
    let (data_dir, id) = (target.data_dir.clone(), manifest.id.clone());
    blocking(move || begin(&data_dir, &id)).await??;
    if !is_loaded {
        let (url, migrations) = (target.url.clone(), manifest.migrations.clone());
        blocking(move || Store::prepare_for_load(&url, &migrations)).await?.map_err(conflict)?;
    }
    let load = fill(&target, path, passphrase, verified, is_loaded, progress).await?;
    let (config_file, configuration) = target.configuration.clone();
    blocking(move || {
        if let Some((file, key)) = &key {
            write_private(file, key)?;
        }
        write_private(&config_file, configuration.as_bytes())
    })
    .await??;
    if let Some(load) = load {
        load.commit(&manifest.tables).await?;
    }
    let url = target.url.clone();
    blocking(move || Store::migrate(&url)).await??;
    target.store.learn_everything().await?;
    blocking(move || end(&target.data_dir)).await?
}

/// Put files and rows in their places; the transaction with the rows, unless they are there already.
async fn fill(
    target: &Target,
    path: &Path,
    passphrase: Option<Passphrase>,
    verified: &Verified,
    is_loaded: bool,
    progress: Progress,
) -> Result<Option<Load>, Error> {
    let (pieces, mut received) = mpsc::channel::<(Table, Bytes)>(AHEAD);
    let (media, sealed, file) = (target.media.clone(), target.sealed.clone(), path.to_owned());
    let reading = blocking(move || {
        walk(&file, passphrase.as_ref(), &*progress, &mut |manifest, member, _, source| match member {
            Member::Table(name) if !is_loaded => {
                let table = manifest.tables.iter().find(|table| table.name == name);
                let Some(table) = table else { return Ok(()) };
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes).map_err(|error| read::refused(&file, &error.to_string()))?;
                let sent = pieces.blocking_send((table.clone(), bytes.into()));
                sent.map_err(|_| Error::Task("the restore was broken off".to_owned()))
            }
            Member::Media(name) => Ok(media.put_back(&name, source)?),
            Member::Sealed(account, name) => sealed.put_back(account, &name, source),
            Member::Table(_) | Member::Key | Member::Configuration => Ok(()),
        })
    });
    let loading = async move {
        let mut load = None;
        while let Some((table, bytes)) = received.recv().await {
            let load = match &mut load {
                Some(load) => load,
                none => none.insert(Load::begin(&target.store).await?),
            };
            load.write(&table, bytes).await?;
        }
        match load {
            None if !is_loaded => Ok(Some(Load::begin(&target.store).await?)),
            load => Ok(load),
        }
    };
    let (read, loaded) = tokio::join!(reading, loading);
    let (manifest, end) = match (read?, loaded.as_ref()) {
        (Err(Error::Task(_)), Err(_)) => return loaded.map_err(conflict),
        (read, _) => read?,
    };
    if (&manifest, &end) != (&verified.manifest, &verified.end) {
        return Err(read::refused(path, "it changed while it was read"));
    }
    loaded.map_err(conflict)
}

fn filled(table: &str) -> Error {
    Error::Refused(format!(
        "the database holds an instance already (the table {table} has rows), and nothing of it was changed. A backup is \
         restored where there is nothing: name an empty database in database.url, or an empty folder in storage.data_dir"
    ))
}

fn conflict(error: store::Error) -> Error {
    match error {
        store::Error::Conflict(table) => filled(&table),
        other => other.into(),
    }
}

/// The id of the backup whose restore was begun here.
fn begun(data_dir: &Path) -> Result<Option<String>, Error> {
    let path = data_dir.join(MARKER);
    match std::fs::read_to_string(&path) {
        Ok(id) => Ok(Some(id.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&path, &error)),
    }
}

fn begin(data_dir: &Path, id: &str) -> Result<(), Error> {
    if !data_dir.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
        made.map_err(|error| failed(data_dir, &error))?;
    }
    write_private(&data_dir.join(MARKER), id.as_bytes())
}

fn end(data_dir: &Path) -> Result<(), Error> {
    let path = data_dir.join(MARKER);
    std::fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
    sync(data_dir)
}

/// A key that is there already must be the one from the backup.
fn refuse_other_key(file: &Path, key: &[u8]) -> Result<(), Error> {
    match std::fs::read(file) {
        Ok(there) if there == key => Ok(()),
        Ok(_) => Err(Error::Refused(format!(
            "{} holds another key than the backup, and stays as it is. Move it away, or name another file in \
             secrets.key_file",
            file.display()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(file, &error)),
    }
}

/// Write a file that only its owner can read, whole or not at all, and on the disk.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let partial = path.with_added_extension(format!("partial-{}", keys::token()?));
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|error| failed(path, &error))?;
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Refused(format!("{}: {error}", path.display()))
}
