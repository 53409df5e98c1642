//! Telling every server process that answers may have changed, or that something is to be sent, and hearing it.
//!
//! Each transaction that changes what an URL answers ends with `tell`; Postgres passes it on when, and only when, the
//! transaction is committed. Must never know what is done about it. Start with [`Store::listen`].

use super::{Error, Store};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures::{StreamExt, stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::AsyncMessage;

/// The channel of what URLs answer, in this database alone.
const CHANNEL: &str = "everpost_changed";
/// The channel of what is to be sent.
pub(super) const DELIVERIES: &str = "everpost_deliveries";
/// How often a quiet connection is asked whether it still stands, and how long it may take to say so: a network that
/// swallows packets ends no connection by itself.
const PULSE: Duration = Duration::from_secs(5);
/// Wait before another try to connect: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Shortest time between two tellings of what comes in floods: of what URLs answer, and of what is to be sent.
const GENTLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(50));

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From now on no change is missed.
    Listening,
    /// A transaction was committed that tells on this channel.
    Changed,
    /// From now on changes are missed.
    Lost,
}

/// Note on a connection, inside a transaction, that it changes what some URL answers.
pub(super) async fn tell(connection: &mut AsyncPgConnection) -> Result<(), Error> {
    notify(connection, CHANNEL).await
}

/// Tell on a channel, once the transaction is committed.
pub(super) async fn notify(connection: &mut AsyncPgConnection, channel: &str) -> Result<(), Error> {
    Ok(connection.batch_execute(&format!("NOTIFY {channel}")).await?)
}

/// What this process told on a channel of what others can make it tell without end.
///
/// A transaction that notifies is alone in the whole database while it is committed; so what comes in floods is told after
/// its transaction.
#[derive(Clone, Debug)]
pub(super) struct Gentle {
    channel: &'static str,
    /// Shortest time between two tellings.
    pace: Duration,
    told: Arc<Mutex<Told>>,
}

/// When that was, and whether more of it waits to be told.
#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    last_at_once: Option<Instant>,
    waits: bool,
}

impl Gentle {
    /// Of what URLs answer.
    pub(super) fn of_changes() -> Gentle {
        Gentle { channel: CHANNEL, pace: GENTLE.0, told: Arc::default() }
    }

    /// Of what is to be sent.
    pub(super) fn of_deliveries() -> Gentle {
        Gentle { channel: DELIVERIES, pace: GENTLE.1, told: Arc::default() }
    }

    /// Whether what others take away may be told of at once; then it has to be. Somebody who does and undoes for ever gets
    /// that once a second, and what is told gently waits behind it.
    pub(super) fn may_tell_at_once(&self) -> bool {
        let mut told = self.told();
        let may = told.last_at_once.is_none_or(|last| last.elapsed() >= self.pace);
        if may {
            let now = Some(Instant::now());
            (told.last, told.last_at_once) = (now, now);
        }
        may
    }

    /// What waited is told of now.
    fn waited(&self) {
        let mut told = self.told();
        (told.last, told.waits) = (Some(Instant::now()), false);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Tell of something that comes in floods, as likes do, after its transaction: at once, and of what follows soon after
    /// together a little later. A process that ends meanwhile leaves others with answers of three minutes at most, and what
    /// is to be sent to who looks next.
    pub(super) async fn tell_gently(&self, gentle: &Gentle) {
        let wait = {
            let mut told = gentle.told();
            if told.waits {
                return;
            }
            let wait = told.last.and_then(|last| gentle.pace.checked_sub(last.elapsed())).unwrap_or_default();
            told.waits = !wait.is_zero();
            if wait.is_zero() {
                told.last = Some(Instant::now());
            }
            wait
        };
        if wait.is_zero() {
            return self.tell_now(gentle.channel).await;
        }
        let (store, gentle) = (self.clone(), gentle.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            gentle.waited();
            store.tell_now(gentle.channel).await;
        });
    }

    async fn tell_now(&self, channel: &str) {
        let told = match self.connection().await {
            Ok(mut connection) => notify(&mut connection, channel).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::info!(%error, channel, "others could not be told, and see by themselves after a while");
        }
    }

    /// Listen for changes on a connection of its own, for ever: a lost connection is made anew.
    pub async fn listen(&self, heard: impl Fn(Heard)) {
        self.listen_to(CHANNEL, heard).await;
    }

    /// The same on another channel.
    pub(super) async fn listen_to(&self, channel: &'static str, heard: impl Fn(Heard)) {
        let mut wait = RETRY.0;
        loop {
            let mut listened = false;
            let lost = self
                .listen_once(channel, &mut |what| {
                    listened = true;
                    heard(what);
                })
                .await;
            if listened {
                heard(Heard::Lost);
                wait = RETRY.0;
            }
            tracing::debug!(cause = %lost, channel, "nobody tells of changes for the moment");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Listen until the connection is lost, and say why it was.
    async fn listen_once(&self, channel: &str, heard: &mut impl FnMut(Heard)) -> Error {
        let (client, mut connection) = match super::dial(&self.place, "everpost listener").await {
            Ok(dialled) => dialled,
            Err(error) => return error,
        };
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        let unavailable = |cause: tokio_postgres::Error| Error::Unavailable(cause.to_string());
        let gone = || Error::Unavailable("the connection ended".to_owned());
        // Nothing comes back on a connection unless its messages are polled.
        let listen = format!("LISTEN {channel}");
        let asked = client.batch_execute(&listen);
        tokio::pin!(asked);
        loop {
            tokio::select! {
                answer = &mut asked => match answer {
                    Ok(()) => break,
                    Err(cause) => return unavailable(cause),
                },
                message = messages.next() => match message {
                    Some(Ok(_)) => {}
                    Some(Err(cause)) => return unavailable(cause),
                    None => return gone(),
                },
            }
        }
        heard(Heard::Listening);
        let pulse = async {
            loop {
                tokio::time::sleep(PULSE).await;
                match tokio::time::timeout(PULSE, client.batch_execute("")).await {
                    Ok(Ok(())) => {}
                    Ok(Err(cause)) => return unavailable(cause),
                    Err(_) => return Error::Unavailable("the connection is silent".to_owned()),
                }
            }
        };
        tokio::pin!(pulse);
        loop {
            tokio::select! {
                lost = &mut pulse => return lost,
                message = messages.next() => match message {
                    Some(Ok(AsyncMessage::Notification(_))) => heard(Heard::Changed),
                    Some(Ok(_)) => {}
                    Some(Err(cause)) => return unavailable(cause),
                    None => return gone(),
                },
            }
        }
    }
}
