//! What comes of an archive in the database: public posts and nothing else, and the second time nothing at all.

use super::{create, note, outbox};
use crate::support::packing::{files_of, gzip, put, tar, zip};
use crate::support::{Bundle, Program, TestApp, fixture};
use everpost::domain::ids::PostId;
use everpost::domain::post::{Post, Stored, Visibility};
use everpost::operations::ingest::{Report, Request};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const NAMES: [(&str, &str, u64); 6] = [
    ("mastodon-3.5", "ilse", 6),
    ("mastodon-4.1", "tomas", 4),
    ("mastodon-4.3", "nadia", 3),
    ("mastodon-4.6", "oren", 4),
    ("mastodon-2026", "wren", 3),
    ("akkoma-3.10", "petra", 5),
];

/// A fixture packed as its server packs it.
pub fn packed(name: &str, folder: &Path) -> PathBuf {
    let files = files_of(&fixture(name));
    match name {
        "mastodon-3.5" | "mastodon-4.1" => put(folder, &format!("{name}.tar.gz"), &gzip(&tar(&files))),
        _ => put(folder, &format!("{name}.zip"), &zip(&files)),
    }
}

async fn import(app: &TestApp, path: &Path) -> Report {
    app.try_import(path, None).await.unwrap()
}

#[test]
fn public_posts_of_a_zip_come_in_and_a_second_import_changes_nothing() {
    let program = Program::new();
    let zip = packed("mastodon-4.3", program.scratch());
    let path = zip.to_str().unwrap();
    let first = program.json(&["import", path, "--json"]);
    assert_eq!((first["format"].as_str(), first["account"].as_str()), (Some("mastodon"), Some("nadia")));
    assert_eq!((first["read"].as_u64(), first["created"].as_u64()), (Some(5), Some(3)));
    assert_eq!((&first["published"], &first["unpublished"]), (&json!(2), &json!({ "boosts": 1, "replies": 0 })));
    let reasons: Vec<&str> = first["skipped"].as_array().unwrap().iter().filter_map(|s| s["reason"].as_str()).collect();
    assert_eq!(reasons, <[&str; 0]>::default());
    assert_eq!(first["private"]["left_out"], 2);
    assert_eq!(first["media"], json!({ "stored": 2, "missing": 1, "found": 2 }));
    let second = program.json(&["import", path, "--json"]);
    assert_eq!(
        (second["unchanged"].as_u64(), second["created"].as_u64(), second["updated"].as_u64()),
        (Some(3), Some(0), Some(0))
    );
    let table = program.ok(&["import", path]);
    assert!(table.contains("unchanged              3"), "{table}");
    let refused = program.run(&["import", path, "--format", "hugo"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[tokio::test]
async fn every_fixture_comes_in_packed_and_is_unchanged_the_second_time() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    for (name, handle, public) in NAMES {
        let path = packed(name, folder.path());
        let report = import(&app, &path).await;
        assert_eq!((report.account.as_str(), report.created), (handle, public), "{name}: {report:?}");
        let reasons: Vec<&str> = report.skipped.iter().map(|skipped| skipped.reason.as_str()).collect();
        assert_eq!(reasons, <[&str; 0]>::default());
        assert_eq!(report.read, report.created + report.private.left_out);
        let again = import(&app, &path).await;
        assert_eq!((again.unchanged, again.created, again.updated), (public, 0, 0), "{name}");
        let unpacked = import(&app, &fixture(name)).await;
        assert_eq!((unpacked.unchanged, unpacked.created, unpacked.updated), (public, 0, 0), "{name} unpacked");
    }
}

#[tokio::test]
async fn a_later_archive_that_only_counts_more_likes_edits_nothing() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let liked = |number: u64| create(note(1, json!({ "likes": { "type": "Collection", "totalItems": number } })));
    for number in [1, 2] {
        import(&app, &put(folder.path(), "outbox.json", &outbox(&[liked(number)]))).await;
    }
    let account = app.account("ann").await;
    let entry = app.app.store.list_archived(Some(account.id), PostId(0), 1).await.unwrap().remove(0).entry;
    let post = entry.post().unwrap();
    assert_eq!((post.details.totals.likes, post.updated), (Some(2), None));
}

#[tokio::test]
async fn no_word_and_no_picture_of_a_post_for_fewer_people_is_kept_anywhere() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    for (name, _, _) in NAMES {
        import(&app, &packed(name, folder.path())).await;
    }
    let tables =
        app.database.texts("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'");
    assert!(tables.len() > 5, "{tables:?}");
    for table in tables {
        let rows = app.database.texts(&format!("SELECT row_to_json(t)::text FROM \"{table}\" t"));
        for row in rows {
            assert!(!row.contains("SECRET-"), "{table}: {row}");
        }
    }
    for compressed in app.database.texts("SELECT encode(bytes, 'hex') FROM post_sources") {
        let bytes: Vec<u8> = (0..compressed.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&compressed[at..at + 2], 16).unwrap())
            .collect();
        let source = String::from_utf8(zstd::stream::decode_all(bytes.as_slice()).unwrap()).unwrap();
        assert!(!source.contains("SECRET-"), "{source}");
    }
    let private =
        std::fs::read(fixture("mastodon-3.5/media_attachments/files/108/240/002/original/1111222233334444.png"))
            .unwrap();
    let name: String = openssl::sha::sha256(&private).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(app.page(&format!("/media/{name}.png")).await.status, 404);
    let stored = app.database.texts("SELECT sha256 FROM media");
    assert!(!stored.is_empty() && !stored.contains(&name), "{stored:?}");
}

#[tokio::test]
async fn fields_that_the_store_has_room_for_are_in_their_place() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    import(&app, &packed("mastodon-3.5", folder.path())).await;
    let posts = all(&app, "ilse").await;
    let fog = posts.iter().find(|post| post.warning.is_some()).unwrap();
    assert_eq!((fog.warning.as_deref(), fog.sensitive), (Some("weather"), true));
    assert_eq!(fog.updated, Some("2022-05-04T06:30:00Z".parse().unwrap()));
    let picture = &fog.attachments[0];
    assert_eq!(picture.alt.as_deref(), Some("Fog over the harbour wall"));
    assert!(picture.file.is_some());
    let answer = posts.iter().find(|post| post.content.as_str().contains("seal")).unwrap();
    let first = posts.iter().find(|post| post.content.as_str().contains("Low water")).unwrap();
    assert_eq!((answer.reply_to, answer.context), (Some(first.id), first.context));
    let to_tomas = posts.iter().find(|post| post.content.as_str().contains("ferry")).unwrap();
    assert_eq!((to_tomas.visibility, to_tomas.to_others), (Visibility::Unlisted, true));
    let poll = posts.iter().find(|post| post.content.as_str().contains("boots")).unwrap();
    assert_eq!(poll.language.as_deref(), Some("en"));
    assert_eq!(app.database.texts("SELECT DISTINCT date_origin FROM posts"), ["stated"]);
}

#[tokio::test]
async fn a_hugo_site_of_the_same_posts_doubles_nothing_before_or_after() {
    let folder = tempfile::tempdir().unwrap();
    let archive = packed("mastodon-3.5", folder.path());
    let site = folder.path().join("site");
    let items: Value = serde_json::from_slice(&std::fs::read(fixture("mastodon-3.5/outbox.json")).unwrap()).unwrap();
    let mut bundle = Bundle { user: "ilse", host: "tide.example", ..Bundle::new() };
    for item in &items["orderedItems"].as_array().unwrap()[..2] {
        let number = item["object"]["id"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
        bundle.posts.push((number, item["object"]["content"].as_str().unwrap().to_owned(), String::new()));
    }
    bundle.write(&site);
    let app = TestApp::start().await;
    assert_eq!(import(&app, &site).await.created, 2);
    let after = import(&app, &archive).await;
    assert_eq!((after.account.as_str(), after.created, after.updated), ("ilse", 4, 2));
    let posts = all(&app, "ilse").await;
    assert_eq!(posts.len(), 5);
    assert_eq!(import(&app, &archive).await.unchanged, 6);
    let site_again = import(&app, &site).await;
    assert_eq!(
        (site_again.created, site_again.updated, site_again.skipped),
        (0, 0, vec![]),
        "the poorer one changes nothing"
    );
    assert_eq!(all(&app, "ilse").await, posts);
    let other = TestApp::start().await;
    import(&other, &archive).await;
    assert_eq!(import(&other, &site).await.created, 0);
    let words = |posts: Vec<Post>| {
        let of = |post: Post| {
            let told = (post.warning, post.sensitive, post.tags, post.language, post.details, post.attachments);
            (post.id, post.published, post.updated, post.content, post.canonical_url, post.reply_to, told)
        };
        posts.into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(words(all(&other, "ilse").await), words(posts), "in either order");
}

#[tokio::test]
async fn html_that_tries_to_script_comes_out_harmless() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let html = "<p onclick=\"x()\">Hi<script>alert(1)</script><img src=x onerror=alert(2)>\
                <a href=\"javascript:alert(3)\">link</a><iframe src=\"https://evil.example\"></iframe></p>";
    let hostile =
        json!({ "content": html, "summary": "<script>alert(4)</script>", "contentMap": { "en\"><script>": html } });
    let path = put(folder.path(), "outbox.json", &outbox(&[create(note(112_215_823_989_566_555, hostile))]));
    assert_eq!(import(&app, &path).await.created, 1);
    for address in ["/@ann", "/@ann/112215823989566555", "/users/ann/statuses/112215823989566555"] {
        let page = app.page(address).await.body;
        for word in ["<script>alert", "onclick", "onerror", "javascript:", "<iframe", "evil.example"] {
            assert!(!page.contains(word), "{address} has {word}");
        }
    }
}

#[tokio::test]
async fn one_post_that_stands_twice_in_an_archive_comes_in_once() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let item = || create(note(112_215_823_989_566_555, json!({})));
    let path = put(folder.path(), "outbox.json", &outbox(&[item(), item()]));
    let report = import(&app, &path).await;
    assert_eq!((report.created, report.skipped.len()), (1, 1));
    assert_eq!(report.skipped[0].reason, "it is in this import already, as mastodon:m.example:112215823989566555");
}

#[tokio::test]
async fn an_archive_that_is_refused_leaves_nothing_behind() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let mut bytes = zip(&files_of(&fixture("mastodon-4.1")));
    bytes.truncate(bytes.len() - 30);
    let request = Request { paths: vec![put(folder.path(), "a.zip", &bytes)], ..crate::import::request(folder.path()) };
    let error =
        everpost::operations::ingest::ingest(&app.app, &request, chrono::Utc::now(), &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("is no whole zip"), "{error}");
    assert_eq!(app.database.number("SELECT count(*) FROM accounts"), 0);
}

/// The posts of an account, without its boosts.
async fn all(app: &TestApp, handle: &str) -> Vec<Post> {
    let account = app.account(handle).await;
    let mut posts = Vec::new();
    for id in app.database.texts("SELECT id::text FROM posts ORDER BY id") {
        match app.app.store.find_post(account.id, PostId(id.parse().unwrap())).await.unwrap() {
            Some(Stored::Live(post)) => posts.push(*post),
            Some(Stored::Boost(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    posts
}
