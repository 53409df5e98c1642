//! The account that an archive tells of: it fills ours, and never overrides its owner.

use super::{create, note, outbox};
use crate::media;
use crate::support::packing::{Files, files_of, put, zip};
use crate::support::{Program, TestApp, fixture};
use everpost::domain::profile::Part;
use everpost::operations::ingest::{self, Report, Request};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const PNG: &str = "mastodon-3.5/avatar.png";
const OTHER_PNG: &str = "mastodon-3.5/header.png";

fn actor(change: Value) -> Value {
    let mut actor = json!({
        "@context": "https://www.w3.org/ns/activitystreams", "id": "https://m.example/users/ann", "type": "Person",
        "preferredUsername": "ann", "name": "Ann", "summary": "<p>Bees and <a href=\"https://ann.example\">more</a></p>",
        "published": "2018-03-02T00:00:00Z", "discoverable": false, "attachment": [],
        "icon": { "type": "Image", "mediaType": "image/png", "url": "avatar.png" },
    });
    actor.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    actor
}

/// The archive of `@ann@m.example` with that actor, whose newest public post is of that day.
fn archive(folder: &Path, name: &str, actor: &Value, day: &str, more: Files) -> PathBuf {
    let published = json!({ "published": format!("{day}T10:00:00Z") });
    let mut files = vec![
        ("actor.json".to_owned(), actor.to_string().into_bytes()),
        ("outbox.json".to_owned(), outbox(&[create(note(7, published))])),
    ];
    files.extend(more);
    put(folder, name, &zip(&files))
}

fn picture(name: &str, of: &str) -> Files {
    vec![(name.to_owned(), std::fs::read(fixture("x").with_file_name(of)).unwrap())]
}

async fn import(app: &TestApp, path: &Path) -> Report {
    app.try_import(path, None).await.unwrap()
}

#[tokio::test]
async fn a_new_account_gets_name_bio_fields_and_pictures_and_keeps_its_age() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let mut files = files_of(&fixture("mastodon-3.5"));
    for (_, bytes) in files.iter_mut().filter(|(name, _)| name == "avatar.png") {
        *bytes = media::picture(800, 800, image::ImageFormat::Png);
    }
    let report = import(&app, &put(folder.path(), "a.zip", &zip(&files))).await;
    let told = report.profile.unwrap();
    assert_eq!(told.set, [Part::Name, Part::Summary, Part::Fields, Part::Avatar, Part::Header]);
    assert_eq!((told.left, told.missing, told.older), (vec![], 0, false));
    let account = app.account("ilse").await;
    assert_eq!(account.profile.name, "Ilse of the tides");
    assert_eq!(account.profile.summary.as_str(), "<p>Mud, boats and birds :foghorn:</p>");
    let fields = [("Harbour", "North mole"), ("Site", "https://ilse.example")];
    assert_eq!(account.profile.fields, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(account.source_actor.as_deref(), Some("https://tide.example/users/ilse"));
    let facts = &account.archived.as_ref().unwrap().facts;
    assert_eq!(facts.handle.as_deref(), Some("ilse@tide.example"));
    assert_eq!(facts.also_known_as, ["https://old.example/users/ilse"]);

    let actor = app.object("/users/ilse").await;
    assert_eq!(actor["published"], "2019-03-02T00:00:00Z", "as its posts keep their dates");
    assert_eq!(actor["alsoKnownAs"], json!(["https://tide.example/users/ilse"]), "what others claim is not repeated");
    let site = "<a href=\"https://ilse.example\" rel=\"me nofollow noopener\">https://ilse.example</a>";
    assert_eq!(actor["attachment"][2]["value"], site);
    let page = app.page("/@ilse").await.body;
    assert!(page.contains("since <time datetime=\"2019-03-02\">2 March 2019</time>"), "{page}");
    for picture in ["icon", "image"] {
        let url = actor[picture]["url"].as_str().unwrap();
        assert_eq!(app.page(url).await.status, 200, "{url}");
    }
    let avatar = account.profile.avatar.unwrap();
    let measured = avatar.picture.as_ref().expect("it is measured as other pictures are");
    assert_eq!(actor["icon"]["width"], measured.width);
    let small = format!("/media/{}", avatar.thumbnail_name(measured.thumbnails[0]));
    assert!(page.contains(&format!("src=\"{small}\"")), "{page}");
    assert_eq!(app.page(&small).await.header("content-type"), "image/webp");
}

#[tokio::test]
async fn the_same_archive_again_changes_nothing_of_the_profile() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let path = archive(folder.path(), "a.zip", &actor(json!({})), "2024-01-01", picture("avatar.png", PNG));
    assert_eq!(import(&app, &path).await.media_stored, 1, "the avatar");
    let before = app.account("ann").await;
    let again = import(&app, &path).await;
    let told = again.profile.unwrap();
    assert_eq!((told.set, told.left, again.media_stored, again.media_missing), (vec![], vec![], 0, 0));
    assert_eq!(app.account("ann").await, before, "not even the time of its last change");
}

#[tokio::test]
async fn what_the_owner_set_or_took_away_is_never_overwritten() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let path = archive(folder.path(), "a.zip", &actor(json!({})), "2024-01-01", picture("avatar.png", PNG));
    import(&app, &path).await;
    let own = fixture("x").with_file_name(OTHER_PNG);
    app.set("ann", &["name=Mine", "summary=", &format!("avatar={}", own.display())]).await;
    let own = app.account("ann").await.profile;
    let change = json!({ "name": "Anna", "summary": "<p>New</p>", "attachment": [
        { "type": "PropertyValue", "name": "Hive", "value": "six" }] });
    let newer =
        archive(folder.path(), "b.zip", &actor(change), "2024-02-01", picture("avatar.png", "mastodon-4.1/avatar.png"));
    let told = import(&app, &newer).await.profile.unwrap();
    assert_eq!(told.set, [Part::Fields], "which its owner never touched");
    assert_eq!(told.left, [Part::Name, Part::Summary, Part::Avatar]);
    let kept = app.account("ann").await.profile;
    assert_eq!((&kept.name, &kept.summary, &kept.avatar), (&own.name, &own.summary, &own.avatar));
    assert_eq!(kept.fields, [("Hive".to_owned(), "six".to_owned())]);
    let files = app.database.texts("SELECT sha256 FROM media");
    assert_eq!(files, [own.avatar.unwrap().sha256], "a picture that is not shown is not kept");
}

#[tokio::test]
async fn an_account_that_was_described_before_its_first_import_stays_as_it_is() {
    let program = Program::new();
    let path = archive(program.scratch(), "a.zip", &actor(json!({})), "2024-01-01", picture("avatar.png", PNG));
    program.ok(&["account", "create", "bees"]);
    program.ok(&["account", "set", "bees", "name=Bees of Ann", "field.Hive=six"]);
    let report = program.json(&["import", path.to_str().unwrap(), "--account", "bees", "--json"]);
    assert_eq!(report["profile"]["set"], json!(["summary", "avatar"]));
    assert_eq!(report["profile"]["left"], json!(["name", "fields"]));
    let shown = program.json(&["account", "show", "bees", "--json"]);
    assert_eq!((&shown["name"], &shown["fields"][0]["value"]), (&json!("Bees of Ann"), &json!("six")));
    assert_eq!(shown["source_published"], "2018-03-02T00:00:00Z");
}

#[tokio::test]
async fn a_newer_archive_updates_what_an_earlier_one_gave_and_an_older_one_does_not() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let first = archive(folder.path(), "a.zip", &actor(json!({})), "2024-01-01", picture("avatar.png", PNG));
    let change =
        json!({ "name": "Anna", "movedTo": "https://n.example/users/anna", "published": "2018-03-03T00:00:00Z" });
    let newer = archive(folder.path(), "b.zip", &actor(change), "2024-02-01", Files::new());
    import(&app, &first).await;
    let avatar = app.account("ann").await.profile.avatar;
    let report = import(&app, &newer).await;
    let told = report.profile.unwrap();
    assert_eq!((told.set, told.missing, report.media_missing), (vec![Part::Name], 1, 1));
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert_eq!(report.notes[0].at, newer.display().to_string());
    assert_eq!(report.notes[0].note, "the avatar of the profile is missing: avatar.png: is not in the archive",);
    let account = app.account("ann").await;
    assert_eq!(
        (account.profile.name.as_str(), &account.profile.avatar),
        ("Anna", &avatar),
        "a missing file is no loss"
    );
    let actor = app.object("/users/ann").await;
    assert_eq!((&actor["published"], actor.get("movedTo")), (&json!("2018-03-03T00:00:00Z"), None));
    let older = import(&app, &first).await.profile.unwrap();
    assert!(older.older && older.set.is_empty() && older.left.is_empty(), "{older:?}");
    assert_eq!(app.account("ann").await.archived, account.archived);
    assert_eq!(app.account("ann").await.profile, account.profile);
}

#[tokio::test]
async fn the_date_of_a_post_for_fewer_people_is_not_kept_with_the_profile() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let private = json!({ "published": "2025-05-05T05:05:05Z", "to": ["https://m.example/users/ann/followers"] });
    let items = [create(note(7, json!({ "published": "2024-01-01T10:00:00Z" }))), create(note(8, private))];
    let files = vec![
        ("actor.json".to_owned(), actor(json!({ "icon": null })).to_string().into_bytes()),
        ("outbox.json".to_owned(), outbox(&items)),
    ];
    import(&app, &put(folder.path(), "a.zip", &zip(&files))).await;
    let kept = app.database.texts("SELECT archived_profile->>'up_to' FROM accounts");
    assert_eq!(kept, ["2024-01-01T10:00:00Z"]);
}

#[tokio::test]
async fn a_profile_that_tries_to_script_comes_out_harmless() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let evil = "<p onclick=\"x()\">Hi<script>alert(1)</script><img src=x onerror=alert(2)>\
                <a rel=\"me\" href=\"javascript:alert(3)\">link</a></p><iframe src=\"https://evil.example\"></iframe>";
    let fields = json!([
        { "type": "PropertyValue", "name": "<script>alert(4)</script>", "value": evil },
        { "type": "PropertyValue", "name": "Link", "value": "<a href=\"https://a.example/\\\" onclick=alert(5) x=\\\"\">a</a>" },
        { "type": "PropertyValue", "name": "Site", "value": "<a href=\"javascript:alert(6)\">https://a.example</a>" },
    ]);
    let change = json!({
        "name": "<script>alert(7)</script>\nAnn", "summary": evil, "attachment": fields,
        "icon": { "type": "Image", "url": "../../etc/passwd" }, "image": { "type": "Image", "url": "header.svg" },
        "alsoKnownAs": ["<script>alert(8)</script>"], "movedTo": "\u{1b}[31mred", "webfinger": "<b>\u{202e}x",
    });
    let svg: Files =
        vec![("header.svg".to_owned(), b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>".to_vec())];
    let report = import(&app, &archive(folder.path(), "a.zip", &actor(change), "2024-01-01", svg)).await;
    assert_eq!((report.media_missing, report.media_stored), (2, 0));
    let account = app.account("ann").await;
    assert_eq!(account.profile.name, "<script>alert(7)</script> Ann", "a name is text");
    assert_eq!(account.profile.summary.as_str(), "<p>Hi<a rel=\"nofollow noopener\">link</a></p>");
    for address in ["/@ann", "/"] {
        let page = app.page(address).await.body;
        for word in ["<script", "onclick=\"", "onerror", "javascript:", "<iframe", "evil.example", "<svg"] {
            assert!(!page.contains(word), "{address} has {word}: {page}");
        }
    }
    let actor = app.object("/users/ann").await;
    for field in actor["attachment"].as_array().unwrap() {
        let value = field["value"].as_str().unwrap();
        assert!(
            !value.contains("<script") && !value.contains("javascript:") && !value.contains("\" onclick"),
            "{value}"
        );
    }
    assert!(!actor["summary"].as_str().unwrap().contains("javascript:"));
}

#[tokio::test]
async fn a_profile_keeps_to_the_sizes_that_others_read_and_the_report_says_what_was_cut() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let rows: Vec<Value> = (0..60)
        .map(|n| json!({ "type": "PropertyValue", "name": format!("f{n}"), "value": "é".repeat(3000) }))
        .collect();
    let change = json!({ "name": "ñ".repeat(3000), "summary": format!("<p>{}</p>", "&lt;é ".repeat(9000)),
        "attachment": rows, "icon": null });
    let report = import(&app, &archive(folder.path(), "a.zip", &actor(change), "2024-01-01", Files::new())).await;
    let losses = report.notes.iter().filter(|note| note.loss).count();
    assert_eq!((report.notes.len(), losses), (53, 53), "name, bio, number of fields, and each of 50 fields");
    let profile = app.account("ann").await.profile;
    assert_eq!((profile.name.chars().count(), profile.fields.len()), (2048, 50));
    assert!(profile.fields.iter().all(|(_, value)| value.chars().count() == 2047));
    assert!((5_000..=20 << 10).contains(&profile.summary.as_str().len()), "{}", profile.summary.as_str().len());
}

#[tokio::test]
async fn nobody_is_made_easier_to_find_than_before_and_the_owner_is_told_how() {
    let program = Program::new();
    let change = json!({ "discoverable": true, "indexable": true, "icon": null });
    let path = archive(program.scratch(), "a.zip", &actor(change), "2024-01-01", Files::new());
    let said = program.ok(&["import", path.to_str().unwrap()]);
    assert!(said.contains("everpost account set ann discoverable=true indexable=true"), "{said}");
    let settings = |program: &Program| program.json(&["account", "show", "ann", "--json"])["settings"].clone();
    assert_eq!((&settings(&program)["discoverable"], &settings(&program)["indexable"]), (&json!(false), &json!(false)));
    program.ok(&["account", "set", "ann", "discoverable=true"]);
    let said = program.ok(&["import", path.to_str().unwrap()]);
    assert!(said.contains("everpost account set ann indexable=true"), "{said}");
    program.ok(&["account", "set", "ann", "discoverable=false", "operator=third-party"]);
    assert!(!program.ok(&["import", path.to_str().unwrap()]).contains("indexable=true"), "not theirs to allow");

    let program = Program::new();
    let path = archive(program.scratch(), "a.zip", &actor(json!({ "icon": null })), "2024-01-01", Files::new());
    let said = program.ok(&["import", path.to_str().unwrap()]);
    assert!(!said.contains("discoverable"), "its server did not allow it: {said}");
    assert_eq!((&settings(&program)["discoverable"], &settings(&program)["indexable"]), (&json!(false), &json!(false)));
}

#[test]
fn a_suspended_account_that_moved_comes_in_like_any_other() {
    let program = Program::new();
    let path = put(program.scratch(), "a.zip", &zip(&files_of(&fixture("mastodon-4.3"))));
    let said = program.ok(&["import", path.to_str().unwrap()]);
    assert!(said.contains("  profile          name, summary from the archive\n"), "{said}");
    assert!(said.contains("moved            to https://moss.example/users/nadia, says the archive"), "{said}");
    assert!(said.contains("suspended        at its server"), "{said}");
    let shown = program.ok(&["account", "show", "nadia"]);
    assert!(shown.contains("  moved to  https://moss.example/users/nadia (at its source)\n"), "{shown}");
    assert!(shown.contains("  since     2023-01-05\n"), "{shown}");
}

#[test]
fn liked_and_bookmarked_posts_are_counted_and_never_stored() {
    let program = Program::new();
    let list = |count: u32| {
        let items: Vec<String> = (0..count).map(|n| format!("https://SECRET-LIKED.example/{n}")).collect();
        json!({ "type": "OrderedCollection", "orderedItems": items }).to_string().into_bytes()
    };
    let lists = vec![("likes.json".to_owned(), list(3)), ("bookmarks.json".to_owned(), list(2))];
    let path = archive(program.scratch(), "a.zip", &actor(json!({ "icon": null })), "2024-01-01", lists);
    let report = program.json(&["import", path.to_str().unwrap(), "--json"]);
    assert_eq!(report["profile"]["not_stored"], json!({ "likes": 3, "bookmarks": 2 }));
    let said = program.ok(&["import", path.to_str().unwrap()]);
    assert!(said.contains("not stored       likes: 3, bookmarks: 2; those lists are private"), "{said}");
    let rows = program.database().texts("SELECT row_to_json(a)::text FROM accounts a");
    assert!(rows.iter().all(|row| !row.contains("SECRET-LIKED")), "{rows:?}");
}

#[tokio::test]
async fn a_backup_of_akkoma_fills_the_profile_and_says_that_its_pictures_are_missing() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let report = import(&app, &put(folder.path(), "a.zip", &zip(&files_of(&fixture("akkoma-3.10"))))).await;
    let told = report.profile.unwrap();
    assert_eq!((told.set, told.missing), (vec![Part::Name, Part::Summary, Part::Fields], 2));
    let notes: Vec<&str> = told.remarks.iter().map(|remark| remark.note.as_str()).collect();
    let expected = "the avatar of the profile is missing: https://heron.example/media/petra.png: is a link, not a file in the archive";
    assert_eq!(notes[0], expected);
    let account = app.account("petra").await;
    assert_eq!(account.profile.summary.as_str(), "<p>Birds, mostly.</p>");
    assert_eq!(account.source_actor.as_deref(), Some("https://heron.example/users/petra"), "which no post of it tells");
    assert_eq!(app.object("/users/petra").await["alsoKnownAs"], json!(["https://heron.example/users/petra"]));
}

#[tokio::test]
async fn a_dry_run_tells_what_the_profile_would_become_and_writes_nothing() {
    let program = Program::new();
    let path = archive(program.scratch(), "a.zip", &actor(json!({})), "2024-01-01", picture("avatar.png", PNG));
    let path = path.to_str().unwrap();
    let said = program.ok(&["import", path, "--dry-run"]);
    assert!(said.contains("profile          name, summary, avatar from the archive"), "{said}");
    assert!(
        said.contains("name: Ann") && said.contains("summary: Bees and more") && said.contains("avatar: image/png, "),
        "{said}"
    );
    assert_eq!(program.database().number("SELECT count(*) FROM accounts"), 0);
    assert!(!program.data_dir().join("media").exists(), "no file is kept");
    program.ok(&["import", path]);
    program.ok(&["account", "set", "ann", "name=Mine"]);
    let before = program.database().texts("SELECT row_to_json(a)::text FROM accounts a");
    let newer = archive(
        program.scratch(),
        "b.zip",
        &actor(json!({ "name": "Anna", "summary": "" })),
        "2024-02-01",
        Files::new(),
    );
    let told = program.json(&["import", newer.to_str().unwrap(), "--dry-run", "--json"]);
    assert_eq!((&told["profile"]["set"], &told["profile"]["left"]), (&json!(["summary"]), &json!(["name"])));
    assert_eq!(program.database().texts("SELECT row_to_json(a)::text FROM accounts a"), before);
}

#[tokio::test]
async fn the_profile_of_somebody_else_is_left_alone() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    import(&app, &put(folder.path(), "a.zip", &zip(&files_of(&fixture("mastodon-3.5"))))).await;
    let before = app.account("ilse").await;
    let other = archive(folder.path(), "b.zip", &actor(json!({})), "2030-01-01", picture("avatar.png", PNG));
    let request = Request { adopt: true, account: Some(before.handle.clone()), ..crate::import::request(&other) };
    let report = ingest::ingest(&app.app, &request, "2031-01-01T00:00:00Z".parse().unwrap(), &|_, _| {}).await.unwrap();
    assert_eq!((report.created, report.profile), (1, None));
    let after = app.account("ilse").await;
    assert_eq!((after.profile, after.archived), (before.profile, before.archived));
}

#[tokio::test]
async fn a_deleted_account_keeps_nothing_of_what_its_archive_told() {
    let program = Program::new();
    let path = archive(program.scratch(), "a.zip", &actor(json!({})), "2024-01-01", picture("avatar.png", PNG));
    program.ok(&["import", path.to_str().unwrap()]);
    program.ok(&["account", "delete", "ann", "--forever"]);
    assert_eq!(
        program.database().texts("SELECT coalesce(archived_profile::text, 'nothing') FROM accounts"),
        ["nothing"]
    );
    assert_eq!(program.database().number("SELECT count(*) FROM media"), 0);
}
