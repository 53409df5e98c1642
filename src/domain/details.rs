//! What a post keeps of its source beyond text, date and media: poll, quote, people named, totals, other languages.

use super::told::{Emoji, Mention, Poll, Totals};
use crate::text::SafeHtml;

/// What only richer sources tell about a post. All of it is for everyone, like the post itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The type of its object at the source, where that is neither `Note` nor `Question`: `Article`, `Video` and the like.
    pub object_type: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The text in several languages (BCP 47), the main one first. Empty where the source tells one or none.
    pub languages: Vec<(String, SafeHtml)>,
    /// People whom it names.
    pub mentions: Vec<Mention>,
    /// Custom emoji that it uses.
    pub emoji: Vec<Emoji>,
    /// Its poll. It is closed: an archive takes no votes.
    pub poll: Option<Poll>,
    /// The id of the object that it quotes.
    pub quote: Option<String>,
    /// The id of the object that it answers, whether we have that or not.
    pub answers: Option<String>,
    /// How often others reacted, when it was archived.
    pub totals: Totals,
}
