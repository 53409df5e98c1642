//! Pages for people: front page, profile, thread, hashtag. No script, and nothing from elsewhere.

use super::Data;
use super::activitypub::{alternate, redirect};
use super::collections::{self, no_place};
use super::entries::{BoostView, EntryView, PostView};
use super::error::Error;
use super::extract::{Here, number, query, wants_activitypub};
use super::paths::Paths;
use super::respond::{Document, HTML, OBJECT_AGE};
use super::views::{AccountLine, HomePage, ProfilePage, TagPage, ThreadPage};
use crate::activitystreams::render::is_web_address;
use crate::domain::account::{Account, AccountState, Handle};
use crate::domain::ids::{AccountId, PostId};
use crate::domain::post::{Entry, Post, Stored};
use crate::domain::settings::Links;
use crate::store::listing::{Cursor, Listing, Page};
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Posts on a page of a profile or a hashtag.
const PAGE: i64 = 20;
/// Posts of a thread that its page shows: all but of the very longest.
const THREAD: i64 = 1000;
/// Replies of others that a page shows: all but of what went round the world.
const REPLIES: i64 = 100;
/// Start of the name of the cookie that opens a draft; the account's number follows.
const PREVIEW_COOKIE: &str = "everpost_preview_";

/// `/`: the accounts kept here.
pub async fn home(data: Data, here: Here, request: HttpRequest) -> Result<HttpResponse, Error> {
    let mut lines = Vec::new();
    for account in data.store.list_accounts().await? {
        if account.state == AccountState::Live && account.domain == here.id {
            let count = data.store.count_listed(account.id).await?;
            lines.push(AccountLine::new(&account, count, &Paths::of_server()));
        }
    }
    let body = rendered(&HomePage::new(here.urls().authority(), lines, &Paths::of_server()))?;
    Ok(Document::new(HTML, body, OBJECT_AGE).respond(&request, Utc::now()))
}

/// `/@H` for people.
pub(super) async fn profile(
    data: &Data,
    here: &Here,
    handle: &str,
    request: &HttpRequest,
    now: DateTime<Utc>,
) -> Result<HttpResponse, Error> {
    let account = match find(data, here, handle, request).await? {
        Seen::Account(account) => account,
        Seen::Answer(answer) => return Ok(answer),
    };
    let page = format!("/@{}", account.handle);
    if request.path() != page {
        return Ok(redirect(&page, &account));
    }
    let mut shown = page_of(data, Listing::Account(account.id), request).await?;
    let (newer, older) = around(&shown);
    // Pins stand on the first page alone, and there not at their dates as well.
    let first = cursor(request)? == Cursor::Newest;
    let pins = if first { data.store.list_pins(account.id).await? } else { Vec::new() };
    shown.entries.retain(|entry| pins.iter().all(|pin| pin.id != entry.id()));
    let latest = latest(&account, shown.entries.iter().filter_map(Entry::post).chain(&pins));
    let pinned: Vec<Entry> = pins.into_iter().map(|post| Entry::Post(Box::new(post))).collect();
    let (pinned, posts) = (views(data, &account, &pinned).await?, views(data, &account, &shown.entries).await?);
    let span = data.store.account_span(account.id).await?;
    let urls = account.urls();
    let newer = newer.map(|id| format!("{page}?min_id={id}"));
    let older = older.map(|id| format!("{page}?max_id={id}"));
    let body = rendered(&ProfilePage::new(&account, span, pinned, posts, (newer, older), &Paths::of_server()))?;
    let subject = urls.domain().path(&format!("/.well-known/webfinger?resource=acct:{}", account.address()));
    let document = Document::new(HTML, body, OBJECT_AGE)
        .changed(latest)
        .negotiated()
        .link(alternate(&urls.actor()))
        .link(format!("<{subject}>; rel=\"lrdd\"; type=\"application/jrd+json\""));
    Ok(guarded(document, &account).respond(request, now))
}

/// `/@H/ID` for people: the whole thread.
pub(super) async fn thread(
    data: &Data,
    here: &Here,
    handle: &str,
    id: &str,
    request: &HttpRequest,
    now: DateTime<Utc>,
) -> Result<HttpResponse, Error> {
    let account = match find(data, here, handle, request).await? {
        Seen::Account(account) => account,
        Seen::Answer(answer) => return Ok(answer),
    };
    let nothing = || Error::not_found("There is no such post here.");
    let id = PostId(number(id).ok_or_else(nothing)?);
    let post = match data.store.find_post(account.id, id).await?.ok_or_else(nothing)? {
        Stored::Live(post) if post.listed => *post,
        Stored::Boost(boost) if boost.listed => {
            let there = boost.ours.map_or(boost.object, |ours| account.urls().page(ours));
            return if is_web_address(&there) { Ok(redirect(&there, &account)) } else { Err(nothing()) };
        }
        Stored::Live(post) if post.exposed.is_some() => {
            return Err(Error::gone("This post is not published any more."));
        }
        Stored::Live(_) | Stored::Boost(_) => return Err(nothing()),
        Stored::Withdrawn(_) => return Err(Error::gone("This post was withdrawn.")),
    };
    let page = format!("/@{}/{id}", account.handle);
    if request.path() != page {
        return Ok(redirect(&page, &account));
    }
    if let Some(origin) = post.canonical_url.as_ref().filter(|_| account.settings.links == Links::Origin) {
        return Ok(redirect(origin, &account));
    }
    let thread = data.store.list_context(post.context, THREAD).await?;
    let thread = if thread.iter().any(|other| other.id == id) { thread } else { vec![post.clone()] };
    let size = i64::try_from(thread.len()).unwrap_or(i64::MAX);
    let answered: Vec<PostId> = thread.iter().filter(|other| other.echo.replies > 0).map(|other| other.id).collect();
    let replies = match answered.is_empty() {
        true => Vec::new(),
        false => data.store.list_replies(&answered, REPLIES).await?,
    };
    let paths = Paths::of_server();
    let view = |other: &Post| {
        PostView::new(other, &account, size, &paths).focused(other.id == id).with_replies(other, &replies)
    };
    let posts = thread.iter().map(view).collect();
    let body = rendered(&ThreadPage::new(&account, &post, posts, &paths))?;
    let note = account.urls().note(id);
    let changed = latest(&account, thread.iter());
    let document = Document::new(HTML, body, OBJECT_AGE).changed(changed).negotiated().link(alternate(&note));
    Ok(guarded(document, &account).respond(request, now))
}

/// `/tags/T`: posts of every live account here that carry the hashtag.
pub async fn tag(data: Data, here: Here, tag: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, Error> {
    let tag = tag.to_lowercase();
    if tag.contains(char::is_control) {
        return Err(Error::not_found("There is no such hashtag here."));
    }
    if wants_activitypub(request.headers()) {
        return collections::tag(&data, &here, &tag, &request).await;
    }
    let page = page_of(&data, Listing::Tag(here.id, &tag), &request).await?;
    let accounts = data.store.list_accounts().await?;
    let owner = |id: AccountId| accounts.iter().find(|account| account.id == id);
    let (_, older) = around(&page);
    let posts = page.entries.iter().filter_map(Entry::post);
    let paths = Paths::of_server();
    let view = |post: &Post, owner: &Account| PostView::new(post, owner, 1, &paths).with_author().into();
    let posts: Vec<EntryView> = posts.filter_map(|post| Some(view(post, owner(post.account)?))).collect();
    let older = older.map(|id| format!("?max_id={id}"));
    let body = rendered(&TagPage::new(&here.urls(), &tag, &posts, (None, older), &paths))?;
    Ok(Document::new(HTML, body, OBJECT_AGE).negotiated().respond(&request, Utc::now()))
}

/// The drafts that the request's cookies open.
pub(super) async fn previews(data: &Data, request: &HttpRequest) -> Result<Vec<AccountId>, Error> {
    let cookies = request.cookies().map(|cookies| cookies.clone()).unwrap_or_default();
    if !cookies.iter().any(|cookie| cookie.name().starts_with(PREVIEW_COOKIE)) {
        return Ok(Vec::new());
    }
    let accounts = data.store.list_accounts().await?;
    let opened = |account: &Account| {
        let cookie = cookies.iter().find(|cookie| cookie.name() == cookie_name(account));
        cookie.is_some_and(|cookie| same(cookie.value(), &account.preview_token))
    };
    Ok(accounts.iter().filter(|account| opened(account)).map(|account| account.id).collect())
}

/// What a visitor gets who asks for an account.
pub(super) enum Seen {
    Account(Arc<Account>),
    Answer(HttpResponse),
}

/// The account as this visitor may see it. A draft opens to who has its preview token: the link is exchanged for a
/// cookie at once, so that the token does not stay in the address.
pub(super) async fn find(data: &Data, here: &Here, handle: &str, request: &HttpRequest) -> Result<Seen, Error> {
    let nobody = || Error::not_found("There is no such account here.");
    let parsed = Handle::parse(handle).map_err(|_| nobody())?;
    let account = here.find_account(data, &parsed).await?.ok_or_else(nobody)?;
    match account.state {
        AccountState::Live => {
            // Whoever sees the page can link to it: the name is for ever from now on.
            if here.exposed.is_none() && !here.urls().is_loopback() {
                data.store.expose_domain(here.id, Utc::now()).await?;
            }
            Ok(Seen::Account(account))
        }
        AccountState::Gone { .. } => Err(Error::gone("This account was deleted.")),
        AccountState::Draft => {
            let given = query(request).into_iter().find(|(name, _)| name == "preview").map(|(_, token)| token);
            if given.is_some_and(|token| same(&token, &account.preview_token)) {
                let cookie = Cookie::build(cookie_name(&account), account.preview_token.clone())
                    .path("/")
                    .http_only(true)
                    .same_site(SameSite::Lax)
                    .secure(here.base_url.starts_with("https:"))
                    .finish();
                let answer = HttpResponse::SeeOther()
                    .insert_header((header::LOCATION, request.path()))
                    .insert_header((header::CACHE_CONTROL, "private, no-store"))
                    .cookie(cookie)
                    .finish();
                return Ok(Seen::Answer(answer));
            }
            let opened = previews(data, request).await?.contains(&account.id);
            if opened { Ok(Seen::Account(account)) } else { Err(nobody()) }
        }
    }
}

fn cookie_name(account: &Account) -> String {
    format!("{PREVIEW_COOKIE}{}", account.id)
}

/// Compare secrets in a time that does not tell how much of them was right.
fn same(given: &str, token: &str) -> bool {
    given.len() == token.len() && openssl::memcmp::eq(given.as_bytes(), token.as_bytes())
}

/// A draft's pages are nobody's to keep; what a live account shows does not change by itself.
pub(super) fn guarded(document: Document, account: &Account) -> Document {
    if account.state == AccountState::Draft { document.private() } else { document.kept(None) }
}

/// When an account or what others did with its posts last changed.
fn latest<'a>(account: &Account, posts: impl Iterator<Item = &'a Post>) -> DateTime<Utc> {
    posts.filter_map(|post| post.echo.changed).fold(account.changed, DateTime::max)
}

/// The place in a list that `max_id` and `min_id` name.
pub(super) fn cursor(request: &HttpRequest) -> Result<Cursor, Error> {
    let parameters = query(request);
    let given = |wanted: &str| {
        let value = parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let id = value.map(|value| number(value).ok_or_else(|| Error::bad_request("max_id and min_id take a number.")));
        id.transpose()
    };
    Ok(match (given("max_id")?, given("min_id")?) {
        (Some(_), Some(_)) => return Err(Error::bad_request("max_id and min_id exclude each other.")),
        (Some(max), None) => Cursor::Before(PostId(max)),
        (None, Some(min)) => Cursor::After(PostId(min)),
        (None, None) => Cursor::Newest,
    })
}

async fn page_of(data: &Data, listing: Listing<'_>, request: &HttpRequest) -> Result<Page, Error> {
    data.store.page_posts(listing, cursor(request)?, PAGE).await.map_err(no_place)
}

/// The numbers behind which newer and older posts stand.
fn around(page: &Page) -> (Option<i64>, Option<i64>) {
    let newest = page.entries.first().filter(|_| page.newer).map(|entry| entry.id().0);
    let oldest = page.entries.last().filter(|_| page.older).map(|entry| entry.id().0);
    (newest, oldest)
}

async fn views(data: &Data, account: &Account, entries: &[Entry]) -> Result<Vec<EntryView>, Error> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let contexts: Vec<_> = entries.iter().filter_map(Entry::post).map(|post| post.context).collect();
    let sizes = data.store.count_contexts(&contexts).await?;
    let size = |context| sizes.iter().find(|(known, _)| *known == context).map_or(1, |(_, size)| *size);
    let paths = Paths::of_server();
    let view = |entry: &Entry| match entry {
        Entry::Post(post) => PostView::new(post, account, size(post.context), &paths).into(),
        Entry::Boost(boost) => BoostView::new(boost, account, &paths).into(),
    };
    Ok(entries.iter().map(view).collect())
}

pub(super) fn rendered(page: &impl Template) -> Result<String, Error> {
    page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Error::internal()
    })
}
