//! Everything that the fixtures hold, as it arrives: one snapshot a version.

use super::{open, read_all};
use crate::support::fixture;
use everpost::domain::source::SourcePost;
use std::fmt::Write;

/// Everything that is read from a fixture, with the source's bytes counted instead of shown.
fn everything(name: &str) -> String {
    let path = fixture(name);
    let mut text = format!("{:#?}\n", open(&path).profile());
    for item in read_all(&path) {
        match item {
            Ok(post) => {
                let parsed: serde_json::Value = serde_json::from_slice(&post.bytes).unwrap();
                assert!(parsed.is_object(), "the bytes are the item itself");
                writeln!(text, "{:#?}", SourcePost { bytes: Vec::new(), ..post }).unwrap();
            }
            Err(skipped) => writeln!(text, "{skipped:#?}").unwrap(),
        }
    }
    text
}

#[test]
fn an_archive_of_mastodon_3_5_arrives_whole() {
    insta::assert_snapshot!(everything("mastodon-3.5"));
}

#[test]
fn an_archive_of_mastodon_4_1_arrives_whole() {
    insta::assert_snapshot!(everything("mastodon-4.1"));
}

#[test]
fn an_archive_of_mastodon_4_3_arrives_whole() {
    insta::assert_snapshot!(everything("mastodon-4.3"));
}

#[test]
fn an_archive_of_mastodon_4_6_arrives_whole() {
    insta::assert_snapshot!(everything("mastodon-4.6"));
}

#[test]
fn an_archive_of_mastodon_of_2026_arrives_whole() {
    insta::assert_snapshot!(everything("mastodon-2026"));
}

#[test]
fn a_backup_of_akkoma_arrives_whole() {
    insta::assert_snapshot!(everything("akkoma-3.10"));
}
