//! Who a post was for: of all that is said about it the narrowest, in whatever order it comes.

use super::{Archive, MARK, ONE, THREE, TWO, assert_sum, hidden, keep, key, leave, post, public, request, run, show};
use crate::archives::create;
use crate::support::packing::put;
use crate::support::{Program, TestApp, status_id};
use chrono::Utc;
use everpost::operations::ingest::{self, Request};
use everpost::operations::preview::Preview;
use serde_json::{Value, json};
use std::sync::Mutex;

const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";
const COUNT: &str = "SELECT count(*) FROM private_posts";

/// The address of the post of that time.
fn object(at: &str) -> String {
    format!("https://m.example/users/ann/statuses/{}", status_id(at))
}

/// A boost for everyone, made at that time.
fn boost(at: &str, of: Value) -> Value {
    json!({
        "id": format!("{}/activity", object(at)), "type": "Announce", "actor": "https://m.example/users/ann",
        "published": at, "to": [PUBLIC], "cc": [], "object": of,
    })
}

/// The same post once more, for everyone and with words that are not.
fn widened(mut item: Value) -> Value {
    (item["to"], item["object"]["to"]) = (json!([PUBLIC]), json!([PUBLIC]));
    item
}

#[tokio::test]
async fn of_two_items_about_one_post_the_narrower_audience_counts_whichever_comes_first() {
    let (one, two) = (hidden(TWO), widened(hidden(TWO)));
    for items in [[one.clone(), two.clone()], [two, one]] {
        let archive = Archive::new(&[&items[..], &[public(ONE, "For all.")]].concat());
        let app = TestApp::start_sealed(7).await;
        let report = leave(&app.app, &archive).await;
        assert_eq!((report.created, report.private.left_out, report.skipped.len()), (1, 2, 0));
        let report = keep(&app.app, &archive).await;
        assert_eq!((report.unchanged, report.private.stored, report.skipped.len()), (1, 1, 1));
        assert_eq!(report.skipped[0].reason, "it is in this import already");
        assert_eq!(app.database.number("SELECT count(*) FROM posts"), 1);
    }
}

#[tokio::test]
async fn where_activity_and_post_disagree_the_narrower_counts() {
    let (mut by_object, mut by_activity) = (hidden(TWO), hidden(THREE));
    by_object["to"] = json!([PUBLIC]);
    by_activity["object"]["to"] = json!([PUBLIC]);
    let app = TestApp::start_sealed(7).await;
    let report = leave(&app.app, &Archive::new(&[public(ONE, "For all."), by_object, by_activity])).await;
    assert_eq!((report.created, report.private.left_out, report.published), (1, 2, 1));
}

#[tokio::test]
async fn a_boost_of_what_is_not_public_is_not_public_whoever_it_says_it_is_for() {
    let inlined = hidden(TWO)["object"].clone();
    let guarded = format!("bear:?t={MARK}&u=https%3A%2F%2Fm.example%2Fusers%2Fann%2Fstatuses%2F5");
    let boosts = [
        // Before the post that it is about.
        boost("2024-01-02T10:00:00Z", json!(object(TWO))),
        hidden(TWO),
        boost("2024-01-02T10:01:00Z", json!(object(TWO))),
        boost("2024-01-02T10:02:00Z", inlined),
        boost("2024-01-02T10:03:00Z", json!(guarded)),
    ];
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[&boosts[..], &[public(ONE, "For all.")]].concat());
    let report = leave(&app.app, &archive).await;
    assert_eq!((report.created, report.private.left_out, report.skipped.len()), (1, 5, 0));
    let report = keep(&app.app, &archive).await;
    assert_eq!((report.private.stored, report.skipped.len()), (5, 0));
    let (_, sealed) = show(&app, "2024-01-02T10:01:00Z").await.unwrap();
    assert_eq!((sealed.boost_of, sealed.content.as_str()), (Some(object(TWO)), ""));
    // A boost for fewer people says so itself.
    let mut narrow = boost("2024-01-02T10:04:00Z", json!("https://other.example/users/bob/statuses/1"));
    narrow["to"] = json!(["https://m.example/users/ann/followers"]);
    assert_eq!(leave(&app.app, &Archive::new(&[narrow])).await.private.left_out, 1);
    assert_eq!(app.database.number("SELECT count(*) FROM posts"), 1);
}

#[tokio::test]
async fn a_public_reply_below_private_ones_joins_what_stands_above_them() {
    let reply = |mut item: Value, to: &str| {
        item["object"]["inReplyTo"] = json!(object(to));
        item
    };
    let last = "2024-01-01T10:15:00Z";
    let thread = [
        public(ONE, "The first."),
        reply(hidden(TWO), ONE),
        reply(hidden(THREE), TWO),
        reply(public(last, "The last."), THREE),
    ];
    for include in [false, true] {
        let app = TestApp::start_sealed(7).await;
        let report = run(&app.app, &Archive::new(&thread), &request(include, false)).await.unwrap();
        assert_sum(&report);
        let note = app.object(&format!("/users/ann/statuses/{}", status_id(last))).await;
        assert_eq!(note["inReplyTo"], format!("{}/users/ann/statuses/{}", app.base, status_id(ONE)));
    }
}

#[tokio::test]
async fn of_a_private_post_in_two_formats_the_richer_is_kept_in_whatever_order_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::new(&[hidden(TWO)]).write(folder.path());
    let page = format!(
        "---\ndate: {TWO}\nvisibility: private\npost_uri: {}\npost_id: {}\n---\nPoor {MARK}.\n",
        object(TWO),
        status_id(TWO)
    );
    put(folder.path(), "site/posts/a.md", page.as_bytes());
    let site = folder.path().join("site");
    for paths in [vec![archive.clone(), site.clone()], vec![site.clone(), archive.clone()]] {
        let app = TestApp::start_sealed(7).await;
        let first = Request { paths: paths.clone(), ..request(true, false) };
        let dry = Request { dry_run: true, ..first.clone() };
        for stored in [if paths[0] == site { 2 } else { 1 }, 0] {
            let told = ingest::ingest(&app.app, &dry, Utc::now(), &|_, _| {}).await.unwrap();
            let report = ingest::ingest(&app.app, &first, Utc::now(), &|_, _| {}).await.unwrap();
            assert_sum(&report);
            let report = ingest::Report { import: None, ..report };
            assert_eq!((&told, report.private.stored), (&report, stored), "a dry run tells the same");
            assert!(show(&app, TWO).await.unwrap().1.content.to_plain().contains("only for you"));
        }
        assert_eq!(app.database.number(COUNT), 1);
    }
}

#[tokio::test]
async fn a_dry_run_tells_of_each_private_item_what_it_would_become_and_no_word_of_it() {
    let app = TestApp::start_sealed(7).await;
    let folder = tempfile::tempdir().unwrap();
    let path = Archive::new(&[public(ONE, "For all."), hidden(TWO)]).write(folder.path());
    for (include, outcome) in [(false, "left_out"), (true, "sealed")] {
        let told = Mutex::new(Vec::new());
        let watch = |item: Preview| told.lock().unwrap().push(item);
        let request = Request { paths: vec![path.clone()], ..request(include, true) };
        ingest::ingest_watched(&app.app, &request, Utc::now(), &|_, _| {}, &watch).await.unwrap();
        let told = told.into_inner().unwrap();
        let names: Vec<&str> = told.iter().map(|item| item.outcome.name()).collect();
        assert_eq!(names, ["created", outcome]);
        assert!(told[1].post.is_none() && !format!("{told:?}").contains(MARK), "{told:?}");
    }
}

#[test]
fn what_was_left_out_because_nobody_asked_for_it_is_no_loss() {
    let program = Program::new();
    let stranger = create(json!({ "type": "Note", "id": "https://n.example/users/eve/statuses/5", "content": MARK,
        "published": ONE, "attributedTo": "https://n.example/users/eve" }));
    let stranger = Value::Object(
        stranger
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| match key.as_str() {
                "actor" => (key.clone(), json!("https://n.example/users/eve")),
                _ => (key.clone(), value.clone()),
            })
            .collect(),
    );
    let again = hidden(TWO);
    let unknown = post(THREE, json!({ "content": MARK, "to": "https://m.example/lists/5", "cc": null }));
    let archive = Archive::new(&[public(ONE, "For all."), hidden(TWO), again, stranger, unknown]);
    let path = archive.write(program.scratch());
    program.ok(&["account", "create", "ann"]);
    let arguments = ["import", path.to_str().unwrap(), "--strict", "--json", "--account", "ann", "--adopt"];
    let report = program.json(&arguments);
    let private = json!({ "stored": 0, "unchanged": 0, "left_out": 4, "made_public": 0, "still_public": [] });
    assert_eq!((&report["created"], &report["skipped"], &report["private"]), (&json!(1), &json!([]), &private));
    let table = program.ok(&["import", path.to_str().unwrap(), "--account", "ann", "--adopt"]);
    assert!(table.contains("private left out       4"), "{table}");
    assert!(!table.contains(&key(TWO).0), "{table}");
}
