//! Where each post stood before and where it stands now: a page for people, and a collection for programs.
//!
//! Only posts that the account shows, and only those whose source says where they stood. Both are read page by page.

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
use crate::domain::post::Entry;
use crate::store::listing::{Listing, Page};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use serde_json::Value;

/// Posts on a page.
const PAGE: i64 = 200;

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

/// `/users/H/migration.json` and its pages: an OrderedCollection of Moves from old ids to ours (FEP-1580, R-111).
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
    let cursor = cursor(&request)?;
    let page = data.store.page_posts(Listing::Account(account.id), cursor, PAGE).await.map_err(no_place)?;
    let moved = |entry: &Entry| entry.post().and_then(|post| render::moved(post, &account));
    // An id that is told is an id that is known: the date is fixed from now on.
    let told = page.entries.iter().filter(|entry| entry.exposed().is_none() && moved(entry).is_some());
    expose(&data, &here, &account, &told.map(Entry::id).collect::<Vec<_>>(), Utc::now()).await?;
    let collection = Collection {
        context_terms: Some(context::plain()),
        id: format!("{root}?{}", request.query_string()),
        kind: "OrderedCollectionPage",
        next: older(&page).map(|id| format!("{root}?page=true&max_id={id}")),
        part_of: Some(root),
        ordered_items: Some(page.entries.iter().filter_map(moved).collect()),
        ..Collection::default()
    };
    let document = Document::json(ACTIVITY_JSON, &collection, PAGE_AGE).changed(account.changed).kept(None);
    Ok(document.respond(&request, Utc::now()))
}

/// The number behind which older posts stand.
fn older(page: &Page) -> Option<i64> {
    page.entries.last().filter(|_| page.older).map(|entry| entry.id().0)
}
