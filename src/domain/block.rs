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
    /// An actor whose id is not known, by `user@domain` in lower case: it holds for every actor that goes by this.
    Address(String),
}

impl BlockTarget {
    /// Read a target as a person writes it: `example.org`, `user@example.org` with or without a leading `@` or `acct:`, or the
    /// id of an actor, which begins with `https://`.
    pub fn parse(text: &str) -> Result<BlockTarget, String> {
        let text = text.trim();
        let wrong =
            || format!("{text:?} is no domain (example.org), no address (user@example.org) and no id of an actor");
        if text.contains("://") {
            let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
            return match url.is_some_and(|url| url.has_host()) {
                true => Ok(BlockTarget::Actor(text.to_owned())),
                false => Err(wrong()),
            };
        }
        let bare = text.strip_prefix("acct:").unwrap_or(text);
        match bare.strip_prefix('@').unwrap_or(bare).split_once('@') {
            Some((user, domain)) => {
                let valid = !user.is_empty() && user.chars().all(|c| c.is_alphanumeric() || "_.-~+".contains(c));
                let domain = parse_domain(domain).filter(|_| valid).ok_or_else(wrong)?;
                Ok(BlockTarget::Address(format!("{}@{domain}", user.to_lowercase())))
            }
            None => parse_domain(bare).map(BlockTarget::Domain).ok_or_else(wrong),
        }
    }
}

impl std::fmt::Display for BlockTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BlockTarget::Domain(target) | BlockTarget::Actor(target) => f.write_str(target),
            BlockTarget::Address(address) => write!(f, "@{address}"),
        }
    }
}

/// A domain as it stands in URLs: lower case, other letters as Punycode. `None` for what is none.
fn parse_domain(text: &str) -> Option<String> {
    let url = url::Url::parse(&format!("https://{text}/")).ok()?;
    let plain =
        url.path() == "/" && url.username().is_empty() && url.port().is_none() && !text.contains(['/', '?', '#', ':']);
    // A block of a whole top level domain would be a slip: `com` and the like are not taken.
    let host = url.host_str().filter(|host| plain && host.trim_matches('.').contains('.'))?;
    Some(host.trim_end_matches('.').to_owned())
}

/// What came of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Whether it is new.
    pub is_new: bool,
    /// How many followers and requests it removed.
    pub followers: u64,
    /// How many of their likes, boosts and emoji it took back.
    pub reactions: u64,
    /// How many deliveries that waited it dropped.
    pub deliveries: u64,
    /// Whether it is aimed at an id that no actor has who is known here: it holds for exactly this id, if it is one at all.
    pub is_unknown: bool,
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
    fn a_target_is_a_domain_an_address_or_an_id() {
        let domain = |text: &str| Ok(BlockTarget::Domain(text.to_owned()));
        let address = |text: &str| Ok(BlockTarget::Address(text.to_owned()));
        assert_eq!(BlockTarget::parse("Bad.Example"), domain("bad.example"));
        assert_eq!(BlockTarget::parse("bücher.example"), domain("xn--bcher-kva.example"));
        assert_eq!(BlockTarget::parse("192.0.2.1"), domain("192.0.2.1"));
        for text in ["bo@far.example", "@Bo@Far.example", "acct:bo@far.example"] {
            assert_eq!(BlockTarget::parse(text), address("bo@far.example"), "{text}");
        }
        let id = "https://far.example/users/Bo";
        assert_eq!(BlockTarget::parse(id), Ok(BlockTarget::Actor(id.to_owned())));
        for wrong in
            ["", "com", "a b.example", "@bo", "bo@", "b o@far.example", "ftp://a.example/x", "a.example/x", "https://"]
        {
            assert!(BlockTarget::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_blocked_domain_stands_for_what_is_below_it_and_not_beside_it() {
        assert_eq!(domains_above("A.b.example:8443"), ["a.b.example", "b.example", "example"]);
        assert!(!domains_above("notb.example").contains(&"b.example".to_owned()));
        assert_eq!(domains_above("[::1]:8080"), ["[::1]"]);
    }
}
