//! A source post made ready to be stored: judged, sanitised, its media kept. The edge where all HTML is cleaned, once.

use crate::domain::details::Details;
use crate::domain::ids::PostId;
use crate::domain::post::{Attachment, NewPost, Visibility};
use crate::domain::snowflake;
use crate::domain::source::{Emoji, Mention, Poll, PollOption, Skipped, SourceKind, SourcePost, Told};
use crate::import::ArchiveReader;
use crate::media::MediaStore;
use crate::text::SafeHtml;
use chrono::{DateTime, SubsecRound, Utc};

/// Confidence above which a detected language is stated (R-48 wants none rather than a wrong one).
const LANGUAGE_CONFIDENCE: f64 = 0.9;
/// Fewest letters in which a language is looked for.
const LANGUAGE_LETTERS: usize = 24;
/// Compression of the source's bytes: zstd's default.
const ZSTD_LEVEL: i32 = 3;

/// Make a source post ready. `keep` says whether media are stored or only looked at.
pub(super) fn prepare(
    source: SourcePost,
    reader: &dyn ArchiveReader,
    media: &MediaStore,
    keep: bool,
    now: DateTime<Utc>,
) -> Result<NewPost, Skipped> {
    let skip = |reason: &str| Skipped { at: source.at.clone(), reason: reason.to_owned() };
    let visibility = Visibility::of(source.audience).ok_or_else(|| skip("it is not public"))?;
    let boost_of = match &source.told.kind {
        SourceKind::Boost(object) => Some(storable(object)),
        _ => None,
    };
    let content = if boost_of.is_some() { SafeHtml::default() } else { SafeHtml::sanitise(&source.html) };
    let details = details(&source.told);
    let attachments: Vec<Attachment> = source
        .media
        .iter()
        .map(|item| {
            let read = reader.media(&item.reference).map_err(|e| e.to_string()).and_then(|mut bytes| {
                let file = if keep { media.keep(&mut bytes) } else { media.inspect(&mut bytes) };
                file.map_err(|e| format!("{}: {e}", item.reference))
            });
            if let Err(reason) = &read {
                tracing::info!(at = source.at, reason, "a media file is missing");
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
    let says = boost_of.is_some() || details.poll.is_some() || details.title.is_some() || details.quote.is_some();
    if !says && content.to_plain().is_empty() && attachments.iter().all(|attachment| attachment.file.is_none()) {
        return Err(skip("nothing is left of it: no text, and no picture, film or sound that could be kept"));
    }
    let source_bytes = zstd::bulk::compress(&source.bytes, ZSTD_LEVEL)
        .map_err(|e| skip(&format!("it could not be compressed: {e}")))?;
    let trusted = source.status.filter(|id| snowflake::trusted_time(*id, Some(source.published), now).is_some());
    let hash = openssl::sha::sha256(source.key.0.as_bytes());
    let minted = snowflake::mint(source.published, u16::from_be_bytes([hash[0], hash[1]]));
    Ok(NewPost {
        preferred_id: PostId(trusted.unwrap_or(minted)),
        visibility,
        language: source.language.clone().or_else(|| detect_language(&content)),
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
        details,
        boost_of,
        format: source.format,
        reader_version: source.reader_version,
        source_bytes,
    })
}

/// What a richer source told, made safe to keep and to show.
fn details(told: &Told) -> Details {
    let maybe = |text: &Option<String>| text.as_deref().map(storable);
    Details {
        object_type: match &told.kind {
            SourceKind::Other(name) => Some(storable(name)),
            _ => None,
        },
        title: maybe(&told.title).filter(|title| !title.trim().is_empty()),
        languages: told
            .languages
            .iter()
            .filter(|_| told.languages.len() > 1)
            .map(|(name, html)| (storable(name), SafeHtml::sanitise(html)))
            .collect(),
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
        poll: told.poll.as_ref().map(|poll| Poll {
            options: poll
                .options
                .iter()
                .map(|option| PollOption { name: storable(&option.name), votes: option.votes })
                .collect(),
            ..poll.clone()
        }),
        quote: maybe(&told.quote),
        answers: maybe(&told.answers),
        conversation: maybe(&told.conversation),
        totals: told.totals,
    }
}

/// Text as Postgres takes it: it has no place for U+0000.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// The ISO 639-1 code of a text's language, where it is clear enough.
fn detect_language(content: &SafeHtml) -> Option<String> {
    let plain = content.to_plain();
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
        detect_language(&SafeHtml::from_plain(text))
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
