//! Layout (c): a page for each status, as mastodon-markdown-archive writes it from its default template.
//!
//! Known by `post_uri` and `post_id` in its front matter. Its text is Markdown that a converter made from the server's
//! HTML without escaping anything. Start with [`item`].

use super::markdown::{self, Flavour};
use super::{
    Item, MAX_POST, Page, TOO_DEEP, front_matter, generic, hashtags, links, markup, media_of, site, web_address,
};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{DateOrigin, Format, PostLink, SourceKey, SourcePost};
use crate::domain::told::Told;

/// The version of this reader. A new one may read differently what has not changed.
pub const READER_VERSION: i32 = 1;

/// The one post of a page.
pub fn item(page: &Page<'_>) -> Item {
    let says = &page.front_matter;
    let line = page.first_line();
    let skipped = |reason: &str| Err(page.skipped(line, reason));
    let stated = says.post_uri().unwrap_or_default();
    let Some(url) = web_address(stated) else {
        return Err(page.skipped(1, &format!("its post_uri is no web address: {stated}")));
    };
    let text = page.body();
    if text.len() > MAX_POST {
        return skipped("is longer than 128 KiB, which no post is");
    }
    if markdown::is_too_deep(text) {
        return skipped(TOO_DEEP);
    }
    let link = PostLink::read(&url);
    let date = says.date.as_deref().or(says.published_at.as_deref()).and_then(front_matter::date);
    let by_id = || link.status.and_then(|status| trusted_time(status, None, page.now));
    let dated = date.map(|date| (date, DateOrigin::FrontMatter));
    let Some((published, date_origin)) = dated.or_else(|| Some((by_id()?, DateOrigin::StatusId))) else {
        return skipped("has no date: neither its front matter nor its status id tells one");
    };
    if !page.is_plausible(published) {
        return skipped("its date is before 1970 or in the future");
    }
    let (text, images) = markup::take_media(&text.replace("\r\n", "\n"), markup::Looking::Images);
    let html = links::mend(&markdown::html(text.trim(), Flavour::Status), None).html;
    if images.is_empty() && text.trim().is_empty() {
        return skipped("is empty");
    }
    let mut remarks = Vec::new();
    if !says.descendants.is_empty() {
        let count = says.descendants.len();
        let note =
            format!("its page holds the text of {count} more of its thread, which cannot be told apart from its own");
        remarks.push(page.remark(line, &note, false));
    }
    let (_, canonical_url) = links::object_and_page(&url, &link);
    Ok(SourcePost {
        at: format!("{}:{line}", page.shown),
        reply_to: says.in_reply_to.as_deref().map(|id| answered(id, stated, says.post_id.as_deref())),
        key: link.key,
        author: link.author,
        status: link.status,
        object_id: Some(url.into()),
        object_id_stated: true,
        canonical_url: Some(canonical_url),
        audience: page.audience(),
        published,
        date_origin,
        edited: generic::edited(page, published),
        html,
        warning: None,
        sensitive: says.sensitive,
        language: generic::language(page),
        tags: hashtags(says.tags.as_written().iter().map(String::as_str)),
        media: media_of(images, |target| site::reference(page.tree, page.folder(), target)),
        told: Told::default(),
        bytes: page.text.as_bytes().to_vec(),
        format: Format::HugoStatus,
        reader_version: READER_VERSION,
        remarks,
    })
}

/// The key of the status that this one answers. Its id is one of this server's, as the page's own is: with that in the
/// place of the page's own id, the URI is that of the answered status, as far as its key goes. Where it is not, the post
/// answers something that is not here.
fn answered(id: &str, own_uri: &str, own_id: Option<&str>) -> SourceKey {
    let sibling = own_id.and_then(|own| Some(format!("{}{id}", own_uri.strip_suffix(own)?)));
    match web_address(id).or_else(|| web_address(&sibling?)) {
        Some(url) => PostLink::read(&url).key,
        None => SourceKey(format!("{own_uri}#in-reply-to-{id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_answers_is_named_by_an_id_of_its_own_server() {
        let key = |id: &str, uri: &str, own: &str| answered(id, uri, Some(own)).0;
        assert_eq!(key("8", "https://a.example/users/ann/statuses/9", "9"), "mastodon:a.example:8");
        assert_eq!(
            key("01B", "https://g.example/users/ann/statuses/01A", "01A"),
            "https://g.example/users/ann/statuses/01B"
        );
        assert_eq!(
            key("https://b.example/@bob/7", "https://a.example/users/ann/statuses/9", "9"),
            "mastodon:b.example:7"
        );
        let elsewhere = key("AbC", "https://p.example/objects/5f-1", "AbD");
        assert_eq!(elsewhere, "https://p.example/objects/5f-1#in-reply-to-AbC", "no key that any post has");
    }
}
