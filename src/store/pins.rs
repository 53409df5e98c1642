//! The posts that an account shows before all others.

use super::posts::list_shown;
use super::schema::pins;
use super::{Error, Store, accounts, announcements, changes};
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, PostId};
use crate::domain::pins::{Change, MOST};
use crate::domain::post::Post;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// Makes what followers are told of a post that is pinned (`true`) or unpinned; `None` for nothing.
pub type OfPin<'a> = &'a (dyn Fn(PostId, bool) -> Option<Outgoing> + Send + Sync);

impl Store {
    /// An account's pins that it shows, in the owner's order.
    pub async fn list_pins(&self, account: AccountId) -> Result<Vec<Post>, Error> {
        list(&mut *self.connection().await?, account).await
    }

    /// Change an account's pins, and tell its followers; the pins as they are now, and whether that is anything new.
    /// `Conflict` says why it is not possible.
    pub async fn change_pins(
        &self,
        account: AccountId,
        change: &Change,
        told: OfPin<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Vec<PostId>, bool), Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                accounts::lock_writing(connection, account).await?;
                let before: Vec<PostId> = list(connection, account).await?.iter().map(|post| post.id).collect();
                let after = change.apply(&before).map_err(Error::Conflict)?;
                if after == before {
                    return Ok((after, false));
                }
                let ids: Vec<i64> = after.iter().map(|id| id.0).collect();
                let standing = list_shown(connection, &ids).await?;
                if let Some(id) = after.iter().find(|id| standing.iter().all(|post| post.id != **id)) {
                    return Err(Error::Conflict(format!("post {id} is not shown any more")));
                }
                diesel::delete(pins::table.filter(pins::account_id.eq(account.0))).execute(connection).await?;
                let row = |(id, position): (&i64, i16)| {
                    (pins::post_id.eq(*id), pins::account_id.eq(account.0), pins::position.eq(position))
                };
                let rows: Vec<_> = ids.iter().zip(1..).map(row).collect();
                diesel::insert_into(pins::table).values(rows).execute(connection).await?;
                let gone = before.iter().filter(|id| !after.contains(id)).map(|id| (*id, false));
                let new = after.iter().filter(|id| !before.contains(id)).map(|id| (*id, true));
                for told in gone.chain(new).filter_map(|(id, pinned)| told(id, pinned)) {
                    announcements::announce(connection, account, &told, now).await?;
                }
                accounts::touch(connection, account, now).await?;
                changes::tell(connection).await?;
                Ok((after, true))
            })
            .await
    }
}

/// The pins that an account shows, in order, on a connection.
async fn list(connection: &mut AsyncPgConnection, account: AccountId) -> Result<Vec<Post>, Error> {
    let mine = pins::table.filter(pins::account_id.eq(account.0)).order(pins::position);
    let ids: Vec<i64> = mine.select(pins::post_id).load(connection).await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut posts = list_shown(connection, &ids).await?;
    posts.sort_by_key(|post| ids.iter().position(|id| *id == post.id.0));
    posts.truncate(MOST);
    Ok(posts)
}

/// Take posts that are withdrawn out of the pins.
pub(super) async fn forget(connection: &mut AsyncPgConnection, withdrawn: &[i64]) -> Result<(), Error> {
    diesel::delete(pins::table.filter(pins::post_id.eq_any(withdrawn))).execute(connection).await?;
    Ok(())
}
