//! New posts are pushed to followers while they are news, and nothing old ever is.

use super::{follow, queue};
use crate::archives::{create, note, outbox};
use crate::support::TestApp;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use everpost::domain::follower::FollowState::Accepted;
use everpost::domain::ids::PostId;
use everpost::operations::{accounts, posts};
use everpost::store::announcements::POSTS_AN_HOUR;
use serde_json::{Value, json};
use std::path::Path;

/// A moment so long before now, as an archive spells it.
fn ago(before: TimeDelta) -> String {
    (Utc::now() - before).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

/// A Create of a note that was published so long before now.
fn young(number: i64, before: TimeDelta, change: Value) -> Value {
    let mut note = note(number, json!({ "published": ago(before) }));
    note.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    create(note)
}

/// Import these items; how many posts came in.
async fn import(app: &TestApp, folder: &Path, items: &[Value]) -> u64 {
    std::fs::write(folder.join("outbox.json"), outbox(items)).unwrap();
    app.import(folder).await.created
}

/// An account with an old post, which is live and has a follower.
async fn followed(folder: &Path) -> TestApp {
    let app = TestApp::start_at("https://keep.example").await;
    assert_eq!(import(&app, folder, &[create(note(1, json!({})))]).await, 1);
    let ann = app.account("ann").await;
    accounts::publish(&app.app, &ann.handle, Utc::now()).await.unwrap();
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    assert_eq!(queue(&app.database), [], "what was there before is not told");
    app
}

/// The words of the Notes that were told, in order.
fn told(app: &TestApp) -> Vec<String> {
    let text = |body: &Value| body["object"]["content"].as_str().unwrap().split("</p>").next().unwrap()[3..].to_owned();
    queue(&app.database).iter().map(|(kind, _, _, body)| format!("{kind} {}", text(body))).collect()
}

#[tokio::test]
async fn a_new_post_is_pushed_once_as_the_create_of_the_outbox_and_expires_with_its_own_date() {
    let folder = tempfile::tempdir().unwrap();
    let app = followed(folder.path()).await;
    let items = [young(2, minutes(60), json!({})), create(note(1, json!({})))];
    assert_eq!(import(&app, folder.path(), &items).await, 1);
    let [(kind, inbox, state, body)] = &queue(&app.database)[..] else { panic!("{:?}", queue(&app.database)) };
    assert_eq!((kind.as_str(), inbox.as_str(), state.as_str()), ("Create", "https://far.example/inbox", "waiting"));
    let date: DateTime<Utc> = body["object"]["published"].as_str().unwrap().parse().unwrap();
    let expires = app.database.texts("SELECT extract(epoch FROM expires_at)::bigint::text FROM activities");
    assert_eq!(expires, [(date + TimeDelta::hours(6)).timestamp().to_string()]);
    assert_eq!(app.database.number("SELECT count(*) FROM posts WHERE exposed_at IS NOT NULL"), 1, "its date is fixed");
    assert!(body["proof"].is_object());
    let plain = |value: &Value| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove("proof");
        value
    };
    assert_eq!(plain(body), plain(&app.walk_outbox("ann").await[0]));
    assert_eq!(plain(body), plain(&app.object(body["id"].as_str().unwrap()).await));
    assert_eq!(import(&app, folder.path(), &items).await, 0);
    assert_eq!(queue(&app.database).len(), 1, "the same archive tells nothing more");
}

#[tokio::test]
async fn nothing_is_pushed_that_is_old_dated_ahead_a_boost_or_a_reply_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let app = followed(folder.path()).await;
    app.set("ann", &["publish.replies=true", "publish.boosts=true"]).await;
    app.database.execute("DELETE FROM activities");
    let boost = json!({
        "id": "https://m.example/users/ann/statuses/9/activity", "type": "Announce",
        "actor": "https://m.example/users/ann", "published": ago(minutes(5)),
        "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [], "object": "https://o.example/notes/7",
    });
    let items = [
        young(2, minutes(6 * 60 + 1), json!({})),
        young(3, minutes(60 * 24 * 365), json!({})),
        young(4, minutes(-30), json!({})),
        young(5, minutes(10), json!({ "inReplyTo": "https://o.example/notes/7" })),
        boost,
        young(6, minutes(-1), json!({ "content": "<p>The clock there is ahead</p>" })),
        young(7, minutes(10), json!({ "to": ["https://m.example/users/ann/followers"] })),
        young(
            8,
            minutes(10),
            json!({
                "content": "<p>Quiet</p>",
                "to": ["https://m.example/users/ann/followers"], "cc": ["https://www.w3.org/ns/activitystreams#Public"],
            }),
        ),
    ];
    assert_eq!(import(&app, folder.path(), &items).await, 7);
    assert_eq!(told(&app), ["Create Quiet", "Create The clock there is ahead"]);
    app.import(folder.path()).await;
    assert_eq!(told(&app).len(), 2);
}

#[tokio::test]
async fn a_draft_an_account_that_moved_and_a_server_that_is_told_not_to_push_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = followed(folder.path()).await;
    let quietly = |sql: &'static str| app.database.execute(sql);
    quietly("UPDATE accounts SET state = 'draft'");
    assert_eq!(import(&app, folder.path(), &[young(2, minutes(1), json!({}))]).await, 1);
    quietly("UPDATE accounts SET state = 'live', moved_to = 'https://new.example/users/ann', moved_at = now()");
    assert_eq!(import(&app, folder.path(), &[young(3, minutes(1), json!({}))]).await, 1);
    quietly("UPDATE accounts SET moved_to = NULL");
    app.app.news = everpost::domain::news::News::lasting(TimeDelta::zero());
    assert_eq!(import(&app, folder.path(), &[young(4, minutes(1), json!({}))]).await, 1);
    assert_eq!(queue(&app.database), []);
    app.app.news = everpost::domain::news::News::lasting(TimeDelta::hours(1));
    assert_eq!(import(&app, folder.path(), &[young(5, minutes(61), json!({}))]).await, 1);
    assert_eq!(import(&app, folder.path(), &[young(6, minutes(59), json!({}))]).await, 1);
    assert_eq!(told(&app), ["Create Number 6"]);
}

#[tokio::test]
async fn of_many_new_posts_the_newest_are_pushed_in_their_order_and_edits_share_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let app = followed(folder.path()).await;
    let items: Vec<Value> = (0..30).map(|n| young(100 + n, minutes(200 - n), json!({}))).collect();
    assert_eq!(import(&app, folder.path(), &items).await, 30);
    let newest: Vec<String> = (110..130).map(|n| format!("Create Number {n}")).collect();
    assert_eq!((told(&app), i64::try_from(newest.len()).unwrap()), (newest, POSTS_AN_HOUR));
    let edited = create(note(1, json!({ "content": "<p>Put right</p>", "updated": ago(minutes(1)) })));
    app.walk_outbox("ann").await;
    import(&app, folder.path(), &[edited, young(200, minutes(1), json!({}))]).await;
    assert_eq!(told(&app).len(), 20, "nothing more within the hour");
    app.database.execute("UPDATE activities SET created_at = created_at - interval '61 minutes'");
    import(&app, folder.path(), &[young(201, minutes(1), json!({}))]).await;
    assert_eq!(told(&app).pop().unwrap(), "Create Number 201");
}

#[tokio::test]
async fn a_new_post_that_is_withdrawn_before_it_was_sent_is_told_to_nobody_but_its_deletion_is() {
    let folder = tempfile::tempdir().unwrap();
    let app = followed(folder.path()).await;
    import(&app, folder.path(), &[young(2, minutes(1), json!({}))]).await;
    let id = PostId(app.database.number("SELECT id FROM posts ORDER BY published_at DESC LIMIT 1"));
    assert!(posts::withdraw(&app.app, &app.account("ann").await, id, Utc::now()).await.unwrap());
    let states = "SELECT kind || ' ' || state || ' ' || length(body) FROM deliveries \
                  JOIN activities ON activities.id = activity_id ORDER BY activities.id";
    let states = app.database.texts(states);
    assert_eq!(states[0], "Create dropped 0");
    assert!(states[1].starts_with("Delete waiting ") && states.len() == 2, "{states:?}");
}
