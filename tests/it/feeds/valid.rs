//! Each format against its rules: Atom against its schema, RSS with a validator, JSON Feed field by field.

use super::{days, get, link};
use crate::activitypub::{app_with, post};
use crate::support::{TestApp, fixture};
use chrono::DateTime;
use everpost::domain::post::NewPost;
use everpost::text::SafeHtml;
use rss::validation::Validate;
use serde::Deserialize;
use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// Archives with everything in them that a post can have, and who they are by.
const ARCHIVES: [(&str, &str); 4] = [
    ("mastodon-4.6", "oren"),
    ("mastodon-2026", "wren"),
    ("akkoma-3.10", "petra"),
    ("hugo-mastodon-to-hugo-v1", "juno"),
];

/// The documents of a feed, from the newest to the oldest.
async fn documents(app: &TestApp, start: &str) -> Vec<String> {
    let (mut next, mut found) = (Some(start.to_owned()), Vec::new());
    while let Some(address) = next {
        let answer = get(app, &address).await;
        next = link(&answer, "prev-archive");
        found.push(answer.body);
    }
    found
}

/// Every document in a format, of the accounts of all archives and of an account that has older parts, and of a hashtag.
async fn every_document(format: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, handle) in ARCHIVES {
        let app = TestApp::start().await;
        app.try_import(&fixture(name), None).await.unwrap();
        app.set(handle, &["publish.replies=true", "publish.boosts=true", "name=A < B & \"C\""]).await;
        found.extend(documents(&app, &format!("/@{handle}/feed.{format}")).await);
    }
    // Characters that XML cannot write at all, and some that it must not be broken by.
    let content = SafeHtml::sanitise("<p>\u{1}\u{b}\u{ffff}]]> &lt;![CDATA[ \u{1f600} &#8;</p>");
    let odd = NewPost {
        content,
        tags: vec!["a&b\"c".to_owned()],
        warning: Some("\u{2}<>".to_owned()),
        ..post("2024-01-01T00:00:00Z")
    };
    let app = app_with(&[days(2018, 130), vec![odd]].concat()).await;
    let parts = documents(&app, &format!("/@ann/feed.{format}")).await;
    assert_eq!(parts.len(), 2);
    found.extend(parts);
    found.extend(documents(&app, &format!("/tags/a&b%22c/feed.{format}")).await);
    found.extend(documents(&app, &format!("/tags/nothing/feed.{format}")).await);
    found
}

#[tokio::test]
async fn every_atom_document_is_valid_by_the_schema_of_rfc_4287() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outside/atom.rng");
    let check = |document: &str| {
        let mut command = Command::new("xmllint");
        command.args(["--noout", "--nonet", "--relaxng", schema, "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut run = command.spawn().expect("xmllint is there: run script/bootstrap --test");
        run.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
        let run = run.wait_with_output().unwrap();
        run.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&run.stderr).into_owned())
    };
    for document in every_document("atom").await {
        check(&document).unwrap_or_else(|why| panic!("{why}\n{document}"));
        // What the schema cannot say: ids are told apart, there is one alternate of a type, and every link is absolute.
        let feed = atom_syndication::Feed::read_from(document.as_bytes()).unwrap();
        let ids: HashSet<_> = feed.entries().iter().map(|entry| entry.id()).collect();
        assert_eq!(ids.len(), feed.entries().len());
        for entry in feed.entries() {
            assert_eq!(entry.links().iter().filter(|link| link.rel() == "alternate").count(), 1);
            assert!(entry.updated() >= entry.published().unwrap());
            assert!(!feed.authors().is_empty() || !entry.authors().is_empty());
        }
        let links = feed.links().iter().chain(feed.entries().iter().flat_map(|entry| entry.links()));
        links.for_each(|link| assert!(link.href().parse::<url::Url>().is_ok(), "{}", link.href()));
    }
    // The schema is no wall of paper.
    let broken = get(&app_with(&days(2024, 1)).await, "/@ann/feed.atom").await.body.replacen("<id>", "<id2>", 1);
    assert!(check(&broken.replacen("</id>", "</id2>", 1)).is_err());
}

#[tokio::test]
async fn every_rss_document_is_valid() {
    for document in every_document("rss").await {
        let channel = rss::Channel::read_from(document.as_bytes()).unwrap_or_else(|why| panic!("{why}\n{document}"));
        channel.validate().unwrap_or_else(|why| panic!("{why}\n{document}"));
        for item in channel.items() {
            assert!(item.title().is_some() || item.description().is_some(), "an item has one of the two");
            assert!(item.guid().is_some_and(|guid| !guid.is_permalink()));
        }
        assert_eq!(channel.atom_ext().unwrap().links().iter().filter(|link| link.rel() == "self").count(), 1);
    }
}

/// JSON Feed 1.1, as far as ours use it: which fields there are, which of them must be, and of which types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that they can be read is what is tested")]
struct JsonFeed {
    version: String,
    title: String,
    home_page_url: String,
    feed_url: String,
    description: String,
    next_url: Option<String>,
    icon: Option<String>,
    #[serde(default)]
    authors: Vec<JsonAuthor>,
    items: Vec<JsonItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that they can be read is what is tested")]
struct JsonAuthor {
    name: String,
    url: String,
    avatar: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that they can be read is what is tested")]
struct JsonItem {
    id: String,
    url: String,
    title: Option<String>,
    content_html: String,
    summary: Option<String>,
    date_published: String,
    date_modified: Option<String>,
    authors: Vec<JsonAuthor>,
    #[serde(default)]
    tags: Vec<String>,
    language: Option<String>,
    #[serde(default)]
    attachments: Vec<JsonAttachment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that they can be read is what is tested")]
struct JsonAttachment {
    url: String,
    mime_type: String,
    title: Option<String>,
    size_in_bytes: u64,
}

#[tokio::test]
async fn every_json_feed_has_the_fields_of_version_1_1() {
    for document in every_document("json").await {
        let feed: JsonFeed = serde_json::from_str(&document).unwrap_or_else(|why| panic!("{why}\n{document}"));
        assert_eq!(feed.version, "https://jsonfeed.org/version/1.1");
        let items = feed.items.iter().map(|item| &item.url);
        let addresses = [&feed.home_page_url, &feed.feed_url].into_iter().chain(&feed.next_url).chain(items);
        addresses.for_each(|address| assert!(address.parse::<url::Url>().is_ok(), "{address}"));
        let dates = feed.items.iter().flat_map(|item| [Some(&item.date_published), item.date_modified.as_ref()]);
        dates.flatten().for_each(|date| assert!(DateTime::parse_from_rfc3339(date).is_ok(), "{date}"));
        assert!(feed.next_url.as_ref() != Some(&feed.feed_url));
        let ids: HashSet<_> = feed.items.iter().map(|item| &item.id).collect();
        assert_eq!(ids.len(), feed.items.len());
    }
}
