//! Tokens that let programs in where no person sits before them.

use super::ids::{AccountId, TokenId};
use chrono::{DateTime, Utc};

/// What a token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Take all of an account away, as an export.
    Export,
    /// Read the figures of the whole server.
    Metrics,
    /// Read what an account's owner sees.
    Read,
}

impl Scope {
    /// Each, in the order in which they are shown.
    pub const ALL: [Scope; 3] = [Scope::Export, Scope::Metrics, Scope::Read];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Export => "export",
            Scope::Metrics => "metrics",
            Scope::Read => "read",
        }
    }

    /// The scope of a word.
    pub fn parse(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    /// Whether it is about the whole server and no account.
    pub fn is_of_server(self) -> bool {
        self == Scope::Metrics
    }
}

/// A token as it is kept: without itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// The account that it is for; `None`: the whole server.
    pub account: Option<AccountId>,
    /// What its owner calls it.
    pub name: String,
    /// What it lets its holder do.
    pub scopes: Vec<Scope>,
    /// Since when.
    pub created: DateTime<Utc>,
    /// When it was last used, give or take a minute.
    pub used: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_a_word_that_leads_back_to_it() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::parse("write"), None);
    }
}
