//! Writes a backup: under a temporary name that only its owner can read, renamed once it is whole and on the disk.
//!
//! Runs on a thread of its own and is told what to put in. Must never know where rows come from.

use super::manifest::{self, End, FIRST, LAST, Manifest, Sum};
use super::{Error, Passphrase};
use crate::domain::ids::AccountId;
use crate::domain::post::MediaFile;
use crate::media::MediaStore;
use crate::operations::private::Files;
use age::stream::StreamWriter;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::NamedTempFile;
use tokio::sync::{mpsc, oneshot};

/// Compression: zstd's default.
const ZSTD_LEVEL: i32 = 3;
/// How hard a passphrase is to guess: scrypt with N = 2^17, r = 8, p = 1, as OWASP's Password Storage Cheat Sheet has it. It
/// takes 128 MiB of memory for a moment, to make and to read; age's own choice would need more than a small server has.
const WORK_FACTOR: u8 = 17;
/// Bytes of a media file that are held in memory; larger ones are read twice, so that one that cannot be read to its end is
/// found before anything of it is written.
const HELD: u64 = 4 << 20;
/// Troubles that are named.
const NAMED: usize = 1000;

/// Something that goes into a backup.
#[derive(Debug)]
pub(super) enum Task {
    /// A member with these bytes.
    Bytes(String, Vec<u8>),
    /// A media file with its thumbnails.
    Media(MediaFile),
    /// A sealed file.
    Sealed(AccountId, String),
    /// Answer once everything before this is in it.
    Reached(oneshot::Sender<()>),
    /// All was said. Without it the backup was broken off.
    Done,
}

/// What is written, and where.
pub(super) struct Order {
    pub(super) path: std::path::PathBuf,
    pub(super) passphrase: Option<Passphrase>,
    pub(super) manifest: Manifest,
    /// Seconds since 1970, the time of every member.
    pub(super) time: u64,
    pub(super) media: MediaStore,
    pub(super) sealed: Files,
    /// Bytes of members so far.
    pub(super) done: Arc<AtomicU64>,
}

/// Write a backup of what comes through `tasks`; its size in bytes, and what it says at its end. Blocking.
pub(super) fn write(order: &Order, mut tasks: mpsc::Receiver<Task>) -> Result<(u64, End), Error> {
    let folder = match order.path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |error: io::Error| Error::Refused(format!("cannot write {}: {error}", order.path.display()));
    let partial = tempfile::Builder::new().prefix(".everpost-backup-").suffix(".partial").tempfile_in(folder);
    let mut writer = Writer::begin(partial.map_err(failed)?, order).map_err(failed)?;
    writer.json(FIRST, &order.manifest).map_err(failed)?;
    loop {
        match tasks.blocking_recv() {
            Some(Task::Bytes(name, bytes)) => writer.bytes(&name, &bytes).map_err(failed)?,
            Some(Task::Media(file)) => writer.media(&file).map_err(failed)?,
            Some(Task::Sealed(account, name)) => writer.sealed(account, &name)?,
            // Whoever asked may have gone.
            Some(Task::Reached(answer)) => drop(answer.send(())),
            Some(Task::Done) => break,
            None => return Err(Error::Task("the backup was broken off".to_owned())),
        }
    }
    let end = End { troubles: writer.troubles, troubles_total: writer.troubles_total, ..writer.sum.end() };
    writer.troubles = Vec::new();
    writer.json(LAST, &end).map_err(failed)?;
    let partial = writer.tar.into_inner().and_then(zstd::Encoder::finish).and_then(Sink::finish).map_err(failed)?;
    partial.as_file().sync_all().map_err(failed)?;
    let size = partial.as_file().metadata().map_err(failed)?.len();
    partial.persist_noclobber(&order.path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok((size, end))
}

/// The file, encrypted or not.
enum Sink {
    Open(BufWriter<NamedTempFile>),
    Encrypted(Box<StreamWriter<BufWriter<NamedTempFile>>>),
}

impl Sink {
    fn begin(file: NamedTempFile, passphrase: Option<&Passphrase>) -> io::Result<Sink> {
        let file = BufWriter::with_capacity(1 << 20, file);
        let Some(Passphrase(passphrase)) = passphrase else { return Ok(Sink::Open(file)) };
        let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
        recipient.set_work_factor(WORK_FACTOR);
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
        let encryptor = encryptor.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Sink::Encrypted(Box::new(encryptor.wrap_output(file)?)))
    }

    fn finish(self) -> io::Result<NamedTempFile> {
        let file = match self {
            Sink::Open(file) => file,
            Sink::Encrypted(stream) => stream.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Open(file) => file.write(bytes),
            Sink::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Open(file) => file.flush(),
            Sink::Encrypted(stream) => stream.flush(),
        }
    }
}

struct Writer<'a> {
    tar: tar::Builder<zstd::Encoder<'static, Sink>>,
    sum: Sum,
    troubles: Vec<String>,
    troubles_total: u64,
    order: &'a Order,
}

impl Writer<'_> {
    fn begin(file: NamedTempFile, order: &Order) -> io::Result<Writer<'_>> {
        let mut encoder = zstd::Encoder::new(Sink::begin(file, order.passphrase.as_ref())?, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        let tar = tar::Builder::new(encoder);
        Ok(Writer { tar, sum: Sum::default(), troubles: Vec::new(), troubles_total: 0, order })
    }

    /// A member of so many bytes. If there are fewer or more, the whole file is of no use.
    fn member(&mut self, name: &str, length: u64, source: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(self.order.time);
        self.sum.begin(name, length);
        let mut source = Counted { source, done: &self.order.done };
        let mut passing = self.sum.reading(&mut source);
        self.tar.append_data(&mut header, name, &mut passing)?;
        match passing.passed() == length {
            true => Ok(()),
            false => Err(io::Error::other(format!("{name} changed while it was read"))),
        }
    }

    fn bytes(&mut self, name: &str, mut bytes: &[u8]) -> io::Result<()> {
        self.member(name, bytes.len() as u64, &mut bytes)
    }

    fn json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(value)?;
        self.bytes(name, &bytes)
    }

    /// One that is missing or cannot be read is told and left out; one that is damaged is told and kept as it is.
    fn media(&mut self, file: &MediaFile) -> io::Result<()> {
        let slots = file.picture.iter().flat_map(|picture| picture.thumbnails.clone()).map(Some);
        for slot in std::iter::once(None).chain(slots) {
            let name = slot.map_or_else(|| file.file_name(), |slot| file.thumbnail_name(slot));
            let store = self.order.media.clone();
            let trouble = match store.open(file, slot) {
                // Thumbnails can be made again.
                Ok(None) if slot.is_some() => None,
                Ok(None) => Some("it is not there".to_owned()),
                Ok(Some((length, source))) if length <= HELD => {
                    let mut bytes = Vec::new();
                    match source.take(HELD + 1).read_to_end(&mut bytes) {
                        Ok(_) => {
                            self.bytes(&manifest::media(&name), &bytes)?;
                            let digits = || openssl::sha::sha256(&bytes).map(|byte| format!("{byte:02x}")).concat();
                            (slot.is_none() && digits() != file.sha256).then(|| DAMAGED.to_owned())
                        }
                        Err(error) => Some(format!("it cannot be read: {error}")),
                    }
                }
                Ok(Some((length, mut source))) => match store.prove(file) {
                    Ok(Some((_, sha256))) => {
                        self.member(&manifest::media(&name), length, &mut source)?;
                        (sha256 != file.sha256).then(|| DAMAGED.to_owned())
                    }
                    Ok(None) => Some("it is not there".to_owned()),
                    Err(error) => Some(format!("it cannot be read: {error}")),
                },
                Err(error) => Some(format!("it cannot be read: {error}")),
            };
            if let Some(why) = trouble {
                self.trouble(format!("{name}: {why}"));
            }
        }
        Ok(())
    }

    fn sealed(&mut self, account: AccountId, name: &str) -> Result<(), Error> {
        let found = self.order.sealed.clone().closed(account, name)?;
        let Some((length, mut file)) = found else {
            self.trouble(format!("a sealed file of account {account}: it is not there"));
            return Ok(());
        };
        let written = self.member(&manifest::sealed(account, name), length, &mut file);
        written.map_err(|error| Error::Refused(format!("a sealed file of account {account}: {error}")))
    }

    fn trouble(&mut self, trouble: String) {
        self.troubles_total += 1;
        if self.troubles.len() < NAMED {
            self.troubles.push(trouble);
        }
    }
}

const DAMAGED: &str = "its bytes are not those of its name";

/// Counts what is read through it, for who watches.
struct Counted<'a> {
    source: &'a mut dyn Read,
    done: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
