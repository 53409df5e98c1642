//! Pictures on pages: which of a picture's files a browser shall load, and how much room it takes before it has.
//!
//! The widths are those of `assets/style.css`.

use super::paths::Paths;
use crate::domain::post::{MediaFile, Picture};

/// Width of the last picture of an odd number: the column, or the window without its edges.
pub const ROW: &str = "(min-width: 40rem) 36rem, 90vw";
/// Largest width and height in CSS pixels of a picture that is alone: the column is 36rem wide.
const ALONE: u32 = 576;
/// Width of a picture beside another one.
pub const HALF_ROW: &str = "(min-width: 40rem) 17.75rem, 44vw";
/// Width of a profile's header picture.
pub const BANNER: &str = "(min-width: 58rem) 50rem, (min-width: 40rem) 36rem, 90vw";

/// The smallest form of a picture, for avatars: none is shown wider than 7rem.
pub fn small(file: &MediaFile, paths: &Paths) -> String {
    let slot = file.picture.as_ref().and_then(|picture| picture.thumbnails.first());
    let name = slot.map_or_else(|| file.file_name(), |slot| file.thumbnail_name(*slot));
    paths.file(&format!("/media/{name}"))
}

/// The attributes of an `img`, but for its alternative text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageView {
    /// What is loaded by who knows nothing of `srcset`.
    pub src: String,
    /// Which files there are, each with its width; empty where there is one only.
    pub srcset: String,
    /// How wide it will be.
    pub sizes: String,
    /// Width and height in CSS pixels, where they are known: they keep its place.
    pub size: Option<(u32, u32)>,
}

impl ImageView {
    /// The attributes for a file that is shown as wide as `sizes` says.
    pub fn new(file: &MediaFile, sizes: &str, paths: &Paths) -> ImageView {
        let sizes = sizes.to_owned();
        let stored = |name: String| paths.file(&format!("/media/{name}"));
        let original = stored(file.file_name());
        let Some(picture) = &file.picture else {
            return ImageView { src: original, srcset: String::new(), sizes, size: None };
        };
        let mut files: Vec<(String, u32)> = picture
            .thumbnails
            .iter()
            .map(|slot| (stored(file.thumbnail_name(*slot)), picture.thumbnail_size(*slot).0))
            .collect();
        // The file itself only where no thumbnail does for the densest screen: it may be as large as a film.
        let wanted = Picture::SLOTS.iter().copied().max().unwrap_or_default().min(picture.width);
        if files.iter().all(|(_, width)| *width < wanted) {
            files.push((original.clone(), picture.width));
        }
        let src = files.last().map_or(original, |(url, _)| url.clone());
        let srcset = match files.len() {
            0 | 1 => String::new(),
            _ => files.iter().map(|(url, width)| format!("{url} {width}w")).collect::<Vec<_>>().join(", "),
        };
        ImageView { src, srcset, sizes, size: Some((picture.width, picture.height)) }
    }

    /// The attributes for a file that is shown alone and whole: as large as it is, or as fits into the column.
    pub fn alone(file: &MediaFile, paths: &Paths) -> ImageView {
        let mut view = ImageView::new(file, ROW, paths);
        if let Some((width, height)) = view.size {
            let longest = width.max(height);
            let fitted = |side: u32| {
                let side = u64::from(side) * u64::from(longest.min(ALONE)) / u64::from(longest.max(1));
                u32::try_from(side).unwrap_or(u32::MAX).max(1)
            };
            view.size = Some((fitted(width), fitted(height)));
            view.sizes = format!("(min-width: 40rem) {0}px, min({0}px, 90vw)", fitted(width));
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(picture: Picture) -> MediaFile {
        MediaFile {
            sha256: "ab".to_owned(),
            extension: "jpg".to_owned(),
            media_type: "image/jpeg".to_owned(),
            bytes: 1,
            picture: Some(picture),
        }
    }

    /// `src`, and the widths in `srcset`, of a picture with thumbnails in these slots.
    fn check(width: u32, slots: &[u32], src: &str, widths: &[u32]) {
        let picture = Picture { width, height: width / 2, blurhash: None, thumbnails: slots.to_vec() };
        let view = ImageView::new(&file(picture), ROW, &Paths::of_server());
        let width_of = |item: &str| item.rsplit_once(' ').unwrap().1.trim_end_matches('w').parse::<u32>().unwrap();
        let shown: Vec<u32> = view.srcset.split(", ").filter(|item| !item.is_empty()).map(width_of).collect();
        assert_eq!((view.src.as_str(), shown.as_slice()), (src, widths), "{width} {slots:?}");
    }

    /// The size on the page of a picture that is alone.
    fn check_alone(width: u32, height: u32, expected: (u32, u32), sizes: &str) {
        let picture = Picture { width, height, blurhash: None, thumbnails: vec![600] };
        let view = ImageView::alone(&file(picture), &Paths::of_server());
        assert_eq!((view.size, view.sizes.as_str()), (Some(expected), sizes));
    }

    #[test]
    fn a_picture_alone_is_as_large_as_it_is_or_as_fits() {
        check_alone(300, 200, (300, 200), "(min-width: 40rem) 300px, min(300px, 90vw)");
        check_alone(4000, 3000, (576, 432), "(min-width: 40rem) 576px, min(576px, 90vw)");
        check_alone(1000, 2000, (288, 576), "(min-width: 40rem) 288px, min(288px, 90vw)");
        check_alone(1, 5000, (1, 576), "(min-width: 40rem) 1px, min(1px, 90vw)");
    }

    #[test]
    fn a_browser_loads_the_original_only_where_no_thumbnail_does() {
        check(4000, &[600, 1200], "/media/ab.1200.webp", &[600, 1200]);
        check(4000, &[600], "/media/ab.jpg", &[600, 4000]);
        check(800, &[600, 1200], "/media/ab.1200.webp", &[600, 800]);
        check(800, &[600], "/media/ab.jpg", &[600, 800]);
        check(300, &[600], "/media/ab.600.webp", &[]);
        check(300, &[], "/media/ab.jpg", &[]);
    }
}
