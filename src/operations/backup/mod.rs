//! A backup: the whole instance in one file, as it was at one moment, while everything goes on.
//!
//! The rows are those of one snapshot. Files have the hash of their bytes as their names and never change, so they belong to
//! that moment too as long as none is removed: that is held off meanwhile. `write.rs` makes the file, `read.rs` proves it,
//! `manifest.rs` says what it says of itself, `restore.rs` is the way back. Must never know what a sealed file holds.

mod manifest;
mod read;
pub mod restore;
mod write;

pub use manifest::{End, Manifest};
pub use read::{Key, Verified, is_encrypted, verify};

use super::{App, Error, blocking};
use crate::domain::ids::AccountId;
use crate::federation::keys;
use crate::store::snapshot::{Snapshot, Table};
use age::secrecy::SecretString;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::{StreamExt, pin_mut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};
use write::Task;

/// Files that are listed at once.
const BATCH: i64 = 100;
/// Bytes of rows that become one member.
const PIECE: usize = 1 << 20;
/// Members that wait for the writer.
const AHEAD: usize = 4;

/// What a backup is encrypted with. Nothing prints it.
#[derive(Clone, Debug)]
pub struct Passphrase(SecretString);

impl Passphrase {
    /// A passphrase. An empty one is none.
    pub fn new(text: String) -> Option<Passphrase> {
        (!text.is_empty()).then(|| Passphrase(SecretString::from(text)))
    }
}

/// What is to be backed up, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The file, or a folder: then the file gets a name with the time.
    pub path: PathBuf,
    /// What to encrypt it with.
    pub passphrase: Option<Passphrase>,
    /// The configuration, without secrets.
    pub configuration: String,
    /// The content of the key file, if it is to go along.
    pub key: Option<Vec<u8>>,
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// What it says at its start.
    pub manifest: Manifest,
    /// What it says at its end, troubles among it.
    pub end: End,
}

/// Back everything up. Servers, imports and whatever else run on; what they do after the beginning is not in it.
///
/// `Refused` if the file is there already or cannot be written. `progress` is given the bytes so far, and about how many it
/// will be. If this is dropped, nothing is left of it.
pub async fn backup(
    app: &App,
    request: Request,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Report, Error> {
    let path = target(&request.path, request.passphrase.is_some(), now)?;
    // Before the moment that is kept: what it names must be there until it is copied.
    let media = app.store.hold_media().await?;
    let sealed = app.store.hold_sealed().await?;
    let snapshot = app.store.snapshot().await?;
    let size = snapshot.size().await?;
    let manifest = Manifest {
        format: manifest::FORMAT,
        everpost: env!("CARGO_PKG_VERSION").to_owned(),
        id: keys::token()?,
        created: now.to_rfc3339_opts(SecondsFormat::Secs, true),
        domain: snapshot.domain().await?,
        migrations: snapshot.migrations().await?,
        tables: snapshot.tables().await?,
        posts: size.posts,
        open_keys: request.key.is_some() || snapshot.has_open_keys().await?,
    };
    let done = Arc::new(AtomicU64::new(0));
    let order = write::Order {
        path: path.clone(),
        passphrase: request.passphrase,
        manifest: manifest.clone(),
        time: u64::try_from(now.timestamp()).unwrap_or_default(),
        media: app.media.clone(),
        sealed: app.private.clone(),
        done: done.clone(),
    };
    let (tasks, received) = mpsc::channel(AHEAD);
    let writing = blocking(move || write::write(&order, received));
    let all = size.media + size.tables;
    let tell = || progress(done.load(Ordering::Relaxed).min(all), all);
    let tables = &manifest.tables;
    let feeding = async move {
        let files = [(manifest::KEY, request.key), (manifest::CONFIGURATION, Some(request.configuration.into_bytes()))];
        for (name, bytes) in files.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))) {
            send(&tasks, Task::Bytes(name.to_owned(), bytes)).await?;
        }
        let let_go_of_sealed = async { Ok(sealed.release().await?) };
        feed(&Feed { tasks: &tasks, snapshot: &snapshot, tell: &tell }, tables, let_go_of_sealed).await?;
        // The writer ends when nobody can tell it anything any more.
        send(&tasks, Task::Done).await
    };
    let (fed, written) = tokio::join!(feeding, writing);
    // Who writes knows best why nothing can be written; that it was broken off is what the other one knows better.
    let (size, end) = match (written?, fed) {
        (Ok(written), Ok(())) => written,
        (Err(Error::Task(_)), Err(error)) | (Ok(_), Err(error)) | (Err(error), _) => return Err(error),
    };
    media.release().await?;
    app.forget_media().await?;
    Ok(Report { path, size, manifest, end })
}

/// The file that a path means.
fn target(path: &Path, encrypted: bool, now: DateTime<Utc>) -> Result<PathBuf, Error> {
    let ending = if encrypted { "tar.zst.age" } else { "tar.zst" };
    let path = match path.is_dir() {
        true => path.join(format!("everpost-{}.{ending}", now.format("%Y-%m-%d-%H%M%S"))),
        false => path.to_owned(),
    };
    match path.symlink_metadata() {
        Ok(_) => Err(Error::Refused(format!(
            "{} is there already and stays as it is; name another file, or a folder, in which the backup gets a name of \
             its own",
            path.display()
        ))),
        Err(_) => Ok(path),
    }
}

/// What the feeding needs.
struct Feed<'a> {
    tasks: &'a mpsc::Sender<Task>,
    snapshot: &'a Snapshot,
    tell: &'a (dyn Fn() + Sync),
}

/// Hand everything to the writer: sealed files first, because nobody can remove one meanwhile; then media, then rows.
async fn feed(
    feed: &Feed<'_>,
    tables: &[Table],
    let_go_of_sealed: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let Feed { tasks, snapshot, tell } = feed;
    let mut after = (AccountId(0), String::new());
    loop {
        let batch = snapshot.list_sealed(&after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.clone();
        for (account, name) in batch {
            send(tasks, Task::Sealed(account, name)).await?;
            tell();
        }
    }
    let (reached, all_sealed) = oneshot::channel();
    send(tasks, Task::Reached(reached)).await?;
    all_sealed.await.map_err(|_| broken_off())?;
    let_go_of_sealed.await?;
    let mut after = String::new();
    loop {
        let batch = snapshot.list_media(&after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.sha256.clone();
        for file in batch {
            send(tasks, Task::Media(file)).await?;
            tell();
        }
    }
    for table in tables {
        let rows = snapshot.copy(table).await?;
        pin_mut!(rows);
        let (mut piece, mut number) = (Vec::new(), 1);
        while let Some(row) = rows.next().await {
            piece.extend_from_slice(&row?);
            if piece.len() >= PIECE {
                send(tasks, Task::Bytes(manifest::piece(&table.name, number), std::mem::take(&mut piece))).await?;
                number += 1;
                tell();
            }
        }
        if !piece.is_empty() {
            send(tasks, Task::Bytes(manifest::piece(&table.name, number), piece)).await?;
        }
        tell();
    }
    Ok(())
}

async fn send(tasks: &mpsc::Sender<Task>, task: Task) -> Result<(), Error> {
    tasks.send(task).await.map_err(|_| broken_off())
}

fn broken_off() -> Error {
    Error::Task("the backup was broken off".to_owned())
}
