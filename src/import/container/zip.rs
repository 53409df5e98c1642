//! The list of files in a zip, from its directory at the end. What cannot be meant honestly is refused as a whole.

use super::section::{Method, Positioned, Section};
use super::{Packed, Problems, name_of};
use crate::import::limits::{Limits, mebibytes};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use zip::{CompressionMethod, ZipArchive};

/// The record at the end of a zip, and the most bytes that a comment may put behind it.
const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const LONGEST_COMMENT: u64 = 65_535;
/// The record of large zips, and the pointer to it that stands before [`END`].
const LARGE_END: [u8; 4] = *b"PK\x06\x06";
const LARGE_POINTER: [u8; 4] = *b"PK\x06\x07";
const LARGE_POINTER_LENGTH: u64 = 20;
/// Fewest bytes of an entry in the directory.
const ENTRY: u64 = 46;

const CUT_SHORT: &str = "is no whole zip: its end is missing or damaged. Download it again.";

/// List the files of a zip.
pub(super) fn list(file: File, limits: &Limits, problems: &mut Problems) -> Result<Packed, String> {
    let length = file.metadata().map_err(|cause| format!("cannot be read: {cause}"))?.len();
    check_end(&file, length, limits)?;
    let file = Arc::new(file);
    let mut archive = ZipArchive::new(BufReader::new(Positioned::new(file.clone(), 0, length)))
        .map_err(|cause| format!("{CUT_SHORT} ({cause})"))?;
    if archive.has_duplicate_names() {
        return Err("lists two files under one name, so it is not known which one is meant".to_owned());
    }
    if archive.has_overlapping_entries().map_err(|cause| format!("{CUT_SHORT} ({cause})"))? {
        return Err("lists files that lie over each other, as only a trap does".to_owned());
    }
    let (mut members, mut total) = (HashMap::new(), 0_u64);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|cause| format!("{CUT_SHORT} ({cause})"))?;
        let shown = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.is_dir() {
            continue;
        }
        let name = match name_of(entry.name_raw()) {
            Ok(name) => name,
            Err(reason) => {
                problems.note(&shown, reason);
                continue;
            }
        };
        let (size, packed) = (entry.size(), entry.compressed_size());
        total = total.saturating_add(size);
        if total > limits.unpacked {
            return Err(too_much(limits));
        }
        let Some(start) = entry.data_start() else { return Err(CUT_SHORT.to_owned()) };
        let method = match entry.compression() {
            CompressionMethod::Stored if size == packed => Some(Method::Stored { crc: entry.crc32() }),
            CompressionMethod::Deflated => Some(Method::Deflated { size, crc: entry.crc32() }),
            _ => None,
        };
        let kind = entry.unix_mode().map_or(0, |mode| mode & 0o170_000);
        let problem = match method {
            _ if entry.encrypted() => {
                "is encrypted. Unpack the archive with its password and import the folder.".to_owned()
            }
            _ if !matches!(kind, 0 | 0o100_000) => {
                "is a link or another special file, which is never followed".to_owned()
            }
            _ if size > Limits::RATIO_FROM && size / packed.max(1) > limits.ratio => too_dense(limits),
            None => {
                "is packed in a way that Everpost does not read. Unpack the archive and import the folder.".to_owned()
            }
            Some(method) => {
                // `./a` and `a` are two names to the zip and one to us.
                if members.insert(name, Section { start, packed, method }).is_some() {
                    return Err("lists two files under one name, so it is not known which one is meant".to_owned());
                }
                continue;
            }
        };
        problems.note(&shown, problem);
    }
    Ok(Packed { file, members })
}

/// What a zip must not unpack to.
pub(super) fn too_much(limits: &Limits) -> String {
    let most = mebibytes(limits.unpacked);
    format!("unpacks to more than {most}. If it is what it should be, raise import.max_unpacked_mib.")
}

/// What a file must not unpack to.
pub(super) fn too_dense(limits: &Limits) -> String {
    let ratio = limits.ratio;
    format!("unpacks to more than {ratio} times its size, as a trap does. If it is honest, raise import.max_ratio.")
}

/// Look at the records at the end before a library makes room for as many files as they claim.
fn check_end(file: &File, length: u64, limits: &Limits) -> Result<(), String> {
    let from = length.saturating_sub(END_LENGTH + LONGEST_COMMENT + LARGE_POINTER_LENGTH);
    let tail = bytes_at(file, from, length - from)?;
    let mut found = false;
    for at in memchr::memmem::find_iter(&tail, &END) {
        let Some(record) = tail.get(at..at + 22) else { continue };
        let (mut count, mut size) = (u64::from(u16_at(record, 10)), u64::from(u32_at(record, 12)));
        let pointer = at.checked_sub(20).and_then(|before| tail.get(before..at));
        if let Some(pointer) = pointer.filter(|pointer| pointer.starts_with(&LARGE_POINTER)) {
            let record = bytes_at(file, u64_at(pointer, 8), 56)?;
            if !record.starts_with(&LARGE_END) {
                return Err(CUT_SHORT.to_owned());
            }
            (count, size) = (u64_at(&record, 32), u64_at(&record, 40));
        } else if count == u64::from(u16::MAX) || size == u64::from(u32::MAX) {
            return Err(CUT_SHORT.to_owned());
        }
        if size > length || count.saturating_mul(ENTRY) > size {
            return Err(CUT_SHORT.to_owned());
        }
        if count > limits.members {
            let most = limits.members;
            return Err(format!("lists {count} files, more than {most}. If that is right, raise import.max_members."));
        }
        found = true;
    }
    if found { Ok(()) } else { Err(CUT_SHORT.to_owned()) }
}

fn bytes_at(file: &File, at: u64, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, at).map_err(|_| CUT_SHORT.to_owned())?;
    Ok(bytes)
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let slice = bytes.get(at..at + length).unwrap_or_default();
    slice.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    number(bytes, at, 2) as u16
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    number(bytes, at, 4) as u32
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    number(bytes, at, 8)
}
