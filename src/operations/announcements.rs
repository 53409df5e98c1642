//! What an account tells its followers when it or its posts change: whole activities, proven with its own key.
//!
//! They are made here and enqueued by the store in the transaction of the change. Start with `Announcer`.

use super::proofs::Prover;
use super::{App, Error};
use crate::activitystreams::outgoing;
use crate::activitystreams::render::{self, PublicKeys, Replies};
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::{Outgoing, Recipients};
use crate::domain::follower::Follower;
use crate::domain::ids::{ImportId, PostId};
use crate::domain::news::News;
use crate::domain::post::{NewPost, Post};
use crate::domain::resurface::NEWS;
use crate::federation::keys;
use crate::store::announcements::OfBatch;
use crate::store::ingest::Stored;
use crate::store::keys::{KeyOwner, KeyRow};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// Speaks for an account at one moment, with the keys that it has then.
pub(super) struct Announcer {
    keys: PublicKeys,
    prover: Prover,
    /// What the numbers of its activities begin with, and how many it has made.
    number: (String, AtomicU32),
    now: DateTime<Utc>,
}

impl Announcer {
    /// For an account as it is.
    pub(super) async fn of(app: &App, account: &Account, now: DateTime<Utc>) -> Result<Announcer, Error> {
        let owner = KeyOwner::Account(account.id);
        let (rows, earlier) = (app.store.list_keys(owner).await?, app.store.list_earlier_keys(owner).await?);
        Announcer::with(app.prover(account).await?, public_keys(&rows, &earlier), now)
    }

    /// For an account whose actor shows these keys from now on, with proofs by this prover.
    pub(super) fn with(prover: Prover, keys: PublicKeys, now: DateTime<Utc>) -> Result<Announcer, Error> {
        Ok(Announcer { keys, prover, number: (keys::token()?, AtomicU32::new(0)), now })
    }

    /// What an account's actor looks like.
    pub(super) fn actor(&self, account: &Account) -> Value {
        serde_json::json!(render::actor(account, &self.keys))
    }

    /// The account says something else of itself.
    pub(super) fn update_actor(&self, account: &Account) -> Outgoing {
        self.prove(outgoing::update_actor(account, &self.keys, &self.number()))
    }

    /// A post is new, and news.
    pub(super) fn create_note(&self, account: &Account, post: &Post, news: News) -> Option<Outgoing> {
        if !tells_new(account) {
            return None;
        }
        let until = news.until(post, self.now)?;
        Some(self.prove(outgoing::create(render::create(post, account, self.now), until)))
    }

    /// A post's text was changed. After a move nothing new is told.
    pub(super) fn update_note(&self, account: &Account, post: &Post) -> Option<Outgoing> {
        if account.moved_to.is_some() {
            return None;
        }
        let note = render::note(post, account, Replies::Link, self.now);
        outgoing::update_note(account, note, &self.number()).map(|outgoing| self.prove(outgoing))
    }

    /// An old post is shown again, at a moment.
    pub(super) fn announce_note(&self, account: &Account, post: &Post, at: DateTime<Utc>) -> Outgoing {
        let told = outgoing::announce(render::shown_again(post, account, at));
        self.prove(Outgoing { expires_at: Some(at + NEWS), ..told })
    }

    /// That is taken back.
    pub(super) fn undo_announce(&self, account: &Account, post: &Post, at: DateTime<Utc>) -> Outgoing {
        let told = outgoing::announce(render::shown_again(post, account, at));
        self.prove(outgoing::undo(account, &told, &self.number()))
    }

    /// A post is pinned, or unpinned.
    pub(super) fn pinned(&self, account: &Account, post: PostId, pinned: bool) -> Option<Outgoing> {
        if !tells_new(account) {
            return None;
        }
        let make = if pinned { outgoing::add } else { outgoing::remove };
        Some(self.prove(make(account, post, &self.number(), Recipients::Followers)))
    }

    /// A post is gone.
    pub(super) fn delete_note(&self, account: &Account, post: PostId) -> Outgoing {
        self.prove(outgoing::delete_note(account, post, &self.number(), self.now))
    }

    /// The account is gone.
    pub(super) fn delete_actor(&self, account: &Account) -> Outgoing {
        self.prove(outgoing::delete_actor(account))
    }

    /// The account moves.
    pub(super) fn move_to(&self, account: &Account, target: &str) -> Outgoing {
        self.prove(outgoing::move_to(account, target, &self.number()))
    }

    /// A Follow is accepted or, with `false`, refused.
    pub(super) fn answer(&self, account: &Account, follower: &Follower, accepted: bool) -> Outgoing {
        let make = if accepted { outgoing::accept } else { outgoing::reject };
        self.prove(make(account, &follower.follow, &follower.actor.told, &self.number()))
    }

    /// One server is offered a post by way of the pins, until `expires_at` at most (decision 0026).
    pub(super) fn offer(&self, account: &Account, post: PostId, inbox: &str, expires_at: DateTime<Utc>) -> Outgoing {
        let to = Recipients::Inboxes(vec![inbox.to_owned()]);
        let add = self.prove(outgoing::add(account, post, &self.number(), to));
        Outgoing { expires_at: Some(expires_at), ..add }
    }

    /// The post is taken out of the pins there.
    pub(super) fn end_offer(&self, account: &Account, post: PostId, inbox: &str) -> Outgoing {
        let to = Recipients::Inboxes(vec![inbox.to_owned()]);
        self.prove(outgoing::remove(account, post, &self.number(), to))
    }

    /// A number that no other activity has.
    fn number(&self) -> String {
        format!("{}-{}", self.number.0, self.number.1.fetch_add(1, Ordering::Relaxed))
    }

    /// The same activity with a proof, which lets others believe it whoever hands it on.
    fn prove(&self, outgoing: Outgoing) -> Outgoing {
        let Ok(mut body) = serde_json::from_str(&outgoing.body) else { return outgoing };
        self.prover.prove(&mut body, self.now);
        Outgoing { body: body.to_string(), ..outgoing }
    }
}

/// Whether an account tells what is new: a draft tells nothing, and after a move nothing new is told.
fn tells_new(account: &Account) -> bool {
    account.state == AccountState::Live && account.moved_to.is_none()
}

/// Write a batch of an import, or see what a dry run would write, and tell followers of what is new and of edits, within
/// bounds.
pub(super) async fn ingest(
    app: &App,
    account: &Account,
    batch: &[NewPost],
    import: Option<ImportId>,
    now: DateTime<Utc>,
) -> Result<Stored, Error> {
    let announcer = Announcer::of(app, account, now).await?;
    let created = |account: &Account, post: &Post| announcer.create_note(account, post, app.news);
    let edited = |account: &Account, post: &Post| announcer.update_note(account, post);
    let told = OfBatch { created: &created, since: app.news.since(now), edited: &edited };
    Ok(app.store.ingest(account.id, batch, import, Some(told), now).await?)
}

/// The public halves of keys in force and of earlier ones, as an actor shows them.
pub fn public_keys(rows: &[KeyRow], earlier: &[KeyRow]) -> PublicKeys {
    let half = |row: &KeyRow| (row.key_id.clone(), row.public_key.clone());
    let of = |kind: &str| rows.iter().rev().find(|row| row.kind == kind).map(half);
    PublicKeys { rsa: of("rsa"), ed25519: of("ed25519"), earlier: earlier.iter().map(half).collect() }
}
