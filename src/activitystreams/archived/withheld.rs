//! Posts that were not for everyone, in an archive that its owner asked for: never with a public address.
//!
//! An item that came from an archive goes out as it came. Start with [`readdress`]; [`for_nobody`] is for those of pages.

use super::{Names, moment, published};
use crate::domain::source::MediaKind;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A private post of a page, which says of nobody that they may read it. Never a public address, whatever the page was.
pub fn for_nobody(page: &NotPublic<'_>, names: &Names, media: Vec<Value>) -> Value {
    let id = page.id;
    let published = published(page.published, id);
    let language = page.language.filter(|_| !page.html.is_empty());
    let hashtags = page.tags.iter().map(|tag| json!({ "type": "Hashtag", "name": format!("#{tag}") }));
    let mut note = json!({
        "id": id,
        "type": "Note",
        "summary": page.warning,
        "inReplyTo": null,
        "published": published,
        "url": page.url,
        "attributedTo": names.actor,
        "to": [],
        "cc": [],
        "sensitive": page.sensitive,
        "content": page.html,
        "attachment": media,
        "tag": hashtags.collect::<Vec<_>>(),
    });
    if let Some(language) = language {
        note["contentMap"] = json!({ language: page.html });
    }
    if let Some(edited) = page.edited {
        note["updated"] = json!(moment(edited));
    }
    json!({
        "id": format!("{id}#activity"),
        "type": "Create",
        "actor": names.actor,
        "published": published,
        "to": [],
        "cc": [],
        "object": note,
    })
}

/// What is known of a post that was not for everyone and came from a page.
#[derive(Clone, Debug)]
pub struct NotPublic<'a> {
    /// Its id, or its page.
    pub id: &'a str,
    /// Its page.
    pub url: Option<&'a str>,
    /// When it was published.
    pub published: DateTime<Utc>,
    /// When it was edited.
    pub edited: Option<DateTime<Utc>>,
    /// Its text.
    pub html: &'a str,
    /// Its warning.
    pub warning: Option<&'a str>,
    /// Whether its media are sensitive.
    pub sensitive: bool,
    /// Its language.
    pub language: Option<&'a str>,
    /// Its hashtags.
    pub tags: &'a [String],
}

/// An attachment of such a post.
pub fn plain_document(media_type: Option<&str>, kind: MediaKind, url: &str, alt: Option<&str>) -> Value {
    let class = match kind {
        MediaKind::Image => "Image",
        MediaKind::Video => "Video",
        MediaKind::Audio => "Audio",
    };
    json!({ "type": class, "mediaType": media_type, "url": url, "name": alt })
}

/// Give other addresses to the attachments of an activity, by the one that each has. Nothing else in it changes.
pub fn readdress(activity: &mut Value, address: &dyn Fn(&str) -> Option<String>) {
    let object = if activity.get("object").is_some_and(Value::is_object) { &mut activity["object"] } else { activity };
    let change = |value: &mut Value| {
        if let Some(found) = value.as_str().and_then(address) {
            *value = found.into();
        }
    };
    let each = |value: &mut Value, change: &dyn Fn(&mut Value)| match value {
        Value::Array(items) => items.iter_mut().for_each(change),
        Value::Null => {}
        single => change(single),
    };
    let Some(attachments) = object.get_mut("attachment") else { return };
    each(attachments, &|attachment| {
        let Some(url) = attachment.get_mut("url") else { return };
        each(url, &|url| match url {
            Value::String(_) => change(url),
            link => {
                let key = if link.get("href").is_some() { "href" } else { "url" };
                link.get_mut(key).into_iter().for_each(change);
            }
        });
    });
}
