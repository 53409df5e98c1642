//! What an operator, a schedule or a stranger can make happen: one verb, or one noun's verbs, a file.
//!
//! The command line and the web call the same functions here. Must never know actix, clap, status codes or HTML.
//! Time is a parameter. Start with `ingest.rs`.

pub mod accounts;
pub mod announcements;
mod audiences;
pub mod backfill;
pub mod backup;
mod block_lists;
pub mod blocks;
mod copies;
pub mod diff;
pub mod domains;
pub mod errands;
pub mod export;
pub mod fields;
pub mod followers;
mod gaps;
pub mod imports;
pub mod ingest;
pub mod keys;
pub mod media;
pub mod moves;
pub mod pins;
mod pipeline;
mod planned;
pub mod posts;
mod prepare;
pub mod preview;
pub mod private;
pub mod profile;
pub mod proofs;
pub mod receive;
pub mod report;
mod reprove;
mod reread;
pub mod resurface;
mod target;
pub mod tokens;
pub mod verify;

use crate::domain::account::Account;
use crate::domain::news::News;
use crate::federation::actors::{self, Actors};
use crate::federation::client::Client;
use crate::federation::courier::{Courier, Sender};
use crate::federation::keys::{self as key_pairs, Vault};
use crate::federation::senders::{self, Senders};
use crate::media::MediaStore;
use crate::metrics::Metrics;
use crate::store::{self, Store};
use futures::{StreamExt, stream};

/// The handles that an operation needs.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The media files.
    pub media: MediaStore,
    /// What seals private keys, and posts that are not public.
    pub vault: Vault,
    /// The sealed media files of posts that are not public.
    pub private: private::Files,
    /// What asks other servers and delivers to them.
    pub courier: Courier,
    /// The actors of other servers.
    pub actors: Actors,
    /// Where what happens is counted.
    pub metrics: Metrics,
    /// How long a post is news, and sent to followers when it comes here.
    pub news: News,
}

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is not there; the sentence says what there is.
    #[error("{0}")]
    NotFound(String),
    /// It contradicts what stands; the sentence says what to do.
    #[error("{0}")]
    Refused(String),
    /// Nothing in the given paths could be read.
    #[error("{0}")]
    NothingReadable(String),
    /// The database.
    #[error(transparent)]
    Store(store::Error),
    /// A key.
    #[error(transparent)]
    Keys(#[from] key_pairs::Error),
    /// A media file.
    #[error(transparent)]
    Media(#[from] crate::media::Error),
    /// An export cannot be written.
    #[error(transparent)]
    Export(#[from] crate::export::Error),
    /// Another server cannot be asked now; trying again later may help.
    #[error("{0}")]
    Later(String),
    /// A part of the program stopped in the middle.
    #[error("an inner task failed: {0}")]
    Task(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::NotFound(what) => Error::NotFound(format!("{what} is not there")),
            store::Error::Busy(why) => Error::Refused(why),
            other => Error::Store(other),
        }
    }
}

/// Run blocking work off the request path.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::Task(e.to_string()))
}

impl From<actors::Error> for Error {
    fn from(error: actors::Error) -> Error {
        match error {
            actors::Error::Gone(_) | actors::Error::Unknown(_) => Error::NotFound(error.to_string()),
            actors::Error::Later(why) => Error::Later(why),
            actors::Error::Inner(cause) => Error::Store(match &*cause {
                store::Error::Unavailable(why) => store::Error::Unavailable(why.clone()),
                other => store::Error::Database(other.to_string()),
            }),
        }
    }
}

impl From<senders::Error> for Error {
    fn from(error: senders::Error) -> Error {
        match error {
            senders::Error::Store(error) => error.into(),
            senders::Error::Keys(error) => Error::Keys(error),
            senders::Error::NoKey(_) => Error::NotFound(error.to_string()),
        }
    }
}

impl App {
    /// The handles, around a client that asks other servers.
    pub fn new(store: Store, media: MediaStore, vault: Vault, private: private::Files, client: Client) -> App {
        let metrics = Metrics::default();
        let courier = Courier::new(client, metrics.clone());
        let senders = Senders::new(store.clone(), vault.clone());
        let actors = Actors::new(store.clone(), courier.clone(), senders);
        App { store, media, vault, private, courier, actors, metrics, news: News::default() }
    }

    /// The server actor of the first domain, which signs what no account signs.
    pub async fn server_sender(&self) -> Result<Sender, Error> {
        Ok(self.actors.senders().server().await?)
    }

    /// An account, which signs what it says: by its RSA key, which every server verifies.
    pub async fn sender(&self, account: &Account) -> Result<Sender, Error> {
        Ok(self.actors.senders().account(account).await?)
    }

    /// Let go of media files that nothing refers to any more.
    async fn forget_media(&self) -> Result<(), Error> {
        let erase = |file: &crate::domain::post::MediaFile| {
            if let Err(error) = self.media.erase(file) {
                tracing::warn!(media.sha256 = file.sha256, %error, "a media file that nothing refers to could not be removed");
            }
        };
        Ok(self.store.forget_unused_media(erase).await?)
    }
}

/// Do the same with each of them, so many at once; how many there were. One that fails stops no other.
async fn each<T, F: Future<Output = Result<(), Error>>>(
    all: Vec<T>,
    at_once: usize,
    work: impl FnMut(T) -> F,
) -> Result<usize, Error> {
    let number = all.len();
    let mut under_way = stream::iter(all).map(work).buffer_unordered(at_once);
    let mut failed = None;
    while let Some(done) = under_way.next().await {
        failed = done.err().or(failed);
    }
    failed.map_or(Ok(number), Err)
}
