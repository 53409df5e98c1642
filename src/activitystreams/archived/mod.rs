//! Posts as the archive of their own server has them: activities of an `outbox.json`, and the actor beside it.
//!
//! What `read/` takes out of such an archive stands in it again, so that an export is read back as what it was made of.
//! Start with [`Names`], then [`create`]; `note.rs` is the post, `told.rs` what its source alone tells, `actor.rs` the account,
//! `withheld.rs` what is not public. What other servers are served is `render.rs`.

mod actor;
mod note;
mod told;
mod withheld;

pub use actor::{Beside, actor, key_pair};
pub use withheld::{NotPublic, for_nobody, plain_document, readdress};

use super::context::PUBLIC;
use super::render::timestamp;
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::{Boost, MediaFile, Post, Visibility};
use crate::domain::snowflake;
use crate::domain::source::{PostLink, web_address};
use crate::domain::urls::{AccountUrls, DomainUrls};
use chrono::{DateTime, SecondsFormat, Utc};
use note::Note;
use serde::Serialize;
use told::Told;

/// By what names the account and its posts go in an archive.
#[derive(Clone, Debug)]
pub struct Names {
    ours: bool,
    urls: AccountUrls,
    actor: String,
    followers: String,
    /// The server whose pages hashtags link to.
    server: DomainUrls,
}

/// The names of a post in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// The id of the activity that made it.
    pub activity: String,
}

impl Names {
    /// Those that account and posts had where they first stood, ours only where nothing is known.
    ///
    /// An account whose id was never told goes by the one that its server would have given it: Mastodon, GoToSocial,
    /// Pleroma and Akkoma have the same scheme.
    pub fn of_origin(account: &Account) -> Names {
        let author = account.source.as_ref();
        let usual = author.map(|author| format!("https://{}/users/{}", author.host, author.user));
        let urls = account.urls();
        let server =
            author.map_or_else(|| urls.domain().clone(), |author| DomainUrls::new(&format!("https://{}", author.host)));
        let actor = account.source_actor.clone().or(usual).unwrap_or_else(|| urls.actor());
        Names { ours: false, followers: format!("{actor}/followers"), actor, server, urls }
    }

    /// Those that they have here.
    pub fn of_mirror(account: &Account) -> Names {
        let urls = account.urls();
        let (actor, followers) = (urls.actor(), urls.under("followers"));
        Names { ours: true, actor, followers, server: urls.domain().clone(), urls }
    }

    /// The id of the account.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The collection of its followers.
    pub fn followers(&self) -> &str {
        &self.followers
    }

    /// What a post is called that has this number here, and had this id and page where it first stood.
    ///
    /// A post of a site, which had no id there, goes by its page: that is what tells it from others wherever it is read.
    pub fn post(&self, id: PostId, object_id: Option<&str>, canonical_url: Option<&str>) -> Named {
        match (self.ours, object_id, canonical_url) {
            (false, Some(id), _) => Named { id: id.to_owned(), activity: format!("{id}/activity") },
            (false, None, Some(page)) => Named { id: page.to_owned(), activity: format!("{page}#activity") },
            _ => Named { id: self.urls.note(id), activity: self.urls.under_note(id, "activity") },
        }
    }

    /// The id of the activity by which something was passed on.
    pub fn boost(&self, id: PostId, object_id: Option<&str>) -> String {
        let stated = object_id.filter(|_| !self.ours);
        stated.map_or_else(|| self.urls.under_note(id, "activity"), str::to_owned)
    }

    fn audience(&self, visibility: Visibility) -> (Vec<&str>, Vec<&str>) {
        let (public, followers) = (vec![PUBLIC], vec![self.followers()]);
        match visibility {
            Visibility::Public => (public, followers),
            Visibility::Unlisted => (followers, public),
        }
    }
}

/// What a post refers to, by the names that those have in the same archive.
#[derive(Clone, Debug, Default)]
pub struct Refers {
    /// The post of the same account that it answers.
    pub parent: Option<String>,
    /// The post of the same account that it quotes.
    pub quoted: Option<String>,
}

/// How activities are written.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// By what names.
    pub names: &'a Names,
    /// Where in the archive a file is. Of one that is missing stands what the source called it.
    pub media: &'a dyn Fn(&MediaFile) -> String,
    /// The context of an activity that stands by itself.
    pub context: Option<&'static str>,
}

/// An activity of an archive.
#[derive(Serialize)]
struct Activity<'a, T> {
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    context: Option<&'static str>,
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    actor: &'a str,
    published: &'a str,
    to: &'a [&'a str],
    cc: &'a [&'a str],
    object: T,
}

/// Write the Create of a post as JSON.
///
/// `source` are the bytes of the archive's item that it was read from, if it was read from one: they tell the few things
/// that are kept nowhere else.
pub fn create(
    post: &Post,
    refers: &Refers,
    source: Option<&[u8]>,
    manner: Manner<'_>,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let names = manner.names;
    let told = source.map(Told::read).unwrap_or_default();
    let Named { id, activity } = names.post(post.id, post.object_id.as_deref(), post.canonical_url.as_deref());
    let (to, mut cc) = names.audience(post.visibility);
    cc.extend(post.details.mentions.iter().map(|who| who.href.as_str()));
    let published = published(post.published, &id);
    let object = Note::new(post, refers, &told, manner, (&id, &published), (&to, &cc));
    let activity = Activity {
        context: manner.context,
        id: told.activity.as_deref().filter(|_| !names.ours).unwrap_or(&activity),
        kind: "Create",
        actor: &names.actor,
        published: &published,
        to: &to,
        cc: &cc,
        object,
    };
    serde_json::to_writer(out, &activity)
}

/// Write the Announce of a boost as JSON. `object` is what it passes on.
pub fn announce(
    boost: &Boost,
    object_id: Option<&str>,
    object: &str,
    manner: Manner<'_>,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let id = manner.names.boost(boost.id, object_id);
    let (to, cc) = manner.names.audience(boost.visibility);
    let activity = Activity {
        context: manner.context,
        id: &id,
        kind: "Announce",
        actor: &manner.names.actor,
        published: &published(boost.published, &id),
        to: &to,
        cc: &cc,
        object,
    };
    serde_json::to_writer(out, &activity)
}

/// A time, as exactly as it is known.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// When something was published: to the second where its id tells the rest, as Mastodon writes it.
fn published(at: DateTime<Utc>, id: &str) -> String {
    let status = web_address(id).and_then(|url| PostLink::read(&url).status);
    if status.and_then(snowflake::time_of) == Some(at) { timestamp(at) } else { moment(at) }
}
