//! A source post made ready to be stored: judged, sanitised, its media kept. The edge where all HTML is cleaned, once.

use super::Error;
use crate::domain::ids::PostId;
use crate::domain::post::{Attachment, NewPost, Visibility};
use crate::domain::snowflake;
use crate::domain::source::{Remark, Skipped, SourcePost};
use crate::domain::told::SourceKind;
use crate::import;
use crate::import::files::one_line;
use crate::media::MediaStore;
use crate::text::SafeHtml;
use chrono::{DateTime, SubsecRound, Utc};
use std::io::Read;

/// Confidence above which a detected language is stated (R-48 wants none rather than a wrong one).
const LANGUAGE_CONFIDENCE: f64 = 0.9;
/// Fewest letters in which a language is looked for.
const LANGUAGE_LETTERS: usize = 24;
/// Compression of the source's bytes: zstd's default.
const ZSTD_LEVEL: i32 = 3;

/// Opens a media file of an archive by what a post calls it.
pub(super) type OpenMedia<'a> = &'a (dyn Fn(&str) -> Result<Box<dyn Read + Send>, import::Error> + Sync);

/// Makes source posts ready, one after the other. Each thread has its own.
pub(super) struct Workshop<'a> {
    open: OpenMedia<'a>,
    media: &'a MediaStore,
    keep: bool,
    now: DateTime<Utc>,
    /// Kept from post to post: setting it up costs more than a post takes.
    compressor: zstd::bulk::Compressor<'static>,
}

impl<'a> Workshop<'a> {
    /// `keep` says whether media are stored or only looked at.
    pub(super) fn new(
        open: OpenMedia<'a>,
        media: &'a MediaStore,
        keep: bool,
        now: DateTime<Utc>,
    ) -> Result<Workshop<'a>, Error> {
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|e| Error::Task(e.to_string()))?;
        Ok(Workshop { open, media, keep, now, compressor })
    }

    /// Make a source post ready.
    pub(super) fn prepare(&mut self, source: SourcePost) -> Result<NewPost, Skipped> {
        let skip = |reason: &str| Skipped { at: source.at.clone(), reason: reason.to_owned() };
        let visibility = Visibility::of(source.audience).ok_or_else(|| skip("it is not public"))?;
        if let SourceKind::Boost(of) = &source.told.kind {
            return Err(skip(&format!("it is a boost of {}, and boosts are not kept yet", one_line(of))));
        }
        let content = SafeHtml::sanitise(&source.html);
        let mut remarks = source.remarks;
        let attachments: Vec<Attachment> = source
            .media
            .iter()
            .map(|item| {
                let read = (self.open)(&item.reference).map_err(|e| e.to_string()).and_then(|mut bytes| {
                    let file = if self.keep { self.media.keep(&mut bytes) } else { self.media.inspect(&mut bytes) };
                    file.map_err(|e| format!("{}: {e}", item.reference))
                });
                if let Err(reason) = &read {
                    tracing::info!(at = source.at, reason, "a media file is missing");
                    // It is counted as missing, which is how a loss of media is told.
                    let note = format!("a media file is missing: {reason}");
                    remarks.push(Remark { at: source.at.clone(), note, loss: false });
                }
                let file = read.ok();
                let kind = file.as_ref().and_then(|file| crate::domain::source::MediaKind::of_type(&file.media_type));
                Attachment {
                    kind: kind.unwrap_or(item.kind),
                    file,
                    alt: item.alt.as_deref().map(storable),
                    source_url: storable(&item.reference),
                }
            })
            .collect();
        let plain = content.to_plain();
        if plain.is_empty() && attachments.iter().all(|attachment| attachment.file.is_none()) {
            return Err(skip("nothing is left of it: no text, and no picture, film or sound that could be kept"));
        }
        let source_bytes =
            self.compressor.compress(&source.bytes).map_err(|e| skip(&format!("it could not be compressed: {e}")))?;
        let trusted =
            source.status.filter(|id| snowflake::trusted_time(*id, Some(source.published), self.now).is_some());
        let hash = openssl::sha::sha256(source.key.0.as_bytes());
        let minted = snowflake::mint(source.published, u16::from_be_bytes([hash[0], hash[1]]));
        Ok(NewPost {
            preferred_id: PostId(trusted.unwrap_or(minted)),
            visibility,
            language: source.language.clone().or_else(|| detect_language(&plain)),
            tags: source.tags.iter().map(|tag| storable(&tag.to_lowercase())).collect(),
            source_sha256: openssl::sha::sha256(&source.bytes),
            at: source.at,
            key: source.key,
            object_id: source.object_id,
            object_id_stated: source.object_id_stated,
            canonical_url: source.canonical_url,
            published: source.published.trunc_subsecs(3),
            date_origin: source.date_origin,
            edited: source.edited,
            content,
            warning: source.warning,
            sensitive: source.sensitive,
            reply_to: source.reply_to,
            attachments,
            format: source.format,
            reader_version: source.reader_version,
            source_bytes,
            remarks,
        })
    }
}

/// Text as Postgres takes it: it has no place for U+0000.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// The ISO 639-1 code of a text's language, where it is clear enough.
fn detect_language(plain: &str) -> Option<String> {
    let foreign = |word: &&str| word.contains("://") || word.contains("www.") || word.starts_with(['@', '#']);
    let words: Vec<&str> = plain.split_whitespace().filter(|word| !foreign(word)).collect();
    let text = words.join(" ");
    if text.chars().filter(|c| c.is_alphabetic()).count() < LANGUAGE_LETTERS {
        return None;
    }
    let found = whatlang::detect(&text).filter(|found| found.confidence() >= LANGUAGE_CONFIDENCE)?;
    isolang::Language::from_639_3(found.lang().code())?.to_639_1().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(text: &str) -> Option<String> {
        detect_language(&SafeHtml::from_plain(text).to_plain())
    }

    #[test]
    fn a_clear_language_is_stated_and_a_doubtful_one_left_out() {
        let english = "There is a theme that the better logging was an extra that many people never paid for at all.";
        let german = "Heute morgen lag der Nebel so dicht über dem Wasser, dass ich die Mole nicht sehen konnte.";
        assert_eq!(language(english).as_deref(), Some("en"));
        assert_eq!(language(german).as_deref(), Some("de"));
        assert_eq!(language("ok 👍"), None);
        assert_eq!(language("https://example.org/der/die/das/und/oder/aber #Brot @ann"), None);
    }
}
