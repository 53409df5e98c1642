//! Who is believed: signature, digest, date, key and actor are judged before the answer.

use super::far::{Far, Person, Sending};
use super::{FIRST, ann, app_with, app_with_posts, note, rows};
use crate::support::TestApp;
use chrono::{DateTime, TimeDelta, Utc};
use everpost::domain::block::BlockTarget;
use everpost::domain::remote::{RemoteActor, RemoteKey};
use everpost::federation::proof;
use everpost::federation::signature::Scheme;
use everpost::http;
use serde_json::{Value, json};

fn like(app: &TestApp, who: &Person, number: u32) -> Value {
    who.does("Like", number, note(app, FIRST))
}

/// The status of a request that is like a good one but for what `spoil` does; nothing is kept of it.
async fn refused(spoil: impl FnOnce(&mut Sending)) -> u16 {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let mut sending = Sending::of(&like(&app, &bob, 1));
    spoil(&mut sending);
    let answer = bob.send_as(&app, sending).await;
    assert_eq!((rows(&app, "received"), rows(&app, "reactions")), (0, 0));
    assert_ne!(answer.body, "", "a refusal says why");
    answer.status
}

#[tokio::test]
async fn every_inbox_takes_what_is_signed_by_either_scheme() {
    let (app, far) = (app_with_posts().await, Far::start());
    let mut number = 0;
    for (path, scheme, content_type) in [
        ("/inbox", Scheme::Cavage, "application/activity+json"),
        ("/users/ann/inbox", Scheme::Cavage, "application/activity+json; charset=utf-8"),
        ("/inbox", Scheme::Rfc9421, "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\""),
        ("/users/ann/inbox", Scheme::Rfc9421, "application/ld+json"),
        ("/actor/inbox", Scheme::Cavage, "application/activity+json"),
    ] {
        number += 1;
        let person = far.person(&format!("p{number}"));
        let path = path.to_owned();
        let sending = Sending { path, scheme, content_type, ..Sending::of(&like(&app, &person, 1)) };
        let answer = person.send_as(&app, sending).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{scheme:?} {content_type}");
        assert_eq!(rows(&app, "reactions"), number);
    }
}

#[tokio::test]
async fn what_is_not_signed_or_signed_over_something_else_is_401() {
    assert_eq!(refused(|sending| sending.unsigned = true).await, 401);
    assert_eq!(refused(|sending| sending.signed_body = Some("{}".to_owned())).await, 401, "another digest");
    assert_eq!(refused(|sending| sending.at = Utc::now() - TimeDelta::minutes(66)).await, 401, "a stale date");
    assert_eq!(refused(|sending| sending.at = Utc::now() + TimeDelta::minutes(61)).await, 401, "a date to come");
    for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
        let spoil = |sending: &mut Sending| {
            sending.scheme = scheme;
            sending.signed_body = Some("{}".to_owned());
        };
        assert_eq!(refused(spoil).await, 401, "{scheme:?}");
    }
}

#[tokio::test]
async fn what_is_no_activity_is_400_and_of_the_wrong_form_413_or_415() {
    assert_eq!(refused(|sending| sending.body = "not json".to_owned()).await, 400);
    assert_eq!(refused(|sending| sending.body = "[]".to_owned()).await, 400);
    assert_eq!(refused(|sending| sending.body = "{\"type\":\"Like\"}".to_owned()).await, 400);
    assert_eq!(refused(|sending| sending.body = " ".repeat((1 << 20) + 1)).await, 413);
    assert_eq!(refused(|sending| sending.content_type = "application/json").await, 415);
    assert_eq!(refused(|sending| sending.headers.push(("content-encoding", "gzip".to_owned()))).await, 415);
    assert_eq!(refused(|sending| sending.path = "/users/nobody/inbox".to_owned()).await, 404);
    assert_eq!(refused(|sending| sending.path = "/users/Ann/inbox".to_owned()).await, 404);
}

#[tokio::test]
async fn a_key_that_is_not_the_actors_is_401_whoever_names_it() {
    let (app, far, other) = (app_with_posts().await, Far::start(), Far::start());
    let (bob, cat) = (far.person("bob"), other.person("cat"));
    // Another key than the one that the actor shows.
    let forger = bob.with_new_key();
    assert_eq!(forger.send(&app, &like(&app, &bob, 1)).await.status, 401);
    // Somebody else's activity, signed by one's own good key.
    assert_eq!(cat.send(&app, &like(&app, &bob, 1)).await.status, 401);
    // A key that another host says is bob's.
    let mut thief = bob.with_new_key();
    thief.key_id = format!("{}/key", other.base);
    let pem = String::from_utf8(thief.key.public_key_to_pem().unwrap()).unwrap();
    other.show("/key", 200, json!({ "id": thief.key_id, "owner": bob.uri, "publicKeyPem": pem }));
    assert_eq!(thief.send(&app, &like(&app, &bob, 1)).await.status, 401);
    // Nobody at all.
    assert_eq!(far.hidden("nobody").send(&app, &like(&app, &bob, 1)).await.status, 401);
    assert_eq!((rows(&app, "received"), rows(&app, "reactions")), (0, 0));
}

#[tokio::test]
async fn an_id_on_another_host_than_its_actors_is_400() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let mut activity = like(&app, &bob, 1);
    activity["id"] = json!("https://other.example/1");
    assert_eq!(bob.send(&app, &activity).await.status, 400);
    assert_eq!(rows(&app, "reactions"), 0);
    activity.as_object_mut().unwrap().remove("id");
    bob.says(&app, &activity).await;
    assert_eq!(rows(&app, "reactions"), 1, "one without an id is taken all the same");
}

#[tokio::test]
async fn a_replayed_request_changes_nothing() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let liked = like(&app, &bob, 1);
    bob.says(&app, &liked).await;
    bob.says(&app, &bob.does("Undo", 2, liked.clone())).await;
    assert_eq!(rows(&app, "reactions"), 0);
    bob.says(&app, &liked).await;
    assert_eq!(rows(&app, "reactions"), 0, "it was taken back after it was sent first");
}

#[tokio::test]
async fn whoever_is_blocked_is_403_and_not_even_asked_for_a_key() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let block = async |target: BlockTarget| app.app.store.insert_block(None, &target, "", Utc::now()).await.unwrap();
    block(BlockTarget::Domain("localhost".to_owned())).await;
    assert_eq!(bob.send(&app, &like(&app, &bob, 1)).await.status, 403);
    assert_eq!(far.asked(), Vec::<String>::new());
    app.app.store.delete_block(None, &BlockTarget::Domain("localhost".to_owned())).await.unwrap();
    block(BlockTarget::Actor(bob.uri.clone())).await;
    assert_eq!(bob.send(&app, &like(&app, &bob, 1)).await.status, 403);
    assert_eq!(rows(&app, "reactions"), 0);
    let cat = far.person("cat");
    cat.says(&app, &like(&app, &cat, 1)).await;
}

#[tokio::test]
async fn a_key_that_was_renewed_is_fetched_anew_once() {
    let (app, far) = (app_with_posts().await, Far::start());
    let old = far.person("bob");
    // We know the actor since an hour.
    let pem = String::from_utf8(old.key.public_key_to_pem().unwrap()).unwrap();
    let keys = vec![RemoteKey { id: old.key_id.clone(), text: pem }];
    let told =
        RemoteActor { uri: old.uri.clone(), inbox: format!("{}/inbox", old.uri), keys, ..RemoteActor::default() };
    app.app.store.keep_remote_actor(&told, Utc::now() - TimeDelta::hours(1)).await.unwrap();
    old.says(&app, &like(&app, &old, 1)).await;
    assert_eq!(far.asked_for("/users/bob"), 0, "a key that fits is not asked for");
    let new = old.with_new_key();
    new.show();
    new.says(&app, &new.does("Undo", 2, like(&app, &old, 1))).await;
    assert_eq!((far.asked_for("/users/bob"), rows(&app, "reactions")), (1, 0));
    for n in 3..20 {
        assert_eq!(old.send(&app, &like(&app, &old, n)).await.status, 401, "the old key is worth nothing now");
    }
    assert_eq!(far.asked_for("/users/bob"), 1, "nobody makes us ask again and again");
}

#[tokio::test]
async fn a_relayed_activity_needs_the_proof_of_its_own_actor() {
    let (app, far, other) = (app_with_posts().await, Far::start(), Far::start());
    let (bob, relay) = (far.person("bob"), other.person("relay"));
    let proven = bob.prove(like(&app, &bob, 1));
    relay.says(&app, &proven).await;
    assert_eq!(
        app.database.texts("SELECT uri FROM reactions JOIN remote_actors a ON a.id = actor_id"),
        std::slice::from_ref(&bob.uri)
    );
    let mut changed = bob.prove(like(&app, &bob, 2));
    changed["object"] = json!(note(&app, super::SECOND));
    assert_eq!(relay.send(&app, &changed).await.status, 401, "it was changed on the way");
    let mut own = relay.prove(like(&app, &bob, 3));
    own["actor"] = json!(bob.uri);
    assert_eq!(relay.send(&app, &own).await.status, 401, "the proof is somebody else's");
    app.app.store.insert_block(None, &BlockTarget::Actor(bob.uri.clone()), "", Utc::now()).await.unwrap();
    assert_eq!(relay.send(&app, &bob.prove(like(&app, &bob, 4))).await.status, 403, "a relay is no way around a block");
    assert_eq!(rows(&app, "reactions"), 0, "the block took back what was given before");
}

/// Bob's proof of that time on an activity.
fn proven(bob: &Person, mut activity: Value, at: DateTime<Utc>) -> Value {
    proof::add(&mut activity, &bob.proof_key(), &bob.ed25519, at).unwrap();
    activity
}

#[tokio::test]
async fn an_old_proof_is_not_believed_from_others_and_is_from_its_own_actor() {
    let (app, far, other) = (app_with_posts().await, Far::start(), Far::start());
    let (bob, relay, now) = (far.person("bob"), other.person("relay"), Utc::now());
    for (number, at) in [(1, now - TimeDelta::hours(14)), (2, now + TimeDelta::hours(2))] {
        let old = proven(&bob, like(&app, &bob, number), at);
        assert_eq!(relay.send(&app, &old).await.status, 401, "{at}");
        bob.says(&app, &old).await;
    }
    let mut nameless = like(&app, &bob, 3);
    nameless.as_object_mut().unwrap().remove("id");
    assert_eq!(relay.send(&app, &proven(&bob, nameless, now)).await.status, 400, "a second copy could not be told");
    relay.says(&app, &proven(&bob, like(&app, &bob, 4), now - TimeDelta::hours(12))).await;
}

#[tokio::test]
async fn a_follow_that_others_pass_on_again_does_not_bring_back_what_was_undone() {
    let (app, far, other) = (app_with_posts().await, Far::start(), Far::start());
    let (bob, relay) = (far.person("bob"), other.person("relay"));
    let follow = bob.prove(bob.does("Follow", 1, ann(&app)));
    relay.says(&app, &follow).await;
    assert_eq!(rows(&app, "followers"), 1);
    bob.says(&app, &bob.does("Undo", 2, follow.clone())).await;
    relay.send_as(&app, Sending { at: Utc::now() - TimeDelta::minutes(1), ..Sending::of(&follow) }).await;
    assert_eq!(rows(&app, "followers"), 0, "another request, and the same proof");
}

#[tokio::test]
async fn a_change_that_others_pass_on_takes_the_place_of_nothing_unless_it_says_when_it_was_made() {
    let (app, far, other) = (app_with_posts().await, Far::start(), Far::start());
    let (bob, relay) = (far.person("bob"), other.person("relay"));
    let told = |number: u32, html: &str, updated: Option<&str>| {
        let mut note = bob.note(1, &note(&app, FIRST), html);
        if let Some(updated) = updated {
            note["updated"] = json!(updated);
        }
        let mut activity = bob.creates(number, note);
        activity["type"] = json!(if number == 1 { "Create" } else { "Update" });
        bob.prove(activity)
    };
    let kept = || app.database.texts("SELECT content_html FROM replies");
    bob.says(&app, &told(1, "<p>one</p>", None)).await;
    relay.says(&app, &told(2, "<p>two</p>", Some("2024-03-02T12:00:00Z"))).await;
    assert_eq!(kept(), ["<p>two</p>"]);
    relay.says(&app, &told(3, "<p>one</p>", None)).await;
    relay.says(&app, &told(4, "<p>one</p>", Some("2024-02-01T12:00:00Z"))).await;
    assert_eq!(kept(), ["<p>two</p>"]);
    bob.says(&app, &told(5, "<p>three</p>", None)).await;
    assert_eq!(kept(), ["<p>three</p>"], "whoever says it of their own is believed to say it now");
}

#[tokio::test]
async fn a_wrong_proof_is_401_also_from_its_own_actor_and_an_unknown_kind_of_proof_is_nothing() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, eve) = (far.person("bob"), far.person("eve"));
    eve.says(&app, &like(&app, &eve, 1)).await;
    let mut changed = bob.prove(like(&app, &bob, 1));
    changed["object"] = json!(note(&app, super::SECOND));
    assert_eq!(bob.send(&app, &changed).await.status, 401, "it is about something else");
    let foreign = proven(&eve, like(&app, &bob, 2), Utc::now());
    assert_eq!(bob.send(&app, &foreign).await.status, 401, "it is somebody else's");
    let mut nowhere = bob.prove(like(&app, &bob, 3));
    nowhere["proof"]["verificationMethod"] = json!(format!("{}\u{0}", bob.proof_key()));
    assert_eq!(bob.send(&app, &nowhere).await.status, 400, "no key is named so");
    assert_eq!(rows(&app, "reactions"), 1);
    let mut unknown = bob.prove(like(&app, &bob, 4));
    unknown["proof"]["cryptosuite"] = json!("eddsa-rdfc-2022");
    bob.says(&app, &unknown).await;
    let mut hidden = bob.prove(like(&app, &bob, 5));
    hidden["proof"]["verificationMethod"] = json!("https://other.example/nowhere");
    bob.says(&app, &hidden).await;
    assert_eq!(rows(&app, "reactions"), 2);
    assert_eq!(far.asked_for("/users/bob"), 1, "nobody is asked for the key of a proof");
}

#[tokio::test]
async fn a_deletion_by_somebody_unknown_is_202_and_nobody_is_asked() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.hidden("bob");
    bob.vanish();
    let delete = bob.does("Delete", 1, bob.uri.clone());
    bob.says(&app, &delete).await;
    assert_eq!((far.asked(), rows(&app, "received"), rows(&app, "remote_actors")), (Vec::new(), 0, 0));
    // Of somebody known it has to be proven.
    let cat = far.person("cat");
    cat.says(&app, &like(&app, &cat, 1)).await;
    assert_eq!(bob.send(&app, &cat.does("Delete", 2, cat.uri.clone())).await.status, 401);
    assert_eq!(cat.with_new_key().send(&app, &cat.does("Delete", 2, cat.uri.clone())).await.status, 401);
    assert_eq!(rows(&app, "reactions"), 1);
}

#[tokio::test]
async fn a_flood_of_strangers_makes_a_bounded_number_of_fetches_and_is_told_to_wait() {
    let settings =
        http::Settings { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..http::Settings::default() };
    let (app, far) = (app_with(settings).await, Far::start());
    let mut forger = far.hidden("nobody");
    let began = std::time::Instant::now();
    let mut answers = std::collections::BTreeMap::new();
    for n in 0..200 {
        forger.key_id = format!("{}/users/x{n}#main-key", far.base);
        let mut activity = like(&app, &forger, n);
        activity["actor"] = json!(format!("{}/users/x{n}", far.base));
        let headers = vec![("x-forwarded-for", "203.0.113.9".to_owned())];
        let answer = forger.send_as(&app, Sending { headers, ..Sending::of(&activity) }).await;
        if matches!(answer.status, 429 | 503) {
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        *answers.entry(answer.status).or_insert(0) += 1;
    }
    // A hundred, and five for every second that it takes.
    let most = 101 + 5 * usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    assert!(far.asked().len() <= most, "{} fetches, {answers:?}", far.asked().len());
    let told_to_wait = answers.get(&429).unwrap_or(&0) + answers.get(&503).unwrap_or(&0);
    assert!(told_to_wait >= 200_usize.saturating_sub(most), "{answers:?}");
    assert_eq!(told_to_wait + answers[&401], 200, "{answers:?}");
    // Somebody from another address is not held up.
    let bob = far.person("bob");
    let headers = vec![("x-forwarded-for", "203.0.113.10".to_owned())];
    let mut sending = Sending { headers, ..Sending::of(&like(&app, &bob, 1)) };
    app.app.store.keep_remote_actor(&stored(&bob), Utc::now()).await.unwrap();
    sending.path = "/users/ann/inbox".to_owned();
    assert_eq!(bob.send_as(&app, sending).await.status, 202);
}

fn stored(who: &Person) -> RemoteActor {
    let pem = String::from_utf8(who.key.public_key_to_pem().unwrap()).unwrap();
    let keys = vec![RemoteKey { id: who.key_id.clone(), text: pem }];
    RemoteActor { uri: who.uri.clone(), inbox: format!("{}/inbox", who.uri), keys, ..RemoteActor::default() }
}

#[tokio::test]
async fn nothing_that_is_sent_brings_an_error_of_ours() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let long = "x".repeat(3000);
    let mut note = bob.note(1, &note(&app, FIRST), "<p>\u{0}</p>");
    note["id"] = json!(format!("{}/notes/{long}", bob.uri));
    let mut strange = bob.note(2, &super::note(&app, FIRST), &"<b>".repeat(20_000));
    strange["published"] = json!("-9999-01-01T00:00:00Z");
    strange["updated"] = json!("+200000-01-01T00:00:00Z");
    strange["summary"] = json!("\u{0}y".repeat(3000));
    for object in [json!(long), json!({ "id": long }), json!(null), json!(7), json!([[[]]]), note, strange] {
        for kind in [
            "Follow",
            "Like",
            "EmojiReact",
            "Announce",
            "Create",
            "Update",
            "Delete",
            "Undo",
            "Block",
            "Flag",
            "Move",
            "Add",
            "\u{0}",
        ] {
            let mut activity = bob.does(kind, 1, object.clone());
            activity["content"] = json!("\u{0}");
            activity["target"] = object.clone();
            activity.as_object_mut().unwrap().remove("id");
            let answer = bob.send(&app, &activity).await;
            assert!(answer.status == 202 || answer.status == 400, "{kind} {object}: {} {}", answer.status, answer.body);
        }
    }
    let _ = ann(&app);
}
