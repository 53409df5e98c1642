//! How commands print: JSON, times, and an account or a post as an object that scripts rely on.

use crate::activitystreams::render::timestamp;
use crate::domain::account::{Account, AccountState};
use crate::domain::post::{Attachment, Post, Tombstone};
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
        let value = match value {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => Value::from(other),
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
        "published_here": !post.to_others,
        "context": post.context.to_string(),
        "content": post.content.as_str(),
        "attachments": attachments.collect::<Vec<_>>(),
        "exposed": post.exposed.map(timestamp),
    })
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
