//! Every URL that we mint, in one file. They follow Mastodon's scheme and are for ever.

use super::account::Handle;
use super::feed::Part;
use super::ids::{ContextId, PostId};
use chrono::{DateTime, Utc};

/// What is encoded in a hashtag's URL: all but letters, digits and the unreserved marks of RFC 3986.
const TAG: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b'~');

/// The URLs of a domain, from its base URL (`https://host`, no trailing slash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainUrls {
    base: String,
}

impl DomainUrls {
    /// The URLs under `base`.
    pub fn new(base: &str) -> DomainUrls {
        DomainUrls { base: base.to_owned() }
    }

    /// `https://host`, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Host, with its port where there is one: what stands after `@` in a handle.
    pub fn authority(&self) -> &str {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, authority)| authority)
    }

    /// The host alone, without a port.
    pub fn host(&self) -> &str {
        host_of(self.authority())
    }

    /// Whether the domain's name leads to this machine alone, so that nothing under it is for ever.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.authority())
    }

    /// The server actor.
    pub fn server_actor(&self) -> String {
        format!("{}/actor", self.base)
    }

    /// The shared inbox.
    pub fn shared_inbox(&self) -> String {
        format!("{}/inbox", self.base)
    }

    /// A path of this domain as a whole URL.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A stored media file.
    pub fn media(&self, file_name: &str) -> String {
        format!("{}/media/{file_name}", self.base)
    }

    /// The page of a hashtag.
    pub fn tag(&self, tag: &str) -> String {
        let encoded = percent_encoding::utf8_percent_encode(tag, TAG);
        format!("{}/tags/{encoded}", self.base)
    }

    /// The feeds of a hashtag.
    pub fn tag_feeds(&self, tag: &str) -> FeedUrls {
        FeedUrls { page: self.tag(tag) }
    }

    /// The URLs of an account here.
    pub fn account(&self, handle: &Handle) -> AccountUrls {
        AccountUrls { domain: self.clone(), handle: handle.clone() }
    }
}

/// An authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// What a URL of our scheme names. Whether its host is ours and it is there, the URL does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// `https://host`, without a trailing slash.
    pub base: String,
    /// Whose it is.
    pub handle: Handle,
    /// Which post of theirs; `None`: themselves.
    pub post: Option<PostId>,
}

impl Named {
    /// Read an account's or a post's URL, be it the id, the page or the activity that made it. `None` for every other one.
    pub fn read(url: &str) -> Option<Named> {
        let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "https" | "http"))?;
        let (authority, path) = rest.split_once('/')?;
        let (handle, post) = match path.split('/').collect::<Vec<_>>()[..] {
            ["users", handle] => (handle, None),
            ["users", handle, "statuses", id] | ["users", handle, "statuses", id, "activity"] => (handle, Some(id)),
            [page] => (page.strip_prefix('@')?, None),
            [page, id] => (page.strip_prefix('@')?, Some(id)),
            _ => return None,
        };
        let number = |id: &str| id.parse().ok().filter(|number: &i64| *number >= 0 && number.to_string() == id);
        let post = post.map(|id| number(id).map(PostId).ok_or(())).transpose().ok()?;
        let handle = Handle::parse(handle).ok().filter(|parsed| parsed.as_str() == handle)?;
        Some(Named { base: format!("{scheme}://{authority}"), handle, post })
    }
}

/// Whether a host (with or without port) is a name or address of this machine alone.
pub fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// The URLs of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUrls {
    domain: DomainUrls,
    handle: Handle,
}

impl AccountUrls {
    /// The domain that the account is on.
    pub fn domain(&self) -> &DomainUrls {
        &self.domain
    }

    /// The actor's id.
    pub fn actor(&self) -> String {
        format!("{}/users/{}", self.domain.base, self.handle)
    }

    /// The profile page, which is the actor's `url`: on the actor's own host.
    pub fn profile(&self) -> String {
        format!("{}/@{}", self.domain.base, self.handle)
    }

    /// Its feeds.
    pub fn feeds(&self) -> FeedUrls {
        FeedUrls { page: self.profile() }
    }

    /// Something below the actor: `outbox`, `collections/featured`.
    pub fn under(&self, path: &str) -> String {
        format!("{}/users/{}/{path}", self.domain.base, self.handle)
    }

    /// The collection of its pins.
    pub fn featured(&self) -> String {
        self.under("collections/featured")
    }

    /// The Announce that shows a post again, at a moment of which there is one for an account, to the second.
    pub fn announce(&self, id: PostId, at: DateTime<Utc>) -> String {
        self.under_note(id, &format!("announces/{}", at.timestamp()))
    }

    /// A Note's id.
    pub fn note(&self, id: PostId) -> String {
        self.under(&format!("statuses/{id}"))
    }

    /// Something below a Note: `activity`, `replies`, `likes`, `shares`.
    pub fn under_note(&self, id: PostId, path: &str) -> String {
        self.under(&format!("statuses/{id}/{path}"))
    }

    /// The page of a post.
    pub fn page(&self, id: PostId) -> String {
        format!("{}/@{}/{id}", self.domain.base, self.handle)
    }

    /// The collection of a conversation's Notes.
    pub fn context(&self, id: ContextId) -> String {
        self.under(&format!("contexts/{id}"))
    }
}

/// The URLs of what can be subscribed to: below the page that shows the same to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedUrls {
    page: String,
}

impl FeedUrls {
    /// The page.
    pub fn page(&self) -> &str {
        &self.page
    }

    /// The feed itself, in a format: `atom`, `rss`, `json`.
    pub fn feed(&self, format: &str) -> String {
        format!("{}/feed.{format}", self.page)
    }

    /// An archive document of it. Other entries than before have another URL (RFC 5005, section 4).
    pub fn archive(&self, part: &Part, format: &str) -> String {
        format!("{}/feed/{}.{format}?v={}", self.page, part.name(), part.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_count_as_loopback() {
        for name in ["localhost", "localhost:8080", "127.0.0.1:80", "[::1]:8080", "a.localhost", "127.9.9.9"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["example.org", "localhost.example.org", "10.0.0.1", "[fe80::1]"] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    #[test]
    fn a_url_of_ours_tells_whose_it_is_and_which_post() {
        let base = "https://a.example:8443";
        let urls = DomainUrls::new(base).account(&Handle::parse("ann").unwrap());
        let named = |post: Option<i64>| {
            let handle = Handle::parse("ann").unwrap();
            Some(Named { base: base.to_owned(), handle, post: post.map(PostId) })
        };
        for url in [urls.actor(), urls.profile()] {
            assert_eq!(Named::read(&url), named(None), "{url}");
        }
        for url in [urls.note(PostId(7)), urls.page(PostId(7)), urls.under_note(PostId(7), "activity")] {
            assert_eq!(Named::read(&url), named(Some(7)), "{url}");
        }
        let others = [
            "",
            "/",
            "/inbox",
            "/users/ann/outbox",
            "/users/ann/statuses/7/likes",
            "/users/ann/statuses/07",
            "/@",
            "/users/Ann",
            "/@ann/x",
            "/users/ann#x",
        ];
        for path in others {
            assert_eq!(Named::read(&format!("{base}{path}")), None, "{path}");
        }
        assert_eq!(Named::read("acct:ann@a.example"), None);
    }

    #[test]
    fn a_tag_with_other_letters_is_encoded() {
        let urls = DomainUrls::new("https://a.example");
        assert_eq!(urls.tag("blåbær"), "https://a.example/tags/bl%C3%A5b%C3%A6r");
    }
}
