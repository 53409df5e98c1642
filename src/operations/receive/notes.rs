//! Posts of others that answer ours: which are kept, and as what.
//!
//! Only what its author wrote for everyone is kept; a direct message or a reply for followers leaves nothing here.

use super::{Message, Outcome, carry_out, errand, find_account};
use crate::activitystreams::read::incoming::{self, Subject, Told};
use crate::domain::echo::{ErrandKind, Reply};
use crate::domain::remote::{KnownActor, same_host};
use crate::domain::source::{SourceAudience, web_address};
use crate::operations::{App, Error};
use crate::store::received::{Effect, Taken};
use crate::store::replies::{Answered, NewReply};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Longest id that is kept, in bytes.
const LONGEST_ID: usize = 2048;
/// Longest content warning that is kept, in characters.
const LONGEST_WARNING: usize = 500;

/// Somebody made or changed something.
pub(super) async fn told(
    app: &App,
    message: &Message,
    subject: &Subject,
    changed: bool,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    let actor = &message.actor;
    let told = match subject {
        Subject::Post(told) => told,
        Subject::Named(id) => return errand(app, message, ErrandKind::Reply, id, now).await,
        Subject::Actor(_) => return Ok(Outcome::Ignored("the actor is not its sender")),
        Subject::Other => return Ok(Outcome::Ignored("it is no post")),
    };
    let Some(id) = told.object.id.as_deref().filter(|id| is_id(id)) else {
        return Ok(Outcome::Ignored("it has no id"));
    };
    if told.is_vote {
        return Ok(Outcome::Ignored("every poll here is closed"));
    }
    if !same_host(id, &actor.told.uri) {
        // Its own host knows what it says; only if it says that it answers something is that of interest.
        return match told.object.told.answers {
            Some(_) => errand(app, message, ErrandKind::Reply, id, now).await,
            None => Ok(Outcome::Ignored("it answers nothing")),
        };
    }
    if !told.object.authors.contains(&actor.told.uri) {
        return Ok(Outcome::Ignored("it is not its sender's"));
    }
    if told.audience == SourceAudience::NotPublic {
        // What was for everyone and no longer is shall not stand here.
        return match app.store.find_reply_author(id).await? {
            Some(author) if author == actor.id => carry_out(app, message, &Effect::Delete(id), now).await,
            _ => Ok(Outcome::Ignored("it is not for everyone")),
        };
    }
    let Some(answers) = told.object.told.answers.as_deref() else {
        return Ok(Outcome::Ignored("it answers nothing"));
    };
    match app.store.find_answered(answers).await? {
        // What is passed on may be of any day: it says itself when it was changed, or takes the place of nothing.
        Some(answered) => match judge(app, actor, told, &answered, changed && !message.relayed, now).await? {
            Ok(reply) => carry_out(app, message, &Effect::Reply(&reply.borrow(id, answers)), now).await,
            Err(why) => Ok(Outcome::Ignored(why)),
        },
        // It may stand deeper in a conversation with us.
        None if addresses_us(app, told).await? => errand(app, message, ErrandKind::Reply, id, now).await,
        None => Ok(Outcome::Ignored("it answers nothing that is here")),
    }
}

/// What came of an object that was fetched because it may answer us.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::operations) enum Fetched {
    /// It is kept, or was.
    Kept,
    /// It is none of ours.
    Nothing(&'static str),
    /// What it answers has to be looked at first.
    Answers(String),
}

/// Take in an object that came from its own host.
pub(in crate::operations) async fn fetched(app: &App, value: &Value, now: DateTime<Utc>) -> Result<Fetched, Error> {
    let Some(told) = incoming::post(value) else { return Ok(Fetched::Nothing("it is no post")) };
    let Some(id) = told.object.id.as_deref().filter(|id| is_id(id)) else {
        return Ok(Fetched::Nothing("it has no id"));
    };
    let Some(author) = told.object.authors.iter().find(|author| same_host(author, id)) else {
        return Ok(Fetched::Nothing("its author is on another host"));
    };
    if told.audience == SourceAudience::NotPublic {
        app.store.delete_reply(id, now).await?;
        return Ok(Fetched::Nothing("it is not for everyone"));
    }
    if told.is_vote {
        return Ok(Fetched::Nothing("every poll here is closed"));
    }
    let Some(answers) = told.object.told.answers.as_deref().filter(|answers| is_id(answers)) else {
        return Ok(Fetched::Nothing("it answers nothing"));
    };
    let Some(answered) = app.store.find_answered(answers).await? else {
        return Ok(Fetched::Answers(answers.to_owned()));
    };
    if app.store.is_blocked(None, author).await? {
        return Ok(Fetched::Nothing("its author is blocked"));
    }
    let actor = app.actors.resolve(author, now).await?;
    let known = app.store.find_reply_author(id).await?.is_some();
    match judge(app, &actor, &told, &answered, known, now).await? {
        Ok(reply) => match app.store.receive(&actor, None, &Effect::Reply(&reply.borrow(id, answers)), now).await? {
            Taken::ActorGone => Ok(Fetched::Nothing("its author is gone")),
            _ => Ok(Fetched::Kept),
        },
        Err(why) => Ok(Fetched::Nothing(why)),
    }
}

/// A reply that may be kept.
struct Judged {
    answered: Answered,
    page: Option<String>,
    content: SafeHtml,
    warning: Option<String>,
    language: Option<String>,
    published: DateTime<Utc>,
    updated: Option<DateTime<Utc>>,
}

impl Judged {
    fn borrow<'a>(&'a self, uri: &'a str, answers: &'a str) -> NewReply<'a> {
        NewReply {
            post: self.answered.post,
            depth: self.answered.depth + 1,
            uri,
            answers,
            page: self.page.as_deref(),
            content: &self.content,
            warning: self.warning.as_deref(),
            language: self.language.as_deref(),
            published: self.published,
            updated: self.updated,
        }
    }
}

/// Whether a reply for everyone to what stands here is kept, and as what. With `changed` it counts as changed now if it
/// does not say when it was.
async fn judge(
    app: &App,
    actor: &KnownActor,
    told: &Told,
    answered: &Answered,
    changed: bool,
    now: DateTime<Utc>,
) -> Result<Result<Judged, &'static str>, Error> {
    let object = &told.object;
    if answered.depth >= Reply::DEEPEST {
        return Ok(Err("it stands deeper than is kept"));
    }
    if object.html.len() > Reply::LONGEST {
        return Ok(Err("it is longer than is kept"));
    }
    if app.store.is_blocked(Some(answered.account), &actor.told.uri).await? {
        return Ok(Err("the owner blocks its author"));
    }
    // Whatever its clock says, it was written before it came, and the database has no room for every year.
    let bounded = |at: DateTime<Utc>| at.clamp(DateTime::UNIX_EPOCH, now);
    let published = bounded(object.published.unwrap_or(now));
    let updated = object.updated.map(bounded).filter(|at| *at > published);
    let page = object.page.as_ref().filter(|page| page.len() <= LONGEST_ID && web_address(page).is_some());
    let own = |page: &&String| object.id.as_ref().is_some_and(|id| same_host(page, id));
    Ok(Ok(Judged {
        answered: *answered,
        page: page.filter(own).cloned(),
        content: SafeHtml::sanitise(&object.html),
        warning: object.warning.as_ref().map(|warning| warning.chars().take(LONGEST_WARNING).collect()),
        language: object.language.clone(),
        published,
        // Misskey does not say when something was changed.
        updated: updated.or(Some(now).filter(|_| changed)),
    }))
}

/// Whether a post is addressed to an account of ours, or names it.
async fn addresses_us(app: &App, told: &Told) -> Result<bool, Error> {
    const LOOKED_AT: usize = 50;
    for address in told.addressed.iter().take(LOOKED_AT) {
        if find_account(app, address).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_id(id: &str) -> bool {
    id.len() <= LONGEST_ID && web_address(id).is_some() && !id.contains(char::is_control)
}
