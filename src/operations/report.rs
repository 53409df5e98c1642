//! What an import came to, for whoever ran it.

use super::{private, profile};
use crate::domain::ids::ImportId;
use crate::domain::source::{Format, Remark, Skipped};

/// What an import came to. `read` = created + updated + unchanged + skipped + private stored, unchanged and left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The number by which it can be undone; `None` for a dry run.
    pub import: Option<ImportId>,
    /// The format of the first post that was read.
    pub format: Option<Format>,
    /// The account's handle.
    pub account: String,
    /// Items found.
    pub read: u64,
    /// Posts that are new.
    pub created: u64,
    /// Posts that were there and changed.
    pub updated: u64,
    /// Posts that were there already.
    pub unchanged: u64,
    /// Items left out, each with place and reason.
    pub skipped: Vec<Skipped>,
    /// What came in and is not quite as it was.
    pub notes: Vec<Remark>,
    /// Posts and boosts that the outbox shows now.
    pub published: u64,
    /// Boosts that the account keeps and does not show, as its settings say.
    pub unpublished_boosts: u64,
    /// Replies to others, and what answers those, that the account keeps and does not show.
    pub unpublished_replies: u64,
    /// Media files stored for what was created or updated, each counted once.
    pub media_stored: u64,
    /// Media files that posts refer to and that could not be had.
    pub media_missing: u64,
    /// Posts whose date is an estimate.
    pub estimated_dates: u64,
    /// Posts that are not public. `skipped` has those alone that were asked for and could not be kept.
    pub private: private::Tally,
    /// What became of the profile that the archive tells; `None` where it tells none of this account.
    pub profile: Option<profile::Outcome>,
}

impl Report {
    /// Its numbers by name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("read", self.read),
            ("created", self.created),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("skipped", self.skipped.len() as u64),
            ("media_stored", self.media_stored),
            ("media_missing", self.media_missing),
            ("estimated_dates", self.estimated_dates),
            ("published", self.published),
            ("unpublished_boosts", self.unpublished_boosts),
            ("unpublished_replies", self.unpublished_replies),
            ("private_stored", self.private.stored),
            ("private_left_out", self.private.left_out),
            ("notes", self.notes.len() as u64),
        ]
    }
}
