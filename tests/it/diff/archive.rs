//! An account against an archive.

use super::{archive, at, compare, empty, key, post, with_archive};
use crate::support::{Bundle, TestApp, fixture, status_id};
use chrono::Utc;
use everpost::domain::ids::PostId;
use everpost::import::limits::Limits;
use everpost::import::{Only, Only::Everything};
use everpost::operations::diff::{Archive, Other};
use everpost::operations::{ingest, posts};
use serde_json::json;

const FIXTURES: [&str; 7] = [
    "akkoma-3.10",
    "mastodon-2026",
    "mastodon-3.5",
    "mastodon-4.1",
    "mastodon-4.3",
    "mastodon-4.6",
    "hugo-mastodon-to-hugo-v1",
];

#[tokio::test]
async fn an_account_equals_the_archive_that_it_came_from_and_another_ones_it_does_not() {
    let app = TestApp::start().await;
    for (number, name) in FIXTURES.into_iter().enumerate() {
        let handle = format!("a{number}");
        empty(&app, &handle).await;
        app.try_import(&fixture(name), Some(&handle)).await.unwrap();
        let (report, found) = with_archive(&app, &handle, &fixture(name)).await;
        let unequal: Vec<&String> = found.iter().filter(|line| !line.contains(" unusable ")).collect();
        assert_eq!(unequal, Vec::<&String>::new(), "{name}");
        assert!(report.compared > 2, "{name}: {report:?}");
        assert_eq!(report.profile, !name.starts_with("hugo"), "{name}");
    }
    let (report, found) = with_archive(&app, "a3", &fixture("mastodon-4.3")).await;
    assert!(report.compared == 0 && found.iter().any(|line| line.ends_with("only_a")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("unusable it is by ")), "an import would refuse them: {found:?}");
}

#[tokio::test]
async fn of_a_post_in_several_layouts_the_richest_is_compared_and_equals_what_an_import_made_of_all() {
    let app = TestApp::start().await;
    empty(&app, "ines").await;
    let corpus = fixture("hugo-corpus");
    let request = ingest::Request {
        paths: vec![corpus.clone()],
        account: Some(app.account("ines").await.handle),
        adopt: true,
        only: Everything,
        dry_run: false,
        include_private: false,
        limits: Limits::default(),
    };
    let imported = ingest::ingest(&app.app, &request, Utc::now(), &|_, _| {}).await.unwrap();
    let (report, found) = with_archive(&app, "ines", &corpus).await;
    let unequal: Vec<&String> = found.iter().filter(|line| !line.contains(" unusable ")).collect();
    assert_eq!(unequal, Vec::<&String>::new());
    assert_eq!(report.compared, imported.created);
    assert!(report.poorer > 0 && report.left_out > 0, "{report:?}");
    assert_eq!(request.only, Only::default());
}

#[tokio::test]
async fn each_thing_that_differs_is_named_with_both_values() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let picture =
        json!([{ "type": "Document", "mediaType": "image/png", "url": "media_attachments/gone.png", "name": "A" }]);
    let one = post(1, json!({ "content": "<p>One</p>", "attachment": picture, "contentMap": { "en": "<p>One</p>" } }));
    let before =
        [one.clone(), post(2, json!({})), post(3, json!({})), post(5, json!({ "inReplyTo": one["object"]["id"] }))];
    let path = archive(folder.path(), &before);
    app.import(&path).await;
    assert_eq!(with_archive(&app, "ann", &path).await.1, Vec::<String>::new());
    let mut changed = one.clone();
    changed["object"]["content"] = json!("<p>One and more</p>");
    changed["object"]["contentMap"] = json!({ "de": "<p>One and more</p>" });
    changed["object"]["attachment"][0]["name"] = json!("B");
    changed["object"]["attachment"][0]["focalPoint"] = json!([0.5, -0.5]);
    changed["object"]["summary"] = json!("Careful");
    changed["object"]["tag"] = json!([{ "type": "Hashtag", "name": "#Fog", "href": "x" }]);
    changed["object"]["likes"] = json!({ "type": "Collection", "totalItems": 3 });
    let followers = json!(["https://m.example/users/ann/followers"]);
    let now_private = post(3, json!({ "to": followers, "cc": [] }));
    let answers_two = post(5, json!({ "inReplyTo": before[1]["object"]["id"] }));
    let after =
        [changed, before[1].clone(), now_private, post(4, json!({})), answers_two, post(4, json!({})), json!({})];
    let (report, found) = with_archive(&app, "ann", &archive(folder.path(), &after)).await;
    let expected = [
        format!(
            "{} differs content: <p>One</p> | <p>One and more</p>; language: en | de; attachment 1 alt: A | B; \
             warning: - | Careful; tags: - | fog; likes: - | 3; attachment 1 focal_point: - | 0.5, -0.5",
            key(1)
        ),
        format!("{} hidden_b", key(3)),
        format!("{} only_b", key(4)),
        format!(
            "{} differs reply_to: {} | {}; answers: {} | {}",
            key(5),
            key(1),
            key(2),
            before[0]["object"]["id"].as_str().unwrap(),
            before[1]["object"]["id"].as_str().unwrap(),
        ),
    ];
    assert!(found[0].contains("[5] repeated") && found[1].contains("[6] unusable"), "{found:#?}");
    assert_eq!(found[2..], expected, "{found:#?}");
    assert_eq!((report.compared, report.left_out, found.len()), (3, 1, 6));
}

#[tokio::test]
async fn a_withdrawn_post_is_told_where_the_archive_has_it_and_not_where_it_is_gone_too() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), &[post(1, json!({})), post(2, json!({}))]);
    app.import(&path).await;
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(&at(2))), Utc::now()).await.unwrap();
    assert_eq!(with_archive(&app, "ann", &path).await.1, [format!("{} withdrawn_a", key(2))]);
    let without = archive(folder.path(), &[post(1, json!({}))]);
    assert_eq!(with_archive(&app, "ann", &without).await.1, Vec::<String>::new());
}

#[tokio::test]
async fn what_an_owner_changed_of_the_profile_differs() {
    let app = TestApp::start().await;
    let report = app.import(&fixture("mastodon-4.1")).await;
    app.set(&report.account, &["name=Somebody else", "summary=New here"]).await;
    let (_, found) = with_archive(&app, &report.account, &fixture("mastodon-4.1")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("profile differs name: Somebody else | "), "{found:?}");
    assert!(found[0].contains("; summary: <p>New here</p> | "), "{found:?}");
}

#[tokio::test]
async fn an_archive_that_holds_nothing_readable_is_an_error_and_no_difference() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    Bundle::new().post(&at(1), "<p>One.</p>").write(folder.path());
    app.import(folder.path()).await;
    let nothing = Archive { path: folder.path().join("content"), limits: Limits::default() };
    std::fs::remove_dir_all(&nothing.path).unwrap();
    std::fs::create_dir(&nothing.path).unwrap();
    let error = compare(&app, "ann", Other::Archive(&nothing), false).await.unwrap_err();
    assert!(error.to_string().contains("nothing readable was found"), "{error}");
}
