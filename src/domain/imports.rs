//! Imports as they are remembered: what came in, when, what came of it, and what undoing them comes to. Data alone.

use super::ids::{AccountId, ImportId};
use super::source::Format;
use chrono::{DateTime, Utc};

/// A run of an import that wrote, or began to.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Its number.
    pub id: ImportId,
    /// The account that got the posts.
    pub account: AccountId,
    /// That account's handle.
    pub handle: String,
    /// Files and folders as they were given.
    pub paths: Vec<String>,
    /// The format of the first post; `None` for one that this version does not know.
    pub format: Option<Format>,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended; `None` while it runs, and for ever if it was broken off.
    pub finished: Option<DateTime<Utc>>,
    /// The numbers of its report by name; none before it ended.
    pub counts: Vec<(String, u64)>,
    /// What undoing it has come to so far; `None` until somebody begins to.
    pub undoing: Option<UndoCounts>,
    /// When it was undone to its end.
    pub undone: Option<DateTime<Utc>>,
}

/// What undoing an import comes to, or would come to: posts that it made, and posts that it wrote over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UndoCounts {
    /// Made by it, never seen by another server: they go, and may come again.
    pub deleted: u64,
    /// Made by it and seen: they are withdrawn, and stay so.
    pub withdrawn: u64,
    /// Written over by it: they are again what they were.
    pub restored: u64,
    /// Made or written over by it, and written over by a later import: they stay as they are.
    pub protected: u64,
}

impl UndoCounts {
    /// Names and numbers, for the database and for `--json`.
    pub fn entries(&self) -> [(&'static str, u64); 4] {
        [
            ("deleted", self.deleted),
            ("withdrawn", self.withdrawn),
            ("restored", self.restored),
            ("protected", self.protected),
        ]
    }

    /// Both together.
    pub fn and(self, other: UndoCounts) -> UndoCounts {
        UndoCounts {
            deleted: self.deleted + other.deleted,
            withdrawn: self.withdrawn + other.withdrawn,
            restored: self.restored + other.restored,
            protected: self.protected + other.protected,
        }
    }
}

/// What an import is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// It runs, or was broken off: nothing in the database tells which.
    Unfinished,
    /// It came to its end.
    Finished,
    /// Undoing it runs, or was broken off; undoing it again does the rest.
    HalfUndone,
    /// It was undone.
    Undone,
}

impl Import {
    /// What it is up to.
    pub fn state(&self) -> ImportState {
        match (self.undone, self.undoing, self.finished) {
            (Some(_), _, _) => ImportState::Undone,
            (None, Some(_), _) => ImportState::HalfUndone,
            (None, None, Some(_)) => ImportState::Finished,
            (None, None, None) => ImportState::Unfinished,
        }
    }
}

impl ImportState {
    /// The word for messages and `--json`.
    pub fn name(self) -> &'static str {
        match self {
            ImportState::Unfinished => "unfinished",
            ImportState::Finished => "finished",
            ImportState::HalfUndone => "half undone",
            ImportState::Undone => "undone",
        }
    }
}
