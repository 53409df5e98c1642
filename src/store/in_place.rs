//! A post with the places of its conversation, as most answers want it. Start with [`Store::find_post_in_place`].

use super::listing::listed_posts;
use super::posts::{AttachmentRow, Relations, Row, entry, list_files, list_referred, tombstone};
use super::replies::list_echoes;
use super::schema::{attachments, echoes, posts};
use super::together::Question;
use super::{Connection, Error, Store};
use crate::domain::ids::{AccountId, PostId};
use crate::domain::post::Stored;
use crate::domain::thread::Place;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::collections::HashMap;

/// A post with the places of its conversation in order of time.
type InPlace = (Stored, Vec<Place>);

/// Which post is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    account: AccountId,
    id: PostId,
}

/// A post that cannot be read, and why. It concerns nobody who wishes for another one.
struct Damaged(String);

impl Store {
    /// What stands under a post's number on an account, with the places of its conversation in order of time.
    pub async fn find_post_in_place(&self, account: AccountId, id: PostId) -> Result<Option<InPlace>, Error> {
        self.posts_in_place.ask(Wish { account, id }).await
    }
}

impl Question for Wish {
    type Answer = Option<InPlace>;

    const ASKERS: usize = 2;

    async fn answer(
        wishes: &[Wish],
        connection: &mut Connection,
    ) -> Result<Vec<Result<Option<InPlace>, Error>>, Error> {
        let mut ids: Vec<i64> = wishes.iter().map(|wish| wish.id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = read(connection, &ids).await?;
        let given = |wish: &Wish| match found.get(&wish.id.0) {
            Some(Ok(found)) => Ok(Some(found).filter(|(stored, _)| owner(stored) == wish.account).cloned()),
            Some(Err(Damaged(what))) => Err(Error::Damaged(what.clone())),
            None => Ok(None),
        };
        Ok(wishes.iter().map(given).collect())
    }
}

/// The posts of these numbers. Most stand alone and have no files, and the first question tells which do not.
async fn read(connection: &mut Connection, ids: &[i64]) -> Result<HashMap<i64, Result<InPlace, Damaged>>, Error> {
    let (parent, other) = diesel::alias!(posts as parent, posts as other);
    let stands = parent
        .filter(parent.field(posts::id).nullable().eq(posts::reply_to_id))
        .filter(parent.field(posts::withdrawn_at).is_null());
    let company = other
        .filter(other.field(posts::context_id).eq(posts::context_id).and(other.field(posts::id).ne(posts::id)))
        .filter(other.field(posts::withdrawn_at).is_null().and(other.field(posts::listed)));
    let files = attachments::table.filter(attachments::post_id.eq(posts::id));
    let echo = echoes::table.filter(echoes::post_id.eq(posts::id));
    let rows: Vec<(Row, bool, bool, bool, bool)> = posts::table
        .filter(posts::id.eq_any(ids))
        .select((Row::as_select(), exists(stands), exists(company), exists(files), exists(echo)))
        .load(connection)
        .await?;
    let with_files: Vec<i64> = rows.iter().filter(|(.., has_files, _)| *has_files).map(|(row, ..)| row.id).collect();
    let mut files = match with_files.is_empty() {
        true => Vec::new(),
        false => list_files(connection, &with_files).await?,
    };
    let shared: Vec<i64> = rows.iter().filter(|(_, _, company, ..)| *company).map(|(row, ..)| row.context_id).collect();
    let places = if shared.is_empty() { HashMap::new() } else { list_places(connection, &shared).await? };
    let answered: Vec<i64> = rows.iter().filter(|(.., has_echo)| *has_echo).map(|(row, ..)| row.id).collect();
    let echoes = if answered.is_empty() { HashMap::new() } else { list_echoes(connection, &answered).await? };
    let (rows, known): (Vec<Row>, Vec<(bool, bool)>) =
        rows.into_iter().map(|(row, stands, company, ..)| (row, (stands, company))).unzip();
    let referred = list_referred(connection, &rows).await?;
    let mut relations = Relations { referred, echoes, ..Relations::default() };
    let mut found = HashMap::with_capacity(rows.len());
    for (row, (stands, has_company)) in rows.into_iter().zip(known) {
        let id = row.id;
        if let Some(withdrawn) = row.withdrawn_at {
            found.insert(id, Ok((Stored::Withdrawn(tombstone(row, withdrawn)), Vec::new())));
            continue;
        }
        let places = match places.get(&row.context_id).filter(|_| has_company) {
            Some(places) => places.clone(),
            None if !row.listed => Vec::new(),
            None => vec![Place { id: PostId(id), reply_to: row.reply_to_id.map(PostId) }],
        };
        let (mine, rest) = files.into_iter().partition(|file: &AttachmentRow| file.0 == id);
        files = rest;
        relations.parents = row.reply_to_id.filter(|_| stands).into_iter().collect();
        let entry = entry(row, mine, &relations).map_err(|cause| Damaged(cause.to_string()));
        found.insert(id, entry.map(|entry| (Stored::from(entry), places)));
    }
    Ok(found)
}

/// Who answers whom among the listed posts of some conversations, in order of time.
async fn list_places(connection: &mut Connection, contexts: &[i64]) -> Result<HashMap<i64, Vec<Place>>, Error> {
    let rows: Vec<(i64, i64, Option<i64>)> = posts::table
        .filter(posts::context_id.eq_any(contexts))
        .filter(listed_posts())
        .order((posts::published_at, posts::id))
        .select((posts::context_id, posts::id, posts::reply_to_id))
        .load(connection)
        .await?;
    let mut places: HashMap<i64, Vec<Place>> = HashMap::new();
    for (context, id, to) in rows {
        places.entry(context).or_default().push(Place { id: PostId(id), reply_to: to.map(PostId) });
    }
    Ok(places)
}

/// Whose it is.
fn owner(stored: &Stored) -> AccountId {
    match stored {
        Stored::Live(post) => post.account,
        Stored::Boost(boost) => boost.account,
        Stored::Withdrawn(tombstone) => tombstone.account,
    }
}
