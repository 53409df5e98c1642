//! Pictures, films and sounds of a post: its attachments, and what an Image, Video or Audio is itself.

use super::value::{count, is_kind, kinds, list, text};
use crate::domain::source::{MediaKind, SourceMedia};
use crate::domain::told::MediaTold;
use serde_json::Value;

/// Longest blurhash: 9 by 9 components make 4 + 2 × 81 characters.
const LONGEST_BLURHASH: usize = 166;

/// The media of a post in order.
pub(super) fn media(object: &Value) -> Vec<SourceMedia> {
    let mut media: Vec<SourceMedia> = list(object.get("attachment")).iter().filter_map(attachment).collect();
    let own = ["Image", "Video", "Audio"].iter().any(|kind| is_kind(object, kind));
    if own && media.is_empty() {
        media.extend(file_of(object));
    }
    let has_title_picture = ["Article", "Page", "Event"].iter().any(|kind| is_kind(object, kind));
    if has_title_picture {
        media.extend(list(object.get("image")).iter().filter_map(attachment));
    }
    media
}

/// One attachment. What has an address but no file, a `Link` with `href`, is the preview of a page.
fn attachment(item: &Value) -> Option<SourceMedia> {
    if item.is_string() || is_kind(item, "PropertyValue") {
        return None;
    }
    let link = best(item.get("url"), false)?;
    Some(source_media(item, link))
}

/// The file of an object that is a picture, film or sound itself; the links to its pages are none.
fn file_of(object: &Value) -> Option<SourceMedia> {
    let link = best(object.get("url"), true).or_else(|| best(object.get("url"), false).filter(|link| is_file(link)))?;
    Some(source_media(object, link))
}

/// A link to a file.
#[derive(Clone, Copy)]
struct Link<'a> {
    href: &'a str,
    /// The object that it stands in, which may tell more.
    told: Option<&'a Value>,
}

impl Link<'_> {
    fn media_type(&self) -> Option<String> {
        text(self.told?.get("mediaType"))
    }
}

/// The link to take of several: the first to a medium, the highest film first. `only_media` takes no other.
fn best(value: Option<&Value>, only_media: bool) -> Option<Link<'_>> {
    let links = list(value).iter().filter_map(|item| match item {
        Value::String(href) => Some(Link { href, told: None }),
        other => other
            .get("href")
            .or_else(|| other.get("url"))
            .and_then(Value::as_str)
            .map(|href| Link { href, told: Some(other) }),
    });
    let links: Vec<Link<'_>> = links.filter(|link| !link.href.is_empty()).collect();
    let is_medium = |link: &&Link<'_>| link.media_type().and_then(|kind| MediaKind::of_type(&kind)).is_some();
    let height = |link: &Link<'_>| link.told.and_then(|told| count(told.get("height"))).unwrap_or(0);
    let media = links.iter().filter(is_medium).rev().max_by_key(|link| height(link)).copied();
    media.or_else(|| links.first().filter(|_| !only_media).copied())
}

fn source_media(item: &Value, link: Link<'_>) -> SourceMedia {
    let told = |key: &str| item.get(key).filter(|value| !value.is_null()).or_else(|| link.told?.get(key));
    let media_type = text(item.get("mediaType")).filter(|kind| MediaKind::of_type(kind).is_some());
    let media_type = media_type.or_else(|| link.media_type()).or_else(|| text(item.get("mediaType")));
    let by_kind = || kinds(item).iter().find_map(|kind| MediaKind::of_type(&format!("{}/", kind.to_lowercase())));
    let kind = media_type.as_deref().and_then(MediaKind::of_type).or_else(by_kind).or_else(|| by_extension(link.href));
    let pixels =
        |key: &str| count(told(key)).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
    let is_post = super::object::is_post(item) && item.get("content").is_some();
    // The name of a post is its title, that of an attachment says what is to be seen.
    let alt = if is_post { None } else { text(item.get("summary")).or_else(|| text(item.get("name"))) };
    SourceMedia {
        reference: link.href.replace('\0', ""),
        kind: kind.unwrap_or(MediaKind::Image),
        alt,
        told: MediaTold {
            media_type,
            size: pixels("width").zip(pixels("height")),
            focal_point: focal_point(told("focalPoint")),
            blurhash: text(told("blurhash")).filter(|hash| hash.len() <= LONGEST_BLURHASH && hash.is_ascii()),
            duration: text(told("duration")),
            icon: list(item.get("icon")).iter().find_map(|icon| {
                best(icon.get("url"), false).map(|link| link.href.to_owned()).or_else(|| text(Some(icon)))
            }),
        },
    }
}

fn focal_point(value: Option<&Value>) -> Option<(f64, f64)> {
    let [x, y] = list(value) else { return None };
    let within = |number: &f64| (-1.0..=1.0).contains(number);
    x.as_f64().filter(within).zip(y.as_f64().filter(within))
}

fn is_file(link: &Link<'_>) -> bool {
    by_extension(link.href).is_some()
}

fn by_extension(href: &str) -> Option<MediaKind> {
    let name = href.split(['?', '#']).next()?.rsplit('/').next()?;
    match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" | "png" | "gif" | "webp" | "avif" | "heic" | "heif" => Some(MediaKind::Image),
        "mp4" | "m4v" | "webm" | "mov" | "ogv" => Some(MediaKind::Video),
        "mp3" | "ogg" | "oga" | "opus" | "m4a" | "aac" | "flac" | "wav" => Some(MediaKind::Audio),
        _ => None,
    }
}
