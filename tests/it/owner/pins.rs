//! Pins: what other servers read of them, what followers are told, and where they stand on the page.

use super::{ONE, TWO, follow, queue, refused, seen};
use crate::support::{Bundle, Program, TestApp, status_id};
use chrono::Utc;
use everpost::domain::follower::FollowState::Accepted;
use everpost::domain::ids::PostId;
use everpost::domain::pins::Change;
use everpost::operations::{Error, pins, posts};
use serde_json::{Value, json};

async fn change(app: &TestApp, change: Change) -> Result<bool, Error> {
    Ok(pins::change(&app.app, &app.account("ann").await, &change, Utc::now()).await?.1)
}

fn add(at: &str) -> Change {
    Change::Add(PostId(status_id(at)))
}

/// The ids of the pinned Notes, as other servers read them.
async fn featured(app: &TestApp) -> Vec<Value> {
    let collection = app.object("/users/ann/collections/featured").await;
    let items = collection["orderedItems"].as_array().unwrap();
    assert_eq!(collection["totalItems"], items.len());
    items.iter().map(|item| item["id"].clone()).collect()
}

fn note(at: &str) -> String {
    format!("https://keep.example/users/ann/statuses/{}", status_id(at))
}

#[tokio::test]
async fn pins_are_read_as_whole_notes_in_the_owners_order_and_each_change_is_told_once() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    follow(&app.app.store, &app.account("ann").await, "bo", "far.example", Accepted).await;
    assert_eq!(featured(&app).await, Vec::<Value>::new());
    assert!(change(&app, add(TWO)).await.unwrap());
    assert!(change(&app, add(ONE)).await.unwrap());
    assert!(!change(&app, add(ONE)).await.unwrap());
    assert_eq!(featured(&app).await, [note(TWO), note(ONE)]);
    let order = Change::Order(vec![PostId(status_id(ONE)), PostId(status_id(TWO))]);
    assert!(change(&app, order).await.unwrap());
    let collection = app.object("/users/ann/collections/featured").await;
    let mut first = collection["orderedItems"][0].clone();
    assert!(first["proof"].is_object());
    let mut served = app.object(&note(ONE)).await;
    for name in ["proof", "replies"] {
        first.as_object_mut().unwrap().remove(name);
        served.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(first, served, "the Note as it is at its id");
    assert!(change(&app, Change::Remove(PostId(status_id(TWO)))).await.unwrap());
    assert!(!change(&app, Change::Remove(PostId(status_id(TWO)))).await.unwrap());
    assert_eq!(featured(&app).await, [note(ONE)]);
    let told: Vec<_> =
        queue(&app.database).into_iter().map(|(kind, _, _, body)| (kind, body["object"].clone())).collect();
    let pair = |kind: &str, at| (kind.to_owned(), json!(note(at)));
    assert_eq!(told, [pair("Add", TWO), pair("Add", ONE), pair("Remove", TWO)]);
    let (_, inbox, _, body) = &queue(&app.database)[0];
    assert_eq!(inbox, "https://far.example/inbox");
    assert_eq!(body["target"], app.object("/users/ann").await["featured"]);
    assert!(body["proof"].is_object());
}

#[tokio::test]
async fn a_post_that_is_withdrawn_or_no_longer_shown_leaves_the_pins() {
    let archive = tempfile::tempdir().unwrap();
    let app = seen(archive.path()).await;
    change(&app, add(ONE)).await.unwrap();
    change(&app, add(TWO)).await.unwrap();
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    assert_eq!(featured(&app).await, [note(TWO)]);
    let error = change(&app, add(ONE)).await.unwrap_err().to_string();
    assert!(error.contains("cannot be pinned: it was withdrawn"), "{error}");
    app.database.execute("UPDATE posts SET listed = false");
    assert_eq!(app.app.store.list_pins(app.account("ann").await.id).await.unwrap(), []);
    let error = change(&app, add(TWO)).await.unwrap_err().to_string();
    assert!(error.contains("it is kept and not published"), "{error}");
}

#[tokio::test]
async fn pinned_posts_stand_first_on_the_first_page_and_nowhere_else_twice() {
    let archive = tempfile::tempdir().unwrap();
    for day in 1..=25 {
        let at = format!("2024-01-{day:02}T10:00:00Z");
        Bundle::new().post(&at, &format!("<p>Day {day}.</p>")).write(archive.path());
    }
    let app = TestApp::start().await;
    app.import(archive.path()).await;
    for at in ["2024-01-03T10:00:00Z", "2024-01-24T10:00:00Z"] {
        change(&app, add(at)).await.unwrap();
    }
    let days = |page: &str| -> Vec<u32> {
        let texts = page.split("Day ").skip(1);
        texts.filter_map(|text| text.split_once(".</p>")?.0.parse().ok()).collect()
    };
    let page = app.page("/@ann").await.body;
    let mut expected = vec![3, 24, 25];
    expected.extend((6..=23).rev());
    assert_eq!(days(&page), expected);
    assert_eq!(page.matches(">Pinned<").count(), 1);
    let older = page.split("href=\"/@ann?max_id=").nth(1).unwrap().split('"').next().unwrap();
    let page = app.page(&format!("/@ann?max_id={older}")).await.body;
    assert_eq!((days(&page), page.contains(">Pinned<")), (vec![5, 4, 3, 2, 1], false));
}

#[test]
fn the_command_pins_lists_orders_and_says_what_is_wrong() {
    let program = Program::new();
    let archive = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (1..=6)
        .map(|day| {
            let at = format!("2024-01-0{day}T10:00:00Z");
            Bundle::new().post(&at, &format!("<p>Day {day}.</p>")).write(archive.path());
            status_id(&at).to_string()
        })
        .collect();
    program.ok(&["import", archive.path().to_str().unwrap()]);
    assert_eq!(program.ok(&["pin", "list"]), "Nothing is pinned: `everpost pin add ID` pins a post.\n");
    assert_eq!(program.ok(&["pin", "add", &ids[0]]), format!("Pinned: {}, as number 1 of at most 5.\n", ids[0]));
    assert_eq!(program.ok(&["pin", "add", &ids[0]]), format!("{} was pinned before.\n", ids[0]));
    for id in &ids[1..5] {
        program.ok(&["pin", "add", id]);
    }
    refused(&program, &["pin", "add", &ids[5]], &format!("unpin one with `everpost pin remove {}`", ids[4]));
    refused(&program, &["pin", "add", "7"], "ann has no post 7; `everpost post list --account ann` shows the numbers");
    refused(&program, &["pin", "order", &ids[5]], "is not pinned; `everpost pin list` shows those that are");
    let order = [&ids[4], &ids[0], &ids[1], &ids[2], &ids[3]].map(String::as_str).join(", ");
    assert_eq!(program.ok(&["pin", "order", &ids[4]]), format!("The order is now: {order}.\n"));
    let gone = format!("Unpinned: {}. It stands at its date as before.\n", ids[0]);
    assert_eq!(program.ok(&["pin", "remove", &ids[0]]), gone);
    let listed = program.ok(&["pin", "list"]);
    assert!(listed.starts_with(&format!("1  {}  2024-01-05T10:00:00Z  Day 5.\n2  {}", ids[4], ids[1])), "{listed}");
    let listed = program.json(&["pin", "list", "--json"]);
    assert_eq!((listed[0]["id"].as_str(), listed.as_array().unwrap().len()), (Some(ids[4].as_str()), 4));
}
