//! A feed in each of its formats: Atom (RFC 4287), RSS 2.0 and JSON Feed 1.1.

use super::items::{Author, Item};
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::http::error::Error;
use crate::http::pages::rendered;
use askama::Template;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A format of feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4287.
    Atom,
    /// RSS 2.0.
    Rss,
    /// JSON Feed 1.1.
    Json,
}

/// What a feed is about.
pub struct About {
    title: String,
    description: String,
    icon: Option<String>,
    /// The author of all of it, if there is one.
    author: Option<Author>,
}

/// A document of a feed.
pub struct Feed {
    /// Its entries, newest first.
    pub items: Vec<Item>,
    /// Where it stands.
    pub address: String,
    /// Where the feed itself stands.
    pub current: String,
    /// The identity of the feed, the same in all of its Atom documents.
    pub id: String,
    /// The page that shows the same.
    pub page: String,
    /// Whether it is an archive document.
    pub is_archive: bool,
    /// The archive document with the entries that come before.
    pub previous: Option<String>,
    /// The archive document with those that come after.
    pub next: Option<String>,
    /// What it is about.
    pub about: About,
    /// When it last changed, if it has no entries.
    pub changed: DateTime<Utc>,
}

impl Format {
    /// The format of that name.
    pub fn read(name: &str) -> Option<Format> {
        [Format::Atom, Format::Rss, Format::Json].into_iter().find(|format| format.name() == name)
    }

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Format::Atom => "atom",
            Format::Rss => "rss",
            Format::Json => "json",
        }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Atom => "application/atom+xml; charset=utf-8",
            Format::Rss => "application/rss+xml; charset=utf-8",
            Format::Json => "application/feed+json; charset=utf-8",
        }
    }
}

impl About {
    /// An account.
    pub fn account(account: &Account) -> About {
        let title = format!("{} (@{})", account.display_name(), account.address());
        let summary = account.profile.summary.excerpt(usize::MAX);
        let author = Author::of(account);
        About {
            description: if summary.is_empty() { format!("Posts by {title}") } else { summary },
            icon: author.avatar.clone(),
            author: Some(author),
            title,
        }
    }

    /// A hashtag on a host.
    pub fn tag(tag: &str, host: &str) -> About {
        let title = format!("#{tag} at {host}");
        About { description: format!("Posts tagged #{tag} at {host}"), icon: None, author: None, title }
    }
}

impl Feed {
    /// The document in a format.
    pub fn render(&self, format: Format) -> Result<String, Error> {
        match format {
            Format::Atom => Ok(allowed(rendered(&Atom { feed: self })?)),
            Format::Rss => Ok(allowed(rendered(&Rss { feed: self })?)),
            Format::Json => Ok(serde_json::to_string(&JsonFeed::new(self)).unwrap_or_default()),
        }
    }

    fn updated(&self) -> DateTime<Utc> {
        self.items.iter().map(|item| item.updated).max().unwrap_or(self.changed)
    }

    fn updated_iso(&self) -> String {
        timestamp(self.updated())
    }

    fn updated_mail(&self) -> String {
        self.updated().to_rfc2822()
    }
}

/// A document of XML without the characters that XML 1.0 has no way to write (section 2.2).
fn allowed(mut document: String) -> String {
    document.retain(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..));
    document
}

#[derive(Template)]
#[template(path = "atom.xml")]
struct Atom<'a> {
    feed: &'a Feed,
}

#[derive(Template)]
#[template(path = "rss.xml")]
struct Rss<'a> {
    feed: &'a Feed,
}

#[derive(Serialize)]
struct JsonFeed<'a> {
    version: &'static str,
    title: &'a str,
    home_page_url: &'a str,
    feed_url: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<JsonAuthor<'a>>,
    items: Vec<JsonItem<'a>>,
}

#[derive(Serialize)]
struct JsonAuthor<'a> {
    name: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonItem<'a> {
    id: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    content_html: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    date_published: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_modified: Option<String>,
    authors: Vec<JsonAuthor<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<JsonAttachment<'a>>,
}

#[derive(Serialize)]
struct JsonAttachment<'a> {
    url: &'a str,
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    size_in_bytes: i64,
}

impl<'a> JsonFeed<'a> {
    fn new(feed: &'a Feed) -> JsonFeed<'a> {
        JsonFeed {
            version: "https://jsonfeed.org/version/1.1",
            title: &feed.about.title,
            home_page_url: &feed.page,
            feed_url: &feed.current,
            description: &feed.about.description,
            next_url: feed.previous.as_deref(),
            icon: feed.about.icon.as_deref(),
            authors: feed.about.author.iter().map(JsonAuthor::new).collect(),
            items: feed.items.iter().map(JsonItem::new).collect(),
        }
    }
}

impl<'a> JsonAuthor<'a> {
    fn new(author: &'a Author) -> JsonAuthor<'a> {
        JsonAuthor { name: &author.name, url: &author.url, avatar: author.avatar.as_deref() }
    }
}

impl<'a> JsonItem<'a> {
    fn new(item: &'a Item) -> JsonItem<'a> {
        let attachments = item.enclosures.iter().map(|file| JsonAttachment {
            url: &file.url,
            mime_type: &file.media_type,
            title: file.alt.as_deref(),
            size_in_bytes: file.bytes,
        });
        JsonItem {
            id: &item.id,
            url: &item.url,
            title: item.title.as_deref(),
            content_html: &item.html,
            summary: item.warning.as_deref(),
            date_published: item.published_iso(),
            date_modified: (item.updated > item.published).then(|| item.updated_iso()),
            authors: vec![JsonAuthor::new(&item.author)],
            tags: &item.tags,
            language: item.language.as_deref(),
            attachments: attachments.collect(),
        }
    }
}
