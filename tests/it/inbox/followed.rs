//! Follows, what is answered to them, and how they end.

use super::far::{Far, Person, Sending};
use super::{ann, app_with_posts, rows};
use crate::support::TestApp;
use chrono::Utc;
use everpost::domain::block::BlockTarget;
use serde_json::{Value, json};

/// What waits to be sent: kind, inbox and body, oldest first.
fn waiting(app: &TestApp) -> Vec<(String, String, Value)> {
    let rows = "SELECT concat_ws(' ', kind, inbox, body) FROM activities JOIN deliveries ON activity_id = activities.id ORDER BY activities.id";
    let read = |row: String| {
        let mut parts = row.splitn(3, ' ').map(str::to_owned);
        let (kind, inbox) = (parts.next().unwrap(), parts.next().unwrap());
        (kind, inbox, serde_json::from_str(&parts.next().unwrap()).unwrap())
    };
    app.database.texts(rows).into_iter().map(read).collect()
}

fn states(app: &TestApp) -> Vec<String> {
    app.database.texts(
        "SELECT concat_ws(' ', state, uri) FROM followers JOIN remote_actors a ON a.id = actor_id ORDER BY actor_id",
    )
}

fn follow(app: &TestApp, who: &Person, number: u32) -> Value {
    who.does("Follow", number, ann(app))
}

#[tokio::test]
async fn a_follow_is_accepted_with_the_follow_as_it_came_at_either_inbox() {
    let (app, far) = (app_with_posts().await, Far::start());
    for (n, path) in ["/inbox", "/users/ann/inbox"].into_iter().enumerate() {
        let bob = far.person(&format!("bob{n}"));
        let mut sent = follow(&app, &bob, 1);
        sent["x"] = json!({ "kept": "as it came" });
        let sending = Sending { path: path.to_owned(), ..Sending::of(&sent) };
        assert_eq!(bob.send_as(&app, sending).await.status, 202);
        let (kind, inbox, body) = waiting(&app).pop().unwrap();
        sent.as_object_mut().unwrap().remove("@context");
        assert_eq!((kind.as_str(), inbox), ("Accept", format!("{}/inbox", bob.uri)));
        assert_eq!((&body["object"], &body["actor"], &body["to"]), (&sent, &json!(ann(&app)), &json!([bob.uri])));
        assert!(body["id"].as_str().unwrap().starts_with(&ann(&app)));
        assert_eq!(states(&app)[n], format!("accepted {}", bob.uri));
    }
}

#[tokio::test]
async fn a_follow_that_comes_again_is_accepted_again_and_is_one_follower() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    bob.says(&app, &follow(&app, &bob, 1)).await;
    bob.says(&app, &follow(&app, &bob, 1)).await;
    bob.says(&app, &follow(&app, &bob, 2)).await;
    let kinds: Vec<String> = waiting(&app).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!((kinds, rows(&app, "followers")), (vec!["Accept".to_owned(); 3], 1));
    assert_eq!(app.database.texts("SELECT follow_uri FROM followers"), [format!("{}/activities/2", bob.uri)]);
}

#[tokio::test]
async fn who_follows_again_under_the_same_id_follows_again_and_a_copy_of_the_request_does_not() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    // Misskey makes the id of both actors' ids.
    let sent = follow(&app, &bob, 1);
    let first = Utc::now() - chrono::TimeDelta::minutes(5);
    let at = |at| Sending { at, ..Sending::of(&sent) };
    assert_eq!(bob.send_as(&app, at(first)).await.status, 202);
    bob.says(&app, &bob.does("Undo", 2, sent.clone())).await;
    assert_eq!((waiting(&app).len(), rows(&app, "followers")), (1, 0));
    assert_eq!(bob.send_as(&app, at(first)).await.status, 202);
    assert_eq!((waiting(&app).len(), rows(&app, "followers")), (1, 0), "a copy of the request");
    assert_eq!(bob.send_as(&app, at(Utc::now())).await.status, 202);
    assert_eq!((waiting(&app).len(), rows(&app, "followers")), (2, 1), "signed anew");
}

#[tokio::test]
async fn an_account_whose_owner_decides_keeps_a_follow_as_a_request() {
    let (app, far) = (app_with_posts().await, Far::start());
    app.set("ann", &["manually_approves_followers=true"]).await;
    let bob = far.person("bob");
    bob.says(&app, &follow(&app, &bob, 1)).await;
    assert_eq!((states(&app), waiting(&app)), (vec![format!("requested {}", bob.uri)], Vec::new()));
    let followers = app.object("/users/ann/followers").await;
    assert_eq!(followers["totalItems"], 0, "a request is no follower");
    app.database.execute("UPDATE followers SET state = 'accepted'");
    bob.says(&app, &follow(&app, &bob, 2)).await;
    assert_eq!(waiting(&app).len(), 1, "who was accepted is accepted again");
}

#[tokio::test]
async fn a_follow_of_nobody_of_a_draft_and_of_the_gone_is_taken_and_leaves_nothing() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    for object in [
        format!("{}/users/nobody", app.base),
        format!("{}/actor", app.base),
        "https://other.example/users/ann".to_owned(),
    ] {
        bob.says(&app, &bob.does("Follow", 1, object)).await;
    }
    app.database.execute("UPDATE accounts SET state = 'draft'");
    bob.says(&app, &follow(&app, &bob, 2)).await;
    let to_draft = Sending { path: "/users/ann/inbox".to_owned(), ..Sending::of(&follow(&app, &bob, 3)) };
    assert_eq!(bob.send_as(&app, to_draft).await.status, 404);
    app.database.execute("UPDATE accounts SET state = 'live'");
    let id = app.account("ann").await.id;
    app.app.store.erase_account(id, None, Utc::now()).await.unwrap();
    bob.says(&app, &follow(&app, &bob, 4)).await;
    let to_gone = Sending { path: "/users/ann/inbox".to_owned(), ..Sending::of(&follow(&app, &bob, 5)) };
    assert_eq!(bob.send_as(&app, to_gone).await.status, 410);
    assert_eq!((rows(&app, "followers"), waiting(&app)), (0, Vec::new()));
}

#[tokio::test]
async fn whom_the_owner_blocks_and_who_follows_a_moved_account_is_rejected() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    for who in [&bob, &cat] {
        who.says(&app, &follow(&app, who, 1)).await;
    }
    let ann = app.account("ann").await.id;
    app.app.store.insert_block(Some(ann), &BlockTarget::Actor(bob.uri.clone()), "", Utc::now()).await.unwrap();
    bob.says(&app, &follow(&app, &bob, 2)).await;
    let (kind, inbox, body) = waiting(&app).pop().unwrap();
    assert_eq!((kind.as_str(), inbox), ("Reject", format!("{}/inbox", bob.uri)));
    assert_eq!(body["object"]["id"], follow(&app, &bob, 2)["id"]);
    assert_eq!(states(&app), [format!("accepted {}", cat.uri)], "and follows no longer");
    app.database.execute("UPDATE accounts SET moved_at = now(), moved_to = 'https://new.example/users/ann'");
    cat.says(&app, &follow(&app, &cat, 2)).await;
    assert_eq!((waiting(&app).pop().unwrap().0.as_str(), states(&app)), ("Reject", Vec::new()));
}

#[tokio::test]
async fn a_follow_ends_by_its_undo_however_that_is_told_or_by_a_block() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    cat.says(&app, &follow(&app, &cat, 1)).await;
    let mut number = 0;
    let mut followed = |app: &TestApp| {
        number += 2;
        (number, follow(app, &bob, number))
    };
    for way in 0..5 {
        let (number, sent) = followed(&app);
        bob.says(&app, &sent).await;
        assert_eq!(rows(&app, "followers"), 2);
        let object = match way {
            0 => sent.clone(),
            1 => sent["id"].clone(),
            // FEP-8fcf's has no id, and Mastodon's may be of another follow.
            2 => json!({ "type": "Follow", "actor": bob.uri, "object": ann(&app) }),
            3 => {
                json!({ "id": "https://x.example/9", "type": "Follow", "actor": bob.uri, "object": { "id": ann(&app) } })
            }
            _ => json!(ann(&app)),
        };
        let kind = if way == 4 { "Block" } else { "Undo" };
        // Nobody ends what is not theirs.
        cat.says(&app, &cat.does("Undo", 100 + number, sent["id"].clone())).await;
        assert_eq!(rows(&app, "followers"), 2);
        bob.says(&app, &bob.does(kind, number + 1, object)).await;
        assert_eq!(states(&app), [format!("accepted {}", cat.uri)], "{way}");
    }
}

#[tokio::test]
async fn a_follower_who_moves_stays_until_they_say_otherwise_and_is_known_to_have_moved() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    bob.says(&app, &follow(&app, &bob, 1)).await;
    let mut moved = bob.does("Move", 2, bob.uri.clone());
    moved["target"] = json!("https://new.example/users/bob");
    bob.says(&app, &moved).await;
    assert_eq!(states(&app), [format!("accepted {}", bob.uri)]);
    assert_eq!(app.database.texts("SELECT concat_ws(' ', kind, url) FROM errands"), [format!("actor {}", bob.uri)]);
}

#[tokio::test]
async fn followers_are_counted_and_named_only_where_the_owner_wants_that() {
    let (app, far) = (app_with_posts().await, Far::start());
    let mut people: Vec<Person> = (0..3).map(|n| far.person(&format!("p{n}"))).collect();
    for who in &people {
        who.says(&app, &follow(&app, who, 1)).await;
    }
    let collection = app.object("/users/ann/followers").await;
    assert_eq!(collection["totalItems"], 3);
    let page = app.object(collection["first"].as_str().unwrap()).await;
    assert_eq!((&page["totalItems"], &page["orderedItems"]), (&json!(3), &json!([])));
    assert_eq!(app.object("/users/ann/following").await["totalItems"], 0);
    app.set("ann", &["show_followers=true"]).await;
    let page = app.object(collection["first"].as_str().unwrap()).await;
    let uris: Vec<String> = people.iter().rev().map(|who| who.uri.clone()).collect();
    assert_eq!(page["orderedItems"], json!(uris), "the latest first");
    let gone = people.pop().unwrap();
    gone.says(&app, &gone.does("Delete", 2, gone.uri.clone())).await;
    assert_eq!(app.object("/users/ann/followers").await["totalItems"], 2);
}
