//! Collections: outbox, followers, pins, conversations, replies, reactions. Always ActivityPub, whatever Accept says.

use super::Data;
use super::activitypub::{expose, get_account, get_post};
use super::error::Error;
use super::extract::{Here, number, query};
use super::respond::{ACTIVITY_JSON, Document, OBJECT_AGE, PAGE_AGE};
use crate::activitystreams::context;
use crate::activitystreams::render;
use crate::activitystreams::vocabulary::Collection;
use crate::domain::account::Account;
use crate::domain::ids::{ContextId, PostId};
use crate::domain::post::{Entry, Post};
use crate::domain::thread;
use crate::operations::proofs::Prover;
use crate::store::listing::{Cursor, Listing};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Creates on a page of the outbox.
const OUTBOX_PAGE: i64 = 20;
/// Ids on a page of a conversation or of further replies: far below the 256 KiB that Misskey reads.
const IDS_PAGE: usize = 200;

/// `/users/H/outbox` and its pages.
pub async fn outbox(
    data: Data,
    here: Here,
    handle: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let account = get_account(&data, &here, &handle).await?;
    let root = account.urls().under("outbox");
    let Some((cursor, id)) = outbox_page(&request, &root)? else {
        let collection = Collection {
            context_terms: Some(context::plain()),
            kind: "OrderedCollection",
            attributed_to: Some(account.urls().actor()),
            total_items: Some(data.store.count_listed(account.id).await?),
            first: Some(Value::from(format!("{root}?page=true"))),
            last: Some(format!("{root}?page=true&min_id=0")),
            id: root,
            ..Collection::default()
        };
        return Ok(answer(&collection, &account, OBJECT_AGE, &request));
    };
    let page = data.store.page_posts(Listing::Account(account.id), cursor, OUTBOX_PAGE).await.map_err(no_place)?;
    let fresh: Vec<PostId> = page.entries.iter().filter(|entry| entry.exposed().is_none()).map(Entry::id).collect();
    expose(&data, &here, &account, &fresh, now).await?;
    let prover = here.prover(&data, &account).await?;
    let items = page.entries.iter().map(|entry| outbox_item(entry, &account, &prover, now));
    let newest = page.entries.first().filter(|_| page.newer).map(Entry::id);
    let oldest = page.entries.last().filter(|_| page.older).map(Entry::id);
    let collection = Collection {
        context_terms: Some(context::note()),
        id,
        kind: "OrderedCollectionPage",
        prev: newest.map(|id| format!("{root}?page=true&min_id={id}")),
        next: oldest.map(|id| format!("{root}?page=true&max_id={id}")),
        part_of: Some(root),
        ordered_items: Some(items.collect()),
        ..Collection::default()
    };
    let posts = || page.entries.iter().filter_map(Entry::post);
    let changed = posts().map(|post| render::changed(post, &account, now)).max();
    let until = posts().filter_map(|post| render::holds_until(post, &account, now)).min();
    let document = Document::json(ACTIVITY_JSON, &collection, PAGE_AGE).changed(changed.unwrap_or(account.changed));
    Ok(document.kept(until).respond(&request, now))
}

/// A Create or an Announce as it stands at its own id: with its proof, and the context that this needs.
fn outbox_item(entry: &Entry, account: &Account, prover: &Prover, now: DateTime<Utc>) -> Value {
    let (item, changed) = match entry {
        Entry::Post(post) => {
            let mut create = render::create(post, account, now);
            create.context_terms = prover.can().then(context::note);
            (serde_json::to_value(create), post.changed)
        }
        Entry::Boost(boost) => {
            let mut announce = render::announce(boost, account);
            announce.context_terms = prover.can().then(context::plain);
            (serde_json::to_value(announce), boost.changed)
        }
    };
    let mut item = item.unwrap_or_default();
    prover.prove(&mut item, changed);
    item
}

/// The error for a cursor that names no post.
pub(super) fn no_place(error: crate::store::Error) -> Error {
    match error {
        crate::store::Error::NotFound(_) => Error::bad_request("max_id or min_id names no post here."),
        other => other.into(),
    }
}

/// `/tags/T` for other servers: the ids of the posts that its page shows, in the same pages. Another spelling of the
/// hashtag's URL leads to its own.
pub(super) async fn tag(data: &Data, here: &Here, tag: &str, request: &HttpRequest) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let root = here.urls().tag(tag);
    if here.urls().path(request.uri().path()) != root {
        return Ok(HttpResponse::Found()
            .insert_header((header::LOCATION, root))
            .insert_header((header::VARY, "Accept"))
            .finish());
    }
    let paged = outbox_page(request, &root)?;
    let collection = match paged {
        None => Collection {
            context_terms: Some(context::plain()),
            kind: "OrderedCollection",
            first: Some(Value::from(format!("{root}?page=true"))),
            id: root,
            ..Collection::default()
        },
        Some((cursor, id)) => {
            let page =
                data.store.page_posts(Listing::Tag(here.id, tag), cursor, OUTBOX_PAGE).await.map_err(no_place)?;
            let accounts = data.store.list_accounts().await?;
            let owner = |post: &Post| accounts.iter().find(|account| account.id == post.account);
            let posts = page.entries.iter().filter_map(Entry::post);
            let items = posts.filter_map(|post| Some(Value::from(owner(post)?.urls().note(post.id))));
            let oldest = page.entries.last().filter(|_| page.older).map(Entry::id);
            Collection {
                context_terms: Some(context::plain()),
                id,
                kind: "OrderedCollectionPage",
                next: oldest.map(|id| format!("{root}?page=true&max_id={id}")),
                part_of: Some(root),
                ordered_items: Some(items.collect()),
                ..Collection::default()
            }
        }
    };
    Ok(Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).negotiated().respond(request, now))
}

/// The page that a query asks for, with its id; `None` for the collection itself.
fn outbox_page(request: &HttpRequest, root: &str) -> Result<Option<(Cursor, String)>, Error> {
    let (mut page, mut max, mut min) = (false, None, None);
    for (name, value) in query(request) {
        let id = || number(&value).ok_or_else(|| Error::bad_request("max_id and min_id take the number of a post."));
        match name.as_str() {
            "page" if matches!(value.as_str(), "true" | "1") => page = true,
            "page" => return Err(Error::bad_request("page takes true.")),
            "max_id" => max = Some(id()?),
            "min_id" => min = Some(id()?),
            _ => {}
        }
    }
    match (max, min) {
        (Some(_), Some(_)) => Err(Error::bad_request("max_id and min_id exclude each other.")),
        (Some(max), None) => Ok(Some((Cursor::Before(PostId(max)), format!("{root}?page=true&max_id={max}")))),
        (None, Some(min)) => Ok(Some((Cursor::After(PostId(min)), format!("{root}?page=true&min_id={min}")))),
        (None, None) if page => Ok(Some((Cursor::Newest, format!("{root}?page=true")))),
        (None, None) => Ok(None),
    }
}

/// `/users/H/followers` and `/users/H/following`: totals, and a first page that names nobody.
pub async fn people(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, which) = path.into_inner();
    let account = get_account(&data, &here, &handle).await?;
    let root = account.urls().under(&which);
    Ok(answer(&empty(root, &request)?, &account, OBJECT_AGE, &request))
}

/// An ordered collection with nothing in it, or its only page.
fn empty(root: String, request: &HttpRequest) -> Result<Collection, Error> {
    let page = query(request).into_iter().find(|(name, _)| name == "page").map(|(_, value)| value);
    let page_id = format!("{root}?page=1");
    match page.as_deref() {
        None => Ok(Collection {
            context_terms: Some(context::plain()),
            id: root,
            kind: "OrderedCollection",
            total_items: Some(0),
            first: Some(Value::from(page_id)),
            ..Collection::default()
        }),
        Some("1") => Ok(Collection {
            context_terms: Some(context::plain()),
            id: page_id,
            kind: "OrderedCollectionPage",
            total_items: Some(0),
            part_of: Some(root),
            ordered_items: Some(Vec::new()),
            ..Collection::default()
        }),
        Some(_) => Err(Error::bad_request("page takes 1: there is one page.")),
    }
}

/// `/users/H/collections/featured` and `…/tags`: no pins and no featured hashtags yet, objects inlined when there are.
pub async fn featured(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, which) = path.into_inner();
    let account = get_account(&data, &here, &handle).await?;
    let (kind, ordered) = if which == "featured" { ("OrderedCollection", true) } else { ("Collection", false) };
    let collection = Collection {
        context_terms: Some(context::plain()),
        id: account.urls().under(&format!("collections/{which}")),
        kind,
        total_items: Some(0),
        ordered_items: ordered.then(Vec::new),
        items: (!ordered).then(Vec::new),
        ..Collection::default()
    };
    Ok(answer(&collection, &account, OBJECT_AGE, &request))
}

/// `/users/H/contexts/ID`: a conversation's Notes in order of time (FEP-7888, FEP-f228, R-59). A conversation that was
/// merged into another one answers under its old URL with the whole.
pub async fn context(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, id) = path.into_inner();
    let account = get_account(&data, &here, &handle).await?;
    let urls = account.urls();
    let nothing = || Error::not_found("There is no such conversation here.");
    let asked = ContextId(number(&id).ok_or_else(nothing)?);
    let current = data.store.find_context(account.id, asked).await?.ok_or_else(nothing)?;
    let ids: Vec<PostId> = data.store.list_places(current).await?.into_iter().map(|place| place.id).collect();
    let root = urls.context(asked);
    let Some((start, page_id)) = context_page(&request, &root, &ids)? else {
        let collection = Collection {
            context_terms: Some(context::plain()),
            kind: "OrderedCollection",
            attributed_to: Some(urls.actor()),
            total_items: Some(i64::try_from(ids.len()).unwrap_or(i64::MAX)),
            first: Some(Value::from(format!("{root}?page=true"))),
            id: root,
            ..Collection::default()
        };
        return Ok(answer(&collection, &account, OBJECT_AGE, &request));
    };
    let shown = &ids[start..ids.len().min(start + IDS_PAGE)];
    let next = shown.last().filter(|_| start + shown.len() < ids.len());
    let collection = Collection {
        context_terms: Some(context::plain()),
        id: page_id,
        kind: "OrderedCollectionPage",
        next: next.map(|last| format!("{root}?page=true&min_id={last}")),
        part_of: Some(root),
        ordered_items: Some(shown.iter().map(|id| Value::from(urls.note(*id))).collect()),
        ..Collection::default()
    };
    Ok(answer(&collection, &account, OBJECT_AGE, &request))
}

/// Where a page of a conversation starts, with its id; `None` for the collection itself.
fn context_page(request: &HttpRequest, root: &str, ids: &[PostId]) -> Result<Option<(usize, String)>, Error> {
    let (mut page, mut after) = (false, None);
    for (name, value) in query(request) {
        match name.as_str() {
            "page" if value == "true" => page = true,
            "page" => return Err(Error::bad_request("page takes true.")),
            "min_id" => after = Some(number(&value).ok_or_else(|| Error::bad_request("min_id takes a number."))?),
            _ => {}
        }
    }
    match after {
        None if page => Ok(Some((0, format!("{root}?page=true")))),
        None => Ok(None),
        Some(after) => {
            let at = ids.iter().position(|id| id.0 == after);
            let at = at.ok_or_else(|| Error::bad_request("min_id names no post of this conversation."))?;
            Ok(Some((at + 1, format!("{root}?page=true&min_id={after}"))))
        }
    }
}

/// `…/statuses/ID/replies`: direct replies first, then everything below them.
pub async fn replies(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, id) = path.into_inner();
    let (account, post) = get_post(&data, &here, &handle, &id).await?;
    let urls = account.urls();
    let below = thread::below(&data.store.list_places(post.context).await?, post.id);
    let page = query(&request).into_iter().find(|(name, _)| name == "page").map(|(_, value)| value);
    let mut collection = match page.as_deref().map(number) {
        None => render::replies_root(&urls, post.id, &below.direct, !below.further.is_empty()),
        Some(Some(1)) => render::replies_page(&urls, post.id, 1, &below.direct, !below.further.is_empty()),
        Some(Some(page @ 2..=1_000_000)) => {
            let at = usize::try_from(page - 2).unwrap_or_default() * IDS_PAGE;
            let further = below.further.get(at..).filter(|rest| !rest.is_empty());
            let further = further.ok_or_else(|| Error::not_found("There is no such page."))?;
            let shown = &further[..further.len().min(IDS_PAGE)];
            let page = u32::try_from(page).unwrap_or(u32::MAX);
            render::replies_page(&urls, post.id, page, shown, shown.len() < further.len())
        }
        Some(_) => return Err(Error::bad_request("page takes a number from 1.")),
    };
    collection.context_terms = Some(context::plain());
    Ok(answer(&collection, &account, OBJECT_AGE, &request))
}

/// `…/statuses/ID/likes` and `…/shares`: our own counts, which begin at nothing, and those of the archive where the
/// owner wants them added.
pub async fn reactions(
    data: Data,
    here: Here,
    path: web::Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, id, which) = path.into_inner();
    let (account, post) = get_post(&data, &here, &handle, &id).await?;
    let (likes, shares) = render::reactions(&post, &account);
    let total = if which == "likes" { likes } else { shares };
    let collection = Collection {
        context_terms: Some(context::plain()),
        id: account.urls().under_note(post.id, &which),
        kind: "Collection",
        total_items: Some(i64::try_from(total).unwrap_or(i64::MAX)),
        ..Collection::default()
    };
    Ok(answer(&collection, &account, OBJECT_AGE, &request))
}

/// `/actor/outbox`: the server actor says nothing by itself.
pub async fn server_outbox(here: Here, request: HttpRequest) -> Result<HttpResponse, Error> {
    let collection = empty(format!("{}/outbox", here.urls().server_actor()), &request)?;
    Ok(Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).respond(&request, Utc::now()))
}

fn answer(collection: &Collection, account: &Account, age: u32, request: &HttpRequest) -> HttpResponse {
    Document::json(ACTIVITY_JSON, collection, age).changed(account.changed).kept(None).respond(request, Utc::now())
}
