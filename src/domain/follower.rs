//! Who follows an account of ours.

use super::remote::KnownActor;
use chrono::{DateTime, Utc};

/// How far a Follow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowState {
    /// The owner has to decide.
    Requested,
    /// It is accepted.
    Accepted,
}

impl FollowState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            FollowState::Requested => "requested",
            FollowState::Accepted => "accepted",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<FollowState> {
        [FollowState::Requested, FollowState::Accepted].into_iter().find(|state| state.as_str() == word)
    }
}

/// Somebody who follows an account, or has asked to.
#[derive(Clone, Debug, PartialEq)]
pub struct Follower {
    /// Who.
    pub actor: KnownActor,
    /// How far it has come.
    pub state: FollowState,
    /// The id of the Follow.
    pub follow_uri: String,
    /// The Follow as it came, which an answer embeds.
    pub follow: String,
    /// When the first one came.
    pub since: DateTime<Utc>,
}
