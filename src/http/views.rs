//! What the page templates show, made from domain values. Askama escapes everything but fields that hold safe HTML.

use super::entries::{EntryView, PostView};
use super::error::Shown;
use super::files::STYLE_VERSION;
use super::images::{BANNER, ImageView, small};
use super::paths::Paths;
use crate::activitystreams::render::{field_html, timestamp};
use crate::domain::account::{Account, AccountState};
use crate::domain::post::Post;
use crate::domain::urls::{AccountUrls, DomainUrls};
use askama::Template;
use chrono::{DateTime, Utc};

/// Characters in a page's title and description.
const TITLE: usize = 70;
const DESCRIPTION: usize = 200;

/// A row of a profile's table.
pub struct FieldView {
    name: String,
    value_html: String,
}

/// A day.
pub struct DateView {
    iso: String,
    human: String,
}

impl DateView {
    fn of(at: DateTime<Utc>) -> DateView {
        DateView { iso: at.format("%Y-%m-%d").to_string(), human: at.format("%-d %B %Y").to_string() }
    }
}

/// An account's page.
#[derive(Template)]
#[template(path = "profile.html")]
pub struct ProfilePage {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    title: String,
    handle_full: String,
    name: String,
    summary_html: String,
    fields: Vec<FieldView>,
    avatar_url: Option<String>,
    header: Option<ImageView>,
    post_count: String,
    first_year: Option<String>,
    last_year: Option<String>,
    actor_url: String,
    page_url: String,
    /// The page itself, as it links to itself.
    own_url: String,
    origin_profile_url: Option<String>,
    origin_host: Option<String>,
    origin_since: Option<DateView>,
    pinned: Vec<EntryView>,
    posts: Vec<EntryView>,
    older_url: Option<String>,
    newer_url: Option<String>,
    robots_noindex: bool,
    draft: bool,
    webfinger_url: String,
    /// The page below which its feeds stand, where they may be subscribed to.
    feeds_url: Option<String>,
    /// Every year with its posts, where they have pages.
    years: Vec<Lists>,
    tags_url: Option<String>,
    og_image: Option<String>,
}

/// A list of posts that a page links to.
pub struct Lists {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) count: String,
}

/// How many posts an account shows, and when the first and the last were published.
pub type Span = (i64, Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl ProfilePage {
    /// The page of an account with its pins and some of its posts, and the addresses of newer and older ones.
    pub fn new(
        account: &Account,
        span: Span,
        pinned: Vec<EntryView>,
        posts: Vec<EntryView>,
        (newer_url, older_url): (Option<String>, Option<String>),
        paths: &Paths,
    ) -> ProfilePage {
        let urls = account.urls();
        let (count, first, last) = span;
        let year = |at: Option<DateTime<Utc>>| at.map(|at| at.format("%Y").to_string());
        let field = |(name, value): &(String, String)| FieldView { name: name.clone(), value_html: field_html(value) };
        let handle_full = format!("@{}", account.address());
        let subject =
            url::form_urlencoded::byte_serialize(format!("acct:{}", account.address()).as_bytes()).collect::<String>();
        ProfilePage {
            paths: paths.clone(),
            style_version: &STYLE_VERSION,
            instance_host: urls.domain().authority().to_owned(),
            title: format!("{} ({handle_full})", account.display_name()),
            handle_full,
            name: account.display_name().to_owned(),
            summary_html: account.profile.summary.as_str().to_owned(),
            fields: account.profile.fields.iter().map(field).collect(),
            avatar_url: account.profile.avatar.as_ref().map(|file| small(file, paths)),
            header: account.profile.header.as_ref().map(|file| ImageView::new(file, BANNER, paths)),
            post_count: grouped(count),
            first_year: year(first),
            last_year: year(last),
            actor_url: if paths.is_site() { "index.json".to_owned() } else { urls.actor() },
            origin_host: account.source.as_ref().map(|source| source.host.clone()),
            origin_profile_url: account.source_page(),
            origin_since: account.archived.as_ref().and_then(|archived| archived.facts.published).map(DateView::of),
            pinned,
            posts,
            older_url,
            newer_url,
            robots_noindex: !account.settings.indexable,
            draft: account.state == AccountState::Draft && !paths.is_site(),
            webfinger_url: urls.domain().path(&format!("/.well-known/webfinger?resource={subject}")),
            feeds_url: (account.state != AccountState::Draft && !paths.is_site()).then(|| urls.profile()),
            own_url: paths.page_at(urls.domain().base(), urls.profile()),
            og_image: account.profile.avatar.as_ref().map(|file| urls.domain().media(&file.file_name())),
            page_url: urls.profile(),
            years: Vec::new(),
            tags_url: None,
        }
    }

    /// The same with a link to the posts of each year, and to those of each hashtag.
    pub fn with_lists(self, years: Vec<Lists>, tags_url: Option<String>) -> ProfilePage {
        ProfilePage { years, tags_url, ..self }
    }
}

/// Who wrote it, in a line.
pub struct Byline {
    pub(super) name: String,
    pub(super) handle_full: String,
    pub(super) avatar_url: Option<String>,
    pub(super) profile_url: String,
}

impl Byline {
    pub(super) fn of(account: &Account, paths: &Paths) -> Byline {
        Byline {
            name: account.display_name().to_owned(),
            handle_full: format!("@{}", account.address()),
            avatar_url: account.profile.avatar.as_ref().map(|file| small(file, paths)),
            profile_url: paths.page(&format!("/@{}", account.handle)),
        }
    }
}

/// A post's page: its whole thread, the linked post marked.
#[derive(Template)]
#[template(path = "thread.html")]
pub struct ThreadPage {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    account: Byline,
    posts: Vec<PostView>,
    /// How many posts the conversation has.
    size: i64,
    /// Where it begins, if that is not shown.
    beginning_url: Option<String>,
    page_url: String,
    canonical_url: Option<String>,
    og_title: String,
    og_description: String,
    published_iso: String,
    note_url: String,
    robots_noindex: bool,
    draft: bool,
    author_handle: String,
    og_image: Option<String>,
}

impl ThreadPage {
    /// The page of `post`, with the posts of its thread in order.
    pub fn new(account: &Account, post: &Post, posts: Vec<PostView>, paths: &Paths) -> ThreadPage {
        let urls: AccountUrls = account.urls();
        let shown = post.warning.as_ref().map(|warning| format!("Content warning: {warning}"));
        let excerpt = |length| shown.clone().unwrap_or_else(|| post.content.excerpt(length));
        let (title, description) = (excerpt(TITLE), excerpt(DESCRIPTION));
        let image =
            post.attachments.iter().filter(|_| !post.sensitive && post.warning.is_none()).find_map(|attachment| {
                let file = attachment.file.as_ref().filter(|file| file.media_type.starts_with("image/"))?;
                Some(urls.domain().media(&file.file_name()))
            });
        let byline = Byline::of(account, paths);
        ThreadPage {
            paths: paths.clone(),
            style_version: &STYLE_VERSION,
            instance_host: urls.domain().authority().to_owned(),
            og_title: format!("{}: {title}", byline.name),
            og_description: description,
            size: i64::try_from(posts.len()).unwrap_or(i64::MAX),
            posts,
            beginning_url: None,
            page_url: urls.page(post.id),
            canonical_url: post.canonical_url.clone(),
            published_iso: timestamp(post.published),
            note_url: if paths.is_site() { "index.json".to_owned() } else { urls.note(post.id) },
            robots_noindex: !account.settings.indexable,
            draft: account.state == AccountState::Draft && !paths.is_site(),
            author_handle: byline.handle_full.clone(),
            account: byline,
            og_image: image,
        }
    }

    /// The same, with some of the `size` posts that the conversation has; `beginning_url` leads to the first of them.
    pub fn part_of(self, size: i64, beginning_url: Option<String>) -> ThreadPage {
        ThreadPage { size, beginning_url, ..self }
    }
}

/// A hashtag's page.
#[derive(Template)]
#[template(path = "tag.html")]
pub struct TagPage<'a> {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    tag: String,
    posts: &'a [EntryView],
    newer_url: Option<String>,
    older_url: Option<String>,
    feeds_url: Option<String>,
}

impl<'a> TagPage<'a> {
    /// The page of `tag` on a domain, with some of its posts and the addresses of newer and older ones.
    pub fn new(
        urls: &DomainUrls,
        tag: &str,
        posts: &'a [EntryView],
        (newer_url, older_url): (Option<String>, Option<String>),
        paths: &Paths,
    ) -> TagPage<'a> {
        TagPage {
            paths: paths.clone(),
            style_version: &STYLE_VERSION,
            instance_host: urls.authority().to_owned(),
            tag: tag.to_owned(),
            posts,
            newer_url,
            older_url,
            feeds_url: (!paths.is_site()).then(|| urls.tag(tag)),
        }
    }
}

/// A post that stood elsewhere before.
pub struct MovedPost {
    published: String,
    day: String,
    old: String,
    new: String,
}

impl MovedPost {
    /// A post with its old address and its new one.
    pub fn new(post: &Post, old: &str, new: String) -> MovedPost {
        let day = post.published.format("%Y-%m-%d").to_string();
        MovedPost { published: timestamp(post.published), day, old: old.to_owned(), new }
    }
}

/// The page of old addresses and new ones.
#[derive(Template)]
#[template(path = "moved.html")]
pub struct MovedPage {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    handle_full: String,
    profile_url: String,
    collection_url: String,
    draft: bool,
    posts: Vec<MovedPost>,
    older_url: Option<String>,
}

impl MovedPage {
    /// The page of an account, with posts from some place on.
    pub fn new(account: &Account, posts: Vec<MovedPost>, older: Option<i64>) -> MovedPage {
        let urls = account.urls();
        MovedPage {
            paths: Paths::of_server(),
            style_version: &STYLE_VERSION,
            instance_host: urls.domain().authority().to_owned(),
            handle_full: format!("@{}", account.address()),
            profile_url: urls.profile(),
            collection_url: urls.under("migration.json"),
            draft: account.state == AccountState::Draft,
            posts,
            older_url: older.map(|id| format!("?max_id={id}")),
        }
    }
}

/// An account in the list of the front page.
pub struct AccountLine {
    name: String,
    handle_full: String,
    profile_url: String,
    avatar_url: Option<String>,
    post_count: String,
}

impl AccountLine {
    /// An account that shows `count` posts.
    pub fn new(account: &Account, count: i64, paths: &Paths) -> AccountLine {
        let Byline { name, handle_full, avatar_url, profile_url } = Byline::of(account, paths);
        AccountLine { name, handle_full, profile_url, avatar_url, post_count: grouped(count) }
    }
}

/// The front page.
#[derive(Template)]
#[template(path = "home.html")]
pub struct HomePage {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    accounts: Vec<AccountLine>,
}

impl HomePage {
    /// The front page of a host.
    pub fn new(host: &str, accounts: Vec<AccountLine>, paths: &Paths) -> HomePage {
        let (paths, instance_host) = (paths.clone(), host.to_owned());
        HomePage { paths, style_version: &STYLE_VERSION, instance_host, accounts }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    paths: Paths,
    style_version: &'static str,
    instance_host: &'a str,
    status: u16,
    heading: &'a str,
    explanation: &'a str,
    hint: Option<String>,
    request_id: &'a str,
}

/// An error as a page.
pub fn error(shown: &Shown, host: &str, request_id: &str) -> String {
    let hint = (shown.status == 421)
        .then(|| "The address may be spelled differently, or the server's public name is set up wrongly.".to_owned());
    let page = ErrorPage {
        paths: Paths::of_server(),
        style_version: &STYLE_VERSION,
        instance_host: host,
        status: shown.status,
        heading: shown.heading,
        explanation: &shown.sentence,
        hint,
        request_id,
    };
    page.render().unwrap_or_else(|_| crate::text::escape(&shown.sentence))
}

/// `5 April 2024, 00:39 UTC`.
pub(super) fn human(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// `12,345`.
pub(super) fn grouped(count: i64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_read_well() {
        assert_eq!([grouped(0), grouped(999), grouped(1234), grouped(1_234_567)], ["0", "999", "1,234", "1,234,567"]);
        assert_eq!(human("2024-04-05T00:39:47Z".parse().unwrap()), "5 April 2024, 00:39 UTC");
    }
}
