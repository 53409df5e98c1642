//! The tables: what they hold, and what a spreadsheet does not take for a formula.

use super::write;
use crate::archives::{create, note, outbox};
use crate::support::TestApp;
use crate::support::packing::put;
use everpost::domain::block::BlockTarget;
use everpost::export::{Ids, Options};
use serde_json::json;
use std::path::Path;

fn rows(place: &Path, name: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(place.join(name)).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn posts_and_lists_stand_in_tables_and_no_cell_is_a_formula() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let items = [
        create(note(1, json!({ "content": "<p>=cmd|' /C calc'!A0</p>", "summary": "+warning" }))),
        create(note(
            2,
            json!({ "content": "<p>Plain, and \"quoted\"</p>", "tag": [{ "type": "Hashtag", "name": "#Sea" }] }),
        )),
        json!({ "id": "https://m.example/users/ann/statuses/3/activity", "type": "Announce", "actor": "https://m.example/users/ann",
            "published": "2024-04-05T00:40:00Z", "to": ["https://www.w3.org/ns/activitystreams#Public"], "object": "https://far.example/notes/1" }),
    ];
    app.import(&put(folder.path(), "outbox.json", &outbox(&items))).await;
    let account = app.account("ann").await;
    for target in ["bad.example", "bo@far.example"] {
        let target = BlockTarget::parse(target).unwrap();
        app.app.store.insert_block(Some(account.id), &target, "", super::now()).await.unwrap();
    }
    let (place, summary) = write(&app, "ann", "csv", folder.path(), Options::default()).await;
    assert_eq!((summary.posts, summary.boosts), (2, 1));
    let posts = rows(&place, "posts.csv");
    let column = |name: &str| posts[0].iter().position(|column| column == name).unwrap();
    let row = |number: u64| posts.iter().find(|row| row[0].contains(&format!("/statuses/{number}"))).unwrap();
    assert_eq!(row(1)[column("text")], "'=cmd|' /C calc'!A0");
    assert_eq!(row(1)[column("warning")], "'+warning");
    assert_eq!(row(2)[column("text")], "Plain, and \"quoted\"");
    assert_eq!((&*row(2)[column("tags")], &*row(2)[column("visibility")]), ("sea", "public"));
    assert_eq!((&*row(3)[column("type")], &*row(3)[column("boost_of")]), ("boost", "https://far.example/notes/1"));
    assert_eq!(rows(&place, "followers.csv"), [["Account address"]]);
    assert_eq!(rows(&place, "blocked_domains.csv"), [["bad.example"]]);
    assert_eq!(rows(&place, "blocked_accounts.csv"), [["bo@far.example"]]);
}

#[tokio::test]
async fn dates_and_hashtags_choose_and_our_ids_come_where_they_are_asked_for() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let dated = |number: i64, day: &str, tag: &str| {
        create(note(
            number,
            json!({ "published": format!("2024-04-{day}T12:00:00Z"), "tag": [{ "type": "Hashtag", "name": tag }] }),
        ))
    };
    let items = [dated(1, "01", "#Sea"), dated(2, "02", "#Sea"), dated(3, "02", "#fog"), dated(4, "03", "#Sea")];
    app.import(&put(folder.path(), "outbox.json", &outbox(&items))).await;
    let options = Options {
        ids: Ids::Mirror,
        since: Some("2024-04-02T00:00:00Z".parse().unwrap()),
        until: Some("2024-04-03T00:00:00Z".parse().unwrap()),
        tags: vec!["sea".to_owned()],
        ..Options::default()
    };
    let (place, summary) = write(&app, "ann", "jsonl", folder.path(), options).await;
    assert_eq!(summary.posts, 1);
    let line: serde_json::Value = serde_json::from_slice(&std::fs::read(place).unwrap()).unwrap();
    let account = app.account("ann").await;
    let ours = account.urls();
    let numbers: Vec<_> = super::kept(&app, &account).await.iter().map(|entry| ours.note(entry.id())).collect();
    assert!(numbers.iter().any(|id| line["object"]["id"] == *id), "{line}");
    assert_eq!((&line["actor"], &line["object"]["attributedTo"]), (&json!(ours.actor()), &json!(ours.actor())));
    assert_eq!(line["object"]["previously"], json!([{ "id": "https://m.example/users/ann/statuses/2" }]));
}
