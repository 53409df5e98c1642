//! Writing an archive's posts: a batch is one transaction, and writing the same batch twice changes nothing.
//!
//! `find.rs` says what stands, `decide.rs` what becomes of a post, `write.rs` and `insert.rs` do it.

mod decide;
mod find;
mod insert;
mod write;

pub(super) use find::list_ids;

use super::announcements::OfBatch;
use super::listing::{KeptCounts, count_kept};
use super::schema::{attachments, post_sources, posts};
use super::{Error, Store};
use crate::domain::ids::{AccountId, ImportId};
use crate::domain::post::{Kept, NewPost};
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use std::collections::HashMap;

/// First half of the advisory lock of an account's import; the second is the account's number.
const IMPORT_LOCK: i32 = 0x6576_6572;
/// First half of the advisory lock of the media store.
pub(super) const MEDIA_LOCK: i32 = 0x6d65_6469;
/// First half of the advisory lock of the sealed files.
const SEALED_LOCK: i32 = 0x7365_616c;

/// Tries at a batch that collides with another process's.
const TRIES: u32 = 5;

/// Held while an account's archive is written. Ends with the process, however that ends.
pub struct ImportLock {
    session: AsyncPgConnection,
}

impl ImportLock {
    /// Keep media from being forgotten, on a session of its own.
    pub(super) async fn media(mut session: AsyncPgConnection) -> Result<ImportLock, Error> {
        diesel::sql_query("SELECT pg_advisory_lock_shared($1, 0)")
            .bind::<Integer, _>(MEDIA_LOCK)
            .execute(&mut session)
            .await?;
        Ok(ImportLock { session })
    }

    /// Keep sealed files from being removed, or everybody who keeps them so from beginning, on a session of its own.
    async fn sealed(mut session: AsyncPgConnection, lock: &str) -> Result<ImportLock, Error> {
        diesel::sql_query(format!("SELECT {lock}($1, 0)"))
            .bind::<Integer, _>(SEALED_LOCK)
            .execute(&mut session)
            .await?;
        Ok(ImportLock { session })
    }

    /// Give the right back at once. Dropping it gives it back too, when Postgres notices that the session is gone.
    pub async fn release(mut self) -> Result<(), Error> {
        diesel::sql_query("SELECT pg_advisory_unlock_all()").execute(&mut self.session).await?;
        Ok(())
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Stored {
    /// One entry for each post of the batch, in order.
    pub kept: Vec<Kept>,
    /// After a dry run: how many more posts the account would show and keep.
    pub more: KeptCounts,
}

/// What a standing post was read from.
#[derive(Clone, Debug)]
pub struct WholeSource {
    /// The format's name.
    pub format: String,
    /// The version of the reader that read it.
    pub reader_version: i32,
    /// SHA-256 of the source's bytes.
    pub sha256: Vec<u8>,
}

/// How a transaction ended that was not committed.
enum Ended {
    DryRun,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Ended {
    fn from(error: E) -> Ended {
        Ended::Failed(error.into())
    }
}

impl Store {
    /// Take the right to import into an account. `Busy` while another process has it.
    pub async fn lock_import(&self, account: AccountId) -> Result<ImportLock, Error> {
        let mut session = Object::take(self.connection().await?);
        let number = i32::try_from(account.0).map_err(|_| Error::Damaged(format!("account number {account}")))?;
        let try_lock = diesel::dsl::sql::<Bool>("pg_try_advisory_lock(").bind::<Integer, _>(IMPORT_LOCK);
        let try_lock = try_lock.sql(", ").bind::<Integer, _>(number).sql(")");
        let locked: bool = diesel::select(try_lock).get_result(&mut session).await?;
        if !locked {
            return Err(Error::Busy("another import into this account is running; wait for it to end".to_owned()));
        }
        ImportLock::media(session).await
    }

    /// Keep every sealed file of a private post from being removed while this is held. Ends with the process.
    pub async fn hold_sealed(&self) -> Result<ImportLock, Error> {
        ImportLock::sealed(Object::take(self.connection().await?), "pg_advisory_lock_shared").await
    }

    /// Take the right to remove sealed files; waits until nobody holds them any more.
    pub async fn lock_sealed(&self) -> Result<ImportLock, Error> {
        ImportLock::sealed(Object::take(self.connection().await?), "pg_advisory_lock").await
    }

    /// Write a batch of an import in one transaction. The posts of a batch have different keys.
    /// Without an import it is a dry run: it does the same and takes it back. Followers are told of what is new and of edits,
    /// within bounds.
    pub async fn ingest(
        &self,
        account: AccountId,
        batch: &[NewPost],
        import: Option<ImportId>,
        told: Option<OfBatch<'_>>,
        now: DateTime<Utc>,
    ) -> Result<Stored, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut connection = self.connection().await?;
            let mut stored = None;
            let outcome = connection
                .transaction(async |connection| {
                    if import.is_some() {
                        stored = Some(write::boxed(connection, account, batch, import, told, now).await?);
                        return Ok(());
                    }
                    let before = count_kept(connection, account).await?;
                    let mut would = write::boxed(connection, account, batch, None, None, now).await?;
                    would.more = count_kept(connection, account).await? - before;
                    stored = Some(would);
                    Err(Ended::DryRun)
                })
                .await;
            match (outcome, stored) {
                (Err(Ended::Failed(Error::Conflict(_))), _) if tries < TRIES => {}
                (Err(Ended::Failed(error)), _) => return Err(error),
                (_, stored) => return Ok(stored.unwrap_or_default()),
            }
        }
    }

    /// Let Postgres learn what the tables of posts hold now, so that it plans well while they grow. It does so by itself,
    /// but minutes later.
    pub async fn learn(&self) -> Result<(), Error> {
        let tables = "ANALYZE contexts, posts, post_sources, attachments, media";
        Ok(self.connection().await?.batch_execute(tables).await?)
    }

    /// Of these keys, those that stand here with a source and with every media file, each with what it was read from.
    pub async fn list_whole_sources(
        &self,
        account: AccountId,
        keys: &[&str],
    ) -> Result<HashMap<String, WholeSource>, Error> {
        let missing =
            attachments::table.filter(attachments::post_id.eq(posts::id).and(attachments::media_sha256.is_null()));
        let mut connection = self.connection().await?;
        let ids = find::list_ids(&mut connection, account, keys).await?;
        let rows: Vec<(String, String, i32, Vec<u8>)> = posts::table
            .inner_join(post_sources::table)
            .filter(posts::id.eq_any(ids))
            .filter(posts::withdrawn_at.is_null().and(not(exists(missing))))
            .select((posts::source_key, post_sources::format, post_sources::reader_version, post_sources::sha256))
            .load(&mut connection)
            .await?;
        let source = |(key, format, reader_version, sha256)| (key, WholeSource { format, reader_version, sha256 });
        Ok(rows.into_iter().map(source).collect())
    }
}
