//! Stored media, and the server's own styles.

use super::Data;
use super::error::Error;
use super::extract::Here;
use super::pages::previews;
use super::respond::{self, Document};
use crate::domain::post::MediaFile;
use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use std::ops::Range;
use std::sync::LazyLock;

/// The styles of all pages.
pub(super) const STYLE: &str = include_str!("assets/style.css");
/// The sign of the site.
pub(super) const ICON: &str = include_str!("assets/icon.svg");

/// A year: files that never change under their name.
const FOREVER: u32 = 31_536_000;
/// What a media file may do when it is opened by itself: nothing.
const MEDIA_POLICY: &str = "default-src 'none'; sandbox";

/// Changes whenever the styles do, so that they can be cached for ever.
pub static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = openssl::sha::sha256(STYLE.as_bytes());
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
});

/// `/media/<sha256>.<extension>` and its thumbnails: only what a shown post or profile refers to.
pub async fn media(
    data: Data,
    _here: Here,
    name: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let nothing = || Error::not_found("There is no such file here.");
    let (sha256, rest) = name.split_once('.').ok_or_else(nothing)?;
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(nothing());
    }
    let previews = previews(&data, &request).await?;
    let file = data.store.find_shown_media(sha256, &previews).await?.ok_or_else(nothing)?;
    let slot = slot(&file, rest).ok_or_else(nothing)?;
    let length = data.media.length(&file, slot).await.map_err(|error| unreadable(&file, &error))?;
    let length = length.ok_or_else(|| {
        tracing::error!(media.sha256 = file.sha256, "a media file is in the database and not in the media store");
        nothing()
    })?;
    let cache = if previews.is_empty() { "public, max-age=31536000, immutable" } else { "private, no-store" };
    // A hash names its bytes for ever. A thumbnail may be made anew by a later version; then its length tells.
    let etag = slot.map_or_else(|| format!("\"{sha256}\""), |slot| format!("\"{sha256}.{slot}.{length}\""));
    let range = match respond::has_it(&request, etag.as_bytes(), None) {
        true => Wanted::Nothing,
        false => wanted(&request, &etag, length),
    };
    let (status, part) = match &range {
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, None),
        Wanted::Whole => (StatusCode::OK, Some(0..length)),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part.clone())),
        Wanted::Impossible => (StatusCode::RANGE_NOT_SATISFIABLE, None),
    };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::CONTENT_SECURITY_POLICY, MEDIA_POLICY))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    match &range {
        Wanted::Part(part) => {
            let shown = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            response.insert_header((header::CONTENT_RANGE, shown));
        }
        Wanted::Impossible => {
            response.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
            // It says something about this request, not about the file.
            response.insert_header((header::CACHE_CONTROL, "no-store"));
        }
        Wanted::Nothing | Wanted::Whole => {}
    }
    let Some(part) = part else { return Ok(response.finish()) };
    let media_type = if slot.is_some() { "image/webp" } else { file.media_type.as_str() };
    response.content_type(media_type).insert_header((header::CONTENT_DISPOSITION, "inline"));
    let size = part.end - part.start;
    if request.method() == Method::HEAD || size == 0 {
        return Ok(response.body(SizedStream::new(size, futures::stream::empty::<std::io::Result<web::Bytes>>())));
    }
    let bytes = data.media.read(&file, slot, part).await.map_err(|error| unreadable(&file, &error))?;
    Ok(response.body(SizedStream::new(size, bytes)))
}

/// Which of a file's forms a name asks for: `Some(None)` is the file itself, `None` that there is no such form.
fn slot(file: &MediaFile, rest: &str) -> Option<Option<u32>> {
    if rest == file.extension {
        return Some(None);
    }
    let slots = file.picture.iter().flat_map(|picture| &picture.thumbnails);
    slots.copied().find(|slot| rest == format!("{slot}.webp")).map(Some)
}

fn unreadable(file: &MediaFile, error: &crate::media::Error) -> Error {
    tracing::error!(media.sha256 = file.sha256, %error, "a media file could not be read");
    Error::internal()
}

/// What of a file is asked for.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// Nothing: the client has it.
    Nothing,
    /// All of it.
    Whole,
    /// From a byte up to but not including another.
    Part(Range<u64>),
    /// What it does not have.
    Impossible,
}

/// What the headers ask for of `length` bytes (RFC 9110, 14). Several ranges at once, another unit, or what makes no sense
/// is answered with the whole, as the rules allow.
fn wanted(request: &HttpRequest, etag: &str, length: u64) -> Wanted {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A client that has an older copy wants the rest of that one, and there is no rest of it here.
    let is_other = header(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag);
    match header(header::RANGE) {
        Some(range) if !is_other => wanted_range(range, length),
        _ => Wanted::Whole,
    }
}

fn wanted_range(range: &str, length: u64) -> Wanted {
    let Some((unit, range)) = range.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    // Digits alone: `parse` would take a sign too, and a comma means that there are several ranges.
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match (first, last) {
        ("", last) => match number(last) {
            None => Wanted::Whole,
            Some(0) => Wanted::Impossible,
            Some(_) if length == 0 => Wanted::Impossible,
            Some(count) => Wanted::Part(length.saturating_sub(count)..length),
        },
        (first, last) => match (number(first), last, number(last)) {
            (Some(first), "", _) if first < length => Wanted::Part(first..length),
            (Some(first), _, Some(last)) if first <= last && first < length => {
                Wanted::Part(first..last.saturating_add(1).min(length))
            }
            (Some(first), "", _) if first >= length => Wanted::Impossible,
            (Some(first), _, Some(last)) if first <= last => Wanted::Impossible,
            _ => Wanted::Whole,
        },
    }
}

/// The styles of all pages.
pub async fn style(request: HttpRequest) -> HttpResponse {
    Document::new("text/css; charset=utf-8", STYLE.to_owned(), FOREVER).respond(&request, Utc::now())
}

/// The icon of all pages.
pub async fn icon(request: HttpRequest) -> HttpResponse {
    Document::new("image/svg+xml", ICON.to_owned(), FOREVER).respond(&request, Utc::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, expected: Wanted) {
        assert_eq!(wanted_range(range, 100), expected, "{range}");
    }

    #[test]
    fn one_range_of_bytes_is_understood_in_all_its_forms() {
        check("bytes=0-9", Wanted::Part(0..10));
        check("bytes=90-", Wanted::Part(90..100));
        check("bytes=-10", Wanted::Part(90..100));
        check("bytes=-1000", Wanted::Part(0..100));
        check("bytes=99-1000", Wanted::Part(99..100));
        check("Bytes = 0-0", Wanted::Part(0..1));
        check("bytes=0-18446744073709551615", Wanted::Part(0..100));
    }

    #[test]
    fn a_range_behind_the_end_is_impossible() {
        check("bytes=100-", Wanted::Impossible);
        check("bytes=100-200", Wanted::Impossible);
        check("bytes=-0", Wanted::Impossible);
        assert_eq!(wanted_range("bytes=-5", 0), Wanted::Impossible);
    }

    #[test]
    fn several_ranges_other_units_and_nonsense_are_answered_with_the_whole() {
        for range in ["bytes=0-1,5-6", "lines=0-1", "bytes=9-1", "bytes=-", "bytes=+1-2", "bytes=a-b", "bytes", ""] {
            check(range, Wanted::Whole);
        }
    }
}
