//! A source post made ready to be stored: judged, sanitised, its media kept. The edge where all HTML is cleaned, once.

use super::Error;
use crate::domain::details::Details;
use crate::domain::ids::PostId;
use crate::domain::post::{Attachment, NewPost, Visibility};
use crate::domain::snowflake;
use crate::domain::source::{Remark, Skipped, SourcePost};
use crate::domain::told::{Emoji, MediaTold, Mention, Poll, PollOption, SourceKind, Told};
use crate::import;
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
        let boost_of = match &source.told.kind {
            SourceKind::Boost(object) => Some(storable(object)),
            _ => None,
        };
        let content = if boost_of.is_some() { SafeHtml::default() } else { SafeHtml::sanitise(&source.html) };
        let published = source.published.trunc_subsecs(3);
        let details = details(&source.told, published, self.now);
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
                    told: media_told(&item.told),
                }
            })
            .collect();
        let plain = content.to_plain();
        let says = boost_of.is_some() || details.poll.is_some() || details.title.is_some() || details.quote.is_some();
        if !says && plain.is_empty() && attachments.iter().all(|attachment| attachment.file.is_none()) {
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
            published,
            date_origin: source.date_origin,
            edited: source.edited,
            content,
            warning: source.warning,
            sensitive: source.sensitive,
            reply_to: source.reply_to,
            attachments,
            details,
            boost_of,
            refers_to: source.told.refers_to,
            format: source.format,
            reader_version: source.reader_version,
            source_bytes,
            remarks,
        })
    }
}

/// What a richer source told, made safe to keep and to show.
pub(super) fn details(told: &Told, published: DateTime<Utc>, now: DateTime<Utc>) -> Details {
    let maybe = |text: &Option<String>| text.as_deref().map(storable);
    let option = |option: &PollOption| PollOption { name: storable(&option.name), votes: option.votes };
    let poll = |poll: &Poll| Poll { options: poll.options.iter().map(option).collect(), ..poll.clone() };
    Details {
        object_type: match &told.kind {
            SourceKind::Other(name) => Some(storable(name)),
            _ => None,
        },
        title: maybe(&told.title).filter(|title| !title.trim().is_empty()),
        languages: told.languages.iter().map(|(name, html)| (storable(name), SafeHtml::sanitise(html))).collect(),
        mentions: told
            .mentions
            .iter()
            .map(|who| Mention { href: storable(&who.href), name: storable(&who.name) })
            .collect(),
        emoji: told
            .emoji
            .iter()
            .map(|emoji| Emoji { shortcode: storable(&emoji.shortcode), url: maybe(&emoji.url) })
            .collect(),
        poll: told.poll.as_ref().map(|told| poll(told).closed(published, now)),
        quote: maybe(&told.quote),
        answers: maybe(&told.answers),
        totals: told.totals,
    }
}

/// What a source told about a file, of which only what cannot upset another server is kept.
pub(super) fn media_told(told: &MediaTold) -> MediaTold {
    let maybe = |text: &Option<String>| text.as_deref().map(storable);
    MediaTold {
        media_type: maybe(&told.media_type),
        blurhash: maybe(&told.blurhash).filter(|hash| hash.len() >= 6),
        duration: maybe(&told.duration).filter(|duration| is_duration(duration)),
        icon: maybe(&told.icon),
        ..told.clone()
    }
}

/// Whether a text is an ISO 8601 duration in hours, minutes and seconds, as `PT1H2M3.5S`: what servers write for a film.
fn is_duration(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix("PT").filter(|rest| !rest.is_empty()) else { return false };
    for unit in ['H', 'M', 'S'] {
        if let Some((number, after)) = rest.split_once(unit) {
            if number.parse::<f64>().is_err() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                return false;
            }
            rest = after;
        }
    }
    rest.is_empty()
}

/// Text as Postgres takes it: it has no place for U+0000.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// The ISO 639-1 code of a text's language, where it is clear enough.
pub(super) fn detect_language(plain: &str) -> Option<String> {
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
    fn a_duration_has_hours_minutes_and_seconds_in_that_order() {
        assert!(["PT12.5S", "PT1H2M3S", "PT90M"].into_iter().all(is_duration));
        assert!(!["", "PT", "12", "PTS", "PT1X", "PT1S2M", "P1D", "PT-1S", "PT1e5S"].into_iter().any(is_duration));
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
