//! Posts that were not for everyone: sealed as they are imported, and opened for who has the key file.
//!
//! Nothing here leads to a `Post` or a page. `keep.rs` is the import's side, `exported.rs` the export's, `compare.rs` what
//! `everpost diff` asks, `envelope.rs` what is sealed, `files.rs` the media. Errors, logs and reports name places and
//! numbers, never words.

pub(super) mod compare;
mod envelope;
mod exported;
mod files;
mod keep;

pub(super) use exported::{Pages, fresh_files, open_file};
pub use files::Files;
pub(super) use keep::{Hidden, Keeper, Preparation, refuse_without_key};

use super::{App, Error, blocking};
use crate::domain::account::Account;
use crate::domain::ids::{AccountId, PostId};
use crate::domain::private::{PrivateFile, PrivateId, PrivatePost};
use crate::domain::source::{Skipped, SourceKey};
use crate::federation::keys::{self, Vault};
use crate::store::private::SealedPost;
use std::path::{Path, PathBuf};

/// What an import did with posts that are not public.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Sealed and stored, new or changed.
    pub stored: u64,
    /// Stood here already.
    pub unchanged: u64,
    /// Left out, because nobody asked for them.
    pub left_out: u64,
    /// Stood here sealed and are public at the source now: they are public posts now.
    pub made_public: u64,
    /// Public here and not public any more at the source: they stay until somebody withdraws them.
    pub still_public: Vec<Skipped>,
    /// How many more of those there are, until the last of them tells.
    unnamed: u64,
}

/// Posts that [`Tally::still_public`] names one by one: a report of a million lines helps nobody and fills the memory.
const NAMED: usize = 10_000;

impl Tally {
    /// Count a post that is public here and not at its source any more.
    fn note_public(&mut self, at: &str, id: PostId) {
        if self.still_public.len() >= NAMED {
            self.unnamed += 1;
            return;
        }
        let reason = format!(
            "it is not public any more at its source, and stays public here until you take it back: \
             everpost post withdraw {id}"
        );
        self.still_public.push(Skipped { at: at.to_owned(), reason });
    }

    /// Tell how many such posts were not named.
    fn tell_unnamed(&mut self) {
        let unnamed = std::mem::take(&mut self.unnamed);
        if unnamed > 0 {
            let reason = "they are public here and not at their source any more, too; once those before are withdrawn, \
                          the next import names them";
            self.still_public.push(Skipped { at: format!("{unnamed} more posts"), reason: reason.to_owned() });
        }
    }
}

/// A private post by what a person knows of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// Its number here.
    Number(PrivateId),
    /// Its key at the source.
    Key(SourceKey),
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Which::Number(id) => id.fmt(f),
            Which::Key(key) => key.fmt(f),
        }
    }
}

/// An opened post with its number.
pub type Numbered = (PrivateId, PrivatePost);

/// The private posts of an account, those that came last first, at most `limit`, before a number. All of them open, or
/// none is given.
pub async fn list(app: &App, account: &Account, before: Option<PrivateId>, limit: i64) -> Result<Vec<Numbered>, Error> {
    let rows = app.store.page_private(account.id, before, limit).await?;
    let (vault, id) = (app.vault.clone(), account.id);
    blocking(move || rows.iter().map(|row| Ok((PrivateId(row.id), open(&vault, id, row)?))).collect()).await?
}

/// One private post, opened.
pub async fn show(app: &App, account: &Account, which: &Which) -> Result<Numbered, Error> {
    let row = find(app, account, which).await?;
    Ok((PrivateId(row.id), open(&app.vault, account.id, &row)?))
}

/// Open the media of a post into a folder, which is made, as `1.png`, `2.mp4` and so on; their paths. A file that is there
/// is not written over.
pub async fn open_media(
    app: &App,
    account: &Account,
    post: &PrivatePost,
    folder: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let (vault, files, id, folder) = (app.vault.clone(), app.private.clone(), account.id, folder.to_owned());
    let numbered = post.media.iter().zip(1..).filter_map(|(media, at)| Some((at, media.file.clone()?)));
    let wanted: Vec<(u32, PrivateFile)> = numbered.collect();
    blocking(move || {
        std::fs::create_dir_all(&folder).map_err(|e| refused(&folder, &e))?;
        let mut paths = Vec::with_capacity(wanted.len());
        for (at, file) in wanted {
            let path = folder.join(format!("{at}.{}", file.extension));
            let mut sink = std::fs::File::create_new(&path).map_err(|e| refused(&path, &e))?;
            if let Err(error) = files.open(&vault, id, &file, &mut sink) {
                // What does not open whole is not left lying about; the error says the rest.
                let _ = std::fs::remove_file(&path);
                return Err(error);
            }
            paths.push(path);
        }
        Ok(paths)
    })
    .await?
}

/// Remove a private post and the files that no other one needs. Nothing of it stays, and no address ever named it; the next
/// import with `--include-private` takes it in again.
pub async fn forget(app: &App, account: &Account, which: &Which) -> Result<PrivateId, Error> {
    let lock = app.store.lock_import(account.id).await?;
    let row = find(app, account, which).await?;
    app.store.delete_private(account.id, &[PrivateId(row.id)]).await?;
    sweep(app, account.id).await?;
    lock.release().await?;
    Ok(PrivateId(row.id))
}

/// Remove all private files of an account. The caller holds its import.
pub(super) async fn erase_files(app: &App, account: &Account) -> Result<(), Error> {
    let (files, id) = (app.private.clone(), account.id);
    if !files.has_any(id) {
        return Ok(());
    }
    let lock = app.store.lock_sealed().await?;
    blocking(move || files.erase(id)).await??;
    Ok(lock.release().await?)
}

/// Remove the files that no row names. The caller holds the account's import.
async fn sweep(app: &App, account: AccountId) -> Result<(), Error> {
    let files = app.private.clone();
    if !files.has_any(account) {
        return Ok(());
    }
    let lock = app.store.lock_sealed().await?;
    let keep = app.store.list_private_files(account).await?;
    blocking(move || files.sweep(account, &keep)).await??;
    Ok(lock.release().await?)
}

async fn find(app: &App, account: &Account, which: &Which) -> Result<SealedPost, Error> {
    let row = match which {
        Which::Number(id) => app.store.find_private(account.id, *id).await?,
        Which::Key(key) => {
            let identity = identity(&app.vault, account.id, key)?;
            app.store.list_private(account.id, &[identity]).await?.pop()
        }
    };
    row.ok_or_else(|| Error::NotFound(format!("{} has no private post {which}", account.handle)))
}

/// Under what a key is found again.
fn identity(vault: &Vault, account: AccountId, key: &SourceKey) -> Result<Vec<u8>, keys::Error> {
    Ok(vault.name_of(&format!("a private post of account {account}"), key.0.as_bytes())?.to_vec())
}

/// What a sealed post is bound to: it opens in no other row and no other account.
fn bound(account: AccountId, identity: &[u8]) -> String {
    format!("a private post of account {account}\n{}", files::hex(identity))
}

/// Tells one key from another, and nothing about either.
fn key_name(vault: &Vault) -> Result<Vec<u8>, keys::Error> {
    Ok(vault.name_of("a key", &[])?.to_vec())
}

fn open(vault: &Vault, account: AccountId, row: &SealedPost) -> Result<PrivatePost, Error> {
    let what = || format!("private post {}", row.id);
    let closed = || keys::Error::Closed { what: what() };
    if row.key_name != key_name(vault)? {
        return Err(keys::Error::OtherKey { what: what() }.into());
    }
    let opened = vault.open_bytes(&bound(account, &row.identity), &row.sealed).map_err(|error| match error {
        keys::Error::Closed { .. } => closed(),
        other => other,
    })?;
    Ok(envelope::read(&opened).ok_or_else(closed)?)
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    Error::Refused(format!("{}: {error}", path.display()))
}
