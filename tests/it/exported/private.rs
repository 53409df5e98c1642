//! What was not for everyone is in no file that nobody asked it into, and keeps its audience where somebody did.

use super::{json_of, untarred, unzipped, write};
use crate::archives::{create, note, outbox};
use crate::support::TestApp;
use crate::support::packing::{Files, put, zip};
use chrono::Utc;
use everpost::export::Options;
use everpost::import::Only;
use everpost::import::limits::Limits;
use everpost::operations::ingest::{self, Request};
use everpost::operations::private;
use serde_json::{Value, json};
use std::path::Path;

/// Stands in everything that is private, and in nothing else.
const MARK: &str = "Zilpzalp";
const FORMATS: [&str; 4] = ["mastodon", "fep-6fcd", "jsonl", "csv"];

/// A picture of its own for each name: a PNG with its name in the colour.
fn picture(name: &str) -> Vec<u8> {
    let colour = name.bytes().map(u32::from).sum::<u32>();
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_pixel(8, 8, image::Rgb([(colour % 251) as u8, (colour / 251) as u8, 7]));
    image.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

fn with_picture(name: &str) -> Value {
    json!([{ "type": "Document", "mediaType": "image/png", "url": format!("/media_attachments/files/1/original/{name}"), "name": name }])
}

/// A public post and three that are not, with pictures, by `@ann@m.example`.
fn archive() -> Files {
    let followers = json!(["https://m.example/users/ann/followers"]);
    let open = note(1, json!({ "attachment": with_picture("open.png") }));
    let closed = note(
        2,
        json!({
            "content": format!("<p>{MARK} for followers</p>"), "to": followers, "attachment": with_picture(&format!("{MARK}.png")),
            "summary": format!("{MARK} warns"), "tag": [{ "type": "Hashtag", "name": format!("#{MARK}") }],
        }),
    );
    let direct = note(
        3,
        json!({
            "content": format!("<p>{MARK} for one</p>"), "to": ["https://far.example/users/bo"], "directMessage": true,
            "inReplyTo": "https://m.example/users/ann/statuses/2",
        }),
    );
    let answer = note(4, json!({ "inReplyTo": "https://m.example/users/ann/statuses/3" }));
    let items: Vec<Value> = [open, closed, direct, answer].map(create).to_vec();
    let at = |name: &str| format!("media_attachments/files/1/original/{name}");
    vec![
        ("outbox.json".to_owned(), outbox(&items)),
        (at("open.png"), picture("open")),
        (at(&format!("{MARK}.png")), picture(MARK)),
    ]
}

async fn import(app: &TestApp, path: &Path) {
    let request = Request {
        paths: vec![path.to_owned()],
        account: None,
        adopt: false,
        only: Only::Everything,
        dry_run: false,
        include_private: true,
        limits: Limits::default(),
    };
    ingest::ingest(&app.app, &request, Utc::now(), &|_, _| {}).await.unwrap();
}

async fn filled() -> (TestApp, tempfile::TempDir) {
    let (app, folder) = (TestApp::start_sealed(7).await, tempfile::tempdir().unwrap());
    import(&app, &put(folder.path(), "archive.zip", &zip(&archive()))).await;
    (app, folder)
}

/// Every byte below a place, unpacked where it is packed.
fn bytes_of(place: &Path) -> Vec<u8> {
    if place.is_dir() {
        return std::fs::read_dir(place).unwrap().flat_map(|entry| bytes_of(&entry.unwrap().path())).collect();
    }
    let raw = std::fs::read(place).unwrap();
    let inside = if raw.starts_with(b"PK") { unzipped(place) } else { Vec::new() };
    let inside = inside.into_iter().flat_map(|(name, bytes)| [name.into_bytes(), bytes].concat());
    raw.iter().copied().chain(inside).collect()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

#[tokio::test]
async fn no_private_word_and_no_private_picture_is_in_an_export_that_nobody_asked_them_into() {
    let (app, folder) = filled().await;
    for format in FORMATS {
        let (place, summary) = write(&app, "ann", format, folder.path(), Options::default()).await;
        assert_eq!((summary.posts, summary.private), (2, 0), "{format}");
        let bytes = bytes_of(&place);
        assert!(!holds(&bytes, MARK.as_bytes()), "{format} tells");
        assert!(!holds(&bytes, &picture(MARK)), "{format} shows");
        assert!(!holds(&bytes, b"statuses/3"), "{format} tells what is answered");
    }
}

#[tokio::test]
async fn a_private_post_keeps_its_audience_and_its_bytes_where_it_was_asked_for() {
    let (app, folder) = filled().await;
    let options = Options { include_private: true, ..Options::default() };
    for format in ["mastodon", "fep-6fcd"] {
        let (place, summary) = write(&app, "ann", format, folder.path(), options.clone()).await;
        assert_eq!((summary.posts, summary.private, summary.media), (2, 2, 2), "{format}");
        let (files, home) = match format {
            "mastodon" => (unzipped(&place), ""),
            _ => (untarred(&place), "activitypub/"),
        };
        let outbox = json_of(&files, &format!("{home}outbox.json"));
        let items = outbox["orderedItems"].as_array().unwrap();
        let item = |number: u64| {
            let id = format!("https://m.example/users/ann/statuses/{number}");
            items.iter().find(|item| item["object"]["id"] == id.as_str()).unwrap()
        };
        assert_eq!(item(2)["to"], json!(["https://m.example/users/ann/followers"]));
        assert_eq!(
            (&item(3)["to"], &item(3)["object"]["directMessage"]),
            (&json!(["https://far.example/users/bo"]), &json!(true))
        );
        let path = item(2)["object"]["attachment"][0]["url"].as_str().unwrap();
        let (_, bytes) = files.iter().find(|(name, _)| *name == format!("{home}{path}")).unwrap();
        assert_eq!(*bytes, picture(MARK), "{format}");
    }
}

#[tokio::test]
async fn private_posts_come_back_sealed_and_public_ones_public() {
    let (app, folder) = filled().await;
    let back = TestApp::start_sealed(9).await;
    let options = Options { include_private: true, ..Options::default() };
    let (place, _) = write(&app, "ann", "mastodon", folder.path(), options).await;
    import(&back, &place).await;
    let (before, after) = (app.account("ann").await, back.account("ann").await);
    let mut opened = Vec::new();
    for (app, account) in [(&app, &before), (&back, &after)] {
        let mut posts = private::list(&app.app, account, None, 100).await.unwrap();
        posts.sort_by_key(|(_, post)| post.key.clone());
        opened.push(
            posts
                .into_iter()
                .map(|(_, post)| (post.key.0, post.content, post.mentions, post.reply_to, post.media.len()))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(opened[0].len(), 2);
    assert_eq!(opened[0], opened[1]);
    assert_eq!(super::kept(&back, &after).await.len(), 2, "nothing became public");
}

#[tokio::test]
async fn a_private_page_is_for_nobody() {
    let (app, folder) = filled().await;
    // A page tells of no audience that an archive could have.
    let account = app.account("ann").await;
    let mut post = private::list(&app.app, &account, None, 1).await.unwrap().remove(0).1;
    post.format = everpost::domain::source::Format::HugoPage;
    let subject = everpost::export::Subject { account, options: Options::default(), now: super::now() };
    let place = everpost::export::wire::Place::Links;
    let mut wire = everpost::export::wire::Wire::new(&subject, place);
    let mut line = Vec::new();
    wire.write(&everpost::export::Item::Private(Box::new(post)), None, &mut line).unwrap();
    let activity: Value = serde_json::from_slice(&line).unwrap();
    for value in [&activity, &activity["object"]] {
        assert_eq!((&value["to"], &value["cc"]), (&json!([]), &json!([])));
    }
    let audience = everpost::activitystreams::read::activity(&activity).unwrap().audience;
    assert_eq!(audience, everpost::domain::source::SourceAudience::NotPublic);
    drop(folder);
}
