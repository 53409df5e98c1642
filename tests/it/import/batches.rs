//! What a batch may hold: any text, any number of files, a thread that is cut by its end.

use super::{ONE, TWO, post};
use crate::activitypub::{self, account, store};
use crate::support::{Bundle, TestApp, status_id};
use everpost::domain::post::{Attachment, NewPost};
use everpost::domain::source::MediaKind;
use everpost::domain::told::MediaTold;

#[tokio::test]
async fn every_text_is_stored_as_it_is_also_where_it_looks_like_a_literal() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let tags = ["a\"b", "c\\d", "{e,f}", "NULL", "null", " g ", "h'i", "ü\u{1f600}", "\\\"", "$1"].map(str::to_owned);
    let odd = NewPost {
        tags: tags.to_vec(),
        warning: Some("\\N \"x\" {y}".to_owned()),
        canonical_url: Some("https://origin.example/a,b\"c\\d".to_owned()),
        ..activitypub::post(ONE)
    };
    let plain = NewPost { warning: None, language: None, ..activitypub::post(TWO) };
    store(&app, "ann", &[odd.clone(), plain]).await;
    let stored = post(&app, "ann", status_id(ONE)).await;
    assert_eq!(stored.tags, tags);
    assert_eq!((stored.warning, stored.canonical_url), (odd.warning, odd.canonical_url));
    let stored = post(&app, "ann", status_id(TWO)).await;
    assert_eq!((stored.tags.len(), stored.warning, stored.language), (0, None, None));
}

#[tokio::test]
async fn a_batch_may_have_more_attachments_than_one_statement_takes() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let first: chrono::DateTime<chrono::Utc> = ONE.parse().unwrap();
    let attachment = |n: usize| Attachment {
        file: None,
        kind: MediaKind::Image,
        alt: None,
        source_url: format!("{n}.png"),
        told: MediaTold::default(),
    };
    let posts: Vec<NewPost> = (0..700)
        .map(|n| {
            let at = (first + chrono::TimeDelta::minutes(n)).to_rfc3339();
            NewPost { attachments: (0..16).map(attachment).collect(), ..activitypub::post(&at) }
        })
        .collect();
    store(&app, "ann", &posts).await;
    assert_eq!(app.database.number("SELECT count(*) FROM attachments"), 700 * 16);
    assert_eq!(app.database.number("SELECT count(DISTINCT (post_id, position)) FROM attachments"), 700 * 16);
}

#[tokio::test]
async fn a_thread_that_the_end_of_a_batch_cuts_is_one_conversation() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let first: chrono::DateTime<chrono::Utc> = ONE.parse().unwrap();
    let mut bundle = Bundle::new();
    for n in 0..230 {
        let at = first + chrono::TimeDelta::minutes(n);
        bundle = bundle.post(&at.to_rfc3339(), &format!("<p>Part {n} of a long walk.</p>"));
    }
    bundle.write(archive.path());
    let report = app.import(archive.path()).await;
    assert_eq!((report.created, report.published), (230, 230));
    assert_eq!(app.database.number("SELECT count(DISTINCT context_id) FROM posts"), 1);
    assert_eq!(app.database.number("SELECT count(*) FROM posts WHERE reply_to_id IS NULL"), 1);
    let again = app.import(archive.path()).await;
    assert_eq!((again.unchanged, again.created), (230, 0));
}
