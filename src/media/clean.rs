//! Takes out of a picture what tells about its maker: place, time, device, name. The picture itself is not touched.
//!
//! What stays is what the picture needs to look as it is meant: colour profile, orientation, animation.
//! Everything else goes, known or not, so that a kind of metadata that somebody invents tomorrow goes too.

use super::jpeg::{self, Part};
use image::metadata::Orientation;
use img_parts::png::{Png, PngChunk};
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::{CHUNK_EXIF, CHUNK_VP8X, WebP};
use img_parts::{Bytes, ImageEXIF};

/// The chunks of a PNG that say how it looks (PNG, 3rd edition, 11.2 and 11.3): all others go.
const PNG_NEEDED: [&[u8; 4]; 19] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV",
    b"cLLI", b"bKGD", b"hIST", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];
/// The chunks of a WebP that say how it looks.
const WEBP_NEEDED: [&[u8; 4]; 7] = [b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"];
/// The bit in the first byte of `VP8X` that promises XMP.
const WEBP_HAS_XMP: u8 = 0b0000_0100;

/// What cleaning a picture came to.
#[derive(Debug, PartialEq)]
pub(super) enum Cleaned {
    /// There was nothing to take out.
    Already,
    /// The picture without what was in it.
    Now(Vec<u8>),
    /// It cannot be taken out, for the reason given.
    Impossible(&'static str),
}

/// It is too damaged to tell its parts from each other.
pub(super) const DAMAGED: Cleaned =
    Cleaned::Impossible("it is damaged, so what it tells about its maker cannot be taken out");

/// Whether a type's metadata are known here. Others (GIF, films, sounds) stay as they are.
pub(super) fn concerns(media_type: &str) -> bool {
    matches!(media_type, "image/jpeg" | "image/png" | "image/webp" | "image/heif" | "image/avif")
}

/// Clean a picture of a type that [`concerns`] names.
pub(super) fn clean(media_type: &str, file: &Bytes) -> Cleaned {
    let cleaned = match media_type {
        "image/jpeg" => clean_jpeg(file),
        "image/png" => clean_png(file),
        "image/webp" => clean_webp(file),
        _ if holds_items(file) => {
            return Cleaned::Impossible(
                "it holds metadata, maybe a place, that cannot be taken out of a file of its type; \
                 convert it to JPEG, or set media.strip_metadata = false",
            );
        }
        _ => return Cleaned::Already,
    };
    match cleaned {
        Some(cleaned) if cleaned == file[..] => Cleaned::Already,
        Some(cleaned) => Cleaned::Now(cleaned),
        None => DAMAGED,
    }
}

fn clean_jpeg(file: &[u8]) -> Option<Vec<u8>> {
    let parts = jpeg::parts(file)?;
    let exif = parts.iter().find_map(|part| match part {
        Part::Segment(0xE1, contents) => contents.strip_prefix(jpeg::EXIF),
        _ => None,
    });
    let exif = exif.and_then(turned);
    let needed =
        |part: &Part<'_>| !matches!(part, Part::Segment(marker, contents) if !jpeg::is_needed(*marker, contents));
    let parts: Vec<Part<'_>> = parts.into_iter().filter(needed).collect();
    Some(jpeg::assemble(&parts, exif.as_deref(), file.len()))
}

fn clean_png(file: &Bytes) -> Option<Vec<u8>> {
    let mut png = Png::from_bytes(file.clone()).ok()?;
    let exif = png.exif().and_then(|exif| turned(&exif));
    png.chunks_mut().retain(|chunk| PNG_NEEDED.contains(&&chunk.kind()));
    if let Some(exif) = exif {
        let at = png.chunks().len().min(1);
        png.chunks_mut().insert(at, PngChunk::new(*b"eXIf", Bytes::from(exif)));
    }
    written(file.len(), |to| png.encoder().write_to(to))
}

fn clean_webp(file: &Bytes) -> Option<Vec<u8>> {
    let mut webp = WebP::from_bytes(file.clone()).ok()?;
    let exif = webp.exif().and_then(|exif| turned(&exif));
    let is_extended = webp.has_chunk(CHUNK_VP8X);
    webp.chunks_mut().retain(|chunk| WEBP_NEEDED.contains(&&chunk.id()));
    let bits = if exif.is_some() { 0b0000_1000 } else { 0 };
    if let Some(exif) = exif.filter(|_| is_extended) {
        webp.chunks_mut().push(RiffChunk::new(CHUNK_EXIF, RiffContent::Data(Bytes::from(exif))));
    }
    // What the header promises has to be there and nothing else.
    for chunk in webp.chunks_mut().iter_mut().filter(|chunk| chunk.id() == CHUNK_VP8X) {
        if let RiffContent::Data(data) = chunk.content_mut() {
            let mut header = data.to_vec();
            if let Some(flags) = header.first_mut() {
                *flags = (*flags & !(WEBP_HAS_XMP | 0b0000_1000)) | bits;
            }
            *data = Bytes::from(header);
        }
    }
    written(file.len(), |to| webp.encoder().write_to(to))
}

/// What an encoder writes, in a buffer of the right size: its own way would double the buffer again and again.
fn written(length: usize, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<u64>) -> Option<Vec<u8>> {
    let mut file = Vec::with_capacity(length);
    write(&mut file).ok()?;
    Some(file)
}

/// Exif that says how a picture is turned and nothing else; `None` for one that stands upright.
fn turned(exif: &[u8]) -> Option<Vec<u8>> {
    let orientation = Orientation::from_exif_chunk(exif).filter(|turn| *turn != Orientation::NoTransforms)?;
    // A TIFF header, and one directory of one entry: tag 0x0112, one SHORT (TIFF 6.0, section 2).
    let mut block = b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation.to_exif(), 0, 0, 0, 0, 0, 0]);
    Some(block)
}

/// Whether a HEIF or AVIF declares an item of Exif or of any MIME type, as XMP is (ISO 23008-12, annexes A and C).
fn holds_items(file: &[u8]) -> bool {
    let declares = |at: usize| {
        // After `infe`: version and flags, a number of 2 or 4 bytes, 2 bytes of protection, the type.
        [12, 14].iter().any(|after| matches!(file.get(at + after..at + after + 4), Some(b"Exif" | b"mime")))
    };
    file.windows(4).enumerate().any(|(at, window)| window == b"infe" && declares(at))
}
