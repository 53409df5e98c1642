//! Feeds of an account and of a hashtag, for people without an account of their own.
//!
//! Atom, RSS and JSON Feed, with the whole history behind them in archive documents (RFC 5005, section 4; decision 0031).
//! They show what the pages show, to whom the pages show it. Start with [`of_account`].

pub mod formats;
pub mod items;

use super::Data;
use super::activitypub::expose;
use super::error::Error;
use super::extract::{Here, query};
use super::pages::{Seen, find, guarded};
use super::respond::{Document, OBJECT_AGE};
use crate::domain::account::{Account, AccountState};
use crate::domain::feed::{LEAST, MOST, Outline, Part};
use crate::domain::ids::PostId;
use crate::domain::post::Entry;
use crate::domain::urls::FeedUrls;
use crate::store::listing::Listing;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use formats::{Feed, Format};
use items::Item;
use std::sync::Arc;

/// What a feed is about.
enum Topic {
    /// An account.
    Account(Arc<Account>),
    /// A hashtag, in lower case.
    Tag(String),
}

/// The document that is asked for, or another address of it.
enum Asked {
    /// Some parts of the history, by their places in it; `None` for what is behind the newest.
    Parts { first: usize, end: Option<usize> },
    /// It stands elsewhere now.
    Elsewhere(String),
}

/// `/@H/feed.FORMAT`: what an account shows, newest first.
pub async fn of_account(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, format) = path.into_inner();
    answer_account(&data, &here, &handle, None, &format, &request).await
}

/// `/@H/feed/PART.FORMAT`: an archive document of it.
pub async fn archive_of_account(
    data: Data,
    here: Here,
    path: web::Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, part, format) = path.into_inner();
    answer_account(&data, &here, &handle, Some(&part), &format, &request).await
}

/// `/tags/T/feed.FORMAT`: what the page of a hashtag shows.
pub async fn of_tag(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (tag, format) = path.into_inner();
    answer_tag(&data, &here, &tag, None, &format, &request).await
}

/// `/tags/T/feed/PART.FORMAT`: an archive document of it.
pub async fn archive_of_tag(
    data: Data,
    here: Here,
    path: web::Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (tag, part, format) = path.into_inner();
    answer_tag(&data, &here, &tag, Some(&part), &format, &request).await
}

async fn answer_account(
    data: &Data,
    here: &Here,
    handle: &str,
    part: Option<&str>,
    format: &str,
    request: &HttpRequest,
) -> Result<HttpResponse, Error> {
    match find(data, here, handle, request).await? {
        Seen::Account(account) => answer(data, here, &Topic::Account(account), part, format, request).await,
        Seen::Answer(answer) => Ok(answer),
    }
}

async fn answer_tag(
    data: &Data,
    here: &Here,
    tag: &str,
    part: Option<&str>,
    format: &str,
    request: &HttpRequest,
) -> Result<HttpResponse, Error> {
    let tag = tag.to_lowercase();
    if tag.contains(char::is_control) {
        return Err(Error::not_found("There is no such hashtag here."));
    }
    answer(data, here, &Topic::Tag(tag), part, format, request).await
}

async fn answer(
    data: &Data,
    here: &Here,
    topic: &Topic,
    part: Option<&str>,
    format: &str,
    request: &HttpRequest,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let format = Format::read(format).ok_or_else(|| Error::not_found("There is no such feed here."))?;
    let (listing, urls) = match topic {
        Topic::Account(account) => (Listing::Account(account.id), account.urls().feeds()),
        Topic::Tag(tag) => (Listing::Tag(here.id, tag), here.urls().tag_feeds(tag)),
    };
    let outline = here.outline(data, listing, urls.page()).await?;
    let (first, end) = match asked(&outline, &urls, part, format, request)? {
        Asked::Parts { first, end } => (first, end),
        Asked::Elsewhere(there) => return Ok(elsewhere(&there, topic)),
    };
    let parts = outline.parts();
    let stand = |at: Option<usize>| at.and_then(|at| parts.get(at)).map(|part| part.first);
    let entries = match stand(Some(first)) {
        Some(from) => data.store.list_between(listing, from, stand(end), MOST + LEAST).await?,
        None => Vec::new(),
    };
    let accounts = match topic {
        Topic::Account(account) => vec![account.clone()],
        Topic::Tag(_) => data.store.list_accounts().await?.into_iter().map(Arc::new).collect(),
    };
    tell(data, here, &accounts, &entries, now).await?;
    let items = entries.iter().filter_map(|entry| {
        let account = accounts.iter().find(|account| account.id == owner(entry))?;
        Some(Item::new(entry, account))
    });
    let archive = |part: &Part| urls.archive(part, format.name());
    let neighbours = (first.checked_sub(1), end.filter(|end| *end < outline.archived()));
    // What other accounts of the domain do can change what stands under a hashtag.
    let changed = accounts.iter().filter(|account| account.domain == here.id).map(|account| account.changed).max();
    let feed = Feed {
        changed: changed.unwrap_or(DateTime::UNIX_EPOCH),
        items: items.collect(),
        address: end.map_or_else(|| urls.feed(format.name()), |_| archive(&parts[first])),
        current: urls.feed(format.name()),
        id: urls.feed(Format::Atom.name()),
        page: urls.page().to_owned(),
        is_archive: end.is_some(),
        previous: neighbours.0.and_then(|at| parts.get(at)).map(archive),
        next: neighbours.1.and_then(|at| parts.get(at)).map(archive),
        about: match topic {
            Topic::Account(account) => formats::About::account(account),
            Topic::Tag(tag) => formats::About::tag(tag, here.urls().authority()),
        },
    };
    let document = Document::new(format.content_type(), feed.render(format)?, OBJECT_AGE).any_origin();
    let document = document.link(format!("<{}>; rel=\"self\"", feed.address));
    let document = changed.into_iter().fold(document, Document::changed);
    let document = match topic {
        Topic::Account(account) => guarded(document, account),
        Topic::Tag(_) if feed.items.is_empty() => document,
        Topic::Tag(_) => document.kept(None),
    };
    Ok(document.respond(request, now))
}

/// Which parts an address means. The feed itself holds the newest; an archive document is one part, at the address that has
/// its version.
fn asked(
    outline: &Outline,
    urls: &FeedUrls,
    part: Option<&str>,
    format: Format,
    request: &HttpRequest,
) -> Result<Asked, Error> {
    let archived = outline.archived();
    let Some(name) = part else { return Ok(Asked::Parts { first: archived, end: None }) };
    let nothing = || Error::not_found("This feed has no such part.");
    let at = outline.find(name).ok_or_else(nothing)?;
    if at >= archived {
        return Ok(Asked::Elsewhere(urls.feed(format.name())));
    }
    let part = &outline.parts()[at];
    let given = query(request).into_iter().find(|(name, _)| name == "v").map(|(_, version)| version);
    match given.is_some_and(|version| version == part.version()) {
        true => Ok(Asked::Parts { first: at, end: Some(at + 1) }),
        false => Ok(Asked::Elsewhere(urls.archive(part, format.name()))),
    }
}

/// A redirect to where a part stands now. It may stand elsewhere after the next import.
fn elsewhere(there: &str, topic: &Topic) -> HttpResponse {
    let draft = matches!(topic, Topic::Account(account) if account.state == AccountState::Draft);
    let cache = if draft { "private, no-store" } else { "public, max-age=60" };
    HttpResponse::Found()
        .insert_header((header::LOCATION, there))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .finish()
}

fn owner(entry: &Entry) -> crate::domain::ids::AccountId {
    match entry {
        Entry::Post(post) => post.account,
        Entry::Boost(boost) => boost.account,
    }
}

/// Note what a feed tells of: who reads an id may fetch it, so that its date is fixed from now on.
async fn tell(
    data: &Data,
    here: &Here,
    accounts: &[Arc<Account>],
    entries: &[Entry],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    for account in accounts.iter().filter(|account| account.state == AccountState::Live) {
        let fresh = entries.iter().filter(|entry| owner(entry) == account.id && entry.exposed().is_none());
        let fresh: Vec<PostId> = fresh.map(Entry::id).collect();
        if !fresh.is_empty() {
            expose(data, here, account, &fresh, now).await?;
        }
    }
    Ok(())
}
