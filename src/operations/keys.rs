//! New keys for an account.

use super::announcements::{Announcer, public_keys};
use super::proofs::Prover;
use super::{App, Error, blocking};
use crate::domain::account::Account;
use crate::federation::courier::Sender;
use crate::federation::keys::RSA_KEY_ID;
use crate::store;
use crate::store::keys::{KeyOwner, KeyRow};
use chrono::{DateTime, Utc};

/// Give an account a new RSA and a new Ed25519 pair. Both have ids that no key ever had, so that an id never means another
/// key.
///
/// Followers' servers are told by an Update that is signed with the old RSA key, which is the one that they know: else they
/// would take it for another account's and make everybody follow anew. Others find the new keys in the actor, to which
/// the new ids lead. The old Ed25519 key stays in the actor until the next rotation, because proofs that were made with it
/// are on objects that others keep; with `compromised` it goes at once, and such proofs prove nothing more.
pub async fn rotate(app: &App, account: &Account, compromised: bool, now: DateTime<Utc>) -> Result<Vec<KeyRow>, Error> {
    let owner = KeyOwner::Account(account.id);
    let old = app.store.list_keys(owner).await?;
    let number = app.store.count_key_pairs(account.id).await? + 1;
    let vault = app.vault.clone();
    let new = blocking(move || vault.make_pairs(number)).await??;
    let signed_by = old.iter().find(|row| row.kind == "rsa").map_or(RSA_KEY_ID, |row| row.key_id.as_str());
    let kept: Vec<KeyRow> = old.iter().filter(|row| row.kind == "ed25519" && !compromised).cloned().collect();
    let prover = match new.iter().find(|row| row.kind == "ed25519").filter(|_| compromised) {
        Some(row) => Prover::by(Sender {
            key_id: format!("{}#{}", account.urls().actor(), row.key_id),
            key: app.vault.private_key(row)?,
        }),
        None => app.prover(account).await?,
    };
    let announcer = Announcer::with(prover, public_keys(&new, &kept), now)?;
    let told = announcer.update_actor(account);
    let done = app.store.rotate_keys(account.id, &new, !compromised, (&told, signed_by), now).await;
    done.map_err(|error| match error {
        store::Error::Conflict(_) => {
            Error::Refused("the keys were rotated at the same moment by somebody else".to_owned())
        }
        other => other.into(),
    })?;
    Ok(new)
}
