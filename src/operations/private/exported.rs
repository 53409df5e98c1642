//! The export's side: private posts opened one page after the other, and their files.
//!
//! Called only where the owner asked for them by name. What leaves here is an `Item::Private`, which no writer can take for
//! anything else.

use super::{Files, open};
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::domain::private::{PrivateFile, PrivateId};
use crate::export::{Item, Media, Options};
use crate::federation::keys::Vault;
use crate::media::Opened;
use crate::operations::{App, Error, blocking};
use std::collections::HashSet;
use std::io::Seek;

/// Posts that are opened together.
const BATCH: i64 = 100;
/// Bytes of an opened file that are held in memory; a longer one lies in a temporary file without a name.
const IN_MEMORY: usize = 4 << 20;

/// The private posts of an account in the order in which they came here, page by page.
pub(in crate::operations) struct Pages {
    app: App,
    account: AccountId,
    options: Options,
    after: PrivateId,
}

impl Pages {
    /// From the first one on, those that the options admit.
    pub(in crate::operations) fn of(app: &App, account: &Account, options: &Options) -> Pages {
        Pages { app: app.clone(), account: account.id, options: options.clone(), after: PrivateId(0) }
    }

    /// The next page, which may be empty; `None` at the end. All of its posts open, or none is given.
    pub(in crate::operations) async fn next(&mut self) -> Result<Option<Vec<Item>>, Error> {
        let rows = self.app.store.list_private_after(self.account, self.after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = PrivateId(last.id);
        let (vault, account, options) = (self.app.vault.clone(), self.account, self.options.clone());
        let opened: Result<Vec<Item>, Error> = blocking(move || {
            let opened = rows.iter().map(|row| open(&vault, account, row));
            let admitted =
                opened.filter(|post| post.as_ref().map_or(true, |post| options.admits(post.published, &post.tags)));
            admitted.map(|post| Ok(Item::Private(Box::new(post?)))).collect()
        })
        .await?;
        opened.map(Some)
    }
}

/// The files of these items that were not met before.
pub(in crate::operations) fn fresh_files(items: &[Item], met: &mut HashSet<String>) -> Vec<Media> {
    let mut files = Vec::new();
    for item in items {
        let Item::Private(post) = item else { continue };
        for file in post.media.iter().filter_map(|media| media.file.as_ref()) {
            if met.insert(file.name.clone()) {
                files.push(Media::Private(file.clone()));
            }
        }
    }
    files
}

/// The bytes of a file, once all of it has opened, with their number; `None` when it is not there. Blocking.
pub(in crate::operations) fn open_file(
    vault: &Vault,
    files: &Files,
    account: AccountId,
    file: &PrivateFile,
) -> Result<Option<Opened>, Error> {
    if !files.holds(account, &file.name) {
        return Ok(None);
    }
    let mut opened = tempfile::spooled_tempfile(IN_MEMORY);
    files.open(vault, account, file, &mut opened)?;
    let length = opened.stream_position().map_err(|cause| Error::Keys(cause.into()))?;
    opened.rewind().map_err(|cause| Error::Keys(cause.into()))?;
    Ok(Some((length, Box::new(opened))))
}
