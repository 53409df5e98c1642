//! Import, export, import into an empty server: nothing is different but what the format cannot hold.

use super::{kept, portable, write};
use crate::archives::roundtrip::{post, written};
use crate::archives::{outbox, packed};
use crate::support::packing::put;
use crate::support::{TestApp, fixture};
use everpost::domain::account::Account;
use everpost::domain::post::{Entry, Post};
use everpost::export::Options;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};

/// The archives of servers, and whose they are.
const ARCHIVES: [(&str, &str); 6] = [
    ("mastodon-3.5", "ilse"),
    ("mastodon-4.1", "tomas"),
    ("mastodon-4.3", "nadia"),
    ("mastodon-4.6", "oren"),
    ("mastodon-2026", "wren"),
    ("akkoma-3.10", "petra"),
];

/// The paths of files belong to an archive; what its source told of a file comes with what was found in it.
fn without_paths(post: &mut Post) {
    for attachment in &mut post.attachments {
        let Some(file) = &attachment.file else { continue };
        attachment.source_url.clear();
        let told = &mut attachment.told;
        told.media_type.get_or_insert_with(|| file.media_type.clone());
        if let Some(picture) = &file.picture {
            told.size = told.size.or(Some((picture.width, picture.height)));
            told.blurhash = told.blurhash.clone().or_else(|| picture.blurhash.clone());
        }
    }
}

/// What `jsonl` has no place for: the bytes of media.
fn without_files(post: &mut Post) {
    for attachment in &mut post.attachments {
        (attachment.file, attachment.source_url) = (None, String::new());
    }
}

fn comparable(entries: Vec<Entry>, change: fn(&mut Post)) -> Vec<Entry> {
    let mut entries = portable(entries);
    for entry in &mut entries {
        if let Entry::Post(post) = entry {
            change(post);
        }
    }
    entries
}

/// The profile, and what archives told of the account at its source.
fn profile(account: &Account) -> (impl PartialEq + std::fmt::Debug, impl PartialEq + std::fmt::Debug) {
    let facts = account.archived.as_ref().map(|archived| archived.facts.clone());
    (account.profile.clone(), (facts, account.source.clone(), account.source_actor.clone()))
}

async fn assert_comes_back(format: &str, change: fn(&mut Post), with_profile: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (TestApp::start().await, TestApp::start().await);
    for (name, handle) in ARCHIVES {
        there.import(&packed(name, folder.path())).await;
        let (path, summary) = write(&there, handle, format, folder.path(), Options::default()).await;
        assert!(summary.notes.is_empty() && summary.private == 0, "{name}: {summary:?}");
        back.import(&path).await;
        let (before, after) = (there.account(handle).await, back.account(handle).await);
        let (expected, found) = (kept(&there, &before).await, kept(&back, &after).await);
        let (expected, mut found) = (comparable(expected, change), comparable(found, change));
        assert!(expected.len() > 2, "{name}");
        found.sort_by_key(Entry::id);
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected, found, "{name} as {format}");
        }
        assert_eq!(expected.len(), found.len(), "{name} as {format}");
        if with_profile {
            assert_eq!(profile(&before), profile(&after), "{name} as {format}");
        }
    }
}

#[tokio::test]
async fn every_archive_comes_back_from_mastodons_zip_as_it_was() {
    assert_comes_back("mastodon", without_paths, true).await;
}

#[tokio::test]
async fn every_archive_comes_back_from_the_account_container_as_it_was() {
    assert_comes_back("fep-6fcd", without_paths, true).await;
}

#[tokio::test]
async fn every_archive_comes_back_from_lines_of_json_but_for_its_files_and_profile() {
    fn change(post: &mut Post) {
        without_paths(post);
        without_files(post);
    }
    assert_comes_back("jsonl", change, false).await;
}

#[tokio::test]
async fn pages_of_a_site_come_back_with_their_keys_dates_words_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (TestApp::start().await, TestApp::start().await);
    there.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let (path, _) = write(&there, "juno", "mastodon", folder.path(), Options::default()).await;
    back.import(&path).await;
    fn change(post: &mut Post) {
        without_paths(post);
        // An archive says what a page leaves to be found out: the id, and what is answered. No estimate is told as one.
        (post.object_id_stated, post.date_estimated, post.details.answers) = (true, false, None);
    }
    let (before, after) = (there.account("juno").await, back.account("juno").await);
    let (expected, found) = (kept(&there, &before).await, kept(&back, &after).await);
    assert_eq!(expected.len(), 13);
    assert_eq!(comparable(expected, change), comparable(found, change));
    assert_eq!(before.source, after.source);
}

#[tokio::test]
async fn generated_posts_come_back_from_mastodons_zip_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (TestApp::start().await, TestApp::start().await);
    let mut runner = TestRunner::new(Config::default());
    let items: Vec<_> = (0..200).map(|_| written(&post().new_tree(&mut runner).unwrap().current())).collect();
    let source = put(folder.path(), "outbox.json", &outbox(&items));
    there.try_import(&source, None).await.unwrap();
    let (path, _) = write(&there, "ann", "mastodon", folder.path(), Options::default()).await;
    back.try_import(&path, None).await.unwrap();
    let (before, after) = (there.account("ann").await, back.account("ann").await);
    let (expected, found) = (kept(&there, &before).await, kept(&back, &after).await);
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(expected.len(), found.len());
    // Of a text of which nothing was left when it was cleaned no archive can say in which language it was.
    let has_words = |entry: &Entry| {
        let Entry::Post(post) = entry else { return true };
        let mut words = std::iter::once(&post.content).chain(post.details.languages.iter().map(|(_, html)| html));
        words.all(|html| !html.as_str().is_empty())
    };
    let pairs = portable(expected).into_iter().zip(portable(found)).filter(|(expected, _)| has_words(expected));
    for (expected, found) in pairs {
        assert_eq!(expected, found);
    }
}
