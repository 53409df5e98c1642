//! Media files by the SHA-256 of their bytes, in a folder.
//!
//! Stores bytes under a hash and nothing else: must never know accounts, posts or who may see a file.
//! The type comes from the bytes, never from a name.

use crate::domain::post::MediaFile;
use openssl::hash::{Hasher, MessageDigest};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The largest file that is kept: what Mastodon accepts for films, in bytes.
pub const MAX_BYTES: u64 = 99 << 20;

/// Types that are kept, with the extension of each. No SVG and no HTML: they can run.
const TYPES: [(&str, &str); 17] = [
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/avif", "avif"),
    ("image/heif", "heif"),
    ("video/mp4", "mp4"),
    ("video/x-m4v", "m4v"),
    ("video/webm", "webm"),
    ("video/quicktime", "mov"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/x-flac", "flac"),
    ("audio/x-wav", "wav"),
    ("audio/m4a", "m4a"),
    ("audio/aac", "aac"),
    ("audio/opus", "opus"),
];

/// Why a file is not kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its bytes are no picture, film or sound that we keep.
    #[error("it is {0}, not a picture, film or sound that can be kept")]
    Type(String),
    /// It is larger than [`MAX_BYTES`].
    #[error("it is larger than {} MiB", MAX_BYTES >> 20)]
    Size,
    /// The disk, or the archive that it comes from, refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// openssl refused.
    #[error("openssl refused: {0}")]
    Crypto(#[from] openssl::error::ErrorStack),
}

/// The folder of media files.
#[derive(Clone, Debug)]
pub struct MediaStore {
    root: PathBuf,
}

impl MediaStore {
    /// The store in `root`, which is made when the first file comes.
    pub fn new(root: &Path) -> MediaStore {
        MediaStore { root: root.to_owned() }
    }

    /// Where the bytes of a file lie.
    pub fn path(&self, file: &MediaFile) -> PathBuf {
        self.root.join(&file.sha256[..2]).join(&file.sha256[2..4]).join(file.file_name())
    }

    /// Keep what `source` yields, and say what it is. A file that is there already is not written again.
    /// On disk before it returns; a crash leaves a whole file or none. Blocking.
    pub fn keep(&self, source: &mut dyn Read) -> Result<MediaFile, Error> {
        std::fs::create_dir_all(&self.root)?;
        let mut partial = Partial::create(&self.root)?;
        let file = copy(source, &mut partial.file)?;
        let path = self.path(&file);
        if path.exists() {
            return Ok(file);
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
            partial.file.sync_all()?;
            std::fs::rename(&partial.path, &path)?;
            File::open(folder)?.sync_all()?;
        }
        Ok(file)
    }

    /// Say what a file is without keeping it. Blocking.
    pub fn inspect(&self, source: &mut dyn Read) -> Result<MediaFile, Error> {
        copy(source, &mut std::io::sink())
    }

    /// Remove the bytes of a file; that it is gone already is no failure. Blocking.
    pub fn erase(&self, file: &MediaFile) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A file being written, which disappears unless it is renamed away.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn create(root: &Path) -> Result<Partial, Error> {
        let mut random = [0; 8];
        openssl::rand::rand_bytes(&mut random)?;
        let path = root.join(format!(".partial-{:016x}", u64::from_ne_bytes(random)));
        Ok(Partial { file: File::create_new(&path)?, path })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone after a rename, which is the usual end; nobody can do anything about another failure.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Copy, hash and judge a file in one pass.
fn copy(source: &mut dyn Read, sink: &mut dyn Write) -> Result<MediaFile, Error> {
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
        if bytes > MAX_BYTES {
            return Err(Error::Size);
        }
        if head.len() < 8192 {
            head.extend_from_slice(&buffer[..count.min(8192)]);
        }
        hasher.update(&buffer[..count])?;
        sink.write_all(&buffer[..count])?;
    }
    let found = infer::get(&head).map_or("of an unknown type", |kind| kind.mime_type());
    let (media_type, extension) =
        TYPES.iter().find(|(media_type, _)| *media_type == found).ok_or_else(|| Error::Type(found.to_owned()))?;
    let sha256 = hasher.finish()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = i64::try_from(bytes).map_err(|_| Error::Size)?;
    Ok(MediaFile { sha256, extension: (*extension).to_owned(), media_type: (*media_type).to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

    #[test]
    fn a_file_is_kept_once_under_its_hash_and_typed_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let store = MediaStore::new(folder.path());
        let file = store.keep(&mut &PNG[..]).unwrap();
        assert_eq!((file.media_type.as_str(), file.extension.as_str()), ("image/png", "png"));
        assert_eq!(store.keep(&mut &PNG[..]).unwrap(), file);
        assert_eq!(std::fs::read(store.path(&file)).unwrap(), PNG);
        let partial =
            std::fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_file()).count();
        assert_eq!(partial, 0, "nothing half-written stays");
        store.erase(&file).unwrap();
        store.erase(&file).unwrap();
        assert!(!store.path(&file).exists());
    }

    #[test]
    fn what_can_run_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = MediaStore::new(folder.path());
        for text in ["<svg xmlns='http://www.w3.org/2000/svg'/>", "<html><script>", "", "#!/bin/sh"] {
            assert!(matches!(store.keep(&mut text.as_bytes()), Err(Error::Type(_))), "{text}");
        }
    }
}
