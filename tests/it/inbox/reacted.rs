//! Likes, boosts, emoji, reports: kept once, taken back, counted where they are shown.

use super::far::{Far, Person};
use super::{FIRST, SECOND, ann, app_with_posts, note, rows};
use crate::support::{PATIENCE, TestApp};
use chrono::Utc;
use everpost::domain::block::BlockTarget;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn kept(app: &TestApp) -> Vec<String> {
    app.database.texts("SELECT concat_ws(' ', kind, emoji) FROM reactions ORDER BY id")
}

/// The totals of likes and shares, in the Note and in the collections, which have to agree.
async fn totals(app: &TestApp, at: &str) -> (i64, i64) {
    let id = note(app, at);
    let object = app.object(&id).await;
    let likes = app.object(&format!("{id}/likes")).await;
    let shares = app.object(&format!("{id}/shares")).await;
    assert_eq!(
        (&object["likes"]["totalItems"], &object["shares"]["totalItems"]),
        (&likes["totalItems"], &shares["totalItems"])
    );
    (likes["totalItems"].as_i64().unwrap(), shares["totalItems"].as_i64().unwrap())
}

/// Look until it is so: answers in memory may be a second old.
async fn until(app: &TestApp, at: &str, expected: (i64, i64)) {
    let began = Instant::now();
    loop {
        let found = totals(app, at).await;
        if found == expected {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?} instead of {expected:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn likes_and_boosts_are_counted_once_each_and_until_they_are_taken_back() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    assert_eq!(totals(&app, FIRST).await, (0, 0));
    let post = note(&app, FIRST);
    bob.says(&app, &bob.does("Like", 1, post.clone())).await;
    bob.says(&app, &bob.does("Like", 2, post.clone())).await;
    cat.says(&app, &cat.does("Like", 1, json!({ "id": post }))).await;
    cat.says(&app, &cat.does("Announce", 2, post.clone())).await;
    // The page and the Create name the same post.
    bob.says(&app, &bob.does("Announce", 3, format!("{post}/activity"))).await;
    until(&app, FIRST, (2, 2)).await;
    assert_eq!(totals(&app, SECOND).await, (0, 0));
    bob.says(&app, &bob.does("Undo", 4, bob.does("Like", 2, post.clone()))).await;
    bob.says(&app, &bob.does("Undo", 5, format!("{}/activities/3", bob.uri))).await;
    // Nobody takes back what is not theirs.
    bob.says(&app, &bob.does("Undo", 6, cat.does("Like", 1, note(&app, SECOND)))).await;
    until(&app, FIRST, (1, 1)).await;
    cat.says(&app, &cat.does("Undo", 7, json!({ "type": "Announce", "object": post }))).await;
    until(&app, FIRST, (1, 0)).await;
}

#[tokio::test]
async fn emoji_of_misskey_and_pleroma_are_kept_and_taken_back_each_by_itself() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let with = |kind: &str, number: u32, emoji: &str| {
        let mut activity = bob.does(kind, number, note(&app, FIRST));
        activity["content"] = json!(emoji);
        activity
    };
    bob.says(&app, &with("Like", 1, "🎉")).await;
    bob.says(&app, &with("EmojiReact", 2, "👍")).await;
    bob.says(&app, &with("EmojiReact", 3, "🦊")).await;
    assert_eq!(kept(&app), ["like 🎉", "emoji 👍", "emoji 🦊"]);
    until(&app, FIRST, (1, 0)).await;
    let mut undone = with("EmojiReact", 9, "👍");
    undone.as_object_mut().unwrap().remove("id");
    bob.says(&app, &bob.does("Undo", 4, undone)).await;
    assert_eq!(kept(&app), ["like 🎉", "emoji 🦊"]);
    bob.says(&app, &bob.does("Undo", 5, with("Like", 1, "🎉"))).await;
    assert_eq!(kept(&app), ["emoji 🦊"]);
}

#[tokio::test]
async fn what_is_about_no_post_that_is_shown_or_comes_from_whom_the_owner_blocks_leaves_nothing() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let elsewhere = note(&app, FIRST).replace(&app.base, "https://other.example");
    let other_handle = note(&app, FIRST).replace("/ann/", "/bob/");
    for object in
        [elsewhere, other_handle, ann(&app), format!("{}1", note(&app, FIRST)), "https://far.example/1".to_owned()]
    {
        for kind in ["Like", "Announce"] {
            bob.says(&app, &bob.does(kind, 1, object.clone())).await;
        }
    }
    let account = app.account("ann").await.id;
    let target = BlockTarget::Actor(bob.uri.clone());
    app.app.store.insert_block(Some(account), &target, "", Utc::now()).await.unwrap();
    bob.says(&app, &bob.does("Like", 2, note(&app, FIRST))).await;
    assert_eq!(rows(&app, "reactions"), 0);
}

#[tokio::test]
async fn a_page_tells_what_others_did_here_and_a_copy_of_it_is_renewed() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    let page = note(&app, FIRST).replace("/users/ann/statuses/", "/@ann/");
    let before = app.page(&page).await;
    assert!(!before.body.contains(" here</p>"), "{}", before.body);
    for who in [&bob, &cat] {
        who.says(&app, &who.does("Like", 1, note(&app, FIRST))).await;
    }
    bob.says(&app, &bob.does("Announce", 2, note(&app, FIRST))).await;
    until(&app, FIRST, (2, 1)).await;
    let after = app.page(&page).await;
    assert!(after.body.contains("2 likes, 1 boost here"), "{}", after.body);
    let stale = app.get_with(&page, &[("accept", "text/html"), ("if-none-match", before.header("etag"))]).await;
    assert_eq!(stale.status, 200);
    assert!(app.page("/@ann").await.body.contains("2 likes, 1 boost here"), "on the profile too");
    // Who goes by the time has to hear of it as well.
    app.database.execute(
        "UPDATE accounts SET changed_at = '2024-01-01'; UPDATE echoes SET changed_at = now() - interval '1 hour'",
    );
    let long_ago = "Mon, 05 Feb 2024 00:00:00 GMT";
    for path in [note(&app, FIRST), format!("{}/likes", note(&app, FIRST)), format!("{}/users/ann/followers", app.base)]
    {
        let answer =
            app.get_with(&path, &[("accept", "application/activity+json"), ("if-modified-since", long_ago)]).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn archived_totals_and_those_that_came_here_are_added_where_the_owner_wants_that() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    app.database.execute("UPDATE posts SET details = '{\"likes\": 5, \"boosts\": 2}'");
    bob.says(&app, &bob.does("Like", 1, note(&app, FIRST))).await;
    until(&app, FIRST, (1, 0)).await;
    app.set("ann", &["archived_counts=true"]).await;
    until(&app, FIRST, (6, 2)).await;
}

/// Count from now on how often somebody tells of changes.
async fn listen(app: &TestApp) -> (Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let heard = Arc::new(AtomicUsize::new(0));
    let (store, count) = (app.app.store.clone(), heard.clone());
    let listening = Arc::new(tokio::sync::Notify::new());
    let started = listening.clone();
    let listener = tokio::spawn(async move {
        use everpost::store::changes::Heard;
        let hear = |what| match what {
            Heard::Listening => started.notify_one(),
            _ => drop(count.fetch_add(1, Ordering::SeqCst)),
        };
        store.listen(hear).await;
    });
    listening.notified().await;
    (heard, listener)
}

#[tokio::test]
async fn who_does_and_undoes_for_ever_empties_no_cache_more_than_twice_a_second() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    bob.says(&app, &bob.does("Like", 1, "https://other.example/1")).await;
    let (heard, listener) = listen(&app).await;
    let began = Instant::now();
    for round in 0..20 {
        let number = 10 + 4 * round;
        bob.says(&app, &bob.does("Follow", number, ann(&app))).await;
        bob.says(&app, &bob.does("Block", number + 1, ann(&app))).await;
        let told = bob.note(number, &note(&app, FIRST), "<p>Hello</p>");
        let id = told["id"].clone();
        bob.says(&app, &bob.creates(number + 2, told)).await;
        bob.says(&app, &bob.does("Delete", number + 3, id)).await;
    }
    assert_eq!((rows(&app, "followers"), rows(&app, "replies")), (0, 0));
    while app.object("/users/ann/followers").await["totalItems"] != 0 {
        assert!(began.elapsed() < 2 * PATIENCE, "the last of it is told as well");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    listener.abort();
    let heard = heard.load(Ordering::SeqCst);
    assert!((1..=2 * seconds + 4).contains(&heard), "{heard} in {seconds} s for 80 activities");
}

#[tokio::test]
async fn a_flood_of_likes_empties_no_cache_more_than_once_a_second() {
    let (app, far) = (app_with_posts().await, Far::start());
    let people: Vec<Person> = (0..8).map(|n| far.person(&format!("p{n}"))).collect();
    for who in &people {
        who.says(&app, &who.does("Like", 1, "https://other.example/1")).await;
    }
    let (heard, listener) = listen(&app).await;
    let began = Instant::now();
    let mut sent = 0;
    for round in 0..4 {
        for who in &people {
            let like = who.does("Like", 10 + round, note(&app, FIRST));
            who.says(&app, &like).await;
            who.says(&app, &who.does("Announce", 20 + round, note(&app, SECOND))).await;
            sent += 2;
        }
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    until(&app, FIRST, (8, 0)).await;
    until(&app, SECOND, (0, 8)).await;
    listener.abort();
    let heard = heard.load(Ordering::SeqCst);
    assert!((1..=seconds + 3).contains(&heard), "{heard} in {seconds} s for {sent} activities");
}

#[tokio::test]
async fn a_report_is_kept_for_the_owner_with_what_of_it_is_here() {
    let (app, far) = (app_with_posts().await, Far::start());
    let server = far.person("server");
    let mut flag = server.does("Flag", 1, json!([ann(&app), note(&app, FIRST), "https://other.example/1"]));
    flag["content"] = json!("It is spam");
    server.says(&app, &flag).await;
    server.says(&app, &flag).await;
    server.says(&app, &server.does("Flag", 2, json!(["https://other.example/users/ann"]))).await;
    let account = app.account("ann").await.id;
    let reports = app.app.store.list_reports(account, 9).await.unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].content.as_str(), &reports[0].objects), ("It is spam", &vec![ann(&app), note(&app, FIRST)]));
    assert_eq!(reports[0].from.told.uri, server.uri);
}

#[tokio::test]
async fn what_we_know_nothing_of_is_taken_and_counted_and_what_we_ignore_leaves_nothing() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    for (n, kind) in
        ["Travel", "Travel", "Listen", "Add", "Remove", "Accept", "Reject", "QuoteRequest"].into_iter().enumerate()
    {
        let mut activity = bob.does(kind, u32::try_from(n).unwrap(), note(&app, FIRST));
        activity["target"] = json!(format!("{}/featured", bob.uri));
        bob.says(&app, &activity).await;
    }
    let counted = app.app.store.list_unknown_activities().await.unwrap();
    assert_eq!(counted, [("Travel".to_owned(), 2), ("Listen".to_owned(), 1)]);
    for table in ["reactions", "replies", "reports", "errands", "followers", "deliveries"] {
        assert_eq!(rows(&app, table), 0, "{table}");
    }
    for n in 0..300 {
        bob.says(&app, &bob.does(&format!("T{n}"), 100 + n, Value::from("x"))).await;
    }
    assert_eq!(rows(&app, "unknown_activities"), 201, "anybody can invent types");
}

#[tokio::test]
async fn a_deleted_actor_takes_all_along_that_is_theirs_and_nothing_else() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    for who in [&bob, &cat] {
        who.says(&app, &who.does("Follow", 1, ann(&app))).await;
        who.says(&app, &who.does("Like", 2, note(&app, FIRST))).await;
        who.says(&app, &who.creates(3, who.note(3, &note(&app, FIRST), "<p>Hello</p>"))).await;
    }
    // Nobody deletes somebody else.
    cat.says(&app, &cat.does("Delete", 4, bob.uri.clone())).await;
    assert_eq!(rows(&app, "followers"), 2);
    bob.says(&app, &bob.does("Delete", 4, json!({ "id": bob.uri, "type": "Tombstone" }))).await;
    for table in ["followers", "reactions", "replies", "remote_actors"] {
        assert_eq!(rows(&app, table), 1, "{table}");
    }
    until(&app, FIRST, (1, 0)).await;
    bob.says(&app, &bob.does("Delete", 4, bob.uri.clone())).await;
}

#[tokio::test]
async fn an_actor_who_is_gone_at_home_is_believed_to_be_gone_with_a_key_that_nobody_has() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    bob.says(&app, &bob.does("Like", 1, note(&app, FIRST))).await;
    app.database.execute("UPDATE remote_actors SET fetched_at = now() - interval '1 hour'");
    app.app.actors.forget(&bob.uri);
    let forger = bob.with_new_key();
    let delete = bob.does("Delete", 2, bob.uri.clone());
    assert_eq!(forger.send(&app, &delete).await.status, 401, "they are there");
    assert_eq!(rows(&app, "reactions"), 1);
}
