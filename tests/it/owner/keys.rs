//! `everpost account keys rotate`: new ids, the old key for the last word, and proofs that go on proving.

use super::{follow, program, queue, seen};
use chrono::Utc;
use everpost::domain::follower::FollowState::Accepted;
use everpost::federation::proof;
use everpost::federation::signature::PublicKey;
use everpost::operations::{accounts, keys};
use serde_json::{Value, json};

/// The keys that an actor shows: RSA, and Ed25519 in their order, by id.
fn shown(actor: &Value) -> (String, Vec<String>) {
    let rsa = actor["publicKey"]["id"].as_str().unwrap().to_owned();
    let rest = actor["assertionMethod"].as_array().unwrap();
    (rsa, rest.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect())
}

fn verifies(body: &Value, actor: &Value) -> bool {
    let proof = proof::read(body, Utc::now()).unwrap().expect("a proof");
    let keys = actor["assertionMethod"].as_array().unwrap();
    let key = keys.iter().find(|key| key["id"] == proof.verification_method());
    let key = key.map(|key| PublicKey::from_multikey(key["publicKeyMultibase"].as_str().unwrap()).unwrap());
    key.is_some_and(|key| proof.verify(&key).is_ok())
}

#[tokio::test]
async fn new_keys_have_new_ids_and_are_told_with_the_old_key() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    app.set("ann", &["name=Ann"]).await;
    let said_before = queue(&app.database).pop().unwrap().3;
    let before = app.object("/users/ann").await;
    keys::rotate(&app.app, &ann, false, Utc::now()).await.unwrap();
    let actor = app.object("/users/ann").await;
    let id = |name: &str| format!("https://keep.example/users/ann#{name}");
    assert_eq!(shown(&before), (id("main-key"), vec![id("ed25519-key")]));
    assert_eq!(shown(&actor), (id("main-key-2"), vec![id("ed25519-key-2"), id("ed25519-key")]));
    assert_eq!(actor["assertionMethod"][1], before["assertionMethod"][0], "an id never means another key");
    assert_ne!(actor["publicKey"]["publicKeyPem"], before["publicKey"]["publicKeyPem"]);

    let told = queue(&app.database).pop().unwrap().3;
    assert_eq!(told["object"]["publicKey"], actor["publicKey"]);
    assert_eq!(told["object"]["assertionMethod"], actor["assertionMethod"]);
    assert_eq!(told["proof"]["verificationMethod"], id("ed25519-key"));
    assert!(verifies(&told, &before) && verifies(&told, &actor) && verifies(&said_before, &actor));
    let signed_by = app.database.texts("SELECT coalesce(signed_by, 'the one in force') FROM activities ORDER BY id");
    assert_eq!(signed_by, ["the one in force", "main-key"]);
    let sender = app.app.sender(&ann).await.unwrap();
    assert_eq!(sender.key_id, id("main-key-2"));
    let earlier = app.app.actors.senders().account_with(&ann, "main-key").await.unwrap();
    assert_eq!(earlier.key_id, id("main-key"));
    let pem = String::from_utf8(earlier.key.public_key_to_pem().unwrap()).unwrap();
    assert_eq!(before["publicKey"]["publicKeyPem"], pem);

    app.set("ann", &["name=Ann of old"]).await;
    let states: Vec<String> = queue(&app.database).into_iter().map(|(_, _, state, _)| state).collect();
    assert_eq!(states, ["dropped", "waiting", "waiting"], "new keys are told whatever comes after them");
    assert!(verifies(&queue(&app.database).pop().unwrap().3, &actor));
}

#[tokio::test]
async fn a_third_pair_lets_go_of_the_first_and_compromised_keys_are_shown_no_more() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    let ann = app.account("ann").await;
    let id = |name: &str| format!("https://keep.example/users/ann#{name}");
    for _ in 0..2 {
        keys::rotate(&app.app, &ann, false, Utc::now()).await.unwrap();
    }
    assert_eq!(shown(&app.object("/users/ann").await).1, [id("ed25519-key-3"), id("ed25519-key-2")]);
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    keys::rotate(&app.app, &ann, true, Utc::now()).await.unwrap();
    let actor = app.object("/users/ann").await;
    assert_eq!(shown(&actor), (id("main-key-4"), vec![id("ed25519-key-4")]));
    let told = queue(&app.database).pop().unwrap().3;
    assert_eq!(
        told["proof"]["verificationMethod"],
        id("ed25519-key-4"),
        "nothing is proven with what somebody else has"
    );
    assert_eq!(app.database.texts("SELECT signed_by FROM activities"), ["main-key-3"]);
    assert_eq!(app.database.number("SELECT count(*) FROM keys WHERE account_id IS NOT NULL"), 8);
}

#[tokio::test]
async fn a_goodbye_is_signed_with_the_old_key_while_somebody_has_not_heard_of_the_new_one() {
    for (heard, signed_by) in [(false, "Delete main-key"), (true, "Delete the one in force")] {
        let archive = tempfile::tempdir().unwrap();
        let app = seen(archive.path()).await;
        let ann = app.account("ann").await;
        follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
        keys::rotate(&app.app, &ann, false, Utc::now()).await.unwrap();
        if heard {
            app.database.execute("UPDATE deliveries SET state = 'delivered', settled_at = now()");
        }
        accounts::delete(&app.app, &ann.handle, Utc::now()).await.unwrap();
        let rows = "SELECT kind || ' ' || coalesce(signed_by, 'the one in force') FROM activities";
        assert_eq!(app.database.texts(rows), [signed_by]);
    }
}

#[tokio::test]
async fn the_program_rotates_and_lists_keys() {
    let (mut program, ..) = program().await;
    let at = "https://keep.example/users/ann";
    assert_eq!(
        program.ok(&["account", "keys", "rotate"]),
        format!(
            "New rsa key: {at}#main-key-2\nNew ed25519 key: {at}#ed25519-key-2\n\
             Followers' servers are told; others find the new keys when they look at the account next.\n"
        )
    );
    let listed = program.ok(&["account", "keys", "list"]);
    assert_eq!(
        listed,
        format!(
            "{at}#main-key-2  rsa  in force\n{at}#ed25519-key-2  ed25519  in force\n{at}#ed25519-key  ed25519  earlier\n"
        )
    );
    let values = program.json(&["account", "keys", "list", "--json"]);
    assert_eq!(values[2]["state"], json!("earlier"));
    assert!(!values.to_string().contains("private"));
    std::fs::write(program.scratch().join("key"), "ab".repeat(32)).unwrap();
    let file = program.scratch().join("key");
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    program.ok(&["account", "keys", "rotate", "--compromised"]);
    assert_eq!(program.database().number("SELECT count(*) FROM keys WHERE NOT sealed"), 0);
    assert_eq!(program.ok(&["account", "keys", "list"]).lines().count(), 2);
}
