//! Posts of an import that do not stand here where everyone can read them, and what the posts below them answer instead.

use super::ingest::digest;
use crate::domain::source::SourceKey;
use std::collections::BTreeMap;

/// The gaps that an import left so far. Of each a hash is kept, and what lies above it.
#[derive(Default)]
pub(super) struct Gaps {
    above: BTreeMap<u128, Option<SourceKey>>,
}

impl Gaps {
    /// A post that answers `reply_to` is left out. Parents come before their replies.
    pub(super) fn open(&mut self, key: &SourceKey, reply_to: Option<SourceKey>) {
        let above = self.around(reply_to);
        self.above.insert(digest(&key.0), above);
    }

    /// A post is here after all.
    pub(super) fn close(&mut self, key: &SourceKey) {
        if !self.above.is_empty() {
            self.above.remove(&digest(&key.0));
        }
    }

    /// Whether a post was left out.
    pub(super) fn has(&self, key: &SourceKey) -> bool {
        !self.above.is_empty() && self.above.contains_key(&digest(&key.0))
    }

    /// The nearest post that was not left out, from `key` upwards.
    pub(super) fn around(&self, key: Option<SourceKey>) -> Option<SourceKey> {
        let above = key.as_ref().filter(|_| !self.above.is_empty()).and_then(|key| self.above.get(&digest(&key.0)));
        match above {
            Some(above) => above.clone(),
            None => key,
        }
    }
}
