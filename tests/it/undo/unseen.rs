//! Before any other server has seen anything: an undone import leaves no trace.

use super::{
    FOUR, ONE, THREE, TWO, answer, dump, edited, import, import_at, post, posts_without_imports, stands, undo, words,
};
use crate::activitypub::account;
use crate::support::{Bundle, TestApp, fixture, status_id};
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::domain::ids::PostId;
use everpost::domain::imports::{ImportState, UndoCounts};
use everpost::domain::post::{Attachment, Kept, MediaFile, NewPost};
use everpost::domain::source::{Format, MediaKind};
use everpost::operations::{accounts, imports, posts};

async fn app() -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    app
}

fn counts(deleted: u64, withdrawn: u64, restored: u64, protected: u64) -> UndoCounts {
    UndoCounts { deleted, withdrawn, restored, protected }
}

#[tokio::test]
async fn undoing_what_nobody_saw_leaves_the_database_as_it_was() {
    let app = app().await;
    // Two answers to a post that is not here, one with a thread of its own, and a post that will be written over.
    let warned = NewPost { warning: Some("rain".to_owned()), tags: vec!["fog".to_owned()], ..post(FOUR) };
    let thread = [answer(TWO, ONE), answer(THREE, TWO), warned.clone(), answer("2024-01-01T10:20:00Z", ONE)];
    let before = import(&app, &thread).await;
    let was = dump(&app.database);
    let second = [post(ONE), answer("2024-01-01T10:25:00Z", THREE), edited(warned, "Other words.")];
    let id = import(&app, &second).await;
    let with = posts_without_imports(&app.database);
    assert_eq!(stands(&app, TWO).await.unwrap().context, stands(&app, ONE).await.unwrap().context);
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 6);

    let undone = undo(&app, id).await;
    assert_eq!((undone.counts, undone.before), (counts(2, 0, 1, 0), false));
    assert_eq!(dump(&app.database), was);
    assert_eq!(
        app.object("/users/ann/outbox").await["totalItems"],
        1,
        "what answers a post that is gone is unlisted again"
    );
    assert_eq!(app.get(&format!("/users/ann/statuses/{}", status_id(ONE))).await.status, 404);

    let again = import(&app, &second).await;
    assert_eq!(posts_without_imports(&app.database), with, "it may come in again, and everything is joined as before");
    assert_eq!(undo(&app, again).await.counts, counts(2, 0, 1, 0));
    assert_eq!(undo(&app, before).await.counts, counts(4, 0, 0, 0));
    assert_eq!(dump(&app.database), [] as [&str; 0], "the account stays, and nothing in it");
}

#[tokio::test]
async fn a_thread_in_the_middle_of_which_a_post_goes_becomes_two() {
    let app = app().await;
    import(&app, &[post(ONE)]).await;
    let middle = import(&app, &[answer(TWO, ONE)]).await;
    import(&app, &[answer(THREE, TWO), answer(FOUR, THREE)]).await;
    let whole = stands(&app, ONE).await.unwrap().context;
    undo(&app, middle).await;
    let [first, third, fourth] = [stands(&app, ONE), stands(&app, THREE), stands(&app, FOUR)];
    let (first, third, fourth) = (first.await.unwrap(), third.await.unwrap(), fourth.await.unwrap());
    assert_eq!((first.context, first.to_others), (whole, false));
    assert_eq!((third.context.0, third.to_others, third.reply_to), (status_id(THREE), true, None));
    assert_eq!((fourth.context, fourth.to_others, fourth.reply_to), (third.context, true, Some(third.id)));
    import(&app, &[answer(TWO, ONE)]).await;
    let fourth = stands(&app, FOUR).await.unwrap();
    assert_eq!((fourth.context, fourth.to_others), (whole, false), "and one again");
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 4);
}

#[tokio::test]
async fn a_post_that_an_import_filled_is_empty_there_again() {
    let app = app().await;
    import(&app, &[post(ONE)]).await;
    let was = dump(&app.database);
    let poorer = NewPost {
        format: Format::HugoDay,
        warning: Some("rain".to_owned()),
        language: Some("en".to_owned()),
        tags: vec!["fog".to_owned()],
        ..post(ONE)
    };
    let (id, kept) = import_at(&app, std::slice::from_ref(&poorer), Utc::now()).await;
    assert!(matches!(kept.as_slice(), [Kept::Updated(_)]), "{kept:?}");
    let (again, kept) = import_at(&app, &[poorer], Utc::now()).await;
    assert!(matches!(kept.as_slice(), [Kept::Unchanged(_)]), "{kept:?}");
    assert_eq!(undo(&app, again).await.counts, counts(0, 0, 0, 0), "what changed nothing takes nothing back");
    assert_eq!(stands(&app, ONE).await.unwrap().warning.as_deref(), Some("rain"));
    assert_eq!(undo(&app, id).await.counts, counts(0, 0, 1, 0));
    assert_eq!(dump(&app.database), was);
}

#[tokio::test]
async fn what_a_later_import_wrote_over_stays_and_goes_back_past_both_when_that_is_undone_too() {
    let app = app().await;
    let first = import(&app, &[post(ONE), post(TWO)]).await;
    let was = dump(&app.database);
    let second = import(&app, &[edited(post(ONE), "Second."), edited(post(TWO), "Second.")]).await;
    let third = import(&app, &[edited(post(ONE), "Third.")]).await;
    let undone = undo(&app, second).await;
    assert_eq!(undone.counts, counts(0, 0, 1, 1));
    assert_eq!(undone.protected, [(PostId(status_id(ONE)), third)]);
    assert_eq!(words(&stands(&app, ONE).await.unwrap()), "Third.", "a later run touched it");
    assert!(words(&stands(&app, TWO).await.unwrap()).starts_with("Written at"));
    assert_eq!(undo(&app, third).await.counts, counts(0, 0, 1, 0));
    assert_eq!(dump(&app.database), was, "both are undone, in whatever order");
    assert_eq!(undo(&app, first).await.counts, counts(2, 0, 0, 0));
}

#[tokio::test]
async fn what_an_import_made_and_a_later_one_wrote_over_belongs_to_the_later_one() {
    let app = app().await;
    let first = import(&app, &[post(ONE), post(TWO)]).await;
    let second = import(&app, &[edited(post(ONE), "Second.")]).await;
    let third = import(&app, &[edited(post(ONE), "Third.")]).await;
    assert_eq!(undo(&app, first).await.counts, counts(1, 0, 0, 1));
    assert_eq!(words(&stands(&app, ONE).await.unwrap()), "Third.");
    assert!(stands(&app, TWO).await.is_none());
    assert_eq!(undo(&app, third).await.counts, counts(0, 0, 1, 0));
    assert_eq!(words(&stands(&app, ONE).await.unwrap()), "Second.");
    assert_eq!(undo(&app, second).await.counts, counts(1, 0, 0, 0));
    assert_eq!(dump(&app.database), [] as [&str; 0]);
}

#[tokio::test]
async fn an_import_that_writes_a_post_twice_is_undone_as_one() {
    let app = app().await;
    import(&app, &[post(ONE)]).await;
    let was = dump(&app.database);
    let ann = app.account("ann").await;
    let (id, _) = import_at(&app, &[edited(post(ONE), "Once."), post(TWO)], Utc::now()).await;
    let richer = [edited(post(ONE), "Twice."), edited(post(TWO), "Twice.")];
    app.app.store.ingest(ann.id, &richer, Some(id), None, Utc::now()).await.unwrap();
    assert_eq!(undo(&app, id).await.counts, counts(1, 0, 1, 0));
    assert_eq!(dump(&app.database), was);
}

#[tokio::test]
async fn a_withdrawn_post_stays_withdrawn_and_takes_its_earlier_words_along() {
    let app = app().await;
    let first = import(&app, &[edited(post(ONE), "Secret one.")]).await;
    let second = import(&app, &[edited(post(ONE), "Secret two."), post(TWO)]).await;
    let revisions = "SELECT count(*) FROM post_revisions";
    assert_eq!(app.database.number(revisions), 1);
    let ann = app.account("ann").await;
    posts::withdraw(&app.app, &ann, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    posts::withdraw(&app.app, &ann, PostId(status_id(TWO)), Utc::now()).await.unwrap();
    assert_eq!(app.database.number(revisions), 0, "its content is gone, all of it");
    let undone = undo(&app, second).await;
    assert_eq!(undone.counts, counts(0, 0, 0, 0), "its owner has decided");
    assert_eq!(undo(&app, first).await.counts, counts(0, 0, 0, 0));
    assert_eq!(app.database.number("SELECT count(*) FROM posts WHERE withdrawn_at IS NOT NULL"), 2);
}

#[tokio::test]
async fn a_post_that_an_import_brought_back_is_withdrawn_again_and_awaited() {
    let app = app().await;
    import(&app, &[post(ONE)]).await;
    let ann = app.account("ann").await;
    posts::withdraw(&app.app, &ann, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    posts::restore(&app.app, &ann, PostId(status_id(ONE))).await.unwrap();
    let was = dump(&app.database);
    let id = import(&app, &[post(ONE)]).await;
    assert!(stands(&app, ONE).await.is_some());
    assert_eq!(undo(&app, id).await.counts, counts(0, 0, 1, 0));
    assert_eq!(dump(&app.database), was);
}

#[tokio::test]
async fn a_deleted_account_leaves_neither_imports_nor_revisions() {
    let app = app().await;
    import(&app, &[post(ONE)]).await;
    import(&app, &[edited(post(ONE), "Other words.")]).await;
    accounts::delete(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    for table in ["imports", "post_revisions", "posts", "contexts"] {
        assert_eq!(app.database.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

fn with_picture(app: &TestApp, post: NewPost) -> (NewPost, MediaFile) {
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    let file = app.app.media.keep(&mut std::fs::File::open(picture).unwrap()).unwrap();
    let attachment = Attachment {
        file: Some(file.clone()),
        kind: MediaKind::Image,
        alt: Some("Fog.".to_owned()),
        source_url: "fog.png".to_owned(),
        told: everpost::domain::told::MediaTold::default(),
    };
    (NewPost { attachments: vec![attachment], ..post }, file)
}

#[tokio::test]
async fn a_file_that_only_an_earlier_revision_shows_is_kept_and_served_to_nobody() {
    let app = app().await;
    let (shown, file) = with_picture(&app, post(ONE));
    let first = import(&app, &[shown]).await;
    let was = dump(&app.database);
    let address = format!("/media/{}", file.file_name());
    assert_eq!(app.page(&address).await.status, 200);
    let second = import(&app, &[edited(post(ONE), "No picture.")]).await;
    // Whatever lets go of files does so now.
    let ann = app.account("ann").await;
    accounts::save(&app.app, &ann, Utc::now()).await.unwrap();
    import(&app, &[post(TWO)]).await;
    posts::withdraw(&app.app, &ann, PostId(status_id(TWO)), Utc::now()).await.unwrap();
    assert!(app.app.media.path(&file).exists());
    assert_eq!(app.page(&address).await.status, 404, "nothing that is shown refers to it");
    undo(&app, second).await;
    assert_eq!(app.page(&address).await.status, 200);
    let standing = stands(&app, ONE).await.unwrap();
    assert_eq!(standing.attachments[0].alt.as_deref(), Some("Fog."));
    let rows = dump(&app.database);
    assert!(was.iter().all(|row| rows.contains(row)), "{rows:#?}");

    let second = import(&app, &[edited(post(ONE), "No picture again.")]).await;
    assert_eq!(undo(&app, first).await.counts, counts(0, 0, 0, 1));
    assert!(!app.app.media.path(&file).exists(), "there is nothing to go back to");
    undo(&app, second).await;
    assert_eq!(app.database.number("SELECT count(*) FROM media"), 0);
}

#[tokio::test]
async fn media_that_came_with_an_import_go_with_it() {
    let (app, archive) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let bundle = Bundle::new().post_with(ONE, "<p>Fog.</p>", "![Fog.](fog.png)").write(archive.path());
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    std::fs::copy(picture, bundle.join("fog.png")).unwrap();
    let report = app.import(archive.path()).await;
    let file = stands(&app, ONE).await.unwrap().attachments[0].file.clone().unwrap();
    assert!(app.app.media.path(&file).exists());
    undo(&app, report.import.unwrap()).await;
    assert!(!app.app.media.path(&file).exists());
    assert_eq!(app.account("ann").await.source.unwrap().to_string(), "@ann@origin.example", "the account stays");
    assert_eq!(app.import(archive.path()).await.created, 1);
}

#[tokio::test]
async fn an_import_that_was_broken_off_can_be_undone_and_run_again() {
    let app = app().await;
    let (id, _) = import_at(&app, &[post(ONE), answer(TWO, ONE)], Utc::now()).await;
    let found = imports::find(&app.app, id).await.unwrap();
    assert_eq!((found.state(), found.finished, found.counts.len()), (ImportState::Unfinished, None, 0));
    assert_eq!(app.app.store.count_undo(id).await.unwrap(), counts(2, 0, 0, 0));
    assert_eq!(undo(&app, id).await.counts, counts(2, 0, 0, 0));
    assert_eq!(dump(&app.database), [] as [&str; 0]);
    import(&app, &[post(ONE), answer(TWO, ONE)]).await;
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 2);
}

#[tokio::test]
async fn undoing_goes_on_where_it_was_broken_off() {
    let app = app().await;
    let at = |n: i64| format!("2024-02-{:02}T{:02}:{:02}:00Z", n / 1440 + 1, n / 60 % 24, n % 60);
    let many: Vec<NewPost> = (0..1200).map(|n| post(&at(n))).collect();
    import(&app, &many[..100]).await;
    let was = dump(&app.database);
    let second: Vec<NewPost> =
        many.iter().enumerate().map(|(n, post)| edited(post.clone(), &format!("Number {n}."))).collect();
    let id = import(&app, &second).await;
    let ann = app.account("ann").await;
    // What two transactions do before the process is killed.
    let (_, before) = app.app.store.undo_step(ann.id, id, PostId(i64::MAX), None, Utc::now()).await.unwrap().unwrap();
    app.app.store.undo_step(ann.id, id, before, None, Utc::now()).await.unwrap().unwrap();
    let half = imports::find(&app.app, id).await.unwrap();
    assert_eq!((half.state(), half.undoing), (ImportState::HalfUndone, Some(counts(500, 0, 100, 0))));
    let undone = undo(&app, id).await;
    assert_eq!(undone.counts, counts(600, 0, 0, 0), "what was left");
    assert_eq!((undone.import.state(), undone.import.undoing), (ImportState::Undone, Some(counts(1100, 0, 100, 0))));
    assert_eq!(dump(&app.database), was);
}

#[tokio::test]
async fn an_import_is_not_undone_while_another_one_runs() {
    let app = app().await;
    let id = import(&app, &[post(ONE)]).await;
    let ann = app.account("ann").await;
    let running = app.app.store.lock_import(ann.id).await.unwrap();
    let error = imports::undo(&app.app, id, Utc::now(), &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("another import into this account is running"), "{error}");
    running.release().await.unwrap();
    assert!(!undo(&app, id).await.before);
    let again = undo(&app, id).await;
    assert!(again.before && again.counts == UndoCounts::default(), "undone twice is undone once");
}
