//! Replies of others: which are kept, how they are shown, how they change and go.

use super::far::{Far, Person};
use super::{FIRST, SECOND, ann, app_with_posts, note, rows};
use crate::support::{PATIENCE, TestApp};
use chrono::{TimeDelta, Utc};
use everpost::operations::errands;
use serde_json::{Value, json};
use std::time::Instant;

const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

fn kept(app: &TestApp) -> Vec<String> {
    app.database.texts("SELECT concat_ws(' ', depth, content_html) FROM replies ORDER BY depth, id")
}

/// Do all errands that are due, or will be within an hour.
async fn fetch(app: &TestApp) {
    while errands::run(&app.app, Utc::now()).await.unwrap() > 0 {}
}

fn page(app: &TestApp, at: &str) -> String {
    note(app, at).replace("/users/ann/statuses/", "/@ann/")
}

async fn until_shown(app: &TestApp, path: &str, words: &str, is_there: bool) -> String {
    let began = Instant::now();
    loop {
        let body = app.page(path).await.body;
        if body.contains(words) == is_there {
            return body;
        }
        assert!(began.elapsed() < PATIENCE, "{words} {is_there}: {body}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn replies(app: &TestApp, who: &Person, number: u32, answers: &str, html: &str) -> String {
    let told = who.note(number, answers, html);
    who.says(app, &who.creates(number, told.clone())).await;
    told["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_public_reply_stands_on_the_page_sanitised_with_its_author_and_a_link() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let html =
        "<p onclick=x>Well <b>said</b><script>alert(1)</script><img src=x></p><a href='javascript:1' rel=me>x</a>";
    replies(&app, &bob, 1, &note(&app, FIRST), html).await;
    let body = until_shown(&app, &page(&app, FIRST), "Well <b>said</b>", true).await;
    for part in [
        "bob &#60;b&#62;the&#60;/b&#62; far".to_owned(),
        format!("href=\"{}/pages/1\"", bob.uri),
        "datetime=\"2024-03-01T12:00:00Z\"".to_owned(),
        "1 reply here".to_owned(),
    ] {
        assert!(body.contains(&part), "{part}: {body}");
    }
    for part in ["<script", "onclick", "<img src=x", "javascript:", "rel=me", "rel=\"me\""] {
        assert!(!body.contains(part), "{part}: {body}");
    }
    assert!(!app.page(&page(&app, SECOND)).await.body.contains("Well"));
}

#[tokio::test]
async fn replies_to_replies_are_kept_below_the_post_and_listed_after_ours() {
    use crate::activitypub::{reply, store};
    let (app, far) = (app_with_posts().await, Far::start());
    let own = "2024-01-03T00:00:00Z";
    let first = format!("https://origin.example/@ann/{}", crate::support::status_id(FIRST));
    store(&app, "ann", &[reply(own, &first)]).await;
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    let one = replies(&app, &bob, 1, &note(&app, FIRST), "<p>One</p>").await;
    let two = replies(&app, &cat, 1, &one, "<p>Two</p>").await;
    assert_eq!(kept(&app), ["1 <p>One</p>", "2 <p>Two</p>"]);
    until_shown(&app, &page(&app, FIRST), "Two", true).await;
    let collection = app.object(&format!("{}/replies", note(&app, FIRST))).await;
    assert_eq!(collection["first"]["items"], json!([note(&app, own), one]), "ours first");
    let next = app.object(collection["first"]["next"].as_str().unwrap()).await;
    assert_eq!((&next["items"], &next["next"]), (&json!([two]), &json!(null)));
    assert_eq!(app.object(&note(&app, FIRST)).await["replies"]["first"], collection["first"]);
    let body = app.page(&page(&app, FIRST)).await.body;
    assert!(body.contains("another reply") && body.contains("2 replies here"), "{body}");
}

#[tokio::test]
async fn what_is_not_for_everyone_is_never_stored() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let followers = format!("{}/followers", bob.uri);
    for (n, (to, cc)) in [
        (json!([followers]), json!([])),
        (json!([ann(&app)]), json!([])),
        (json!([]), json!([])),
        (json!(null), json!([followers, ann(&app)])),
        (json!(["https://far.example/everyone"]), json!([])),
    ]
    .into_iter()
    .enumerate()
    {
        let mut told = bob.note(u32::try_from(n).unwrap(), &note(&app, FIRST), "<p>Secret</p>");
        (told["to"], told["cc"]) = (to, cc);
        bob.says(&app, &bob.creates(u32::try_from(n).unwrap(), told)).await;
    }
    // The activity is for fewer people than the note claims.
    let mut narrow = bob.creates(7, bob.note(7, &note(&app, FIRST), "<p>Secret</p>"));
    (narrow["to"], narrow["cc"]) = (json!([ann(&app)]), json!([]));
    bob.says(&app, &narrow).await;
    fetch(&app).await;
    assert_eq!((rows(&app, "replies"), rows(&app, "errands")), (0, 0));
    assert_eq!(app.database.number("SELECT count(*) FROM received WHERE received_at IS NULL"), 0);
    // Unlisted is for everyone who has the link.
    let mut unlisted = bob.note(8, &note(&app, FIRST), "<p>Quiet</p>");
    (unlisted["to"], unlisted["cc"]) = (json!([followers]), json!([PUBLIC]));
    bob.says(&app, &bob.creates(8, unlisted)).await;
    assert_eq!(kept(&app), ["1 <p>Quiet</p>"]);
}

#[tokio::test]
async fn what_answers_nothing_here_mentions_or_votes_leaves_nothing() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let mut mention = bob.note(1, "https://other.example/1", "<p>Hello @ann</p>");
    mention["inReplyTo"] = json!(null);
    mention["tag"] = json!([{ "type": "Mention", "href": ann(&app), "name": "@ann" }]);
    bob.says(&app, &bob.creates(1, mention)).await;
    bob.says(&app, &bob.creates(2, bob.note(2, "https://other.example/1", "<p>To others</p>"))).await;
    let mut vote = bob.note(3, &note(&app, FIRST), "");
    vote["name"] = json!("Yes");
    vote.as_object_mut().unwrap().remove("content");
    bob.says(&app, &bob.creates(3, vote)).await;
    assert_eq!((rows(&app, "replies"), rows(&app, "errands")), (0, 0));
}

#[tokio::test]
async fn a_reply_changes_and_goes_by_its_author_alone() {
    let (app, far) = (app_with_posts().await, Far::start());
    let (bob, cat) = (far.person("bob"), far.person("cat"));
    let id = replies(&app, &bob, 1, &note(&app, FIRST), "<p>One</p>").await;
    let mut changed = bob.note(1, &note(&app, FIRST), "<p>Changed</p>");
    changed["updated"] = json!("2024-03-02T00:00:00Z");
    // By somebody else, of the same server.
    cat.says(&app, &cat.does("Update", 1, changed.clone())).await;
    let mut stolen = changed.clone();
    stolen["attributedTo"] = json!(cat.uri);
    cat.says(&app, &cat.does("Update", 2, stolen)).await;
    cat.says(&app, &cat.does("Delete", 3, id.clone())).await;
    cat.says(&app, &cat.does("Undo", 4, bob.creates(1, bob.note(1, &note(&app, FIRST), "")))).await;
    assert_eq!(kept(&app), ["1 <p>One</p>"]);
    until_shown(&app, &page(&app, FIRST), "<p>One</p>", true).await;
    bob.says(&app, &bob.does("Update", 2, changed)).await;
    until_shown(&app, &page(&app, FIRST), "<p>Changed</p>", true).await;
    bob.says(&app, &bob.does("Delete", 3, json!({ "type": "Tombstone", "id": id }))).await;
    assert_eq!(rows(&app, "replies"), 0);
    until_shown(&app, &page(&app, FIRST), "1 reply here", false).await;
    bob.says(&app, &bob.creates(9, bob.note(1, &note(&app, FIRST), "<p>One</p>"))).await;
    assert_eq!(rows(&app, "replies"), 0, "what was deleted does not come back");
}

#[tokio::test]
async fn a_reply_that_is_narrowed_to_fewer_people_is_deleted() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    replies(&app, &bob, 1, &note(&app, FIRST), "<p>One</p>").await;
    let mut narrowed = bob.note(1, &note(&app, FIRST), "<p>One</p>");
    (narrowed["to"], narrowed["cc"]) = (json!([format!("{}/followers", bob.uri)]), json!([]));
    bob.says(&app, &bob.does("Update", 2, narrowed)).await;
    assert_eq!(rows(&app, "replies"), 0);
}

#[tokio::test]
async fn a_note_of_another_host_is_fetched_from_there_and_what_was_said_of_it_is_not_believed() {
    let (app, far, other) = (app_with_posts().await, Far::start(), Far::start());
    let (bob, eve) = (far.person("bob"), other.person("eve"));
    let mut told = bob.note(1, &note(&app, FIRST), "<p>What bob wrote</p>");
    far.show(told["id"].as_str().unwrap(), 200, told.clone());
    told["content"] = json!("<p>What eve says that bob wrote</p>");
    eve.says(&app, &eve.creates(1, told)).await;
    assert_eq!(rows(&app, "replies"), 0);
    fetch(&app).await;
    assert_eq!(kept(&app), ["1 <p>What bob wrote</p>"]);
    // A note that claims an author on another host is nobody's.
    let mut forged = eve.note(2, &note(&app, FIRST), "<p>Forged</p>");
    forged["attributedTo"] = json!(bob.uri);
    other.show(forged["id"].as_str().unwrap(), 200, forged.clone());
    eve.says(&app, &eve.creates(2, forged)).await;
    eve.says(&app, &eve.does("Create", 3, format!("{}/notes/2", eve.uri))).await;
    fetch(&app).await;
    assert_eq!(kept(&app), ["1 <p>What bob wrote</p>"]);
}

#[tokio::test]
async fn a_note_that_is_only_named_is_fetched() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let told = bob.note(1, &note(&app, FIRST), "<p>One</p>");
    let id = told["id"].as_str().unwrap().to_owned();
    far.show(&id, 200, told);
    bob.says(&app, &bob.does("Create", 1, id.clone())).await;
    fetch(&app).await;
    assert_eq!(kept(&app), ["1 <p>One</p>"]);
    far.show(&id, 200, bob.note(1, &note(&app, FIRST), "<p>Changed</p>"));
    bob.says(&app, &bob.does("Update", 2, id.clone())).await;
    fetch(&app).await;
    assert_eq!(kept(&app), ["1 <p>Changed</p>"]);
    far.show(&id, 410, json!({}));
    bob.says(&app, &bob.does("Update", 3, id)).await;
    fetch(&app).await;
    assert_eq!((rows(&app, "replies"), rows(&app, "errands")), (0, 0));
}

#[tokio::test]
async fn a_reply_deeper_in_a_conversation_with_us_brings_what_it_answers_up_to_a_bound() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    let mut above = note(&app, FIRST);
    let mut told = Value::Null;
    for n in 1..=5 {
        told = bob.note(n, &above, &format!("<p>{n}</p>"));
        told["cc"] = json!([ann(&app)]);
        above = told["id"].as_str().unwrap().to_owned();
        far.show(&above, 200, told.clone());
    }
    bob.says(&app, &bob.creates(5, told)).await;
    fetch(&app).await;
    assert_eq!(kept(&app), ["1 <p>1</p>", "2 <p>2</p>", "3 <p>3</p>", "4 <p>4</p>", "5 <p>5</p>"]);
    // A conversation that never comes to us is left alone after ten of its notes; so is one that goes in a circle.
    let cat = far.person("cat");
    for n in 1..=30 {
        far.show(
            &format!("{}/notes/{n}", cat.uri),
            200,
            cat.note(n, &format!("{}/notes/{}", cat.uri, n % 30 + 1), "<p>x</p>"),
        );
    }
    let mut last = cat.note(1, &format!("{}/notes/2", cat.uri), "<p>x</p>");
    last["cc"] = json!([ann(&app)]);
    cat.says(&app, &cat.creates(1, last)).await;
    fetch(&app).await;
    assert_eq!((far.asked_for("/users/cat/notes/"), rows(&app, "replies"), rows(&app, "errands")), (10, 5, 0));
}

#[tokio::test]
async fn what_cannot_be_fetched_is_tried_a_few_times_and_whom_we_block_is_not_asked() {
    use everpost::domain::block::BlockTarget;
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    far.show("/users/bob/notes/1", 503, json!({}));
    bob.says(&app, &bob.does("Create", 1, format!("{}/notes/1", bob.uri))).await;
    let mut now = Utc::now() + TimeDelta::seconds(1);
    for _ in 0..5 {
        assert_eq!(errands::run(&app.app, now).await.unwrap(), 1);
        assert_eq!(errands::run(&app.app, now).await.unwrap(), 0, "not at once again");
        now += TimeDelta::hours(7);
    }
    assert_eq!((far.asked_for("/users/bob/notes/"), rows(&app, "errands")), (5, 0));
    bob.says(&app, &bob.does("Create", 2, format!("{}/notes/2", bob.uri))).await;
    app.app.store.insert_block(None, &BlockTarget::Domain("localhost".to_owned()), "", Utc::now()).await.unwrap();
    fetch(&app).await;
    assert_eq!((far.asked_for("/users/bob/notes/2"), rows(&app, "errands")), (0, 0));
}

#[tokio::test]
async fn an_actor_that_changed_is_fetched_from_its_own_host() {
    let (app, far) = (app_with_posts().await, Far::start());
    let bob = far.person("bob");
    bob.says(&app, &bob.does("Like", 1, note(&app, FIRST))).await;
    let mut update = bob.does("Update", 2, json!({ "id": bob.uri, "type": "Person", "name": "Not so fast" }));
    bob.says(&app, &update).await;
    update["object"] = json!({ "id": format!("{}/users/cat", far.base), "type": "Person" });
    update["id"] = json!(format!("{}/activities/3", bob.uri));
    bob.says(&app, &update).await;
    assert_eq!(rows(&app, "errands"), 1, "nobody changes another");
    app.database.execute("UPDATE remote_actors SET name = 'old', fetched_at = now() - interval '1 hour'");
    // It was fetched within the last minutes, so it has to wait.
    let now = Utc::now() + TimeDelta::hours(1);
    assert_eq!(errands::run(&app.app, now).await.unwrap(), 1);
    assert_eq!(app.database.texts("SELECT name FROM remote_actors"), ["bob <b>the</b> far"]);
    assert_eq!(rows(&app, "errands"), 0);
}
