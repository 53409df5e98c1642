//! Actors, Notes and Creates at their ids, and in place at their pages.

use super::Data;
use super::collections;
use super::error::Error;
use super::extract::{Here, number, wants_activitypub};
use super::pages;
use super::respond::{ACTIVITY_JSON, Document, OBJECT_AGE};
use crate::activitystreams::context;
use crate::activitystreams::render::{self, Replies};
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::PostId;
use crate::domain::post::{Boost, Post, Stored, Tombstone};
use crate::operations::announcements::public_keys;
use crate::store::keys::KeyOwner;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// `/users/H` and `/@H`: the actor, or the profile for people.
pub async fn account(
    data: Data,
    here: Here,
    handle: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    if !wants_activitypub(request.headers()) {
        return pages::profile(&data, &here, &handle, &request, now).await;
    }
    let account = match find_account(&data, &here, &handle).await? {
        Found::Account(account) => account,
        Found::Gone(account, since) => return Ok(tombstone(account.urls().actor(), "Person", since, &request, now)),
    };
    let owner = KeyOwner::Account(account.id);
    let keys = public_keys(&data.store.list_keys(owner).await?, &data.store.list_earlier_keys(owner).await?);
    let actor = render::actor(&account, &keys);
    let document = Document::json(ACTIVITY_JSON, &actor, OBJECT_AGE).changed(account.changed).negotiated().kept(None);
    Ok(document.link(alternate(&actor.id)).respond(&request, now))
}

/// `/users/H/statuses/ID` and `/@H/ID`: the Note, or the thread for people.
pub async fn post(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let (handle, id) = path.into_inner();
    if !wants_activitypub(request.headers()) {
        return pages::thread(&data, &here, &handle, &id, &request, now).await;
    }
    let nothing = || Error::not_found("There is no such post here.");
    let id = PostId(number(&id).ok_or_else(nothing)?);
    let gone = |account: &Account, since| Ok(tombstone(account.urls().note(id), "Note", since, &request, now));
    let account = match find_account(&data, &here, &handle).await? {
        Found::Account(account) => account,
        Found::Gone(account, since) => return gone(&account, since),
    };
    let (post, places) = match data.store.find_post_in_place(account.id, id).await?.ok_or_else(nothing)? {
        (Stored::Live(post), places) if post.listed => (post, places),
        (Stored::Live(post), _) if post.exposed.is_some() => return gone(&account, post.changed),
        (Stored::Live(_) | Stored::Boost(_), _) => return Err(nothing()),
        (Stored::Withdrawn(Tombstone { withdrawn, .. }), _) => return gone(&account, withdrawn),
    };
    expose(&data, &here, &account, &unseen([&*post]), now).await?;
    let below = collections::below(&data, &account, &post, &places).await?;
    let (direct, more) = below.first();
    let replies = Replies::Inline { direct, more };
    let mut note = render::note(&post, &account, replies, now);
    note.context_terms = Some(context::note());
    let changed = render::changed(&post, &account, now);
    let until = render::holds_until(&post, &account, now);
    let link = alternate(&note.id);
    let note = proven(&data, &here, &account, &note, post.changed).await?;
    let document = Document::json(ACTIVITY_JSON, &note, OBJECT_AGE).changed(changed).negotiated().kept(until);
    Ok(document.link(link).respond(&request, now))
}

/// `/users/H/statuses/ID/activity`: the Create, or the Announce of a boost.
pub async fn activity(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let (handle, id) = path.into_inner();
    let (account, post) = match find_entry(&data, &here, &handle, &id).await? {
        FoundEntry::Post(account, post) => (account, post),
        FoundEntry::Boost(account, boost) => {
            let unseen: Vec<PostId> = boost.exposed.is_none().then_some(boost.id).into_iter().collect();
            expose(&data, &here, &account, &unseen, now).await?;
            let mut announce = render::announce(&boost, &account);
            announce.context_terms = Some(context::plain());
            let announce = proven(&data, &here, &account, &announce, boost.changed).await?;
            let document = Document::json(ACTIVITY_JSON, &announce, OBJECT_AGE).changed(account.changed).kept(None);
            return Ok(document.respond(&request, now));
        }
        FoundEntry::Gone(account, id, since) => {
            return Ok(tombstone(account.urls().under_note(id, "activity"), "Create", since, &request, now));
        }
    };
    expose(&data, &here, &account, &unseen([&*post]), now).await?;
    let mut create = render::create(&post, &account, now);
    create.context_terms = Some(context::note());
    let changed = render::changed(&post, &account, now);
    let until = render::holds_until(&post, &account, now);
    let create = proven(&data, &here, &account, &create, post.changed).await?;
    Ok(Document::json(ACTIVITY_JSON, &create, OBJECT_AGE).changed(changed).kept(until).respond(&request, now))
}

/// `/users/H/statuses/ID/announces/TIME`: the Announce that showed a post again at a moment; 410 once that is taken back, or
/// the post is.
pub async fn shown_again(
    data: Data,
    here: Here,
    path: web::Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let (handle, id, at) = path.into_inner();
    let nothing = || Error::not_found("There is no such activity here.");
    let at = number(&at).and_then(|at| DateTime::from_timestamp(at, 0)).ok_or_else(nothing)?;
    let gone =
        |account: &Account, id, since| Ok(tombstone(account.urls().announce(id, at), "Announce", since, &request, now));
    let (account, post) = match find_entry(&data, &here, &handle, &id).await? {
        FoundEntry::Post(account, post) => (account, post),
        FoundEntry::Boost(..) => return Err(nothing()),
        // What an account showed goes with it.
        FoundEntry::Gone(account, id, since) => {
            let was_there = matches!(account.state, AccountState::Gone { .. });
            let was_there = was_there || data.store.find_resurfaced(id, at).await?.is_some();
            return if was_there { gone(&account, id, since) } else { Err(nothing()) };
        }
    };
    match data.store.find_resurfaced(post.id, at).await?.ok_or_else(nothing)?.undone {
        Some(since) => gone(&account, post.id, since),
        None => {
            let mut announce = render::shown_again(&post, &account, at);
            announce.context_terms = Some(context::plain());
            let announce = proven(&data, &here, &account, &announce, at).await?;
            let document = Document::json(ACTIVITY_JSON, &announce, OBJECT_AGE).changed(account.changed);
            Ok(document.kept(None).respond(&request, now))
        }
    }
}

/// `/users/H/statuses/ID/quote_authorization`: our stamp on a quote of one of our own posts (FEP-044f, R-62).
pub async fn quote_authorization(
    data: Data,
    here: Here,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (handle, id) = path.into_inner();
    let (account, post) = get_post(&data, &here, &handle, &id).await?;
    let quoted = post.quoted.ok_or_else(|| Error::not_found("This post quotes no post that stands here."))?;
    let stamp = render::quote_authorization(&account, post.id, quoted);
    let stamp = proven(&data, &here, &account, &stamp, post.changed).await?;
    Ok(Document::json(ACTIVITY_JSON, &stamp, OBJECT_AGE)
        .changed(account.changed)
        .kept(None)
        .respond(&request, Utc::now()))
}

/// `/actor`: the server actor, readable unsigned.
pub async fn server_actor(data: Data, here: Here, request: HttpRequest) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let keys = public_keys(&data.store.list_keys(KeyOwner::ServerActor(here.id)).await?, &[]);
    if !here.urls().is_loopback() && here.exposed.is_none() {
        data.store.expose_domain(here.id, now).await?;
    }
    let actor = render::server_actor(&here.urls(), &keys);
    Ok(Document::json(ACTIVITY_JSON, &actor, OBJECT_AGE).respond(&request, now))
}

/// What stands at an account's URL for other servers.
pub(super) enum Found {
    Account(Arc<Account>),
    Gone(Arc<Account>, DateTime<Utc>),
}

/// The account at exactly that handle, live or gone. A draft does not exist for other servers; one that is live is
/// noted as seen by them.
pub(super) async fn find_account(data: &Data, here: &Here, handle: &str) -> Result<Found, Error> {
    let nobody = || Error::not_found("There is no such account here.");
    let account = here.find_exactly(data, handle).await?.ok_or_else(nobody)?;
    match account.state {
        AccountState::Live => {
            expose(data, here, &account, &[], Utc::now()).await?;
            Ok(Found::Account(account))
        }
        AccountState::Draft => Err(nobody()),
        AccountState::Gone { since } => Ok(Found::Gone(account, since)),
    }
}

/// The live account at exactly that handle; one that is gone answers 410.
pub(super) async fn get_account(data: &Data, here: &Here, handle: &str) -> Result<Arc<Account>, Error> {
    match find_account(data, here, handle).await? {
        Found::Account(account) => Ok(account),
        Found::Gone(..) => Err(Error::gone("This account was deleted.")),
    }
}

/// The post at exactly that number of a live account; gone if it was withdrawn or taken back.
pub(super) async fn get_post(
    data: &Data,
    here: &Here,
    handle: &str,
    id: &str,
) -> Result<(Arc<Account>, Box<Post>), Error> {
    match find_entry(data, here, handle, id).await? {
        FoundEntry::Post(account, post) => Ok((account, post)),
        FoundEntry::Boost(..) => Err(Error::not_found("There is no such post here.")),
        FoundEntry::Gone(..) => Err(Error::gone("This post was withdrawn.")),
    }
}

/// What stands at the URL of a post or of a boost for other servers.
enum FoundEntry {
    Post(Arc<Account>, Box<Post>),
    Boost(Arc<Account>, Boost),
    Gone(Arc<Account>, PostId, DateTime<Utc>),
}

async fn find_entry(data: &Data, here: &Here, handle: &str, id: &str) -> Result<FoundEntry, Error> {
    let nothing = || Error::not_found("There is no such post here.");
    let id = PostId(number(id).ok_or_else(nothing)?);
    let account = match find_account(data, here, handle).await? {
        Found::Account(account) => account,
        Found::Gone(account, since) => return Ok(FoundEntry::Gone(account, id, since)),
    };
    match data.store.find_post(account.id, id).await?.ok_or_else(nothing)? {
        Stored::Live(post) if post.listed => Ok(FoundEntry::Post(account, post)),
        Stored::Boost(boost) if boost.listed => Ok(FoundEntry::Boost(account, boost)),
        // Its URL was seen before the owner's settings took it back, and answers for ever.
        Stored::Live(post) if post.exposed.is_some() => Ok(FoundEntry::Gone(account, id, post.changed)),
        Stored::Boost(boost) if boost.exposed.is_some() => Ok(FoundEntry::Gone(account, id, boost.changed)),
        Stored::Live(_) | Stored::Boost(_) => Err(nothing()),
        Stored::Withdrawn(Tombstone { withdrawn, .. }) => Ok(FoundEntry::Gone(account, id, withdrawn)),
    }
}

/// The numbers of posts that no other server has seen yet.
pub(super) fn unseen<'a>(posts: impl IntoIterator<Item = &'a Post>) -> Vec<PostId> {
    posts.into_iter().filter(|post| post.exposed.is_none()).map(|post| post.id).collect()
}

/// Note, before it is answered, that another server sees this under a name that is for ever: from now on dates are fixed.
/// `fresh` are the posts that none has seen yet.
pub(super) async fn expose(
    data: &Data,
    here: &Here,
    account: &Account,
    fresh: &[PostId],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if here.urls().is_loopback() {
        return Ok(());
    }
    if here.exposed.is_none() {
        data.store.expose_domain(here.id, now).await?;
    }
    if account.exposed.is_none() {
        data.store.expose_account(account.id, now).await?;
    }
    if !fresh.is_empty() {
        data.store.expose_posts(fresh, now).await?;
    }
    Ok(())
}

/// An object with its account's proof (FEP-8b32). `changed` is when its row last changed: a time that stays while the
/// object does, so that its ETag does too.
async fn proven(
    data: &Data,
    here: &Here,
    account: &Account,
    object: &impl Serialize,
    changed: DateTime<Utc>,
) -> Result<Value, Error> {
    let mut object = serde_json::to_value(object).unwrap_or_default();
    here.prover(data, account).await?.prove(&mut object, changed);
    Ok(object)
}

/// 410 with what is left.
fn tombstone(
    id: String,
    former_type: &'static str,
    since: DateTime<Utc>,
    request: &HttpRequest,
    now: DateTime<Utc>,
) -> HttpResponse {
    let tombstone = render::tombstone(id, former_type, since);
    let document = Document::json(ACTIVITY_JSON, &tombstone, OBJECT_AGE).negotiated();
    document.status(StatusCode::GONE).respond(request, now)
}

/// The `Link` header that names an object's id.
pub(super) fn alternate(id: &str) -> String {
    format!("<{id}>; rel=\"alternate\"; type=\"application/activity+json\"")
}

/// A redirect for people: identifiers themselves never redirect. A draft's is nobody else's to keep.
pub(super) fn redirect(to: &str, account: &Account) -> HttpResponse {
    let cache = if account.state == AccountState::Draft { "private, no-store" } else { "public, max-age=180" };
    HttpResponse::Found()
        .insert_header((header::LOCATION, to))
        .insert_header((header::VARY, "Accept"))
        .insert_header((header::CACHE_CONTROL, cache))
        .finish()
}
