//! What an entry says, to whom, and what it does not show.

use super::{FORMATS, days, get, read};
use crate::activitypub::{account, app_with, post, reply, store};
use crate::support::{TestApp, fixture, status_id};
use everpost::domain::details::Details;
use everpost::domain::post::{NewPost, Visibility};
use everpost::domain::told::{Poll, PollOption};
use everpost::operations::accounts;
use everpost::text::SafeHtml;
use feed_rs::model::Entry;
use scraper::{Html, Selector};

const FIRST: &str = "2024-01-01T10:00:00Z";
const SECOND: &str = "2024-01-02T10:00:00Z";

fn html(entry: &Entry) -> String {
    let content = entry.content.as_ref().and_then(|content| content.body.clone());
    content.or_else(|| entry.summary.as_ref().map(|summary| summary.content.clone())).unwrap_or_default()
}

/// The only entry of a feed in each format.
async fn only(app: &TestApp) -> Vec<(&'static str, Entry)> {
    let mut found = Vec::new();
    for (format, _) in FORMATS {
        let mut feed = read(app, &format!("/@ann/feed.{format}")).await;
        assert_eq!(feed.entries.len(), 1, "{format}");
        found.push((format, feed.entries.remove(0)));
    }
    found
}

#[tokio::test]
async fn an_entry_has_the_notes_id_its_own_dates_its_page_and_its_text() {
    let edited = Some("2024-02-01T00:00:00Z".parse().unwrap());
    let content = SafeHtml::sanitise("<p>Tick &amp; <b>tock</b> &lt;3</p>");
    let app = app_with(&[NewPost { content, edited, tags: vec!["uhren".to_owned()], ..post(FIRST) }]).await;
    app.set("ann", &["name=Ann & Co"]).await;
    let urls = app.account("ann").await.urls();
    let id = everpost::domain::ids::PostId(status_id(FIRST));
    for (format, entry) in only(&app).await {
        assert_eq!(entry.id, urls.note(id), "{format}");
        assert_eq!(entry.links[0].href, urls.page(id), "{format}");
        assert_eq!(entry.published.unwrap().to_rfc3339(), "2024-01-01T10:00:00+00:00", "{format}");
        assert!(html(&entry).contains("<p>Tick &amp; <b>tock</b> &lt;3</p>"), "{format}: {}", html(&entry));
        assert!(html(&entry).contains("Original on origin.example"), "{format}");
        assert_eq!(entry.categories.iter().map(|tag| tag.term.as_str()).collect::<Vec<_>>(), ["uhren"], "{format}");
        if format != "rss" {
            assert_eq!(entry.updated.unwrap().to_rfc3339(), "2024-02-01T00:00:00+00:00", "{format}");
        }
        if format == "atom" {
            let via = entry.links.iter().find(|link| link.rel.as_deref() == Some("via")).unwrap();
            assert!(via.href.starts_with("https://origin.example/@ann/"));
            assert_eq!(entry.title.as_ref().unwrap().content, "Tick & tock <3");
        }
    }
    let feed = read(&app, "/@ann/feed.atom").await;
    let host = app.base.split_once("://").unwrap().1;
    assert_eq!(feed.title.unwrap().content, format!("Ann & Co (@ann@{host})"));
    assert_eq!(feed.authors[0].name.as_deref(), Some("Ann & Co"));
    assert_eq!(feed.id, format!("{}/@ann/feed.atom", app.base));
}

#[tokio::test]
async fn a_warning_stands_for_the_text_and_nothing_behind_it_shows_by_itself() {
    let warned = NewPost { warning: Some("Spiders".to_owned()), ..post(FIRST) };
    let app = app_with(&[warned]).await;
    for (format, entry) in only(&app).await {
        let shown = Html::parse_fragment(&html(&entry));
        let summary = shown.select(&Selector::parse("details > summary").unwrap()).next().unwrap();
        assert_eq!(summary.text().collect::<String>(), "Content warning: Spiders", "{format}");
        assert!(html(&entry).split("</details>").next().unwrap().contains("Written at"), "{format}");
        assert_eq!(entry.title.as_ref().unwrap().content, "Content warning: Spiders", "{format}");
    }
    let atom = get(&app, "/@ann/feed.atom").await.body;
    assert!(atom.contains("<summary>Content warning: Spiders</summary>"));
    assert_eq!(get(&app, "/@ann/feed.json").await.json()["items"][0]["summary"], "Content warning: Spiders");
}

/// The feeds of the account of an archive, with boosts and replies published.
async fn whole(name: &str, handle: &str) -> TestApp {
    let app = TestApp::start().await;
    app.try_import(&fixture(name), None).await.unwrap();
    app.set(handle, &["publish.replies=true", "publish.boosts=true"]).await;
    app
}

#[tokio::test]
async fn files_are_enclosed_with_type_and_length_and_sensitive_ones_are_links() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let atom = read(&app, "/@juno/feed.atom").await;
    let json = get(&app, "/@juno/feed.json").await.json();
    let rss = rss::Channel::read_from(get(&app, "/@juno/feed.rss").await.body.as_bytes()).unwrap();
    let mut enclosed = 0;
    for (at, entry) in atom.entries.iter().enumerate() {
        let files: Vec<_> = entry.links.iter().filter(|link| link.rel.as_deref() == Some("enclosure")).collect();
        let attachments = json["items"][at]["attachments"].as_array().cloned().unwrap_or_default();
        assert_eq!(attachments.len(), files.len());
        for (link, attachment) in files.iter().zip(&attachments) {
            let file = app.get_with(&link.href, &[]).await;
            let (kind, length) = (file.header("content-type"), file.header("content-length"));
            assert_eq!(file.status, 200, "{}", link.href);
            assert_eq!(link.media_type.as_deref(), Some(kind));
            assert_eq!(link.length.unwrap().to_string(), length);
            assert_eq!(
                (&attachment["mime_type"], &attachment["size_in_bytes"].to_string()),
                (&kind.into(), &length.to_owned())
            );
            enclosed += 1;
        }
        if let Some(first) = files.first() {
            assert_eq!(rss.items()[at].enclosure().unwrap().url(), first.href);
            assert!(html(entry).contains("<img "), "a picture is shown in its place: {}", html(entry));
        }
    }
    assert!(enclosed > 0);
    app.database.execute("UPDATE posts SET sensitive = true");
    app.set("juno", &["name=Juno"]).await;
    let hidden = read(&app, "/@juno/feed.atom").await;
    for entry in &hidden.entries {
        assert!(entry.links.iter().all(|link| link.rel.as_deref() != Some("enclosure")), "{}", entry.id);
        assert!(!html(entry).contains("<img "), "{}", html(entry));
    }
    assert!(hidden.entries.iter().any(|entry| html(entry).contains("Sensitive media")));
}

#[tokio::test]
async fn polls_quotes_answers_and_boosts_can_be_read() {
    let option = |name: &str, votes| PollOption { name: name.to_owned(), votes: Some(votes) };
    let options = vec![option("Ja & nein", 3), option("Nein", 1)];
    let poll = Poll { multiple: false, options, ends: None, closed: None, voters: None };
    let details = Details { poll: Some(poll), ..Details::default() };
    let parent = format!("https://origin.example/@ann/{}", status_id(FIRST));
    let app = app_with(&[NewPost { details, ..post(FIRST) }, reply(SECOND, &parent)]).await;
    let feed = read(&app, "/@ann/feed.atom").await;
    let urls = app.account("ann").await.urls();
    let first = urls.page(everpost::domain::ids::PostId(status_id(FIRST)));
    assert!(
        html(&feed.entries[0]).starts_with(&format!("<p>In reply to <a href=\"{first}\">")),
        "{}",
        html(&feed.entries[0])
    );
    let polled = html(&feed.entries[1]);
    assert!(polled.contains("<li>Ja &#38; nein: 3 (75 %)</li>"), "{polled}");
    for (name, handle) in [("mastodon-4.6", "oren"), ("mastodon-2026", "wren"), ("akkoma-3.10", "petra")] {
        let app = whole(name, handle).await;
        let page = app.page(&format!("/@{handle}")).await.body;
        let feed = read(&app, &format!("/@{handle}/feed.atom")).await;
        let boosts = feed.entries.iter().filter(|entry| entry.title.as_ref().unwrap().content.starts_with("Boosted "));
        assert_eq!(boosts.count(), page.matches("class=\"post boost\"").count(), "{name}");
        assert_eq!(feed.entries.len(), page.matches("<article class=\"post").count(), "{name}: as many as on the page");
        assert_eq!(
            feed.entries.iter().filter(|entry| html(entry).contains("<p>Quotes ")).count(),
            page.matches("u-quotation-of").count(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_unlisted_post_is_in_the_accounts_feed_and_not_in_a_hashtags() {
    let tags = || vec!["uhren".to_owned()];
    let unlisted = NewPost { visibility: Visibility::Unlisted, tags: tags(), ..post(FIRST) };
    let app = app_with(&[unlisted, NewPost { tags: tags(), ..post(SECOND) }]).await;
    assert_eq!(read(&app, "/@ann/feed.atom").await.entries.len(), 2);
    let tagged = read(&app, "/tags/uhren/feed.atom").await;
    assert_eq!(tagged.entries.len(), 1);
    assert!(tagged.entries[0].id.ends_with(&status_id(SECOND).to_string()));
}

#[tokio::test]
async fn the_pages_of_accounts_and_hashtags_lead_to_their_feeds() {
    let app = app_with(&[NewPost { tags: vec!["blåbær".to_owned()], ..post(FIRST) }]).await;
    for (path, feeds) in [("/@ann", "/@ann"), ("/tags/blåbær", "/tags/bl%C3%A5b%C3%A6r")] {
        let page = Html::parse_document(&app.page(path).await.body);
        for (format, content_type) in FORMATS {
            let address = format!("{}{feeds}/feed.{format}", app.base);
            for element in ["head > link[rel='alternate']", "main a"] {
                let link = format!("{element}[type='{content_type}'][href='{address}']");
                assert_eq!(page.select(&Selector::parse(&link).unwrap()).count(), 1, "{path}: {link}");
            }
            assert_eq!(read(&app, &address).await.entries.len(), 1, "{address}");
        }
    }
}

#[tokio::test]
async fn who_has_a_feed_already_is_told_so_until_something_changes() {
    let app = app_with(&days(2024, 3)).await;
    app.database.execute("UPDATE accounts SET changed_at = '2025-01-01'");
    for path in ["/@ann/feed.atom", "/@ann/feed.rss", "/@ann/feed.json"] {
        let first = get(&app, path).await;
        assert_eq!(first.header("cache-control"), "public, max-age=180");
        assert_eq!(first.header("access-control-allow-origin"), "*");
        assert_eq!(first.header("link"), format!("<{}{path}>; rel=\"self\"", app.base));
        let tag = first.header("etag").to_owned();
        assert_eq!(app.get_with(path, &[("if-none-match", &tag)]).await.status, 304);
        let at = first.header("last-modified").to_owned();
        assert_eq!(app.get_with(path, &[("if-modified-since", &at)]).await.status, 304);
    }
    let tag = get(&app, "/@ann/feed.atom").await.header("etag").to_owned();
    store(&app, "ann", &days(2025, 1)).await;
    assert_eq!(app.get_with("/@ann/feed.atom", &[("if-none-match", &tag)]).await.status, 200);
}

#[tokio::test]
async fn a_drafts_feeds_open_like_its_page_and_a_deleted_accounts_are_gone() {
    let app = TestApp::start_at("https://keep.example").await;
    account(&app, "ann").await;
    store(&app, "ann", &days(2024, 2)).await;
    assert_eq!(app.get_with("/@ann/feed.atom", &[]).await.status, 404);
    let draft = app.account("ann").await;
    let cookie = format!("everpost_preview_{}={}", draft.id, draft.preview_token);
    let opened = app.get_with("/@ann/feed.atom", &[("cookie", &cookie)]).await;
    assert_eq!((opened.status, opened.header("cache-control")), (200, "private, no-store"));
    let exposed = "SELECT count(*) FROM posts WHERE exposed_at IS NOT NULL";
    assert_eq!(app.database.number(exposed), 0, "nobody else saw it");
    accounts::publish(&app.app, &draft.handle, chrono::Utc::now()).await.unwrap();
    assert_eq!(get(&app, "/@ann/feed.atom").await.header("cache-control"), "public, max-age=180");
    assert_eq!(app.database.number(exposed), 2, "who reads an id may fetch it");
    accounts::delete(&app.app, &draft.handle, chrono::Utc::now()).await.unwrap();
    assert_eq!(app.get_with("/@ann/feed.atom", &[]).await.status, 410);
}
