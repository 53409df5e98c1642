//! The stages before an archive's posts are written: reading, on a thread of its own, and making ready, on every core.
//!
//! A stage works ahead of the next by a batch, and no further: memory is bounded by what is under way. The order of the
//! archive is kept. Must never know what is done with a batch.

use super::audiences::is_public;
use super::prepare::{OpenMedia, Workshop};
use super::private::{Hidden, Preparation};
use super::{Error, blocking, profile};
use crate::domain::post::NewPost;
use crate::domain::source::{Skipped, SourceKey, SourcePost};
use crate::import::ArchiveReader;
use crate::media::MediaStore;
use chrono::{DateTime, Utc};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Posts in a batch, which is one transaction: a tenth of what was read before, within these. So the first are in soon,
/// an end at any moment costs little of what was done, and a long import has few transactions. Several batches are in
/// memory at a time: 1,000 posts instead of 500 took 14 MiB more and no less time.
const BATCH: (usize, usize) = (100, 500);
/// Source bytes in a batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// Batches that are read ahead.
const AHEAD: usize = 1;

/// An item of an archive.
pub(super) type Item = Result<SourcePost, Skipped>;

/// A post's key, and the key of what it answers.
pub(super) type Place = (SourceKey, Option<SourceKey>);

/// What became of a source post that may come in.
pub(super) enum Prepared {
    /// To be stored where everyone can read it.
    Public(Box<NewPost>),
    /// Not for everyone.
    Hidden(Place, Hidden),
    /// Not to be stored.
    Skipped(Place, Skipped),
}

/// An archive that is being read.
pub(super) struct Reading {
    batches: mpsc::Receiver<Vec<Item>>,
    thread: JoinHandle<()>,
    /// The reader, for the media that posts refer to. It is locked for one item, or for opening one file.
    reader: Arc<Mutex<Box<dyn ArchiveReader>>>,
    /// Milliseconds that reading took, without waiting for who wants a batch.
    took: Arc<AtomicU64>,
}

impl Reading {
    /// Start to read; `before` is how much was read from other paths.
    pub(super) fn start(reader: Box<dyn ArchiveReader>, before: u64) -> Reading {
        let reader = Arc::new(Mutex::new(reader));
        let (sender, batches) = mpsc::channel(AHEAD);
        let (shared, took) = (reader.clone(), Arc::new(AtomicU64::new(0)));
        let busy = took.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let mut read = usize::try_from(before).unwrap_or(usize::MAX);
            loop {
                let begun = Instant::now();
                let batch = read_batch(&shared, (read / 10).clamp(BATCH.0, BATCH.1));
                busy.fetch_add(millis(begun), Ordering::Relaxed);
                read += batch.len();
                // Nobody listens any more when the import was broken off.
                if batch.is_empty() || sender.blocking_send(batch).is_err() {
                    return;
                }
            }
        });
        Reading { batches, thread, reader, took }
    }

    /// The next batch; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>, Error> {
        match self.batches.recv().await {
            Some(batch) => Ok(Some(batch)),
            // The end, unless the thread broke.
            None => (&mut self.thread).await.map(|()| None).map_err(|e| Error::Task(e.to_string())),
        }
    }

    /// Milliseconds that reading took so far.
    pub(super) fn took(&self) -> u64 {
        self.took.load(Ordering::Relaxed)
    }

    /// Make the profile ready that the archive tells, if it tells one; see [`profile::make_ready`].
    pub(super) async fn profile(
        &self,
        at: String,
        media: &MediaStore,
        keep: bool,
        up_to: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Option<profile::Ready>, Error> {
        let (reader, media) = (self.reader.clone(), media.clone());
        blocking(move || {
            let told = locked(&reader).profile()?;
            let open = |reference: &str| locked(&reader).media(reference);
            profile::make_ready(told, &at, &open, &media, keep, up_to, now)
        })
        .await
    }

    /// Do something that opens media, on a thread where it may take its time.
    pub(super) async fn with_media<T: Send + 'static>(
        &self,
        work: impl FnOnce(OpenMedia<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let reader = self.reader.clone();
        blocking(move || work(&|reference: &str| locked(&reader).media(reference))).await
    }

    /// Make posts ready on every core; `keep` says whether media are stored or only looked at. What is not public goes
    /// through `hiding` and comes out closed.
    pub(super) async fn prepare(
        &self,
        posts: Vec<SourcePost>,
        media: &MediaStore,
        hiding: Preparation,
        keep: bool,
        now: DateTime<Utc>,
    ) -> Result<Vec<Prepared>, Error> {
        let (reader, media) = (self.reader.clone(), media.clone());
        blocking(move || {
            let open = |reference: &str| locked(&reader).media(reference);
            on_every_core(
                posts,
                || Workshop::new(&open, &media, keep, now),
                |workshop, post: SourcePost| {
                    let place = (post.key.clone(), post.reply_to.clone());
                    if !is_public(&post) {
                        return Prepared::Hidden(place, hiding.prepare(post, &open));
                    }
                    match workshop.prepare(post) {
                        Ok(post) => Prepared::Public(Box::new(post)),
                        Err(skipped) => Prepared::Skipped(place, skipped),
                    }
                },
            )
        })
        .await?
    }
}

/// Milliseconds that the stages of an import took; all but the survey run at the same time.
#[derive(Default)]
pub(super) struct Times {
    pub(super) survey: u64,
    pub(super) read: u64,
    pub(super) ready: u64,
    pub(super) write: u64,
}

/// Milliseconds since `begun`.
pub(super) fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn read_batch(reader: &Mutex<Box<dyn ArchiveReader>>, most: usize) -> Vec<Item> {
    let mut items = Vec::new();
    let mut bytes = 0;
    while items.len() < most && bytes < BATCH_BYTES {
        let Some(item) = locked(reader).next() else { break };
        bytes += item.as_ref().map_or(0, |post| post.bytes.len() + post.html.len());
        items.push(item);
    }
    items
}

/// The reader. One that broke in the middle is not used again: `next` tells of it.
fn locked(reader: &Mutex<Box<dyn ArchiveReader>>) -> MutexGuard<'_, Box<dyn ArchiveReader>> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Do the same with every item, on as many threads as there are cores, and give the results in the order of the items.
/// Each thread makes its own tools.
pub(super) fn on_every_core<T: Send, R: Send, W>(
    items: Vec<T>,
    tools: impl Fn() -> Result<W, Error> + Sync,
    work: impl Fn(&mut W, T) -> R + Sync,
) -> Result<Vec<R>, Error> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(items.len().div_ceil(8)).max(1);
    let count = items.len();
    // Neighbours are alike, a thread with its pictures for one: so the threads take turns, item by item.
    let waiting: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let next = AtomicUsize::new(0);
    let share = || -> Result<Vec<(usize, R)>, Error> {
        let mut tools = tools()?;
        let mut done = Vec::with_capacity(count / threads + 1);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(place) = waiting.get(at) else { return Ok(done) };
            let item = place.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(item) = item {
                done.push((at, work(&mut tools, item)));
            }
        }
    };
    let mut done: Vec<(usize, R)> = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let started: Vec<_> = (1..threads).map(|_| scope.spawn(share)).collect();
        done.extend(share()?);
        for thread in started {
            done.extend(thread.join().map_err(|_| Error::Task("a thread broke".to_owned()))??);
        }
        Ok::<(), Error>(())
    })?;
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import;

    #[test]
    fn results_come_in_the_order_of_the_items_whatever_thread_made_them() {
        let items: Vec<u64> = (0..5000).collect();
        let slow = |_: &mut (), n: u64| {
            if n.is_multiple_of(7) {
                std::thread::yield_now();
            }
            n * 2
        };
        let results = on_every_core(items, || Ok(()), slow).unwrap();
        assert_eq!(results, (0..5000).map(|n| n * 2).collect::<Vec<_>>());
        assert!(on_every_core(Vec::new(), || Ok(()), slow).unwrap().is_empty());
        let broken = on_every_core(vec![1, 2], || Err::<(), _>(Error::Task("x".to_owned())), |(), n: u64| n);
        assert!(broken.is_err());
    }

    /// Gives `count` items that say their number, and breaks at `breaks`.
    struct Counting {
        count: usize,
        given: usize,
        breaks: usize,
    }

    impl ArchiveReader for Counting {
        fn next(&mut self) -> Option<Item> {
            self.given += 1;
            assert!(self.given != self.breaks, "a reader that breaks");
            let item = || Err(Skipped { at: self.given.to_string(), reason: String::new() });
            (self.given <= self.count).then(item)
        }

        fn media(&self, reference: &str) -> Result<Box<dyn std::io::Read + Send>, import::Error> {
            Err(import::Error::Media { reference: reference.to_owned(), reason: "there is none".to_owned() })
        }
    }

    async fn read(reader: Counting) -> Result<Vec<Vec<Item>>, Error> {
        let mut reading = Reading::start(Box::new(reader), 0);
        let mut batches = Vec::new();
        while let Some(batch) = reading.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    #[tokio::test]
    async fn batches_begin_small_and_grow_and_hold_everything_in_order() {
        let batches = read(Counting { count: 30_000, given: 0, breaks: 0 }).await.unwrap();
        assert_eq!((batches[0].len(), batches[1].len()), (100, 100));
        assert!(batches.iter().all(|batch| batch.len() <= 500) && batches[batches.len() - 2].len() == 500);
        let told: Vec<String> = batches.into_iter().flatten().map(|item| item.unwrap_err().at).collect();
        assert_eq!(told, (1..=30_000).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_reader_that_breaks_is_no_end_of_the_archive() {
        let error = read(Counting { count: 500, given: 0, breaks: 250 }).await.unwrap_err();
        assert!(matches!(error, Error::Task(_)), "{error}");
    }
}
