//! A stored post against what its own source says today: the source is read again, and field after field is compared.
//!
//! Only sources that say everything by themselves can be read again: an item of an outbox does, a piece of a page does
//! not. A field is compared when nothing else can have filled it. Must never know where a post is stored.

use super::prepare::{details, detect_language, media_told};
use crate::activitystreams::read::{self, Activity, Deed, Object};
use crate::domain::post::{Boost, Entry, Post, Visibility};
use crate::domain::snowflake;
use crate::domain::source::{Format, PostLink, web_address};
use crate::import::mastodon::READER_VERSION;
use crate::store::archive::Archived;
use crate::text::SafeHtml;
use chrono::{DateTime, Datelike, Duration, SubsecRound, Timelike, Utc};
use serde_json::Value;

/// Whether this version can read a source of that format again, and reads it as it was read when the post was stored.
pub(super) fn can_read(format: Option<Format>, reader_version: i32) -> bool {
    format.is_some_and(Format::is_activities) && reader_version == READER_VERSION
}

/// The fields in which a post is not what its source says. The error says why the source cannot be read.
///
/// Always compared: the text, who may see it, and what the source tells of warning, language, hashtags, id and address.
/// A touched post can have by another source what its own does not tell; of the others, what the source does not tell must
/// not be there either, and time of the edit and media must be those that it names. The date is compared unless it was
/// fixed before the source was read, or was not believed.
pub(super) fn differences(archived: &Archived, bytes: &[u8]) -> Result<Vec<&'static str>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|cause| format!("is not JSON: {cause}"))?;
    let activity = read::activity(&value)?;
    Ok(match (&archived.entry, &activity.deed) {
        (Entry::Post(post), Deed::Create(object)) => differences_of_post(archived, post, &activity, object),
        (Entry::Boost(boost), Deed::Announce(of)) => differences_of_boost(archived, boost, &activity, of),
        _ => vec!["kind"],
    })
}

fn differences_of_boost(archived: &Archived, boost: &Boost, activity: &Activity, of: &str) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut check = |name, same: bool| wrong.extend((!same).then_some(name));
    check("audience", Visibility::of(activity.audience) == Some(boost.visibility));
    check("boosted object", boost.object == of);
    let is_fixed = archived.touched && boost.exposed.is_some();
    if let Some(stated) = activity.published.filter(|at| believed(at, archived) && !is_fixed) {
        check("date", is_date(boost.published, stated, activity.id.as_deref()));
    }
    wrong
}

/// What could not have happened when it came in was not believed then.
fn believed(at: &DateTime<Utc>, archived: &Archived) -> bool {
    (1970..=9999).contains(&at.year()) && *at <= archived.created + Duration::days(1)
}

fn differences_of_post(archived: &Archived, post: &Post, activity: &Activity, object: &Object) -> Vec<&'static str> {
    let Archived { created, touched, .. } = archived;
    let touched = *touched;
    let mut wrong = Vec::new();
    let mut check = |name, same: bool| wrong.extend((!same).then_some(name));
    check("audience", Visibility::of(activity.audience) == Some(post.visibility));
    let content = SafeHtml::sanitise(&object.html);
    // The link to a quoted post that nobody may see is not kept.
    let hides_quote = object.told.quote.is_some() && post.details.quote.is_none();
    check("text", content == post.content || hides_quote && content.without_quote() == post.content);
    check("warning", tells(object.warning.as_ref(), post.warning.as_ref(), touched));
    check("sensitive", post.sensitive == object.sensitive || touched && post.sensitive);
    let language = object.language.clone().or_else(|| detect_language(&content.to_plain()));
    check("language", tells(language.as_ref(), post.language.as_ref(), touched));
    let tags: Vec<String> = object.tags.iter().map(|tag| tag.to_lowercase()).collect();
    check("hashtags", post.tags == tags || touched && tags.is_empty());
    if let Some(id) = object.id.as_deref().and_then(web_address) {
        check("id", post.object_id.as_deref() == Some(id.as_str()));
        let page = object.page.as_deref().map_or(Some(id), web_address);
        check("address", page.is_none_or(|page| post.canonical_url.as_deref() == Some(page.as_str())));
    }
    let is_fixed = touched && post.exposed.is_some();
    let stated = object.published.or(activity.published).filter(|at| believed(at, archived));
    if let Some(stated) = stated.filter(|_| !is_fixed) {
        check("date", is_date(post.published, stated, object.id.as_deref()));
    }
    if !touched {
        let edited = object
            .updated
            .filter(|at| believed(at, archived))
            .map(|at| at.trunc_subsecs(3))
            .filter(|at| *at > post.published);
        let updated = post.updated.map(|at| at.trunc_subsecs(3)).filter(|at| *at > post.published);
        // Undoing an edit that was seen is an edit too.
        check("edit", edited == updated || post.exposed.is_some() && updated > edited);
        let told = object.media.iter().map(|media| (&media.reference, &media.alt, media_told(&media.told)));
        let kept = post.attachments.iter().map(|media| (&media.source_url, &media.alt, media.told.clone()));
        check("media", told.eq(kept));
        let mut told = details(&object.told, post.published, *created);
        // Where a post that nobody may see stood is not told.
        told.answers = told.answers.filter(|_| post.details.answers.is_some());
        told.quote = told.quote.filter(|_| post.details.quote.is_some());
        if hides_quote {
            told.languages.iter_mut().for_each(|(_, html)| *html = html.without_quote());
        }
        check("details", told == post.details);
    }
    wrong
}

/// Whether a post has what its source tells; where that tells nothing, others may have filled it.
fn tells(told: Option<&String>, has: Option<&String>, touched: bool) -> bool {
    told == has || touched && told.is_none()
}

/// Whether this is the stated date, to the millisecond, or the one that the status number tells within the same second.
fn is_date(date: DateTime<Utc>, stated: DateTime<Utc>, id: Option<&str>) -> bool {
    let status = id.and_then(web_address).and_then(|id| PostLink::read(&id).status);
    let finer = stated.nanosecond() == 0 && date.timestamp() == stated.timestamp();
    let by_id = || status.and_then(snowflake::time_of) == Some(date);
    date == stated.trunc_subsecs(3) || finer && by_id()
}
