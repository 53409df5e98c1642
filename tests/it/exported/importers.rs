//! The zip as other software reads it: each importer's own rules, played on what we write (decision 0027).
//!
//! The archive is that of the fixtures with the most in it: polls, films, quotes, boosts, languages, missing files.

use super::{json_of, unzipped, write};
use crate::archives::packed;
use crate::support::TestApp;
use everpost::export::Options;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

type Zip = Vec<(String, Vec<u8>)>;

/// Every fixture of Mastodon's, imported and exported again; once for all tests.
async fn zips() -> &'static [Zip] {
    static ZIPS: tokio::sync::OnceCell<Vec<Zip>> = tokio::sync::OnceCell::const_new();
    ZIPS.get_or_init(make_zips).await
}

async fn make_zips() -> Vec<Zip> {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let mut zips = Vec::new();
    let names = [
        ("mastodon-3.5", "ilse"),
        ("mastodon-4.1", "tomas"),
        ("mastodon-4.3", "nadia"),
        ("mastodon-4.6", "oren"),
        ("mastodon-2026", "wren"),
    ];
    for (name, handle) in names {
        app.import(&packed(name, folder.path())).await;
        let (path, _) = write(&app, handle, "mastodon", folder.path(), Options::default()).await;
        zips.push(unzipped(&path));
    }
    zips
}

fn items(zip: &Zip) -> Vec<Value> {
    json_of(zip, "outbox.json")["orderedItems"].as_array().unwrap().clone()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Notes that somebody made, as all importers take them.
fn notes(items: &[Value]) -> impl Iterator<Item = &Value> {
    items.iter().filter(|item| item["type"] == "Create" && item["object"]["type"] == "Note")
}

#[tokio::test]
async fn the_zip_has_mastodons_members_and_shapes() {
    for zip in zips().await {
        let names: HashSet<&str> = zip.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), zip.len(), "no name stands there twice");
        for needed in ["outbox.json", "actor.json", "likes.json", "bookmarks.json"] {
            assert!(names.contains(needed), "{needed} is missing");
        }
        let outbox = json_of(zip, "outbox.json");
        assert_eq!((&outbox["id"], &outbox["type"]), (&"outbox.json".into(), &"OrderedCollection".into()));
        assert_eq!(outbox["totalItems"].as_u64().unwrap() as usize, items(zip).len());
        assert!(outbox["@context"].is_array());
        for name in ["likes.json", "bookmarks.json"] {
            let list = json_of(zip, name);
            assert_eq!((&list["id"], list["orderedItems"].as_array().unwrap().len()), (&name.into(), 0));
        }
        let actor = json_of(zip, "actor.json");
        assert_eq!((&actor["outbox"], &actor["likes"]), (&"outbox.json".into(), &"likes.json".into()));
        for (key, stem) in [("icon", "avatar."), ("image", "header.")] {
            if let Some(url) = actor[key]["url"].as_str() {
                assert!(url.starts_with(stem) && names.contains(url), "{url}");
            }
        }
        for name in names.iter().filter(|name| name.contains('/')) {
            let parts: Vec<&str> = name.split('/').collect();
            assert_eq!((&parts[..2], parts[8]), (["media_attachments", "files"].as_slice(), "original"), "{name}");
        }
        for item in items(zip) {
            assert!(item.get("@context").is_none(), "items have no context of their own");
        }
    }
}

#[tokio::test]
async fn sharkey_finds_context_audience_files_and_chains() {
    for zip in zips().await {
        let actor = json_of(zip, "actor.json");
        let context = actor["@context"].as_array().expect("it calls .some on it");
        assert!(!context.iter().any(|entry| entry.as_str().is_some_and(|text| text.contains("litepub"))));
        let mut by_name: HashMap<&str, &str> = HashMap::new();
        for (name, _) in zip.iter().filter(|(name, _)| name.starts_with("media_attachments/files/")) {
            assert_eq!(
                by_name.insert(name.rsplit('/').next().unwrap(), name),
                None,
                "files are found by their last part"
            );
        }
        let items = items(zip);
        let mut taken = 0;
        for item in notes(&items) {
            let (to, cc) = (texts(&item["to"]), texts(&item["cc"]));
            let followers = to.iter().any(|to| to.contains("/followers"));
            assert!(to.contains(&PUBLIC) || followers, "else it is left out");
            assert!(!followers || cc.contains(&PUBLIC), "else it becomes one for followers");
            let object = &item["object"];
            assert!(chrono::DateTime::parse_from_rfc3339(object["published"].as_str().unwrap()).is_ok());
            assert!(object["content"].is_string() && object["tag"].is_array() && object["attachment"].is_array());
            assert!(object["inReplyTo"].is_null() || object["inReplyTo"].is_string());
            for file in object["attachment"].as_array().unwrap() {
                let url = file["url"].as_str().expect("it looks for the last slash in it");
                if let Some(name) = by_name.get(url.rsplit('/').next().unwrap()) {
                    assert_eq!(*name, url, "the one of that name is this one");
                }
            }
            taken += 1;
        }
        assert!(taken > 0);
    }
}

#[tokio::test]
async fn nextcloud_social_finds_ids_words_audience_and_paths_in_the_zip() {
    for zip in zips().await {
        for item in notes(&items(zip)) {
            let object = &item["object"];
            assert!(!object["id"].as_str().unwrap().is_empty());
            let (to, cc) = (texts(&object["to"]), texts(&object["cc"]));
            assert!(to.contains(&PUBLIC) || cc.contains(&PUBLIC));
            assert!(
                object["content"].as_str().is_some_and(|text| !text.is_empty())
                    || !object["attachment"].as_array().unwrap().is_empty()
            );
            assert!(chrono::DateTime::parse_from_rfc3339(object["published"].as_str().unwrap()).is_ok());
            let tags = object["tag"].as_array().unwrap().iter();
            assert!(
                tags.filter(|tag| tag["type"] == "Hashtag").all(|tag| tag["name"].as_str().unwrap().starts_with('#'))
            );
        }
    }
}

#[tokio::test]
async fn slurp_can_read_every_member_as_the_type_that_it_expects() {
    for zip in zips().await {
        let actor = json_of(zip, "actor.json");
        let (id, followers) = (actor["id"].as_str().unwrap(), actor["followers"].as_str().unwrap());
        let items = items(zip);
        for item in notes(&items) {
            let object = &item["object"];
            for key in ["id", "url", "content", "published"] {
                assert!(object[key].is_string(), "{key}: {object}");
            }
            assert!(object["summary"].is_null() || object["summary"].is_string());
            assert!(object.get("conversation").is_none_or(|conversation| conversation.is_string()), "{object}");
            assert!(object["sensitive"].is_boolean());
            let map = object.get("contentMap").and_then(Value::as_object);
            assert!(map.is_none_or(|map| map.values().all(Value::is_string)));
            let mentions: Vec<&str> = object["tag"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|tag| tag["type"] == "Mention")
                .map(|tag| tag["href"].as_str().unwrap())
                .collect();
            // Whoever else is addressed makes it leave a post out.
            for address in texts(&object["to"]).into_iter().chain(texts(&object["cc"])) {
                assert!(
                    address == PUBLIC || address == id || address == followers || mentions.contains(&address),
                    "{address}"
                );
            }
            for file in object["attachment"].as_array().unwrap() {
                let path = file["url"].as_str().unwrap();
                let is_there = zip.iter().any(|(name, _)| name == path);
                let is_told = !path.contains("/original/") || file["mediaType"].is_string();
                assert!(is_there || is_told, "{path}");
                assert!(file["name"].is_null() || file["name"].is_string());
            }
        }
    }
}

#[tokio::test]
async fn marl_finds_its_two_files_media_by_their_paths_and_votes_that_it_can_add() {
    for zip in zips().await {
        let names: HashSet<&str> = zip.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains("actor.json") && names.contains("outbox.json"));
        let actor = json_of(zip, "actor.json");
        for key in ["icon", "image"] {
            if !actor[key].is_null() {
                assert_eq!(actor[key]["type"], "Image");
                assert!(names.contains(actor[key]["url"].as_str().unwrap()) && actor[key]["mediaType"].is_string());
            }
        }
        for item in items(zip) {
            assert!(chrono::DateTime::parse_from_rfc3339(item["published"].as_str().unwrap()).is_ok());
            assert!(item["id"].as_str().unwrap().split('/').count() > 2, "the last but one part is the number");
            assert!(item["object"].is_string() || item["object"].is_object());
            let tags = item["object"]["tag"].as_array().cloned().unwrap_or_default();
            for mention in tags.iter().filter(|tag| tag["type"] == "Mention") {
                assert!(mention["name"].is_string() && mention["href"].as_str().unwrap().split('/').count() > 2);
            }
            if item["object"]["type"] == "Question" {
                let options = item["object"].get("oneOf").or(item["object"].get("anyOf")).unwrap().as_array().unwrap();
                assert!(options.iter().all(|option| option["replies"]["totalItems"].is_u64()));
            }
            for file in item["object"]["attachment"].as_array().into_iter().flatten() {
                let url = file["url"].as_str().unwrap();
                assert!(file["mediaType"].is_string());
                assert!(
                    !url.starts_with("media_attachments/files/")
                        || url.matches('/').count() == 9 && names.contains(url)
                        || !names.contains(url)
                );
            }
        }
    }
}

#[tokio::test]
async fn fossilphant_finds_every_member_that_it_takes_for_granted() {
    for zip in zips().await {
        assert!(json_of(zip, "actor.json")["name"].is_string());
        for item in items(zip).iter().filter(|item| item["type"] == "Create") {
            let (id, object) = (item["id"].as_str().unwrap(), &item["object"]);
            assert!(id.starts_with("https://") && id.ends_with("/activity") && id.contains("/statuses/"), "{id}");
            assert!(object["url"].is_string() && object["content"].is_string() && object["sensitive"].is_boolean());
            assert!(object.get("inReplyTo").is_some(), "it is asked for, be it null");
            assert!(!texts(&item["to"]).is_empty() && !texts(&item["cc"]).is_empty());
            for file in object["attachment"].as_array().unwrap() {
                assert!(file["type"].is_string() && file["mediaType"].is_string() && file.get("name").is_some());
            }
            if object["type"] == "Question" {
                assert!(object.get("oneOf").or(object.get("anyOf")).unwrap().is_array());
            }
        }
    }
}
