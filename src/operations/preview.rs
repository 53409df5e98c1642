//! What a dry run tells of each item: what it would become, and enough of it to know it again.

use crate::domain::ids::PostId;
use crate::domain::post::{Kept, NewPost};
use crate::domain::source::{Format, Skipped, SourcePost};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// The characters of a post that are shown.
const WORDS: usize = 60;

/// What an item of an archive would become.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Where in the source it stands.
    pub at: String,
    /// What would become of it.
    pub outcome: Outcome,
    /// What it is; `None` for what is no post, and for posts that are not public.
    pub post: Option<Shown>,
}

/// What would become of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new post.
    Created,
    /// A change of a post that is there.
    Updated,
    /// Nothing: it is there already.
    Unchanged,
    /// A sealed post: it is not public.
    Sealed,
    /// Nothing: it is not public, and nobody asked for such posts.
    LeftOut,
    /// Nothing, for the reason given.
    Skipped(String),
}

/// A post as a dry run shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The layout that it was read from.
    pub format: Format,
    /// Its date.
    pub published: DateTime<Utc>,
    /// Its number here, where it has or would have one.
    pub id: Option<PostId>,
    /// Where it first stood.
    pub canonical_url: Option<String>,
    /// How its text begins.
    pub words: String,
    /// How many pictures, films and sounds it has.
    pub media: usize,
}

impl Outcome {
    /// The word for messages and `--json`.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Sealed => "sealed",
            Outcome::LeftOut => "left_out",
            Outcome::Skipped(_) => "skipped",
        }
    }
}

impl Preview {
    /// A post that the store decided about.
    pub(super) fn of(post: &NewPost, kept: &Kept) -> Preview {
        let (outcome, id) = match kept {
            Kept::Created(id) => (Outcome::Created, Some(*id)),
            Kept::Updated(id) => (Outcome::Updated, Some(*id)),
            Kept::Unchanged(id) => (Outcome::Unchanged, Some(*id)),
            Kept::Refused(reason) => (Outcome::Skipped(reason.clone()), None),
        };
        let shown = Shown {
            format: post.format,
            published: post.published,
            id,
            canonical_url: post.canonical_url.clone(),
            words: post.content.excerpt(WORDS),
            media: post.attachments.len(),
        };
        Preview { at: post.at.clone(), outcome, post: Some(shown) }
    }

    /// A post that stands here exactly as it is in the source.
    pub(super) fn unchanged(post: &SourcePost) -> Preview {
        let shown = Shown {
            format: post.format,
            published: post.published,
            id: None,
            canonical_url: post.canonical_url.clone(),
            words: SafeHtml::sanitise(&post.html).excerpt(WORDS),
            media: post.media.len(),
        };
        Preview { at: post.at.clone(), outcome: Outcome::Unchanged, post: Some(shown) }
    }

    /// An item that does not come in.
    pub(super) fn skipped(item: &Skipped) -> Preview {
        Preview { at: item.at.clone(), outcome: Outcome::Skipped(item.reason.clone()), post: None }
    }
}

/// The place of each item of a batch in it.
pub(super) fn order(items: &[Result<SourcePost, Skipped>]) -> HashMap<String, usize> {
    let at = |item: &Result<SourcePost, Skipped>| match item {
        Ok(post) => post.at.clone(),
        Err(skipped) => skipped.at.clone(),
    };
    items.iter().enumerate().map(|(place, item)| (at(item), place)).collect()
}

/// Previews in the order of the archive.
pub(super) fn in_order(previews: impl Iterator<Item = Preview>, order: &HashMap<String, usize>) -> Vec<Preview> {
    let mut previews: Vec<Preview> = previews.collect();
    previews.sort_by_key(|preview| order.get(&preview.at).copied().unwrap_or(usize::MAX));
    previews
}
