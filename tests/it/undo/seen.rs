//! After another server has seen a post: it is withdrawn and not deleted, and an edit goes back as an edit.

use super::{ONE, THREE, TWO, answer, edited, import, import_at, post, stands, undo, words};
use crate::activitypub::account;
use crate::owner::{follow, queue};
use crate::support::{TestApp, status_id};
use chrono::{DateTime, Utc};
use everpost::domain::account::Handle;
use everpost::domain::follower::FollowState::Accepted;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Kept, NewPost};
use everpost::operations::{accounts, imports, posts};
use serde_json::json;

async fn app() -> TestApp {
    let app = TestApp::start_at("https://mirror.example").await;
    account(&app, "ann").await;
    accounts::publish(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    app
}

fn note(at: &str) -> String {
    format!("/users/ann/statuses/{}", status_id(at))
}

#[tokio::test]
async fn what_was_seen_is_withdrawn_and_stays_away_and_the_rest_may_come_again() {
    let app = app().await;
    let both = [post(ONE), post(TWO)];
    let id = import(&app, &both).await;
    assert_eq!(app.get(&note(ONE)).await.status, 200);
    let counts = app.app.store.count_undo(id).await.unwrap();
    assert_eq!((counts.deleted, counts.withdrawn), (1, 1), "what would come of it is told before");
    assert_eq!(undo(&app, id).await.counts, counts);
    let gone = app.get(&note(ONE)).await;
    assert_eq!((gone.status, &gone.json()["type"]), (410, &json!("Tombstone")));
    assert_eq!(app.get(&note(TWO)).await.status, 404, "it was never there for anybody");
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 0);
    let left = "SELECT count(*) FROM post_sources s JOIN posts p ON p.id = s.post_id";
    assert_eq!(app.database.number(left), 0);
    assert_eq!(queue(&app.database), [], "nobody follows");

    let (_, kept) = import_at(&app, &both, Utc::now()).await;
    let [Kept::Refused(reason), Kept::Created(_)] = kept.as_slice() else { panic!("{kept:?}") };
    assert!(reason.starts_with("it was withdrawn on ") && reason.contains("everpost post restore"), "{reason}");
    assert_eq!((app.get(&note(ONE)).await.status, app.get(&note(TWO)).await.status), (410, 200));
    let ann = app.account("ann").await;
    posts::restore(&app.app, &ann, PostId(status_id(ONE))).await.unwrap();
    import(&app, &both).await;
    assert_eq!(app.get(&note(ONE)).await.status, 200, "its owner can have it back");
}

#[tokio::test]
async fn followers_are_told_of_seen_posts_that_are_withdrawn_a_few_an_hour_and_of_no_others() {
    let app = app().await;
    let many: Vec<NewPost> = (0..45).map(|n| post(&format!("2024-02-01T10:{n:02}:00Z"))).collect();
    let seen = import(&app, &many).await;
    assert_eq!(app.walk_outbox("ann").await.len(), 45);
    let unseen = import(&app, &[post(ONE)]).await;
    follow(&app.app.store, &app.account("ann").await, "bo", "far.example", Accepted).await;
    assert_eq!((undo(&app, unseen).await.counts.deleted, queue(&app.database)), (1, Vec::new()));
    assert_eq!(undo(&app, seen).await.counts.withdrawn, 45);
    let told = queue(&app.database);
    let notes: std::collections::HashSet<&str> =
        told.iter().map(|(_, _, _, body)| body["object"]["id"].as_str().unwrap()).collect();
    assert_eq!((told.len(), notes.len()), (45, 45));
    assert!(told.iter().all(|(kind, _, state, _)| kind == "Delete" && state == "waiting"));
    let hours = "SELECT count(*) || ' after ' || hours FROM (SELECT extract(epoch FROM due_at - \
        (SELECT min(due_at) FROM deliveries))::int / 3600 AS hours FROM deliveries) AS d GROUP BY hours ORDER BY hours";
    assert_eq!(app.database.texts(hours), ["20 after 0", "20 after 1", "5 after 2"]);
}

#[tokio::test]
async fn a_conversation_that_was_seen_answers_after_its_beginning_is_gone() {
    let app = app().await;
    let first = import(&app, &[post(ONE)]).await;
    let second = import(&app, &[answer(TWO, ONE), answer(THREE, TWO)]).await;
    let context = app.object(&note(THREE)).await["context"].as_str().unwrap().to_owned();
    assert_eq!(app.object(&context).await["totalItems"], 3);
    let undone = undo(&app, first).await;
    assert_eq!((undone.counts.deleted, undone.counts.withdrawn), (1, 0), "the beginning itself was not looked at");
    assert_eq!(app.object(&context).await["totalItems"], 0, "its URL went out with an answer");
    let unseen = undo(&app, second).await;
    assert_eq!((unseen.counts.deleted, unseen.counts.withdrawn), (1, 1));
    assert_eq!(app.object(&context).await["totalItems"], 0);
    assert_eq!(app.get(&note(THREE)).await.status, 410);
    import(&app, &[post(ONE)]).await;
    assert_eq!(app.object(&context).await["totalItems"], 1, "and it is the conversation of the post that opened it");
}

#[tokio::test]
async fn a_seen_post_that_goes_back_to_its_earlier_words_was_edited_and_keeps_its_date() {
    let app = app().await;
    import(&app, &[post(ONE), post(TWO)]).await;
    app.get(&note(ONE)).await;
    let published = app.object(&note(ONE)).await["published"].clone();
    let later: DateTime<Utc> = "2024-06-01T00:00:00Z".parse().unwrap();
    let moved = |post: NewPost| NewPost { published: later, ..edited(post, "Other words.") };
    let told: DateTime<Utc> = "2025-03-01T00:00:00Z".parse().unwrap();
    let (id, _) = import_at(&app, &[moved(post(ONE)), moved(post(TWO))], told).await;
    assert_eq!(stands(&app, ONE).await.unwrap().updated, Some(told));
    let now: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    imports::undo(&app.app, id, now, &|_| {}).await.unwrap();
    let (seen, unseen) = (stands(&app, ONE).await.unwrap(), stands(&app, TWO).await.unwrap());
    assert!(words(&seen).starts_with("Written at") && words(&unseen).starts_with("Written at"));
    assert_eq!((seen.updated, seen.changed), (Some(now), now), "an undone edit is an edit (R-47)");
    assert_eq!(app.object(&note(ONE)).await["published"], published, "its date is fixed (R-46)");
    assert_eq!((unseen.updated, unseen.published), (None, TWO.parse().unwrap()), "nobody saw this one");
}

#[tokio::test]
async fn what_an_undone_import_only_filled_is_no_edit() {
    let app = app().await;
    let bare = NewPost { canonical_url: None, ..post(ONE) };
    import(&app, std::slice::from_ref(&bare)).await;
    app.get(&note(ONE)).await;
    let id = import(&app, &[NewPost { reader_version: 2, ..post(ONE) }]).await;
    assert!(stands(&app, ONE).await.unwrap().canonical_url.is_some());
    undo(&app, id).await;
    let standing = stands(&app, ONE).await.unwrap();
    assert_eq!((standing.canonical_url, standing.updated), (None, None));
}

#[tokio::test]
async fn a_seen_post_that_an_import_brought_back_is_withdrawn_again() {
    let app = app().await;
    import(&app, &[post(ONE)]).await;
    app.get(&note(ONE)).await;
    let ann = app.account("ann").await;
    posts::withdraw(&app.app, &ann, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    posts::restore(&app.app, &ann, PostId(status_id(ONE))).await.unwrap();
    let id = import(&app, &[post(ONE)]).await;
    assert_eq!(app.get(&note(ONE)).await.status, 200);
    undo(&app, id).await;
    assert_eq!(app.get(&note(ONE)).await.status, 410);
}
