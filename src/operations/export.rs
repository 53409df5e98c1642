//! An account's posts, from the store into an archive that a writer makes, in batches.
//!
//! What the writers are given and how they write says `crate::export`. Start with [`export()`].

use super::private::{self, Files, Pages};
use super::{App, Error, blocking};
use crate::activitystreams::archived;
use crate::domain::account::Account;
use crate::domain::block::BlockTarget;
use crate::domain::follower::FollowState;
use crate::domain::ids::{AccountId, ContextId, PostId};
use crate::domain::post::Entry;
use crate::domain::source::Format;
use crate::export::fep_6fcd::{self, KeyFile};
use crate::export::{
    self, ArchiveWriter, Item, Kept, List, Media, Options, Order, PublicBoost, PublicPost, Reference, Subject, Summary,
    Wants,
};
use crate::federation::keys::Vault;
use crate::media::MediaStore;
use crate::store;
use crate::store::exported::{Exported, Other, Reached, Selection};
use crate::store::keys::{KeyOwner, KeyRow};
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek};
use tokio::sync::mpsc;

/// Posts, files, and followers that are read together: memory is bounded by them.
const BATCH: i64 = 200;

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many posts and boosts are taken, of so many that are for everyone.
    Posts(u64, u64),
    /// So many files are taken.
    Files(u64),
}

/// What the writer is handed.
enum Step {
    Items(Vec<Item>),
    Entries(List, Vec<String>),
    Files(Vec<Media>),
    /// Nothing more comes, and nothing is missing.
    End,
}

/// Take what `subject` says out of the store and hand it to `writer`, which writes on a thread of its own.
///
/// While it runs no import into the account does, and no media file is let go of. A file that cannot be had as it was kept is
/// left out and told in [`Summary::notes`]. Private posts are opened only if the options say so.
pub async fn export(
    app: &App,
    subject: &Subject,
    writer: Box<dyn ArchiveWriter>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Summary, Error> {
    // It holds the media too: else a file could be let go of between its row and its bytes.
    let lock = app.store.lock_import(subject.account.id).await.map_err(|error| match error {
        store::Error::Busy(_) => Error::Refused(
            "an import into this account, or another export of it, is running; wait for it to end".to_owned(),
        ),
        other => other.into(),
    })?;
    let wants = writer.wants();
    let (sender, steps) = mpsc::channel(1);
    let source = MediaSource {
        account: subject.account.id,
        media: app.media.clone(),
        files: app.private.clone(),
        vault: app.vault.clone(),
        notes: Vec::new(),
    };
    let writing = blocking(move || write(writer, steps, source));
    let reading = async {
        let read = read(app, subject, wants, &sender, progress).await;
        // An end that did not come tells the writer that something is missing.
        drop(sender);
        read
    };
    let (read, written) = tokio::join!(reading, writing);
    read?;
    let summary = written??;
    lock.release().await?;
    // What was withdrawn meanwhile was held too.
    app.forget_media().await?;
    summary.ok_or_else(|| Error::Task("the export was broken off".to_owned()))
}

/// The key pairs of an account as files of an export, their private halves open.
pub async fn key_files(app: &App, account: &Account) -> Result<Vec<KeyFile>, Error> {
    let rows = app.store.list_keys(KeyOwner::Account(account.id)).await?;
    let file = |row: &KeyRow| {
        let secret = app.vault.disclose(row)?;
        let json = archived::key_pair(account, &row.kind, &row.key_id, &row.public_key, &secret);
        Ok(KeyFile { name: row.key_id.clone(), json })
    };
    rows.iter().map(file).collect()
}

/// What the container of an account is called that is made at `now`.
pub fn file_name(now: DateTime<Utc>) -> String {
    fep_6fcd::file_name(now)
}

/// The account container with everything that is public (FEP-9091), in a temporary file without a name, from its beginning.
///
/// `Later` while an import into the account runs, or another export of it.
pub async fn container(app: &App, account: &Account, now: DateTime<Utc>) -> Result<File, Error> {
    let subject = Subject { account: account.clone(), options: Options::default(), now };
    let writing = subject.clone();
    let begin = move || {
        let file = tempfile::tempfile()?;
        let writer = fep_6fcd::Writer::new(file.try_clone()?, &writing, Vec::new())?;
        Ok::<_, export::Error>((file, writer))
    };
    let (mut file, writer) = blocking(begin).await??;
    export(app, &subject, Box::new(writer), &|_| {}).await.map_err(|error| match error {
        Error::Refused(why) => Error::Later(why),
        other => other,
    })?;
    file.rewind().map_err(export::Error::from)?;
    Ok(file)
}

/// Hand everything to the writer. That it takes nothing more is no failure here: it says why itself.
async fn read(
    app: &App,
    subject: &Subject,
    wants: Wants,
    steps: &mpsc::Sender<Step>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), Error> {
    let (account, options) = (&subject.account, &subject.options);
    let selection = Selection { account: account.id, since: options.since, until: options.until, tags: &options.tags };
    let total = u64::try_from(app.store.count_exported(&selection).await?).unwrap_or_default();
    let mut reached = match wants.order {
        Order::Number => Reached::Number(PostId(0)),
        Order::Thread => Reached::Thread(ContextId(0), DateTime::UNIX_EPOCH, PostId(0)),
    };
    let mut taken = 0;
    while let Some((batch, next)) = app.store.list_exported(&selection, reached, BATCH).await? {
        reached = next;
        taken += batch.len() as u64;
        if steps.send(Step::Items(batch.into_iter().map(item).collect())).await.is_err() {
            return Ok(());
        }
        progress(Progress::Posts(taken, total));
    }
    if options.include_private {
        let mut pages = Pages::of(app, account, options);
        while let Some(items) = pages.next().await? {
            taken += items.len() as u64;
            if steps.send(Step::Items(items)).await.is_err() {
                return Ok(());
            }
            progress(Progress::Posts(taken, total));
        }
    }
    if wants.lists && !lists(app, account.id, steps).await? {
        return Ok(());
    }
    if wants.files {
        let (mut after, mut files) = (String::new(), 0);
        loop {
            let batch = app.store.list_exported_files(&selection, &after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = last.sha256.clone();
            files += batch.len() as u64;
            if steps.send(Step::Files(batch.into_iter().map(Media::Public).collect())).await.is_err() {
                return Ok(());
            }
            progress(Progress::Files(files));
        }
        if options.include_private {
            let (mut pages, mut met) = (Pages::of(app, account, options), HashSet::new());
            while let Some(items) = pages.next().await? {
                let fresh = private::fresh_files(&items, &mut met);
                files += fresh.len() as u64;
                if steps.send(Step::Files(fresh)).await.is_err() {
                    return Ok(());
                }
                progress(Progress::Files(files));
            }
        }
    }
    // Whether it is taken is for the writer to say.
    let _ = steps.send(Step::End).await;
    Ok(())
}

/// Hand the account's lists over; whether they are taken.
async fn lists(app: &App, account: AccountId, steps: &mpsc::Sender<Step>) -> Result<bool, Error> {
    let mut after = None;
    loop {
        let limit = usize::try_from(BATCH).unwrap_or(usize::MAX);
        let batch = app.store.list_followers(account, FollowState::Accepted, after, limit).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.actor.id);
        let name = |told: crate::domain::remote::RemoteActor| told.handle.unwrap_or(told.uri);
        let names = batch.into_iter().map(|follower| name(follower.actor.told)).collect();
        if steps.send(Step::Entries(List::Followers, names)).await.is_err() {
            return Ok(false);
        }
    }
    let (mut accounts, mut domains) = (Vec::new(), Vec::new());
    let blocks = app.store.list_blocks(Some(account)).await?;
    let ids: Vec<&str> = blocks
        .iter()
        .filter_map(|block| if let BlockTarget::Actor(id) = &block.target { Some(id.as_str()) } else { None })
        .collect();
    let addresses = app.store.list_addresses(&ids).await?;
    for block in blocks {
        match block.target {
            BlockTarget::Domain(domain) => domains.push(domain),
            BlockTarget::Address(address) => accounts.push(address),
            BlockTarget::Actor(id) => accounts.push(addresses.get(&id).cloned().unwrap_or(id)),
        }
    }
    for (list, names) in [(List::BlockedAccounts, accounts), (List::BlockedDomains, domains)] {
        if steps.send(Step::Entries(list, names)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the store told, as an item.
fn item(exported: Exported) -> Item {
    let reference = |other: Other| {
        let Other { id, object_id, canonical_url } = other;
        Reference { id, object_id, canonical_url }
    };
    let Exported { entry, object_id, parent, referred, source } = exported;
    let (parent, referred) = (parent.map(reference), referred.map(reference));
    match entry {
        Entry::Post(post) => {
            let kept = |(format, bytes): (String, Vec<u8>)| Some(Kept { format: Format::named(&format)?, bytes });
            Item::Post(Box::new(PublicPost { post: *post, parent, quoted: referred, source: source.and_then(kept) }))
        }
        Entry::Boost(boost) => Item::Boost(Box::new(PublicBoost { boost, object_id, of: referred })),
    }
}

/// Where the bytes of media come from.
struct MediaSource {
    account: AccountId,
    media: MediaStore,
    files: Files,
    vault: Vault,
    notes: Vec<String>,
}

impl MediaSource {
    /// The bytes of a file; `None`, and a note, where it cannot be had whole.
    fn open(&mut self, media: &Media) -> Option<Box<dyn Read>> {
        let (shown, expected, found) = match media {
            Media::Public(file) => {
                (file.file_name(), Some(file.bytes), self.media.open(file, None).map_err(|error| error.to_string()))
            }
            Media::Thumbnail(file, slot) => {
                let found = self.media.open(file, Some(*slot)).map_err(|error| error.to_string());
                (file.thumbnail_name(*slot), None, found)
            }
            Media::Private(file) => {
                let found = private::open_file(&self.vault, &self.files, self.account, file);
                ("a file of a private post".to_owned(), Some(file.bytes), found.map_err(|error| error.to_string()))
            }
        };
        let told = match found {
            Ok(Some((length, bytes))) => {
                if expected.is_none_or(|expected| u64::try_from(expected) == Ok(length)) {
                    return Some(bytes);
                }
                format!("it has {length} bytes, which is not what was noted")
            }
            Ok(None) => "it is not there".to_owned(),
            Err(reason) => reason,
        };
        self.notes.push(format!("{shown} was left out: {told}. `everpost verify` tells what is damaged."));
        None
    }
}

/// The writer's thread; `None` when what should be written did not come to its end.
fn write(
    mut writer: Box<dyn ArchiveWriter>,
    mut steps: mpsc::Receiver<Step>,
    mut source: MediaSource,
) -> Result<Option<Summary>, export::Error> {
    let mut open = |media: &Media| Ok(source.open(media));
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Items(items) => items.iter().try_for_each(|item| writer.item(item, &mut open))?,
            Step::Entries(list, names) => names.iter().try_for_each(|name| writer.entry(list, name))?,
            Step::Files(files) => files.iter().try_for_each(|media| writer.file(media, &mut open))?,
            Step::End => {
                let mut summary = writer.finish(&mut open)?;
                summary.media_missing += source.notes.len() as u64;
                summary.notes.append(&mut source.notes);
                return Ok(Some(summary));
            }
        }
    }
    Ok(None)
}
