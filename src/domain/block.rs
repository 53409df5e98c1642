//! Whom nothing is taken from and nothing is sent to.

use super::ids::{AccountId, BlockId};
use chrono::{DateTime, Utc};

/// What a block is aimed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockTarget {
    /// A domain with its subdomains, in lower case.
    Domain(String),
    /// An actor, by its id.
    Actor(String),
}

/// A block as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its number.
    pub id: BlockId,
    /// The account for which it holds; `None`: the whole server.
    pub account: Option<AccountId>,
    /// What it is aimed at.
    pub target: BlockTarget,
    /// Why, in the owner's words.
    pub comment: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A host and every domain that it is below, longest first: `a.b.example` is blocked with any of the three. A port does
/// not count.
pub fn domains_above(host: &str) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host.as_str(),
    };
    let mut domains = vec![host.to_owned()];
    let mut rest = host;
    while let Some((_, above)) = rest.split_once('.') {
        domains.push(above.to_owned());
        rest = above;
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_domain_stands_for_what_is_below_it_and_not_beside_it() {
        assert_eq!(domains_above("A.b.example:8443"), ["a.b.example", "b.example", "example"]);
        assert!(!domains_above("notb.example").contains(&"b.example".to_owned()));
        assert_eq!(domains_above("[::1]:8080"), ["[::1]"]);
    }
}
