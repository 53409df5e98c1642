//! The real sample, where it is, and its invented twin, everywhere: thirteen posts of one thread, each with its own date.

use crate::support::{Program, TestApp, fixture, samples};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const TWIN: &str = "hugo-mastodon-to-hugo-v1";

/// Import twice with the program: all is new, then all is known.
fn thirteen_come_once(archive: &Path, handle: &str, pictures: u64) {
    let program = Program::new();
    let archive = archive.to_str().unwrap();
    let private = json!({ "stored": 0, "unchanged": 0, "left_out": 0, "made_public": 0, "still_public": [] });
    let report = |created: u64, unchanged: u64, stored: u64, seconds: &Value| {
        json!({
            "format": "hugo", "account": handle, "read": 13, "created": created, "updated": 0, "unchanged": unchanged,
            "skipped": [], "notes": [], "published": 13, "unpublished": { "boosts": 0, "replies": 0 },
            "media": { "stored": stored, "missing": 0, "found": pictures }, "estimated_dates": 0, "private": private,
            "profile": null, "seconds": seconds, "skipped_total": 0, "skipped_by_reason": [], "notes_total": 0, "losses": 0,
        })
    };
    // What may differ is told elsewhere: the number of the import, and what the fields of each archive are.
    let told = |mut report: Value| {
        for key in ["import", "fields"] {
            assert!(report.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
        report
    };
    let first = program.json(&["import", archive, "--json"]);
    assert!(first["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(told(first.clone()), report(13, 0, pictures, &first["seconds"]));
    let rows = "SELECT concat_ws(' ', p.id, p.source_key, p.published_at, p.changed_at, md5(p.content_html)) FROM posts p ORDER BY 1";
    let before = program.database().texts(rows);
    let again = program.json(&["import", archive, "--json"]);
    assert_eq!(told(again.clone()), report(0, 13, 0, &again["seconds"]));
    assert_eq!(again["fields"], first["fields"], "what the source tells is told again");
    assert_eq!(program.database().texts(rows), before, "a second import touches nothing");
}

/// Walk the outbox as another server does.
async fn thirteen_creates_with_their_own_dates(archive: &Path, handle: &str) -> TestApp {
    let app = TestApp::start().await;
    app.import(archive).await;
    let finger = app.page(&format!("/.well-known/webfinger?resource=acct:{handle}@{}", &app.base[7..])).await.json();
    let actor = format!("{}/users/{handle}", app.base);
    let own = finger["links"].as_array().unwrap().iter().find(|link| link["rel"] == "self").unwrap();
    assert_eq!(own["href"], actor.as_str());
    assert_eq!(app.object(&format!("/users/{handle}/outbox")).await["totalItems"], 13);
    let creates = app.walk_outbox(handle).await;
    let distinct = |field: &str| {
        creates.iter().map(|create| create["object"][field].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!((creates.len(), distinct("id").len()), (13, 13));
    assert_eq!(distinct("published").len(), 13, "each post has a date of its own");
    for create in &creates {
        assert_eq!((&create["type"], &create["actor"]), (&json!("Create"), &json!(actor)));
        assert_eq!(create["published"], create["object"]["published"]);
    }
    let context = &creates[0]["object"]["context"];
    assert!(creates.iter().all(|create| &create["object"]["context"] == context), "one thread, one conversation");
    app
}

#[test]
fn the_twin_comes_in_once_with_all_thirteen_posts() {
    thirteen_come_once(&fixture(TWIN), "juno", 2);
}

#[test]
fn the_sample_comes_in_once_with_all_thirteen_posts() {
    if let Some(sample) = samples("hugo") {
        thirteen_come_once(&sample, "mweagle", 0);
    }
}

#[tokio::test]
async fn the_twins_outbox_has_thirteen_creates_with_their_own_dates() {
    let app = thirteen_creates_with_their_own_dates(&fixture(TWIN), "juno").await;
    let first = app.object("/users/juno/statuses/112219765417328195").await;
    assert_eq!((&first["published"], &first["inReplyTo"]), (&json!("2024-04-05T17:22:09Z"), &Value::Null));
    let last = app.object("/users/juno/statuses/112220093766717527").await;
    assert_eq!(last["inReplyTo"], format!("{}/users/juno/statuses/112220089371982924", app.base));
    assert_eq!(first["contentMap"], json!({ "en": first["content"] }), "the language is told");
    assert!(first.get("tag").is_none_or(|tags| tags == &json!([])), "the converter's own tag is no hashtag");
    let pictures: Vec<Value> =
        app.walk_outbox("juno").await.iter().map(|c| c["object"]["attachment"].clone()).collect();
    let pictures: Vec<&Value> = pictures.iter().filter_map(Value::as_array).flatten().collect();
    assert_eq!(pictures.len(), 2);
    for picture in pictures {
        assert!(picture["name"].as_str().unwrap().len() > 20, "it is described");
        let url = picture["url"].as_str().unwrap_or_else(|| picture["url"][0]["href"].as_str().unwrap());
        assert_eq!(app.page(url).await.status, 200, "{url}");
    }
}

#[tokio::test]
async fn the_samples_notes_have_the_dates_links_and_parents_of_their_originals() {
    let Some(sample) = samples("hugo") else { return };
    let app = thirteen_creates_with_their_own_dates(&sample, "mweagle").await;
    let first = app.object("/users/mweagle/statuses/112215823989566555").await;
    assert_eq!(first["published"], "2024-04-05T00:39:47Z");
    assert_eq!(first["url"][0], format!("{}/@mweagle/112215823989566555", app.base));
    let links = first["url"].as_array().unwrap();
    let canonical = links.iter().find(|link| link["rel"] == "canonical").unwrap();
    let wanted = json!({
        "type": "Link", "rel": "canonical", "mediaType": "text/html",
        "href": "https://hachyderm.io/@mweagle/112215823989566555",
    });
    assert_eq!(canonical, &wanted);
    let reply = app.object("/users/mweagle/statuses/112216135775595699").await;
    assert_eq!(reply["published"], "2024-04-05T01:59:05Z");
    assert_eq!(reply["inReplyTo"], format!("{}/users/mweagle/statuses/112216131514839087", app.base));
    let source = app.account("mweagle").await;
    assert_eq!(source.source.unwrap().to_string(), "@mweagle@hachyderm.io");
    assert_eq!(source.source_actor.as_deref(), Some("https://hachyderm.io/users/mweagle"));
}

#[test]
fn the_json_report_has_its_keys_in_the_promised_order() {
    let program = Program::new();
    let outcome = program.run(&["import", fixture(TWIN).to_str().unwrap(), "--json"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let keys = [
        "format",
        "account",
        "read",
        "created",
        "updated",
        "unchanged",
        "skipped",
        "published",
        "media",
        "stored",
        "missing",
        "estimated_dates",
        "private",
        "left_out",
        "made_public",
        "still_public",
        "profile",
        "seconds",
    ];
    let places: Vec<usize> = keys.iter().map(|key| outcome.stdout.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", outcome.stdout);
}

#[test]
fn a_dry_run_tells_the_same_numbers_and_writes_nothing() {
    let program = Program::new();
    let twin = fixture(TWIN);
    let arguments = ["import", twin.to_str().unwrap(), "--json"];
    let without_time = |mut report: Value| {
        report["seconds"] = Value::Null;
        // A dry run is no import that could be undone.
        report["import"] = Value::Null;
        report
    };
    let mut dry = without_time(program.json(&[&arguments[..], &["--dry-run"]].concat()));
    let items = dry.as_object_mut().unwrap().remove("items").unwrap();
    assert!(items.as_array().unwrap().iter().all(|item| item["outcome"] == "created"), "{items}");
    assert_eq!(items.as_array().unwrap().len(), 13);
    for table in ["accounts", "posts", "media", "attachments", "contexts", "post_sources"] {
        assert_eq!(program.database().number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert!(!program.data_dir().join("media").exists());
    assert_eq!(without_time(program.json(&arguments)), dry);
    let dry = without_time(program.json(&[&arguments[..], &["--dry-run"]].concat()));
    assert_eq!((&dry["unchanged"], &dry["published"]), (&json!(13), &json!(13)));
}
