//! The list of files in a tar, and a place to read them from at random when it is compressed.
//!
//! A compressed tar can only be read from front to back. What is needed of it goes into one temporary file that has no
//! name, so that nothing is left behind even by `kill -9` (decision 0014): first what is read anyway, and the media
//! only when the first of them is asked for.

use super::section::{Counted, Method, Section, fill};
use super::zip::{too_dense, too_much};
use super::{Bytes, Closed, Packed, Problems, name_of};
use crate::import::limits::Limits;
use flate2::bufread::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tar::{EntryType, Header, PaxExtensions};

/// Bytes of a tar's block; every file is filled up to whole blocks.
const BLOCK: u64 = 512;
/// Bytes of a long name, or of what pax says about a file. Names have at most 4,096.
const LONGEST_EXTENSION: u64 = 64 * 1024;
/// Bytes that are read at once.
const BUFFER: usize = 128 * 1024;

/// How a tar is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// List the files of a tar that is not compressed; they are read where they lie.
pub(super) fn list(file: File, limits: &Limits, problems: &mut Problems) -> Result<Packed, String> {
    let file = Arc::new(file);
    let length = file.metadata().map_err(|cause| format!("cannot be read: {cause}"))?.len();
    let whole = super::section::Positioned::new(file.clone(), 0, length);
    let mut members = HashMap::new();
    let mut reader = BufReader::with_capacity(BUFFER, whole);
    walk(&mut reader, limits, problems, &mut |entry, reader| {
        // What lies beyond the end of the file is not there.
        let there = entry.position.saturating_add(entry.size) <= length;
        let section = Section { start: entry.position, packed: entry.size, method: Method::Plain };
        if there {
            reader.seek_relative(i64::try_from(entry.size).unwrap_or(i64::MAX))?;
        }
        let twice = there && members.insert(entry.name.clone(), section).is_some();
        Ok(if there { Step::next(twice) } else { Step::CutShort })
    })?;
    Ok(Packed { file, members })
}

/// A compressed tar.
#[derive(Debug)]
pub(super) struct Compressed {
    file: File,
    packing: Packing,
    /// The size of every file in it.
    sizes: HashMap<String, u64>,
    /// What is read anyway.
    early: Packed,
    /// All the rest, once it was asked for.
    late: Mutex<Option<Result<Arc<Packed>, String>>>,
}

impl Compressed {
    pub(super) fn open(
        file: File,
        packing: Packing,
        limits: &Limits,
        problems: &mut Problems,
    ) -> Result<Compressed, String> {
        let mut sizes = HashMap::new();
        let early = spool(&file, packing, limits, problems, &mut |name, size| {
            (sizes.insert(name.to_owned(), size).is_some(), is_early(name))
        })?;
        sizes.retain(|name, _| !is_early(name) || early.members.contains_key(name));
        Ok(Compressed { file, packing, sizes, early, late: Mutex::new(None) })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.sizes.keys().map(String::as_str)
    }

    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.sizes.get(name).copied()
    }

    pub(super) fn read(&self, name: &str, limits: &Limits) -> Result<io::Result<Bytes>, Closed> {
        if let Some(opened) = self.early.open(name) {
            return Ok(opened);
        }
        if !self.sizes.contains_key(name) {
            return Err(Closed::Missing);
        }
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let packed = late.get_or_insert_with(|| {
            let most = limits.media;
            let mut pick = |name: &str, size: u64| (false, !is_early(name) && size <= most);
            spool(&self.file, self.packing, limits, &mut Problems::default(), &mut pick).map(Arc::new)
        });
        let packed = packed.clone().map_err(Closed::Refused)?;
        packed.open(name).ok_or_else(|| Closed::Refused("is not whole: the archive is cut short".to_owned()))
    }
}

/// What is read of every archive, and is small: not its media.
fn is_early(name: &str) -> bool {
    name.ends_with(".json")
}

/// Unpack those files of a compressed tar that `pick` wants into one file without a name. It says of each whether it
/// was there before, and whether it is wanted.
fn spool(
    file: &File,
    packing: Packing,
    limits: &Limits,
    problems: &mut Problems,
    pick: &mut dyn FnMut(&str, u64) -> (bool, bool),
) -> Result<Packed, String> {
    let failed = |cause: io::Error| format!("cannot be unpacked: {cause}");
    let taken = Arc::new(AtomicU64::new(0));
    let mut file = file.try_clone().map_err(failed)?;
    file.rewind().map_err(failed)?;
    let packed = BufReader::with_capacity(BUFFER, Counted { inner: file, count: taken.clone() });
    let unpacked: Bytes = match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed).map_err(failed)?),
    };
    let mut reader = BufReader::with_capacity(BUFFER, Bounded { inner: unpacked, taken, given: 0, limits: *limits });
    let spool = tempfile::tempfile().map_err(|cause| no_room(&cause).to_string())?;
    let mut writer = BufWriter::with_capacity(BUFFER, Spool(&spool));
    let (mut members, mut end) = (HashMap::new(), 0_u64);
    walk(&mut reader, limits, problems, &mut |entry, reader| {
        let (twice, wanted) = pick(&entry.name, entry.size);
        let mut part = reader.take(entry.size);
        let copied = match wanted && !twice {
            true => io::copy(&mut part, &mut writer)?,
            false => io::copy(&mut part, &mut io::sink())?,
        };
        if copied < entry.size {
            return Ok(Step::CutShort);
        }
        if wanted && !twice {
            members.insert(entry.name.clone(), Section { start: end, packed: copied, method: Method::Plain });
            end += copied;
        }
        Ok(Step::next(twice))
    })?;
    writer.flush().map_err(|cause| cause.to_string())?;
    drop(writer);
    Ok(Packed { file: Arc::new(spool), members })
}

/// The temporary file. What goes wrong with it is no fault of the archive's: it ends everything.
struct Spool<'a>(&'a File);

impl Write for Spool<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|cause| no_room(&cause))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|cause| no_room(&cause))
    }
}

fn no_room(cause: &io::Error) -> io::Error {
    let sentence = format!(
        "cannot be unpacked into a temporary file: {cause}. Set TMPDIR to a folder with more room, or unpack the archive \
         and import the folder."
    );
    io::Error::new(io::ErrorKind::QuotaExceeded, sentence)
}

/// A file in a tar.
struct Entry {
    name: String,
    size: u64,
    /// Where its bytes begin.
    position: u64,
}

/// What became of an entry.
enum Step {
    Done,
    /// There was one of that name before.
    Twice,
    /// Its bytes end too early.
    CutShort,
}

impl Step {
    fn next(twice: bool) -> Step {
        if twice { Step::Twice } else { Step::Done }
    }
}

const NO_TAR: &str = "is packed, but holds no tar";
const CUT_SHORT: &str = "ends too early: what comes after is lost. Download the archive again.";

/// Go through a tar from front to back. `visit` takes exactly the bytes of its entry from the reader.
fn walk<R: BufRead>(
    reader: &mut R,
    limits: &Limits,
    problems: &mut Problems,
    visit: &mut dyn FnMut(&Entry, &mut R) -> io::Result<Step>,
) -> Result<(), String> {
    let (mut position, mut count, mut total) = (0_u64, 0_u64, 0_u64);
    let mut told = Told::default();
    loop {
        let mut block = [0_u8; BLOCK as usize];
        match fill(reader, &mut block) {
            // Two empty blocks end a tar; some writers forget them, so the end of the file does too.
            Ok(true) if block.iter().all(|byte| *byte == 0) => return Ok(()),
            Ok(false) if count > 0 => return Ok(()),
            Ok(true) => {}
            Ok(false) => return Err(NO_TAR.to_owned()),
            Err(cause) => return broken(count, &cause, problems),
        }
        position += BLOCK;
        let header = Header::from_byte_slice(&block);
        if !is_sound(header) {
            return broken(count, &io::ErrorKind::InvalidData.into(), problems);
        }
        let kind = header.entry_type();
        let stated = header.entry_size().map_err(|_| "holds a file of a size that is no number".to_owned())?;
        let is_extension = kind.is_gnu_longname() || kind.is_pax_local_extensions();
        let size = if is_extension { stated } else { told.size.unwrap_or(stated) };
        count += 1;
        total = total.saturating_add(size);
        if count > limits.members.saturating_mul(2) {
            return Err(format!(
                "holds more than {} files. If that is right, raise import.max_members.",
                limits.members
            ));
        }
        if total > limits.unpacked {
            return Err(too_much(limits));
        }
        if kind.is_gnu_sparse() {
            return Err("holds a file with holes, which no server writes".to_owned());
        }
        let outcome = if is_extension {
            if size > LONGEST_EXTENSION {
                return Err("holds a file with a name of more than 64 KiB".to_owned());
            }
            told.read(kind, size, reader)
        } else {
            let raw = told.name.take().unwrap_or_else(|| header.path_bytes().into_owned());
            told = Told::default();
            let shown = String::from_utf8_lossy(&raw).into_owned();
            match (usable(kind, &raw), kind.is_dir()) {
                (_, true) | (Ok(None), _) => skip(reader, size),
                (Err(reason), _) => {
                    problems.note(&shown, reason);
                    skip(reader, size)
                }
                (Ok(Some(name)), _) => {
                    let step = visit(&Entry { name, size, position }, reader);
                    if let Ok(Step::Twice) = step {
                        // A later file of the same name would take the place of the first when unpacked.
                        if is_early(&shown) {
                            return Err(format!(
                                "holds two files called {shown}, so it is not known which one is meant"
                            ));
                        }
                        problems.note(&shown, "stands in the archive a second time; the first one is read");
                    }
                    step
                }
            }
        };
        match outcome {
            Ok(Step::CutShort) => return broken(count, &io::ErrorKind::UnexpectedEof.into(), problems),
            Ok(_) => {}
            Err(cause) => return broken(count, &cause, problems),
        }
        position += size.div_ceil(BLOCK) * BLOCK;
        match skip(reader, size.div_ceil(BLOCK) * BLOCK - size) {
            Ok(Step::CutShort) => return broken(count, &io::ErrorKind::UnexpectedEof.into(), problems),
            Ok(_) => {}
            Err(cause) => return broken(count, &cause, problems),
        }
    }
}

/// A tar that cannot be read on: refused if a limit or a full disk says so, else what came before counts.
fn broken(count: u64, cause: &io::Error, problems: &mut Problems) -> Result<(), String> {
    match cause.kind() {
        io::ErrorKind::QuotaExceeded => Err(cause.to_string()),
        _ if count == 0 => Err(NO_TAR.to_owned()),
        io::ErrorKind::UnexpectedEof => {
            problems.note("", CUT_SHORT);
            Ok(())
        }
        _ => {
            problems.note("", format!("is damaged after {count} files: what comes after is lost. Download it again."));
            Ok(())
        }
    }
}

/// The name of a file that may be read; `None` for what does not matter.
fn usable(kind: EntryType, raw: &[u8]) -> Result<Option<String>, &'static str> {
    match kind {
        EntryType::Regular | EntryType::Continuous => name_of(raw).map(Some),
        EntryType::Directory | EntryType::XGlobalHeader | EntryType::GNULongLink => Ok(None),
        _ => Err("is a link or another special file, which is never followed"),
    }
}

/// What the entries before a file tell about it.
#[derive(Default)]
struct Told {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Told {
    fn read<R: Read>(&mut self, kind: EntryType, size: u64, reader: &mut R) -> io::Result<Step> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        reader.read_exact(&mut bytes)?;
        if kind.is_gnu_longname() {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            bytes.truncate(end);
            self.name = Some(bytes);
            return Ok(Step::Done);
        }
        for record in PaxExtensions::new(&bytes).flatten() {
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_owned()),
                b"size" => self.size = record.value().ok().and_then(|text| text.parse().ok()),
                _ => {}
            }
        }
        Ok(Step::Done)
    }
}

fn is_sound(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let sum: u32 =
        bytes.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header.cksum().is_ok_and(|stated| stated == sum)
}

fn skip(reader: &mut impl Read, size: u64) -> io::Result<Step> {
    let skipped = io::copy(&mut reader.take(size), &mut io::sink())?;
    Ok(if skipped < size { Step::CutShort } else { Step::Done })
}

/// A stream that ends with an error when it comes to too much, altogether or for what went in.
struct Bounded {
    inner: Bytes,
    /// Packed bytes that went in.
    taken: Arc<AtomicU64>,
    given: u64,
    limits: Limits,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.given += count as u64;
        let quota = |reason| Err(io::Error::new(io::ErrorKind::QuotaExceeded, reason));
        if self.given > self.limits.unpacked {
            return quota(too_much(&self.limits));
        }
        let taken = self.taken.load(Ordering::Relaxed).max(1);
        if self.given > Limits::RATIO_FROM && self.given / taken > self.limits.ratio {
            return quota(too_dense(&self.limits));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_refuses_the_archive_and_does_not_call_it_damaged() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let cause = Spool(&full).write(b"x").unwrap_err();
        let mut problems = Problems::default();
        let refused = broken(3, &cause, &mut problems).unwrap_err();
        assert!(refused.contains("No space left") && refused.contains("Set TMPDIR"), "{refused}");
    }
}
