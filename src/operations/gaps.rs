//! Posts of an import that do not stand here where everyone can read them, and what the posts below them answer instead.

use super::audiences::Audiences;
use super::ingest::digest;
use crate::domain::post::NewPost;
use crate::domain::source::SourceKey;
use std::collections::BTreeMap;

/// The gaps that an import left so far. Of each a hash is kept, and which key lies above it: a conversation shares one.
#[derive(Default)]
pub(super) struct Gaps {
    /// A place in `keys`; `None` where nothing lies above.
    above: BTreeMap<u128, Option<u32>>,
    keys: Vec<SourceKey>,
}

impl Gaps {
    /// A post that answers `reply_to` is left out. Parents come before their replies.
    pub(super) fn open(&mut self, key: &SourceKey, reply_to: Option<SourceKey>) {
        let above = match (reply_to.as_ref().and_then(|key| self.find(key)), reply_to) {
            (Some(above), _) => above,
            (None, None) => None,
            (None, Some(key)) => {
                self.keys.push(key);
                u32::try_from(self.keys.len() - 1).ok()
            }
        };
        self.above.insert(digest(&key.0), above);
    }

    /// A post is here after all.
    pub(super) fn close(&mut self, key: &SourceKey) {
        if !self.above.is_empty() {
            self.above.remove(&digest(&key.0));
        }
    }

    /// Whether a post was left out.
    pub(super) fn has(&self, key: &SourceKey) -> bool {
        self.find(key).is_some()
    }

    /// The nearest post that was not left out, from `key` upwards.
    pub(super) fn around(&self, key: Option<SourceKey>) -> Option<SourceKey> {
        match key.as_ref().and_then(|key| self.find(key)) {
            Some(above) => above.and_then(|at| self.keys.get(usize::try_from(at).ok()?)).cloned(),
            None => key,
        }
    }

    /// A post that answers one which cannot be stored answers that one's parent instead, so that a thread goes on around a
    /// gap. What a post says of one that nobody may see here is taken out of it.
    pub(super) fn join(&self, mut post: NewPost, audiences: &Audiences) -> NewPost {
        let told = post.reply_to.clone();
        post.reply_to = self.around(post.reply_to);
        if post.reply_to != told || told.is_some_and(|key| audiences.is_closed(&key)) {
            // Not even where that stood is told.
            post.details.answers = None;
        }
        if post.refers_to.as_ref().is_some_and(|key| audiences.is_closed(key)) {
            (post.details.quote, post.refers_to) = (None, None);
            post.content = post.content.without_quote();
            post.details.languages.iter_mut().for_each(|(_, html)| *html = html.without_quote());
        }
        post
    }

    fn find(&self, key: &SourceKey) -> Option<Option<u32>> {
        if self.above.is_empty() {
            return None;
        }
        self.above.get(&digest(&key.0)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> SourceKey {
        SourceKey(name.to_owned())
    }

    #[test]
    fn a_thread_goes_on_around_any_number_of_gaps_until_one_is_closed() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.around(Some(key("a"))), Some(key("a")));
        gaps.open(&key("b"), Some(key("a")));
        gaps.open(&key("c"), Some(key("b")));
        gaps.open(&key("x"), None);
        gaps.open(&key("y"), Some(key("x")));
        for (answered, joined) in [("a", Some("a")), ("b", Some("a")), ("c", Some("a")), ("x", None), ("y", None)] {
            assert_eq!(gaps.around(Some(key(answered))), joined.map(key), "{answered}");
        }
        gaps.close(&key("c"));
        assert_eq!(gaps.around(Some(key("c"))), Some(key("c")));
        assert!(gaps.has(&key("b")) && !gaps.has(&key("c")));
    }
}
