//! Posts with what they say of others by key: numbers mean nothing to whoever compares two accounts.

use super::posts::{Relations, Row, entry, list_files};
use super::schema::posts;
use super::{Error, Store, ingest};
use crate::domain::ids::{AccountId, PostId};
use crate::domain::post::Entry;
use crate::domain::source::SourceKey;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;

/// What stands under a key, as far as it can be compared with what stands elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Its number.
    pub id: PostId,
    /// Its identity at the source.
    pub key: SourceKey,
    /// The post or the boost, with all that it tells of others, whether those stand or not; `None` once it was withdrawn.
    pub entry: Option<Entry>,
    /// The key of what it answers, whether that is here or not.
    pub reply_to: Option<SourceKey>,
    /// The key of what it quotes or passes on, where that would be a post of the same account.
    pub refers_to: Option<SourceKey>,
    /// The key of the post that opened its conversation; `None` where nobody knows that.
    pub conversation: Option<SourceKey>,
}

type Columns = (Row, String, Option<String>);

impl Store {
    /// What an account has and had, in the order of the numbers from the one after `after` on, at most `limit`. Each page
    /// is seen at one moment.
    pub async fn page_compared(&self, account: AccountId, after: PostId, limit: i64) -> Result<Vec<Compared>, Error> {
        let mine = posts::table.filter(posts::account_id.eq(account.0).and(posts::id.gt(after.0)));
        let page = mine.order(posts::id).limit(limit).into_boxed();
        let mut connection = self.connection().await?;
        let mut at_once = connection.build_transaction().repeatable_read().read_only();
        at_once.run(async |connection| load(connection, page).await).await
    }

    /// What stands, or stood once, under these keys.
    pub async fn find_compared(&self, account: AccountId, keys: &[&str]) -> Result<Vec<Compared>, Error> {
        let mut connection = self.connection().await?;
        let mut at_once = connection.build_transaction().repeatable_read().read_only();
        at_once
            .run(async |connection| {
                let ids = ingest::list_ids(connection, account, keys).await?;
                load(connection, posts::table.filter(posts::id.eq_any(ids)).into_boxed()).await
            })
            .await
    }
}

async fn load(
    connection: &mut AsyncPgConnection,
    query: posts::BoxedQuery<'static, Pg>,
) -> Result<Vec<Compared>, Error> {
    let columns = (Row::as_select(), posts::source_key, posts::reply_to_key);
    let rows: Vec<Columns> = query.select(columns).load(connection).await?;
    let ids: Vec<i64> = rows.iter().map(|(row, ..)| row.id).collect();
    let contexts: Vec<i64> = rows.iter().map(|(row, ..)| row.context_id).collect();
    // A conversation has the number of the post that opened it.
    let opened = posts::table.filter(posts::id.eq_any(contexts)).select((posts::id, posts::source_key));
    let opened: HashMap<i64, String> = opened.load::<(i64, String)>(connection).await?.into_iter().collect();
    let mut files: HashMap<i64, Vec<_>> = HashMap::new();
    for file in list_files(connection, &ids).await? {
        files.entry(file.0).or_default().push(file);
    }
    let compared = |(row, key, reply_to): Columns| {
        let (id, refers_to, conversation) = (row.id, row.refers_to.clone(), opened.get(&row.context_id).cloned());
        // As if all that it answers stood: what it says of that is compared too.
        let relations = Relations { parents: row.reply_to_id.into_iter().collect(), ..Relations::default() };
        let entry = match row.withdrawn_at {
            Some(_) => None,
            None => Some(entry(row, files.remove(&id).unwrap_or_default(), &relations)?),
        };
        Ok(Compared {
            id: PostId(id),
            key: SourceKey(key),
            entry,
            reply_to: reply_to.map(SourceKey),
            refers_to: refers_to.map(SourceKey),
            conversation: conversation.map(SourceKey),
        })
    };
    rows.into_iter().map(compared).collect()
}
