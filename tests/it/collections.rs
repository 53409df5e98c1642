//! Outbox, conversations, replies, followers, pins, hashtags, inboxes.

use crate::activitypub::{account, depth, post, reply, store};
use crate::support::{Bundle, TestApp, status_id};
use chrono::{DateTime, Duration, Utc};
use everpost::domain::post::NewPost;
use everpost::text::SafeHtml;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A moment `hours` after the first one.
fn at(hours: i64) -> String {
    let first: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
    (first + Duration::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn url(at: &str) -> String {
    format!("https://origin.example/@ann/{}", status_id(at))
}

/// An account with a post for each of these hours.
async fn app_with(hours: impl Iterator<Item = i64>) -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let posts: Vec<NewPost> = hours.map(|hour| post(&at(hour))).collect();
    store(&app, "ann", &posts).await;
    app
}

/// A self-thread of `length` posts, each answering the one before.
async fn app_with_thread(length: i64) -> TestApp {
    let app = app_with(0..1).await;
    let replies: Vec<NewPost> = (1..length).map(|hour| reply(&at(hour), &url(&at(hour - 1)))).collect();
    store(&app, "ann", &replies).await;
    app
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["orderedItems"].as_array().or_else(|| page["items"].as_array()).unwrap();
    items.iter().map(|item| item["id"].as_str().or_else(|| item.as_str()).unwrap().to_owned()).collect()
}

fn creates(app: &TestApp, hours: impl Iterator<Item = i64>) -> Vec<String> {
    hours.map(|hour| format!("{}/users/ann/statuses/{}/activity", app.base, status_id(&at(hour)))).collect()
}

fn notes(app: &TestApp, hours: impl Iterator<Item = i64>) -> Vec<String> {
    hours.map(|hour| format!("{}/users/ann/statuses/{}", app.base, status_id(&at(hour)))).collect()
}

/// A Note with a `name` looks like a vote in a poll to Mastodon.
fn assert_no_named_note(value: &Value) {
    assert!(value["type"] != "Note" || value.get("name").is_none(), "{value}");
    let inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => return,
    };
    inner.for_each(assert_no_named_note);
}

/// Pages from a URL on, along `next` or `prev`; each page's id is its URL.
async fn walk(app: &TestApp, from: &Value, along: &str) -> Vec<Value> {
    let mut pages: Vec<Value> = Vec::new();
    let mut url = from.as_str().map(str::to_owned);
    while let Some(here) = url {
        let page = app.object(&here).await;
        assert_eq!(page["id"], here.as_str());
        assert!(depth(&page) <= 7, "{here}");
        url = page[along].as_str().map(str::to_owned);
        pages.push(page);
        assert!(pages.len() < 100, "the pages do not end");
    }
    pages
}

#[tokio::test]
async fn the_outbox_has_a_total_and_both_ends() {
    let app = app_with(0..3).await;
    let id = format!("{}/users/ann/outbox", app.base);
    let outbox = app.object("/users/ann/outbox").await;
    let expected = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": id,
        "type": "OrderedCollection",
        "attributedTo": format!("{}/users/ann", app.base),
        "totalItems": 3,
        "first": format!("{id}?page=true"),
        "last": format!("{id}?page=true&min_id=0"),
    });
    assert_eq!(outbox, expected);
}

#[tokio::test]
async fn outbox_pages_hold_twenty_creates_newest_first_and_lead_from_first_to_the_end() {
    let app = app_with(0..45).await;
    let root = app.object("/users/ann/outbox").await;
    let pages = walk(&app, &root["first"], "next").await;
    assert_eq!(pages.iter().map(|page| ids(page).len()).collect::<Vec<_>>(), [20, 20, 5]);
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), creates(&app, (0..45).rev()));
    for page in &pages {
        assert_eq!((&page["type"], &page["partOf"]), (&json!("OrderedCollectionPage"), &root["id"]));
        for create in page["orderedItems"].as_array().unwrap() {
            assert!(create["object"]["replies"].is_string() && create["object"].get("@context").is_none());
            assert!(create["@context"].is_array(), "its proof needs it");
        }
    }
    assert!(pages[0].get("prev").is_none() && pages[2].get("next").is_none());
    let back = walk(&app, &pages[2]["prev"], "prev").await;
    assert_eq!(back.last().map(ids), Some(ids(&pages[0])), "back to the newest");
}

#[tokio::test]
async fn outbox_pages_lead_from_last_to_the_start() {
    let app = app_with(0..45).await;
    let root = app.object("/users/ann/outbox").await;
    let pages = walk(&app, &root["last"], "prev").await;
    assert_eq!(pages.iter().rev().flat_map(ids).collect::<Vec<_>>(), creates(&app, (0..45).rev()));
    assert!(pages[0].get("next").is_none(), "nothing is older than the last page");
}

#[tokio::test]
async fn a_full_last_page_does_not_lead_to_an_empty_one() {
    let app = app_with(0..40).await;
    let root = app.object("/users/ann/outbox").await;
    assert_eq!(walk(&app, &root["first"], "next").await.len(), 2);
    assert_eq!(walk(&app, &root["last"], "prev").await.len(), 2);
}

#[tokio::test]
async fn an_empty_outbox_has_one_empty_page() {
    let app = app_with(0..0).await;
    let root = app.object("/users/ann/outbox").await;
    assert_eq!(root["totalItems"], 0);
    for end in ["first", "last"] {
        let pages = walk(&app, &root[end], "next").await;
        assert_eq!(pages.iter().flat_map(ids).count() + pages.len(), 1);
    }
}

#[tokio::test]
async fn posts_that_come_in_between_two_pages_neither_hide_nor_repeat_one() {
    let app = app_with((0..60).step_by(2)).await;
    let first = app.object("/users/ann/outbox?page=true").await;
    let newer_and_between: Vec<NewPost> = (1..90).step_by(2).map(|hour| post(&at(hour))).collect();
    store(&app, "ann", &newer_and_between).await;
    let rest: Vec<String> = walk(&app, &first["next"], "next").await.iter().flat_map(ids).collect();
    let seen: Vec<String> = ids(&first).into_iter().chain(rest).collect();
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "nothing twice");
    assert!(creates(&app, (0..60).step_by(2)).iter().all(|id| distinct.contains(id)), "nothing missing");
}

#[tokio::test]
async fn posts_of_one_moment_keep_their_order_across_pages() {
    let app = app_with(0..0).await;
    let twin = |n: i64| {
        let mut post = post(&at(0));
        post.key.0.push_str(&format!("-{n}"));
        post.preferred_id.0 += n;
        post
    };
    store(&app, "ann", &(0..30).map(twin).collect::<Vec<_>>()).await;
    let seen: Vec<String> =
        app.walk_outbox("ann").await.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    let first = status_id(&at(0));
    let expected: Vec<String> =
        (0..30).rev().map(|n| format!("{}/users/ann/statuses/{}/activity", app.base, first + n)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_400() {
    let app = app_with(0..1).await;
    let id = status_id(&at(0));
    let outbox = ["page=2", "page=false", "page=true&max_id=x", "max_id=-1", "min_id=007", "max_id=5", "min_id=5"];
    let both = format!("max_id={id}&min_id={id}");
    for query in outbox.into_iter().chain([both.as_str()]) {
        assert_eq!(app.get(&format!("/users/ann/outbox?{query}")).await.status, 400, "{query}");
    }
    for path in [
        "/users/ann/followers?page=2".to_owned(),
        "/users/ann/following?page=true".to_owned(),
        format!("/users/ann/contexts/{id}?page=2"),
        format!("/users/ann/contexts/{id}?page=true&min_id=5"),
        format!("/users/ann/statuses/{id}/replies?page=0"),
        format!("/users/ann/statuses/{id}/replies?page=x"),
        "/tags/clocks?page=true&max_id=5".to_owned(),
    ] {
        assert_eq!(app.get(&path).await.status, 400, "{path}");
    }
    for path in ["/@ann?max_id=x", "/@ann?max_id=5", "/tags/clocks?max_id=5"] {
        assert_eq!(app.page(path).await.status, 400, "{path}");
    }
    assert_eq!(app.get(&format!("/users/ann/statuses/{id}/replies?page=2")).await.status, 404, "no such page");
}

#[tokio::test]
async fn the_whole_thread_is_reachable_from_any_of_its_posts() {
    let app = app_with_thread(5).await;
    let all = notes(&app, 0..5);
    for (n, id) in all.iter().enumerate() {
        let note = app.object(id).await;
        assert_eq!(note["inReplyTo"], n.checked_sub(1).map_or(Value::Null, |parent| json!(all[parent])));
        assert_eq!(
            (&note["context"], &note["conversation"]),
            (&json!(format!("{}/users/ann/contexts/{}", app.base, status_id(&at(0)))), &note["context"])
        );
        let replies = &note["replies"];
        assert_eq!(ids(&replies["first"]), all.get(n + 1).cloned().into_iter().collect::<Vec<_>>(), "direct replies");
        let mut root = app.object(replies["id"].as_str().unwrap()).await;
        root.as_object_mut().unwrap().remove("@context");
        assert_eq!(root, *replies, "the collection is what the Note inlines");
        let pages = walk(&app, &replies["first"]["id"], "next").await;
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), all[n + 1..], "and everything below them");
        let context = app.object(note["context"].as_str().unwrap()).await;
        assert_eq!((&context["type"], &context["totalItems"]), (&json!("OrderedCollection"), &json!(5)));
        assert_eq!(context["attributedTo"], note["attributedTo"]);
        let pages = walk(&app, &context["first"], "next").await;
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), all, "in order of time");
    }
}

#[tokio::test]
async fn a_page_of_replies_holds_our_own_notes_whole_as_far_as_there_is_room() {
    let app = app_with_thread(4).await;
    let all = notes(&app, 0..4);
    for (page, shown) in [(1, &all[1..2]), (2, &all[2..])] {
        let page = app.object(&format!("{}/replies?page={page}", all[0])).await;
        assert_eq!(ids(&page), shown);
        for item in page["items"].as_array().unwrap() {
            let mut note = app.object(item["id"].as_str().unwrap()).await;
            assert_eq!(item["replies"], note["replies"]["id"], "its own replies are an address");
            let mut item = item.clone();
            for inner in [&mut note, &mut item] {
                inner
                    .as_object_mut()
                    .unwrap()
                    .retain(|key, _| !["@context", "proof", "replies"].contains(&key.as_str()));
            }
            assert_eq!(item, note, "and everything else is as it is at its id");
        }
    }
    let app = app_with(0..1).await;
    let long = "<p>word</p>".repeat(2000);
    let answer = |hour| NewPost { content: SafeHtml::sanitise(&long), ..reply(&at(hour), &url(&at(0))) };
    store(&app, "ann", &(1..30).map(answer).collect::<Vec<_>>()).await;
    let page = app.get(&format!("{}/replies?page=1", notes(&app, 0..1)[0])).await;
    assert!(page.body.len() < 128 << 10, "{}", page.body.len());
    let page = page.json();
    assert_eq!(ids(&page), notes(&app, 1..30), "the others are named");
    let whole = page["items"].as_array().unwrap().iter().filter(|item| item.is_object()).count();
    assert!((1..30).contains(&whole), "{whole}");
}

#[tokio::test]
async fn a_long_thread_is_paged_to_its_end() {
    let app = app_with_thread(450).await;
    let all = notes(&app, 0..450);
    let context = app.object(&format!("/users/ann/contexts/{}", status_id(&at(0)))).await;
    assert_eq!(context["totalItems"], 450);
    let pages = walk(&app, &context["first"], "next").await;
    assert_eq!(pages.iter().map(|page| ids(page).len()).collect::<Vec<_>>(), [200, 200, 50]);
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), all);
    let replies = json!(format!("{}/replies?page=1", all[0]));
    let pages = walk(&app, &replies, "next").await;
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), all[1..]);
}

#[tokio::test]
async fn a_thread_that_comes_in_two_imports_is_one_and_answers_under_both_conversations() {
    let app = app_with(0..0).await;
    let (root, parent, child) = (at(0), at(1), at(2));
    store(&app, "ann", &[reply(&child, &url(&parent))]).await;
    let context = |at: &str| json!(format!("{}/users/ann/contexts/{}", app.base, status_id(at)));
    let early = context(&child);
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 0, "a reply to an unknown post is not listed");
    store(&app, "ann", &[reply(&parent, &url(&root))]).await;
    let middle = context(&parent);
    let hidden = [&parent, &child].map(|at| format!("/users/ann/statuses/{}", status_id(at)));
    for id in &hidden {
        assert_eq!(app.get(id).await.status, 404, "a reply to a post that is not here is not published");
        assert_eq!(app.page(id).await.status, 404);
    }
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 0, "nor is a reply to such a reply");
    let beside = format!("/users/ann/outbox?page=true&max_id={}", status_id(&child));
    assert_eq!(app.get(&beside).await.status, 400, "nor does a cursor tell that it is there");
    store(&app, "ann", &[post(&root)]).await;
    let all = notes(&app, 0..3);
    let now = app.object(&all[0]).await["context"].clone();
    assert_eq!(BTreeSet::from([early.to_string(), middle.to_string(), now.to_string()]).len(), 3, "three were minted");
    for id in &all {
        assert_eq!(app.object(id).await["context"], now);
    }
    assert_eq!(app.object(&all[2]).await["inReplyTo"], json!(all[1]));
    for old in [early, middle, now] {
        let context = app.object(old.as_str().unwrap()).await;
        assert_eq!((&context["id"], &context["totalItems"]), (&old, &json!(3)));
        assert_eq!(walk(&app, &context["first"], "next").await.iter().flat_map(ids).collect::<Vec<_>>(), all);
    }
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 3);
}

#[tokio::test]
async fn a_post_that_is_added_to_a_thread_joins_its_conversation() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post(&at(0), "<p>One.</p>").post(&at(1), "<p>Two.</p>").write(archive.path());
    app.import(archive.path()).await;
    Bundle::new()
        .post(&at(0), "<p>One.</p>")
        .post(&at(1), "<p>Two.</p>")
        .post(&at(2), "<p>Three.</p>")
        .write(archive.path());
    app.import(archive.path()).await;
    let context = format!("/users/ann/contexts/{}?page=true", status_id(&at(0)));
    assert_eq!(ids(&app.object(&context).await), notes(&app, 0..3));
}

#[tokio::test]
async fn followers_and_following_have_a_total_and_a_first_page_that_names_nobody() {
    let app = app_with(0..1).await;
    for which in ["followers", "following"] {
        let id = format!("{}/users/ann/{which}", app.base);
        let root = app.object(&id).await;
        assert_eq!(
            (&root["id"], &root["type"], &root["totalItems"]),
            (&json!(id), &json!("OrderedCollection"), &json!(0))
        );
        let page = app.object(root["first"].as_str().unwrap()).await;
        assert_eq!((&page["id"], &page["partOf"]), (&root["first"], &root["id"]));
        assert_eq!((&page["type"], &page["orderedItems"]), (&json!("OrderedCollectionPage"), &json!([])));
    }
}

#[tokio::test]
async fn pins_featured_tags_likes_and_shares_are_there_and_empty() {
    let app = app_with(0..1).await;
    let actor = app.object("/users/ann").await;
    let featured = app.object(actor["featured"].as_str().unwrap()).await;
    assert_eq!((&featured["id"], &featured["type"]), (&actor["featured"], &json!("OrderedCollection")));
    assert_eq!(featured["orderedItems"], json!([]));
    let tags = app.object(actor["featuredTags"].as_str().unwrap()).await;
    assert_eq!(
        (&tags["id"], &tags["type"], &tags["items"]),
        (&actor["featuredTags"], &json!("Collection"), &json!([]))
    );
    let note = app.object(&notes(&app, 0..1)[0]).await;
    for which in ["likes", "shares"] {
        let mut collection = app.object(note[which]["id"].as_str().unwrap()).await;
        collection.as_object_mut().unwrap().remove("@context");
        assert_eq!((&collection, &collection["totalItems"]), (&note[which], &json!(0)));
    }
}

#[tokio::test]
async fn a_hashtag_leads_other_servers_to_its_posts_under_one_spelling() {
    let app = app_with(0..0).await;
    let tagged = |hour: i64| NewPost { tags: vec!["clocks".to_owned()], ..post(&at(hour)) };
    store(&app, "ann", &(0..25).map(tagged).collect::<Vec<_>>()).await;
    store(&app, "ann", &[post(&at(30))]).await;
    let root = app.object("/tags/clocks").await;
    assert_eq!(root["id"], format!("{}/tags/clocks", app.base));
    let pages = walk(&app, &root["first"], "next").await;
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), notes(&app, (0..25).rev()));
    let other = app.get("/tags/Clocks").await;
    assert_eq!((other.status, other.location()), (302, root["id"].as_str().unwrap()));
}

#[tokio::test]
async fn an_inbox_is_posted_to_and_not_read() {
    let app = app_with(0..1).await;
    for path in ["/users/ann/inbox", "/inbox", "/actor/inbox"] {
        let read = app.get(path).await;
        assert_eq!((read.status, read.header("allow")), (405, "POST"), "{path}");
    }
}

#[tokio::test]
async fn no_document_nests_deeper_than_pixelfed_reads() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let full = NewPost {
        language: Some("en".to_owned()),
        tags: vec!["clocks".to_owned()],
        object_id_stated: true,
        ..post(&at(0))
    };
    store(&app, "ann", &[full, reply(&at(1), &url(&at(0))), reply(&at(2), &url(&at(1)))]).await;
    app.set("ann", &["hashtags=on", "field.Site=https://ann.example/"]).await;
    let id = status_id(&at(0));
    for path in [
        "/actor".to_owned(),
        "/users/ann".to_owned(),
        "/users/ann/outbox".to_owned(),
        "/users/ann/outbox?page=true".to_owned(),
        "/users/ann/followers?page=1".to_owned(),
        format!("/users/ann/contexts/{id}?page=true"),
        format!("/users/ann/statuses/{id}"),
        format!("/users/ann/statuses/{id}/activity"),
        format!("/users/ann/statuses/{id}/replies"),
        format!("/users/ann/statuses/{id}/replies?page=1"),
        format!("/users/ann/statuses/{id}/replies?page=2"),
        "/tags/clocks?page=true".to_owned(),
    ] {
        let document = app.object(&path).await;
        assert!(depth(&document) <= 7, "{path}: {}", depth(&document));
        assert_no_named_note(&document);
    }
}
