//! Reads a backup from front to back, and says why it cannot be used where it cannot.
//!
//! Whatever is damaged is found at the latest at the end: by the compression's check, by age's where it is encrypted, and by
//! the sum over all members. So whoever must not be deceived reads twice: [`verify`] first, then [`walk`] with something done.

use super::manifest::{End, FIRST, FORMAT, LAST, Manifest, Member, Sum};
use super::{Error, Passphrase};
use crate::store::Store;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// How a file that age has encrypted begins.
const AGE: &[u8] = b"age-encryption.org/";
/// How a file that zstd has compressed begins.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The most that opening a passphrase may cost: 2^20, a GiB of memory. This program writes 2^17, age itself 2^18 or more.
const MOST_WORK: u8 = 20;
/// Bytes of a member that is held in memory. Pieces of tables have about a MiB.
const HELD: u64 = 64 << 20;

/// A backup that is whole and can be restored by this version.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it says at its start.
    pub manifest: Manifest,
    /// What it says at its end.
    pub end: End,
    /// The key file in it.
    pub key: Option<Key>,
    /// The configuration in it, without secrets.
    pub configuration: String,
}

/// The content of a key file, which nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub(super) Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Whether a file is encrypted. Fails for what is no backup at all.
pub fn is_encrypted(path: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(AGE.len() as u64).read_to_end(&mut head).map_err(|error| unreadable(path, &error))?;
    match () {
        () if head == AGE => Ok(true),
        () if head.starts_with(ZSTD) => Ok(false),
        () => Err(refused(path, "it is no backup of Everpost, or its start is damaged")),
    }
}

/// Read a whole backup and prove every byte of it, and that this version can restore it. Changes nothing. Blocking.
/// `progress` is given the bytes of the file so far, and all.
pub fn verify(path: &Path, passphrase: Option<&Passphrase>, progress: &dyn Fn(u64, u64)) -> Result<Verified, Error> {
    let (mut key, mut configuration) = (None, String::new());
    let (manifest, end) = walk(path, passphrase, progress, &mut |_, member, _, source| {
        match member {
            Member::Key => key = Some(Key(read_whole(path, source)?)),
            Member::Configuration => {
                let text = String::from_utf8(read_whole(path, source)?);
                configuration = text.map_err(|_| refused(path, "its configuration is no text"))?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(Verified { manifest, end, key, configuration })
}

/// What is done with a member: given what the backup says of itself, what the member is, its length and its bytes.
pub(super) type Take<'a> = dyn FnMut(&Manifest, Member, u64, &mut dyn Read) -> Result<(), Error> + 'a;

/// Read a backup, and hand over every member between the first and the last. What is not read of one passes by.
pub(super) fn walk(
    path: &Path,
    passphrase: Option<&Passphrase>,
    progress: &dyn Fn(u64, u64),
    take: &mut Take<'_>,
) -> Result<(Manifest, End), Error> {
    let mut archive = tar::Archive::new(open(path, passphrase, progress)?);
    let damaged = |error: io::Error| refused(path, &format!("it is damaged or cut short ({error})"));
    let (mut sum, mut manifest, mut end) = (Sum::default(), None::<Manifest>, None);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap_or_default();
        let length = entry.size();
        if entry.header().entry_type() != tar::EntryType::Regular || end.is_some() {
            return Err(refused(path, "it holds something that no backup holds"));
        }
        if name == LAST {
            end = Some(read_end(path, &mut entry, &sum)?);
            continue;
        }
        sum.begin(&name, length);
        let mut passing = sum.reading(&mut entry);
        match &manifest {
            None if name == FIRST => manifest = Some(read_manifest(path, &mut passing)?),
            None => return Err(refused(path, "it is no backup of Everpost")),
            Some(manifest) => {
                let known = Member::named(&name).filter(|member| match member {
                    Member::Table(table) => manifest.tables.iter().any(|known| known.name == *table),
                    _ => true,
                });
                let member = known.ok_or_else(|| refused(path, "it holds something that no backup holds"))?;
                take(manifest, member, length, &mut passing)?;
            }
        }
        io::copy(&mut passing, &mut io::sink()).map_err(damaged)?;
        if passing.passed() != length {
            return Err(refused(path, "it is cut short"));
        }
    }
    let mut rest = Vec::new();
    archive.into_inner().take(HELD).read_to_end(&mut rest).map_err(damaged)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(refused(path, "something stands behind its end"));
    }
    match (manifest, end) {
        (Some(manifest), Some(end)) => Ok((manifest, end)),
        _ => Err(refused(path, "it is cut short")),
    }
}

/// The tar in a backup.
fn open<'a>(
    path: &Path,
    passphrase: Option<&Passphrase>,
    progress: &'a dyn Fn(u64, u64),
) -> Result<Box<dyn Read + 'a>, Error> {
    let encrypted = is_encrypted(path)?;
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let all = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    let file = BufReader::with_capacity(1 << 20, Counted { file, read: 0, all, progress });
    let compressed: Box<dyn BufRead + 'a> = match (encrypted, passphrase) {
        (false, _) => Box::new(file),
        (true, None) => return Err(refused(path, "it is encrypted, and there is no passphrase")),
        (true, Some(Passphrase(passphrase))) => {
            let mut identity = age::scrypt::Identity::new(passphrase.clone());
            identity.set_max_work_factor(MOST_WORK);
            let decryptor = age::Decryptor::new_buffered(file).map_err(|error| undecryptable(path, &error))?;
            let opened = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
            Box::new(BufReader::with_capacity(1 << 20, opened.map_err(|error| undecryptable(path, &error))?))
        }
    };
    let decoder = zstd::stream::read::Decoder::with_buffer(compressed);
    Ok(Box::new(decoder.map_err(|error| unreadable(path, &error))?))
}

fn read_manifest(path: &Path, source: &mut dyn Read) -> Result<Manifest, Error> {
    let bytes = read_whole(path, source)?;
    let nonsense = || refused(path, "what it says of itself cannot be read");
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| nonsense())?;
    let by = value.get("everpost").and_then(Value::as_str).unwrap_or("?").to_owned();
    let newer = || {
        let own = env!("CARGO_PKG_VERSION");
        refused(path, &format!("it was made by a newer Everpost ({by}; this is {own}). Restore it with that version"))
    };
    // Before anything else is looked at: what the rest means depends on it.
    let format = value.get("format").and_then(Value::as_u64).ok_or_else(nonsense)?;
    if format > u64::from(FORMAT) {
        return Err(newer());
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|_| nonsense())?;
    match Store::unknown_migrations(&manifest.migrations)?.is_empty() {
        true => Ok(manifest),
        false => Err(newer()),
    }
}

fn read_end(path: &Path, source: &mut dyn Read, sum: &Sum) -> Result<End, Error> {
    let bytes = read_whole(path, source)?;
    let end: End = serde_json::from_slice(&bytes).map_err(|_| refused(path, "its end is damaged"))?;
    let real = sum.end();
    match (end.members, end.bytes, &end.sha256) == (real.members, real.bytes, &real.sha256) {
        true => Ok(end),
        false => Err(refused(path, "it is damaged: its sum is not what its end says")),
    }
}

fn read_whole(path: &Path, source: &mut dyn Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = source.take(HELD + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(path, &format!("it is damaged or cut short ({error})")))?;
    match bytes.len() as u64 > HELD {
        true => Err(refused(path, "it holds something that no backup holds")),
        false => Ok(bytes),
    }
}

pub(super) fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("{}: {why}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    refused(path, &format!("it cannot be read: {error}"))
}

fn undecryptable(path: &Path, error: &age::DecryptError) -> Error {
    use age::DecryptError as Why;
    let why = match error {
        Why::DecryptionFailed | Why::KeyDecryptionFailed => "the passphrase is not the one that it was encrypted with",
        Why::NoMatchingKeys => "it was encrypted for a key and not with a passphrase",
        Why::ExcessiveWork { .. } => "its passphrase was made harder to open than this program allows",
        Why::UnknownFormat => "it was encrypted in a way that this program does not know",
        Why::InvalidHeader | Why::InvalidMac | Why::Io(_) => "the start of it is damaged or cut short",
    };
    refused(path, why)
}

/// Counts what is read of a file.
struct Counted<'a> {
    file: File,
    read: u64,
    all: u64,
    progress: &'a dyn Fn(u64, u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        (self.progress)(self.read, self.all);
        Ok(count)
    }
}
