//! The hosts that we answer for.

use super::schema::{accounts, domains};
use super::{Error, Store, changes};
use crate::domain::ids::DomainId;
use crate::domain::urls::DomainUrls;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};

/// A host that we answer for.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Its number.
    pub id: DomainId,
    /// Scheme and authority.
    pub base_url: String,
    /// Whether it is the one that `server.public_url` names.
    pub first: bool,
    /// When it first answered another server under a name that is for ever.
    pub exposed: Option<DateTime<Utc>>,
}

impl Domain {
    /// Its URLs.
    pub fn urls(&self) -> DomainUrls {
        DomainUrls::new(&self.base_url)
    }
}

type Row = (i64, String, String, Option<DateTime<Utc>>);

const COLUMNS: (domains::id, domains::base_url, domains::role, domains::exposed_at) =
    (domains::id, domains::base_url, domains::role, domains::exposed_at);

fn domain((id, base_url, role, exposed): Row) -> Domain {
    Domain { id: DomainId(id), base_url, first: role == "first", exposed }
}

impl Store {
    /// Every domain, the first one first.
    pub async fn list_domains(&self) -> Result<Vec<Domain>, Error> {
        let rows: Vec<Row> = domains::table
            .select(COLUMNS)
            .order((domains::role, domains::id))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(domain).collect())
    }

    /// The domain whose authority (host, with its port where there is one) is `authority`, in lower case.
    pub async fn find_domain(&self, authority: &str) -> Result<Option<Domain>, Error> {
        let candidates = [format!("https://{authority}"), format!("http://{authority}")];
        let row: Option<Row> = domains::table
            .filter(domains::base_url.eq_any(candidates))
            .select(COLUMNS)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(row.map(domain))
    }

    /// Make the first domain. When two processes do so at once, the later one finds a conflict.
    pub async fn insert_first_domain(&self, base_url: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let values = (domains::base_url.eq(base_url), domains::role.eq("first"), domains::created_at.eq(now));
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let first = diesel::insert_into(domains::table).values(values).on_conflict_do_nothing();
                if first.execute(connection).await? > 0 {
                    changes::tell(connection).await?;
                }
                Ok(())
            })
            .await
    }

    /// Give a domain another base URL; handles on the old host follow. That it was seen stays noted, so that a
    /// configuration which still has the old name does not take the renaming back.
    ///
    /// An account that was live on a loopback name becomes a draft when the name leads to the world: nobody decided that
    /// the world may see it.
    pub async fn rename_domain(&self, id: DomainId, new: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let old: String =
                    domains::table.find(id.0).select(domains::base_url).for_update().first(connection).await?;
                diesel::update(domains::table.find(id.0)).set(domains::base_url.eq(new)).execute(connection).await?;
                let (old, new) = (DomainUrls::new(&old), DomainUrls::new(new));
                let moved = accounts::table.filter(accounts::domain_id.eq(id.0));
                diesel::update(moved).set(accounts::changed_at.eq(now)).execute(connection).await?;
                if old.is_loopback() && !new.is_loopback() {
                    let live = accounts::table.filter(accounts::domain_id.eq(id.0).and(accounts::state.eq("live")));
                    diesel::update(live).set(accounts::state.eq("draft")).execute(connection).await?;
                }
                let same_handle_domain =
                    accounts::domain_id.eq(id.0).and(accounts::handle_domain.eq(old.authority().to_owned()));
                diesel::update(accounts::table.filter(same_handle_domain))
                    .set(accounts::handle_domain.eq(new.authority().to_owned()))
                    .execute(connection)
                    .await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Note that a domain has answered another server.
    pub async fn expose_domain(&self, id: DomainId, now: DateTime<Utc>) -> Result<(), Error> {
        let unseen = domains::table.filter(domains::id.eq(id.0).and(domains::exposed_at.is_null()));
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                if diesel::update(unseen).set(domains::exposed_at.eq(now)).execute(connection).await? > 0 {
                    changes::tell(connection).await?;
                }
                Ok(())
            })
            .await
    }
}
