//! Proves that what is kept is whole: every post against its source, every file against its name.
//!
//! What is proven, and what is not, says [`verify`]. Start there; `reread.rs` compares a post with its source, and `reprove.rs`
//! verifies integrity proofs.

use super::pipeline::on_every_core;
use super::{App, Error, blocking, reprove, reread};
use crate::domain::account::Account;
use crate::domain::ids::{ActivityId, ImportId, PostId};
use crate::domain::post::MediaFile;
use crate::domain::source::Format;
use crate::media::MediaStore;
use crate::store::archive::{Archived, Earlier};
use std::io::Read;

/// Posts, and files, that are looked at together: memory is bounded by them.
const BATCH: i64 = 100;
/// Bytes of an uncompressed source beyond which it is damaged: readers take posts of a few MiB at most.
const LARGEST: u64 = 256 << 20;

/// What is damaged about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A post that stands has no source.
    NoSource,
    /// A source cannot be unpacked.
    Unreadable(String),
    /// A source is not what its SHA-256 says: the bytes have changed, or the SHA-256 has.
    Source,
    /// The source is whole and says something else than the post, in these fields.
    Post(Vec<&'static str>),
    /// A source of an earlier revision is not what its SHA-256 says.
    Earlier(ImportId),
    /// The integrity proof of something that was or will be sent does not fit what is sent. Why.
    Proof(String),
    /// A file is not there.
    FileMissing,
    /// A file cannot be read.
    FileUnreadable(String),
    /// A file has so many bytes instead of what was noted.
    FileLength(u64),
    /// A file's bytes are not those that its name says.
    FileBytes,
}

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The post; of a file one that shows it, `None` where it belongs to a profile or to an earlier revision.
    pub post: Option<PostId>,
    /// The file.
    pub file: Option<String>,
    /// The id of the activity.
    pub activity: Option<String>,
    /// What is wrong.
    pub damage: Damage,
}

/// What was looked at, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Posts that stand. Each has a source, and its SHA-256 was compared.
    pub posts: u64,
    /// Of these, the ones that were also read again from their source and compared with it.
    pub reread: u64,
    /// Withdrawn posts: there is nothing of them to prove.
    pub withdrawn: u64,
    /// Sources of earlier revisions; their SHA-256 was compared.
    pub earlier: u64,
    /// Integrity proofs of what other servers were told or will be; each was verified with the account's own key.
    pub proofs: u64,
    /// Files; length and SHA-256 were compared.
    pub files: u64,
    /// What is damaged.
    pub findings: u64,
}

/// Prove what is kept of an account, or of all accounts.
///
/// For every post that stands: its source's bytes unpack, and their SHA-256 is the one noted. For posts that were read
/// from an archive of Mastodon, Pleroma or Akkoma by the reader of this version: the source, read again and cleaned again,
/// says what the post says (see `reread.rs`). For the source of every earlier revision: its SHA-256. For
/// every activity in the queue: its integrity proof, by the key of its account that made it (decision 0021). For every media
/// file: it is there, and has the length noted and the SHA-256 that is its name.
///
/// Not proven: texts of posts from pages of a site, because the piece of a page that is kept does not say all by itself;
/// fields that no source tells, or that another source has filled; thumbnails, which can be made again; profiles. Whoever
/// changes a source together with its SHA-256 is not found out either: this finds damage, not forgery.
///
/// Reads in batches and changes nothing. `watch` is given each finding at once, `progress` the posts and files so far.
pub async fn verify(
    app: &App,
    account: Option<&Account>,
    progress: &(dyn Fn(u64, u64) + Sync),
    watch: &(dyn Fn(Finding) + Sync),
) -> Result<Report, Error> {
    let account = account.map(|account| account.id);
    // Else a file could be let go of between its row and its bytes.
    let held = app.store.hold_media().await?;
    let (standing, withdrawn) = app.store.count_archived(account).await?;
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    let total = number(standing);
    let mut report = Report { withdrawn: number(withdrawn), ..Report::default() };
    let tell = |report: &mut Report, finding: Finding| {
        report.findings += 1;
        watch(finding);
    };
    let mut after = PostId(0);
    loop {
        let batch = app.store.list_archived(account, after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.entry.id();
        report.posts += batch.len() as u64;
        let checked = blocking(move || on_every_core(batch, || Ok(()), |(), archived| check_post(&archived))).await??;
        for (was_read, finding) in checked {
            report.reread += u64::from(was_read);
            finding.into_iter().for_each(|finding| tell(&mut report, finding));
        }
        progress(report.posts, total);
    }
    let mut after = (PostId(0), ImportId(0));
    loop {
        let batch = app.store.list_earlier(account, after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = (last.post, last.import);
        report.earlier += batch.len() as u64;
        let checked =
            blocking(move || on_every_core(batch, || Ok(()), |(), earlier| check_earlier(&earlier))).await??;
        checked.into_iter().flatten().for_each(|finding| tell(&mut report, finding));
    }
    let mut proofs = reprove::Keys::default();
    let mut after = ActivityId(0);
    loop {
        let batch = app.store.list_told(account, after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.id;
        for told in batch {
            match reprove::check(app, &mut proofs, &told).await? {
                None => {}
                Some(outcome) => {
                    report.proofs += 1;
                    if let Err(why) = outcome {
                        let damage = Damage::Proof(why);
                        tell(&mut report, Finding { post: None, file: None, activity: Some(told.uri), damage });
                    }
                }
            }
        }
    }
    let mut after = String::new();
    loop {
        let batch = app.store.list_files(account, &after, BATCH).await?;
        let Some((last, _)) = batch.last() else { break };
        after = last.sha256.clone();
        report.files += batch.len() as u64;
        let media = app.media.clone();
        let check = move |(): &mut (), (file, post): (MediaFile, Option<PostId>)| check_file(&media, &file, post);
        let checked = blocking(move || on_every_core(batch, || Ok(()), check)).await??;
        checked.into_iter().flatten().for_each(|finding| tell(&mut report, finding));
        progress(report.posts, total);
    }
    held.release().await?;
    Ok(report)
}

/// Whether the post was read again, and what is damaged.
fn check_post(archived: &Archived) -> (bool, Option<Finding>) {
    let finding = |damage| Some(Finding { post: Some(archived.entry.id()), file: None, activity: None, damage });
    let Some(source) = &archived.source else { return (false, finding(Damage::NoSource)) };
    let bytes = match unpack(&source.bytes) {
        Ok(bytes) => bytes,
        Err(why) => return (false, finding(Damage::Unreadable(why))),
    };
    if openssl::sha::sha256(&bytes) != source.sha256.as_slice() {
        return (false, finding(Damage::Source));
    }
    if !reread::can_read(Format::named(&source.format), source.reader_version) {
        return (false, None);
    }
    match reread::differences(archived, &bytes) {
        Ok(fields) if fields.is_empty() => (true, None),
        Ok(fields) => (true, finding(Damage::Post(fields))),
        Err(why) => (true, finding(Damage::Unreadable(why))),
    }
}

fn check_earlier(earlier: &Earlier) -> Option<Finding> {
    let hash = unpack(&earlier.bytes).map(|bytes| openssl::sha::sha256(&bytes));
    let digits = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let same = hash.is_ok_and(|hash| digits(hash) == earlier.sha256);
    (!same).then_some(Finding {
        post: Some(earlier.post),
        file: None,
        activity: None,
        damage: Damage::Earlier(earlier.import),
    })
}

fn check_file(media: &MediaStore, file: &MediaFile, post: Option<PostId>) -> Option<Finding> {
    let damage = match media.prove(file) {
        Ok(None) => Damage::FileMissing,
        Ok(Some((length, _))) if i64::try_from(length) != Ok(file.bytes) => Damage::FileLength(length),
        Ok(Some((_, sha256))) if sha256 != file.sha256 => Damage::FileBytes,
        Ok(Some(_)) => return None,
        Err(error) => Damage::FileUnreadable(error.to_string()),
    };
    Some(Finding { post, file: Some(media.path(file).display().to_string()), activity: None, damage })
}

/// The bytes of a source.
fn unpack(compressed: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let decoder = zstd::stream::Decoder::new(compressed).map_err(|cause| cause.to_string())?;
    decoder.take(LARGEST).read_to_end(&mut bytes).map_err(|cause| cause.to_string())?;
    Ok(bytes)
}

impl Damage {
    /// A word for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Damage::NoSource => "no_source",
            Damage::Unreadable(_) => "source_unreadable",
            Damage::Source => "source_changed",
            Damage::Post(_) => "post_changed",
            Damage::Earlier(_) => "earlier_source_changed",
            Damage::Proof(_) => "proof_broken",
            Damage::FileMissing => "file_missing",
            Damage::FileUnreadable(_) => "file_unreadable",
            Damage::FileLength(_) => "file_length",
            Damage::FileBytes => "file_changed",
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Damage::NoSource => f.write_str("it has no source"),
            Damage::Unreadable(why) => write!(f, "its source cannot be read: {why}"),
            Damage::Source => f.write_str("its source is not the one that its SHA-256 was noted for"),
            Damage::Post(fields) => write!(f, "it is not what its source says: {}", fields.join(", ")),
            Damage::Earlier(import) => write!(f, "what import {import} wrote over cannot be trusted any more"),
            Damage::Proof(why) => write!(f, "its integrity proof does not hold: {why}"),
            Damage::FileMissing => f.write_str("the file is not there"),
            Damage::FileUnreadable(why) => write!(f, "the file cannot be read: {why}"),
            Damage::FileLength(length) => write!(f, "the file has {length} bytes, which is not what was noted"),
            Damage::FileBytes => f.write_str("the file's bytes are not those of its name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_of_a_source_goes_unnoticed_unless_it_changes_nothing() {
        let text = "<p>The tide was low, and the tide was late, and nobody minded the tide.</p>".repeat(3);
        let hash = openssl::sha::sha256(text.as_bytes());
        let compressed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
        let mut found = 0;
        for at in 0..compressed.len() * 8 {
            let mut flipped = compressed.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            match unpack(&flipped) {
                Ok(bytes) if openssl::sha::sha256(&bytes) == hash => assert_eq!(bytes, text.as_bytes()),
                _ => found += 1,
            }
        }
        assert!(found > compressed.len() * 7, "{found} of {}", compressed.len() * 8);
    }
}
