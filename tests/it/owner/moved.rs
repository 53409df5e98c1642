//! Where posts stood before: in each Note, on a page, and in a collection.

use crate::activitypub::{app_with, post};
use crate::support::{TestApp, fixture, status_id};
use everpost::domain::post::NewPost;
use everpost::operations::posts;
use serde_json::{Value, json};

/// Every item of the collection, page by page.
async fn walk(app: &TestApp, handle: &str) -> Vec<Value> {
    let root = app.object(&format!("/users/{handle}/migration.json")).await;
    assert_eq!((&root["type"], root.get("orderedItems")), (&json!("OrderedCollection"), None));
    let (mut next, mut items) = (root["first"].as_str().map(str::to_owned), Vec::new());
    while let Some(url) = next {
        let page = app.object(&url).await;
        assert_eq!((&page["id"], &page["partOf"]), (&json!(url), &root["id"]));
        items.extend(page["orderedItems"].as_array().unwrap().iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
    }
    items
}

#[tokio::test]
async fn each_old_id_leads_to_the_new_one_in_the_note_and_in_the_collection() {
    let app = TestApp::start().await;
    app.import(&fixture("mastodon-4.3")).await;
    let account = app.app.store.list_accounts().await.unwrap().pop().unwrap();
    let (handle, source) = (account.handle.as_str(), account.source_actor.clone().unwrap());
    let items = walk(&app, handle).await;
    let notes: Vec<Value> = app.walk_outbox(handle).await.into_iter().map(|create| create["object"].clone()).collect();
    assert!(!notes.is_empty());
    let expected: Vec<Value> = notes
        .iter()
        .filter_map(|note| Some((note["id"].clone(), note["previously"].get(0)?.clone())))
        .map(|(new, old)| json!({ "type": "Move", "actor": old["actor"], "origin": old["id"], "target": new }))
        .collect();
    assert_eq!(items, expected);
    assert!(items.iter().all(|item| item["actor"] == source));
    assert!(!app.object(&format!("/users/{handle}")).await.as_object().unwrap().contains_key("migration"));
}

#[tokio::test]
async fn more_posts_than_a_page_holds_are_all_there_and_only_those_that_are_shown() {
    let moments: Vec<String> = (0..450).map(|n| format!("2024-01-{:02}T10:{:02}:00Z", 1 + n / 60, n % 60)).collect();
    let mut batch: Vec<NewPost> = moments.iter().map(|at| NewPost { object_id_stated: true, ..post(at) }).collect();
    batch[7].object_id_stated = false;
    let app = app_with(&batch).await;
    let gone = everpost::domain::ids::PostId(status_id(&moments[9]));
    posts::withdraw(&app.app, &app.account("ann").await, gone, chrono::Utc::now()).await.unwrap();
    let items = walk(&app, "ann").await;
    assert_eq!(items.len(), 448);
    let origins: std::collections::HashSet<&str> = items.iter().map(|item| item["origin"].as_str().unwrap()).collect();
    assert_eq!(origins.len(), 448);
    let whole = app.object("/users/ann/migration.json?all=true").await;
    assert_eq!((&whole["type"], &whole["orderedItems"]), (&json!("OrderedCollection"), &json!(items)), "one file");
    assert_eq!(whole["id"], format!("{}/users/ann/migration.json?all=true", app.base));
    let text = json!(items).to_string();
    assert!(!text.contains(&gone.to_string()) && !text.contains(&status_id(&moments[7]).to_string()));
    assert_eq!(app.get("/users/ann/migration.json?page=true&max_id=x").await.status, 400);
}

#[tokio::test]
async fn people_read_old_and_new_addresses_on_a_page() {
    let app = app_with(&[post("2024-01-01T10:00:00Z")]).await;
    let page = app.page("/@ann/moved").await;
    assert_eq!(page.status, 200);
    let id = status_id("2024-01-01T10:00:00Z");
    assert!(page.body.contains(&format!("href=\"https://origin.example/@ann/{id}\"")), "{}", page.body);
    assert!(page.body.contains(&format!("{}/@ann/{id}", app.base)));
    assert!(page.body.contains("/users/ann/migration.json"));
    let whole = app.object("/users/ann/migration.json?all=true").await;
    assert_eq!(whole["orderedItems"], json!([]), "its source does not state the id");
    assert_eq!(app.page("/@nobody/moved").await.status, 404);
    assert_eq!(app.get("/users/nobody/migration.json?all=true").await.status, 404);
    assert_eq!(app.get("/users/nobody/migration.json").await.status, 404);
}
