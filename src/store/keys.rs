//! Rows of key pairs. What is in them is opaque here; `federation::keys` makes, seals and opens them.

use super::schema::{accounts, activities, deliveries, keys};
use super::{Error, Store, accounts as accounts_rows, announcements, changes};
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, ActivityId, DomainId};
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncConnection, RunQueryDsl};

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// An account.
    Account(AccountId),
    /// The server actor of a domain.
    ServerActor(DomainId),
}

/// A key pair as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// `rsa` or `ed25519`.
    pub kind: String,
    /// The fragment of its URL.
    pub key_id: String,
    /// The public half as text.
    pub public_key: String,
    /// The private half, maybe sealed.
    pub private_key: Vec<u8>,
    /// Whether it is sealed.
    pub sealed: bool,
}

impl std::fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRow").field("kind", &self.kind).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

type Row = (String, String, String, Vec<u8>, bool);

fn key_row((kind, key_id, public_key, private_key, sealed): Row) -> KeyRow {
    KeyRow { kind, key_id, public_key, private_key, sealed }
}

impl Store {
    /// The keys of an owner that are not retired, oldest first.
    pub async fn list_keys(&self, owner: KeyOwner) -> Result<Vec<KeyRow>, Error> {
        let columns = (keys::kind, keys::key_id, keys::public_key, keys::private_key, keys::sealed);
        let query = keys::table.filter(keys::retired_at.is_null()).order(keys::id).select(columns).into_boxed();
        let query = match owner {
            KeyOwner::Account(id) => query.filter(keys::account_id.eq(id.0)),
            KeyOwner::ServerActor(id) => query.filter(keys::domain_id.eq(id.0)),
        };
        let rows: Vec<Row> = query.load(&mut self.connection().await?).await?;
        Ok(rows.into_iter().map(key_row).collect())
    }

    /// The keys of an owner that are retired and that its actor shows all the same, oldest first.
    pub async fn list_earlier_keys(&self, owner: KeyOwner) -> Result<Vec<KeyRow>, Error> {
        let columns = (keys::kind, keys::key_id, keys::public_key, keys::private_key, keys::sealed);
        let query = keys::table.filter(keys::retired_at.is_not_null().and(keys::shown)).order(keys::id).select(columns);
        let rows: Vec<Row> = match owner {
            KeyOwner::Account(id) => {
                query.filter(keys::account_id.eq(id.0)).load(&mut self.connection().await?).await?
            }
            KeyOwner::ServerActor(id) => {
                query.filter(keys::domain_id.eq(id.0)).load(&mut self.connection().await?).await?
            }
        };
        Ok(rows.into_iter().map(key_row).collect())
    }

    /// The key of an account with that id, also if it is retired.
    pub async fn find_key(&self, account: AccountId, key_id: &str) -> Result<Option<KeyRow>, Error> {
        let columns = (keys::kind, keys::key_id, keys::public_key, keys::private_key, keys::sealed);
        let query = keys::table.filter(keys::account_id.eq(account.0).and(keys::key_id.eq(key_id)));
        let row: Option<Row> = query.select(columns).first(&mut self.connection().await?).await.optional()?;
        Ok(row.map(key_row))
    }

    /// How many pairs an account has had, the retired ones too.
    pub async fn count_key_pairs(&self, account: AccountId) -> Result<u32, Error> {
        let pairs = keys::table.filter(keys::account_id.eq(account.0).and(keys::kind.eq("rsa")));
        let count: i64 = pairs.count().get_result(&mut self.connection().await?).await?;
        u32::try_from(count).map_err(|_| Error::Damaged(format!("{count} keys")))
    }

    /// Put new keys in the place of an account's, which are retired and stay: what was signed with one is sent with it.
    /// `told` goes to followers and is signed with the retired key of that id. `Conflict` where an id was used before.
    pub async fn rotate_keys(
        &self,
        account: AccountId,
        new: &[KeyRow],
        shows_earlier: bool,
        (told, signed_by): (&Outgoing, &str),
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                accounts_rows::lock_writing(connection, account).await?;
                let own = || keys::table.filter(keys::account_id.eq(account.0));
                let ids: Vec<&str> = new.iter().map(|row| row.key_id.as_str()).collect();
                if diesel::select(exists(own().filter(keys::key_id.eq_any(ids)))).get_result(connection).await? {
                    return Err(Error::Conflict("a key of that id".to_owned()));
                }
                let before = own().filter(keys::retired_at.is_not_null());
                diesel::update(before).set(keys::shown.eq(false)).execute(connection).await?;
                let shown = keys::kind.eq("ed25519").and(shows_earlier.into_sql::<Bool>());
                let retired = (keys::retired_at.eq(now), keys::shown.eq(shown));
                diesel::update(own().filter(keys::retired_at.is_null())).set(retired).execute(connection).await?;
                insert(connection, KeyOwner::Account(account), new, now).await?;
                let activity = announcements::announce(connection, account, told, now).await?;
                sign_with(connection, activity, Some(signed_by)).await?;
                accounts_rows::touch(connection, account, now).await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Replace the private half of every key that is not sealed yet by what `seal` makes of it; how many there were.
    pub async fn seal_keys(
        &self,
        seal: impl Fn(&KeyRow) -> Result<Vec<u8>, String> + Send + Sync,
    ) -> Result<usize, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let columns = (keys::id, (keys::kind, keys::key_id, keys::public_key, keys::private_key, keys::sealed));
                let open = keys::table.filter(keys::sealed.eq(false)).select(columns).for_update();
                let rows: Vec<(i64, Row)> = open.load(connection).await?;
                for (id, row) in &rows {
                    let sealed = seal(&key_row(row.clone())).map_err(Error::Damaged)?;
                    let change = (keys::private_key.eq(sealed), keys::sealed.eq(true));
                    diesel::update(keys::table.find(*id)).set(change).execute(connection).await?;
                }
                Ok(rows.len())
            })
            .await
    }

    /// Let go of the keys of accounts that are gone, once the word of it went out or was given up; how many there were.
    pub async fn forget_keys(&self) -> Result<usize, Error> {
        forget(&mut *self.connection().await?).await
    }

    /// Store keys of an owner; those that are there already (by kind and id) stay as they are.
    pub async fn insert_keys(&self, owner: KeyOwner, rows: &[KeyRow], now: DateTime<Utc>) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                insert(connection, owner, rows, now).await?;
                changes::tell(connection).await
            })
            .await
    }
}

/// Note which key signs an activity; without one it is the key in force.
pub(super) async fn sign_with(
    connection: &mut diesel_async::AsyncPgConnection,
    activity: Option<ActivityId>,
    signed_by: Option<&str>,
) -> Result<(), Error> {
    if let (Some(activity), Some(signed_by)) = (activity, signed_by) {
        let activity = activities::table.find(activity.0);
        diesel::update(activity).set(activities::signed_by.eq(signed_by)).execute(connection).await?;
    }
    Ok(())
}

/// The earlier key by which the first word of newer ones still waits to be signed: who has not had it knows that key.
pub(super) async fn find_awaited(
    connection: &mut diesel_async::AsyncPgConnection,
    account: AccountId,
) -> Result<Option<String>, Error> {
    let waiting =
        deliveries::table.filter(deliveries::activity_id.eq(activities::id)).filter(deliveries::state.eq("waiting"));
    let first = activities::table
        .filter(activities::account_id.eq(account.0).and(activities::signed_by.is_not_null()))
        .filter(exists(waiting))
        .order(activities::id)
        .select(activities::signed_by);
    let signed_by: Option<Option<String>> = first.first(connection).await.optional()?;
    Ok(signed_by.flatten())
}

/// Let go of the keys of accounts that are gone, once nothing waits that is to be signed with them.
pub(super) async fn forget(connection: &mut diesel_async::AsyncPgConnection) -> Result<usize, Error> {
    let waiting = deliveries::table
        .inner_join(activities::table)
        .filter(deliveries::state.eq("waiting"))
        .filter(activities::account_id.nullable().eq(keys::account_id));
    let gone = accounts::table.filter(accounts::state.eq("gone")).select(accounts::id.nullable());
    let unneeded = keys::table.filter(keys::account_id.eq_any(gone)).filter(not(exists(waiting)));
    let ids: Vec<i64> = unneeded.select(keys::id).load(connection).await?;
    Ok(diesel::delete(keys::table.filter(keys::id.eq_any(ids))).execute(connection).await?)
}

/// Store keys on a connection that may be inside a transaction.
pub(super) async fn insert(
    connection: &mut diesel_async::AsyncPgConnection,
    owner: KeyOwner,
    rows: &[KeyRow],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (account, domain) = match owner {
        KeyOwner::Account(id) => (Some(id.0), None),
        KeyOwner::ServerActor(id) => (None, Some(id.0)),
    };
    let values: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                keys::account_id.eq(account),
                keys::domain_id.eq(domain),
                keys::kind.eq(&row.kind),
                keys::key_id.eq(&row.key_id),
                keys::public_key.eq(&row.public_key),
                keys::private_key.eq(&row.private_key),
                keys::sealed.eq(row.sealed),
                keys::created_at.eq(now),
            )
        })
        .collect();
    diesel::insert_into(keys::table).values(values).on_conflict_do_nothing().execute(connection).await?;
    Ok(())
}
