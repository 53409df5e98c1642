//! Edits of posts that wait to be told while their post is withdrawn or no longer shown: their text is for nobody then.

use super::office::{Office, follow, until};
use super::sending::lanes;
use crate::support::{Bundle, TestApp, status_id};
use chrono::{TimeDelta, Utc};
use everpost::domain::account::Account;
use everpost::domain::delivery::Recipients;
use everpost::domain::ids::PostId;
use everpost::operations::{accounts, posts};

const ONE: &str = "2024-01-01T10:00:00Z";

/// How many bodies hold the text of the edit.
const TEXTS: &str = "SELECT count(*) FROM activities WHERE body LIKE '%put right%'";
/// What became of the deliveries.
const STATES: &str =
    "SELECT kind || ' ' || state FROM deliveries JOIN activities ON activities.id = activity_id ORDER BY activities.id";

/// A server whose account has a follower and a post that others have seen, with an edit of it that waits.
async fn edited() -> (TestApp, Account) {
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, "<p>One.</p>").write(archive.path());
    let app = TestApp::start_at("https://keep.example").await;
    app.import(archive.path()).await;
    accounts::publish(&app.app, &app.account("ann").await.handle, Utc::now()).await.unwrap();
    assert_eq!(app.walk_outbox("ann").await.len(), 1);
    let account = app.account("ann").await;
    follow(&app.database, &account, "https://far.example/bo", "https://far.example/bo/inbox", None);
    Bundle::new().post(ONE, "<p>One, put right.</p>").write(archive.path());
    app.import(archive.path()).await;
    assert_eq!((app.database.number(TEXTS), app.database.texts(STATES)), (1, vec!["Update waiting".to_owned()]));
    (app, account)
}

async fn withdraw(app: &TestApp, account: &Account) {
    assert!(posts::withdraw(&app.app, account, PostId(status_id(ONE)), Utc::now()).await.unwrap());
}

/// The bodies of what a worker of that number is given.
async fn lease(app: &TestApp, worker: i64) -> Vec<String> {
    let now = Utc::now() + TimeDelta::seconds(1);
    let look = app.app.store.lease(worker, &lanes(), now, now + TimeDelta::seconds(15)).await.unwrap();
    look.leased.into_iter().map(|leased| leased.body).collect()
}

#[tokio::test]
async fn an_edit_that_waits_is_dropped_with_its_text_when_the_post_is_withdrawn() {
    let (app, account) = edited().await;
    withdraw(&app, &account).await;
    assert_eq!(app.database.number(TEXTS), 0);
    assert_eq!(app.database.texts(STATES), ["Update dropped", "Delete waiting"]);
}

#[tokio::test]
async fn an_edit_that_waits_is_dropped_with_its_text_where_nobody_is_told_of_the_withdrawal() {
    let (app, account) = edited().await;
    app.database.execute("UPDATE posts SET exposed_at = NULL");
    withdraw(&app, &account).await;
    assert_eq!((app.database.number(TEXTS), app.database.texts(STATES)), (0, vec!["Update dropped".to_owned()]));
}

#[tokio::test]
async fn an_edit_that_a_worker_had_and_lost_has_no_text_when_it_comes_back_after_a_withdrawal() {
    let (app, account) = edited().await;
    let [body] = &lease(&app, 7).await[..] else { panic!("one edit waits") };
    assert!(body.contains("put right"), "{body}");
    withdraw(&app, &account).await;
    assert_eq!(app.database.texts(STATES), ["Update waiting", "Delete waiting"], "a worker has it in its hands");
    assert_eq!((app.database.number(TEXTS), app.app.store.release_leases(7).await.unwrap()), (0, 1));
    assert_eq!(lease(&app, 8).await, [""]);
}

#[tokio::test]
async fn an_edit_of_a_post_that_is_no_longer_listed_has_no_text_for_a_worker() {
    let (app, _) = edited().await;
    let [body] = &lease(&app, 7).await[..] else { panic!("one edit waits") };
    assert!(body.contains("put right"), "{body}");
    app.app.store.release_leases(7).await.unwrap();
    app.database.execute("UPDATE posts SET listed = false");
    assert_eq!(lease(&app, 8).await, [""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_without_a_post_that_stands_is_not_sent_and_everything_else_about_it_is() {
    let office = Office::open().await;
    for (kind, id) in [("Update", "1"), ("Delete", "2")] {
        let outgoing = office.activity(kind, id, "statuses/5", Recipients::Inboxes(vec![office.inbox("a.example")]));
        assert!(office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap());
    }
    let worker = office.worker();
    until("two ends", || office.count("waiting") == 0).await;
    assert_eq!((office.count("delivered"), office.count("dropped")), (1, 1));
    assert!(office.sink.got()[0].id.ends_with("/2"));
    worker.stop().await;
}
