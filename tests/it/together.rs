//! Posts that are asked for at the same time are read together, and everybody gets his own.

use crate::activitypub::{account, post, reply, store};
use crate::support::{TestApp, fixture, status_id};
use chrono::{DateTime, TimeDelta, Utc};
use everpost::domain::ids::PostId;
use everpost::domain::post::{Attachment, NewPost, Stored};
use everpost::domain::source::MediaKind;
use everpost::domain::told::MediaTold;
use everpost::operations::posts;
use everpost::store;
use futures::future::join_all;

fn at(minutes: i64) -> String {
    let first: DateTime<Utc> = "2024-01-01T10:00:00Z".parse().unwrap();
    (first + TimeDelta::minutes(minutes)).to_rfc3339()
}

fn url(at: &str) -> String {
    format!("https://origin.example/@ann/{}", status_id(at))
}

/// Sixty posts: the first ten a thread, some with a picture, one withdrawn.
async fn app() -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    account(&app, "bea").await;
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    let file = app.app.media.keep(&mut std::fs::File::open(picture).unwrap()).unwrap();
    let posts: Vec<NewPost> = (0..60)
        .map(|n| {
            let post = if (1..10).contains(&n) { reply(&at(n), &url(&at(n - 1))) } else { post(&at(n)) };
            let attachment = Attachment {
                file: Some(file.clone()),
                kind: MediaKind::Image,
                alt: Some(n.to_string()),
                source_url: "a.png".to_owned(),
                told: MediaTold::default(),
            };
            NewPost { attachments: if n % 4 == 0 { vec![attachment] } else { Vec::new() }, ..post }
        })
        .collect();
    store(&app, "ann", &posts).await;
    let ann = app.account("ann").await;
    posts::withdraw(&app.app, &ann, PostId(status_id(&at(5))), Utc::now()).await.unwrap();
    app
}

#[tokio::test]
async fn everybody_gets_the_post_that_he_asked_for_however_many_ask_at_once() {
    let app = app().await;
    let (ann, bea, store) = (app.account("ann").await, app.account("bea").await, app.app.store.clone());
    // Every post four times, and as many that are not there.
    let ids: Vec<PostId> = (0..480).map(|n| PostId(status_id(&at(n % 120)))).collect();
    let answers = join_all(ids.iter().map(|id| store.find_post_in_place(ann.id, *id))).await;
    for (id, answer) in ids.iter().zip(answers) {
        let alone = store.find_post(ann.id, *id).await.unwrap();
        let answer = answer.unwrap();
        let places = match &alone {
            Some(Stored::Live(post)) => store.list_places(post.context).await.unwrap(),
            _ => Vec::new(),
        };
        assert_eq!(answer, alone.map(|stored| (stored, places)), "{id}");
    }
    let others = join_all(ids.iter().map(|id| store.find_post_in_place(bea.id, *id))).await;
    assert!(others.into_iter().all(|other| other.unwrap().is_none()), "a number belongs to one account");
}

#[tokio::test]
async fn a_post_that_cannot_be_read_spoils_no_other_that_is_asked_for_at_the_same_time() {
    let app = app().await;
    let (ann, store) = (app.account("ann").await, app.app.store.clone());
    let damaged = PostId(status_id(&at(20)));
    app.database.execute(&format!(
        "ALTER TABLE posts DROP CONSTRAINT posts_visibility_check; \
         UPDATE posts SET visibility = 'sideways' WHERE id = {damaged}"
    ));
    let ids: Vec<PostId> = (10..60).map(|n| PostId(status_id(&at(n)))).collect();
    let answers = join_all(ids.iter().map(|id| store.find_post_in_place(ann.id, *id))).await;
    for (id, answer) in ids.iter().zip(answers) {
        match (*id == damaged, answer) {
            (true, Err(store::Error::Damaged(_))) => {}
            (false, Ok(Some(_))) => {}
            (_, other) => panic!("{id}: {other:?}"),
        }
    }
}
