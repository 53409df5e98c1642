//! What the media store promises, with pictures made on the spot.

use super::*;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// A place in Exif that nobody may be able to read afterwards.
const PLACE: &[u8] = b"59 deg 54 min north";

fn store(limits: Limits) -> (tempfile::TempDir, MediaStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = MediaStore::in_folder(&folder.path().join("media"), limits).unwrap();
    (folder, store)
}

/// A picture whose left half is red and whose right half is blue, with some grain so that it does not compress to nothing.
fn picture(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        let grain = u8::try_from(x.wrapping_mul(31) ^ y.wrapping_mul(17) & 31).unwrap_or(0) & 31;
        if x < width / 2 { Rgb([200 + grain, grain, 0]) } else { Rgb([0, grain, 200 + grain]) }
    }))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Exif with an orientation and a place: one directory of two entries, and the text behind it.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II\x2A\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0]);
    // An artist of some length at offset 38, which is where the directory ends.
    block.extend(b"\x3B\x01\x02\0");
    block.extend(u32::try_from(PLACE.len()).unwrap().to_le_bytes());
    block.extend(b"\x26\0\0\0\0\0\0\0");
    assert_eq!(block.len(), 38);
    block.extend(PLACE);
    block
}

fn jpeg_segment(marker: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker, length[0], length[1]], contents].concat()
}

/// A JPEG that tells everything about its maker in every place where one can.
fn telling_jpeg(orientation: u8) -> Vec<u8> {
    let plain = encoded(&picture(64, 32), ImageFormat::Jpeg);
    let exif = [jpeg::EXIF, &exif(orientation)].concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0", PLACE].concat();
    let iptc = [b"Photoshop 3.0\0", PLACE].concat();
    let mut file = plain[..2].to_vec();
    for (marker, contents) in
        [(0xE1, exif.as_slice()), (0xE1, &xmp), (0xED, &iptc), (0xE5, PLACE), (0xFE, PLACE), (0xE2, b"MPF\0 and more")]
    {
        file.extend(jpeg_segment(marker, contents));
    }
    file.extend(&plain[2..]);
    // A second picture behind the first, as telephones append one, with its own place.
    file.extend(PLACE);
    file
}

fn telling_png(orientation: u8) -> Vec<u8> {
    let plain = encoded(&picture(64, 32), ImageFormat::Png);
    let mut png = img_parts::png::Png::from_bytes(Bytes::from(plain)).unwrap();
    for (kind, contents) in [(*b"eXIf", exif(orientation)), (*b"tEXt", PLACE.to_vec()), (*b"prVt", PLACE.to_vec())] {
        png.chunks_mut().insert(1, img_parts::png::PngChunk::new(kind, Bytes::from(contents)));
    }
    let mut file = png.encoder().bytes().to_vec();
    file.extend(PLACE);
    file
}

fn telling_webp(orientation: u8) -> Vec<u8> {
    use img_parts::ImageEXIF;
    use img_parts::riff::{RiffChunk, RiffContent};
    let image = picture(64, 32).into_rgb8();
    let plain = webp::Encoder::from_rgb(&image, 64, 32).encode_simple(false, 90.0).unwrap().to_vec();
    let mut webp = img_parts::webp::WebP::from_bytes(Bytes::from(plain)).unwrap();
    let xmp = RiffChunk::new(*b"XMP ", RiffContent::Data(Bytes::from_static(PLACE)));
    webp.chunks_mut().push(xmp);
    webp.set_exif(Some(Bytes::from(exif(orientation))));
    webp.encoder().bytes().to_vec()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The pixels that a browser would show.
fn shown(bytes: &[u8]) -> DynamicImage {
    use image::ImageDecoder;
    let mut decoder =
        image::ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap().into_decoder().unwrap();
    let orientation = decoder.orientation().unwrap();
    let mut image = DynamicImage::from_decoder(decoder).unwrap();
    image.apply_orientation(orientation);
    image
}

fn keep(store: &MediaStore, bytes: &[u8]) -> (MediaFile, Vec<u8>) {
    let file = store.keep(&mut &bytes[..]).unwrap();
    let kept = std::fs::read(store.path(&file)).unwrap();
    (file, kept)
}

#[test]
fn a_file_is_kept_once_under_its_hash_and_typed_by_its_bytes() {
    let (folder, store) = store(Limits::default());
    let png = encoded(&picture(20, 10), ImageFormat::Png);
    let (file, kept) = keep(&store, &png);
    assert_eq!((file.media_type.as_str(), file.extension.as_str(), &kept), ("image/png", "png", &png));
    assert_eq!(file.bytes, i64::try_from(png.len()).unwrap());
    assert_eq!(store.keep(&mut &png[..]).unwrap(), file);
    let root = folder.path().join("media");
    let loose = std::fs::read_dir(&root).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(loose, 0, "nothing half-written stays");
    store.erase(&file).unwrap();
    store.erase(&file).unwrap();
    assert!(!store.path(&file).exists());
}

#[test]
fn what_can_run_is_not_kept() {
    let (_folder, store) = store(Limits::default());
    for text in
        ["<svg xmlns='http://www.w3.org/2000/svg'/>", "<html><script>", "", "#!/bin/sh", "<?xml version='1.0'?>"]
    {
        assert!(matches!(store.keep(&mut text.as_bytes()), Err(Error::Type(_))), "{text}");
    }
}

#[test]
fn a_file_that_was_cut_short_by_a_crash_is_written_again() {
    let (_folder, store) = store(Limits::default());
    let png = encoded(&picture(20, 10), ImageFormat::Png);
    let (file, _) = keep(&store, &png);
    std::fs::write(store.path(&file), &png[..10]).unwrap();
    assert_eq!(keep(&store, &png).1, png);
}

#[test]
fn a_source_that_breaks_off_leaves_nothing() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("the archive ends here"));
            }
            buffer[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
            Ok(8)
        }
    }
    let (folder, store) = store(Limits::default());
    assert!(matches!(store.keep(&mut Broken(false)), Err(Error::Io(_))));
    assert_eq!(std::fs::read_dir(folder.path().join("media")).unwrap().count(), 0);
}

#[test]
fn a_film_is_kept_as_it_came_and_streamed_in_parts() {
    let (_folder, store) = store(Limits::default());
    let mut film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    film.resize(PART * 2 + 77, 7);
    let (file, kept) = keep(&store, &film);
    assert_eq!((file.media_type.as_str(), file.picture.clone()), ("video/mp4", None));
    assert!(kept == film);
}

#[test]
fn what_is_too_large_is_refused_with_the_name_of_the_setting() {
    let limits = Limits { file_bytes: 3 << 20, picture_bytes: 1 << 20, pixels: 1000, ..Limits::default() };
    let (_folder, store) = store(limits);
    let mut film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    film.resize(2 << 20, 0);
    assert!(store.keep(&mut &film[..]).is_ok());
    film.resize(4 << 20, 0);
    let error = store.keep(&mut &film[..]).unwrap_err();
    assert!(matches!(error, Error::Size(_)) && error.to_string().contains("media.max_file_mib"), "{error}");
    let mut png = encoded(&picture(20, 10), ImageFormat::Png);
    png.resize(2 << 20, 0);
    assert!(matches!(store.keep(&mut &png[..]), Err(Error::Size(_))));
    let error = store.keep(&mut &encoded(&picture(40, 30), ImageFormat::Png)[..]).unwrap_err();
    assert!(matches!(error, Error::Pixels(1200)) && error.to_string().contains("media.max_megapixels"), "{error}");
}

/// A PNG header that promises a size, with a pixel's worth of data.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let plain = encoded(&picture(1, 1), ImageFormat::Png);
    let mut png = img_parts::png::Png::from_bytes(Bytes::from(plain)).unwrap();
    let mut header = png.chunks()[0].contents().to_vec();
    header[..4].copy_from_slice(&width.to_be_bytes());
    header[4..8].copy_from_slice(&height.to_be_bytes());
    png.chunks_mut()[0] = img_parts::png::PngChunk::new(*b"IHDR", Bytes::from(header));
    png.encoder().bytes().to_vec()
}

#[test]
fn a_header_that_promises_fifty_megapixels_is_refused_without_decoding() {
    let (_folder, store) = store(Limits::default());
    for (width, height) in [(10_000, 5_000), (60_000, 60_000), (i32::MAX.cast_unsigned(), 1)] {
        let outcome = store.keep(&mut &png_header(width, height)[..]);
        assert!(matches!(outcome, Err(Error::Pixels(_))), "{width} x {height}: {outcome:?}");
        assert!(store.inspect(&mut &png_header(width, height)[..]).is_err(), "a dry run says the same");
    }
    let mut gif = b"GIF89a".to_vec();
    gif.extend([0x60, 0xEA, 0x60, 0xEA, 0, 0, 0, 0x3B]);
    assert!(matches!(store.keep(&mut &gif[..]), Err(Error::Pixels(_))));
}

#[test]
fn a_picture_that_lies_about_its_size_is_measured_and_not_decoded() {
    let (_folder, store) = store(Limits::default());
    let (file, _) = keep(&store, &png_header(3000, 3000));
    let picture = file.picture.unwrap();
    assert_eq!((picture.width, picture.height, picture.blurhash, picture.thumbnails), (3000, 3000, None, vec![]));
}

#[test]
fn damaged_pictures_of_every_type_are_no_crash() {
    let (_folder, store) = store(Limits { strip_metadata: false, ..Limits::default() });
    let mut random = 0x2545_F491_u32;
    for whole in [telling_jpeg(6), telling_png(6), telling_webp(6), encoded(&picture(64, 32), ImageFormat::Gif)] {
        for at in (12..whole.len()).step_by(whole.len() / 40 + 1) {
            let mut damaged = whole.clone();
            for _ in 0..8 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let place = 12 + (random >> 8) as usize % (damaged.len() - 12);
                damaged[place] = random.to_le_bytes()[3];
            }
            for bytes in [&whole[..at], &damaged[..]] {
                let figures = store.keep(&mut &bytes[..]);
                assert!(matches!(figures, Ok(_) | Err(Error::Pixels(_))), "{figures:?}");
                for media_type in ["image/jpeg", "image/png", "image/webp", "image/heif"] {
                    clean::clean(media_type, &Bytes::copy_from_slice(bytes));
                }
            }
        }
    }
}

#[test]
fn a_place_is_gone_and_the_picture_still_stands_upright() {
    let (_folder, store) = store(Limits::default());
    for orientation in 1..=8 {
        for bytes in [telling_jpeg(orientation), telling_png(orientation), telling_webp(orientation)] {
            assert!(holds(&bytes, PLACE));
            let before = shown(&bytes);
            let (file, kept) = keep(&store, &bytes);
            assert!(!holds(&kept, PLACE), "{}", file.media_type);
            assert!(shown(&kept) == before, "{} {orientation}: no pixel may change", file.media_type);
            let picture = file.picture.unwrap();
            let turned = orientation >= 5;
            assert_eq!((picture.width, picture.height), if turned { (32, 64) } else { (64, 32) });
            assert_eq!(before.width(), picture.width);
        }
    }
}

#[test]
fn cleaning_is_off_when_the_owner_says_so_and_changes_nothing_in_a_clean_picture() {
    let (_folder, lenient) = store(Limits { strip_metadata: false, ..Limits::default() });
    let telling = telling_jpeg(6);
    assert!(keep(&lenient, &telling).1 == telling);
    let (_folder, store) = store(Limits::default());
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let clean = encoded(&picture(64, 32), format);
        assert!(keep(&store, &clean).1 == clean, "{format:?}");
    }
    let (first, kept) = keep(&store, &telling);
    assert_eq!(keep(&store, &telling).0, first, "the same file again is the same file");
    assert_eq!(keep(&store, &kept).0, first, "and what was cleaned is clean");
}

#[test]
fn colours_and_animation_survive_the_cleaning() {
    use img_parts::ImageICC;
    let profile = Bytes::from(vec![9; 100_000]);
    let mut jpeg = img_parts::jpeg::Jpeg::from_bytes(Bytes::from(telling_jpeg(1))).unwrap();
    jpeg.set_icc_profile(Some(profile.clone()));
    let Cleaned::Now(cleaned) = clean::clean("image/jpeg", &jpeg.encoder().bytes()) else { panic!() };
    let cleaned = img_parts::jpeg::Jpeg::from_bytes(Bytes::from(cleaned)).unwrap();
    assert!(cleaned.icc_profile() == Some(profile.clone()));
    let mut webp = img_parts::webp::WebP::from_bytes(Bytes::from(telling_webp(3))).unwrap();
    webp.set_icc_profile(Some(profile.clone()));
    let Cleaned::Now(cleaned) = clean::clean("image/webp", &webp.encoder().bytes()) else { panic!() };
    let cleaned = img_parts::webp::WebP::from_bytes(Bytes::from(cleaned)).unwrap();
    assert!(cleaned.icc_profile() == Some(profile));
    let flags = cleaned.chunk_by_id(*b"VP8X").unwrap().content().data().unwrap()[0];
    assert_eq!(flags & 0b0000_1100, 0b0000_1000, "Exif is there with the orientation, XMP is not");
}

use clean::Cleaned;

#[test]
fn a_type_that_cannot_be_cleaned_is_kept_only_when_it_has_nothing_to_hide() {
    let (_folder, strict) = store(Limits::default());
    let (_other, lenient) = store(Limits { strip_metadata: false, ..Limits::default() });
    let heif = |kind: &[u8]| {
        let mut file = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1\0\0\0\x40meta\0\0\0\0".to_vec();
        file.extend(b"\0\0\0\x15infe\x02\0\0\0\0\x01\0\0");
        file.extend(kind);
        file.extend(b"\0 and the picture");
        file
    };
    let (file, kept) = keep(&strict, &heif(b"hvc1"));
    assert_eq!((file.media_type.as_str(), file.picture), ("image/heif", None), "kept, and not measured");
    assert!(kept == heif(b"hvc1"));
    for kind in [b"Exif", b"mime"] {
        let error = strict.keep(&mut &heif(kind)[..]).unwrap_err();
        assert!(error.to_string().contains("media.strip_metadata"), "{error}");
        assert!(lenient.keep(&mut &heif(kind)[..]).is_ok());
    }
}

fn thumbnail(store: &MediaStore, file: &MediaFile, slot: u32) -> DynamicImage {
    let bytes = std::fs::read(store.path(file).with_file_name(file.thumbnail_name(slot))).unwrap();
    assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::WebP);
    shown(&bytes)
}

#[test]
fn thumbnails_have_their_widths_and_the_blurhash_shows_the_colours() {
    let (_folder, store) = store(Limits::default());
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let (file, _) = keep(&store, &encoded(&picture(2400, 900), format));
        let figures = file.picture.clone().unwrap();
        assert_eq!((figures.width, figures.height), (2400, 900), "{format:?}");
        assert_eq!(figures.thumbnails, [600, 1200], "{format:?}");
        for (slot, height) in [(600, 225), (1200, 450)] {
            let thumbnail = thumbnail(&store, &file, slot).into_rgb8();
            assert_eq!(thumbnail.dimensions(), (slot, height), "{format:?}");
            let (left, right) = (thumbnail.get_pixel(9, 9), thumbnail.get_pixel(slot - 9, 9));
            assert!(left[0] > 150 && left[2] < 80 && right[2] > 150 && right[0] < 80, "{left:?} {right:?}");
        }
        let pixels = blurhash::decode(&figures.blurhash.unwrap(), 32, 12, 1.0).unwrap();
        let at = |x: usize| &pixels[(6 * 32 + x) * 4..][..3];
        assert!(at(3)[0] > 120 && at(3)[2] < 100 && at(28)[2] > 120 && at(28)[0] < 100, "{:?} {:?}", at(3), at(28));
    }
}

#[test]
fn a_see_through_picture_stays_see_through_and_its_edges_keep_their_colour() {
    let (_folder, store) = store(Limits::default());
    let see_through = image::RgbaImage::from_fn(1300, 400, |x, y| {
        let grain = (x.wrapping_mul(31) ^ y.wrapping_mul(17)).to_le_bytes()[0] & 31;
        if x < 650 { image::Rgba([220 + grain, 0, 0, 255]) } else { image::Rgba([0, 255, grain, 0]) }
    });
    let large = DynamicImage::ImageRgba8(see_through).resize_exact(2605, 801, image::imageops::FilterType::Nearest);
    for picture in [&large, &large.crop_imm(0, 0, 2399, 800)] {
        let (file, _) = keep(&store, &encoded(picture, ImageFormat::Png));
        let thumbnail = thumbnail(&store, &file, 600).into_rgba8();
        assert_eq!((thumbnail.get_pixel(10, 50)[3], thumbnail.get_pixel(590, 50)[3]), (255, 0));
        let red = thumbnail.get_pixel(10, 50);
        assert!(red[0] > 200 && red[1] < 40, "{red:?}");
    }
}

#[test]
fn depths_and_greys_of_every_kind_are_understood() {
    let (_folder, store) = store(Limits::default());
    let colours = picture(700, 300);
    let pictures = [
        DynamicImage::ImageLuma8(colours.to_luma8()),
        DynamicImage::ImageLumaA8(colours.to_luma_alpha8()),
        DynamicImage::ImageRgb16(colours.to_rgb16()),
        DynamicImage::ImageRgba16(colours.to_rgba16()),
    ];
    for picture in &pictures {
        for picture in [picture, &picture.resize_exact(2401, 1031, image::imageops::FilterType::Nearest)] {
            let (file, _) = keep(&store, &encoded(picture, ImageFormat::Png));
            let figures = file.picture.unwrap();
            assert_eq!((figures.width, figures.height), (picture.width(), picture.height()));
            assert!(figures.blurhash.is_some(), "{:?}", picture.color());
        }
    }
    let (file, _) = keep(&store, &encoded(&pictures[0], ImageFormat::Jpeg));
    assert!(file.picture.unwrap().blurhash.is_some(), "a grey JPEG");
    let lossy = webp::Encoder::from_rgb(colours.as_bytes(), 700, 300).encode_simple(false, 80.0).unwrap().to_vec();
    assert!(keep(&store, &lossy).0.picture.unwrap().blurhash.is_some());
}

#[test]
fn a_picture_that_needs_more_memory_than_there_is_is_measured_and_not_decoded() {
    for (width, height, fits) in [(64, 32, true), (640, 320, false)] {
        let bytes = encoded(&picture(width, height), ImageFormat::Png);
        let budget = Budget::new(100_000);
        let made = figures::make("image/png", &mut Cursor::new(bytes), u64::MAX, &budget, 100_000).unwrap();
        assert_eq!((made.picture.width, made.picture.height), (width, height));
        assert_eq!(made.picture.blurhash.is_some(), fits, "{width}");
    }
}

#[test]
fn a_picture_on_its_side_has_upright_thumbnails() {
    let (_folder, store) = store(Limits::default());
    let plain = encoded(&picture(1600, 800), ImageFormat::Jpeg);
    let exif = jpeg_segment(0xE1, &[jpeg::EXIF, &exif(6)].concat());
    let (file, _) = keep(&store, &[&plain[..2], &exif, &plain[2..]].concat());
    let figures = file.picture.clone().unwrap();
    assert_eq!((figures.width, figures.height), (800, 1600));
    let thumbnail = thumbnail(&store, &file, 600).into_rgb8();
    assert_eq!(thumbnail.dimensions(), (600, 1200));
    let (top, bottom) = (thumbnail.get_pixel(300, 9), thumbnail.get_pixel(300, 1190));
    assert!(top[0] > 150 && bottom[2] > 150, "its left side is on top now: {top:?} {bottom:?}");
}

#[test]
fn a_moving_picture_has_a_thumbnail_of_its_first_frame_and_is_kept_as_it_is() {
    let (_folder, store) = store(Limits::default());
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    let still = picture(80, 40).into_rgba8();
    let other = RgbImage::from_pixel(80, 40, Rgb([0, 255, 0]));
    let frames = [still, DynamicImage::ImageRgb8(other).into_rgba8()].map(image::Frame::new);
    encoder.encode_frames(frames).unwrap();
    drop(encoder);
    let (file, kept) = keep(&store, &gif);
    assert!(kept == gif);
    assert_eq!(file.picture.as_ref().unwrap().thumbnails, [600], "though it is small");
    let thumbnail = thumbnail(&store, &file, 600).into_rgb8();
    assert_eq!(thumbnail.dimensions(), (80, 40));
    assert!(thumbnail.get_pixel(5, 5)[0] > 150);
}

#[test]
fn a_thumbnail_that_saves_nothing_is_not_kept() {
    let (_folder, store) = store(Limits::default());
    let flat = DynamicImage::ImageRgb8(RgbImage::from_pixel(300, 200, Rgb([1, 2, 3])));
    let (file, _) = keep(&store, &encoded(&flat, ImageFormat::Jpeg));
    let small = webp::Encoder::from_rgb(flat.as_bytes(), 300, 200).encode_simple(false, 80.0).unwrap().len();
    let expected: &[u32] = if small as i64 * 4 < file.bytes * 3 { &[600] } else { &[] };
    assert_eq!(file.picture.unwrap().thumbnails, expected);
    let (file, _) = keep(&store, &encoded(&picture(4, 4), ImageFormat::Gif));
    assert_eq!(file.picture.unwrap().thumbnails, [600], "a GIF may move");
}

#[test]
fn figures_can_be_made_again_from_what_is_kept() {
    let (_folder, store) = store(Limits::default());
    let (file, bytes) = keep(&store, &encoded(&picture(700, 500), ImageFormat::Jpeg));
    let small = store.path(&file).with_file_name(file.thumbnail_name(600));
    std::fs::remove_file(&small).unwrap();
    assert_eq!(store.refresh(&file).unwrap(), file.picture);
    assert!(small.exists());
    std::fs::write(store.path(&file), [&bytes[..bytes.len() - 1], b"x"].concat()).unwrap();
    assert!(matches!(store.refresh(&file), Err(Error::Damaged)));
    store.erase(&file).unwrap();
    assert!(!small.exists(), "thumbnails go with their file");
    assert!(matches!(store.refresh(&file), Err(Error::Store(_))));
}

#[test]
fn many_threads_keep_the_same_and_other_files_at_once() {
    let (_folder, store) = store(Limits::default());
    let pictures: Vec<Vec<u8>> = (1..5).map(|n| encoded(&picture(700 * n, 300), ImageFormat::Jpeg)).collect();
    let expected: Vec<MediaFile> = pictures.iter().map(|bytes| store.inspect(&mut &bytes[..]).unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for (bytes, expected) in pictures.iter().zip(&expected) {
                    assert_eq!(store.keep(&mut &bytes[..]).unwrap(), *expected);
                }
            });
        }
    });
    for (bytes, file) in pictures.iter().zip(&expected) {
        assert!(std::fs::read(store.path(file)).unwrap() == *bytes);
    }
}
