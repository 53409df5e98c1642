//! Whose signature goes on what we send: the keys of our accounts and of the server actor, opened when they are needed.
//!
//! Which keys there are is read anew each time, so that a key that was rotated by another process is not used again; what
//! is kept in memory is how one looks when it is opened. Must never show one. Start with [`Senders::server`].

use super::courier::Sender;
use super::keys::{self, Vault};
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::store::keys::{KeyOwner, KeyRow};
use crate::store::{self, Store};
use openssl::pkey::{PKey, Private};

/// Keys that are kept open.
const OPEN: u64 = 1000;

/// Why nobody can sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The key does not open.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// There is no key.
    #[error("{0} has no key")]
    NoKey(String),
}

/// Opens keys to sign with. Cheap to clone.
#[derive(Clone)]
pub struct Senders {
    store: Store,
    vault: Vault,
    /// By public half.
    open: moka::sync::Cache<String, PKey<Private>>,
    /// Accounts whose keys were found missing or closed, which was told.
    told: moka::sync::Cache<AccountId, ()>,
}

impl std::fmt::Debug for Senders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Senders")
    }
}

impl Senders {
    /// The keys of this database, opened with this vault.
    pub fn new(store: Store, vault: Vault) -> Senders {
        Senders { store, vault, open: moka::sync::Cache::new(OPEN), told: moka::sync::Cache::new(OPEN) }
    }

    /// The server actor of the first domain, which signs what no account signs.
    pub async fn server(&self) -> Result<Sender, Error> {
        let domains = self.store.list_domains().await?;
        let domain = domains.into_iter().find(|domain| domain.first);
        let domain = domain.ok_or_else(|| Error::NoKey("the server".to_owned()))?;
        self.find(KeyOwner::ServerActor(domain.id), "rsa", &domain.urls().server_actor()).await
    }

    /// An account, by its RSA key, which is what others verify requests with.
    pub async fn account(&self, account: &Account) -> Result<Sender, Error> {
        self.find(KeyOwner::Account(account.id), "rsa", &account.urls().actor()).await
    }

    /// An account, by that RSA key of its, also if it is retired: what was to be signed with it still is.
    pub async fn account_with(&self, account: &Account, key_id: &str) -> Result<Sender, Error> {
        let actor = account.urls().actor();
        let row = self.store.find_key(account.id, key_id).await?;
        let row = row.filter(|row| row.kind == "rsa").ok_or_else(|| Error::NoKey(actor.clone()))?;
        Ok(Sender { key_id: format!("{actor}#{}", row.key_id), key: self.open(&row)? })
    }

    /// An account, by its Ed25519 key, which is what integrity proofs are made with.
    pub async fn prover(&self, account: &Account) -> Result<Sender, Error> {
        self.find(KeyOwner::Account(account.id), "ed25519", &account.urls().actor()).await
    }

    /// Whether it is to be told that an account cannot sign: once for each account.
    pub fn complain(&self, account: &Account) -> bool {
        self.told.entry(account.id).or_insert(()).is_fresh()
    }

    /// The newest key of that kind.
    async fn find(&self, owner: KeyOwner, kind: &str, actor: &str) -> Result<Sender, Error> {
        let rows = self.store.list_keys(owner).await?;
        let row = rows.iter().rev().find(|row| row.kind == kind).ok_or_else(|| Error::NoKey(actor.to_owned()))?;
        Ok(Sender { key_id: format!("{actor}#{}", row.key_id), key: self.open(row)? })
    }

    fn open(&self, row: &KeyRow) -> Result<PKey<Private>, Error> {
        if let Some(key) = self.open.get(&row.public_key) {
            return Ok(key);
        }
        let key = self.vault.private_key(row)?;
        self.open.insert(row.public_key.clone(), key.clone());
        Ok(key)
    }
}
