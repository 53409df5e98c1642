//! What a text refers to: hashtags, people, custom emoji and quoted posts.

use super::value::{id, is_kind, list, text};
use crate::domain::told::{Emoji, Mention};
use serde_json::Value;

/// Hashtags without `#`, each once, as first spelled.
pub(super) fn hashtags(object: &Value) -> Vec<String> {
    spelled(object.get("tag"))
}

/// The same of a list of tags.
pub(in crate::activitystreams) fn spelled(list_of_tags: Option<&Value>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in list(list_of_tags).iter().filter(|tag| is_kind(tag, "Hashtag")) {
        let name = text(tag.get("name")).unwrap_or_default();
        let name = name.trim().trim_start_matches(['#', '＃']);
        let is_new = || tags.iter().all(|known| known.to_lowercase() != name.to_lowercase());
        if !name.is_empty() && is_new() {
            tags.push(name.to_owned());
        }
    }
    tags
}

/// People whom it names.
pub(super) fn mentions(object: &Value) -> Vec<Mention> {
    let read = |tag: &Value| {
        let href = text(tag.get("href"))?;
        Some(Mention { name: text(tag.get("name")).unwrap_or_else(|| href.clone()), href })
    };
    of_kind(object, "Mention").filter_map(read).collect()
}

/// Custom emoji, each once. Pleroma also lists them as `{"shortcode": "url"}` beside the tags.
pub(super) fn emoji(object: &Value) -> Vec<Emoji> {
    let read = |tag: &Value| {
        let icon = list(tag.get("icon")).first();
        let url =
            icon.and_then(|icon| text(icon.get("url")).or_else(|| id(icon.get("url"))).or_else(|| text(Some(icon))));
        Some(Emoji { shortcode: with_colons(&text(tag.get("name"))?)?, url })
    };
    let tagged = of_kind(object, "Emoji").filter_map(read);
    let listed = object.get("emoji").and_then(Value::as_object).into_iter().flatten();
    let listed = listed.filter_map(|(name, url)| Some(Emoji { shortcode: with_colons(name)?, url: text(Some(url)) }));
    let mut emoji: Vec<Emoji> = Vec::new();
    for one in tagged.chain(listed) {
        if emoji.iter().all(|known| known.shortcode != one.shortcode) {
            emoji.push(one);
        }
    }
    emoji
}

/// The id of the post that it quotes, in the order in which servers read the spellings, then FEP-e232's links.
pub(super) fn quote(object: &Value) -> Option<String> {
    let stated = ["quote", "_misskey_quote", "quoteUrl", "quoteUri", "quoteURL", "quoteURI"];
    let gone = |value: &Value| is_kind(value, "Tombstone");
    let stated =
        stated.iter().find_map(|key| object.get(*key).filter(|value| !gone(value)).and_then(|value| id(Some(value))));
    stated.or_else(|| {
        let is_object = |link: &&Value| {
            let kind = text(link.get("mediaType")).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            matches!(kind, "application/activity+json" | "application/ld+json")
        };
        of_kind(object, "Link").find(is_object).and_then(|link| text(link.get("href")))
    })
}

fn of_kind<'a>(object: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    list(object.get("tag")).iter().filter(move |tag| is_kind(tag, kind))
}

fn with_colons(name: &str) -> Option<String> {
    let name = name.trim().trim_matches(':');
    (!name.is_empty()).then(|| format!(":{name}:"))
}
