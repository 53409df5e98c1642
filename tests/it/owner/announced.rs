//! What followers are told when something changes here, and what they are not.

use super::{ONE, TWO, follow, queue, seen, waiting};
use crate::support::{Bundle, TestApp, status_id};
use chrono::{Duration, Utc};
use everpost::domain::follower::FollowState::{Accepted, Requested};
use everpost::domain::ids::PostId;
use everpost::federation::proof;
use everpost::federation::signature::PublicKey;
use everpost::operations::{accounts, posts};
use everpost::store::announcements::POSTS_AN_HOUR;
use serde_json::{Value, json};

/// Whether its proof was made with the account's key as its actor shows it.
async fn proven(app: &TestApp, body: &Value) -> bool {
    let actor = app.object("/users/ann").await;
    let key = PublicKey::from_multikey(actor["assertionMethod"][0]["publicKeyMultibase"].as_str().unwrap()).unwrap();
    let proof = proof::read(body, Utc::now()).unwrap().expect("a proof");
    assert_eq!(proof.verification_method(), actor["assertionMethod"][0]["id"].as_str().unwrap());
    proof.verify(&key).is_ok()
}

#[tokio::test]
async fn a_profile_that_looks_different_is_told_once_to_each_server_and_a_setting_that_does_not_show_is_not() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    app.set("ann", &["name=Ann"]).await;
    assert_eq!(queue(&app.database), [], "nobody follows");
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    follow(&app.app.store, &ann, "cy", "far.example", Accepted).await;
    follow(&app.app.store, &ann, "di", "wide.example", Requested).await;
    app.set("ann", &["links=origin"]).await;
    assert_eq!(queue(&app.database), [], "no actor shows where links lead");
    app.set("ann", &["name=Ann of old"]).await;
    let [(kind, inbox, state, body)] = &queue(&app.database)[..] else { panic!("{:?}", queue(&app.database)) };
    assert_eq!((kind.as_str(), inbox.as_str(), state.as_str()), ("Update", "https://far.example/inbox", "waiting"));
    let mut shown = app.object("/users/ann").await;
    shown.as_object_mut().unwrap().remove("@context");
    assert_eq!(body["object"], shown);
    assert_eq!(body["object"]["name"], "Ann of old");
    assert!(proven(&app, body).await);
}

#[tokio::test]
async fn of_several_changes_before_a_worker_comes_only_the_last_goes_out() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    follow(&app.app.store, &app.account("ann").await, "bo", "far.example", Accepted).await;
    for name in ["name=A", "name=B", "name=C"] {
        app.set("ann", &[name]).await;
    }
    let states: Vec<(Value, String)> =
        queue(&app.database).into_iter().map(|(_, _, state, body)| (body["object"]["name"].clone(), state)).collect();
    let dropped = "dropped".to_owned();
    assert_eq!(states, [(json!("A"), dropped.clone()), (json!("B"), dropped), (json!("C"), "waiting".to_owned())]);
}

#[tokio::test]
async fn what_a_worker_has_in_its_hands_is_not_taken_from_it() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    follow(&app.app.store, &app.account("ann").await, "bo", "far.example", Accepted).await;
    app.set("ann", &["name=A"]).await;
    app.database.execute("UPDATE deliveries SET leased_until = now() + interval '1 hour', leased_by = 7");
    app.set("ann", &["name=B"]).await;
    assert_eq!(waiting(&app.database).len(), 2);
}

#[tokio::test]
async fn a_withdrawn_post_is_deleted_elsewhere_if_it_was_ever_seen() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    app.database.execute(&format!("UPDATE posts SET exposed_at = NULL WHERE id = {}", status_id(TWO)));
    for at in [ONE, TWO, ONE] {
        posts::withdraw(&app.app, &ann, PostId(status_id(at)), Utc::now()).await.unwrap();
    }
    let [(kind, inbox, _, body)] = &queue(&app.database)[..] else { panic!("{:?}", queue(&app.database)) };
    assert_eq!((kind.as_str(), inbox.as_str()), ("Delete", "https://far.example/inbox"));
    let note = format!("https://keep.example/users/ann/statuses/{}", status_id(ONE));
    assert_eq!((&body["object"]["id"], &body["object"]["type"]), (&json!(note), &json!("Tombstone")));
    assert_eq!(body["to"], json!(["https://www.w3.org/ns/activitystreams#Public"]));
    assert!(!body.to_string().contains("One."), "nothing of what it said");
    assert!(proven(&app, body).await);
}

#[tokio::test]
async fn a_changed_text_is_told_with_the_note_as_it_is_served_and_nothing_else_of_an_import_is() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    app.import(archive.path()).await;
    let again = tempfile::tempdir().unwrap();
    Bundle::new().post("2024-02-02T10:00:00Z", "<p>Never seen here.</p>").write(again.path());
    app.import(again.path()).await;
    assert_eq!(queue(&app.database), [], "neither what stands nor what is new is told");
    Bundle::new().post(ONE, "<p>One, put right.</p>").post(TWO, "<p>Two.</p>").write(archive.path());
    app.import(archive.path()).await;
    let [(kind, _, _, body)] = &queue(&app.database)[..] else { panic!("{:?}", queue(&app.database)) };
    assert_eq!(kind, "Update");
    let served = app.object(&format!("/users/ann/statuses/{}", status_id(ONE))).await;
    for name in ["id", "content", "published", "updated", "to", "cc", "url"] {
        assert_eq!(body["object"][name], served[name], "{name}");
    }
    assert!(served["content"].as_str().unwrap().contains("put right"));
    assert!(served["updated"].is_string());
    assert_eq!((&body["to"], &body["cc"]), (&served["to"], &served["cc"]));
    assert!(proven(&app, body).await);
}

#[tokio::test]
async fn an_import_that_changes_many_posts_tells_of_a_few_and_changes_all() {
    let moments: Vec<String> = (0..30).map(|minute| format!("2024-01-01T10:{minute:02}:00Z")).collect();
    let write = |folder: &std::path::Path, text: &str| {
        let bundle = moments.iter().fold(Bundle::new(), |bundle, at| bundle.post(at, &format!("<p>{text} {at}</p>")));
        bundle.write(folder);
    };
    let archive = tempfile::tempdir().unwrap();
    write(archive.path(), "Before");
    let app = TestApp::start_at("https://keep.example").await;
    app.import(archive.path()).await;
    accounts::publish(&app.app, &app.account("ann").await.handle, Utc::now()).await.unwrap();
    assert_eq!(app.walk_outbox("ann").await.len(), 30);
    follow(&app.app.store, &app.account("ann").await, "bo", "far.example", Accepted).await;
    write(archive.path(), "After");
    app.import(archive.path()).await;
    assert_eq!(waiting(&app.database).len(), usize::try_from(POSTS_AN_HOUR).unwrap());
    write(archive.path(), "At last");
    app.import(archive.path()).await;
    let told = app.database.number("SELECT count(*) FROM activities");
    assert_eq!(told, POSTS_AN_HOUR, "another import within the hour tells of nothing more");
    assert_eq!(app.database.number("SELECT count(*) FROM posts WHERE content_html LIKE '%At last%'"), 30);
}

#[tokio::test]
async fn a_deleted_account_says_goodbye_and_keeps_its_keys_until_that_is_said() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    app.set("ann", &["name=Ann"]).await;
    let keys = format!("SELECT count(*) FROM keys WHERE account_id = {}", ann.id);
    accounts::delete(&app.app, &ann.handle, Utc::now() + Duration::seconds(1)).await.unwrap();
    let [(kind, inbox, state, body)] = &queue(&app.database)[..] else { panic!("{:?}", queue(&app.database)) };
    assert_eq!((kind.as_str(), inbox.as_str(), state.as_str()), ("Delete", "https://far.example/inbox", "waiting"));
    assert_eq!((&body["actor"], &body["object"]), (&json!(ann.urls().actor()), &json!(ann.urls().actor())));
    assert!(body["proof"].is_object());
    assert_eq!(app.app.store.forget_keys().await.unwrap(), 0);
    assert_eq!(app.database.number(&keys), 2, "what waits is to be signed");
    assert_eq!(app.get("/users/ann").await.status, 410, "nobody reads them");
    app.database.execute("UPDATE deliveries SET state = 'delivered', settled_at = now()");
    assert_eq!(app.app.store.forget_keys().await.unwrap(), 2);
    assert_eq!(app.database.number(&keys), 0);
    assert_eq!(app.database.number("SELECT count(*) FROM keys"), 2, "the server actor's stay");
}

#[tokio::test]
async fn an_account_that_nobody_follows_goes_with_its_keys() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Requested).await;
    accounts::delete(&app.app, &ann.handle, Utc::now()).await.unwrap();
    assert_eq!(queue(&app.database), []);
    assert_eq!(app.database.number(&format!("SELECT count(*) FROM keys WHERE account_id = {}", ann.id)), 0);
    assert_eq!(app.database.number("SELECT count(*) FROM followers"), 0);
}
