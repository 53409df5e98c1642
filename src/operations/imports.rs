//! Imports that were run here: looked at, and undone.
//!
//! Undoing takes back what an import did to posts. The account stays, and so do posts that were sealed away as private:
//! nobody can see them, and the archive that holds them may be gone.

use super::announcements::Announcer;
use super::{App, Error};
use crate::domain::ids::{ImportId, PostId};
use crate::domain::imports::{Import, ImportState, UndoCounts};
use chrono::{DateTime, Utc};

/// Protected posts that are named; all are counted.
const NAMED: usize = 1000;

/// What undoing an import came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Undone {
    /// The import as it is now.
    pub import: Import,
    /// Whether it had been undone before: then nothing was done now.
    pub before: bool,
    /// What this run did; the import's own counts are those of all runs.
    pub counts: UndoCounts,
    /// The first posts that stay as they are, each with the later import that wrote over it.
    pub protected: Vec<(PostId, ImportId)>,
}

/// The import of that number.
pub async fn find(app: &App, id: ImportId) -> Result<Import, Error> {
    let missing =
        || Error::NotFound(format!("there is no import {id}; `everpost imports list` shows those that there are"));
    app.store.find_import(id).await?.ok_or_else(missing)
}

/// Undo an import.
///
/// What it made and no other server has seen is deleted, and may come in again; what was seen is withdrawn, and stays
/// withdrawn; followers are told of that, a few posts an hour. What it wrote over becomes again what it was, unless a
/// later import wrote over it too. Can be broken off at any moment: undoing it again does the rest. `progress` is called
/// after each batch with the posts so far.
pub async fn undo(
    app: &App,
    id: ImportId,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Undone, Error> {
    let found = find(app, id).await?;
    let lock = app.store.lock_import(found.account).await?;
    // Another process may have undone it before this one had the lock.
    let found = find(app, id).await?;
    let mut undone = Undone {
        before: found.state() == ImportState::Undone,
        import: found,
        counts: UndoCounts::default(),
        protected: Vec::new(),
    };
    let account = undone.import.account;
    let missing = || Error::NotFound(format!("the account of import {id} was deleted just now"));
    let account = app.store.find_account_by_id(account).await?.ok_or_else(missing)?;
    let announcer = Announcer::of(app, &account, now).await?;
    let told = |post: PostId| announcer.delete_note(&account, post);
    let mut before = PostId(i64::MAX);
    while !undone.before {
        let Some((step, next)) = app.store.undo_step(account.id, id, before, Some(&told), now).await? else { break };
        before = next;
        undone.counts = undone.counts.and(step.counts);
        let room = NAMED.saturating_sub(undone.protected.len());
        undone.protected.extend(step.protected.into_iter().take(room));
        progress(undone.counts.entries().into_iter().map(|(_, count)| count).sum());
    }
    lock.release().await?;
    app.forget_media().await?;
    undone.import = find(app, id).await?;
    Ok(undone)
}
