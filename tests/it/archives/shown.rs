//! What other servers and people see of what an archive tells: polls, boosts, quotes, replies to others, totals.

use super::{create, note, outbox};
use crate::support::packing::put;
use crate::support::{TestApp, fixture};
use everpost::domain::ids::PostId;
use everpost::domain::pins::Change;
use everpost::operations::pins;
use serde_json::{Value, json};

const FIRST: i64 = 112_215_823_989_566_555;
const SECOND: i64 = 112_216_131_514_839_087;

/// An account of `@ann@m.example` with these items.
async fn app_with(items: &[Value]) -> TestApp {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let path = put(folder.path(), "outbox.json", &outbox(items));
    app.import(&path).await;
    app
}

fn public(number: i64, change: Value) -> Value {
    create(note(number, change))
}

fn boost(number: i64, of: &str) -> Value {
    json!({
        "id": format!("https://m.example/users/ann/statuses/{number}/activity"), "type": "Announce",
        "actor": "https://m.example/users/ann", "published": "2024-04-06T00:00:00Z",
        "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [], "object": of,
    })
}

fn path(number: i64) -> String {
    format!("/users/ann/statuses/{number}")
}

fn origin(number: i64) -> String {
    format!("https://m.example{}", path(number))
}

/// Every activity of an account's outbox, with everything published that is kept; without proofs, which are by new keys,
/// and their contexts.
async fn whole_outbox(name: &str, handle: &str) -> String {
    let app = TestApp::start().await;
    app.try_import(&fixture(name), None).await.unwrap();
    app.set(handle, &["publish.replies=true", "publish.boosts=true", "archived_counts=true", "hashtags=on"]).await;
    let mut items = app.walk_outbox(handle).await;
    for item in items.iter_mut().map(|item| item.as_object_mut().unwrap()) {
        item.retain(|name, _| name != "proof" && name != "@context");
    }
    serde_json::to_string_pretty(&items).unwrap().replace(&app.base, "https://here.example")
}

#[tokio::test]
async fn every_field_of_an_archive_of_mastodon_3_5_is_in_its_place() {
    insta::assert_snapshot!(whole_outbox("mastodon-3.5", "ilse").await);
}

#[tokio::test]
async fn every_field_of_an_archive_of_mastodon_4_1_is_in_its_place() {
    insta::assert_snapshot!(whole_outbox("mastodon-4.1", "tomas").await);
}

#[tokio::test]
async fn every_field_of_an_archive_of_mastodon_4_3_is_in_its_place() {
    insta::assert_snapshot!(whole_outbox("mastodon-4.3", "nadia").await);
}

#[tokio::test]
async fn every_field_of_an_archive_of_mastodon_4_6_is_in_its_place() {
    insta::assert_snapshot!(whole_outbox("mastodon-4.6", "oren").await);
}

#[tokio::test]
async fn every_field_of_an_archive_of_mastodon_of_2026_is_in_its_place() {
    insta::assert_snapshot!(whole_outbox("mastodon-2026", "wren").await);
}

#[tokio::test]
async fn every_field_of_a_backup_of_akkoma_is_in_its_place() {
    insta::assert_snapshot!(whole_outbox("akkoma-3.10", "petra").await);
}

#[tokio::test]
async fn a_boost_is_kept_and_shown_only_where_the_owner_wants_it() {
    let app = app_with(&[public(FIRST, json!({})), boost(SECOND, "https://o.example/notes/7")]).await;
    let activity = format!("{}/activity", path(SECOND));
    assert_eq!(app.get(&activity).await.status, 404);
    assert_eq!(app.walk_outbox("ann").await.len(), 1);
    assert!(!app.page("/@ann").await.body.contains("o.example"));
    app.set("ann", &["publish.boosts=true"]).await;
    let announce = app.object(&activity).await;
    assert_eq!((&announce["type"], &announce["object"]), (&json!("Announce"), &json!("https://o.example/notes/7")));
    assert_eq!(announce["published"], "2024-04-06T00:00:00Z");
    assert_eq!(announce["cc"], json!([format!("{}/users/ann/followers", app.base)]));
    let activities = app.walk_outbox("ann").await;
    assert_eq!(activities.len(), 2);
    assert_eq!(activities[0]["id"], announce["id"], "it is the newest");
    assert!(app.page("/@ann").await.body.contains("href=\"https://o.example/notes/7\""));
    assert_eq!(app.get(&path(SECOND)).await.status, 404, "a boost is no Note");
    let page = app.page(&format!("/@ann/{SECOND}")).await;
    assert_eq!((page.status, page.location()), (302, "https://o.example/notes/7"));
    app.set("ann", &["publish.boosts=false"]).await;
    assert_eq!((app.get(&activity).await.status, app.walk_outbox("ann").await.len()), (404, 1));
}

#[tokio::test]
async fn a_boost_of_an_own_post_leads_to_that_post_here() {
    let app = app_with(&[public(FIRST, json!({})), boost(SECOND, &origin(FIRST))]).await;
    app.set("ann", &["publish.boosts=true"]).await;
    let announce = app.object(&format!("{}/activity", path(SECOND))).await;
    assert_eq!(announce["object"], format!("{}{}", app.base, path(FIRST)));
    app.app
        .store
        .withdraw_post(app.account("ann").await.id, everpost::domain::ids::PostId(FIRST), None, chrono::Utc::now())
        .await
        .unwrap();
    let announce = app.object(&format!("{}/activity", path(SECOND))).await;
    assert_eq!(announce["object"], format!("{}{}", app.base, path(FIRST)), "where it stood is not told any more");
}

#[tokio::test]
async fn a_withdrawn_boost_is_gone_and_nothing_tells_what_it_passed_on() {
    let app = app_with(&[boost(SECOND, "https://o.example/notes/7")]).await;
    app.set("ann", &["publish.boosts=true"]).await;
    let id = everpost::domain::ids::PostId(SECOND);
    app.app.store.withdraw_post(app.account("ann").await.id, id, None, chrono::Utc::now()).await.unwrap();
    assert_eq!(app.get(&format!("{}/activity", path(SECOND))).await.status, 410);
    assert_eq!(app.walk_outbox("ann").await, Vec::<Value>::new());
    assert!(!app.database.texts("SELECT posts::text FROM posts").concat().contains("o.example"));
}

#[tokio::test]
async fn a_reply_to_others_is_published_where_the_owner_wants_it_with_a_link_to_what_it_answers() {
    let parent = "https://o.example/notes/9";
    let app = app_with(&[
        public(FIRST, json!({ "inReplyTo": parent })),
        public(SECOND, json!({ "inReplyTo": origin(FIRST) })),
    ])
    .await;
    assert_eq!((app.get(&path(FIRST)).await.status, app.get(&path(SECOND)).await.status), (404, 404));
    app.set("ann", &["publish.replies=true"]).await;
    let answer = app.object(&path(FIRST)).await;
    assert_eq!(answer["inReplyTo"], Value::Null, "Misskey drops a reply whose parent cannot be had (R-54)");
    let content = answer["content"].as_str().unwrap();
    assert!(content.contains("In reply to <a href=\"https://o.example/notes/9\""), "{content}");
    assert!(app.page(&format!("/@ann/{FIRST}")).await.body.contains("href=\"https://o.example/notes/9\""));
    let second = app.object(&path(SECOND)).await;
    assert_eq!(second["inReplyTo"], format!("{}{}", app.base, path(FIRST)));
    assert!(!second["content"].as_str().unwrap().contains("In reply to"));
    app.set("ann", &["publish.replies=false"]).await;
    assert_eq!((app.get(&path(FIRST)).await.status, app.get(&path(SECOND)).await.status), (404, 404));
}

#[tokio::test]
async fn settings_hold_for_what_is_imported_after_them() {
    let app = app_with(&[public(FIRST, json!({}))]).await;
    app.set("ann", &["publish.replies=true", "publish.boosts=true"]).await;
    let folder = tempfile::tempdir().unwrap();
    let items = [
        public(SECOND, json!({ "inReplyTo": "https://o.example/notes/9" })),
        boost(SECOND + (1 << 20), "https://o.example/notes/7"),
    ];
    let report = app.import(&put(folder.path(), "outbox.json", &outbox(&items))).await;
    assert_eq!((report.published, report.unpublished_boosts, report.unpublished_replies), (3, 0, 0));
    assert_eq!(app.walk_outbox("ann").await.len(), 3);
}

#[tokio::test]
async fn a_reply_whose_parent_comes_in_a_later_import_joins_it() {
    let app = app_with(&[public(SECOND, json!({ "inReplyTo": origin(FIRST) }))]).await;
    assert_eq!(app.get(&path(SECOND)).await.status, 404);
    let folder = tempfile::tempdir().unwrap();
    let report = app.import(&put(folder.path(), "outbox.json", &outbox(&[public(FIRST, json!({}))]))).await;
    assert_eq!((report.published, report.unpublished_replies), (2, 0));
    let answer = app.object(&path(SECOND)).await;
    assert_eq!(answer["inReplyTo"], format!("{}{}", app.base, path(FIRST)));
}

#[tokio::test]
async fn the_report_and_its_dry_run_agree_about_what_is_kept_and_not_published() {
    let items = [
        public(FIRST, json!({ "inReplyTo": "https://o.example/notes/9" })),
        public(SECOND, json!({})),
        public(SECOND + 65_536, json!({ "inReplyTo": origin(SECOND) })),
        boost(SECOND + (1 << 20), "https://o.example/notes/7"),
    ];
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let path = put(folder.path(), "outbox.json", &outbox(&items));
    let dry = everpost::operations::ingest::Request { dry_run: true, ..crate::import::request(&path) };
    let run = async |request| {
        everpost::operations::ingest::ingest(&app.app, &request, chrono::Utc::now(), &|_, _| {}).await.unwrap()
    };
    let counts = |report: everpost::operations::ingest::Report| {
        (report.created, report.published, report.unpublished_boosts, report.unpublished_replies)
    };
    assert_eq!(counts(run(dry.clone()).await), (4, 2, 1, 1), "of an account that is not there yet");
    assert_eq!(counts(app.import(&path).await), (4, 2, 1, 1));
    app.database.execute("DELETE FROM posts");
    assert_eq!(counts(run(dry).await), (4, 2, 1, 1), "of one that is");
}

#[tokio::test]
async fn a_quote_of_an_own_post_carries_our_stamp_and_that_of_another_a_link() {
    let elsewhere = "https://o.example/notes/7";
    let app = app_with(&[
        public(FIRST, json!({})),
        public(SECOND, json!({ "quoteUrl": origin(FIRST) })),
        public(SECOND + 65_536, json!({ "_misskey_quote": elsewhere })),
    ])
    .await;
    let (first, second) = (format!("{}{}", app.base, path(FIRST)), app.object(&path(SECOND)).await);
    for key in ["quote", "quoteUri", "_misskey_quote"] {
        assert_eq!(second[key], first, "{key}");
    }
    let stamp = app.object(second["quoteAuthorization"].as_str().unwrap()).await;
    assert_eq!(stamp["type"], "QuoteAuthorization");
    assert_eq!(stamp["id"], second["quoteAuthorization"]);
    assert_eq!((&stamp["attributedTo"], &stamp["interactingObject"]), (&second["attributedTo"], &second["id"]));
    assert_eq!(stamp["interactionTarget"], first);
    let third = app.object(&path(SECOND + 65_536)).await;
    assert_eq!((&third["quote"], &third["quoteAuthorization"]), (&Value::Null, &Value::Null));
    assert!(third["content"].as_str().unwrap().contains("RE: <a href=\"https://o.example/notes/7\""), "{third}");
    assert_eq!(app.get(&format!("{}/quote_authorization", path(SECOND + 65_536))).await.status, 404);
    assert!(app.page(&format!("/@ann/{SECOND}")).await.body.contains(&format!("href=\"/@ann/{FIRST}\"")));
    app.app
        .store
        .withdraw_post(app.account("ann").await.id, everpost::domain::ids::PostId(FIRST), None, chrono::Utc::now())
        .await
        .unwrap();
    assert_eq!(app.object(&path(SECOND)).await["quote"], Value::Null);
    assert_eq!(app.get(&format!("{}/quote_authorization", path(SECOND))).await.status, 404);
}

#[tokio::test]
async fn a_poll_is_a_closed_question_with_its_votes() {
    let option = |name: &str, votes: u64| json!({ "type": "Note", "name": name, "replies": { "type": "Collection", "totalItems": votes } });
    let poll = json!({
        "type": "Question", "oneOf": [option("Tea", 3), option("<b>Coffee</b>", 1)], "endTime": "2024-04-07T00:39:47Z",
        "votersCount": 4,
    });
    let app = app_with(&[public(FIRST, poll)]).await;
    let question = app.object(&path(FIRST)).await;
    assert_eq!(question["type"], "Question");
    assert_eq!(question["oneOf"], json!([option("Tea", 3), option("<b>Coffee</b>", 1)]));
    assert_eq!((&question["anyOf"], &question["votersCount"]), (&Value::Null, &json!(4)));
    assert_eq!(
        (&question["closed"], &question["endTime"]),
        (&json!("2024-04-07T00:39:47Z"), &json!("2024-04-07T00:39:47Z"))
    );
    let page = app.page(&format!("/@ann/{FIRST}")).await.body;
    assert!(page.contains("3 (75 %)") && page.contains("Poll, closed 7 April 2024, 00:39 UTC, 4 voters"), "{page}");
    assert!(page.contains("&#60;b&#62;Coffee") && !page.contains("<b>Coffee"), "{page}");
}

#[tokio::test]
async fn a_poll_that_is_pinned_is_named_and_not_embedded_among_the_pins() {
    let poll = json!({
        "type": "Question", "oneOf": [{ "type": "Note", "name": "Tea" }], "endTime": "2024-04-07T00:39:47Z",
    });
    let app = app_with(&[public(FIRST, poll), public(SECOND, json!({}))]).await;
    for post in [FIRST, SECOND] {
        let pin = Change::Add(PostId(post));
        pins::change(&app.app, &app.account("ann").await, &pin, chrono::Utc::now()).await.unwrap();
    }
    let featured = app.object("/users/ann/collections/featured").await;
    assert_eq!(featured["orderedItems"][0], app.object(&path(FIRST)).await["id"]);
    assert_eq!(featured["orderedItems"][1]["type"], "Note");
}

#[tokio::test]
async fn a_poll_that_was_open_when_it_was_archived_takes_no_votes_here() {
    let poll =
        json!({ "type": "Question", "anyOf": [{ "type": "Note", "name": "Tea" }], "endTime": "2999-01-01T00:00:00Z" });
    let app = app_with(&[public(FIRST, poll)]).await;
    let question = app.object(&path(FIRST)).await;
    let closed: chrono::DateTime<chrono::Utc> = question["closed"].as_str().unwrap().parse().unwrap();
    assert!(closed <= chrono::Utc::now());
    assert_eq!(question["endTime"], question["closed"]);
}

#[tokio::test]
async fn archived_totals_stand_on_the_page_and_in_the_collections_only_where_the_owner_wants_them() {
    let total = |count: u64| json!({ "type": "Collection", "totalItems": count });
    let app =
        app_with(&[public(FIRST, json!({ "likes": total(1234), "shares": total(1), "replies": total(0) }))]).await;
    assert!(app.page(&format!("/@ann/{FIRST}")).await.body.contains("1,234 likes, 1 boost at the original"));
    let likes = format!("{}/likes", path(FIRST));
    assert_eq!(app.object(&path(FIRST)).await["likes"]["totalItems"], 0);
    assert_eq!(app.object(&likes).await["totalItems"], 0);
    app.set("ann", &["archived_counts=true"]).await;
    assert_eq!(app.object(&path(FIRST)).await["likes"]["totalItems"], 1234);
    assert_eq!(app.object(&likes).await["totalItems"], 1234);
    assert_eq!(app.object(&format!("{}/shares", path(FIRST))).await["totalItems"], 1);
}

#[tokio::test]
async fn a_title_and_other_languages_stand_in_the_note() {
    let article = json!({
        "type": "Article", "name": "On <tides>", "content": "<p>Ebb</p>",
        "contentMap": { "en": "<p>Ebb</p>", "de": "<p onclick='x'>Flut</p>" },
    });
    let app = app_with(&[public(FIRST, article)]).await;
    let note = app.object(&path(FIRST)).await;
    assert_eq!(note["type"], "Note", "an Article loses its text at Mastodon (R-43)");
    assert!(
        note["content"].as_str().unwrap().starts_with("<p><strong>On &lt;tides&gt;</strong></p><p>Ebb</p>"),
        "{note}"
    );
    assert_eq!(note["contentMap"]["en"], note["content"]);
    assert_eq!(note["contentMap"]["de"], "<p>Flut</p>");
    assert_eq!(note.get("name"), None, "a name would make it look like a vote (R-67)");
}

#[tokio::test]
async fn an_answer_to_and_a_quote_of_an_own_post_that_is_not_public_do_not_tell_where_that_stood() {
    let hidden = json!({ "to": ["https://m.example/users/ann/followers"], "cc": [] });
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let quoting = format!("<p class=\"quote-inline\">RE: <a href=\"{0}\">{0}</a></p><p>So true.</p>", origin(FIRST));
    let other = quoting.replace("So true", "Wie wahr");
    let items = [
        public(FIRST, hidden),
        public(SECOND, json!({ "inReplyTo": origin(FIRST) })),
        public(
            SECOND + 65_536,
            json!({ "quote": origin(FIRST), "content": quoting, "contentMap": { "en": quoting, "de": other } }),
        ),
    ];
    app.try_import(&put(folder.path(), "outbox.json", &outbox(&items)), None).await.unwrap();
    for number in [SECOND, SECOND + 65_536] {
        let answer = app.object(&path(number)).await;
        assert!(!answer.to_string().contains(&FIRST.to_string()), "{answer}");
        assert!(!app.page(&format!("/@ann/{number}")).await.body.contains(&FIRST.to_string()));
    }
}

#[tokio::test]
async fn what_the_settings_take_back_after_others_have_seen_it_is_gone_and_comes_again_with_them() {
    let (app, folder) = (TestApp::start_at("https://here.example").await, tempfile::tempdir().unwrap());
    let items = [
        public(FIRST, json!({ "inReplyTo": "https://o.example/notes/9" })),
        boost(SECOND, "https://o.example/notes/7"),
        public(SECOND + 65_536, json!({ "inReplyTo": "https://o.example/notes/8" })),
    ];
    app.import(&put(folder.path(), "outbox.json", &outbox(&items))).await;
    let ann = app.account("ann").await;
    everpost::operations::accounts::publish(&app.app, &ann.handle, chrono::Utc::now()).await.unwrap();
    app.set("ann", &["publish.replies=true", "publish.boosts=true"]).await;
    let (note, announce) = (path(FIRST), format!("{}/activity", path(SECOND)));
    let create = format!("{note}/activity");
    app.object(&note).await;
    app.object(&announce).await;
    app.set("ann", &["publish.replies=false", "publish.boosts=false"]).await;
    for seen in [&note, &create, &announce] {
        let answer = app.get(seen).await;
        assert_eq!((answer.status, &answer.json()["type"]), (410, &json!("Tombstone")), "{seen}");
    }
    assert_eq!(app.page(&format!("/@ann/{FIRST}")).await.status, 410);
    assert_eq!(app.get(&path(SECOND + 65_536)).await.status, 404, "nobody ever saw this one");
    assert_eq!(app.walk_outbox("ann").await.len(), 0);
    app.set("ann", &["publish.replies=true", "publish.boosts=true"]).await;
    assert_eq!((app.object(&note).await["type"].clone(), app.walk_outbox("ann").await.len()), (json!("Note"), 3));
}

#[test]
fn what_is_kept_and_not_published_can_be_listed() {
    let program = crate::support::Program::new();
    let items = [
        public(FIRST, json!({ "inReplyTo": "https://o.example/notes/9" })),
        public(SECOND, json!({})),
        boost(SECOND + (1 << 20), "https://o.example/notes/7"),
    ];
    put(program.scratch(), "outbox.json", &outbox(&items));
    program.ok(&["import", "outbox.json"]);
    let kept = program.ok(&["post", "list", "--unpublished"]);
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!(lines.len(), 2, "{kept}");
    assert!(
        lines[0].contains("boost of https://o.example/notes/7") && lines[1].starts_with(&FIRST.to_string()),
        "{kept}"
    );
    let newest = lines[0].split(' ').next().unwrap();
    assert_eq!(program.ok(&["post", "list", "--unpublished", "--before", newest]).lines().count(), 1);
    assert_eq!(program.ok(&["post", "list"]).lines().count(), 1);
}

#[tokio::test]
async fn what_answers_or_quotes_a_withdrawn_post_does_not_tell_where_that_stood() {
    let app = app_with(&[
        public(FIRST, json!({})),
        public(SECOND, json!({ "inReplyTo": origin(FIRST) })),
        public(SECOND + 65_536, json!({ "quote": origin(FIRST) })),
    ])
    .await;
    let ann = app.account("ann").await;
    app.app.store.withdraw_post(ann.id, everpost::domain::ids::PostId(FIRST), None, chrono::Utc::now()).await.unwrap();
    for number in [SECOND, SECOND + 65_536] {
        let answer = app.object(&path(number)).await;
        assert_eq!((&answer["inReplyTo"], &answer["quote"]), (&Value::Null, &Value::Null));
        assert!(!answer.to_string().contains(&origin(FIRST)), "{answer}");
        assert!(!app.page(&format!("/@ann/{number}")).await.body.contains(&origin(FIRST)));
    }
}
