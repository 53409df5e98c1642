//! What a dry run would have made: the store takes back each batch, so the later ones do not find the earlier there.

use super::ingest::digest;
use crate::domain::post::NewPost;
use crate::store::listing::KeptCounts;
use std::collections::HashSet;

/// What a dry run would have made so far.
#[derive(Default)]
pub(super) struct Planned {
    /// Its keys, so that later batches find what they answer.
    keys: HashSet<u128>,
    /// What the account would show and keep after it, and does not now.
    pub(super) more: KeptCounts,
}

impl Planned {
    /// Note what a batch of a dry run would have made, and count what the store could not: it took back what the
    /// earlier batches made, so the answers to that counted as replies to others; and an account that is not there has no
    /// store.
    pub(super) fn note(&mut self, created: &[&NewPost], nothing_stands: bool) {
        let (mut uncounted, mut counted) = (HashSet::new(), Vec::new());
        for post in created {
            let listed = match &post.reply_to {
                _ if post.boost_of.is_some() => false,
                None => nothing_stands,
                Some(key) => self.keys.contains(&digest(&key.0)) || uncounted.contains(&digest(&key.0)),
            };
            if listed {
                uncounted.insert(digest(&post.key.0));
            } else if !nothing_stands {
                counted.push(digest(&post.key.0));
            }
        }
        let listed = i64::try_from(uncounted.len()).unwrap_or_default();
        self.more.listed += listed;
        match nothing_stands {
            true => {
                let of = |boost| created.iter().filter(|post| post.boost_of.is_some() == boost).count();
                self.more.boosts += i64::try_from(of(true)).unwrap_or_default();
                self.more.replies += i64::try_from(of(false)).unwrap_or_default() - listed;
            }
            false => self.more.replies -= listed,
        }
        self.keys.extend(uncounted);
        self.keys.extend(counted);
    }
}
