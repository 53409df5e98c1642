//! What is taken back stays gone, everywhere and at once; what is not public yet is nowhere.

use crate::activitypub::{account, post, reply, store};
use crate::support::{Answer, Bundle, TestApp, fixture, status_id};
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Attachment, MediaFile, NewPost};
use everpost::domain::source::MediaKind;
use everpost::domain::told::MediaTold;
use everpost::operations::{accounts, posts};
use serde_json::{Value, json};
use std::path::Path;

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";
const THREE: &str = "2024-01-01T10:10:00Z";

fn note(at: &str) -> String {
    format!("/users/ann/statuses/{}", status_id(at))
}

fn page(at: &str) -> String {
    format!("/@ann/{}", status_id(at))
}

/// A thread of three posts, imported.
async fn thread(archive: &Path) -> TestApp {
    let app = TestApp::start().await;
    Bundle::new().post(ONE, "<p>One.</p>").post(TWO, "<p>Secret two.</p>").post(THREE, "<p>Three.</p>").write(archive);
    app.import(archive).await;
    app
}

async fn withdraw(app: &TestApp, at: &str) {
    let account = app.account("ann").await;
    assert!(posts::withdraw(&app.app, &account, PostId(status_id(at)), Utc::now()).await.unwrap());
}

fn assert_tombstone(app: &TestApp, answer: &Answer, path: &str, former: &str) {
    assert_eq!(answer.status, 410, "{path}");
    assert_eq!(answer.header("content-type"), "application/activity+json; charset=utf-8", "{path}");
    let tombstone = answer.json();
    assert_eq!(tombstone["id"], format!("{}{path}", app.base));
    assert_eq!((&tombstone["type"], &tombstone["formerType"]), (&json!("Tombstone"), &json!(former)));
    assert!(tombstone["deleted"].as_str().unwrap().ends_with('Z'));
    assert!(!answer.body.contains("Secret"));
}

fn picture() -> std::path::PathBuf {
    fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png")
}

fn with_picture(app: &TestApp, at: &str) -> (NewPost, MediaFile) {
    let file = app.app.media.keep(&mut std::fs::File::open(picture()).unwrap()).unwrap();
    let attachment = Attachment {
        file: Some(file.clone()),
        kind: MediaKind::Image,
        alt: None,
        source_url: "a".to_owned(),
        told: MediaTold::default(),
    };
    (NewPost { attachments: vec![attachment], ..post(at) }, file)
}

#[tokio::test]
async fn a_withdrawn_post_is_gone_at_every_one_of_its_urls() {
    let archive = tempfile::tempdir().unwrap();
    let app = thread(archive.path()).await;
    withdraw(&app, TWO).await;
    assert_tombstone(&app, &app.get(&note(TWO)).await, &note(TWO), "Note");
    let activity = format!("{}/activity", note(TWO));
    assert_tombstone(&app, &app.get(&activity).await, &activity, "Create");
    let in_place = app.get(&page(TWO)).await;
    assert_eq!((in_place.status, &in_place.json()["type"]), (410, &json!("Tombstone")));
    assert_eq!(in_place.json()["id"], format!("{}{}", app.base, note(TWO)));
    for path in [page(TWO), note(TWO)] {
        let shown = app.page(&path).await;
        assert_eq!((shown.status, shown.header("content-type")), (410, "text/html; charset=utf-8"));
        assert!(!shown.body.contains("Secret"));
    }
    for below in ["replies", "likes", "shares", "replies?page=1"] {
        assert_eq!(app.get(&format!("{}/{below}", note(TWO))).await.status, 410, "{below}");
    }
}

#[tokio::test]
async fn a_withdrawn_post_leaves_the_outbox_the_conversation_and_what_answers_it() {
    let archive = tempfile::tempdir().unwrap();
    let app = thread(archive.path()).await;
    let before = app.object(&note(THREE)).await;
    assert_eq!(before["inReplyTo"], format!("{}{}", app.base, note(TWO)));
    withdraw(&app, TWO).await;
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 2);
    let listed: Vec<Value> = app.walk_outbox("ann").await.iter().map(|create| create["object"]["id"].clone()).collect();
    let standing = |at: &str| json!(format!("{}{}", app.base, note(at)));
    assert_eq!(listed, [standing(THREE), standing(ONE)]);
    let after = app.object(&note(THREE)).await;
    assert_eq!((&after["inReplyTo"], &after["context"]), (&Value::Null, &before["context"]));
    let context = app.object(before["context"].as_str().unwrap()).await;
    assert_eq!(context["totalItems"], 2);
    let shown = app.object(context["first"].as_str().unwrap()).await;
    assert_eq!(shown["orderedItems"], json!([standing(ONE), standing(THREE)]));
    assert!(!app.object(&note(ONE)).await["replies"].to_string().contains(&status_id(TWO).to_string()));
    assert!(!app.page(&page(ONE)).await.body.contains("Secret"));
    assert_eq!(
        app.get(&format!("/users/ann/outbox?page=true&max_id={}", status_id(TWO))).await.status,
        200,
        "a cursor stays good"
    );
}

#[tokio::test]
async fn a_withdrawn_post_keeps_its_number_key_and_date_and_nothing_else() {
    let archive = tempfile::tempdir().unwrap();
    let app = thread(archive.path()).await;
    withdraw(&app, TWO).await;
    let account = app.account("ann").await;
    let left = app.app.store.list_withdrawn(account.id, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, PostId(status_id(TWO)));
    assert_eq!(left[0].key.0, format!("mastodon:origin.example:{}", status_id(TWO)));
    assert_eq!(left[0].published, TWO.parse::<chrono::DateTime<Utc>>().unwrap());
    let kept = "SELECT count(*) FROM posts p LEFT JOIN post_sources s ON s.post_id = p.id WHERE p.withdrawn_at IS NOT NULL \
                AND (p.content_html <> '' OR p.canonical_url IS NOT NULL OR s.post_id IS NOT NULL)";
    assert_eq!(app.database.number(kept), 0);
}

#[tokio::test]
async fn an_import_brings_a_withdrawn_post_back_only_once_it_is_awaited() {
    let archive = tempfile::tempdir().unwrap();
    let app = thread(archive.path()).await;
    let before = app.object(&note(TWO)).await;
    withdraw(&app, TWO).await;
    let report = app.try_import(archive.path(), None).await.unwrap();
    assert_eq!((report.unchanged, report.skipped.len()), (2, 1));
    assert!(report.skipped[0].reason.contains("withdrawn"), "{:?}", report.skipped);
    assert_eq!(app.get(&note(TWO)).await.status, 410);
    let account = app.account("ann").await;
    posts::restore(&app.app, &account, PostId(status_id(TWO))).await.unwrap();
    assert_eq!(app.get(&note(TWO)).await.status, 410, "awaited is not there yet");
    app.import(archive.path()).await;
    let after = app.object(&note(TWO)).await;
    for field in ["id", "published", "content", "inReplyTo", "context", "url"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert!(after.get("updated").is_none(), "coming back is no edit");
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 3);
}

#[tokio::test]
async fn media_go_with_the_last_post_that_uses_them() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let (first, file) = with_picture(&app, ONE);
    let (second, _) = with_picture(&app, TWO);
    store(&app, "ann", &[first, second]).await;
    let path = format!("/media/{}", file.file_name());
    let status = async || {
        app.client
            .get(app.url(&path))
            .header("host", app.base.split_once("://").unwrap().1)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(status().await, 200);
    withdraw(&app, ONE).await;
    assert_eq!(status().await, 200, "another post shows it");
    withdraw(&app, TWO).await;
    assert_eq!(status().await, 404);
    assert!(!app.app.media.path(&file).exists());
}

#[tokio::test]
async fn a_deleted_account_is_gone_with_its_posts_and_its_handle_is_never_given_again() {
    let archive = tempfile::tempdir().unwrap();
    let app = thread(archive.path()).await;
    let ann = Handle::parse("ann").unwrap();
    accounts::delete(&app.app, &ann, Utc::now()).await.unwrap();
    assert_tombstone(&app, &app.get("/users/ann").await, "/users/ann", "Person");
    assert_tombstone(&app, &app.get(&note(ONE)).await, &note(ONE), "Note");
    for path in ["/users/ann/outbox", "/users/ann/followers", "/users/ann/collections/featured"] {
        assert_eq!(app.get(path).await.status, 410, "{path}");
    }
    for path in ["/@ann".to_owned(), page(ONE)] {
        assert_eq!(app.get(&path).await.status, 410, "{path}");
        let shown = app.page(&path).await;
        assert_eq!((shown.status, shown.header("content-type")), (410, "text/html; charset=utf-8"), "{path}");
    }
    assert_eq!(app.get("/.well-known/webfinger?resource=ann").await.status, 404);
    assert!(!app.page("/").await.body.contains("/@ann"));
    assert!(
        accounts::create(&app.app, &ann, None, None, Utc::now()).await.unwrap_err().to_string().contains("never given")
    );
    assert!(app.try_import(archive.path(), None).await.is_err(), "an import does not bring it back either");
}

#[tokio::test]
async fn a_deleted_account_leaves_no_media_behind() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let (shown, file) = with_picture(&app, ONE);
    store(&app, "ann", &[shown]).await;
    accounts::delete(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    assert!(!app.app.media.path(&file).exists());
    assert_eq!(app.database.number("SELECT count(*) FROM media"), 0);
}

#[tokio::test]
async fn a_draft_does_not_exist_for_other_servers() {
    let app = TestApp::start_at("https://mirror.example").await;
    account(&app, "ann").await;
    let tagged = NewPost { tags: vec!["clocks".to_owned()], ..post(ONE) };
    store(&app, "ann", &[tagged, reply(TWO, &format!("https://origin.example/@ann/{}", status_id(ONE)))]).await;
    let id = status_id(ONE);
    let paths = [
        "/users/ann".to_owned(),
        "/@ann".to_owned(),
        page(ONE),
        note(ONE),
        format!("{}/activity", note(ONE)),
        format!("{}/replies", note(ONE)),
        format!("/users/ann/contexts/{id}"),
        "/users/ann/outbox".to_owned(),
        "/users/ann/followers".to_owned(),
        "/users/ann/collections/featured".to_owned(),
    ];
    let token = app.account("ann").await.preview_token;
    for path in &paths {
        assert_eq!(app.get(path).await.status, 404, "{path}");
        assert_eq!(app.get(&format!("{path}?preview={token}")).await.status, 404, "{path} with the token");
    }
    assert_eq!(app.page("/@ann").await.status, 404);
    assert!(!app.page("/").await.body.contains("/@ann"));
    assert!(!app.page("/tags/clocks").await.body.contains("Written at"));
    assert_eq!(app.get("/nodeinfo/2.1").await.json()["usage"]["localPosts"], 0);
    accounts::publish(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    for path in &paths {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_drafts_pages_open_to_who_has_the_preview_link_and_to_nobody_else() {
    let app = TestApp::start_at("https://mirror.example").await;
    account(&app, "ann").await;
    let (with_picture, file) = with_picture(&app, ONE);
    store(&app, "ann", &[with_picture]).await;
    let media = format!("/media/{}", file.file_name());
    assert_eq!(app.page(&media).await.status, 404);
    let token = app.account("ann").await.preview_token;
    assert_eq!(app.page("/@ann?preview=wrong").await.status, 404);
    let exchange = app.page(&format!("/@ann?preview={token}")).await;
    assert_eq!((exchange.status, exchange.location()), (303, "/@ann"), "the token leaves the address");
    assert_eq!(exchange.header("cache-control"), "private, no-store");
    let cookie = exchange.header("set-cookie");
    for flag in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let html = [("accept", "text/html"), ("cookie", cookie.as_str())];
    for path in ["/@ann".to_owned(), page(ONE)] {
        let shown = app.get_with(&path, &html).await;
        assert_eq!((shown.status, shown.header("cache-control")), (200, "private, no-store"), "{path}");
        assert!(shown.body.contains("not public yet"), "{path}");
    }
    let moved = app.get_with("/users/ann", &html).await;
    assert_eq!((moved.status, moved.header("cache-control")), (302, "private, no-store"));
    let request = app.request(reqwest::Method::GET, &media).header("cookie", &cookie);
    let picture = request.send().await.unwrap();
    assert_eq!(
        (picture.status().as_u16(), &picture.headers()["cache-control"]),
        (200, &"private, no-store".parse().unwrap())
    );
    let served = app.get_with("/users/ann", &[("accept", "application/activity+json"), ("cookie", &cookie)]).await;
    assert_eq!(served.status, 404, "the cookie opens pages, not ActivityPub");
    assert_eq!(app.page("/@ann").await.status, 404, "and still nobody else sees it");
}

#[tokio::test]
async fn media_that_an_import_kept_from_going_go_at_the_next_occasion() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let juno = app.account("juno").await;
    let listing = everpost::store::listing::Listing::Account(juno.id);
    let page = app.app.store.page_posts(listing, everpost::store::listing::Cursor::Newest, 20).await.unwrap();
    let post = page
        .entries
        .iter()
        .filter_map(everpost::domain::post::Entry::post)
        .find(|post| !post.attachments.is_empty())
        .unwrap();
    let bytes = app.app.media.path(post.attachments[0].file.as_ref().unwrap());
    let running = app.app.store.lock_import(juno.id).await.unwrap();
    assert!(posts::withdraw(&app.app, &juno, post.id, Utc::now()).await.unwrap());
    assert!(bytes.exists(), "a running import may be about to refer to it");
    running.release().await.unwrap();
    let again = posts::withdraw(&app.app, &juno, post.id, Utc::now()).await.unwrap();
    assert!(!again && !bytes.exists());
}
