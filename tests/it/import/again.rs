//! The same archive again, and others after it: only what an author changed counts as an edit, and nothing gets lost.

use super::{ONE, THREE, TWO, edit, into, post, request, run};
use crate::activitypub;
use crate::support::{Bundle, TestApp, fixture, status_id};
use everpost::domain::account::Handle;
use everpost::domain::ids::PostId;
use everpost::domain::post::NewPost;
use everpost::operations::ingest::Request;
use everpost::operations::posts;
use std::path::{Path, PathBuf};

const FIRST: &str = "<p>The first post of this thread.</p>";
const SECOND: &str = "<p>The second post of this thread.</p>";

fn picture() -> PathBuf {
    fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png")
}

fn handle(text: &str) -> Handle {
    Handle::parse(text).unwrap()
}

/// A thread of two posts, imported.
async fn thread(app: &TestApp, archive: &Path) -> PathBuf {
    let bundle = Bundle::new().post(ONE, FIRST).post(TWO, SECOND).write(archive);
    app.import(archive).await;
    bundle
}

#[tokio::test]
async fn an_edited_post_keeps_its_number_and_date_and_tells_when_it_was_imported() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = thread(&app, archive.path()).await;
    let before = post(&app, "ann", status_id(TWO)).await;
    assert_eq!(before.updated, None);
    edit(&bundle, |page| page.replace("The second", "The changed second"));
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let report =
        everpost::operations::ingest::ingest(&app.app, &request(archive.path()), now, &|_, _| {}).await.unwrap();
    assert_eq!((report.updated, report.unchanged, report.created, report.published), (1, 1, 0, 2));
    let after = post(&app, "ann", status_id(TWO)).await;
    assert!(after.content.as_str().contains("The changed second"));
    assert_eq!((after.updated, after.published, after.context), (Some(now), before.published, before.context));
    assert_eq!((after.reply_to, after.canonical_url), (before.reply_to, before.canonical_url));
    assert_eq!(post(&app, "ann", status_id(ONE)).await.updated, None, "the other one was not touched");
    assert_eq!(app.import(archive.path()).await.unchanged, 2);
    assert_eq!(post(&app, "ann", status_id(TWO)).await.updated, Some(now), "and once is once");
}

#[tokio::test]
async fn an_edit_time_that_the_source_tells_is_taken_when_it_is_later_than_the_date() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = thread(&app, archive.path()).await;
    edit(&bundle, |page| page.replace("lastmod: 2024-01-01T10:00:00Z", "lastmod: 2024-02-03T04:05:06Z"));
    assert_eq!(app.import(archive.path()).await.updated, 1);
    let told = Some("2024-02-03T04:05:06Z".parse().unwrap());
    assert_eq!(post(&app, "ann", status_id(ONE)).await.updated, told);
    edit(&bundle, |page| {
        page.replace("2024-02-03T04:05:06Z", "2023-12-31T00:00:00Z").replace("The first", "The new first")
    });
    assert_eq!(app.import(archive.path()).await.updated, 1);
    let now = post(&app, "ann", status_id(ONE)).await.updated.unwrap();
    assert!(
        now > "2026-01-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap(),
        "an earlier one counts for nothing"
    );
}

#[tokio::test]
async fn a_date_may_be_put_right_until_another_server_has_seen_it() {
    let app = TestApp::start_at("https://m.example").await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = thread(&app, archive.path()).await;
    everpost::operations::accounts::publish(&app.app, &handle("ann"), chrono::Utc::now()).await.unwrap();
    let date = async || post(&app, "ann", status_id(ONE)).await.published.to_rfc3339();
    edit(&bundle, |page| page.replace("date: 2024-01-01T10:00:00Z", "date: 2024-01-01T09:00:00Z"));
    app.import(archive.path()).await;
    assert_eq!(date().await, "2024-01-01T09:00:00+00:00", "nobody has seen the old one");
    let note = app.object(&format!("/users/ann/statuses/{}", status_id(ONE))).await;
    assert_eq!(note["published"], "2024-01-01T09:00:00Z");
    let exposed = async || post(&app, "ann", status_id(ONE)).await.exposed;
    assert!(exposed().await.is_some());
    edit(&bundle, |page| page.replace("date: 2024-01-01T09:00:00Z", "date: 2024-01-01T08:00:00Z"));
    assert_eq!(app.import(archive.path()).await.updated, 1);
    assert_eq!(date().await, "2024-01-01T09:00:00+00:00", "now it stays");
}

#[tokio::test]
async fn a_newer_reader_or_a_richer_format_writes_again_without_calling_it_an_edit() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    thread(&app, archive.path()).await;
    let id = status_id(TWO);
    let changes = [
        "UPDATE post_sources SET reader_version = 0",
        "UPDATE post_sources SET format = 'hugo-day', sha256 = sha256('x')",
    ];
    for change in changes {
        app.database.execute(&format!("{change}; UPDATE posts SET content_html = '<p>Badly read.</p>'"));
        let report = app.import(archive.path()).await;
        assert_eq!((report.updated, report.created, report.published), (2, 0, 2), "{change}");
        let again = post(&app, "ann", id).await;
        assert_eq!((again.content.as_str(), again.updated), (SECOND, None), "{change}");
        let kept = app.database.texts("SELECT DISTINCT format || ' ' || reader_version FROM post_sources");
        assert_eq!(kept, ["hugo-bundle 1"]);
        assert_eq!(app.import(archive.path()).await.unchanged, 2, "{change}");
    }
}

#[tokio::test]
async fn media_that_appear_later_are_filled_in_and_media_that_disappear_stay() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let pictures = "![A drawing of two boxes.](a.png)\n\n![Another one.](b.png)";
    let bundle =
        Bundle::new().post_with(ONE, FIRST, pictures).post_with(TWO, SECOND, "![Again.](b.png)").write(archive.path());
    std::fs::copy(picture(), bundle.join("b.png")).unwrap();
    let first = app.import(archive.path()).await;
    assert_eq!(
        (first.created, first.media_stored, first.media_missing),
        (2, 1, 1),
        "one file, twice used; one is missing"
    );
    assert_eq!(app.database.number("SELECT count(*) FROM media"), 1);
    let again = app.import(archive.path()).await;
    assert_eq!((again.unchanged, again.updated, again.media_missing), (2, 0, 1));
    std::fs::write(bundle.join("a.png"), [&std::fs::read(picture()).unwrap()[..], b"other"].concat()).unwrap();
    let filled = app.import(archive.path()).await;
    assert_eq!((filled.updated, filled.unchanged, filled.media_missing), (1, 1, 0));
    let shown = post(&app, "ann", status_id(ONE)).await;
    assert_eq!(shown.updated, None, "the author changed nothing");
    assert_eq!(shown.attachments[0].alt.as_deref(), Some("A drawing of two boxes."));
    assert!(shown.attachments.iter().all(|attachment| attachment.file.is_some()));

    std::fs::remove_file(bundle.join("a.png")).unwrap();
    edit(&bundle, |page| page.replace("The first", "The changed first"));
    let report = app.import(archive.path()).await;
    assert_eq!((report.updated, report.media_missing), (1, 1));
    let kept = post(&app, "ann", status_id(ONE)).await;
    assert_eq!(kept.attachments, shown.attachments, "what was kept once is kept");
    let file = kept.attachments[0].file.as_ref().unwrap();
    assert_eq!(app.page(&format!("/media/{}", file.file_name())).await.status, 200);
}

#[tokio::test]
async fn a_picture_that_an_edit_takes_out_is_not_served_and_goes_with_the_post() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = Bundle::new().post_with(ONE, FIRST, "![A drawing.](a.png)").write(archive.path());
    std::fs::copy(picture(), bundle.join("a.png")).unwrap();
    app.import(archive.path()).await;
    let file = post(&app, "ann", status_id(ONE)).await.attachments[0].file.clone().unwrap();
    assert!(app.app.media.path(&file).exists());
    edit(&bundle, |page| page.replace("![A drawing.](a.png)", ""));
    assert_eq!(app.import(archive.path()).await.updated, 1);
    assert_eq!(app.page(&format!("/media/{}", file.file_name())).await.status, 404);
    assert!(app.app.media.path(&file).exists(), "the import could be undone");
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(ONE)), chrono::Utc::now()).await.unwrap();
    assert_eq!(app.database.number("SELECT count(*) FROM media"), 0);
    assert!(!app.app.media.path(&file).exists());
}

#[tokio::test]
async fn a_second_copy_in_one_import_is_skipped_with_the_reason() {
    let app = TestApp::start().await;
    let (archive, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Bundle::new().post(ONE, FIRST).write(archive.path());
    Bundle::new().post(ONE, FIRST).write(other.path());
    let both = vec![archive.path().to_owned(), other.path().to_owned()];
    let both = Request { paths: both, ..request(archive.path()) };
    let dry = run(&app, &Request { dry_run: true, ..both.clone() }).await.unwrap();
    let report = run(&app, &both).await.unwrap();
    assert_eq!(report, dry);
    assert_eq!((report.read, report.created, report.skipped.len(), report.published), (2, 1, 1, 1));
    let skipped = &report.skipped[0];
    assert!(skipped.at.starts_with(other.path().to_str().unwrap()), "{skipped:?}");
    assert!(skipped.reason.contains("in this import already"), "{skipped:?}");
}

#[tokio::test]
async fn a_withdrawn_post_stays_away_and_the_report_says_why() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = thread(&app, archive.path()).await;
    let account = app.account("ann").await;
    posts::withdraw(&app.app, &account, PostId(status_id(TWO)), chrono::Utc::now()).await.unwrap();
    edit(&bundle, |page| page.replace("The second", "The changed second"));
    let dry = run(&app, &Request { dry_run: true, ..request(archive.path()) }).await.unwrap();
    let report = run(&app, &request(archive.path())).await.unwrap();
    assert_eq!(report, dry);
    assert_eq!((report.read, report.unchanged, report.published), (2, 1, 1));
    let [skipped] = report.skipped.as_slice() else { panic!("{:?}", report.skipped) };
    let restore = format!("everpost post restore {}", status_id(TWO));
    assert!(skipped.reason.contains("it was withdrawn on") && skipped.reason.contains(&restore), "{skipped:?}");
    posts::restore(&app.app, &account, PostId(status_id(TWO))).await.unwrap();
    let dry = run(&app, &Request { dry_run: true, ..request(archive.path()) }).await.unwrap();
    let report = run(&app, &request(archive.path())).await.unwrap();
    assert_eq!((&report, report.updated, report.published), (&dry, 1, 2));
}

#[tokio::test]
async fn a_thread_is_joined_when_its_beginning_comes_later() {
    let app = TestApp::start().await;
    activitypub::account(&app, "ann").await;
    let answer = |at, to| activitypub::reply(at, &format!("https://origin.example/@ann/{}", status_id(to)));
    let context = async |at| post(&app, "ann", status_id(at)).await.context;
    activitypub::store(&app, "ann", &[answer(THREE, TWO)]).await;
    let old = context(THREE).await;
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 0, "an answer to somebody unknown is not listed");
    activitypub::store(&app, "ann", &[answer(TWO, ONE)]).await;
    activitypub::store(&app, "ann", &[activitypub::post(ONE)]).await;
    let whole = context(ONE).await;
    assert_eq!((context(TWO).await, context(THREE).await), (whole, whole));
    assert_eq!(post(&app, "ann", status_id(THREE)).await.reply_to, Some(PostId(status_id(TWO))));
    assert_eq!(post(&app, "ann", status_id(TWO)).await.reply_to, Some(PostId(status_id(ONE))));
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 3);
    let by_old = app.object(&format!("/users/ann/contexts/{old}")).await;
    assert_eq!(by_old["totalItems"], 3, "the merged conversation answers under its old URL");
}

#[tokio::test]
async fn an_answer_that_stands_before_its_parent_in_one_batch_shares_its_conversation() {
    let app = TestApp::start().await;
    activitypub::account(&app, "ann").await;
    let answer = |at, to| activitypub::reply(at, &format!("https://origin.example/@ann/{}", status_id(to)));
    let batch: [NewPost; 3] = [answer(THREE, TWO), answer(TWO, ONE), activitypub::post(ONE)];
    activitypub::store(&app, "ann", &batch).await;
    let mut contexts = Vec::new();
    for at in [ONE, TWO, THREE] {
        contexts.push(post(&app, "ann", status_id(at)).await.context);
    }
    assert_eq!(contexts, [contexts[0]; 3]);
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 3);
    assert_eq!(post(&app, "ann", status_id(THREE)).await.reply_to, Some(PostId(status_id(TWO))));
}

#[tokio::test]
async fn an_import_into_an_account_that_keeps_nobody_yet_makes_it_keep_the_author() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, FIRST).write(archive.path());
    everpost::operations::accounts::create(&app.app, &handle("mine"), None, None, chrono::Utc::now()).await.unwrap();
    let dry = run(&app, &Request { dry_run: true, ..into(archive.path(), "mine") }).await.unwrap();
    assert_eq!(app.account("mine").await.source, None, "a dry run claims nothing");
    let report = run(&app, &into(archive.path(), "mine")).await.unwrap();
    assert_eq!((&report, report.created), (&dry, 1));
    let account = app.account("mine").await;
    assert_eq!(account.source.unwrap().to_string(), "@ann@origin.example");
    assert_eq!(account.source_actor.as_deref(), Some("https://origin.example/users/ann"));
}
