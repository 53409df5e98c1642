//! A thousand posts in every audience that an archive can tell, with media, threads, polls, boosts and everything beside.

use super::{Archive, MARK, drawn, post};
use crate::support::packing::{Files, put, zip};
use crate::support::status_id;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub const POSTS: i64 = 1000;
/// A hashtag that private posts alone have.
pub const TAG: &str = "Kiebitz";

const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";
const FOLLOWERS: &str = "https://m.example/users/ann/followers";
const OTHER: &str = "https://other.example/users/bob";

/// What activity and object say about whom they are for. The first [`OPEN`] are for everyone.
fn audiences() -> [(Value, Value); 20] {
    let both = |said: Value| (said.clone(), said);
    [
        both(json!({ "to": [PUBLIC], "cc": [FOLLOWERS] })),
        both(json!({ "to": [FOLLOWERS], "cc": [PUBLIC] })),
        both(json!({ "to": "as:Public", "cc": null })),
        (json!({ "to": [FOLLOWERS], "cc": [PUBLIC] }), json!({ "to": [PUBLIC], "cc": [] })),
        both(json!({ "to": [FOLLOWERS], "cc": [] })),
        both(json!({ "to": [OTHER], "cc": [] })),
        both(json!({ "to": null, "cc": null })),
        both(json!({ "to": [], "cc": [] })),
        both(json!({ "to": ["https://m.example/lists/5"], "cc": [FOLLOWERS] })),
        (json!({ "to": [PUBLIC], "cc": [FOLLOWERS] }), json!({ "to": [FOLLOWERS], "cc": [] })),
        (json!({ "to": [FOLLOWERS], "cc": [] }), json!({ "to": [PUBLIC], "cc": [] })),
        both(json!({ "to": [FOLLOWERS], "cc": [], "bto": [PUBLIC] })),
        both(json!({ "to": [OTHER], "cc": [], "bcc": [PUBLIC], "audience": [PUBLIC] })),
        both(json!({ "to": [PUBLIC], "cc": [], "directMessage": true })),
        both(json!({ "to": ["https://m.example/#Public"], "cc": [FOLLOWERS] })),
        (json!({ "to": [PUBLIC], "cc": [] }), json!({ "to": null, "cc": null })),
        both(json!({ "to": ["https://www.w3.org/ns/activitystreams#public", "public"], "cc": ["AS:PUBLIC"] })),
        both(json!({ "to": [true, 5, { "name": PUBLIC }], "cc": { "href": PUBLIC } })),
        both(json!({ "to": [format!("{PUBLIC} ")], "cc": [format!("{PUBLIC}/followers")] })),
        both(json!({ "to": [PUBLIC], "cc": [FOLLOWERS] })),
    ]
}

/// How many of [`audiences`] are for everyone, and which one belongs to boosts: they say so too, of what is not.
const OPEN: i64 = 4;
const BOOSTS: i64 = 19;

/// When the post of that number was written.
pub fn at(n: i64) -> String {
    format!("2024-01-{:02}T{:02}:{:02}:00Z", 1 + n / 1440, n / 60 % 24, n % 60)
}

pub fn is_open(n: i64) -> bool {
    kind(n) < OPEN
}

fn kind(n: i64) -> i64 {
    n % 20
}

fn address(n: i64) -> String {
    format!("https://m.example/users/ann/statuses/{}", status_id(&at(n)))
}

/// The pictures of a post: some of its own, some that a public and a private post share.
fn pictures(n: i64) -> Vec<String> {
    match (kind(n), n / 20) {
        (0 | 4, group @ 0..5) => vec![format!("shared-{group}.png")],
        (1, group @ 0..5) => vec![format!("public-{group}.png")],
        (5, group @ 0..10) => vec![format!("{MARK}-{group}.png")],
        _ => Vec::new(),
    }
}

/// The pictures that private posts alone have.
pub fn private_pictures() -> Vec<Vec<u8>> {
    (0..POSTS).flat_map(pictures).filter(|name| name.contains(MARK)).map(|name| drawn(&name, 60)).collect()
}

fn item(n: i64) -> Value {
    let (activity, object) = audiences()[usize::try_from(kind(n)).unwrap()].clone();
    if kind(n) == BOOSTS {
        let boost = json!({
            "id": format!("{}/activity", address(n)), "type": "Announce", "actor": "https://m.example/users/ann",
            "published": at(n), "to": activity["to"], "cc": activity["cc"], "object": address(n - 15),
        });
        return boost;
    }
    let words = if is_open(n) { "for all".to_owned() } else { format!("{MARK}, {n}") };
    let mut note = json!({
        "content": format!("<p>Number {n}: {words}. #open</p>"),
        "contentMap": { "en": format!("<p>Number {n}: {words}. #open</p>") },
        "tag": [{ "type": "Hashtag", "href": "https://m.example/tags/open", "name": "#open" }],
    });
    if !is_open(n) {
        note["summary"] = json!(format!("{MARK} warning"));
        note["name"] = json!(format!("{MARK} title"));
        note["tag"].as_array_mut().unwrap().extend([
            json!({ "type": "Hashtag", "href": format!("https://m.example/tags/{TAG}"), "name": format!("#{TAG}") }),
            json!({ "type": "Mention", "href": format!("https://other.example/@{MARK}"), "name": format!("@{MARK}") }),
            json!({ "type": "Emoji", "name": format!(":{MARK}:"), "icon": { "url": format!("emoji/{MARK}.png") } }),
        ]);
        note["quote"] = json!(format!("https://other.example/{MARK}"));
        note["conversation"] = json!(format!("tag:m.example,2024:{MARK}"));
    }
    if n % 7 == 0 {
        note["type"] = json!("Question");
        let option = |n: i64| json!({ "type": "Note", "name": format!("{words} {n}"), "replies": { "totalItems": n } });
        note["oneOf"] = json!([option(1), option(2)]);
        note["endTime"] = json!(at(n + 1));
    }
    // Threads in which those for everyone and the others take turns.
    if n % 20 > 1 && n % 3 > 0 {
        note["inReplyTo"] = json!(address(n - 1 - n % 2));
    }
    let media = |name: String| {
        let alt = if name.contains(MARK) { name.clone() } else { "A picture".to_owned() };
        json!({ "type": "Document", "mediaType": "image/png", "url": format!("/media_attachments/{name}"), "name": alt })
    };
    note["attachment"] = pictures(n).into_iter().map(media).collect();
    let mut item = post(&at(n), note);
    for (said, whole) in [(&activity, false), (&object, true)] {
        let into = if whole { &mut item["object"] } else { &mut item };
        into.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    }
    item
}

/// Write the archive; its path.
pub fn write(folder: &Path) -> PathBuf {
    let archive = Archive::new(&(0..POSTS).map(item).collect::<Vec<_>>());
    let actor = json!({
        "id": "https://m.example/users/ann", "type": "Person", "preferredUsername": "ann", "name": "Ann",
        "followers": FOLLOWERS, "outbox": "outbox.json", "likes": "likes.json", "bookmarks": "bookmarks.json",
    });
    let list = json!({ "type": "OrderedCollection", "orderedItems": [format!("https://other.example/{MARK}/1")] });
    let mut files = Files::from([
        ("outbox.json".to_owned(), archive.outbox()),
        ("actor.json".to_owned(), actor.to_string().into_bytes()),
        ("likes.json".to_owned(), list.to_string().into_bytes()),
        ("bookmarks.json".to_owned(), list.to_string().into_bytes()),
        ("muted_accounts.csv".to_owned(), MARK.as_bytes().to_vec()),
        (format!("media_attachments/nobody-{MARK}.png"), drawn(MARK, 60)),
    ]);
    let mut names: Vec<String> = (0..POSTS).flat_map(pictures).collect();
    names.sort();
    names.dedup();
    files.extend(names.iter().map(|name| (format!("media_attachments/{name}"), drawn(name, 60))));
    put(folder, "thousand.zip", &zip(&files))
}
