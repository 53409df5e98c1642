//! Integrity proofs on what our accounts say (FEP-8b32): whoever keeps a copy can show later that it is ours.
//!
//! An object without a proof is better than none: a key that is missing or does not open is told once and costs no answer.
//! Must never decide what is said. Start with [`App::prove`].

use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::delivery::Outgoing;
use crate::federation::courier::Sender;
use crate::federation::{proof, senders};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Makes the proofs of one account.
#[derive(Clone, Debug)]
pub struct Prover(Option<Sender>);

impl App {
    /// Who makes the proofs of this account, with its Ed25519 key. Fails only when the database does.
    pub async fn prover(&self, account: &Account) -> Result<Prover, Error> {
        match self.actors.senders().prover(account).await {
            Ok(key) => Ok(Prover(Some(key))),
            Err(senders::Error::Store(error)) => Err(error.into()),
            Err(error) => {
                if self.actors.senders().complain(account) {
                    let account = account.address();
                    tracing::warn!(account, %error, "what an account says goes out without integrity proofs");
                }
                Ok(Prover(None))
            }
        }
    }

    /// Put a proof of the account's into an object of its own, in place of any that it has.
    ///
    /// `created` is when the object became what it is. The same object, key and time make the same proof.
    pub async fn prove(&self, account: &Account, object: &mut Value, created: DateTime<Utc>) -> Result<(), Error> {
        self.prover(account).await?.prove(object, created);
        Ok(())
    }

    /// The same for an activity that is ready to be sent.
    pub async fn prove_outgoing(
        &self,
        account: &Account,
        outgoing: Outgoing,
        created: DateTime<Utc>,
    ) -> Result<Outgoing, Error> {
        let Ok(mut body) = serde_json::from_str(&outgoing.body) else { return Ok(outgoing) };
        self.prove(account, &mut body, created).await?;
        Ok(Outgoing { body: body.to_string(), ..outgoing })
    }
}

impl Prover {
    /// Makes them with this key.
    pub(super) fn by(key: Sender) -> Prover {
        Prover(Some(key))
    }

    /// Whether it makes any.
    pub fn can(&self) -> bool {
        self.0.is_some()
    }

    /// Put a proof into an object, which has to have a context.
    pub fn prove(&self, object: &mut Value, created: DateTime<Utc>) {
        let Some(Sender { key_id, key }) = &self.0 else { return };
        if let Err(error) = proof::add(object, key_id, key, created) {
            let id = object.get("id").and_then(Value::as_str).unwrap_or_default();
            tracing::error!(id, %error, "an object goes out without an integrity proof");
        }
    }
}
