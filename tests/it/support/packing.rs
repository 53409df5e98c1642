//! Packs files as servers do, the same bytes each time: zip, tar, tar.gz, tar.zst.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

/// Files of an archive by name, in order.
pub type Files = Vec<(String, Vec<u8>)>;

/// All files of an unpacked fixture, sorted, without its README.
pub fn files_of(folder: &Path) -> Files {
    let (mut files, mut folders) = (Files::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "README.md" {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The same files below a folder.
pub fn below(folder: &str, files: &Files) -> Files {
    files.iter().map(|(name, bytes)| (format!("{folder}/{name}"), bytes.clone())).collect()
}

/// A zip.
pub fn zip(files: &Files) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar.
pub fn tar(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// Write bytes into a folder; the path.
pub fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An entry of a zip that is written byte by byte, so that every part of it can lie.
pub struct Entry {
    pub name: &'static str,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub size: u32,
    /// The kind and rights of the file, as Unix has them.
    pub mode: u32,
    /// Another place than its own, from where its local header is read.
    pub offset: Option<u32>,
}

impl Entry {
    /// An honest one, stored as it is.
    pub fn stored(name: &'static str, data: &[u8]) -> Entry {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let size = u32::try_from(data.len()).unwrap();
        Entry { name, data: data.to_owned(), method: 0, flags: 0, crc: crc.sum(), size, mode: 0o100_644, offset: None }
    }

    /// An honest one, deflated.
    pub fn deflated(name: &'static str, data: &[u8]) -> Entry {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        Entry { data: encoder.finish().unwrap(), method: 8, ..Entry::stored(name, data) }
    }

    fn head(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [20, self.flags, self.method, 0, 0] {
            bytes.extend(u16::to_le_bytes(number));
        }
        for number in [self.crc, u32::try_from(self.data.len()).unwrap(), self.size] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }
}

/// A zip of these entries.
pub fn raw_zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = entry.offset.unwrap_or_else(|| u32::try_from(bytes.len()).unwrap());
        if entry.offset.is_none() {
            bytes.extend(b"PK\x03\x04");
            bytes.extend(entry.head());
            bytes.extend(entry.name.as_bytes());
            bytes.extend(&entry.data);
        }
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(entry.head());
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let (start, count) = (u32::try_from(bytes.len()).unwrap(), u16::try_from(entries.len()).unwrap());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// An entry of a tar, whatever its name and kind.
pub fn tar_entry(name: &str, kind: tar::EntryType, link: &str, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(data);
    bytes.resize(bytes.len().div_ceil(512) * 512, 0);
    bytes
}
