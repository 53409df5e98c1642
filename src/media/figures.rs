//! What a picture looks like before it is loaded: size, blurhash, thumbnails.
//!
//! Never needs more memory than it was promised: a picture that would is measured and not decoded.
//! Must never know where files are kept.

use super::budget::Budget;
use super::{jpeg, rows};
use crate::domain::post::Picture;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{MulDiv, PixelType, ResizeOptions, Resizer};
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits, RgbImage, RgbaImage};
use img_parts::{Bytes, ImageICC};
use std::io::{BufReader, Read, Seek, SeekFrom};

/// Quality of thumbnails, of 100: where a photograph's artefacts are not seen any more on a dense screen.
const QUALITY: f32 = 80.0;
/// Components of a blurhash, across and down; Mastodon takes up to 5.
const COMPONENTS: (u32, u32) = (4, 3);
/// Width in pixels at which the blurhash is made: it holds nothing finer.
const BLUR_WIDTH: u32 = 64;
/// Largest colour profile in bytes that goes along with a thumbnail; those of screens have about 500.
const MAX_PROFILE: usize = 4096;
/// The largest side of a WebP in pixels.
const MAX_SIDE: u32 = 16_383;
/// Bytes from which on glibc gives memory back to the system as soon as it is free (`DEFAULT_MMAP_THRESHOLD_MAX`). A smaller
/// buffer may stay in the process for good, and the next one beside it. What is not written to takes no memory.
const MAPPED: usize = (32 << 20) + 4096;
/// Width in pixels of the widest thumbnail.
const WIDEST: u32 = Picture::SLOTS[Picture::SLOTS.len() - 1];

/// A picture's figures, and its thumbnails as they are to be kept.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) picture: Picture,
    /// Slot and WebP.
    pub(super) thumbnails: Vec<(u32, Vec<u8>)>,
}

/// Why there are no figures.
#[derive(Debug)]
pub(super) enum Failure {
    /// More pixels than allowed; how many.
    TooLarge(u64),
    /// Not a picture that can be measured: another type, or too damaged.
    Unreadable,
}

/// The pixels of a picture, 8 bits a channel: RGB, or RGBA with the colours multiplied by how opaque they are, so that
/// resizing needs no second copy.
struct Pixels {
    width: u32,
    height: u32,
    kind: PixelType,
    bytes: Vec<u8>,
}

/// What was read of a picture before its pixels are.
struct Header {
    width: u32,
    height: u32,
    orientation: Orientation,
    profile: Option<Vec<u8>>,
    is_animated: bool,
}

impl Header {
    fn of(decoder: &mut impl ImageDecoder, is_animated: bool) -> Header {
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Header { width, height, orientation, profile: decoder.icc_profile().ok().flatten(), is_animated }
    }

    /// Bytes that it takes to encode the widest thumbnail.
    fn encoding_bytes(&self, channels: u64) -> u64 {
        let (width, height) = measured(self).picture.thumbnail_size(WIDEST);
        encoding_bytes(width, height, channels)
    }
}

/// Measure a picture, decode it if `budget` has room for it, and make its thumbnails. Blocking.
///
/// `most` is the largest share of the budget that anybody may ask for, in bytes.
pub(super) fn make<R: Read + Seek + ?Sized>(
    media_type: &str,
    mut source: &mut R,
    max_pixels: u64,
    budget: &Budget,
    most: u64,
) -> Result<Figures, Failure> {
    let length = source.seek(SeekFrom::End(0)).map_err(|_| Failure::Unreadable)?;
    source.seek(SeekFrom::Start(0)).map_err(|_| Failure::Unreadable)?;
    // A decoder that fails in its own code must not take the import along.
    let source = &mut source;
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match media_type {
        "image/jpeg" => jpeg_figures(source, length, max_pixels, budget, most),
        "image/png" => png_figures(source, (length, max_pixels), budget, most),
        "image/gif" => figures(gif(source, max_pixels)?, |pixels, _| 4 * pixels, (length, max_pixels), budget, most),
        "image/webp" => {
            // Planes of one and a half bytes a pixel and one for what is opaque; or whole pixels a second time.
            let working = match is_lossy_webp(source)? {
                true => |pixels, channels| pixels * 3 / 2 + if channels == 4 { pixels } else { 0 },
                false => |pixels, _| 4 * pixels,
            };
            figures(webp(source)?, working, (length, max_pixels), budget, most)
        }
        _ => Err(Failure::Unreadable),
    }));
    made.unwrap_or(Err(Failure::Unreadable))
}

/// The figures of a PNG. A large one is made smaller while it is read; an interlaced one cannot be.
fn png_figures<R: Read + Seek>(
    source: &mut R,
    (length, max_pixels): (u64, u64),
    budget: &Budget,
    most: u64,
) -> Result<Figures, Failure> {
    // The size stands at byte 16 of every PNG, and at 28 whether it is interlaced. The decoder would refuse a row that is
    // longer than its memory before it told the size.
    let head = head::<29, R>(source)?;
    let side = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    within(side(16), side(20), max_pixels)?;
    let decoder = PngDecoder::with_limits(BufReader::new(&mut *source), limits(most));
    let mut decoder = decoder.map_err(|_| Failure::Unreadable)?;
    let is_animated = decoder.is_apng().unwrap_or(false);
    let header = Header::of(&mut decoder, is_animated);
    let factor = shown(&header).0 / WIDEST;
    if head[28] != 0 || factor < 2 {
        return figures((decoder, is_animated), |_, _| 0, (length, max_pixels), budget, most);
    }
    let channels = if decoder.color_type().has_alpha() { 4 } else { 3 };
    drop(decoder);
    source.seek(SeekFrom::Start(0)).map_err(|_| Failure::Unreadable)?;
    let (width, height) = (header.width.div_ceil(factor), header.height.div_ceil(factor));
    let pixels = u64::from(width) * u64::from(height);
    // Two rows of the decoder, of at most 8 bytes a pixel.
    let cost = pixels * channels + u64::from(header.width) * 16 + resized_bytes(width, height, channels);
    if cost > most {
        return Ok(measured(&header));
    }
    let cost = cost.max(header.encoding_bytes(channels).min(most));
    let _share = budget.take(cost);
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let Some(small) = rows::read(BufReader::new(source), factor, limit) else { return Ok(measured(&header)) };
    let kind = if small.has_alpha { PixelType::U8x4 } else { PixelType::U8x3 };
    let pixels = Pixels { width: small.width, height: small.height, kind, bytes: small.bytes };
    Ok(finished(&header, pixels, length, cost))
}

/// A GIF counts as animated whatever it is: nothing tells without decoding it, and few others are made today.
fn gif<R: Read + Seek>(source: &mut R, max_pixels: u64) -> Result<(GifDecoder<BufReader<&mut R>>, bool), Failure> {
    // The size stands at byte 6 of every GIF.
    let head = head::<10, R>(source)?;
    let side = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]));
    within(side(6), side(8), max_pixels)?;
    Ok((GifDecoder::new(BufReader::new(source)).map_err(|_| Failure::Unreadable)?, true))
}

/// Whether a WebP's first picture data are lossy ones; `false` when that cannot be told.
fn is_lossy_webp<R: Read + Seek>(source: &mut R) -> Result<bool, Failure> {
    let mut lossy = false;
    let mut at = 12;
    let mut header = [0; 8];
    // Before the data stand the extended header, a colour profile, the frame of an animation, an alpha channel.
    for _ in 0..8 {
        let read = source.seek(SeekFrom::Start(at)).and_then(|_| source.read_exact(&mut header));
        let [id @ .., a, b, c, d] = header;
        if read.is_err() || id == *b"VP8L" || id == *b"VP8 " {
            lossy = read.is_ok() && id == *b"VP8 ";
            break;
        }
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        // A frame holds chunks of its own behind 16 bytes.
        at += 8 + if id == *b"ANMF" { 16 } else { length + length % 2 };
    }
    source.seek(SeekFrom::Start(0)).map_err(|_| Failure::Unreadable)?;
    Ok(lossy)
}

/// The first bytes, to see how large a picture says it is before a decoder refuses it for a reason of its own.
fn head<const LENGTH: usize, R: Read + Seek>(source: &mut R) -> Result<[u8; LENGTH], Failure> {
    let mut head = [0; LENGTH];
    source.read_exact(&mut head).and_then(|()| source.seek(SeekFrom::Start(0))).map_err(|_| Failure::Unreadable)?;
    Ok(head)
}

fn webp<R: Read + Seek>(source: &mut R) -> Result<(WebPDecoder<BufReader<&mut R>>, bool), Failure> {
    let decoder = WebPDecoder::new(BufReader::new(source)).map_err(|_| Failure::Unreadable)?;
    let is_animated = decoder.has_animation();
    Ok((decoder, is_animated))
}

/// The figures of what the library `image` decodes, of which it decodes the first frame. `working` is what the decoder takes
/// for itself, by the number of pixels and of their channels.
fn figures<D: ImageDecoder>(
    (mut decoder, is_animated): (D, bool),
    working: fn(u64, u64) -> u64,
    (length, max_pixels): (u64, u64),
    budget: &Budget,
    most: u64,
) -> Result<Figures, Failure> {
    let (width, height) = decoder.dimensions();
    let pixels = within(width, height, max_pixels)?;
    let header = Header::of(&mut decoder, is_animated);
    let color = decoder.color_type();
    let channels = if color.has_alpha() { 4 } else { 3 };
    let is_plain = matches!(color, image::ColorType::Rgb8 | image::ColorType::Rgba8);
    let bytes = decoder.total_bytes();
    // What is neither RGB nor RGBA of 8 bits is brought to that in a second buffer; some decoders have one of their own.
    let second = if is_plain { 0 } else { pixels * channels };
    // What is taken to decode is free again when the thumbnails are made.
    let cost = bytes + (second + working(pixels, channels)).max(resized_bytes(width, height, channels));
    if cost > most {
        return Ok(measured(&header));
    }
    let cost = cost.max(header.encoding_bytes(channels).min(most));
    let _share = budget.take(cost);
    let Some(bytes) = decoded(decoder, is_plain, cost) else { return Ok(measured(&header)) };
    let kind = if channels == 4 { PixelType::U8x4 } else { PixelType::U8x3 };
    let Some(pixels) = multiplied(Pixels { width, height, kind, bytes }) else { return Ok(measured(&header)) };
    Ok(finished(&header, pixels, length, cost))
}

/// All pixels, as RGB or RGBA of 8 bits.
fn decoded<D: ImageDecoder>(mut decoder: D, is_plain: bool, limit: u64) -> Option<Vec<u8>> {
    decoder.set_limits(limits(limit)).ok()?;
    if is_plain {
        let length = usize::try_from(decoder.total_bytes()).ok()?;
        let mut bytes = Vec::with_capacity(length.max(MAPPED));
        bytes.resize(length, 0);
        decoder.read_image(&mut bytes).ok()?;
        return Some(bytes);
    }
    let image = DynamicImage::from_decoder(decoder).ok()?;
    Some(if image.color().has_alpha() { image.into_rgba8().into_raw() } else { image.into_rgb8().into_raw() })
}

/// The figures of a JPEG, which is decoded at the smallest of its scales that is large enough: photographs of any size
/// need little memory that way.
fn jpeg_figures<R: Read + Seek>(
    source: &mut R,
    length: u64,
    max_pixels: u64,
    budget: &Budget,
    most: u64,
) -> Result<Figures, Failure> {
    let unreadable = |_| Failure::Unreadable;
    let mut decoder = jpeg_decoder::Decoder::new(BufReader::new(&mut *source));
    decoder.read_info().map_err(|_| Failure::Unreadable)?;
    let info = decoder.info().ok_or(Failure::Unreadable)?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    within(width, height, max_pixels)?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    let header = Header { width, height, orientation, profile: decoder.icc_profile(), is_animated: false };
    let is_progressive = info.coding_process != jpeg_decoder::CodingProcess::DctSequential;
    drop(decoder);
    let mut coefficients = 0;
    if is_progressive {
        // The file is in memory only for a moment, to read a few numbers of its head.
        let _share = budget.take(length.min(most));
        let mut file = Vec::new();
        source.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        source.by_ref().take(most).read_to_end(&mut file).map_err(unreadable)?;
        coefficients = jpeg::parts(&file).map_or(u64::MAX / 2, |parts| jpeg::coefficient_bytes(&parts));
    }
    source.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut decoder = jpeg_decoder::Decoder::new(BufReader::new(&mut *source));
    let (across, down) = scaled_request(&header);
    let (width, height) = decoder.scale(across, down).map_err(|_| Failure::Unreadable)?;
    let (width, height) = (u32::from(width), u32::from(height));
    // The planes, which may be padded, and the picture put together from them.
    let pixels = u64::from(width) * u64::from(height);
    let cost = coefficients + pixels * 3 * 2 + pixels + resized_bytes(width, height, 3);
    if cost > most {
        return Ok(measured(&header));
    }
    let cost = cost.max(header.encoding_bytes(3).min(most));
    let _share = budget.take(cost);
    decoder.set_max_decoding_buffer_size(usize::try_from(cost).unwrap_or(usize::MAX));
    let Ok(bytes) = decoder.decode() else { return Ok(measured(&header)) };
    let Some(bytes) = decoder.info().and_then(|info| as_rgb(info.pixel_format, bytes)) else {
        return Ok(measured(&header));
    };
    Ok(finished(&header, Pixels { width, height, kind: PixelType::U8x3, bytes }, length, cost))
}

/// The size to ask the JPEG decoder for, so that what comes is as wide as the widest thumbnail, or whole.
fn scaled_request(header: &Header) -> (u16, u16) {
    let shown_width = u64::from(shown(header).0.max(1));
    let of = |side: u32| {
        let side = u64::from(side) * u64::from(WIDEST).min(shown_width) / shown_width;
        u16::try_from(side.max(1)).unwrap_or(u16::MAX)
    };
    (of(header.width), of(header.height))
}

/// Any of the JPEG decoder's formats as RGB.
fn as_rgb(format: jpeg_decoder::PixelFormat, bytes: Vec<u8>) -> Option<Vec<u8>> {
    use jpeg_decoder::PixelFormat;
    match format {
        PixelFormat::RGB24 => Some(bytes),
        PixelFormat::L8 => Some(bytes.into_iter().flat_map(|grey| [grey; 3]).collect()),
        PixelFormat::L16 => None,
        PixelFormat::CMYK32 => {
            // Inverted, as Adobe writes it and everybody reads it.
            let mixed = |ink: u8, black: u8| u8::try_from(u16::from(ink) * u16::from(black) / 255).unwrap_or(u8::MAX);
            let pixel = |cmyk: &[u8]| [mixed(cmyk[0], cmyk[3]), mixed(cmyk[1], cmyk[3]), mixed(cmyk[2], cmyk[3])];
            Some(bytes.chunks_exact(4).flat_map(pixel).collect())
        }
    }
}

/// Bytes that the widest thumbnail takes while it is made, beside the picture that it is made from: one that is narrow and
/// still as high, and the result. What comes after that comes when the picture itself is gone; see [`encoding_bytes`].
fn resized_bytes(width: u32, height: u32, channels: u64) -> u64 {
    let (width, height) = (u64::from(width), u64::from(height));
    let narrow = u64::from(WIDEST).min(width);
    channels * narrow * (height + (height * narrow / width.max(1)).min(u64::from(MAX_SIDE)))
}

/// Bytes that it takes to encode a thumbnail of this size: its pixels, the same turned, and what libwebp takes, which is
/// much for transparency, because that is encoded without loss.
fn encoding_bytes(width: u32, height: u32, channels: u64) -> u64 {
    let own = if channels == 4 { 30 } else { 2 };
    u64::from(width) * u64::from(height) * (2 * channels + own)
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// The number of pixels, if it is allowed.
fn within(width: u32, height: u32, max_pixels: u64) -> Result<u64, Failure> {
    match u64::from(width) * u64::from(height) {
        0 => Err(Failure::Unreadable),
        pixels if pixels > max_pixels => Err(Failure::TooLarge(pixels)),
        pixels => Ok(pixels),
    }
}

/// The figures of a picture that cannot be decoded, or not here: its size.
fn measured(header: &Header) -> Figures {
    let (width, height) = shown(header);
    Figures { picture: Picture { width, height, blurhash: None, thumbnails: Vec::new() }, thumbnails: Vec::new() }
}

/// Width and height as they are shown.
fn shown(header: &Header) -> (u32, u32) {
    match is_on_its_side(header.orientation) {
        true => (header.height, header.width),
        false => (header.width, header.height),
    }
}

fn is_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// Thumbnails and blurhash. A thumbnail that saves less than a quarter of the file is not worth its place, unless it
/// stands for something that moves. One that takes more than `most` bytes to encode is left out.
fn finished(header: &Header, pixels: Pixels, length: u64, most: u64) -> Figures {
    let mut figures = measured(header);
    let picture = figures.picture.clone();
    let mut pixels = pixels;
    for slot in Picture::SLOTS.iter().rev().copied() {
        let narrower = Picture::SLOTS.iter().rev().find(|other| **other < slot);
        if narrower.is_some_and(|narrower| *narrower >= picture.width) {
            continue;
        }
        let (width, height) = picture.thumbnail_size(slot);
        if height > MAX_SIDE || width > MAX_SIDE {
            continue;
        }
        let Some(small) = resized(&pixels, raw_size(header, width, height)) else { continue };
        pixels = without_opacity(small);
        let channels = if pixels.kind == PixelType::U8x4 { 4 } else { 3 };
        if encoding_bytes(width, height, channels) > most {
            continue;
        }
        let Some(webp) = encoded(&pixels, header) else { continue };
        if header.is_animated || webp.len() as u64 * 4 < length * 3 {
            figures.thumbnails.push((slot, webp));
        }
    }
    figures.thumbnails.reverse();
    figures.picture.thumbnails = figures.thumbnails.iter().map(|(slot, _)| *slot).collect();
    figures.picture.blurhash = blurhash(header, &pixels, &picture);
    figures
}

/// The size before turning of a picture that has this size when it is shown.
fn raw_size(header: &Header, width: u32, height: u32) -> (u32, u32) {
    if is_on_its_side(header.orientation) { (height, width) } else { (width, height) }
}

fn resized(pixels: &Pixels, (width, height): (u32, u32)) -> Option<Pixels> {
    if (width, height) == (pixels.width, pixels.height) {
        return Some(Pixels { bytes: pixels.bytes.clone(), ..*pixels });
    }
    let source = ImageRef::new(pixels.width, pixels.height, &pixels.bytes, pixels.kind).ok()?;
    let mut small = Image::new(width, height, pixels.kind);
    Resizer::new().resize(&source, &mut small, &ResizeOptions::new().use_alpha(false)).ok()?;
    Some(Pixels { width, height, kind: pixels.kind, bytes: small.into_vec() })
}

/// The same without a fourth channel that says nothing: many a picture could be transparent and is not.
fn without_opacity(pixels: Pixels) -> Pixels {
    if pixels.kind != PixelType::U8x4 || pixels.bytes.chunks_exact(4).any(|pixel| pixel[3] != u8::MAX) {
        return pixels;
    }
    let bytes = pixels.bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Pixels { kind: PixelType::U8x3, bytes, ..pixels }
}

/// Multiply the colours by how opaque they are, in place.
fn multiplied(mut pixels: Pixels) -> Option<Pixels> {
    if pixels.kind == PixelType::U8x4 {
        let mut image = Image::from_slice_u8(pixels.width, pixels.height, &mut pixels.bytes, pixels.kind).ok()?;
        MulDiv::new().multiply_alpha_inplace(&mut image).ok()?;
    }
    Some(pixels)
}

/// The pixels as they are shown.
fn turned(pixels: &Pixels, orientation: Orientation) -> Option<DynamicImage> {
    let (width, height, mut bytes) = (pixels.width, pixels.height, pixels.bytes.clone());
    let mut image = match pixels.kind {
        PixelType::U8x4 => {
            let mut view = Image::from_slice_u8(width, height, &mut bytes, pixels.kind).ok()?;
            MulDiv::new().divide_alpha_inplace(&mut view).ok()?;
            DynamicImage::ImageRgba8(RgbaImage::from_raw(width, height, bytes)?)
        }
        _ => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, bytes)?),
    };
    image.apply_orientation(orientation);
    Some(image)
}

/// A lossy WebP, with the colour profile where it is one for screens.
fn encoded(pixels: &Pixels, header: &Header) -> Option<Vec<u8>> {
    let image = turned(pixels, header.orientation)?;
    let (width, height) = (image.width(), image.height());
    let webp = match &image {
        DynamicImage::ImageRgba8(image) => webp::Encoder::from_rgba(image, width, height).encode_simple(false, QUALITY),
        DynamicImage::ImageRgb8(image) => webp::Encoder::from_rgb(image, width, height).encode_simple(false, QUALITY),
        _ => return None,
    };
    let webp = webp.ok()?.to_vec();
    // The colour space of the data stands at byte 16 of a profile (ICC.1:2022, 7.2).
    let profile = header.profile.as_ref().filter(|profile| profile.len() <= MAX_PROFILE);
    let Some(profile) = profile.filter(|profile| profile.get(16..20) == Some(b"RGB ")) else { return Some(webp) };
    let mut parts = img_parts::webp::WebP::from_bytes(Bytes::from(webp)).ok()?;
    parts.set_icc_profile(Some(Bytes::from(profile.clone())));
    Some(parts.encoder().bytes().to_vec())
}

fn blurhash(header: &Header, pixels: &Pixels, picture: &Picture) -> Option<String> {
    let width = picture.width.min(BLUR_WIDTH);
    let height = (u64::from(picture.height) * u64::from(width) / u64::from(picture.width)).clamp(1, 4 * 64);
    let small = resized(pixels, raw_size(header, width, u32::try_from(height).ok()?))?;
    let image = turned(&small, header.orientation)?;
    let (across, down) = COMPONENTS;
    blurhash::encode(across, down, image.width(), image.height(), &image.into_rgba8()).ok()
}
