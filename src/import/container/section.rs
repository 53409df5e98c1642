//! One file inside of another: read from its place, unpacked, and held to the size and checksum that were promised.

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are read from the disk at once.
const BUFFER: usize = 128 * 1024;

/// Where a file lies inside of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Its first byte.
    pub(super) start: u64,
    /// Bytes there.
    pub(super) packed: u64,
    /// How it is packed.
    pub(super) method: Method,
}

/// How a file is packed, and what is promised about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// As it is, without a checksum.
    Plain,
    /// As it is.
    Stored {
        /// CRC-32 of its bytes.
        crc: u32,
    },
    /// Deflate.
    Deflated {
        /// Bytes after unpacking.
        size: u64,
        /// CRC-32 of those.
        crc: u32,
    },
}

impl Section {
    /// Bytes after unpacking.
    pub(super) fn size(&self) -> u64 {
        match self.method {
            Method::Plain | Method::Stored { .. } => self.packed,
            Method::Deflated { size, .. } => size,
        }
    }

    pub(super) fn has_checksum(&self) -> bool {
        self.method != Method::Plain
    }

    /// A stream of its bytes, which ends with an error if they are not what was promised.
    pub(super) fn open(&self, file: &Arc<File>) -> io::Result<Box<dyn Read + Send>> {
        let raw = BufReader::with_capacity(BUFFER, Positioned::new(file.clone(), self.start, self.packed));
        Ok(match self.method {
            Method::Plain => Box::new(Promised { inner: raw, left: self.packed, crc: None }),
            Method::Stored { crc } => {
                Box::new(Promised { inner: raw, left: self.packed, crc: Some((Crc::new(), crc)) })
            }
            Method::Deflated { size, crc } => {
                Box::new(Promised { inner: DeflateDecoder::new(raw), left: size, crc: Some((Crc::new(), crc)) })
            }
        })
    }
}

/// A part of a file, read without moving the file's own position: many can be read side by side.
pub(super) struct Positioned {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl Positioned {
    pub(super) fn new(file: Arc<File>, start: u64, length: u64) -> Positioned {
        Positioned { file, position: start, end: start.saturating_add(length) }
    }
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..most], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl io::Seek for Positioned {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let position = match to {
            io::SeekFrom::Start(position) => Some(position),
            io::SeekFrom::End(by) => self.end.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "a place outside of the file");
        self.position = position.filter(|position| *position <= self.end).ok_or_else(outside)?;
        Ok(self.position)
    }
}

/// A stream of a known length and checksum.
struct Promised<R> {
    inner: R,
    left: u64,
    /// The checksum so far, and the one that it must come to.
    crc: Option<(Crc, u32)>,
}

impl<R: Read> Read for Promised<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            if let Some((so_far, promised)) = self.crc.take() {
                if so_far.sum() != promised {
                    return Err(broken("its checksum is wrong: the archive is damaged. Get it anew."));
                }
                if self.inner.read(&mut [0])? != 0 {
                    return Err(broken("it is longer than the archive says"));
                }
            }
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(broken("it is shorter than the archive says: the archive is cut short. Get it anew."));
        }
        self.left -= count as u64;
        if let Some((so_far, _)) = &mut self.crc {
            so_far.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Counts what was taken from a stream.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) count: Arc<std::sync::atomic::AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(count)
    }
}

/// Read until `buffer` is full; `false` at a clean end before its first byte.
pub(super) fn fill(reader: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<bool> {
    if reader.fill_buf()?.is_empty() {
        return Ok(false);
    }
    reader.read_exact(buffer)?;
    Ok(true)
}
