//! The same post in several layouts within one import: which copies come in, and what becomes of them in a dry run.
//!
//! A copy in another format goes to the store like a post of a later import: the richer wins, the poorer fills. A dry run
//! takes back what it wrote, so there the outcome is told from what the copies before it had.

use super::ingest::digest;
use crate::domain::ids::PostId;
use crate::domain::post::{Kept, NewPost};
use crate::domain::source::{Format, SourceKey};
use std::collections::{BTreeSet, HashSet};

/// The keys of an import, each with the formats in which it came. Of each a hash is kept, for there may be millions: in
/// trees, because a table of hashes is in memory twice while it grows.
#[derive(Default)]
pub(super) struct Copies {
    /// The key's hash, changed by the format.
    seen: BTreeSet<u128>,
    /// Those that came before in another format.
    further: BTreeSet<u128>,
    /// The formats that came so far; nearly always there is one.
    formats: Vec<Format>,
}

/// The hash of a key in a format, from the hash of the key.
fn copy(key: u128, format: Format) -> u128 {
    let number = Format::ALL.iter().position(|known| *known == format).and_then(|at| u128::try_from(at + 1).ok());
    key ^ number.unwrap_or_default()
}

impl Copies {
    /// Take in a post; whether it may come in. A second copy in the same format may not.
    pub(super) fn admit(&mut self, key: &SourceKey, format: Format) -> bool {
        let key = digest(&key.0);
        let this = copy(key, format);
        let is_new = self.seen.insert(this);
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
        let mut others = self.formats.iter().filter(|other| **other != format);
        if is_new && others.any(|other| self.seen.contains(&copy(key, *other))) {
            self.further.insert(this);
        }
        is_new
    }

    /// Whether a post came before in another format.
    fn is_further(&self, post: &NewPost) -> bool {
        !self.further.is_empty() && self.further.contains(&copy(digest(&post.key.0), post.format))
    }

    /// Whether a post came before in a richer format.
    pub(super) fn is_outranked(&self, key: &SourceKey, format: Format) -> bool {
        self.further.contains(&copy(digest(&key.0), format)) && self.has_richer(key, format)
    }

    /// Whether a post comes in a richer format too.
    pub(super) fn has_richer(&self, key: &SourceKey, format: Format) -> bool {
        self.has_other(key, |other| other.rank() > format.rank())
    }

    /// Whether a post comes in a poorer format too.
    pub(super) fn has_poorer(&self, key: &SourceKey, format: Format) -> bool {
        self.has_other(key, |other| other.rank() < format.rank())
    }

    fn has_other(&self, key: &SourceKey, wanted: impl Fn(Format) -> bool) -> bool {
        let others = || self.formats.iter().copied().filter(|other| wanted(*other));
        // Nearly always there is one format, and nothing to hash.
        others().next().is_some() && {
            let key = digest(&key.0);
            others().any(|other| self.seen.contains(&copy(key, other)))
        }
    }

    /// A batch in parts in which no key comes twice; all but the first hold copies of posts that came before.
    /// Nearly always there is one.
    pub(super) fn parts(&self, batch: Vec<NewPost>) -> Vec<Vec<NewPost>> {
        let (mut rest, first): (Vec<NewPost>, Vec<NewPost>) = batch.into_iter().partition(|post| self.is_further(post));
        let mut parts = vec![first];
        while !rest.is_empty() {
            let mut keys = HashSet::new();
            let (part, later) = rest.into_iter().partition(|post| keys.insert(post.key.clone()));
            parts.push(part);
            rest = later;
        }
        parts
    }
}

/// What a dry run would have written under a key.
pub(super) struct Told {
    id: PostId,
    format: Format,
    has: Has,
}

/// What a post has of that which a poorer copy can fill.
#[derive(Clone, Copy, PartialEq)]
struct Has {
    canonical: bool,
    object: bool,
    warning: bool,
    language: bool,
    tags: bool,
    files: bool,
}

impl Told {
    pub(super) fn of(id: PostId, post: &NewPost) -> Told {
        Told { id, format: post.format, has: Has::of(post) }
    }

    /// What a further copy would have come to.
    pub(super) fn further(&mut self, post: &NewPost) -> Kept {
        let is_richer = post.format.rank() > self.format.rank();
        let both = self.has.and(Has::of(post));
        let fills = both != self.has;
        self.has = both;
        if is_richer {
            self.format = post.format;
        }
        if is_richer || fills { Kept::Updated(self.id) } else { Kept::Unchanged(self.id) }
    }
}

impl Has {
    fn of(post: &NewPost) -> Has {
        Has {
            canonical: post.canonical_url.is_some(),
            object: post.object_id.is_some(),
            warning: post.warning.is_some(),
            language: post.language.is_some(),
            tags: !post.tags.is_empty(),
            files: post.attachments.iter().any(|attachment| attachment.file.is_some()),
        }
    }

    fn and(self, other: Has) -> Has {
        Has {
            canonical: self.canonical || other.canonical,
            object: self.object || other.object,
            warning: self.warning || other.warning,
            language: self.language || other.language,
            tags: self.tags || other.tags,
            files: self.files || other.files,
        }
    }
}
