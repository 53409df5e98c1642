//! Which post it is: one key, whether it is known by its object's id or by its page.

use crate::domain::source::{PostLink, SourceKey, is_web, web_address};
use std::collections::HashMap;
use url::Url;

/// Posts whose page gives their key and that are kept in mind, so that replies find them by their id.
const MOST: usize = 200_000;

/// The keys of the posts so far, as far as they are not to be seen in their ids.
#[derive(Debug, Default)]
pub(in crate::import) struct Identities {
    /// The key that an object's id would give, to the one that its page gave.
    by_object: HashMap<SourceKey, SourceKey>,
    /// The other way round: a page is one post's only.
    by_page: HashMap<SourceKey, SourceKey>,
}

impl Identities {
    /// The identity of a post with that id and page.
    ///
    /// A status number in the id decides. Without one the page decides, where it is on the same server, because that is
    /// what other archives of the same posts know; a page that is the top of its server, or another post's, does not.
    pub(in crate::import) fn of(&mut self, id: &Url, page: Option<&Url>) -> PostLink {
        let by_id = PostLink::read(id);
        let is_page = |page: &&Url| page.host_str() == id.host_str() && page.port() == id.port() && page.path() != "/";
        let Some(page) = page.filter(is_page).filter(|_| by_id.status.is_none()) else { return by_id };
        let by_page = PostLink::read(page);
        if by_page.key == by_id.key {
            return PostLink { author: by_page.author.or(by_id.author), ..by_page };
        }
        let owner = self.by_page.get(&by_page.key);
        if owner.is_some_and(|owner| *owner != by_id.key) || (owner.is_none() && self.by_page.len() >= MOST) {
            return by_id;
        }
        self.by_page.insert(by_page.key.clone(), by_id.key.clone());
        self.by_object.insert(by_id.key, by_page.key.clone());
        PostLink { author: by_page.author.or(by_id.author), ..by_page }
    }

    /// The key of the post with that id.
    pub(in crate::import) fn find(&self, id: &Url) -> SourceKey {
        let key = PostLink::read(id).key;
        self.by_object.get(&key).cloned().unwrap_or(key)
    }
}

/// The address of an object. A `bear:` address holds the object's own beside a token that lets one in (Mastodon reads
/// them since 3.3): the token is a secret and goes no further.
pub(in crate::import) fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    if url.scheme() == "bear" {
        let inner = url.query_pairs().find(|(key, _)| key == "u").map(|(_, inner)| inner.into_owned())?;
        return web_address(&inner);
    }
    Some(url).filter(is_web)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(identities: &mut Identities, id: &str, page: &str) -> String {
        identities.of(&id.parse().unwrap(), page.parse().ok().as_ref()).key.0
    }

    #[test]
    fn a_status_number_in_the_id_decides_whatever_the_page_says() {
        let mut known = Identities::default();
        let id = "https://m.example/ap/users/7/statuses/112215823989566555";
        assert_eq!(key(&mut known, id, "https://m.example/@ann/99"), "mastodon:m.example:112215823989566555");
    }

    #[test]
    fn without_a_number_the_page_decides_and_a_reply_finds_it_by_the_id() {
        let mut known = Identities::default();
        let id = "https://pl.example/objects/5b1ae2f0";
        assert_eq!(key(&mut known, id, "https://pl.example/notice/AaBb"), "https://pl.example/notice/AaBb");
        assert_eq!(known.find(&id.parse().unwrap()).0, "https://pl.example/notice/AaBb");
        assert_eq!(key(&mut known, id, "https://pl.example/notice/AaBb"), "https://pl.example/notice/AaBb", "again");
    }

    #[test]
    fn a_page_that_cannot_tell_posts_apart_does_not_decide() {
        let mut known = Identities::default();
        let (one, two) = ("https://b.example/?p=1", "https://b.example/?p=2");
        assert_eq!(key(&mut known, one, "https://b.example/"), one.replace("/?", "?"), "the top of the server");
        assert_eq!(key(&mut known, one, "https://elsewhere.example/a"), one.replace("/?", "?"), "another server");
        assert_eq!(key(&mut known, one, "https://b.example/a"), "https://b.example/a");
        assert_eq!(key(&mut known, two, "https://b.example/a"), two.replace("/?", "?"), "another post's page");
    }

    #[test]
    fn a_guarded_address_gives_away_the_object_but_not_the_token() {
        let url = address("bear:?t=secret&u=https%3A%2F%2Fm.example%2Fusers%2Fann%2Fstatuses%2F5").unwrap();
        assert_eq!(url.as_str(), "https://m.example/users/ann/statuses/5");
        assert_eq!(address("file:///etc/passwd"), None);
        assert_eq!(address("bear:?u=file:///etc/passwd"), None);
    }
}
