//! Media files by the SHA-256 of their bytes, in an object store: today a folder.
//!
//! Stores bytes under a hash and nothing else: must never know accounts, posts or who may see a file.
//! The type comes from the bytes, never from a name. Start with [`MediaStore::keep`].

mod budget;
mod clean;
mod figures;
mod jpeg;
mod rows;
mod spool;

use crate::domain::post::{MediaFile, Picture};
use budget::Budget;
use bytes::Bytes;
use figures::{Failure, Figures};
use futures::StreamExt;
use futures::executor::{BlockingStream, block_on, block_on_stream};
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt};
use spool::{Place, Spool};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// Memory in bytes that all pictures that are being decoded may take together, so that a whole import stays under 100 MiB.
const MEMORY: u64 = 40 << 20;
/// Bytes of a file that are handed to the object store at once.
const PART: usize = 8 << 20;
/// Bytes of a file that are read at once while it is served.
const CHUNK: u64 = 128 << 10;

/// Why a file is not kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its bytes are no picture, film or sound that we keep.
    #[error("it is {0}, not a picture, film or sound that can be kept")]
    Type(String),
    /// It is larger than a file, or a picture, may be; the limit in bytes.
    #[error("it is larger than {} MiB; media.max_file_mib and media.max_picture_mib are the limits", .0 >> 20)]
    Size(u64),
    /// It has more pixels than a picture may have.
    #[error("it has {} megapixels, more than media.max_megapixels allows", .0.div_ceil(1_000_000))]
    Pixels(u64),
    /// What it tells about its maker could not be taken out.
    #[error("{0}")]
    Metadata(&'static str),
    /// Its bytes are not those that its name, a hash, speaks of.
    #[error("its bytes have changed since it was stored; restore it from a backup")]
    Damaged,
    /// The disk, or the archive that it comes from, refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The object store refused.
    #[error("the media store: {0}")]
    Store(#[from] object_store::Error),
    /// openssl refused.
    #[error("openssl refused: {0}")]
    Crypto(#[from] openssl::error::ErrorStack),
}

/// What is kept, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file in bytes. Mastodon takes films of 99 MiB.
    pub file_bytes: u64,
    /// Largest picture in bytes. Mastodon takes 16 MiB.
    pub picture_bytes: u64,
    /// Most pixels of a picture.
    pub pixels: u64,
    /// Whether what a picture tells about its maker, a place above all, is taken out before it is kept.
    pub strip_metadata: bool,
}

impl Default for Limits {
    /// As `config/default.toml` has them.
    fn default() -> Limits {
        Limits { file_bytes: 99 << 20, picture_bytes: 16 << 20, pixels: 40_000_000, strip_metadata: true }
    }
}

/// The bytes of a file, with their number.
pub type Opened = (u64, Box<dyn Read>);

/// The media files.
#[derive(Clone, Debug)]
pub struct MediaStore {
    store: Arc<dyn ObjectStore>,
    root: PathBuf,
    limits: Limits,
    budget: Arc<Budget>,
}

impl MediaStore {
    /// The store in the folder `root`, an absolute path, which is made when the first file comes. Everything is on the disk
    /// before a call returns.
    pub fn in_folder(root: &Path, limits: Limits) -> Result<MediaStore, Error> {
        let prefix = Key::from_absolute_path(root).map_err(object_store::Error::from)?;
        let store = PrefixStore::new(LocalFileSystem::new().with_fsync(true), prefix);
        let budget = Arc::new(Budget::new(MEMORY));
        Ok(MediaStore { store: Arc::new(store), root: root.to_owned(), limits, budget })
    }

    /// Where the bytes of a file lie on this machine.
    pub fn path(&self, file: &MediaFile) -> PathBuf {
        self.root.join(folder(&file.sha256)).join(file.file_name())
    }

    /// Keep what `source` yields, with its thumbnails, and say what it is. A file that is there already is not written again.
    ///
    /// Its hash is that of the bytes that are kept, which are those that came in without what they told about their maker.
    /// On disk before it returns; a crash leaves a whole file or none. Blocking; many threads may call it at once.
    pub fn keep(&self, source: &mut dyn Read) -> Result<MediaFile, Error> {
        let (mut spool, file, thumbnails) = self.admit(source, Place::Folder(&self.root))?;
        // The file itself comes last: where it is, its thumbnails are.
        for (slot, webp) in thumbnails {
            self.put_thumbnail(&file, slot, webp)?;
        }
        self.put(&key(&file.sha256, &file.file_name()), &mut spool)?;
        Ok(file)
    }

    /// Say what [`MediaStore::keep`] would say, and keep nothing. Blocking.
    pub fn inspect(&self, source: &mut dyn Read) -> Result<MediaFile, Error> {
        self.admit(source, Place::Memory).map(|(_, file, _)| file)
    }

    /// Say what type `source` is of, and how long it is, as it stands: nothing of it is taken out, decoded or held. Reads it to
    /// its end. The same types and the same length are refused as by [`MediaStore::keep`]. Blocking.
    pub fn recognise(&self, source: &mut dyn Read) -> Result<MediaFile, Error> {
        let spool = Spool::fill(Place::Nowhere, source, self.limits.file_bytes)?;
        let (media_type, extension) = kept_type(spool.media_type)?;
        Ok(MediaFile {
            extension: extension.to_owned(),
            media_type: media_type.to_owned(),
            bytes: i64::try_from(spool.bytes).map_err(|_| Error::Size(spool.bytes))?,
            sha256: spool.sha256,
            picture: None,
        })
    }

    /// Make the figures and thumbnails of a file that is kept; `None` for what has none. `Store` when its bytes are not there,
    /// `Damaged` when they are others than its name says. Blocking.
    pub fn refresh(&self, file: &MediaFile) -> Result<Option<Picture>, Error> {
        let found = block_on(self.store.get(&self.key(file, None)))?;
        let mut spool = Spool::fill(Place::Folder(&self.root), &mut reader(found), u64::MAX)?;
        if spool.sha256 != file.sha256 {
            return Err(Error::Damaged);
        }
        let made = figures::make(&file.media_type, spool.rewind()?, self.limits.pixels, &self.budget, MEMORY);
        let Ok(Figures { picture, thumbnails }) = made else { return Ok(None) };
        for (slot, webp) in thumbnails {
            self.put_thumbnail(file, slot, webp)?;
        }
        Ok(Some(picture))
    }

    /// Length in bytes and SHA-256, in hexadecimal digits, of what lies under a file's name; `None` when nothing does.
    /// Blocking.
    pub fn prove(&self, file: &MediaFile) -> Result<Option<(u64, String)>, Error> {
        let found = match block_on(self.store.get(&self.key(file, None))) {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let spool = Spool::fill(Place::Nowhere, &mut reader(found), u64::MAX)?;
        Ok(Some((spool.bytes, spool.sha256)))
    }

    /// The bytes of a file, or of its thumbnail in a slot, with their number; `None` when it is not there. Blocking.
    pub fn open(&self, file: &MediaFile, slot: Option<u32>) -> Result<Option<Opened>, Error> {
        match block_on(self.store.get(&self.key(file, slot))) {
            Ok(found) => Ok(Some((found.meta.size, reader(found)))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Put back what [`MediaStore::open`] gave, under the name of a file or a thumbnail, as it is: nothing of it is judged or
    /// measured. On disk before it returns. Blocking.
    pub fn put_back(&self, name: &str, source: &mut dyn Read) -> Result<(), Error> {
        let mut spool = Spool::fill(Place::Folder(&self.root), source, u64::MAX)?;
        self.put(&key(name, name), &mut spool)
    }

    /// Whether nothing is kept. Blocking.
    pub fn is_empty(&self) -> Result<bool, Error> {
        match block_on(self.store.list(None).next()) {
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(true),
            Some(Ok(_)) => Ok(false),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// The bytes of a file, or of its thumbnail in a slot, from `range.start` up to but not including `range.end`.
    pub async fn read(
        &self,
        file: &MediaFile,
        slot: Option<u32>,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, Error> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&self.key(file, slot), options).await?;
        Ok(match found.payload {
            GetResultPayload::File(file, _) => chunks(file, found.range),
            GetResultPayload::Stream(stream) => stream.map(|chunk| chunk.map_err(std::io::Error::other)).boxed(),
        })
    }

    /// Length in bytes of a file, or of its thumbnail in a slot; `None` when it is not there.
    pub async fn length(&self, file: &MediaFile, slot: Option<u32>) -> Result<Option<u64>, Error> {
        match self.store.head(&self.key(file, slot)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Remove the bytes of a file and of its thumbnails; that they are gone already is no failure. Blocking.
    pub fn erase(&self, file: &MediaFile) -> Result<(), Error> {
        let slots = Picture::SLOTS.iter().map(|slot| Some(*slot));
        for slot in std::iter::once(None).chain(slots) {
            match block_on(self.store.delete(&self.key(file, slot))) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Judge, clean and measure what `source` yields.
    fn admit(&self, source: &mut dyn Read, place: Place<'_>) -> Result<Admitted, Error> {
        let mut spool = Spool::fill(place, source, self.limits.file_bytes)?;
        let (media_type, extension) = kept_type(spool.media_type)?;
        let mut made = None;
        if media_type.starts_with("image/") {
            if spool.bytes > self.limits.picture_bytes {
                return Err(Error::Size(self.limits.picture_bytes));
            }
            if self.limits.strip_metadata && clean::concerns(media_type) {
                spool = self.cleaned(media_type, spool, place)?;
            }
            made = match figures::make(media_type, spool.rewind()?, self.limits.pixels, &self.budget, MEMORY) {
                Ok(figures) => Some(figures),
                Err(Failure::TooLarge(pixels)) => return Err(Error::Pixels(pixels)),
                Err(Failure::Unreadable) => None,
            };
        }
        let (picture, thumbnails) = made.map(|made| (made.picture, made.thumbnails)).unzip();
        let file = MediaFile {
            sha256: spool.sha256.clone(),
            extension: extension.to_owned(),
            media_type: media_type.to_owned(),
            bytes: i64::try_from(spool.bytes).map_err(|_| Error::Size(spool.bytes))?,
            picture,
        };
        Ok((spool, file, thumbnails.unwrap_or_default()))
    }

    /// The same file without what it tells about its maker.
    fn cleaned(&self, media_type: &str, mut spool: Spool, place: Place<'_>) -> Result<Spool, Error> {
        // The file and its cleaned copy are in memory together.
        let _share = self.budget.take((2 * spool.bytes).min(MEMORY));
        let bytes = Bytes::from(spool.read()?);
        // What a library makes of a hostile file must not take the import along.
        let cleaned = std::panic::catch_unwind(|| clean::clean(media_type, &bytes));
        match cleaned.unwrap_or(clean::DAMAGED) {
            clean::Cleaned::Already => Ok(spool),
            clean::Cleaned::Now(bytes) => Spool::fill(place, &mut &bytes[..], u64::MAX),
            clean::Cleaned::Impossible(why) => Err(Error::Metadata(why)),
        }
    }

    /// Store a file unless it is there whole.
    fn put(&self, key: &Key, spool: &mut Spool) -> Result<(), Error> {
        match block_on(self.store.head(key)) {
            Ok(found) if found.size == spool.bytes => return Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let length = spool.bytes;
        let body = spool.rewind()?;
        let mut part = Vec::new();
        if length <= PART as u64 {
            body.read_to_end(&mut part)?;
            block_on(self.store.put(key, part.into()))?;
            return Ok(());
        }
        let mut upload = block_on(self.store.put_multipart(key))?;
        loop {
            body.take(PART as u64).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
            if let Err(error) = block_on(upload.put_part(std::mem::take(&mut part).into())) {
                // What was handed over so far has no name; that it cannot be thrown away either is not the news.
                let _ = block_on(upload.abort());
                return Err(error.into());
            }
        }
        block_on(upload.complete())?;
        Ok(())
    }

    fn put_thumbnail(&self, file: &MediaFile, slot: u32, webp: Vec<u8>) -> Result<(), Error> {
        let key = self.key(file, Some(slot));
        match block_on(self.store.head(&key)) {
            Ok(found) if found.size == webp.len() as u64 => Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                block_on(self.store.put(&key, webp.into()))?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn key(&self, file: &MediaFile, slot: Option<u32>) -> Key {
        key(&file.sha256, &slot.map_or_else(|| file.file_name(), |slot| file.thumbnail_name(slot)))
    }
}

/// A file that may be kept: its bytes, what it is, its thumbnails with their slots.
type Admitted = (Spool, MediaFile, Vec<(u32, Vec<u8>)>);

/// A type that is kept, with its extension.
fn kept_type(found: &str) -> Result<(&'static str, &'static str), Error> {
    TYPES.into_iter().find(|(media_type, _)| *media_type == found).ok_or_else(|| Error::Type(found.to_owned()))
}

/// `ab/cd`, the folder of a hash: a hundred thousand files in one would be slow.
fn folder(sha256: &str) -> String {
    format!("{}/{}", sha256.get(..2).unwrap_or("00"), sha256.get(2..4).unwrap_or("00"))
}

fn key(sha256: &str, name: &str) -> Key {
    Key::from(format!("{}/{name}", folder(sha256)))
}

/// The bytes of an object, for who blocks.
fn reader(found: GetResult) -> Box<dyn Read> {
    match found.payload {
        GetResultPayload::File(file, _) => Box::new(file),
        GetResultPayload::Stream(stream) => {
            let stream = stream.map(|chunk| chunk.map_err(std::io::Error::other));
            Box::new(Chunks { chunks: block_on_stream(stream.boxed()), left: Bytes::new() })
        }
    }
}

/// A stream of chunks as something to read from.
struct Chunks {
    chunks: BlockingStream<BoxStream<'static, std::io::Result<Bytes>>>,
    left: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.left.is_empty() {
            match self.chunks.next() {
                Some(chunk) => self.left = chunk?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left.split_to(count));
        Ok(count)
    }
}

/// A part of a file, chunk by chunk, each read aside.
fn chunks(file: File, range: Range<u64>) -> BoxStream<'static, std::io::Result<Bytes>> {
    let read = |mut file: File, range: Range<u64>| {
        let mut chunk = Vec::with_capacity(usize::try_from(CHUNK.min(range.end - range.start)).unwrap_or_default());
        file.seek(SeekFrom::Start(range.start))?;
        file.by_ref().take(CHUNK.min(range.end - range.start)).read_to_end(&mut chunk)?;
        match chunk.is_empty() {
            true => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
            false => Ok((Bytes::from(chunk), file)),
        }
    };
    let next = move |(file, range): (File, Range<u64>)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let here = range.clone();
        let (chunk, file) = tokio::task::spawn_blocking(move || read(file, here)).await??;
        let range = range.start + chunk.len() as u64..range.end;
        Ok(Some((chunk, (file, range))))
    };
    futures::stream::try_unfold((file, range), next).boxed()
}

#[cfg(test)]
mod tests;
