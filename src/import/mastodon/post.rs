//! An item of an outbox made into a source post: whose it is, which one, when, and for whom.

use super::identity::address;
use super::{READER_VERSION, Reader};
use crate::activitystreams::read::{self, Activity, Deed, Object};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{Author, DateOrigin, PostLink, SourcePost};
use crate::domain::told::{SourceKind, Told};
use chrono::{DateTime, Datelike, Duration, Timelike, Utc};
use url::Url;

impl Reader {
    /// The post of an item, or why there is none.
    pub(super) fn post(&mut self, index: u64, bytes: Vec<u8>) -> Result<Box<SourcePost>, String> {
        let value = serde_json::from_slice(&bytes).map_err(|cause| format!("is not JSON: {cause}"))?;
        let activity = read::activity(&value)?;
        let at = format!("{} {}", self.shown, self.shape.place(index));
        let post = match activity.deed.clone() {
            Deed::Announce(of) => self.boost(at, &activity, of)?,
            Deed::Create(object) => self.note(at, &activity, *object)?,
        };
        Ok(Box::new(SourcePost { bytes, ..post }))
    }

    /// A post that its author wrote.
    fn note(&mut self, at: String, activity: &Activity, object: Object) -> Result<SourcePost, String> {
        let id = object.id.as_deref().ok_or("has no id")?;
        let id = address(id).ok_or("has an id that is no web address")?;
        let stranger =
            activity.actor.as_ref().filter(|actor| !object.authors.is_empty() && !object.authors.contains(actor));
        if stranger.is_some() {
            return Err("holds a post by another than the one whose activity it is".to_owned());
        }
        let page = object.page.as_deref().and_then(address);
        let link = self.identities.of(&id, page.as_ref());
        let (published, date_origin) = self.published(object.published.or(activity.published), link.status)?;
        let answers = object.told.answers.as_deref().and_then(address);
        let quotes = object.told.quote.as_deref().and_then(address);
        let refers_to = quotes.map(|quoted| self.identities.find(&quoted));
        let edited = object.updated.filter(|edited| *edited > published && self.is_plausible(*edited));
        Ok(SourcePost {
            at,
            author: self.author(activity, &link),
            status: link.status,
            object_id: Some(id.to_string()),
            object_id_stated: true,
            // Pleroma tells no page; its object ids lead browsers to one.
            canonical_url: Some(page.unwrap_or(id).into()),
            audience: activity.audience,
            published,
            date_origin,
            edited,
            html: object.html,
            warning: object.warning,
            sensitive: object.sensitive,
            language: object.language,
            tags: object.tags,
            reply_to: answers.map(|parent| self.identities.find(&parent)),
            media: object.media,
            told: Told { refers_to, ..object.told },
            bytes: Vec::new(),
            format: self.format,
            reader_version: READER_VERSION,
            remarks: Vec::new(),
            key: link.key,
        })
    }

    /// A post that was passed on: it has an identity and a date of its own, and no text.
    fn boost(&mut self, at: String, activity: &Activity, of: String) -> Result<SourcePost, String> {
        let id = activity.id.as_deref().ok_or("has no id")?;
        let id = address(id).ok_or("has an id that is no web address")?;
        let link = PostLink::read(&id);
        let (published, date_origin) = self.published(activity.published, link.status)?;
        Ok(SourcePost {
            at,
            author: self.author(activity, &link),
            status: link.status,
            object_id: Some(id.into()),
            object_id_stated: true,
            canonical_url: None,
            audience: activity.audience,
            published,
            date_origin,
            edited: None,
            html: String::new(),
            warning: None,
            sensitive: false,
            language: None,
            tags: Vec::new(),
            reply_to: None,
            media: Vec::new(),
            told: Told {
                refers_to: address(&of).map(|of| self.identities.find(&of)),
                kind: SourceKind::Boost(of),
                ..Told::default()
            },
            bytes: Vec::new(),
            format: self.format,
            reader_version: READER_VERSION,
            remarks: Vec::new(),
            key: link.key,
        })
    }

    /// Who wrote it: the owner of the archive if the activity is theirs, else whom its addresses name.
    fn author(&self, activity: &Activity, link: &PostLink) -> Option<Author> {
        match (&self.owner, &activity.actor) {
            (Some((id, author)), Some(actor)) if id == actor => Some(author.clone()),
            _ => author_of(activity).map(|(_, author)| author).or_else(|| link.author.clone()),
        }
    }

    /// When it was published, and how that is known. A status number that agrees to the second tells the milliseconds.
    fn published(
        &self,
        stated: Option<DateTime<Utc>>,
        status: Option<i64>,
    ) -> Result<(DateTime<Utc>, DateOrigin), String> {
        let stated = stated.filter(|time| self.is_plausible(*time));
        let by_id = status.and_then(|status| trusted_time(status, stated, self.now));
        match (stated, by_id) {
            (Some(stated), Some(finer)) if stated.nanosecond() == 0 && finer.timestamp() == stated.timestamp() => {
                Ok((finer, DateOrigin::Stated))
            }
            (Some(stated), _) => Ok((stated, DateOrigin::Stated)),
            (None, Some(time)) => Ok((time, DateOrigin::StatusId)),
            (None, None) => Err("has no date between 1970 and today, and its id tells none".to_owned()),
        }
    }

    /// Whether something can have happened then.
    fn is_plausible(&self, time: DateTime<Utc>) -> bool {
        (1970..=9999).contains(&time.year()) && time <= self.now + Duration::days(1)
    }
}

/// The account that an activity is by, with its id, as far as addresses tell: the actor's, else those of the post.
pub(in crate::import) fn author_of(activity: &Activity) -> Option<(String, Author)> {
    let actor = activity.actor.clone()?;
    let url = Url::parse(&actor).ok()?;
    let by_actor = Author::of_actor(&url);
    let by_page = || match &activity.deed {
        Deed::Create(object) => {
            let page = address(object.page.as_deref()?)?;
            let same_server = page.host_str() == url.host_str() && page.port() == url.port();
            PostLink::read(&page).author.filter(|_| same_server)
        }
        Deed::Announce(_) => None,
    };
    Some((actor, by_actor.or_else(by_page)?))
}
