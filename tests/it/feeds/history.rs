//! The whole history can be read, each post comes once, and a reader that knows the documents misses nothing.

use super::{FORMATS, days, get, link, read};
use crate::activitypub::{account, app_with, store};
use crate::support::TestApp;
use everpost::domain::ids::PostId;
use std::collections::{BTreeSet, HashSet};

/// What a reader of archived feeds does (RFC 5005, section 4.2): from the feed itself back, until it meets a document that
/// it has read. The ids of all entries that it has met, in order.
async fn walk(app: &TestApp, start: &str, known: &mut HashSet<String>) -> Vec<String> {
    let (mut next, mut ids, mut later) = (Some(start.to_owned()), Vec::new(), None::<String>);
    while let Some(address) = next {
        let answer = get(app, &address).await;
        let feed = feed_rs::parser::parse(answer.body.as_bytes()).unwrap();
        assert!((1..=120).contains(&feed.entries.len()), "{address}: {} entries", feed.entries.len());
        ids.extend(feed.entries.into_iter().map(|entry| entry.id));
        let is_archive = address != start;
        if !start.ends_with("json") {
            assert_eq!(link(&answer, "self").as_deref(), Some(app.absolute(&address).as_str()));
            assert_eq!(answer.body.contains("<fh:archive/>"), is_archive, "{address}");
            assert_eq!(link(&answer, "current"), is_archive.then(|| app.absolute(start)), "{address}");
            // The newest archive document has none after it, for the feed itself is no archive.
            let after = later.filter(|later| later != start);
            assert_eq!(link(&answer, "next-archive"), after.map(|after| app.absolute(&after)), "{address}");
        }
        if is_archive {
            known.insert(address.clone());
        }
        next = link(&answer, "prev-archive").map(|address| address.replace(&app.base, ""));
        next = next.filter(|address| !known.contains(address));
        later = Some(address);
        assert!(ids.len() < 5000, "the history does not end");
    }
    ids
}

impl TestApp {
    fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// The ids of all that the outbox shows.
async fn listed(app: &TestApp) -> BTreeSet<String> {
    let items = app.walk_outbox("ann").await;
    items.iter().map(|create| create["object"]["id"].as_str().unwrap().to_owned()).collect()
}

/// `ids` are exactly what the account shows, each once.
async fn check_whole(app: &TestApp, ids: &[String]) {
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(distinct.len(), ids.len(), "each entry comes once");
    assert_eq!(distinct, listed(app).await);
}

#[tokio::test]
async fn the_whole_history_can_be_read_in_every_format_and_each_post_comes_once() {
    let app = app_with(&[days(2019, 230), days(2021, 7), days(2022, 100)].concat()).await;
    for (format, _) in FORMATS {
        let ids = walk(&app, &format!("/@ann/feed.{format}"), &mut HashSet::new()).await;
        check_whole(&app, &ids).await;
        assert_eq!(ids.len(), 337);
    }
    let newest = read(&app, "/@ann/feed.atom").await;
    assert_eq!(newest.entries.len(), 100);
    let dates: Vec<_> = newest.entries.iter().map(|entry| entry.published.unwrap()).collect();
    assert!(dates.is_sorted_by(|a, b| a > b), "newest first");
}

#[tokio::test]
async fn a_reader_of_the_archives_misses_nothing_when_older_posts_come_later() {
    let app = app_with(&[days(2019, 150), days(2020, 30)].concat()).await;
    let mut known = HashSet::new();
    let first = walk(&app, "/@ann/feed.atom", &mut known).await;
    check_whole(&app, &first).await;
    assert_eq!(known.len(), 2);

    // New posts change no archive document, neither what it holds nor where it stands.
    let (bodies, addresses) = (bodies(&app, &known).await, known.clone());
    store(&app, "ann", &days(2021, 5)).await;
    let mut seen: BTreeSet<String> = first.into_iter().collect();
    seen.extend(walk(&app, "/@ann/feed.atom", &mut known).await);
    assert_eq!(seen, listed(&app).await);
    assert_eq!(bodies, self::bodies(&app, &addresses).await);

    // Older ones give every document after them another address, so that the reader goes on to where they are.
    store(&app, "ann", &[days(2017, 3), days(2018, 120)].concat()).await;
    seen.extend(walk(&app, "/@ann/feed.atom", &mut known).await);
    assert_eq!(seen, listed(&app).await, "what came later was found");
    check_whole(&app, &walk(&app, "/@ann/feed.atom", &mut HashSet::new()).await).await;
    for address in addresses {
        let answer = app.get_with(&address, &[]).await;
        assert_eq!(answer.status, 302, "an address of earlier leads to the one of now");
        get(&app, &answer.location().replace(&app.base, "")).await;
    }
}

/// The entries in documents, by their addresses.
async fn bodies(app: &TestApp, addresses: &HashSet<String>) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for address in addresses {
        let entries = read(app, address).await.entries;
        found.push((address.clone(), entries.into_iter().map(|entry| entry.id).collect()));
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_withdrawn_post_is_in_no_document_and_the_others_each_in_one() {
    let app = app_with(&[days(2019, 150), days(2020, 30)].concat()).await;
    let old = listed(&app).await.into_iter().nth(40).unwrap();
    let before = walk(&app, "/@ann/feed.json", &mut HashSet::new()).await;
    assert!(before.contains(&old));
    let id = PostId(old.rsplit('/').next().unwrap().parse().unwrap());
    let account = app.account("ann").await.id;
    app.app.store.withdraw_post(account, id, None, chrono::Utc::now()).await.unwrap();
    let after = loop {
        // The server's cache hears of it within a second.
        let after = walk(&app, "/@ann/feed.json", &mut HashSet::new()).await;
        if !after.contains(&old) {
            break after;
        }
    };
    check_whole(&app, &after).await;
}

#[tokio::test]
async fn a_part_is_found_by_its_name_and_one_that_is_not_there_is_not() {
    let app = app_with(&[days(2019, 120), days(2020, 30)].concat()).await;
    for part in ["2019", "2019-2"] {
        let answer = app.get_with(&format!("/@ann/feed/{part}.atom"), &[]).await;
        assert_eq!(answer.status, 302, "{part}");
        assert!(answer.location().starts_with(&format!("{}/@ann/feed/{part}.atom?v=", app.base)), "{part}");
    }
    let newest = app.get_with("/@ann/feed/2020.rss", &[]).await;
    assert_eq!((newest.status, newest.location()), (302, format!("{}/@ann/feed.rss", app.base).as_str()));
    for path in ["/@ann/feed/2018.atom", "/@ann/feed/2019-3.atom", "/@ann/feed.xml", "/@bob/feed.atom"] {
        assert_eq!(app.get_with(path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_hashtag_has_the_same_history_over_every_account() {
    let app = app_with(&[]).await;
    account(&app, "bob").await;
    let tagged = |tag: &str, mut posts: Vec<everpost::domain::post::NewPost>| {
        posts.iter_mut().for_each(|post| post.tags = vec![tag.to_owned()]);
        posts
    };
    store(&app, "ann", &[tagged("uhren", days(2019, 130)), tagged("zeit", days(2018, 3))].concat()).await;
    let mut others = tagged("uhren", days(2020, 40));
    for post in &mut others {
        post.key.0 = post.key.0.replace("mastodon:", "mastodon:bob.");
        post.preferred_id = PostId(post.preferred_id.0 + 1);
        post.object_id = None;
        post.canonical_url = None;
    }
    store(&app, "bob", &others).await;
    let ids = walk(&app, "/tags/uhren/feed.atom", &mut HashSet::new()).await;
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (170, 170));
    assert_eq!(ids.iter().filter(|id| id.contains("/users/bob/")).count(), 40);
    let feed = read(&app, "/tags/Uhren/feed.atom").await;
    assert!(feed.entries.iter().all(|entry| entry.authors.len() == 1), "each says who wrote it");
    assert_eq!(read(&app, "/tags/nothing/feed.rss").await.entries.len(), 0);
}
