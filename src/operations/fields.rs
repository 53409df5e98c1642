//! What the sources told, field by field, and whether it is kept where somebody can see it.
//!
//! One table says what becomes of each field: `FIELDS`. Whatever a source tells stays in its bytes beside the post. Must
//! never know how a field is stored.

use crate::domain::source::{SourceMedia, SourcePost};
use crate::domain::told::SourceKind;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The post has it.
    Kept,
    /// Its words stand in the post, and no more.
    AsText,
    /// It is in the source's bytes alone, which are kept.
    InSource,
    /// It is nowhere: the archive tells where it was and does not hold it.
    Lost,
}

/// A field that a source may tell.
struct Field {
    /// For `--json`.
    name: &'static str,
    /// For people.
    label: &'static str,
    /// How often a post tells it.
    told: fn(&SourcePost) -> usize,
    /// What becomes of it.
    fate: Fate,
}

macro_rules! fields {
    ($($name:literal, $label:literal, $fate:ident, $told:expr;)*) => {
        [$(Field { name: $name, label: $label, told: $told, fate: Fate::$fate }),*]
    };
}

/// Every field that is counted, and what becomes of it.
const FIELDS: [Field; 29] = fields! {
    "updated", "times of edits", Kept, |post| post.edited.is_some().into();
    "object_id", "ids", Kept, |post| post.object_id.is_some().into();
    "canonical", "addresses where they first stood", Kept, |post| post.canonical_url.is_some().into();
    "warning", "content warnings", Kept, |post| post.warning.is_some().into();
    "sensitive", "marked as sensitive", Kept, |post| post.sensitive.into();
    "language", "languages", Kept, |post| post.language.is_some().into();
    "tags", "hashtags", Kept, |post| post.tags.len();
    "reply_to", "answers", Kept, |post| post.reply_to.is_some().into();
    "alt", "alternative texts", Kept, |post| media(post, |media| media.alt.is_some());
    "mentions", "people named", AsText, |post| post.told.mentions.len();
    "emoji", "custom emoji", AsText, |post| post.told.emoji.len();
    "emoji_pictures", "pictures of custom emoji", Lost,
        |post| post.told.emoji.iter().filter(|emoji| emoji.url.is_some()).count();
    "object_type", "types other than a note", Kept, |post| matches!(post.told.kind, SourceKind::Other(_)).into();
    "title", "titles", Kept, |post| post.told.title.is_some().into();
    "summary", "summaries", InSource, |post| post.told.summary.is_some().into();
    "written", "texts as they were written", InSource, |post| post.told.written.is_some().into();
    "languages", "texts in further languages", Kept, |post| post.told.languages.len().saturating_sub(1);
    "poll", "polls", Kept, |post| post.told.poll.is_some().into();
    "quote", "quotes", Kept, |post| post.told.quote.is_some().into();
    "conversation", "ids of conversations", InSource, |post| post.told.conversation.is_some().into();
    "likes", "numbers of likes", Kept, |post| post.told.totals.likes.is_some().into();
    "boosts", "numbers of boosts", Kept, |post| post.told.totals.boosts.is_some().into();
    "replies", "numbers of replies", Kept, |post| post.told.totals.replies.is_some().into();
    "media_type", "types of media", Kept, |post| media(post, |media| media.told.media_type.is_some());
    "size", "sizes of pictures", Kept, |post| media(post, |media| media.told.size.is_some());
    "blurhash", "blurred previews", Kept, |post| media(post, |media| media.told.blurhash.is_some());
    "focal_point", "focal points", Kept,
        |post| media(post, |media| media.told.focal_point.is_some_and(|point| point != (0.0, 0.0)));
    "duration", "lengths of films and sounds", Kept, |post| media(post, |media| media.told.duration.is_some());
    "icon", "addresses of still pictures of films", Kept, |post| media(post, |media| media.told.icon.is_some());
};

fn media(post: &SourcePost, tells: fn(&SourceMedia) -> bool) -> usize {
    post.media.iter().filter(|media| tells(media)).count()
}

/// How often each field was told. Of one post, or of all of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    told: [u64; FIELDS.len()],
}

/// What became of a field throughout an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its name for `--json`.
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// How often it was kept, be it as text.
    pub kept: u64,
    /// How often it was lost.
    pub lost: u64,
}

impl Tally {
    /// What one post tells.
    pub fn of(post: &SourcePost) -> Tally {
        Tally { told: FIELDS.map(|field| (field.told)(post) as u64) }
    }

    /// Add what another post, or other posts, told.
    pub fn add(&mut self, other: &Tally) {
        self.told.iter_mut().zip(other.told).for_each(|(sum, count)| *sum += count);
    }

    /// Fields that were told at all, with what became of them.
    pub fn list(&self) -> Vec<Counted> {
        let told = FIELDS.iter().zip(self.told).filter(|(_, told)| *told > 0);
        told.map(|(Field { name, label, fate, .. }, told)| {
            let (kept, lost) = if *fate == Fate::Lost { (0, told) } else { (told, 0) };
            Counted { name, label, fate: *fate, kept, lost }
        })
        .collect()
    }

    /// How many fields of posts were lost.
    pub fn lost(&self) -> u64 {
        self.list().iter().map(|field| field.lost).sum()
    }
}
