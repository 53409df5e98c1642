//! What a page that Everpost wrote knows of its posts beside their text: an activity for each, in its front matter.
//!
//! The text of a post is what the page shows, also where somebody changed it since; an activity makes nothing public that
//! the page does not. Start with [`of`].

use super::{Item, Page, body, markup, site, web_address};
use crate::activitystreams::read::{self, Deed};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{DateOrigin, Format, SourceKey, SourceMedia, SourcePost};
use crate::domain::told::{MediaTold, Told};
use crate::import::mastodon::identity::address;
use crate::import::mastodon::post::author_of;
use chrono::Timelike;
use serde_json::Value;

/// The longest text of a post that is taken: what is served of it must stay below what other servers take.
const LONGEST: usize = 1024 * 1024;

/// How the lines begin that a page has above the text of a post.
const ABOVE: [&str; 2] = ["# Toots from ", "*Content Warning: "];

/// The activity of the post that stands under a link; `None` on pages by others.
pub fn of<'a>(page: &'a Page<'_>, link: Option<&str>) -> Option<&'a Value> {
    let says = |value: &Value, key: &str| object(value).get(key).and_then(Value::as_str) == link;
    let is_it = |value: &&Value| says(value, "url") || says(value, "id");
    link.and_then(|_| page.front_matter.activities.iter().find(is_it))
}

fn object(activity: &Value) -> &Value {
    activity.get("object").filter(|object| object.is_object()).unwrap_or(activity)
}

/// The post of an activity, with the text that stands on the page.
pub fn item(page: &Page<'_>, value: &Value, line: usize, text: &str, (format, reader_version): (Format, i32)) -> Item {
    let skipped = |reason: &str| page.skipped(line, reason);
    let activity = read::activity(value).map_err(|reason| skipped(&format!("its activity {reason}")))?;
    let Deed::Create(object) = activity.deed.clone() else {
        return Err(skipped("its activity makes no post"));
    };
    if text.len() > LONGEST {
        return Err(skipped("is longer than 1 MiB, which other servers would not take"));
    }
    let id = object.id.as_deref().and_then(address);
    let stood = object.page.as_deref().and_then(web_address);
    let Some(url) = id.as_ref().or(stood.as_ref()) else {
        return Err(skipped("its activity has no web address"));
    };
    let link = page.identities.borrow_mut().of(url, stood.as_ref());
    let find = |at: &Option<String>| Some(page.identities.borrow().find(&at.as_deref().and_then(address)?));
    let (reply_to, refers_to) = (find(&object.told.answers), find(&object.told.quote));
    let says = |key: &str| value.get(key).and_then(Value::as_bool) == Some(true);
    // No key that any post has, as `status.rs` names what it does not find.
    let reply_to = reply_to.or_else(|| says("toOthers").then(|| SourceKey(format!("{url}#in-reply-to"))));
    let stated = object.published.or(activity.published).filter(|time| page.is_plausible(*time));
    let by_id = link.status.and_then(|status| trusted_time(status, stated, page.now));
    // A status number that agrees to the second tells the milliseconds.
    let agrees =
        stated.zip(by_id).is_some_and(|(at, by_id)| at.nanosecond() == 0 && at.timestamp() == by_id.timestamp());
    let (published, date_origin) = match (stated, by_id) {
        (Some(_), Some(finer)) if agrees => (finer, DateOrigin::Stated),
        (Some(stated), _) => (stated, DateOrigin::Stated),
        (None, Some(time)) => (time, DateOrigin::StatusId),
        (None, None) => return Err(skipped("has no date between 1970 and today, and its id tells none")),
    };
    let (html, media) = content(page, text, object.media);
    Ok(SourcePost {
        at: format!("{}:{line}", page.shown),
        author: author_of(&activity).map(|(_, author)| author).or(link.author),
        status: link.status,
        object_id_stated: id.is_some(),
        canonical_url: stood.or(id.clone()).map(Into::into),
        object_id: id.map(Into::into),
        audience: activity.audience.narrower(page.audience()),
        published,
        date_origin: if says("dateEstimated") { DateOrigin::Estimated } else { date_origin },
        edited: object.updated.filter(|edited| *edited > published && page.is_plausible(*edited)),
        html,
        warning: object.warning,
        sensitive: object.sensitive,
        language: object.language,
        tags: object.tags,
        reply_to,
        media,
        told: Told { refers_to, ..object.told },
        bytes: format!("{value}\n{text}").into_bytes(),
        format,
        reader_version,
        remarks: Vec::new(),
        key: link.key,
    })
}

/// The text that a page shows, and its media: those that the activity names and nobody has taken out since, then those that
/// somebody has added.
fn content(page: &Page<'_>, text: &str, told: Vec<SourceMedia>) -> (String, Vec<SourceMedia>) {
    let (html, embeds) = markup::take_media(&text.replace("\r\n", "\n"), markup::Looking::Everything);
    let mut html = html.trim();
    while let Some(line) = html.lines().next().filter(|line| ABOVE.iter().any(|start| line.starts_with(start))) {
        html = html[line.len()..].trim();
    }
    let html = body::without_separators(html).to_owned();
    let reference = |target: &str| site::reference(page.tree, page.folder(), target);
    let shown: Vec<(String, markup::Embed)> =
        embeds.into_iter().filter_map(|embed| Some((reference(&embed.target)?, embed))).collect();
    let mut media: Vec<SourceMedia> = Vec::new();
    for item in told {
        let reference = reference(&item.reference).unwrap_or_else(|| item.reference.clone());
        if !page.tree.holds(&reference) || shown.iter().any(|(other, _)| *other == reference) {
            media.push(SourceMedia { reference, ..item });
        }
    }
    for (reference, embed) in shown {
        if media.iter().all(|known| known.reference != reference) {
            media.push(SourceMedia { reference, kind: embed.kind, alt: embed.alt, told: MediaTold::default() });
        }
    }
    (html, media)
}
