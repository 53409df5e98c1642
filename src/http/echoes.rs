//! What others did with a post, as its page shows it: how much, and what they answered.

use super::views::{grouped, human};
use crate::activitystreams::render::{is_web_address, timestamp};
use crate::domain::echo::{Echo, Reply};

/// A reply of somebody on another server.
pub struct ReplyView {
    pub(super) author_name: String,
    pub(super) author_handle: String,
    pub(super) author_url: Option<String>,
    pub(super) url: String,
    pub(super) published_iso: String,
    pub(super) published_human: String,
    pub(super) warning: Option<String>,
    pub(super) lang: Option<String>,
    pub(super) content_html: String,
    /// What it answers, if that is not the post itself.
    pub(super) answers: Option<String>,
}

impl ReplyView {
    /// A reply, with links to its own server alone.
    pub fn new(reply: &Reply) -> ReplyView {
        let author = &reply.author;
        let host = || crate::domain::remote::host_of(&author.uri).unwrap_or_default();
        let handle = author.handle.as_ref().map_or_else(host, |handle| format!("@{handle}"));
        let pages = [author.page.as_deref(), Some(author.uri.as_str())];
        ReplyView {
            author_name: if author.name.trim().is_empty() { handle.clone() } else { author.name.clone() },
            author_handle: handle,
            author_url: pages.into_iter().flatten().find(|url| is_web_address(url)).map(str::to_owned),
            url: reply.page.clone().unwrap_or_else(|| reply.uri.clone()),
            published_iso: timestamp(reply.published),
            published_human: human(reply.published),
            warning: reply.warning.clone(),
            lang: reply.language.clone(),
            content_html: reply.content.as_str().to_owned(),
            answers: (!reply.is_direct()).then(|| reply.answers.clone()).filter(|url| is_web_address(url)),
        }
    }
}

/// `3 likes, 1 boost`, of what came here; `None` if nothing did.
pub(super) fn told(echo: &Echo) -> Option<String> {
    let counted = [
        (echo.likes, "like", "likes"),
        (echo.boosts, "boost", "boosts"),
        (echo.emoji, "emoji reaction", "emoji reactions"),
        (echo.replies, "reply", "replies"),
    ];
    let told = counted.into_iter().filter(|(total, ..)| *total > 0).map(|(total, one, many)| {
        format!("{} {}", grouped(i64::try_from(total).unwrap_or(i64::MAX)), if total == 1 { one } else { many })
    });
    let told = told.collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_in_words_and_nothing_where_nothing_came() {
        assert_eq!(told(&Echo::default()), None);
        let echo = Echo { likes: 1, boosts: 1234, replies: 2, ..Echo::default() };
        assert_eq!(told(&echo).as_deref(), Some("1 like, 1,234 boosts, 2 replies"));
    }
}
