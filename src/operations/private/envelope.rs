//! A private post as the bytes that are sealed: a line that says what it is, a line of JSON, the source compressed.
//!
//! It describes itself, so that it can be read without this program once it was opened.

use crate::domain::private::{PrivateFile, PrivateMedia, PrivatePost};
use crate::domain::source::{Format, MediaKind, SourceKey};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The first line.
const MAGIC: &[u8] = b"everpost private post 1\n";
/// Compression of the source's bytes: zstd's default.
const ZSTD_LEVEL: i32 = 3;

/// The second line. Fields may be added, each with a default; none may change its meaning.
#[derive(Serialize, Deserialize)]
struct Header {
    key: String,
    author: Option<String>,
    object_id: Option<String>,
    canonical_url: Option<String>,
    audience: String,
    published: String,
    date_estimated: bool,
    edited: Option<String>,
    #[serde(default)]
    boost_of: Option<String>,
    html: String,
    warning: Option<String>,
    sensitive: bool,
    language: Option<String>,
    tags: Vec<String>,
    mentions: Vec<String>,
    reply_to: Option<String>,
    media: Vec<Media>,
    format: String,
    reader_version: i32,
    source_bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct Media {
    kind: String,
    alt: Option<String>,
    source_url: String,
    file: Option<StoredFile>,
}

#[derive(Serialize, Deserialize)]
struct StoredFile {
    name: String,
    media_type: String,
    extension: String,
    bytes: i64,
}

/// The bytes of a post. The error is a reason without a word of it.
pub(super) fn write(post: &PrivatePost) -> Result<Vec<u8>, String> {
    let header = serde_json::to_vec(&header(post)).map_err(|_| "it could not be written as JSON")?;
    let source = zstd::bulk::compress(&post.source, ZSTD_LEVEL).map_err(|_| "it could not be compressed")?;
    Ok([MAGIC, &header, b"\n", &source].concat())
}

/// The post of these bytes; `None` if they are not what [`write`] writes.
pub(super) fn read(bytes: &[u8]) -> Option<PrivatePost> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let header: Header = serde_json::from_slice(&rest[..end]).ok()?;
    let source = zstd::bulk::decompress(&rest[end + 1..], header.source_bytes).ok()?;
    Some(PrivatePost {
        key: SourceKey(header.key),
        author: header.author,
        object_id: header.object_id,
        canonical_url: header.canonical_url,
        published: time(&header.published)?,
        date_estimated: header.date_estimated,
        edited: match header.edited {
            Some(edited) => Some(time(&edited)?),
            None => None,
        },
        boost_of: header.boost_of,
        content: SafeHtml::stored(header.html),
        warning: header.warning,
        sensitive: header.sensitive,
        language: header.language,
        tags: header.tags,
        mentions: header.mentions,
        reply_to: header.reply_to.map(SourceKey),
        media: header.media.into_iter().map(media).collect::<Option<_>>()?,
        format: Format::named(&header.format)?,
        reader_version: header.reader_version,
        source,
    })
}

fn header(post: &PrivatePost) -> Header {
    let media = |media: &PrivateMedia| Media {
        kind: media.kind.name().to_owned(),
        alt: media.alt.clone(),
        source_url: media.source_url.clone(),
        file: media.file.clone().map(|file| StoredFile {
            name: file.name,
            media_type: file.media_type,
            extension: file.extension,
            bytes: file.bytes,
        }),
    };
    Header {
        key: post.key.0.clone(),
        author: post.author.clone(),
        object_id: post.object_id.clone(),
        canonical_url: post.canonical_url.clone(),
        audience: "not public; the source tells whose".to_owned(),
        published: post.published.to_rfc3339(),
        date_estimated: post.date_estimated,
        edited: post.edited.map(|at| at.to_rfc3339()),
        boost_of: post.boost_of.clone(),
        html: post.content.as_str().to_owned(),
        warning: post.warning.clone(),
        sensitive: post.sensitive,
        language: post.language.clone(),
        tags: post.tags.clone(),
        mentions: post.mentions.clone(),
        reply_to: post.reply_to.as_ref().map(|key| key.0.clone()),
        media: post.media.iter().map(media).collect(),
        format: post.format.name().to_owned(),
        reader_version: post.reader_version,
        source_bytes: post.source.len(),
    }
}

fn media(media: Media) -> Option<PrivateMedia> {
    let kinds = [MediaKind::Image, MediaKind::Video, MediaKind::Audio];
    Some(PrivateMedia {
        kind: kinds.into_iter().find(|kind| kind.name() == media.kind)?,
        alt: media.alt,
        source_url: media.source_url,
        file: media.file.map(|file| PrivateFile {
            name: file.name,
            media_type: file.media_type,
            extension: file.extension,
            bytes: file.bytes,
        }),
    })
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_comes_out_of_its_envelope_as_it_went_in() {
        let file =
            PrivateFile { name: "ab".repeat(32), media_type: "image/png".into(), extension: "png".into(), bytes: 7 };
        let media =
            |file| PrivateMedia { file, kind: MediaKind::Image, alt: Some("A\nb".into()), source_url: "a".into() };
        let post = PrivatePost {
            key: SourceKey("mastodon:origin.example:1".into()),
            author: Some("@ann@origin.example".into()),
            object_id: Some("https://origin.example/users/ann/statuses/1".into()),
            canonical_url: None,
            published: "2024-01-01T10:00:00.123Z".parse().unwrap(),
            date_estimated: false,
            edited: Some("2024-01-02T10:00:00Z".parse().unwrap()),
            boost_of: Some("https://other.example/users/bob/statuses/1".into()),
            content: SafeHtml::sanitise("<p>One<br>two \"three\"</p>"),
            warning: Some("w".into()),
            sensitive: true,
            language: Some("en".into()),
            tags: vec!["Tag".into()],
            mentions: vec!["@bob@other.example".into()],
            reply_to: Some(SourceKey("k".into())),
            media: vec![media(Some(file)), media(None)],
            format: Format::Mastodon,
            reader_version: 3,
            source: b"{\n}\n\0\xff".to_vec(),
        };
        let bytes = write(&post).unwrap();
        assert!(read(&bytes).is_some_and(|read| read == post));
        assert!(read(&bytes[..bytes.len() - 1]).is_none() && read(b"").is_none() && read(MAGIC).is_none());
        assert_eq!(
            format!("{post:?} {:?}", post.media),
            "PrivatePost [PrivateMedia, PrivateMedia]",
            "no word in a log"
        );
    }
}
