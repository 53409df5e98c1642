//! Stored media files, looked at again.

use super::{App, Error, blocking};
use crate::domain::post::{MediaFile, Picture};
use crate::media;
use chrono::{DateTime, Utc};

/// Files between two writes to the database: what a broken-off run loses at most.
const BATCH: i64 = 20;

/// What [`refresh`] came to. `looked_at` = measured + without + unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files whose figures were missing or older than this version's.
    pub looked_at: u64,
    /// Pictures that have their figures now.
    pub measured: u64,
    /// Films, sounds, and pictures that cannot be measured.
    pub without: u64,
    /// Files whose bytes are not there or have changed, each by name and with the reason. The next run tries them again.
    pub unreadable: Vec<(String, String)>,
}

/// Make the figures and thumbnails of every stored file that has none, or older ones than this version makes.
///
/// Running it again looks at what is left, so it can be broken off at any moment. `progress` is called after each batch with
/// the files looked at so far.
pub async fn refresh(app: &App, now: DateTime<Utc>, progress: &(dyn Fn(u64) + Sync)) -> Result<Report, Error> {
    let held = app.store.hold_media().await?;
    let mut report = Report::default();
    let mut after = String::new();
    loop {
        let files = app.store.list_unmeasured_media(&after, BATCH).await?;
        let Some(last) = files.last() else { break };
        after = last.sha256.clone();
        report.looked_at += files.len() as u64;
        let store = app.media.clone();
        let found = blocking(move || measure(&store, files)).await?;
        let mut measured = Vec::with_capacity(found.len());
        for (file, outcome) in found {
            match outcome {
                Ok(picture) => {
                    let count = if picture.is_some() { &mut report.measured } else { &mut report.without };
                    *count += 1;
                    measured.push((file.sha256, picture));
                }
                Err(error) => report.unreadable.push((file.file_name(), error.to_string())),
            }
        }
        app.store.set_figures(&measured, now).await?;
        progress(report.looked_at);
    }
    held.release().await?;
    app.forget_media().await?;
    Ok(report)
}

type Measured = (MediaFile, Result<Option<Picture>, media::Error>);

/// The figures of files, on as many threads as there are processors. Blocking.
fn measure(store: &media::MediaStore, files: Vec<MediaFile>) -> Vec<Measured> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let queue = std::sync::Mutex::new(files.into_iter());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || {
        let mut done: Vec<Measured> = Vec::new();
        while let Some(file) = next() {
            let outcome = store.refresh(&file);
            done.push((file, outcome));
        }
        done
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
