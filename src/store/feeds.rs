//! A listing as a feed has it: its outline, and the entries of one of its parts.

use super::listing::Listing;
use super::posts::Row;
use super::schema::posts;
use super::{Error, Store};
use crate::domain::feed::{Outline, Stand};
use crate::domain::ids::PostId;
use crate::domain::post::Entry;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures::TryStreamExt;

impl Store {
    /// The whole history of a listing in parts. It reads three columns of every row, one row at a time.
    pub async fn outline(&self, listing: Listing<'_>) -> Result<Outline, Error> {
        let mut connection = self.connection().await?;
        let places = listing.query().order((posts::published_at, posts::id));
        let places = places.select((posts::published_at, posts::id, posts::changed_at));
        let mut rows = places.load_stream::<(DateTime<Utc>, i64, DateTime<Utc>)>(&mut connection).await?;
        let mut outline = Outline::default();
        while let Some((at, id, changed)) = rows.try_next().await? {
            outline.add(at, PostId(id), changed);
        }
        Ok(outline)
    }

    /// The entries of a listing from one place on and before another one, newest first, at most `limit`.
    pub async fn list_between(
        &self,
        listing: Listing<'_>,
        first: Stand,
        end: Option<Stand>,
        limit: u32,
    ) -> Result<Vec<Entry>, Error> {
        let (at, PostId(id)) = first;
        let from = posts::published_at.gt(at).or(posts::published_at.eq(at).and(posts::id.ge(id)));
        let mut query = listing.query().select(Row::as_select()).filter(posts::published_at.ge(at)).filter(from);
        if let Some((at, PostId(id))) = end {
            let before = posts::published_at.lt(at).or(posts::published_at.eq(at).and(posts::id.lt(id)));
            query = query.filter(posts::published_at.le(at)).filter(before);
        }
        let query = query.order((posts::published_at, posts::id)).limit(i64::from(limit));
        let mut rows: Vec<Row> = query.load(&mut self.connection().await?).await?;
        rows.reverse();
        self.complete(rows).await
    }
}
