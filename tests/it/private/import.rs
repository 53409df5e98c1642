//! The import: counted, the same whichever way and however often it is done, and never more public than its source says.

use super::{
    Archive, MARK, ONE, THREE, TWO, hidden, keep, key, leave, public, public_file, request, run, sealed_files, show,
    with_media,
};
use crate::support::{TestApp, status_id};
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::domain::ids::PostId;
use everpost::operations::private::{self, Which};
use everpost::operations::{accounts, posts};

const COUNT: &str = "SELECT count(*) FROM private_posts";
const ROWS: &str = "SELECT p::text FROM private_posts p ORDER BY id";

#[tokio::test]
async fn unless_asked_for_private_posts_are_left_out_counted_and_not_called_skipped() {
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[public(ONE, "For all."), hidden(TWO), hidden(THREE)]);
    let report = leave(&app.app, &archive).await;
    assert_eq!((report.created, report.private.left_out, report.private.stored), (1, 2, 0));
    assert_eq!(report.skipped, []);
    assert_eq!(app.database.number(COUNT), 0);
    assert!(!app.data_dir.path().join("private").exists());
}

#[tokio::test]
async fn a_second_import_changes_nothing_and_reads_no_media() {
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[public(ONE, "For all."), with_media(hidden(TWO), &["a.png"]), hidden(THREE)]);
    keep(&app.app, &archive.clone().with_media(&[])).await;
    let (rows, files) = (app.database.texts(ROWS), sealed_files(&app));
    // Without its files: those of posts that are whole here are not asked for.
    let report = keep(&app.app, &archive).await;
    assert_eq!((report.unchanged, report.private.unchanged, report.private.stored), (1, 2, 0));
    assert_eq!((report.created, report.updated, report.media_missing), (0, 0, 0));
    assert_eq!((app.database.texts(ROWS), sealed_files(&app)), (rows, files));
}

#[tokio::test]
async fn a_changed_private_post_is_sealed_anew_in_its_place_and_keeps_a_file_that_is_missing_now() {
    let app = TestApp::start_sealed(7).await;
    let first = with_media(hidden(TWO), &["a.png", "b.png"]);
    keep(&app.app, &Archive::new(std::slice::from_ref(&first)).with_media(&["b.png"])).await;
    let (id, _) = show(&app, TWO).await.unwrap();
    let mut second = first.clone();
    second["object"]["content"] = "<p>Another text.</p>".into();
    let report = keep(&app.app, &Archive::new(std::slice::from_ref(&second)).with_media(&["a.png"])).await;
    assert_eq!((report.private.stored, report.media_missing), (1, 0));
    let (same, post) = show(&app, TWO).await.unwrap();
    assert_eq!((same, post.content.to_plain().as_str()), (id, "Another text."));
    assert!(post.media.iter().all(|media| media.file.is_some()));
    assert_eq!(sealed_files(&app).len(), 2);
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[public(ONE, "For all."), with_media(hidden(TWO), &["a.png"])]).with_media(&[]);
    let dry = run(&app.app, &archive, &request(true, true)).await.unwrap();
    assert_eq!((dry.created, dry.private.stored), (1, 1));
    assert_eq!(app.database.number(COUNT) + app.database.number("SELECT count(*) FROM accounts"), 0);
    assert!(!app.data_dir.path().join("private").exists());
    keep(&app.app, &archive).await;
    let dry = run(&app.app, &archive, &request(true, true)).await.unwrap();
    assert_eq!((dry.unchanged, dry.private.unchanged, dry.private.stored), (1, 1, 0));
}

#[tokio::test]
async fn what_its_source_shows_to_fewer_people_now_stays_public_until_withdrawn_and_the_report_says_so() {
    let app = TestApp::start_sealed(7).await;
    leave(&app.app, &Archive::new(&[public(TWO, "For all, then.")])).await;
    let narrowed = Archive::new(&[hidden(TWO)]);
    for include in [false, true] {
        let report = run(&app.app, &narrowed, &request(include, false)).await.unwrap();
        assert_eq!(report.private.still_public.len(), 1);
        let said = &report.private.still_public[0];
        assert!(
            said.at.contains("orderedItems[0]") && said.reason.contains(&format!("post withdraw {}", status_id(TWO))),
            "{said:?}"
        );
        assert_eq!((report.updated, report.skipped.len(), report.published), (0, 0, 1));
    }
    let shown = app.object(&format!("/users/ann/statuses/{}", status_id(TWO))).await.to_string();
    assert!(shown.contains("For all, then.") && !shown.contains(MARK), "the private words do not get there");
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(TWO)), Utc::now()).await.unwrap();
    let report = keep(&app.app, &narrowed).await;
    assert_eq!((report.private.still_public.len(), report.private.unchanged), (0, 1));
    assert!(show(&app, TWO).await.unwrap().1.content.to_plain().contains(MARK), "the sealed copy stays");
}

#[tokio::test]
async fn what_its_source_shows_to_everyone_now_is_a_public_post_and_nothing_of_it_stays_sealed() {
    let app = TestApp::start_sealed(7).await;
    keep(&app.app, &Archive::new(&[with_media(hidden(TWO), &["a.png"]), hidden(THREE)]).with_media(&[])).await;
    let widened = Archive::new(&[public(TWO, "For all, now.")]);
    let dry = run(&app.app, &widened, &request(false, true)).await.unwrap();
    assert_eq!((dry.private.made_public, app.database.number(COUNT)), (1, 2));
    let report = leave(&app.app, &widened).await;
    assert_eq!((report.created, report.private.made_public), (1, 1));
    assert_eq!((app.database.number(COUNT), sealed_files(&app).len()), (1, 0));
    assert!(show(&app, TWO).await.is_err() && show(&app, THREE).await.is_ok());
    // Narrowed and widened again: the public post was there all the time.
    keep(&app.app, &Archive::new(&[hidden(TWO)])).await;
    let report = leave(&app.app, &widened).await;
    assert_eq!((report.unchanged, report.private.made_public), (1, 1));
    assert_eq!(app.database.number(COUNT), 1);
}

#[tokio::test]
async fn a_withdrawn_post_does_not_cost_the_sealed_one_its_row() {
    let app = TestApp::start_sealed(7).await;
    leave(&app.app, &Archive::new(&[public(TWO, "For all.")])).await;
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(TWO)), Utc::now()).await.unwrap();
    keep(&app.app, &Archive::new(&[hidden(TWO)])).await;
    let report = leave(&app.app, &Archive::new(&[public(TWO, "For all.")])).await;
    assert_eq!((report.skipped.len(), report.private.made_public, app.database.number(COUNT)), (1, 0, 1));
}

#[tokio::test]
async fn a_file_that_a_public_and_two_private_posts_share_goes_from_each_store_with_its_own_posts() {
    let app = TestApp::start_sealed(7).await;
    let shared = |post| with_media(post, &["shared.png"]);
    let archive = [shared(public(ONE, "For all.")), shared(hidden(TWO)), shared(hidden(THREE))];
    keep(&app.app, &Archive::new(&archive).with_media(&[])).await;
    let (open, account) = (public_file(&app, "shared.png"), app.account("ann").await);
    assert!(open.exists());
    assert_eq!(sealed_files(&app).len(), 1, "kept once");
    posts::withdraw(&app.app, &account, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    assert!(!open.exists(), "the public copy was there for the public post alone");
    private::forget(&app.app, &account, &Which::Key(key(TWO))).await.unwrap();
    assert_eq!(sealed_files(&app).len(), 1, "another post needs it");
    let (id, post) = show(&app, THREE).await.unwrap();
    private::open_media(&app.app, &account, &post, &app.data_dir.path().join("opened")).await.unwrap();
    private::forget(&app.app, &account, &Which::Number(id)).await.unwrap();
    assert_eq!((sealed_files(&app).len(), app.database.number(COUNT)), (0, 0));
}

#[tokio::test]
async fn a_private_picture_is_not_in_the_public_store() {
    let app = TestApp::start_sealed(7).await;
    keep(&app.app, &Archive::new(&[with_media(hidden(TWO), &["a.png"])]).with_media(&[])).await;
    assert!(!public_file(&app, "a.png").exists());
    assert_eq!(app.database.number("SELECT count(*) FROM media"), 0);
}

#[tokio::test]
async fn a_deleted_account_leaves_no_private_row_and_no_file() {
    let app = TestApp::start_sealed(7).await;
    keep(&app.app, &Archive::new(&[with_media(hidden(TWO), &["a.png"])]).with_media(&[])).await;
    accounts::delete(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    assert_eq!(app.database.number(COUNT), 0);
    assert_eq!(std::fs::read_dir(app.data_dir.path().join("private")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_kill_leaves_is_sealed_and_the_next_import_tidies_up() {
    let app = TestApp::start_sealed(7).await;
    // A file that no row names yet, and one that is half written.
    let stray = with_media(hidden(TWO), &["a.png"]);
    keep(&app.app, &Archive::new(&[stray, hidden(THREE)]).with_media(&[])).await;
    app.database.execute("DELETE FROM private_posts WHERE cardinality(files) > 0");
    let orphan = sealed_files(&app).pop().unwrap();
    let sealed = std::fs::read(&orphan).unwrap();
    let partial = orphan.parent().unwrap().parent().unwrap().join(".partial-0123456789abcdef");
    std::fs::write(&partial, &sealed[..sealed.len() / 2]).unwrap();
    assert_eq!(sealed_files(&app).len(), 2);
    let report = keep(&app.app, &Archive::new(&[hidden(THREE)])).await;
    assert_eq!((report.private.unchanged, report.private.stored), (1, 0));
    assert_eq!((app.database.number(COUNT), sealed_files(&app).len()), (1, 0));
}
