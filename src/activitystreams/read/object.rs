//! A post as another server wrote it, taken apart field by field.

use super::value::{count, flag, id, ids, kinds, list, text, time, total};
use super::{media, tags};
use crate::domain::source::SourceMedia;
use crate::domain::told::{Poll, PollOption, SourceKind, Told, Totals};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// The types that Everpost takes for posts.
const POSTS: [&str; 8] = ["Note", "Question", "Article", "Page", "Video", "Audio", "Event", "Image"];
/// Longest language tag: RFC 5646 asks for room for 35 characters.
const LONGEST_LANGUAGE: usize = 35;

/// A post of another server.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its id.
    pub id: Option<String>,
    /// Who wrote it: several for films of a channel.
    pub authors: Vec<String>,
    /// Its page.
    pub page: Option<String>,
    /// When it was published.
    pub published: Option<DateTime<Utc>>,
    /// When it was last edited.
    pub updated: Option<DateTime<Utc>>,
    /// The text as raw HTML.
    pub html: String,
    /// The content warning.
    pub warning: Option<String>,
    /// Whether its media are to be hidden at first.
    pub sensitive: bool,
    /// The language of the text.
    pub language: Option<String>,
    /// Hashtags without `#`.
    pub tags: Vec<String>,
    /// Its media in order.
    pub media: Vec<SourceMedia>,
    /// All the rest.
    pub told: Told,
}

/// Whether an object is of a type that Everpost takes for a post.
pub(super) fn is_post(value: &Value) -> bool {
    kinds(value).iter().any(|kind| POSTS.contains(kind))
}

impl Object {
    /// Read a post; the error says what it is instead.
    pub fn read(value: &Value) -> Result<Object, String> {
        let Some(kind) = kinds(value).into_iter().find(|kind| POSTS.contains(kind)) else {
            return Err(match kinds(value).first() {
                Some(other) => format!("holds something of type {}, which is no post", super::value::short(other)),
                None => "holds something that does not say of what type it is".to_owned(),
            });
        };
        let (html, languages) = words(value, "content", "contentMap");
        let (summary, _) = words(value, "summary", "summaryMap");
        let (title, _) = words(value, "name", "nameMap");
        let sensitive = flag(value.get("sensitive"));
        // Only for short posts is the summary a warning; that of an article tells what it is about.
        let warns = matches!(kind, "Note" | "Question") || sensitive;
        let (warning, summary) = if warns { (summary, None) } else { (None, summary) };
        let language = languages.first().map(|(language, _)| language.clone());
        let told = Told {
            kind: match kind {
                "Note" => SourceKind::Note,
                "Question" => SourceKind::Question,
                other => SourceKind::Other(other.to_owned()),
            },
            title,
            summary,
            written: written(value),
            languages: if languages.len() > 1 { languages } else { Vec::new() },
            mentions: tags::mentions(value),
            emoji: tags::emoji(value),
            poll: poll(value),
            quote: tags::quote(value),
            refers_to: None,
            answers: id(value.get("inReplyTo")),
            conversation: id(value.get("conversation")).or_else(|| id(value.get("context"))),
            totals: totals(value),
        };
        Ok(Object {
            id: text(value.get("id")),
            authors: ids(value.get("attributedTo")),
            page: page(value.get("url")),
            published: time(value.get("published")),
            updated: time(value.get("updated")),
            html: as_html(html.unwrap_or_default(), value.get("mediaType")),
            warning,
            sensitive,
            language: language.or_else(|| text(value.get("language")).filter(|tag| is_language(tag))),
            tags: tags::hashtags(value),
            media: media::media(value),
            told,
        })
    }
}

/// A text, and the same by language with the main one first.
fn words(value: &Value, key: &str, by_language: &str) -> (Option<String>, Vec<(String, String)>) {
    let plain = text(value.get(key));
    let map = value.get(by_language).and_then(Value::as_object).into_iter().flatten();
    let mut all: Vec<(String, String)> = map
        .filter(|(language, _)| is_language(language))
        .filter_map(|(language, words)| Some((language.clone(), text(Some(words))?)))
        .collect();
    let main = all.iter().position(|(_, words)| Some(words) == plain.as_ref()).unwrap_or(0);
    if main < all.len() {
        all[..=main].rotate_right(1);
    }
    (plain.or_else(|| all.first().map(|(_, words)| words.clone())), all)
}

/// Whether this can be a language tag that says something: `und` says that it is not known.
fn is_language(tag: &str) -> bool {
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() <= LONGEST_LANGUAGE && tag.split('-').all(letters) && !matches!(tag, "und" | "mul" | "zxx")
}

/// HTML, also where the text is none: PeerTube writes Markdown, which is shown as it stands.
fn as_html(words: String, media_type: Option<&Value>) -> String {
    match media_type.and_then(Value::as_str) {
        Some(kind) if kind.starts_with("text/") && !kind.starts_with("text/html") => {
            SafeHtml::from_plain(&words).as_str().to_owned()
        }
        _ => words,
    }
}

/// The page of a post: the one address, or of several links the one to HTML.
fn page(value: Option<&Value>) -> Option<String> {
    let links = list(value);
    let href = |link: &Value| text(Some(link)).or_else(|| text(link.get("href")));
    let kind = |link: &Value| text(link.get("mediaType"));
    let html = links.iter().find(|link| kind(link).is_some_and(|kind| kind.starts_with("text/html")));
    html.or_else(|| links.iter().find(|link| kind(link).is_none())).and_then(href)
}

/// The text as its author wrote it.
fn written(value: &Value) -> Option<(String, String)> {
    let source = value.get("source")?;
    let words = text(Some(source)).or_else(|| text(source.get("content")))?;
    Some((words, text(source.get("mediaType")).unwrap_or_else(|| "text/plain".to_owned())))
}

fn poll(value: &Value) -> Option<Poll> {
    let (options, multiple) = match (list(value.get("anyOf")), list(value.get("oneOf"))) {
        ([], []) => return None,
        ([], one) => (one, false),
        (any, _) => (any, true),
    };
    let options = options.iter().filter_map(|option| {
        let votes = total(option.get("replies"));
        Some(PollOption { name: text(option.get("name"))?, votes })
    });
    let ends = time(value.get("endTime"));
    // `closed` is a time, or just says so.
    let closed = time(value.get("closed")).or_else(|| ends.filter(|_| flag(value.get("closed"))));
    Some(Poll { multiple, options: options.collect(), ends, closed, voters: count(value.get("votersCount")) })
}

/// Totals by the collections that ActivityPub names, else by Pleroma's counts.
fn totals(value: &Value) -> Totals {
    let of = |key: &str, other: &str| total(value.get(key)).or_else(|| count(value.get(other)));
    Totals {
        likes: of("likes", "like_count"),
        boosts: of("shares", "announcement_count"),
        replies: of("replies", "repliesCount"),
    }
}
