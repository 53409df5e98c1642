//! Blocks of domains and actors, for the whole server or for one account: made, taken back, listed, read and written as
//! lists.

use super::block_lists;
use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::block::{Block, BlockTarget, Blocked};
use crate::domain::ids::AccountId;
use crate::domain::remote::host_of;
use crate::federation::fetch;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde_json::Value;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};

/// Addresses that are looked up at the same time.
const AT_ONCE: usize = 8;
/// Lines of a list of which more is told than their number.
const TOLD: usize = 1000;

/// Which list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Domains, with why they are blocked.
    Domains,
    /// Accounts.
    Accounts,
}

/// What came of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Blocks that are new.
    pub added: u64,
    /// Blocks that stood already.
    pub known: u64,
    /// Blocks that hold by address, because nobody could say which actor that is.
    pub by_address: u64,
    /// Blocks that hold for exactly an id, because no actor is known that has it.
    pub by_id: u64,
    /// Followers and requests that were removed.
    pub followers: u64,
    /// Likes, boosts and emoji that were taken back.
    pub reactions: u64,
    /// Deliveries that were dropped.
    pub deliveries: u64,
    /// How many lines were left out.
    pub left_out: u64,
    /// Of the first of these the number and why.
    pub reasons: Vec<(u64, String)>,
}

/// Block what `target` names, for `account` or for the whole server; what it holds for in the end, and what came of it.
///
/// An address is looked up first, because an actor may change it; where that fails the block holds by address. So is a URL,
/// for people copy the address of a page; where that fails the block holds for exactly this id.
pub async fn add(
    app: &App,
    account: Option<&Account>,
    target: BlockTarget,
    comment: &str,
    now: DateTime<Utc>,
) -> Result<(BlockTarget, Blocked), Error> {
    refuse_own(app, &target).await?;
    let target = resolve(app, target, &Mutex::default(), now).await;
    refuse_own(app, &target).await?;
    let blocked = app.store.insert_block(account.map(|account| account.id), &target, comment, now).await?;
    Ok((target, blocked))
}

/// Take a block back; it holds no more from now on, and who was removed by it has to follow again.
pub async fn remove(
    app: &App,
    account: Option<&Account>,
    target: &BlockTarget,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let id = account.map(|account| account.id);
    if app.store.delete_block(id, target).await? {
        return Ok(());
    }
    // The address of a page that was looked up holds as the id of its actor too.
    if let BlockTarget::Actor(_) = target {
        let found = resolve(app, target.clone(), &Mutex::default(), now).await;
        if found != *target && app.store.delete_block(id, &found).await? {
            return Ok(());
        }
    }
    // An address that was looked up holds as the id of its actor.
    if let BlockTarget::Address(address) = target {
        for (held, known) in with_addresses(app, id).await? {
            if known.is_some_and(|known| known.eq_ignore_ascii_case(address)) {
                app.store.delete_block(id, &held.target).await?;
                return Ok(());
            }
        }
    }
    Err(Error::NotFound(format!("{target} is not blocked; `everpost block list` shows what is")))
}

/// Every block of `account`, or of the whole server, each with the address of its actor where that is known.
pub async fn list(app: &App, account: Option<&Account>) -> Result<Vec<(Block, Option<String>)>, Error> {
    with_addresses(app, account.map(|account| account.id)).await
}

/// Block what a list names, as Mastodon writes it.
pub async fn import(
    app: &App,
    account: Option<&Account>,
    source: impl Read + Send,
    now: DateTime<Utc>,
) -> Result<Imported, Error> {
    let mut imported = Imported::default();
    let unreachable = Mutex::default();
    let lines = block_lists::read(source).map_err(Error::NothingReadable)?.map(|line| {
        let unreachable = &unreachable;
        async move {
            match line.content {
                Ok((target, comment)) => (line.number, Ok((resolve(app, target, unreachable, now).await, comment))),
                Err(reason) => (line.number, Err(reason)),
            }
        }
    });
    let mut lines = std::pin::pin!(stream::iter(lines).buffered(AT_ONCE));
    while let Some((number, content)) = lines.next().await {
        let done = match content {
            Ok((target, comment)) => match refuse_own(app, &target).await {
                Ok(()) => {
                    imported.by_address += u64::from(matches!(target, BlockTarget::Address(_)));
                    Ok(app.store.insert_block(account.map(|account| account.id), &target, &comment, now).await?)
                }
                Err(Error::Refused(reason)) => Err(reason),
                Err(other) => return Err(other),
            },
            Err(reason) => Err(reason),
        };
        match done {
            Ok(Blocked { is_new, followers, reactions, deliveries, is_unknown }) => {
                imported.by_id += u64::from(is_unknown);
                *(if is_new { &mut imported.added } else { &mut imported.known }) += 1;
                imported.followers += followers;
                imported.reactions += reactions;
                imported.deliveries += deliveries;
            }
            Err(reason) => {
                imported.left_out += 1;
                if imported.reasons.len() < TOLD {
                    imported.reasons.push((number, reason));
                }
            }
        }
    }
    match imported.added + imported.known {
        0 => Err(Error::NothingReadable(match imported.reasons.first() {
            Some((number, reason)) => format!("the list blocks nothing; line {number}: {reason}"),
            None => "the list is empty".to_owned(),
        })),
        _ => Ok(imported),
    }
}

/// Write a list, as Mastodon reads it; how many blocks are in it. An actor whose address is not known stands there by its
/// id, which Everpost reads and Mastodon leaves out.
pub async fn export(app: &App, account: Option<&Account>, list: List, out: impl Write) -> Result<u64, Error> {
    let blocks = with_addresses(app, account.map(|account| account.id)).await?;
    let unwritable = |error: csv::Error| Error::Refused(format!("the list cannot be written: {error}"));
    match list {
        List::Domains => {
            let rows: Vec<(&str, &str)> = blocks
                .iter()
                .filter_map(|(block, _)| match &block.target {
                    BlockTarget::Domain(domain) => Some((domain.as_str(), block.comment.as_str())),
                    _ => None,
                })
                .collect();
            block_lists::write_domains(out, rows.iter().copied()).map_err(unwritable)?;
            Ok(rows.len() as u64)
        }
        List::Accounts => {
            let rows: Vec<&str> = blocks
                .iter()
                .filter_map(|(block, known)| match &block.target {
                    BlockTarget::Domain(_) => None,
                    BlockTarget::Actor(uri) => Some(known.as_deref().unwrap_or(uri)),
                    BlockTarget::Address(address) => Some(address),
                })
                .collect();
            block_lists::write_accounts(out, rows.iter().copied()).map_err(unwritable)?;
            Ok(rows.len() as u64)
        }
    }
}

async fn with_addresses(app: &App, account: Option<AccountId>) -> Result<Vec<(Block, Option<String>)>, Error> {
    let blocks = app.store.list_blocks(account).await?;
    let actors: Vec<&str> = blocks
        .iter()
        .filter_map(|block| if let BlockTarget::Actor(uri) = &block.target { Some(uri.as_str()) } else { None })
        .collect();
    let mut known = app.store.list_addresses(&actors).await?;
    let address = |block: Block| {
        let address = if let BlockTarget::Actor(uri) = &block.target { known.remove(uri) } else { None };
        (block, address)
    };
    Ok(blocks.into_iter().map(address).collect())
}

/// The id of the actor behind an address or at a URL, where its host says who that is; else what was given. A host that
/// cannot be reached is asked once for a whole list.
async fn resolve(
    app: &App,
    target: BlockTarget,
    unreachable: &Mutex<HashSet<String>>,
    now: DateTime<Utc>,
) -> BlockTarget {
    let host = match &target {
        BlockTarget::Domain(_) => return target,
        BlockTarget::Actor(uri) => host_of(uri).unwrap_or_default(),
        BlockTarget::Address(address) => address.split_once('@').map_or(address.as_str(), |(_, host)| host).to_owned(),
    };
    let known = || unreachable.lock().unwrap_or_else(PoisonError::into_inner);
    if known().contains(&host) {
        return target;
    }
    match look_up(app, &target, now).await {
        Ok(id) => {
            // What is kept of it is its address, for lists that are written.
            if let Err(error) = app.actors.resolve(&id, now).await {
                tracing::debug!(actor = id, %error, "a blocked actor is known by its id alone");
            }
            BlockTarget::Actor(id)
        }
        Err(is_unreachable) => {
            if is_unreachable {
                known().insert(host);
            }
            target
        }
    }
}

/// The id that the host of an address or of a URL gives for it; the error is whether that host cannot be reached.
async fn look_up(app: &App, target: &BlockTarget, now: DateTime<Utc>) -> Result<String, bool> {
    let sender = app.server_sender().await.map_err(|_| false)?;
    let found = match target {
        BlockTarget::Domain(_) => return Err(false),
        BlockTarget::Address(address) => fetch::webfinger(&app.courier, &sender, address, now).await,
        BlockTarget::Actor(uri) => {
            // Who is known by this id need not be asked.
            if let Ok(Some(known)) = app.store.find_remote_actor(uri).await {
                return Ok(known.told.uri);
            }
            let actor = fetch::object(&app.courier, &sender, uri, now).await;
            actor.map(|actor| actor.get("id").and_then(Value::as_str).unwrap_or(uri).to_owned())
        }
    };
    found.map_err(|error| matches!(error, fetch::Error::Later { .. }))
}

/// A block of one of our own domains would keep the server from itself.
async fn refuse_own(app: &App, target: &BlockTarget) -> Result<(), Error> {
    let domains = app.store.list_domains().await?;
    let own = domains.iter().any(|domain| {
        let urls = domain.urls();
        match target {
            BlockTarget::Domain(blocked) => crate::domain::block::domains_above(urls.authority()).contains(blocked),
            BlockTarget::Actor(uri) => crate::domain::remote::same_host(uri, urls.base()),
            BlockTarget::Address(address) => address.split_once('@').is_some_and(|(_, host)| host == urls.host()),
        }
    });
    if own { Err(Error::Refused(format!("{target} is this server itself"))) } else { Ok(()) }
}
