//! What an account says carries its proof (FEP-8b32), and the proof stays while what it says does.

use crate::activitypub::{account, post, store};
use crate::support::{TestApp, status_id, vault};
use chrono::{DateTime, Utc};
use everpost::domain::delivery::{Outgoing, Recipients};
use everpost::domain::ids::PostId;
use everpost::domain::post::{NewPost, Stored};
use everpost::federation::actors::Actors;
use everpost::federation::proof;
use everpost::federation::senders::Senders;
use everpost::federation::signature::{Error, PublicKey};
use everpost::operations::App;
use serde_json::{Value, json};

const FIRST: &str = "2024-01-01T00:00:00Z";
const SECOND: &str = "2024-01-02T00:00:00Z";
const THIRD: &str = "2024-01-03T00:00:00Z";

fn path(at: &str, below: &str) -> String {
    format!("/users/ann/statuses/{}{below}", status_id(at))
}

/// A post, one that quotes it, and a boost.
async fn app() -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let mut quoting = post(SECOND);
    quoting.details.quote = Some(format!("https://origin.example/@ann/{}", status_id(FIRST)));
    quoting.refers_to = Some(post(FIRST).key);
    let boost = NewPost { boost_of: Some("https://o.example/notes/7".to_owned()), ..post(THIRD) };
    store(&app, "ann", &[post(FIRST), quoting, boost]).await;
    app.set("ann", &["publish.boosts=true"]).await;
    app
}

/// Whether an object is proven by a key that its author shows.
async fn verdict(app: &TestApp, object: &Value) -> Result<(), Error> {
    let proof = proof::read(object, Utc::now())?.unwrap_or_else(|| panic!("no proof: {object}"));
    let ann = app.object("/users/ann").await;
    let key = ann["assertionMethod"].as_array().unwrap().iter().find(|key| key["id"] == proof.verification_method());
    let key = key.unwrap_or_else(|| panic!("no such key: {object}"));
    proof.verify(&PublicKey::from_multikey(key["publicKeyMultibase"].as_str().unwrap()).unwrap())
}

#[tokio::test]
async fn notes_creates_announces_and_stamps_carry_a_proof_of_their_account() {
    let app = app().await;
    let mut paths = vec![path(THIRD, "/activity"), path(SECOND, "/quote_authorization")];
    for at in [FIRST, SECOND] {
        paths.extend([path(at, ""), path(at, "/activity")]);
    }
    for path in &paths {
        let mut object = app.object(path).await;
        assert_eq!(verdict(&app, &object).await, Ok(()), "{path}");
        object["id"] = json!("https://here.example/another");
        assert_eq!(verdict(&app, &object).await, Err(Error::Forged), "{path}");
    }
}

#[tokio::test]
async fn items_of_the_outbox_are_proven_by_themselves_and_the_same_as_at_their_ids() {
    let app = app().await;
    let items = app.walk_outbox("ann").await;
    assert_eq!(items.len(), 3);
    for item in items {
        assert_eq!(verdict(&app, &item).await, Ok(()), "{item}");
        assert_eq!(item, app.object(item["id"].as_str().unwrap()).await);
        assert_eq!(item["object"].get("proof"), None, "what is inside is proven with the whole");
    }
}

#[tokio::test]
async fn a_proof_is_of_the_time_of_the_post_so_that_an_answer_stays_the_same() {
    let app = app().await;
    let changed = match app.app.store.find_post(app.account("ann").await.id, PostId(status_id(FIRST))).await.unwrap() {
        Some(Stored::Live(post)) => post.changed,
        other => panic!("{other:?}"),
    };
    for path in [path(FIRST, ""), path(FIRST, "/activity"), "/users/ann/outbox?page=true".to_owned()] {
        let (first, second) = (app.get(&path).await, app.get(&path).await);
        assert_eq!(first.body, second.body, "{path}");
        let etag = first.header("etag").to_owned();
        let headers = [("accept", "application/activity+json"), ("if-none-match", etag.as_str())];
        assert_eq!(app.get_with(&path, &headers).await.status, 304, "{path}");
    }
    let created: DateTime<Utc> =
        app.object(&path(FIRST, "")).await["proof"]["created"].as_str().unwrap().parse().unwrap();
    assert!((changed - created).num_milliseconds() < 1000 && created <= changed, "{created} {changed}");
}

#[tokio::test]
async fn whose_key_is_missing_or_does_not_open_is_served_without_proofs() {
    let app = TestApp::start_sealed(7).await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(FIRST)]).await;
    assert_eq!(verdict(&app, &app.object(&path(FIRST, "")).await).await, Ok(()));
    let ann = app.account("ann").await;
    let senders = Senders::new(app.app.store.clone(), vault(8));
    let other = App { actors: Actors::new(app.app.store.clone(), app.app.courier.clone(), senders), ..app.app.clone() };
    let mut object = json!({ "@context": "https://www.w3.org/ns/activitystreams", "type": "Note" });
    other.prove(&ann, &mut object, Utc::now()).await.unwrap();
    assert_eq!(object.get("proof"), None, "a closed key");
    app.database.execute("DELETE FROM keys WHERE kind = 'ed25519'");
    for path in [path(FIRST, ""), path(FIRST, "/activity")] {
        let object = app.object(&path).await;
        assert_eq!((object.get("proof"), object["@context"].as_array().unwrap().len()), (None, 2), "{path}");
    }
    let page = app.object("/users/ann/outbox?page=true").await;
    assert_eq!((page["orderedItems"][0].get("proof"), page["orderedItems"][0].get("@context")), (None, None));
}

#[tokio::test]
async fn an_activity_that_is_sent_is_proven_too() {
    let app = app().await;
    let ann = app.account("ann").await;
    let (uri, actor) = (format!("{}#updates/1", ann.urls().actor()), ann.urls().actor());
    let body =
        json!({ "@context": "https://www.w3.org/ns/activitystreams", "id": uri, "type": "Update", "actor": actor });
    let (body, to) = (body.to_string(), Recipients::Followers);
    let outgoing = Outgoing { uri, kind: "Update", object: actor, body, to, expires_at: None };
    let proven = app.app.prove_outgoing(&ann, outgoing.clone(), Utc::now()).await.unwrap();
    assert_eq!((&proven.uri, &proven.to), (&outgoing.uri, &outgoing.to));
    assert_eq!(verdict(&app, &serde_json::from_str(&proven.body).unwrap()).await, Ok(()));
}
