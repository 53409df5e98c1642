//! A file on its way in: on the disk, without a name, so that it is gone when the program is, however that ends; or in memory,
//! when it is only looked at.
//!
//! Copies, hashes and judges by the first bytes. Must never know what is done with the file afterwards.

use super::Error;
use openssl::hash::{Hasher, MessageDigest};
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes at the start of a file that tell its type.
const HEAD: usize = 8192;

/// Where a file waits until it is known what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// A folder, made where it is missing.
    Folder(&'a Path),
    /// Nowhere but in memory, and there only if it is a picture: of others nothing but the start is looked at.
    Memory,
    /// Nowhere: it is hashed and judged, and passes by.
    Nowhere,
}

/// What can hold a file.
pub(super) trait Body: Read + Write + Seek + Send {}

impl Body for File {}
impl Body for Cursor<Vec<u8>> {}

/// A file without a name, with what was learned while it was written.
pub(super) struct Spool {
    pub(super) body: Box<dyn Body>,
    /// SHA-256, 64 hexadecimal digits.
    pub(super) sha256: String,
    pub(super) bytes: u64,
    /// What its first bytes say it is.
    pub(super) media_type: &'static str,
}

impl Spool {
    /// Copy `source` to a place. `Size` when it is longer than `most` bytes.
    pub(super) fn fill(place: Place<'_>, source: &mut dyn Read, most: u64) -> Result<Spool, Error> {
        let mut body: Box<dyn Body> = match place {
            Place::Folder(folder) => Box::new(unnamed(folder)?),
            Place::Memory | Place::Nowhere => Box::new(Cursor::new(Vec::new())),
        };
        let mut hasher = Hasher::new(MessageDigest::sha256())?;
        let mut head = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let mut bytes = 0_u64;
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            bytes += count as u64;
            if bytes > most {
                return Err(Error::Size(most));
            }
            if head.len() < HEAD {
                head.extend_from_slice(&buffer[..count.min(HEAD - head.len())]);
            }
            hasher.update(&buffer[..count])?;
            let holds = match place {
                Place::Folder(_) => true,
                Place::Memory => media_type(&head).starts_with("image/"),
                Place::Nowhere => false,
            };
            if holds {
                body.write_all(&buffer[..count])?;
            }
        }
        let sha256 = hasher.finish()?.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Spool { body, sha256, bytes, media_type: media_type(&head) })
    }

    /// The whole file. For those that were found to be small enough.
    pub(super) fn read(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.bytes).unwrap_or_default());
        self.rewind()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The file, to be read from its start.
    pub(super) fn rewind(&mut self) -> Result<&mut dyn Body, Error> {
        self.body.seek(SeekFrom::Start(0))?;
        Ok(self.body.as_mut())
    }
}

/// What the first bytes of a file say it is.
fn media_type(head: &[u8]) -> &'static str {
    infer::get(head).map_or("of an unknown type", |kind| kind.mime_type())
}

/// A new file that nothing but its handle leads to.
fn unnamed(folder: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(folder)?;
    let mut random = [0; 8];
    openssl::rand::rand_bytes(&mut random)?;
    let path = folder.join(format!(".partial-{:016x}", u64::from_ne_bytes(random)));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
