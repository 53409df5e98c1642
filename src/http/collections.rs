//! Collections: outbox, followers, pins, conversations, replies, reactions. Always ActivityPub, whatever Accept says.

use super::Data;
use super::activitypub::{expose, get_account, get_post, unseen};
use super::error::Error;
use super::extract::{Here, number, query};
use super::respond::{ACTIVITY_JSON, Document, OBJECT_AGE, PAGE_AGE};
use crate::activitystreams::context;
use crate::activitystreams::render::{self, Replies};
use crate::activitystreams::vocabulary::Collection;
use crate::domain::account::Account;
use crate::domain::follower::FollowState;
use crate::domain::ids::{ContextId, PostId};
use crate::domain::post::{Entry, Post};
use crate::domain::thread;
use crate::domain::urls::Named;
use crate::operations::App;
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

/// Notes that stand whole on a page of replies, and the room for them together in bytes: with the ids beside them less than
/// half of what Misskey reads.
const MOST_WHOLE: usize = 20;
const ROOM_FOR_WHOLE: usize = 96 << 10;

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

/// `/users/H/followers` and `/users/H/following`: totals, and pages that name followers only where the owner wants that
///
pub async fn people(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, which) = path.into_inner();
    let account = get_account(&data, &here, &handle).await?;
    let mut collection = empty(account.urls().under(&which), &request)?;
    if which == "followers" {
        let total = data.store.count_followers(account.id, FollowState::Accepted).await?;
        collection.total_items = Some(i64::try_from(total).unwrap_or(i64::MAX));
        if collection.part_of.is_some() && account.settings.show_followers {
            let before = query(&request).into_iter().find(|(name, _)| name == "max_id").map(|(_, value)| value);
            let before = before.map(|value| number(&value).ok_or_else(|| Error::bad_request("max_id takes a number.")));
            let before = before.transpose()?;
            let mut found = data.store.page_followers(account.id, before, IDS_PAGE + 1).await?;
            let root = collection.part_of.clone().unwrap_or_default();
            if found.len() > IDS_PAGE {
                found.truncate(IDS_PAGE);
                collection.next = found.last().map(|(place, _)| format!("{root}?page=1&max_id={place}"));
            }
            if let Some(before) = before {
                collection.id = format!("{root}?page=1&max_id={before}");
            }
            collection.ordered_items = Some(found.into_iter().map(|(_, uri)| Value::from(uri)).collect());
        }
    }
    // When somebody last followed or left is not kept, so it says nothing about that.
    Ok(Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).kept(None).respond(&request, Utc::now()))
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

/// `/users/H/collections/featured`: the pins on one page. And `…/tags`: there are no featured hashtags yet.
///
/// Notes are whole: where it held ids alone, servers would all fetch each of them at once.
pub async fn featured(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, which) = path.into_inner();
    let account = get_account(&data, &here, &handle).await?;
    if which == "tags" {
        let collection = Collection {
            context_terms: Some(context::plain()),
            id: account.urls().under("collections/tags"),
            kind: "Collection",
            total_items: Some(0),
            items: Some(Vec::new()),
            ..Collection::default()
        };
        return Ok(answer(&collection, &account, OBJECT_AGE, &request));
    }
    let now = Utc::now();
    let pins = data.store.list_pins(account.id).await?;
    expose(&data, &here, &account, &unseen(&pins), now).await?;
    let prover = here.prover(&data, &account).await?;
    let item = |post: &Post| {
        let mut note = render::note(post, &account, Replies::Link, now);
        note.context_terms = prover.can().then(context::note);
        if note.kind != "Note" {
            // Mastodon passes over whatever else is embedded there, and fetches what is named.
            return Value::String(note.id);
        }
        let mut note = serde_json::to_value(note).unwrap_or_default();
        prover.prove(&mut note, post.changed);
        note
    };
    let collection = Collection {
        context_terms: Some(context::note()),
        id: account.urls().featured(),
        kind: "OrderedCollection",
        total_items: i64::try_from(pins.len()).ok(),
        ordered_items: Some(pins.iter().map(item).collect()),
        ..Collection::default()
    };
    let changed = pins.iter().map(|post| render::changed(post, &account, now)).max();
    let until = pins.iter().filter_map(|post| render::holds_until(post, &account, now)).min();
    let document = Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).changed(changed.unwrap_or(account.changed));
    Ok(document.kept(until).respond(&request, now))
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

/// What stands below a post: ids of Notes, ours before those of others.
pub(super) struct BelowPost {
    direct: Vec<String>,
    further: Vec<String>,
}

impl BelowPost {
    /// The first page, and whether there is another.
    pub(super) fn first(&self) -> (&[String], bool) {
        let shown = &self.direct[..self.direct.len().min(IDS_PAGE)];
        (shown, self.direct.len() > shown.len() || !self.further.is_empty())
    }

    /// The page of that number, from 1, and whether there is another.
    fn page(&self, number: usize) -> Option<(&[String], bool)> {
        if number == 1 {
            return Some(self.first());
        }
        let rest = self.direct.get(IDS_PAGE..).unwrap_or_default();
        let at = (number - 2) * IDS_PAGE;
        let pages = [rest, &self.further].map(|part| part.chunks(IDS_PAGE)).into_iter().flatten();
        let mut pages = pages.skip(at / IDS_PAGE);
        pages.next().map(|shown| (shown, pages.next().is_some()))
    }
}

/// What stands below a post in its conversation, and what others answered to it.
pub(super) async fn below(
    app: &App,
    account: &Account,
    post: &Post,
    places: &[thread::Place],
) -> Result<BelowPost, crate::store::Error> {
    let urls = account.urls();
    let below = thread::below(places, post.id);
    let ours = |ids: &[PostId]| ids.iter().map(|id| urls.note(*id)).collect::<Vec<String>>();
    let (mut direct, mut further) = (ours(&below.direct), ours(&below.further));
    if post.echo.replies > 0 {
        for (uri, depth) in app.store.list_reply_ids(post.id).await? {
            let part = if depth == 1 { &mut direct } else { &mut further };
            part.push(uri);
        }
    }
    Ok(BelowPost { direct, further })
}

/// `…/statuses/ID/replies`: direct replies first, then everything below them.
///
/// In pages that are asked for by themselves our own Notes stand whole, the first of them at least: who reads a thread need
/// not ask for each.
pub async fn replies(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, id) = path.into_inner();
    let (account, post) = get_post(&data, &here, &handle, &id).await?;
    let urls = account.urls();
    let below = below(&data, &account, &post, &data.store.list_places(post.context).await?).await?;
    let now = Utc::now();
    let page = query(&request).into_iter().find(|(name, _)| name == "page").map(|(_, value)| value);
    let (mut changed, mut until) = (account.changed.max(post.echo.changed.unwrap_or(account.changed)), None);
    let mut collection = match page.as_deref().map(number) {
        None => {
            let (shown, more) = below.first();
            render::replies_root(&urls, post.id, shown, more)
        }
        Some(Some(page @ 1..=1_000_000)) => {
            let shown = below.page(usize::try_from(page).unwrap_or_default());
            let (shown, more) = shown.ok_or_else(|| Error::not_found("There is no such page."))?;
            let whole = whole(&data, &account, shown).await?;
            expose(&data, &here, &account, &unseen(&whole), now).await?;
            changed = whole.iter().map(|post| render::changed(post, &account, now)).fold(changed, DateTime::max);
            until = whole.iter().filter_map(|post| render::holds_until(post, &account, now)).min();
            let mut page = render::replies_page(&urls, post.id, u32::try_from(page).unwrap_or(u32::MAX), shown, more);
            inline(page.items.as_deref_mut().unwrap_or_default(), &whole, &account, now);
            page
        }
        Some(_) => return Err(Error::bad_request("page takes a number from 1.")),
    };
    // The terms of Notes, which hold those of collections.
    collection.context_terms = Some(context::note());
    let document = Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).changed(changed).kept(until);
    Ok(document.respond(&request, now))
}

/// Those of the account's own posts among these ids that stand whole in a page: the first ones.
async fn whole(data: &Data, account: &Account, ids: &[String]) -> Result<Vec<Post>, Error> {
    let ours = |id: &String| {
        let named = Named::read(id).filter(|named| named.base == account.base_url && named.handle == account.handle);
        named.and_then(|named| named.post)
    };
    let ids: Vec<PostId> = ids.iter().filter_map(ours).take(MOST_WHOLE).collect();
    Ok(data.store.list_posts(&ids).await?)
}

/// Put whole Notes in the place of their ids, as long as there is room. Each has its own replies by their address alone, so
/// that nothing nests without end.
fn inline(items: &mut [Value], posts: &[Post], account: &Account, now: DateTime<Utc>) {
    let (urls, mut room) = (account.urls(), ROOM_FOR_WHOLE);
    for post in posts {
        let note = serde_json::to_value(render::note(post, account, Replies::Link, now)).unwrap_or_default();
        let size = note.to_string().len();
        let id = urls.note(post.id);
        let place = items.iter_mut().find(|item| item.as_str() == Some(id.as_str()));
        if let Some(place) = place.filter(|_| size <= room) {
            room -= size;
            *place = note;
        }
    }
}

/// `…/statuses/ID/likes` and `…/shares`: how many came here, and those of the archive where the owner wants them added
///
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
    let changed = account.changed.max(post.echo.changed.unwrap_or(account.changed));
    let document = Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).changed(changed).kept(None);
    Ok(document.respond(&request, Utc::now()))
}

/// `/actor/outbox`: the server actor says nothing by itself.
pub async fn server_outbox(here: Here, request: HttpRequest) -> Result<HttpResponse, Error> {
    let collection = empty(format!("{}/outbox", here.urls().server_actor()), &request)?;
    Ok(Document::json(ACTIVITY_JSON, &collection, OBJECT_AGE).respond(&request, Utc::now()))
}

fn answer(collection: &Collection, account: &Account, age: u32, request: &HttpRequest) -> HttpResponse {
    Document::json(ACTIVITY_JSON, collection, age).changed(account.changed).kept(None).respond(request, Utc::now())
}
