//! What an account tells its followers when it or its posts change: whole activities, proven with its own key.
//!
//! They are made here and enqueued by the store in the transaction of the change. Start with [`Announcer`].

use super::{App, Error};
use crate::activitystreams::outgoing;
use crate::activitystreams::render::{self, PublicKeys, Replies};
use crate::domain::account::Account;
use crate::domain::delivery::Outgoing;
use crate::domain::follower::Follower;
use crate::domain::ids::{ImportId, PostId};
use crate::domain::post::{NewPost, Post};
use crate::federation::{keys, proof};
use crate::store::ingest::Stored;
use crate::store::keys::{KeyOwner, KeyRow};
use chrono::{DateTime, Utc};
use openssl::pkey::{PKey, Private};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// The context that a proof's terms come from (FEP-8b32, R-132).
const PROOF_CONTEXT: &str = "https://w3id.org/security/data-integrity/v2";

/// Speaks for an account at one moment, with the keys that it has then.
pub(super) struct Announcer {
    keys: PublicKeys,
    proves: Option<(String, PKey<Private>)>,
    /// What the numbers of its activities begin with, and how many it has made.
    number: (String, AtomicU32),
    now: DateTime<Utc>,
}

impl Announcer {
    /// For an account as it is.
    pub(super) async fn of(app: &App, account: &Account, now: DateTime<Utc>) -> Result<Announcer, Error> {
        let rows = app.store.list_keys(KeyOwner::Account(account.id)).await?;
        Announcer::with(app, account, &rows, now)
    }

    /// The same with these keys.
    pub(super) fn with(app: &App, account: &Account, rows: &[KeyRow], now: DateTime<Utc>) -> Result<Announcer, Error> {
        let ed25519 = rows.iter().rev().find(|row| row.kind == "ed25519");
        let open = |row: &KeyRow| {
            let url = format!("{}#{}", account.urls().actor(), row.key_id);
            app.vault.private_key(row).map(|key| (url, key))
        };
        let number = (keys::token()?, AtomicU32::new(0));
        Ok(Announcer { keys: public_keys(rows), proves: ed25519.map(open).transpose()?, number, now })
    }

    /// What an account's actor looks like.
    pub(super) fn actor(&self, account: &Account) -> Value {
        serde_json::json!(render::actor(account, &self.keys))
    }

    /// The account says something else of itself.
    pub(super) fn update_actor(&self, account: &Account) -> Outgoing {
        self.prove(outgoing::update_actor(account, &self.keys, &self.number()))
    }

    /// A post's text was changed. After a move nothing new is told.
    pub(super) fn update_note(&self, account: &Account, post: &Post) -> Option<Outgoing> {
        if account.moved_to.is_some() {
            return None;
        }
        let note = render::note(post, account, Replies::Link, self.now);
        outgoing::update_note(account, note, &self.number()).map(|outgoing| self.prove(outgoing))
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

    /// A number that no other activity has.
    fn number(&self) -> String {
        format!("{}-{}", self.number.0, self.number.1.fetch_add(1, Ordering::Relaxed))
    }

    /// The same activity with a proof, which lets others believe it whoever hands it on. One that cannot be proven is said
    /// all the same: its signature on the way is what counts.
    fn prove(&self, outgoing: Outgoing) -> Outgoing {
        let Some((url, key)) = &self.proves else { return outgoing };
        let proven = serde_json::from_str::<Value>(&outgoing.body).map_err(|e| e.to_string()).and_then(|mut body| {
            with_proof_terms(&mut body);
            proof::add(&mut body, url, key, self.now).map_err(|e| e.to_string())?;
            Ok(body.to_string())
        });
        match proven {
            Ok(body) => Outgoing { body, ..outgoing },
            Err(error) => {
                tracing::warn!(activity.uri = outgoing.uri, error, "an activity goes out without a proof");
                outgoing
            }
        }
    }
}

/// Write a batch of an import, or see what a dry run would write, and tell followers of edits within bounds.
pub(super) async fn ingest(
    app: &App,
    account: &Account,
    batch: &[NewPost],
    import: Option<ImportId>,
    now: DateTime<Utc>,
) -> Result<Stored, Error> {
    let announcer = Announcer::of(app, account, now).await?;
    let edited = |account: &Account, post: &Post| announcer.update_note(account, post);
    Ok(app.store.ingest(account.id, batch, import, Some(&edited), now).await?)
}

/// Add the terms of proofs to a document's context.
fn with_proof_terms(body: &mut Value) {
    let context = &mut body["@context"];
    if !context.is_array() {
        *context = Value::Array(vec![context.take()]);
    }
    if let Some(terms) = context.as_array_mut() {
        let at = terms.iter().take_while(|term| term.is_string()).count();
        terms.insert(at, Value::from(PROOF_CONTEXT));
    }
}

/// The public halves of keys, the newest of each kind.
pub(super) fn public_keys(rows: &[KeyRow]) -> PublicKeys {
    let of = |kind: &str| {
        let row = rows.iter().rev().find(|row| row.kind == kind);
        row.map(|row| (row.key_id.clone(), row.public_key.clone()))
    };
    PublicKeys { rsa: of("rsa"), ed25519: of("ed25519") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_terms_of_proofs_stand_behind_the_other_contexts_and_before_single_terms() {
        for (before, after) in [
            (json!("https://a.example"), json!(["https://a.example", PROOF_CONTEXT])),
            (json!(["https://a.example", { "x": "y" }]), json!(["https://a.example", PROOF_CONTEXT, { "x": "y" }])),
        ] {
            let mut body = json!({ "@context": before });
            with_proof_terms(&mut body);
            assert_eq!(body["@context"], after);
        }
    }
}
