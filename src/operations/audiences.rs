//! Which posts of an import are not public, told by its survey before anything is written.
//!
//! Items may disagree about one post: then the narrowest audience counts, whatever comes first. Of each such post a hash
//! is kept and nothing else.

use super::ingest::digest;
use crate::domain::post::Visibility;
use crate::domain::source::{PostLink, SourceAudience, SourceKey, SourcePost};
use crate::domain::told::SourceKind;
use std::collections::BTreeMap;
use url::Url;

/// Addresses that let in whoever has them: what they lead to is not for everyone (Mastodon reads them since 3.3).
const GUARDED: &str = "bear";

/// Whether a source post is for everyone. What is not is the business of `private` alone.
pub(super) fn is_public(post: &SourcePost) -> bool {
    Visibility::of(post.audience).is_some()
}

/// The posts of an import that are not public.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    /// The hash of each key, and whether another post of the import answers it.
    closed: BTreeMap<u128, bool>,
}

impl Audiences {
    /// Take in what one item tells. Parents come before their replies.
    pub(super) fn note(&mut self, post: &SourcePost) {
        if !is_public(post) {
            // Boosts name it by its id, which may give another key than its page.
            let by_id = post.object_id.as_deref().and_then(key_of).filter(|key| *key != post.key);
            for key in std::iter::once(&post.key).chain(&by_id) {
                self.closed.entry(digest(&key.0)).or_default();
            }
        }
        let parent = post.reply_to.as_ref().filter(|_| !self.closed.is_empty());
        if let Some(answered) = parent.and_then(|parent| self.closed.get_mut(&digest(&parent.0))) {
            *answered = true;
        }
    }

    /// Make a post's audience the narrowest that any item of the import tells. What passes on a post that is not public is
    /// not public either, whoever it says it is for.
    pub(super) fn apply(&self, post: &mut SourcePost) {
        let guarded = match &post.told.kind {
            SourceKind::Boost(of) => Url::parse(of).is_ok_and(|of| of.scheme() == GUARDED) || self.is_closed_at(of),
            _ => false,
        };
        if guarded || self.is_closed(&post.key) {
            post.audience = SourceAudience::NotPublic;
        }
    }

    /// Whether a post that is not public is answered by another one of the import.
    pub(super) fn is_answered(&self, key: &SourceKey) -> bool {
        self.closed.get(&digest(&key.0)).is_some_and(|answered| *answered)
    }

    pub(super) fn is_closed(&self, key: &SourceKey) -> bool {
        !self.closed.is_empty() && self.closed.contains_key(&digest(&key.0))
    }

    fn is_closed_at(&self, address: &str) -> bool {
        !self.closed.is_empty() && key_of(address).is_some_and(|key| self.is_closed(&key))
    }
}

/// The key of the post at an address.
fn key_of(address: &str) -> Option<SourceKey> {
    Url::parse(address).ok().map(|url| PostLink::read(&url).key)
}
