//! Where each post stood before and where it stands now: a page for people, and a collection for programs.
//!
//! Only posts that the account shows, and only those whose source says where they stood. Both are read page by page, and the
//! collection can be had in one file too.

use super::Data;
use super::activitypub::{expose, get_account};
use super::collections::no_place;
use super::error::Error;
use super::extract::Here;
use super::pages::{Seen, cursor, find, guarded, rendered};
use super::respond::{ACTIVITY_JSON, Document, HTML, PAGE_AGE};
use super::views::{MovedPage, MovedPost};
use crate::activitystreams::context;
use crate::activitystreams::render::{self, is_web_address};
use crate::activitystreams::vocabulary::Collection;
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::Entry;
use crate::store::listing::{Cursor, Listing, Page};
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use futures::stream;
use serde_json::Value;
use std::sync::Arc;

/// Posts on a page.
const PAGE: i64 = 200;

/// The collection in one file, as far as it was sent.
struct Walk {
    data: Data,
    here: Here,
    account: Arc<Account>,
    /// What stands before the items, until that is sent.
    head: String,
    /// Whether an item was sent.
    begun: bool,
    /// Which posts come next; `None`: all is sent.
    next: Option<Cursor>,
}

/// `/@H/moved`: the old address of each post, with the new one.
pub async fn page(
    data: Data,
    here: Here,
    handle: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let account = match find(&data, &here, &handle, &request).await? {
        Seen::Account(account) => account,
        Seen::Answer(answer) => return Ok(answer),
    };
    let page = data.store.page_posts(Listing::Account(account.id), cursor(&request)?, PAGE).await.map_err(no_place)?;
    let posts = page.entries.iter().filter_map(Entry::post);
    let moved = posts.filter_map(|post| {
        let old = post.canonical_url.as_ref().or(post.object_id.as_ref().filter(|_| post.object_id_stated))?;
        is_web_address(old).then(|| MovedPost::new(post, old, account.urls().page(post.id)))
    });
    let moved = moved.collect();
    let body = rendered(&MovedPage::new(&account, moved, older(&page)))?;
    let document = Document::new(HTML, body, PAGE_AGE).changed(account.changed);
    Ok(guarded(document, &account).respond(&request, Utc::now()))
}

/// `/users/H/migration.json` and its pages: an OrderedCollection of Moves from old ids to ours (FEP-1580, R-111). With
/// `?all=true` it is the whole of it.
///
/// It is a statement of ours and no more. The actor does not name it as its `migration`: that needs a Move of the old actor,
/// signed by it.
pub async fn collection(
    data: Data,
    here: Here,
    handle: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let account = get_account(&data, &here, &handle).await?;
    let root = account.urls().under("migration.json");
    if request.query_string().is_empty() {
        let collection = Collection {
            context_terms: Some(context::plain()),
            kind: "OrderedCollection",
            attributed_to: Some(account.urls().actor()),
            first: Some(Value::from(format!("{root}?page=true"))),
            id: root,
            ..Collection::default()
        };
        let document = Document::json(ACTIVITY_JSON, &collection, PAGE_AGE).changed(account.changed).kept(None);
        return Ok(document.respond(&request, Utc::now()));
    }
    if request.query_string() == "all=true" {
        return Ok(whole(data, here, account, &request));
    }
    let cursor = cursor(&request)?;
    let page = data.store.page_posts(Listing::Account(account.id), cursor, PAGE).await.map_err(no_place)?;
    let items = tell(&data, &here, &account, &page).await?;
    let collection = Collection {
        context_terms: Some(context::plain()),
        id: format!("{root}?{}", request.query_string()),
        kind: "OrderedCollectionPage",
        next: older(&page).map(|id| format!("{root}?page=true&max_id={id}")),
        part_of: Some(root),
        ordered_items: Some(items),
        ..Collection::default()
    };
    let document = Document::json(ACTIVITY_JSON, &collection, PAGE_AGE).changed(account.changed).kept(None);
    Ok(document.respond(&request, Utc::now()))
}

/// The whole collection, made while it is sent: what it takes in memory does not grow with the archive.
fn whole(data: Data, here: Here, account: Arc<Account>, request: &HttpRequest) -> HttpResponse {
    let collection = Collection {
        context_terms: Some(context::plain()),
        id: format!("{}?all=true", account.urls().under("migration.json")),
        kind: "OrderedCollection",
        attributed_to: Some(account.urls().actor()),
        ordered_items: Some(Vec::new()),
        ..Collection::default()
    };
    // The items stand last.
    let empty = serde_json::to_string(&collection).unwrap_or_default();
    let head = empty.strip_suffix("]}").unwrap_or_default().to_owned();
    let mut response = HttpResponse::Ok();
    response.content_type(ACTIVITY_JSON).insert_header((header::CACHE_CONTROL, format!("public, max-age={PAGE_AGE}")));
    if request.method() == Method::HEAD {
        return response.streaming(stream::empty::<std::io::Result<web::Bytes>>());
    }
    let walk = Walk { data, here, account, head, begun: false, next: Some(Cursor::Newest) };
    response.streaming(stream::try_unfold(walk, Walk::step))
}

impl Walk {
    /// The next piece of the file. An error breaks the answer off, so that nobody takes it for whole.
    async fn step(mut self) -> std::io::Result<Option<(web::Bytes, Walk)>> {
        let Some(cursor) = self.next else { return Ok(None) };
        let listing = Listing::Account(self.account.id);
        let page = self.data.store.page_posts(listing, cursor, PAGE).await.map_err(|error| broken(&error))?;
        let items = tell(&self.data, &self.here, &self.account, &page).await.map_err(|error| broken(&error))?;
        let mut text = std::mem::take(&mut self.head);
        for item in items {
            text.push_str(if self.begun { ",\n" } else { "\n" });
            text.push_str(&item.to_string());
            self.begun = true;
        }
        self.next = older(&page).map(|id| Cursor::Before(PostId(id)));
        // A piece without a byte would end the answer.
        text.push_str(if self.next.is_none() { "]}\n" } else { "\n" });
        Ok(Some((web::Bytes::from(text), self)))
    }
}

fn broken(error: &dyn std::fmt::Display) -> std::io::Error {
    tracing::error!(%error, "a list of old ids was broken off");
    std::io::Error::other(error.to_string())
}

/// The Moves of a page. An id that is told is an id that is known: its date is fixed from now on.
async fn tell(data: &Data, here: &Here, account: &Account, page: &Page) -> Result<Vec<Value>, Error> {
    let moved = |entry: &Entry| entry.post().and_then(|post| render::moved(post, account));
    let told = page.entries.iter().filter(|entry| entry.exposed().is_none() && moved(entry).is_some());
    expose(data, here, account, &told.map(Entry::id).collect::<Vec<_>>(), Utc::now()).await?;
    Ok(page.entries.iter().filter_map(moved).collect())
}

/// The number behind which older posts stand.
fn older(page: &Page) -> Option<i64> {
    page.entries.last().filter(|_| page.older).map(|entry| entry.id().0)
}
