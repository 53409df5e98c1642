//! Our accounts: rows, queries, conversion.

use super::keys::{self, KeyOwner, KeyRow};
use super::listing::{Relisted, listed_posts, relist};
use super::schema::{accounts, domains, media, posts};
use super::{Error, Store, announcements, changes, media as media_rows, profiles};
use crate::domain::account::{Account, AccountState, Handle, Profile};
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, DomainId};
use crate::domain::post::MediaFile;
use crate::domain::settings::Settings;
use crate::domain::source::Author;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::{Map, Value, json};

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: i64,
    domain_id: i64,
    handle: String,
    handle_domain: String,
    source_host: Option<String>,
    source_user: Option<String>,
    source_actor_id: Option<String>,
    name: String,
    summary_html: String,
    fields: Value,
    settings: Value,
    state: String,
    preview_token: String,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    exposed_at: Option<DateTime<Utc>>,
    gone_at: Option<DateTime<Utc>>,
    avatar_sha256: Option<String>,
    header_sha256: Option<String>,
    archived_profile: Option<Value>,
    also_known_as: Vec<String>,
    moved_to: Option<String>,
    moved_at: Option<DateTime<Utc>>,
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount {
    /// The domain it will be on.
    pub domain: DomainId,
    /// Its local name.
    pub handle: Handle,
    /// The domain in its handle.
    pub handle_domain: String,
    /// The account elsewhere whose posts it will keep.
    pub source: Option<Author>,
    /// That account's actor id.
    pub source_actor: Option<String>,
    /// Its settings.
    pub settings: Settings,
    /// Whether it is live at once.
    pub live: bool,
    /// What opens its pages while it is a draft.
    pub preview_token: String,
    /// Its key pairs.
    pub keys: Vec<KeyRow>,
}

/// What became of the word of a move that is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    /// Deliveries of it that had gone, or were just being sent.
    pub gone: u64,
    /// Deliveries that waited, and are not sent any more.
    pub dropped: u64,
}

impl Store {
    /// Make an account with its keys. `Conflict` when the handle is, or ever was, taken.
    pub async fn insert_account(&self, new: &NewAccount, now: DateTime<Utc>) -> Result<AccountId, Error> {
        let values = (
            accounts::domain_id.eq(new.domain.0),
            accounts::handle.eq(new.handle.as_str()),
            accounts::handle_domain.eq(&new.handle_domain),
            accounts::source_host.eq(new.source.as_ref().map(|source| &source.host)),
            accounts::source_user.eq(new.source.as_ref().map(|source| &source.user)),
            accounts::source_actor_id.eq(&new.source_actor),
            accounts::settings.eq(settings_json(&new.settings)),
            accounts::state.eq(if new.live { "live" } else { "draft" }),
            accounts::preview_token.eq(&new.preview_token),
            accounts::created_at.eq(now),
            accounts::changed_at.eq(now),
        );
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let id: i64 = diesel::insert_into(accounts::table)
                    .values(values)
                    .returning(accounts::id)
                    .get_result(connection)
                    .await?;
                keys::insert(connection, KeyOwner::Account(AccountId(id)), &new.keys, now).await?;
                changes::tell(connection).await?;
                Ok(AccountId(id))
            })
            .await
    }

    /// Every account that is not gone, by handle.
    pub async fn list_accounts(&self) -> Result<Vec<Account>, Error> {
        let rows: Vec<(Row, String)> = accounts::table
            .inner_join(domains::table)
            .filter(accounts::state.ne("gone"))
            .order((accounts::handle, accounts::id))
            .select((Row::as_select(), domains::base_url))
            .load(&mut self.connection().await?)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(self.account(row).await?);
        }
        Ok(found)
    }

    /// The account of that handle on a domain, also one that is gone.
    pub async fn find_account(&self, domain: DomainId, handle: &Handle) -> Result<Option<Account>, Error> {
        let row: Option<(Row, String)> = accounts::table
            .inner_join(domains::table)
            .filter(accounts::domain_id.eq(domain.0).and(accounts::handle.eq(handle.as_str())))
            .select((Row::as_select(), domains::base_url))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        match row {
            Some(row) => self.account(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The account of that number, also one that is gone.
    pub async fn find_account_by_id(&self, id: AccountId) -> Result<Option<Account>, Error> {
        let row: Option<(Row, String)> = accounts::table
            .inner_join(domains::table)
            .filter(accounts::id.eq(id.0))
            .select((Row::as_select(), domains::base_url))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        match row {
            Some(row) => self.account(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// How many posts an account shows, and in which years the first and the last of them stand.
    pub async fn account_span(
        &self,
        id: AccountId,
    ) -> Result<(i64, Option<DateTime<Utc>>, Option<DateTime<Utc>>), Error> {
        use diesel::dsl::{count_star, max, min};
        let listed = posts::table.filter(posts::account_id.eq(id.0)).filter(listed_posts());
        let span = listed.select((count_star(), min(posts::published_at), max(posts::published_at)));
        Ok(span.first(&mut self.connection().await?).await?)
    }

    /// Open a draft to the world; one that is live or gone stays as it is.
    pub async fn publish_account(&self, id: AccountId, now: DateTime<Utc>) -> Result<(), Error> {
        let draft = accounts::table.filter(accounts::id.eq(id.0).and(accounts::state.eq("draft")));
        let change = (accounts::state.eq("live"), accounts::changed_at.eq(now));
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                diesel::update(draft).set(change).execute(connection).await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Note whose posts an account keeps, unless it is known already.
    pub async fn claim_source(
        &self,
        id: AccountId,
        source: &Author,
        actor: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let unclaimed = accounts::table.filter(accounts::id.eq(id.0).and(accounts::source_host.is_null()));
        let change = (
            accounts::source_host.eq(&source.host),
            accounts::source_user.eq(&source.user),
            accounts::source_actor_id.eq(actor),
            accounts::changed_at.eq(now),
        );
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                diesel::update(unclaimed).set(change).execute(connection).await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Write what `account` says of itself and its settings, unless it was deleted meanwhile; its followers are told.
    pub async fn update_account(
        &self,
        account: &Account,
        told: Option<&Outgoing>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let pictures = [&account.profile.avatar, &account.profile.header];
        let change = (
            accounts::handle_domain.eq(&account.handle_domain),
            accounts::name.eq(&account.profile.name),
            accounts::summary_html.eq(account.profile.summary.as_str()),
            accounts::fields.eq(profiles::fields_json(&account.profile.fields)),
            accounts::avatar_sha256.eq(pictures[0].as_ref().map(|file| &file.sha256)),
            accounts::header_sha256.eq(pictures[1].as_ref().map(|file| &file.sha256)),
            accounts::settings.eq(settings_json(&account.settings)),
            accounts::changed_at.eq(now),
        );
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                lock_writing(connection, account.id).await?;
                media_rows::insert(connection, pictures.into_iter().flatten().collect(), now).await?;
                relist(connection, Relisted::Of(account.id), &account.settings, now).await?;
                let there = accounts::table.filter(accounts::id.eq(account.id.0).and(accounts::state.ne("gone")));
                if let (1, Some(told)) = (diesel::update(there).set(change).execute(connection).await?, told) {
                    announcements::announce(connection, account.id, told, now).await?;
                }
                changes::tell(connection).await
            })
            .await
    }

    /// Write where an account has moved to and when, and tell its followers each of these; `None` if it was not the move's
    /// turn, for it has moved meanwhile, or is gone. Where it has not moved any more, no Move that waits is sent.
    pub async fn move_account(
        &self,
        account: &Account,
        told: &[Outgoing],
        now: DateTime<Utc>,
    ) -> Result<Option<Recalled>, Error> {
        let change = (accounts::moved_to.eq(&account.moved_to), accounts::moved_at.eq(account.last_move));
        let live = accounts::table.filter(accounts::id.eq(account.id.0).and(accounts::state.eq("live")));
        let turned = live.filter(accounts::moved_to.is_null().ne(account.moved_to.is_none()));
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                lock_writing(connection, account.id).await?;
                if diesel::update(turned).set(change).execute(connection).await? == 0 {
                    return Ok(None);
                }
                let recalled = match account.moved_to {
                    Some(_) => Recalled::default(),
                    None => recall(connection, account, now).await?,
                };
                for told in told {
                    announcements::announce(connection, account.id, told, now).await?;
                }
                touch(connection, account.id, now).await?;
                changes::tell(connection).await?;
                Ok(Some(recalled))
            })
            .await
    }

    /// Write which other actors an account says it is, and tell its followers.
    pub async fn set_aliases(&self, account: &Account, told: &Outgoing, now: DateTime<Utc>) -> Result<(), Error> {
        let there = accounts::table.filter(accounts::id.eq(account.id.0).and(accounts::state.ne("gone")));
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                lock_writing(connection, account.id).await?;
                let change = accounts::also_known_as.eq(&account.aliases);
                if diesel::update(there).set(change).execute(connection).await? > 0 {
                    announcements::announce(connection, account.id, told, now).await?;
                }
                touch(connection, account.id, now).await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Take everything of an account away but its row, which keeps the handle from being given again, and its keys as long
    /// as `told`, which its followers are told, is not sent ([`Store::forget_keys`]).
    pub async fn erase_account(&self, id: AccountId, told: Option<&Outgoing>, now: DateTime<Utc>) -> Result<(), Error> {
        use super::schema::{activities, blocks, contexts, followers, imports, resurfacing, tokens};
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                lock_writing(connection, id).await?;
                diesel::delete(posts::table.filter(posts::account_id.eq(id.0))).execute(connection).await?;
                diesel::delete(contexts::table.filter(contexts::account_id.eq(id.0))).execute(connection).await?;
                diesel::delete(imports::table.filter(imports::account_id.eq(id.0))).execute(connection).await?;
                super::private::erase(connection, id).await?;
                // Whatever else waits is about what is no more. Who has not heard of new keys knows the earlier one alone.
                let signed_by = keys::find_awaited(connection, id).await?;
                diesel::delete(activities::table.filter(activities::account_id.eq(id.0))).execute(connection).await?;
                if let Some(told) = told {
                    let activity = announcements::announce(connection, id, told, now).await?;
                    keys::sign_with(connection, activity, signed_by.as_deref()).await?;
                }
                diesel::delete(followers::table.filter(followers::account_id.eq(id.0))).execute(connection).await?;
                diesel::delete(blocks::table.filter(blocks::account_id.eq(id.0))).execute(connection).await?;
                diesel::delete(tokens::table.filter(tokens::account_id.eq(id.0))).execute(connection).await?;
                diesel::delete(resurfacing::table.find(id.0)).execute(connection).await?;
                let emptied = (
                    accounts::name.eq(""),
                    accounts::summary_html.eq(""),
                    accounts::fields.eq(json!([])),
                    accounts::avatar_sha256.eq(None::<String>),
                    accounts::header_sha256.eq(None::<String>),
                    accounts::source_host.eq(None::<String>),
                    accounts::source_user.eq(None::<String>),
                    accounts::source_actor_id.eq(None::<String>),
                    accounts::archived_profile.eq(None::<Value>),
                    accounts::also_known_as.eq(Vec::<String>::new()),
                    (accounts::moved_to.eq(None::<String>), accounts::moved_at.eq(None::<DateTime<Utc>>)),
                    accounts::settings.eq(settings_json(&Settings::default())),
                    accounts::state.eq("gone"),
                    accounts::gone_at.eq(now),
                    accounts::changed_at.eq(now),
                );
                diesel::update(accounts::table.find(id.0)).set(emptied).execute(connection).await?;
                keys::forget(connection).await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Note that an account has answered another server.
    pub async fn expose_account(&self, id: AccountId, now: DateTime<Utc>) -> Result<(), Error> {
        let unseen = accounts::table.filter(accounts::id.eq(id.0).and(accounts::exposed_at.is_null()));
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                if diesel::update(unseen).set(accounts::exposed_at.eq(now)).execute(connection).await? > 0 {
                    changes::tell(connection).await?;
                }
                Ok(())
            })
            .await
    }

    async fn account(&self, (row, base_url): (Row, String)) -> Result<Account, Error> {
        let wanted = [&row.avatar_sha256, &row.header_sha256];
        let files = match wanted.iter().all(|picture| picture.is_none()) {
            true => Vec::new(),
            false => list_pictures(&mut *self.connection().await?, &wanted).await?,
        };
        account(row, base_url, &files)
    }
}

/// Drop what waits of an account's Moves, and count what had gone of its last one.
async fn recall(connection: &mut AsyncPgConnection, account: &Account, now: DateTime<Utc>) -> Result<Recalled, Error> {
    use super::schema::{activities, deliveries};
    let since = account.last_move.unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    let own = || activities::table.filter(activities::account_id.eq(account.id.0).and(activities::kind.eq("Move")));
    let waiting = deliveries::table
        .filter(deliveries::activity_id.eq_any(own().select(activities::id)))
        .filter(deliveries::state.eq("waiting").and(deliveries::leased_until.is_null()));
    let (state, why) = (deliveries::state.eq("dropped"), deliveries::answer.eq("the move was taken back"));
    let dropped = diesel::update(waiting).set((state, why, deliveries::settled_at.eq(now)));
    let dropped = dropped.execute(connection).await?;
    let last = own().filter(activities::created_at.ge(since)).select(activities::id);
    let gone = deliveries::table.filter(deliveries::activity_id.eq_any(last));
    let gone = gone.filter(deliveries::state.eq_any(vec!["delivered", "waiting"])).count();
    let gone: i64 = gone.get_result(connection).await?;
    Ok(Recalled { gone: u64::try_from(gone).unwrap_or(0), dropped: dropped as u64 })
}

/// An account as it stands inside a transaction.
pub(super) async fn get(connection: &mut AsyncPgConnection, id: AccountId) -> Result<Account, Error> {
    let (row, base_url): (Row, String) = accounts::table
        .inner_join(domains::table)
        .filter(accounts::id.eq(id.0))
        .select((Row::as_select(), domains::base_url))
        .first(connection)
        .await
        .optional()?
        .ok_or_else(|| Error::NotFound("the account".to_owned()))?;
    let files = list_pictures(connection, &[&row.avatar_sha256, &row.header_sha256]).await?;
    account(row, base_url, &files)
}

/// The files of those hashes.
pub(super) async fn list_pictures(
    connection: &mut AsyncPgConnection,
    wanted: &[&Option<String>],
) -> Result<Vec<MediaFile>, Error> {
    let wanted: Vec<&String> = wanted.iter().filter_map(|sha256| sha256.as_ref()).collect();
    let rows: Vec<media_rows::Row> =
        media::table.filter(media::sha256.eq_any(wanted)).select(media_rows::COLUMNS).load(connection).await?;
    Ok(rows.into_iter().map(media_rows::file).collect())
}

/// Note on a connection that an account or its posts changed.
///
/// Never before an earlier change, and never before now by the database's clock: a long import has one time for all its
/// batches, and who read in between must see that there is something new.
pub(super) async fn touch(connection: &mut AsyncPgConnection, id: AccountId, now: DateTime<Utc>) -> Result<(), Error> {
    let latest = sql::<Timestamptz>("greatest(changed_at, clock_timestamp(), ").bind::<Timestamptz, _>(now).sql(")");
    diesel::update(accounts::table.find(id.0)).set(accounts::changed_at.eq(latest)).execute(connection).await?;
    Ok(())
}

fn account(row: Row, base_url: String, files: &[MediaFile]) -> Result<Account, Error> {
    let damaged = |what: String| Error::Damaged(format!("account {}: {what}", row.handle));
    let picture = |sha256: &Option<String>| files.iter().find(|file| Some(&file.sha256) == sha256.as_ref()).cloned();
    let state = match (row.state.as_str(), row.gone_at) {
        ("draft", _) => AccountState::Draft,
        ("live", _) => AccountState::Live,
        ("gone", Some(since)) => AccountState::Gone { since },
        (other, _) => return Err(damaged(format!("state {other}"))),
    };
    let profile = Profile {
        name: row.name.clone(),
        summary: SafeHtml::stored(row.summary_html.clone()),
        fields: profiles::read_fields(&row.fields).ok_or_else(|| damaged("fields".to_owned()))?,
        avatar: picture(&row.avatar_sha256),
        header: picture(&row.header_sha256),
    };
    let archived = row.archived_profile.as_ref().map(profiles::read);
    let archived = archived.map(|read| read.ok_or_else(|| damaged("archived profile".to_owned()))).transpose()?;
    let settings = read_settings(&row.settings).map_err(|e| damaged(e.to_string()))?;
    let handle = Handle::parse(&row.handle).map_err(damaged)?;
    let source = row.source_host.zip(row.source_user).map(|(host, user)| Author { host, user });
    Ok(Account {
        id: AccountId(row.id),
        domain: DomainId(row.domain_id),
        base_url,
        handle,
        handle_domain: row.handle_domain,
        source,
        source_actor: row.source_actor_id,
        profile,
        archived,
        settings,
        state,
        preview_token: row.preview_token,
        created: row.created_at,
        changed: row.changed_at,
        exposed: row.exposed_at,
        aliases: row.also_known_as,
        moved_to: row.moved_to,
        last_move: row.moved_at,
    })
}

/// First half of the advisory lock of who writes posts or settings of an account; the second is the account's number.
const WRITE_LOCK: i32 = 0x7772_6974;

/// Wait until nobody else writes posts or settings of an account, and keep them from it until the transaction ends. Whoever
/// writes several of an account's rows takes it first: so they cannot wait for each other.
pub(super) async fn lock_writing(connection: &mut AsyncPgConnection, id: AccountId) -> Result<(), Error> {
    let lock = diesel::sql_query("SELECT pg_advisory_xact_lock($1, $2::int)");
    lock.bind::<Integer, _>(WRITE_LOCK).bind::<BigInt, _>(id.0).execute(connection).await?;
    Ok(())
}

/// The settings of an account. Nobody changes them while [`lock_writing`] holds.
pub(super) async fn settings(connection: &mut AsyncPgConnection, id: AccountId) -> Result<Settings, Error> {
    let row = accounts::table.find(id.0).select(accounts::settings);
    let settings: Value = row.first(connection).await?;
    read_settings(&settings).map_err(|e| Error::Damaged(format!("account {id}: {e}")))
}

fn settings_json(settings: &Settings) -> Value {
    let entries = settings.entries().into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
    Value::Object(Map::from_iter(entries))
}

fn read_settings(value: &Value) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let entries = value.as_object().ok_or("settings are not an object")?;
    for (key, value) in entries {
        settings.set(key, value.as_str().unwrap_or_default()).map_err(|e| e.to_string())?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_settings_read_back_and_an_unknown_key_is_an_error_that_lists_the_allowed() {
        let mut settings = Settings::default();
        settings.set("links", "origin").unwrap();
        assert_eq!(read_settings(&settings_json(&settings)), Ok(settings));
        let error = read_settings(&json!({ "colour": "red" })).unwrap_err();
        assert!(error.contains("colour") && error.contains("archived_counts"), "{error}");
    }
}
