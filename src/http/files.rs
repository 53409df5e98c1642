//! Stored media, and the server's own styles.

use super::Data;
use super::error::Error;
use super::extract::Here;
use super::pages::previews;
use super::respond::Document;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use std::sync::LazyLock;

const STYLE: &str = include_str!("assets/style.css");
const ICON: &str = include_str!("assets/icon.svg");

/// A year: files that never change under their name.
const FOREVER: u32 = 31_536_000;
/// What a media file may do when it is opened by itself: nothing.
const MEDIA_POLICY: &str = "default-src 'none'; sandbox";

/// Changes whenever the styles do, so that they can be cached for ever.
pub static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = openssl::sha::sha256(STYLE.as_bytes());
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
});

/// `/media/<sha256>.<extension>`: only what a shown post or profile refers to.
pub async fn media(
    data: Data,
    _here: Here,
    name: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let nothing = || Error::not_found("There is no such file here.");
    let (sha256, extension) = name.split_once('.').ok_or_else(nothing)?;
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(nothing());
    }
    let previews = previews(&data, &request).await?;
    let file = data.store.find_shown_media(sha256, &previews).await?;
    let file = file.filter(|file| file.extension == extension).ok_or_else(nothing)?;
    let path = data.media.path(&file);
    let opened = actix_files::NamedFile::open_async(&path).await.map_err(|cause| {
        tracing::error!(media.sha256 = file.sha256, %cause, "a media file is in the database and not on the disk");
        nothing()
    })?;
    let content_type = file.media_type.parse().map_err(|_| nothing())?;
    let mut response = opened.set_content_type(content_type).prefer_utf8(false).into_response(&request);
    let cache = if previews.is_empty() { "public, max-age=31536000, immutable" } else { "private, no-store" };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(MEDIA_POLICY));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

/// The styles of all pages.
pub async fn style(request: HttpRequest) -> HttpResponse {
    Document::new("text/css; charset=utf-8", STYLE.to_owned(), FOREVER).respond(&request, Utc::now())
}

/// The icon of all pages.
pub async fn icon(request: HttpRequest) -> HttpResponse {
    Document::new("image/svg+xml", ICON.to_owned(), FOREVER).respond(&request, Utc::now())
}
