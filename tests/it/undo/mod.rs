//! Undoing an import: what nobody saw is as if it had never been, what was seen is gone for good, edits go back.

mod program;
mod seen;
mod unseen;

use crate::activitypub::{post, reply};
use crate::support::{TestApp, TestDatabase, status_id};
use chrono::{DateTime, Utc};
use everpost::domain::ids::{ImportId, PostId};
use everpost::domain::post::{Kept, NewPost, Post, Stored};
use everpost::domain::source::Format;
use everpost::operations::imports::{self, Undone};
use everpost::text::SafeHtml;

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";
const THREE: &str = "2024-01-01T10:10:00Z";
const FOUR: &str = "2024-01-01T10:15:00Z";

/// Everything that an import writes, one line a row. When rows last changed, and the numbers that Postgres gives to
/// attachments, are no part of it.
fn dump(database: &TestDatabase) -> Vec<String> {
    let tables = [
        "SELECT 'post ' || (to_jsonb(t) - 'changed_at')::text FROM posts t",
        "SELECT 'source ' || to_jsonb(t)::text FROM post_sources t",
        "SELECT 'attachment ' || (to_jsonb(t) - 'id')::text FROM attachments t",
        "SELECT 'context ' || to_jsonb(t)::text FROM contexts t",
        "SELECT 'media ' || to_jsonb(t)::text FROM media t",
        "SELECT 'revision ' || to_jsonb(t)::text FROM post_revisions t",
        "SELECT 'kept file ' || to_jsonb(t)::text FROM revision_media t",
    ];
    database.texts(&format!("{} ORDER BY 1", tables.join(" UNION ALL ")))
}

/// The same without what tells which import it was.
fn posts_without_imports(database: &TestDatabase) -> Vec<String> {
    let strip = "'changed_at' - 'import_id' - 'touched_by' - 'created_at' - 'updated_at'";
    database.texts(&format!("SELECT (to_jsonb(t) - {strip})::text FROM posts t ORDER BY id"))
}

/// Store posts as an import of their own, to its end; its number.
async fn import(app: &TestApp, posts: &[NewPost]) -> ImportId {
    let (id, _) = import_at(app, posts, Utc::now()).await;
    app.app.store.finish_import(id, &[("read", posts.len() as u64)]).await.unwrap();
    id
}

/// The same, broken off before its end, at a chosen time.
async fn import_at(app: &TestApp, posts: &[NewPost], now: DateTime<Utc>) -> (ImportId, Vec<Kept>) {
    let account = app.account("ann").await;
    let store = &app.app.store;
    let id = store.begin_import(account.id, &["an archive".to_owned()], Format::Mastodon, now).await.unwrap();
    let stored = store.ingest(account.id, posts, Some(id), None, now).await.unwrap();
    (id, stored.kept)
}

async fn undo(app: &TestApp, id: ImportId) -> Undone {
    imports::undo(&app.app, id, Utc::now(), &|_| {}).await.unwrap()
}

/// A post with other words than before.
fn edited(post: NewPost, words: &str) -> NewPost {
    NewPost {
        content: SafeHtml::sanitise(&format!("<p>{words}</p>")),
        source_sha256: openssl::sha::sha256(words.as_bytes()),
        source_bytes: words.as_bytes().to_vec(),
        ..post
    }
}

/// A post that answers another one of the account.
fn answer(at: &str, to: &str) -> NewPost {
    reply(at, &format!("https://origin.example/@ann/{}", status_id(to)))
}

/// The post of that time as it stands.
async fn stands(app: &TestApp, at: &str) -> Option<Post> {
    let account = app.account("ann").await;
    match app.app.store.find_post(account.id, PostId(status_id(at))).await.unwrap() {
        Some(Stored::Live(post)) => Some(*post),
        _ => None,
    }
}

fn words(post: &Post) -> String {
    post.content.to_plain()
}
