//! The segments of a JPEG file, as far as they have to be known to take metadata out and to foresee the cost of decoding.
//!
//! Changes no picture data. The rules are those of ITU T.81, annex B.

/// Start of a file, start of a scan, end of the picture.
const SOI: u8 = 0xD8;
const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;
const COMMENT: u8 = 0xFE;

/// What opens an Exif block.
pub(super) const EXIF: &[u8] = b"Exif\0\0";

/// A part of the file.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A marker with its contents, without the length.
    Segment(u8, &'a [u8]),
    /// The data of a scan, as it stands.
    Scan(&'a [u8]),
    /// The end of the picture. What lies behind it is no part of it.
    End,
}

/// The parts of a file up to the end of its picture; `None` when it is broken before the first scan.
///
/// A file that ends within a scan is cut there: browsers show what there is.
pub(super) fn parts(file: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut rest = file.strip_prefix(&[0xFF, SOI])?;
    let mut parts = Vec::new();
    let mut scanned = false;
    while let Some(marker) = next_marker(&mut rest) {
        match marker {
            EOI => {
                parts.push(Part::End);
                return Some(parts);
            }
            // Without contents: TEM and the restarts.
            0x01 | 0xD0..=0xD7 => continue,
            SOI => return None,
            _ => {}
        }
        let Some(contents) = contents(&mut rest) else { break };
        parts.push(Part::Segment(marker, contents));
        if marker == SOS {
            let (scan, after) = rest.split_at(scan_length(rest));
            parts.push(Part::Scan(scan));
            rest = after;
            scanned = true;
        }
    }
    scanned.then_some(parts)
}

/// Whether a segment is needed to show the picture as it is meant. Exif, XMP, IPTC, comments, and what programs write for
/// themselves are not.
pub(super) fn is_needed(marker: u8, contents: &[u8]) -> bool {
    match marker {
        0xE0 => contents.starts_with(b"JFIF\0"),
        0xE2 => contents.starts_with(b"ICC_PROFILE\0"),
        0xEE => contents.starts_with(b"Adobe"),
        0xE1..=0xEF | COMMENT => false,
        _ => true,
    }
}

/// A file made of parts, with an Exif block in front where there is one.
pub(super) fn assemble(parts: &[Part<'_>], exif: Option<&[u8]>, length: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(length);
    file.extend([0xFF, SOI]);
    let mut exif = exif;
    for part in parts {
        // JFIF comes first where there is any (T.871, 10.1).
        let is_jfif = matches!(part, Part::Segment(0xE0, _));
        if let Some(exif) = exif.take_if(|_| !is_jfif) {
            segment(&mut file, 0xE1, &[EXIF, exif].concat());
        }
        match part {
            Part::Segment(marker, contents) => segment(&mut file, *marker, contents),
            Part::Scan(data) => file.extend_from_slice(data),
            Part::End => file.extend([0xFF, EOI]),
        }
    }
    file
}

/// Bytes that a progressive picture's coefficients take while it is decoded; none for a picture that is decoded row by row.
pub(super) fn coefficient_bytes(parts: &[Part<'_>]) -> u64 {
    let frame = parts.iter().find_map(|part| match part {
        Part::Segment(0xC2, contents) => Some(*contents),
        _ => None,
    });
    // Precision, height, width, then three bytes a component: number, sampling, table.
    let Some([_, h1, h2, w1, w2, count, components @ ..]) = frame else { return 0 };
    let pixels = u64::from(u16::from_be_bytes([*h1, *h2])) * u64::from(u16::from_be_bytes([*w1, *w2]));
    let sampling: Vec<(u64, u64)> = components
        .chunks_exact(3)
        .take(usize::from(*count))
        .map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)))
        .collect();
    let most = |of: fn(&(u64, u64)) -> u64| sampling.iter().map(of).max().unwrap_or(1).max(1);
    let whole = most(|sampling| sampling.0) * most(|sampling| sampling.1);
    let samples: u64 = sampling.iter().map(|(across, down)| pixels * across * down / whole).sum();
    2 * samples
}

fn segment(file: &mut Vec<u8>, marker: u8, contents: &[u8]) {
    let length = u16::try_from(contents.len() + 2).unwrap_or(u16::MAX);
    file.extend([0xFF, marker]);
    file.extend(length.to_be_bytes());
    file.extend_from_slice(contents);
}

/// The next marker; what stands between segments and is none is passed over.
fn next_marker(rest: &mut &[u8]) -> Option<u8> {
    loop {
        let at = rest.iter().position(|byte| *byte == 0xFF)?;
        let after = rest[at..].iter().position(|byte| *byte != 0xFF)?;
        let marker = rest[at + after];
        *rest = &rest[at + after + 1..];
        if marker != 0 {
            return Some(marker);
        }
    }
}

fn contents<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    let contents = rest.get(2..length)?;
    *rest = &rest[length..];
    Some(contents)
}

/// How long the data of a scan is: up to a marker that is neither a stuffed byte nor a restart.
fn scan_length(data: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = data[at..].iter().position(|byte| *byte == 0xFF) {
        at += found;
        match data.get(at + 1) {
            Some(0 | 0xD0..=0xD7) => at += 2,
            Some(0xFF) => at += 1,
            Some(_) => return at,
            None => break,
        }
    }
    data.len()
}
