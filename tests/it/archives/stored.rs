//! What goes in comes out of the stored post: generated posts are imported and read from the database again.

use super::outbox;
use super::roundtrip::{post, written};
use crate::support::TestApp;
use crate::support::packing::put;
use everpost::domain::details::Details;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Stored, Visibility};
use everpost::domain::source::{SourceAudience, SourcePost};
use everpost::domain::told::{Poll, SourceKind};
use everpost::text::SafeHtml;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use std::collections::HashSet;

/// Posts that are generated anew in every run; a failure prints the seed's post.
const POSTS: usize = 300;

#[tokio::test]
async fn everything_that_an_archive_tells_comes_out_of_the_stored_post() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let mut runner = TestRunner::new(Config::default());
    let mut sources: Vec<SourcePost> = Vec::new();
    let mut numbers = HashSet::new();
    while sources.len() < POSTS {
        let source = post().new_tree(&mut runner).unwrap().current();
        if numbers.insert(source.status) {
            sources.push(source);
        }
    }
    let items: Vec<_> = sources.iter().map(written).collect();
    let path = put(folder.path(), "outbox.json", &outbox(&items));
    let now = chrono::Utc::now();
    let report = app.try_import(&path, None).await.unwrap();
    let account = app.account("ann").await;
    let mut public = 0;
    for (source, item) in sources.iter().zip(&items) {
        let id = PostId(source.status.unwrap());
        let stored = app.app.store.find_post(account.id, id).await.unwrap();
        let visibility = match source.audience {
            SourceAudience::NotPublic => {
                assert_eq!(stored, None, "{source:#?}");
                continue;
            }
            SourceAudience::Public => Visibility::Public,
            SourceAudience::Unlisted => Visibility::Unlisted,
        };
        let Some(Stored::Live(post)) = stored else {
            assert!(report.skipped.iter().any(|skipped| skipped.reason.starts_with("nothing is left")), "{source:#?}");
            continue;
        };
        public += 1;
        assert_eq!(post.visibility, visibility, "{source:#?}");
        assert_eq!((post.published, post.updated), (source.published, source.edited), "{source:#?}");
        assert_eq!((&post.canonical_url, &post.object_id), (&source.canonical_url, &source.object_id), "{source:#?}");
        assert_eq!((&post.warning, post.sensitive), (&source.warning, source.sensitive), "{source:#?}");
        assert_eq!(post.content, SafeHtml::sanitise(&source.html), "{source:#?}");
        if source.language.is_some() {
            assert_eq!(post.language, source.language, "{source:#?}");
        }
        let tags: Vec<String> = source.tags.iter().map(|tag| tag.to_lowercase()).collect();
        assert_eq!(post.tags, tags, "{source:#?}");
        assert_eq!(post.details, expected(source, now), "{source:#?}");
        assert_eq!(post.attachments.len(), source.media.len(), "{source:#?}");
        for (kept, told) in post.attachments.iter().zip(&source.media) {
            assert_eq!((&kept.alt, &kept.source_url, kept.kind), (&told.alt, &told.reference, told.kind));
            assert_eq!(kept.told, told.told, "{source:#?}");
        }
        assert_eq!(source_of(&app, id), item.to_string(), "the item's own bytes are kept");
    }
    assert!(public > POSTS / 3, "{public} of {POSTS} were public");
    let again = app.try_import(&path, None).await.unwrap();
    assert_eq!((again.unchanged, again.created, again.updated), (public as u64, 0, 0));
}

/// What of a source stands among the details of its post.
fn expected(source: &SourcePost, now: chrono::DateTime<chrono::Utc>) -> Details {
    let told = &source.told;
    let closed = |poll: &Poll| {
        // An open poll was closed when the import ran, which is later than `now` by less than its duration.
        let closed = poll.closed.or(poll.ends).unwrap_or(source.published);
        assert!(closed <= now, "times are generated before the tests' own date");
        Poll { closed: Some(closed), ..poll.clone() }
    };
    Details {
        object_type: match &told.kind {
            SourceKind::Other(kind) => Some(kind.clone()),
            _ => None,
        },
        title: told.title.clone().filter(|title| !title.trim().is_empty()),
        languages: told.languages.iter().map(|(name, html)| (name.clone(), SafeHtml::sanitise(html))).collect(),
        mentions: told.mentions.clone(),
        emoji: told.emoji.clone(),
        poll: told.poll.as_ref().map(closed),
        quote: told.quote.clone(),
        answers: told.answers.clone(),
        totals: told.totals,
    }
}

/// The kept bytes of a post's source.
fn source_of(app: &TestApp, id: PostId) -> String {
    let hex = app.database.texts(&format!("SELECT encode(bytes, 'hex') FROM post_sources WHERE post_id = {id}"));
    let hex = &hex[0];
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    String::from_utf8(zstd::stream::decode_all(bytes.as_slice()).unwrap()).unwrap()
}
