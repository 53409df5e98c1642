//! How commands print: JSON, times, and an account or a post as an object that scripts rely on.

use crate::activitystreams::render::timestamp;
use crate::domain::account::{Account, AccountState};
use crate::domain::details::Details;
use crate::domain::post::{Attachment, Boost, Entry, Post, Tombstone};
use crate::domain::told::PollOption;
use serde_json::{Map, Value, json};
use std::io::Write;

/// Print a value as JSON on standard output, and nothing else.
pub fn json(value: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// An account's state as a word.
pub fn state(account: &Account) -> &'static str {
    match account.state {
        AccountState::Draft => "draft",
        AccountState::Live => "live",
        AccountState::Gone { .. } => "gone",
    }
}

/// The address that opens a draft's pages.
pub fn preview_url(account: &Account) -> Option<String> {
    let draft = account.state == AccountState::Draft;
    draft.then(|| format!("{}?preview={}", account.urls().profile(), account.preview_token))
}

/// An account with the number of posts that its outbox shows.
pub fn account(account: &Account, posts: i64) -> Value {
    let urls = account.urls();
    let archived = account.archived.as_ref().map(|archived| &archived.facts);
    let picture = |file: &crate::domain::post::MediaFile| urls.domain().media(&file.file_name());
    let settings = account.settings.entries().into_iter().map(|(key, value)| {
        let value = match value.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => other.parse().map_or_else(|_| Value::from(other), |number: u64| Value::from(number)),
        };
        (key.to_owned(), value)
    });
    json!({
        "handle": account.handle.as_str(),
        "address": format!("@{}", account.address()),
        "state": state(account),
        "page": urls.profile(),
        "actor": urls.actor(),
        "preview": preview_url(account),
        "source": account.source.as_ref().map(ToString::to_string),
        "source_actor": account.source_actor,
        "source_handle": archived.and_then(|facts| facts.handle.as_ref()).map(|handle| format!("@{handle}")),
        "source_published": archived.and_then(|facts| facts.published).map(timestamp),
        "source_moved_to": archived.and_then(|facts| facts.moved_to.as_ref()),
        "source_also_known_as": archived.map(|facts| &facts.also_known_as),
        "also_known_as": account.also_known_as(),
        "moved_to": account.moved_to,
        "posts": posts,
        "name": account.profile.name,
        "summary": account.profile.summary.as_str(),
        "fields": fields(&account.profile.fields),
        "avatar": account.profile.avatar.as_ref().map(picture),
        "header": account.profile.header.as_ref().map(picture),
        "settings": Map::from_iter(settings),
        "created": timestamp(account.created),
        "exposed": account.exposed.map(timestamp),
    })
}

/// The rows of a profile's table.
pub fn fields(fields: &[(String, String)]) -> Value {
    fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// A post.
pub fn post(post: &Post, account: &Account) -> Value {
    let urls = account.urls();
    let picture = |attachment: &Attachment| attachment.file.as_ref().and_then(|file| file.picture.clone());
    let attachments = post.attachments.iter().map(|attachment| {
        json!({
            "url": attachment.file.as_ref().map(|file| urls.domain().media(&file.file_name())),
            "media_type": attachment.file.as_ref().map(|file| &file.media_type),
            "kind": attachment.kind.name(),
            "width": picture(attachment).map(|picture| picture.width),
            "height": picture(attachment).map(|picture| picture.height),
            "blurhash": picture(attachment).and_then(|picture| picture.blurhash.clone()),
            "alt": attachment.alt,
            "focal_point": attachment.told.focal_point,
            "duration": attachment.told.duration,
            "source": attachment.source_url,
        })
    });
    json!({
        "id": post.id.to_string(),
        "state": "live",
        "key": post.key.to_string(),
        "url": urls.page(post.id),
        "object": urls.note(post.id),
        "canonical": post.canonical_url,
        "source_object": post.object_id,
        "published": timestamp(post.published),
        "date_estimated": post.date_estimated,
        "updated": post.updated.map(timestamp),
        "visibility": post.visibility.name(),
        "language": post.language,
        "warning": post.warning,
        "sensitive": post.sensitive,
        "tags": post.tags,
        "reply_to": post.reply_to.map(|id| id.to_string()),
        "published_here": post.listed,
        "context": post.context.to_string(),
        "content": post.content.as_str(),
        "details": details(post),
        "attachments": attachments.collect::<Vec<_>>(),
        "exposed": post.exposed.map(timestamp),
    })
}

/// What a richer source told about a post; null where that is nothing.
fn details(post: &Post) -> Value {
    let details = &post.details;
    if *details == Details::default() {
        return Value::Null;
    }
    let option = |option: &PollOption| json!({ "name": option.name, "votes": option.votes });
    json!({
        "type": details.object_type,
        "title": details.title,
        "languages": details.languages.iter().map(|(language, _)| language).collect::<Vec<_>>(),
        "mentions": details.mentions.iter().map(|who| json!({ "name": who.name, "url": who.href })).collect::<Vec<_>>(),
        "emoji": details.emoji.iter().map(|emoji| &emoji.shortcode).collect::<Vec<_>>(),
        "poll": details.poll.as_ref().map(|poll| json!({
            "multiple": poll.multiple,
            "options": poll.options.iter().map(option).collect::<Vec<_>>(),
            "closed": poll.closed.map(timestamp),
            "voters": poll.voters,
        })),
        "quotes": details.quote,
        "quotes_here": post.quoted.map(|id| id.to_string()),
        "answers": details.answers,
        "likes": details.totals.likes,
        "boosts": details.totals.boosts,
        "replies": details.totals.replies,
    })
}

/// A boost.
pub fn boost(boost: &Boost, account: &Account) -> Value {
    json!({
        "id": boost.id.to_string(),
        "state": "live",
        "key": boost.key.to_string(),
        "boost_of": boost.object,
        "boost_of_here": boost.ours.map(|id| id.to_string()),
        "activity": account.urls().under_note(boost.id, "activity"),
        "published": timestamp(boost.published),
        "visibility": boost.visibility.name(),
        "published_here": boost.listed,
        "exposed": boost.exposed.map(timestamp),
    })
}

/// What an account shows.
pub fn entry(entry: &Entry, account: &Account) -> Value {
    match entry {
        Entry::Post(post) => self::post(post, account),
        Entry::Boost(boost) => self::boost(boost, account),
    }
}

/// What is left of a withdrawn post.
pub fn tombstone(tombstone: &Tombstone) -> Value {
    json!({
        "id": tombstone.id.to_string(),
        "state": if tombstone.awaited { "awaited" } else { "withdrawn" },
        "key": tombstone.key.to_string(),
        "published": timestamp(tombstone.published),
        "withdrawn": timestamp(tombstone.withdrawn),
    })
}
