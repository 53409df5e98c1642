//! Actors of other servers.

use super::schema::remote_actors;
use super::{Error, Store};
use crate::domain::ids::RemoteActorId;
use crate::domain::remote::{KnownActor, RemoteActor, RemoteKey, host_of};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

diesel::define_sql_function! {
    /// A text in lower case.
    fn lower(text: Nullable<Text>) -> Nullable<Text>;
}

/// An actor as stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = remote_actors)]
pub(super) struct Row {
    id: i64,
    uri: String,
    kind: String,
    handle: Option<String>,
    name: String,
    page: Option<String>,
    inbox: String,
    shared_inbox: Option<String>,
    followers: Option<String>,
    keys: Value,
    also_known_as: Vec<String>,
    moved_to: Option<String>,
    fetched_at: DateTime<Utc>,
}

impl TryFrom<Row> for KnownActor {
    type Error = Error;

    fn try_from(row: Row) -> Result<KnownActor, Error> {
        let keys: Vec<(String, String)> =
            serde_json::from_value(row.keys).map_err(|e| Error::Damaged(format!("keys of {}: {e}", row.uri)))?;
        Ok(KnownActor {
            id: RemoteActorId(row.id),
            fetched: row.fetched_at,
            told: RemoteActor {
                uri: row.uri,
                kind: row.kind,
                handle: row.handle,
                name: row.name,
                page: row.page,
                inbox: row.inbox,
                shared_inbox: row.shared_inbox,
                followers: row.followers,
                keys: keys.into_iter().map(|(id, text)| RemoteKey { id, text }).collect(),
                also_known_as: row.also_known_as,
                moved_to: row.moved_to,
            },
        })
    }
}

impl Store {
    /// The actor with that id.
    pub async fn find_remote_actor(&self, uri: &str) -> Result<Option<KnownActor>, Error> {
        let query = remote_actors::table.filter(remote_actors::uri.eq(uri)).select(Row::as_select());
        let row = query.first(&mut self.connection().await?).await.optional()?;
        row.map(KnownActor::try_from).transpose()
    }

    /// The actor that has a key with that id; any of them, where several say so.
    pub async fn find_remote_actor_by_key(&self, key_id: &str) -> Result<Option<KnownActor>, Error> {
        // Each key is an array of id and text, and an array holds another one when it holds all its items.
        let query = remote_actors::table.filter(remote_actors::keys.contains(json!([[key_id]])));
        let row = query.select(Row::as_select()).first(&mut self.connection().await?).await.optional()?;
        row.map(KnownActor::try_from).transpose()
    }

    /// Keep what an actor told of itself at `now`, in place of what it told before.
    pub async fn keep_remote_actor(&self, actor: &RemoteActor, now: DateTime<Utc>) -> Result<KnownActor, Error> {
        let keys: Vec<_> = actor.keys.iter().map(|key| (&key.id, &key.text)).collect();
        let values = (
            remote_actors::uri.eq(&actor.uri),
            remote_actors::host.eq(host_of(&actor.uri).unwrap_or_default()),
            remote_actors::kind.eq(&actor.kind),
            remote_actors::handle.eq(&actor.handle),
            remote_actors::name.eq(&actor.name),
            remote_actors::page.eq(&actor.page),
            remote_actors::inbox.eq(&actor.inbox),
            remote_actors::shared_inbox.eq(&actor.shared_inbox),
            remote_actors::followers.eq(&actor.followers),
            remote_actors::keys.eq(json!(keys)),
            remote_actors::also_known_as.eq(&actor.also_known_as),
            remote_actors::moved_to.eq(&actor.moved_to),
            remote_actors::fetched_at.eq(now),
            remote_actors::created_at.eq(now),
        );
        let id: i64 = diesel::insert_into(remote_actors::table)
            .values(values)
            .on_conflict(remote_actors::uri)
            .do_update()
            .set((
                remote_actors::kind.eq(excluded(remote_actors::kind)),
                remote_actors::handle.eq(excluded(remote_actors::handle)),
                remote_actors::name.eq(excluded(remote_actors::name)),
                remote_actors::page.eq(excluded(remote_actors::page)),
                remote_actors::inbox.eq(excluded(remote_actors::inbox)),
                remote_actors::shared_inbox.eq(excluded(remote_actors::shared_inbox)),
                remote_actors::followers.eq(excluded(remote_actors::followers)),
                remote_actors::keys.eq(excluded(remote_actors::keys)),
                remote_actors::also_known_as.eq(excluded(remote_actors::also_known_as)),
                remote_actors::moved_to.eq(excluded(remote_actors::moved_to)),
                remote_actors::fetched_at.eq(excluded(remote_actors::fetched_at)),
            ))
            .returning(remote_actors::id)
            .get_result(&mut self.connection().await?)
            .await?;
        Ok(KnownActor { id: RemoteActorId(id), told: actor.clone(), fetched: now })
    }
}
