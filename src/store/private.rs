//! Rows of posts that are not public. What is in them is sealed; `operations::private` seals and opens them.
//!
//! No query joins this table with another one, and no other file but `accounts.rs`, which erases, calls this one.

use super::schema::{posts, private_posts};
use super::{Error, Store};
use crate::domain::ids::{AccountId, PostId};
use crate::domain::private::PrivateId;
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::{HashMap, HashSet};

/// Names of sealed files with their accounts, after $1 and $2, at most $3.
pub(super) const SEALED_FILES: &str = "SELECT DISTINCT account_id, name FROM public.private_posts, unnest(files) AS name \
    WHERE (account_id, name) > ($1, $2) ORDER BY account_id, name LIMIT $3";

/// A sealed post as stored.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = private_posts, check_for_backend(Pg))]
pub struct SealedPost {
    /// Its number.
    pub id: i64,
    /// A keyed hash of its source key.
    pub identity: Vec<u8>,
    /// A keyed hash of the source's bytes.
    pub source_name: Vec<u8>,
    /// The format's name.
    pub format: String,
    /// The version of the reader that read it.
    pub reader_version: i32,
    /// Which key sealed it.
    pub key_name: Vec<u8>,
    /// Names of its sealed files.
    pub files: Vec<String>,
    /// How many of its media could not be had.
    pub files_missing: i16,
    /// All the rest.
    pub sealed: Vec<u8>,
}

/// A sealed post to be stored. Its fields mean what those of [`SealedPost`] mean.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = private_posts)]
pub struct NewSealedPost {
    /// A keyed hash of its source key.
    pub identity: Vec<u8>,
    /// A keyed hash of the source's bytes.
    pub source_name: Vec<u8>,
    /// The format's name.
    pub format: &'static str,
    /// The version of the reader that read it.
    pub reader_version: i32,
    /// Which key sealed it.
    pub key_name: Vec<u8>,
    /// Names of its sealed files.
    pub files: Vec<String>,
    /// How many of its media could not be had.
    pub files_missing: i16,
    /// All the rest.
    pub sealed: Vec<u8>,
}

/// A public post under a key that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPost {
    /// Its number.
    pub id: PostId,
    /// Whether it was withdrawn.
    pub withdrawn: bool,
    /// Whether its next import may bring it back.
    pub awaited: bool,
}

impl Store {
    /// The names of the keys that sealed an account's private posts; none if there are none.
    pub async fn list_private_keys(&self, account: AccountId) -> Result<Vec<Vec<u8>>, Error> {
        let mine = private_posts::table.filter(private_posts::account_id.eq(account.0));
        let names = mine.select(private_posts::key_name).distinct();
        Ok(names.load(&mut self.connection().await?).await?)
    }

    /// The private posts of these identities.
    pub async fn list_private(&self, account: AccountId, identities: &[Vec<u8>]) -> Result<Vec<SealedPost>, Error> {
        let mine = private_posts::account_id.eq(account.0).and(private_posts::identity.eq_any(identities));
        let query = private_posts::table.filter(mine).select(SealedPost::as_select());
        Ok(query.load(&mut self.connection().await?).await?)
    }

    /// The private post of that number.
    pub async fn find_private(&self, account: AccountId, id: PrivateId) -> Result<Option<SealedPost>, Error> {
        let mine = private_posts::account_id.eq(account.0).and(private_posts::id.eq(id.0));
        let query = private_posts::table.filter(mine).select(SealedPost::as_select());
        Ok(query.first(&mut self.connection().await?).await.optional()?)
    }

    /// Private posts, latest number first, at most `limit`, those before a number.
    pub async fn page_private(
        &self,
        account: AccountId,
        before: Option<PrivateId>,
        limit: i64,
    ) -> Result<Vec<SealedPost>, Error> {
        let before = before.map_or(i64::MAX, |id| id.0);
        let mine = private_posts::account_id.eq(account.0).and(private_posts::id.lt(before));
        let query = private_posts::table.filter(mine).order(private_posts::id.desc()).limit(limit);
        Ok(query.select(SealedPost::as_select()).load(&mut self.connection().await?).await?)
    }

    /// Private posts in the order in which they came, at most `limit`, those after a number.
    pub async fn list_private_after(
        &self,
        account: AccountId,
        after: PrivateId,
        limit: i64,
    ) -> Result<Vec<SealedPost>, Error> {
        let mine = private_posts::account_id.eq(account.0).and(private_posts::id.gt(after.0));
        let query = private_posts::table.filter(mine).order(private_posts::id).limit(limit);
        Ok(query.select(SealedPost::as_select()).load(&mut self.connection().await?).await?)
    }

    /// Store private posts in one statement, each over what stands under its identity; of two with one identity the later.
    pub async fn write_private(
        &self,
        account: AccountId,
        rows: &[NewSealedPost],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        use private_posts as p;
        let latest: HashMap<&[u8], &NewSealedPost> = rows.iter().map(|row| (row.identity.as_slice(), row)).collect();
        let is_latest =
            |row: &&NewSealedPost| latest.get(row.identity.as_slice()).is_some_and(|it| std::ptr::eq(*it, *row));
        let times = (p::created_at.eq(now), p::changed_at.eq(now));
        let rows = rows.iter().filter(is_latest).map(|row| (p::account_id.eq(account.0), row, times));
        diesel::insert_into(p::table)
            .values(rows.collect::<Vec<_>>())
            .on_conflict((p::account_id, p::identity))
            .do_update()
            .set((
                p::source_name.eq(excluded(p::source_name)),
                p::format.eq(excluded(p::format)),
                p::reader_version.eq(excluded(p::reader_version)),
                p::key_name.eq(excluded(p::key_name)),
                p::files.eq(excluded(p::files)),
                p::files_missing.eq(excluded(p::files_missing)),
                p::sealed.eq(excluded(p::sealed)),
                p::changed_at.eq(excluded(p::changed_at)),
            ))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Delete private posts; how many were there. Their files are the caller's.
    pub async fn delete_private(&self, account: AccountId, ids: &[PrivateId]) -> Result<usize, Error> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mine = private_posts::account_id.eq(account.0).and(private_posts::id.eq_any(ids));
        Ok(diesel::delete(private_posts::table.filter(mine)).execute(&mut self.connection().await?).await?)
    }

    /// The names of all files that private posts of an account refer to.
    pub async fn list_private_files(&self, account: AccountId) -> Result<HashSet<String>, Error> {
        let mine = private_posts::table.filter(private_posts::account_id.eq(account.0));
        let files: Vec<Vec<String>> = mine.select(private_posts::files).load(&mut self.connection().await?).await?;
        Ok(files.into_iter().flatten().collect())
    }

    /// What stands publicly, or stood once, under these keys.
    pub async fn list_public(&self, account: AccountId, keys: &[&str]) -> Result<HashMap<String, PublicPost>, Error> {
        let rows: Vec<(String, i64, bool, bool)> = posts::table
            .filter(posts::account_id.eq(account.0).and(posts::source_key.eq_any(keys)))
            .select((posts::source_key, posts::id, posts::withdrawn_at.is_not_null(), posts::awaited))
            .load(&mut self.connection().await?)
            .await?;
        let post = |(key, id, withdrawn, awaited)| (key, PublicPost { id: PostId(id), withdrawn, awaited });
        Ok(rows.into_iter().map(post).collect())
    }
}

/// Delete all private posts of an account, on a connection that may be inside a transaction.
pub(super) async fn erase(connection: &mut AsyncPgConnection, account: AccountId) -> Result<(), Error> {
    let mine = private_posts::table.filter(private_posts::account_id.eq(account.0));
    diesel::delete(mine).execute(connection).await?;
    Ok(())
}
