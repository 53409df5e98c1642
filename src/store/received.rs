//! What comes into inboxes: each activity once, and its effect in the transaction that remembers it.
//!
//! Must never judge: whether somebody may do what they say is decided before. Start with [`Store::receive`].

use super::followers::{self, Follow};
use super::reactions::{self, NewReaction, Reacted, Undo};
use super::replies::{self, NewReply};
use super::schema::{received, remote_actors};
use super::{Error, Store, changes, deliveries, errands, reports};
use crate::domain::delivery::Outgoing;
use crate::domain::echo::Errand;
use crate::domain::follower::FollowState;
use crate::domain::ids::{AccountId, RemoteActorId};
use crate::domain::remote::KnownActor;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// How long an activity is remembered. A signature lives 13 hours at most, its servers try for a week.
pub const REMEMBERED: TimeDelta = TimeDelta::days(14);
/// Rows that are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 10_000;
/// First half of the advisory lock of who keeps or deletes a reply; the second is made of its id.
const REPLY_LOCK: i32 = 0x7265_706c;

/// What an activity changes.
#[derive(Debug)]
pub enum Effect<'a> {
    /// Nothing; it is remembered all the same.
    Nothing,
    /// Somebody follows, and is accepted or waits; the answer is sent.
    Follow {
        /// The Follow.
        follow: Follow<'a>,
        /// What becomes of it.
        state: FollowState,
        /// What is said to it.
        answer: Option<&'a Outgoing>,
    },
    /// Somebody may not follow, and does no longer if they did; the answer is sent.
    Refuse {
        /// Whom they wanted to follow.
        account: AccountId,
        /// What is said to it.
        answer: &'a Outgoing,
    },
    /// Somebody blocks an account and so does not follow it any more.
    Leave(AccountId),
    /// Somebody takes back what they did.
    Undo(&'a Undo<'a>),
    /// Somebody reacts to a post.
    React(&'a NewReaction<'a>),
    /// Somebody answers a post, or changed their answer.
    Reply(&'a NewReply<'a>),
    /// Somebody deleted an object of theirs, by its id.
    Delete(&'a str),
    /// Somebody is gone with all that is theirs.
    Vanish,
    /// Somebody reports an account to its owner.
    Report {
        /// Whose owner is told.
        account: AccountId,
        /// What it is about.
        objects: &'a [String],
        /// Why.
        content: &'a str,
    },
    /// Something of a type that we do not know.
    Unknown(&'a str),
    /// Something has to be fetched first.
    Fetch(&'a Errand),
}

/// What came of an activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It changed something.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// It came before.
    Before,
    /// Its actor is not stored any more.
    ActorGone,
}

/// How caches hear of an effect.
#[derive(PartialEq)]
enum Tells {
    /// Nothing that is shown changes.
    Nothing,
    /// It may come in floods, or be done and undone for ever.
    Gently,
    /// It takes away what is shown. Who takes away again and again is told of gently.
    AtOnce,
}

impl Effect<'_> {
    fn tells(&self) -> Tells {
        match self {
            Effect::Nothing | Effect::Report { .. } | Effect::Unknown(_) | Effect::Fetch(_) => Tells::Nothing,
            Effect::Follow { .. } | Effect::Undo(_) | Effect::React(_) | Effect::Reply(_) => Tells::Gently,
            Effect::Refuse { .. } | Effect::Leave(_) | Effect::Delete(_) | Effect::Vanish => Tells::AtOnce,
        }
    }
}

impl Store {
    /// Take an activity in: remember it and do what it says, as one change. `id` is its id, where it has one; what has none
    /// is not remembered, and has to be something that can be done twice.
    pub async fn receive(
        &self,
        actor: &KnownActor,
        id: Option<&str>,
        effect: &Effect<'_>,
        now: DateTime<Utc>,
    ) -> Result<Taken, Error> {
        let hash = id.map(|id| hash("activity", &actor.told.uri, id));
        if let Effect::React(reaction) = effect {
            let taken = self.reacted.ask(Reacted::new(hash, actor.id, reaction, now)).await?;
            if taken == Taken::Changed {
                self.tell_gently(&self.gentle).await;
            }
            return Ok(taken);
        }
        let mut connection = self.connection().await?;
        let (taken, told) = connection
            .transaction(async |connection| {
                if !hold(connection, actor.id, effect).await? {
                    return Ok((Taken::ActorGone, false));
                }
                if let Some(hash) = hash
                    && !remember(connection, &hash, now).await?
                {
                    // Whoever sends a Follow again that was accepted did not get the answer.
                    if let Effect::Follow { follow, answer: Some(answer), .. } = effect
                        && followers::stands(connection, follow).await?
                    {
                        deliveries::enqueue_quietly(connection, follow.account, answer, now).await?;
                        return Ok((Taken::Unchanged, false));
                    }
                    return Ok((Taken::Before, false));
                }
                let changed = apply(connection, actor, effect, now).await?;
                let at_once = changed && effect.tells() == Tells::AtOnce && self.gentle.may_tell_at_once();
                if at_once {
                    changes::tell(connection).await?;
                }
                Ok::<(Taken, bool), Error>((if changed { Taken::Changed } else { Taken::Unchanged }, at_once))
            })
            .await?;
        drop(connection);
        if matches!(effect, Effect::Follow { answer: Some(_), .. } | Effect::Refuse { .. }) {
            self.tell_gently(&self.gentle_wakes).await;
        }
        if taken == Taken::Changed && !told && effect.tells() != Tells::Nothing {
            self.tell_gently(&self.gentle).await;
        }
        Ok(taken)
    }

    /// Forget activities that came so long ago that nobody sends them again; how many. At most some thousands at once.
    pub async fn forget_received(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let old = "DELETE FROM received WHERE hash IN (SELECT hash FROM received WHERE received_at < $1 LIMIT $2)";
        let old = diesel::sql_query(old).bind::<Timestamptz, _>(now - REMEMBERED).bind::<BigInt, _>(FORGOTTEN_AT_ONCE);
        Ok(old.execute(&mut self.connection().await?).await?)
    }
}

/// What is remembered of an activity or an object: of which sort, whose, its id.
pub(super) fn hash(sort: &str, actor: &str, id: &str) -> Vec<u8> {
    openssl::sha::sha256(format!("{sort}\n{actor}\n{id}").as_bytes()).to_vec()
}

/// Hold the actor until the transaction ends; whether it is stored. It has to stay while something of it is kept, and who
/// vanishes is alone with that: two that shared the row could not delete it.
async fn hold(connection: &mut AsyncPgConnection, actor: RemoteActorId, effect: &Effect<'_>) -> Result<bool, Error> {
    let stored = remote_actors::table.find(actor.0).select(remote_actors::id);
    let found: Option<i64> = match effect {
        Effect::Vanish => stored.for_update().first(connection).await.optional()?,
        _ => stored.for_key_share().first(connection).await.optional()?,
    };
    Ok(found.is_some())
}

/// Wait until nobody else keeps or deletes the reply of that id, and keep them from it until the transaction ends: else
/// neither sees what the other one does, and a reply stays that was deleted.
async fn lock_reply(connection: &mut AsyncPgConnection, uri: &str) -> Result<(), Error> {
    let lock = diesel::sql_query("SELECT pg_advisory_xact_lock($1, hashtext($2))");
    lock.bind::<Integer, _>(REPLY_LOCK).bind::<Text, _>(uri).execute(connection).await?;
    Ok(())
}

/// Whether this is the first time.
async fn remember(connection: &mut AsyncPgConnection, hash: &[u8], now: DateTime<Utc>) -> Result<bool, Error> {
    let values = (received::hash.eq(hash), received::received_at.eq(now));
    let new = diesel::insert_into(received::table).values(values).on_conflict_do_nothing();
    Ok(new.execute(connection).await? > 0)
}

/// Do what it says; whether that changed anything.
async fn apply(
    connection: &mut AsyncPgConnection,
    actor: &KnownActor,
    effect: &Effect<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    match effect {
        Effect::Nothing | Effect::React(_) => Ok(false),
        Effect::Follow { follow, state, answer } => {
            followers::keep(connection, follow, *state, *answer, now).await?;
            Ok(true)
        }
        Effect::Refuse { account, answer } => {
            let followed = followers::forget(connection, *account, actor.id).await?;
            deliveries::enqueue_quietly(connection, *account, answer, now).await?;
            Ok(followed)
        }
        Effect::Leave(account) => followers::forget(connection, *account, actor.id).await,
        Effect::Undo(undo) => undo_all(connection, actor.id, undo, now).await,
        Effect::Reply(reply) => {
            lock_reply(connection, reply.uri).await?;
            replies::keep(connection, actor, reply, now).await
        }
        Effect::Delete(uri) => {
            lock_reply(connection, uri).await?;
            // So that it is not taken in when it comes later than this, or from an errand under way.
            remember(connection, &hash("deleted", &actor.told.uri, uri), now).await?;
            errands::drop_reply(connection, uri).await?;
            replies::delete(connection, actor.id, uri, now).await
        }
        Effect::Vanish => {
            // Counted off together, so that two who vanish take the posts in one order.
            let mut gone = reactions::delete_all(connection, actor.id).await?;
            gone.extend(replies::delete_all(connection, actor.id).await?);
            reactions::discount(connection, &gone, now).await?;
            diesel::delete(remote_actors::table.find(actor.id.0)).execute(connection).await?;
            Ok(true)
        }
        Effect::Report { account, objects, content } => {
            reports::insert(connection, *account, actor.id, objects, content, now).await?;
            Ok(false)
        }
        Effect::Unknown(kind) => reports::count_unknown(connection, kind, now).await.map(|()| false),
        Effect::Fetch(errand) => errands::enqueue(connection, errand, now).await,
    }
}

async fn undo_all(
    connection: &mut AsyncPgConnection,
    actor: RemoteActorId,
    undo: &Undo<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let followed = match undo.may_be_follow() {
        true => followers::undo(connection, actor, undo.id, undo.account).await?,
        false => false,
    };
    Ok(reactions::undo(connection, actor, undo, now).await? || followed)
}
