//! Answers that are kept in memory go the moment anything changes, whoever changed it.

use crate::activitypub::{account, post, store};
use crate::private_postgres::{Place, until, write_archive};
use crate::support::{TestApp, fixture, status_id};
use chrono::Utc;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use everpost::domain::account::Handle;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Attachment, NewPost};
use everpost::domain::source::MediaKind;
use everpost::domain::told::MediaTold;
use everpost::http::Settings;
use everpost::operations::{accounts, domains, posts};
use serde_json::Value;
use std::time::{Duration, Instant};

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";

fn note(at: &str) -> String {
    format!("/users/ann/statuses/{}", status_id(at))
}

/// A server that keeps answers, with an account and a post.
async fn app() -> TestApp {
    let app = TestApp::start_as(None, Settings { cache_bytes: 8 << 20, ..Settings::default() }).await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(ONE)]).await;
    app
}

/// Asks again and again until the answer is as wanted, for some seconds.
async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn content(app: &TestApp, at: &str) -> String {
    app.object(&note(at)).await["content"].as_str().unwrap().to_owned()
}

/// Change a post's text by hand, which tells nobody.
fn write_by_hand(app: &TestApp, text: &str) {
    app.database.execute(&format!("UPDATE posts SET content_html = '<p>{text}</p>' WHERE withdrawn_at IS NULL"));
}

/// Wait until answers are kept: a change by hand stays unseen.
async fn keeps(app: &TestApp) {
    let mut n = 0;
    soon("answers are kept", async || {
        n += 1;
        let before = content(app, ONE).await;
        write_by_hand(app, &format!("by hand {n}"));
        (content(app, ONE).await == before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_given_again_as_it_was_with_every_header() {
    let app = app().await;
    keeps(&app).await;
    for path in [note(ONE), "/users/ann/outbox?page=true".to_owned(), "/users/ann".to_owned()] {
        // A Last-Modified is given from the second after the change on.
        let dated = async || Some(app.get(&path).await).filter(|answer| !answer.header("last-modified").is_empty());
        let fresh = soon("a date", dated).await;
        let again = app.get(&path).await;
        let headers = |answer: &crate::support::Answer| {
            let mut all: Vec<_> = answer.headers.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
            all.retain(|(name, _)| name != "date" && name != "x-request-id");
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        assert_eq!((fresh.status, &fresh.body), (again.status, &again.body), "{path}");
        assert_eq!(headers(&fresh), headers(&again), "{path}");
        let etag = again.header("etag").to_owned();
        let have = app.get_with(&path, &[("accept", "application/activity+json"), ("if-none-match", &etag)]).await;
        assert_eq!((have.status, have.body.as_str(), have.header("etag")), (304, "", etag.as_str()), "{path}");
    }
    let page = app.page(&format!("/@ann/{}", status_id(ONE))).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "each representation is kept apart");
    assert_eq!(app.get(&format!("/@ann/{}", status_id(ONE))).await.json()["type"], "Note");
}

#[tokio::test]
async fn every_change_empties_the_cache() {
    let app = app().await;
    keeps(&app).await;
    let ann = app.account("ann").await;
    let handle = Handle::parse("ann").unwrap();
    // Each makes a kept answer go; that is seen by a change by hand which was not seen before.
    let unseen = async |text: &str| {
        content(&app, ONE).await;
        write_by_hand(&app, text);
    };
    let seen = async |text: &str| {
        soon(text, async || content(&app, ONE).await.contains(text).then_some(())).await;
    };
    unseen("a setting").await;
    app.set("ann", &["provenance_line=false"]).await;
    seen("a setting").await;
    unseen("an import").await;
    store(&app, "ann", &[post(TWO)]).await;
    seen("an import").await;
    unseen("another account").await;
    account(&app, "bea").await;
    seen("another account").await;
    unseen("a withdrawal").await;
    posts::withdraw(&app.app, &ann, PostId(status_id(TWO)), Utc::now()).await.unwrap();
    seen("a withdrawal").await;
    unseen("publishing").await;
    accounts::publish(&app.app, &handle, Utc::now()).await.unwrap();
    seen("publishing").await;
    let old = app.base.clone();
    domains::rename(&app.app, &old, "http://other.localhost", Utc::now()).await.unwrap();
    soon("a new name", async || (app.get(&note(ONE)).await.status == 421).then_some(())).await;
    domains::rename(&app.app, "http://other.localhost", &old, Utc::now()).await.unwrap();
    soon("the old name", async || (app.get(&note(ONE)).await.status == 200).then_some(())).await;
    accounts::delete(&app.app, &handle, Utc::now()).await.unwrap();
    soon("a deletion", async || (app.get(&note(ONE)).await.status == 410).then_some(())).await;
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let app = app().await;
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    let file = app.app.media.keep(&mut std::fs::File::open(picture).unwrap()).unwrap();
    let attachment = Attachment {
        file: Some(file),
        kind: MediaKind::Image,
        alt: None,
        source_url: "a.png".to_owned(),
        told: MediaTold::default(),
    };
    store(&app, "ann", &[NewPost { attachments: vec![attachment], ..post(TWO) }]).await;
    keeps(&app).await;
    write_by_hand(&app, "old");
    app.database.execute("NOTIFY everpost_changed");
    // The request reads the post, and then waits for the table of files.
    let mut holder = diesel::PgConnection::establish(&app.database.url()).unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE media IN ACCESS EXCLUSIVE MODE").unwrap();
    let under_way = tokio::spawn(
        app.request(reqwest::Method::GET, &note(TWO)).header("accept", "application/activity+json").send(),
    );
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'media'::regclass";
    soon("the request waits", async || (app.database.number(waiting) == 1).then_some(())).await;
    // Meanwhile everything changes, and the server hears of it.
    app.database.execute(
        "BEGIN; UPDATE posts SET content_html = '<p>new</p>'; UPDATE accounts SET name = 'New'; \
         NOTIFY everpost_changed; COMMIT",
    );
    soon("the server has heard", async || (app.object("/users/ann").await["name"] == "New").then_some(())).await;
    holder.batch_execute("COMMIT").unwrap();
    let answer: Value = serde_json::from_str(&under_way.await.unwrap().unwrap().text().await.unwrap()).unwrap();
    assert!(answer["content"].as_str().unwrap().starts_with("<p>old</p>"), "it had read the old text: {answer}");
    assert!(content(&app, TWO).await.starts_with("<p>new</p>"), "and that was not kept");
}

#[tokio::test]
async fn while_nobody_tells_of_changes_nothing_is_kept() {
    let app = app().await;
    keeps(&app).await;
    let listener = "application_name = 'everpost listener' AND datname = current_database()";
    let listening = format!("SELECT count(*) FROM pg_stat_activity WHERE {listener}");
    assert_eq!(app.database.number(&listening), 1);

    // It comes back by itself, and what it may have missed is read anew.
    write_by_hand(&app, "unheard");
    assert!(!content(&app, ONE).await.contains("unheard"));
    app.database.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listener}"));
    soon("the cache is emptied", async || content(&app, ONE).await.contains("unheard").then_some(())).await;
    keeps(&app).await;

    // It cannot come back: every answer is made anew, from connections that still stand.
    let ann = app.account("ann").await;
    assert_eq!(app.get(&note(ONE)).await.status, 200);
    app.database.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listener}"));
    app.database.let_in(false);
    let away = async |text: String| {
        app.app.store.update_account(&renamed(&ann, &text), None, Utc::now()).await.unwrap();
        app.object("/users/ann").await["name"] == text.as_str()
    };
    let mut n = 0;
    soon("the loss is noticed", async || {
        n += 1;
        away(format!("Name {n}")).await.then_some(())
    })
    .await;
    for _ in 0..20 {
        n += 1;
        assert!(away(format!("Name {n}")).await, "an answer was kept while nobody listened");
    }
    app.database.let_in(true);
    keeps(&app).await;
}

fn renamed(account: &everpost::domain::account::Account, name: &str) -> everpost::domain::account::Account {
    let mut account = account.clone();
    account.profile.name = name.to_owned();
    account
}

#[test]
fn a_post_that_another_process_withdraws_answers_410_within_a_second() {
    let place = Place::new();
    let archive = place.program.scratch().join("archive");
    write_archive(&archive, 3, 2);
    let mut server = place.serve();
    place.ok(&["import", archive.to_str().unwrap()]);
    let id = place.texts("SELECT id FROM posts ORDER BY id").unwrap().remove(0);
    let (note, outbox) = (format!("/users/ann/statuses/{id}"), "/users/ann/outbox");
    let total = || {
        let answer = place.get(outbox).unwrap();
        let body = &answer[answer.find("\r\n\r\n").unwrap()..];
        let outbox: Value = serde_json::from_str(&body[body.find('{').unwrap()..=body.rfind('}').unwrap()]).unwrap();
        outbox["totalItems"].as_u64().unwrap()
    };
    until("the import is seen", 1, || (total() == 6).then_some(()));
    for _ in 0..3 {
        assert_eq!(place.status(&note), 200);
    }
    place.ok(&["post", "withdraw", &id]);
    until("it answers 410", 1, || (place.status(&note) == 410).then_some(()));
    until("the outbox counts one less", 1, || (total() == 5).then_some(()));
    place.ok(&["post", "restore", &id]);
    place.ok(&["import", archive.to_str().unwrap()]);
    until("it is back", 1, || (place.status(&note) == 200).then_some(()));
    until("the outbox counts it again", 1, || (total() == 6).then_some(()));
    assert_eq!(server.end("TERM"), 0);
}
