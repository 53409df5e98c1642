//! The import's side: what becomes of a source post that is not public. Sealed where that was asked for, else left out.
//!
//! Sealing happens where an import prepares its posts, off the request path; what is written is closed already.

use super::{Files, Tally, bound, envelope, identity, key_name, open, sweep};
use crate::domain::ids::{AccountId, PostId};
use crate::domain::private::{PrivateFile, PrivateId, PrivateMedia, PrivatePost};
use crate::domain::source::{DateOrigin, Format, MediaKind, Skipped, SourceKey, SourceMedia, SourcePost};
use crate::domain::told::SourceKind;
use crate::federation::keys::{self, Vault};
use crate::media::MediaStore;
use crate::operations::audiences::is_public;
use crate::operations::copies::Copies;
use crate::operations::ingest::Report;
use crate::operations::prepare::OpenMedia;
use crate::operations::preview::{self, Preview};
use crate::operations::{App, Error};
use crate::store::private::{NewSealedPost, SealedPost};
use crate::text::SafeHtml;
use chrono::{DateTime, SubsecRound, Utc};
use std::collections::HashMap;

/// Refuse to take in private posts while there is no key to seal them with.
pub(in crate::operations) fn refuse_without_key(app: &App, include: bool) -> Result<(), Error> {
    if !include || app.vault.can_seal() {
        return Ok(());
    }
    Err(Error::Refused(
        "--include-private keeps posts encrypted, and there is no key to do it with. Make one, keep a copy of it \
         elsewhere, name it in your configuration (secrets.key_file), and import again:\n  \
         openssl rand -hex 32 > everpost.key && chmod 600 everpost.key\n\
         Nothing was written."
            .to_owned(),
    ))
}

/// What one import knows about the private posts of its account.
pub(in crate::operations) struct Keeper {
    app: App,
    /// `None` in a dry run that would make the account.
    account: Option<AccountId>,
    include: bool,
    dry_run: bool,
    /// Whether the account had private posts when the import began.
    held: bool,
}

/// What becomes of one post that is not public.
pub(in crate::operations) struct Hidden {
    at: String,
    /// The public post that stands under its key.
    public: Option<PostId>,
    media_missing: u64,
    outcome: Outcome,
}

enum Outcome {
    LeftOut,
    Unchanged,
    /// To be written; in a dry run there is nothing to write.
    Sealed(Option<NewSealedPost>),
    Failed(String),
}

/// What is needed to prepare the private posts of a batch, for a blocking thread.
pub(in crate::operations) struct Preparation {
    vault: Vault,
    files: Files,
    media: MediaStore,
    account: Option<AccountId>,
    include: bool,
    dry_run: bool,
    standing: HashMap<Vec<u8>, SealedPost>,
    public: HashMap<String, PostId>,
    /// Posts of which a richer copy came before in this import; there is nearly never one.
    outranked: Vec<(SourceKey, Format)>,
}

impl Hidden {
    /// What a dry run tells of it: its place, and no word; `None` where the report tells it as skipped.
    pub(in crate::operations) fn preview(&self) -> Option<Preview> {
        let outcome = match self.outcome {
            Outcome::LeftOut => preview::Outcome::LeftOut,
            Outcome::Unchanged => preview::Outcome::Unchanged,
            Outcome::Sealed(_) => preview::Outcome::Sealed,
            Outcome::Failed(_) => return None,
        };
        Some(Preview { at: self.at.clone(), outcome, post: None })
    }
}

impl Keeper {
    /// Begin. `OtherKey` if private posts are to come in and those that are here were sealed with another key.
    pub(in crate::operations) async fn begin(
        app: &App,
        account: Option<AccountId>,
        include: bool,
        dry_run: bool,
    ) -> Result<Keeper, Error> {
        let mut held = false;
        if let Some(account) = account {
            let keys = app.store.list_private_keys(account).await?;
            held = !keys.is_empty();
            if include && keys != [key_name(&app.vault)?] && held {
                return Err(keys::Error::OtherKey { what: "what is private here".to_owned() }.into());
            }
        }
        Ok(Keeper { app: app.clone(), account, include, dry_run, held })
    }

    /// The keys of a batch's public posts, where some of them may stand here sealed; else none.
    pub(in crate::operations) fn held_keys(&self, posts: &[SourcePost]) -> Vec<SourceKey> {
        let held = posts.iter().filter(|post| self.held && is_public(post));
        held.map(|post| post.key.clone()).collect()
    }

    /// Look up what a batch needs.
    pub(in crate::operations) async fn look_up(
        &self,
        posts: &[SourcePost],
        copies: &Copies,
    ) -> Result<Preparation, Error> {
        let app = &self.app;
        let mut preparation = Preparation {
            vault: app.vault.clone(),
            files: app.private.clone(),
            media: app.media.clone(),
            account: self.account,
            include: self.include,
            dry_run: self.dry_run,
            standing: HashMap::new(),
            public: HashMap::new(),
            outranked: Vec::new(),
        };
        let hidden = posts.iter().filter(|post| !is_public(post));
        let outranked = hidden.clone().filter(|post| copies.is_outranked(&post.key, post.format));
        preparation.outranked = outranked.map(|post| (post.key.clone(), post.format)).collect();
        let hidden: Vec<&SourceKey> = hidden.map(|post| &post.key).collect();
        let Some(account) = self.account.filter(|_| !hidden.is_empty()) else { return Ok(preparation) };
        let keys: Vec<&str> = hidden.iter().map(|key| key.0.as_str()).collect();
        let public = app.store.list_public(account, &keys).await?;
        preparation.public =
            public.into_iter().filter(|(_, post)| !post.withdrawn).map(|(key, post)| (key, post.id)).collect();
        if self.include {
            let identities: Result<Vec<_>, _> = hidden.iter().map(|key| identity(&app.vault, account, key)).collect();
            let rows = app.store.list_private(account, &identities?).await?;
            preparation.standing = rows.into_iter().map(|row| (row.identity.clone(), row)).collect();
        }
        Ok(preparation)
    }

    /// Write what was prepared, and count it.
    pub(in crate::operations) async fn write(
        &self,
        batch: Vec<Hidden>,
        now: DateTime<Utc>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut rows = Vec::new();
        for Hidden { at, public, media_missing: missing, outcome } in batch {
            if let Some(id) = public {
                report.private.note_public(&at, id);
            }
            report.media_missing += missing;
            match outcome {
                Outcome::LeftOut => report.private.left_out += 1,
                Outcome::Unchanged => report.private.unchanged += 1,
                Outcome::Sealed(row) => {
                    report.private.stored += 1;
                    rows.extend(row);
                }
                Outcome::Failed(reason) => report.skip(Skipped { at, reason }),
            }
        }
        if let Some(account) = self.account.filter(|_| !rows.is_empty()) {
            self.app.store.write_private(account, &rows, now).await?;
        }
        Ok(())
    }

    /// Let go of what stood here sealed and stands here publicly now, because its source shows it to everyone. `keys` are
    /// those of a batch's public posts that were not skipped; call it once they are written.
    pub(in crate::operations) async fn let_go(&self, keys: &[SourceKey], tally: &mut Tally) -> Result<(), Error> {
        let (app, Some(account)) = (&self.app, self.account) else { return Ok(()) };
        if !self.held || keys.is_empty() || !app.vault.can_seal() {
            return Ok(());
        }
        let mut by_identity = HashMap::new();
        for key in keys {
            by_identity.insert(identity(&app.vault, account, key)?, key.0.as_str());
        }
        let identities: Vec<Vec<u8>> = by_identity.keys().cloned().collect();
        let rows = app.store.list_private(account, &identities).await?;
        let of = |row: &SealedPost| by_identity.get(&row.identity).copied().unwrap_or_default();
        let names: Vec<&str> = rows.iter().map(of).collect();
        let public = app.store.list_public(account, &names).await?;
        // A dry run has made nothing public: there it counts what would be.
        let stands = |name: &str| match public.get(name) {
            Some(post) => !post.withdrawn || self.dry_run && post.awaited,
            None => self.dry_run,
        };
        let ids: Vec<PrivateId> = rows.iter().filter(|row| stands(of(row))).map(|row| PrivateId(row.id)).collect();
        tally.made_public += ids.len() as u64;
        if !self.dry_run && !ids.is_empty() {
            app.store.delete_private(account, &ids).await?;
        }
        Ok(())
    }

    /// End: remove the files that no row names, those of an import that was killed among them. The caller still holds the
    /// account's import.
    pub(in crate::operations) async fn finish(self, tally: &mut Tally) -> Result<(), Error> {
        tally.tell_unnamed();
        match self.account.filter(|_| !self.dry_run) {
            Some(account) => sweep(&self.app, account).await,
            None => Ok(()),
        }
    }
}

impl Preparation {
    /// Decide about one post that is not public, and seal it where it is to be kept. Blocking.
    pub(in crate::operations) fn prepare(&self, post: SourcePost, open: OpenMedia<'_>) -> Hidden {
        let mut hidden = Hidden {
            at: post.at.clone(),
            public: self.public.get(&post.key.0).copied(),
            media_missing: 0,
            outcome: Outcome::LeftOut,
        };
        if self.include {
            hidden.outcome = self
                .seal(post, open, &mut hidden.media_missing)
                .unwrap_or_else(|error| Outcome::Failed(failed(&error)));
        }
        hidden
    }

    fn seal(&self, source: SourcePost, read: OpenMedia<'_>, missing: &mut u64) -> Result<Outcome, Error> {
        if self.outranked.iter().any(|(key, format)| (key, *format) == (&source.key, source.format)) {
            return Ok(Outcome::Unchanged);
        }
        // A dry run that would make the account has nothing to compare with; any number does.
        let account = self.account.unwrap_or(AccountId(0));
        let identity = identity(&self.vault, account, &source.key)?;
        let source_name = self.vault.name_of("a private post's source", &source.bytes)?.to_vec();
        let standing = self.standing.get(&identity);
        // What does not open, or lacks a file, is written anew.
        let earlier = standing.and_then(|row| open(&self.vault, account, row).ok());
        let whole =
            standing.filter(|row| earlier.is_some() && row.files.iter().all(|name| self.files.holds(account, name)));
        let same = whole.is_some_and(|row| {
            row.format == source.format.name()
                && row.source_name == source_name
                && row.reader_version >= source.reader_version
        });
        let other = whole.filter(|row| row.format != source.format.name());
        if other.is_some_and(|row| rank(&row.format) >= source.format.rank())
            || (same && whole.is_some_and(|row| row.files_missing == 0))
        {
            return Ok(Outcome::Unchanged);
        }
        let mut media = Vec::with_capacity(source.media.len());
        for item in &source.media {
            let file = self.file(item, read, account).or_else(|| self.earlier_file(item, earlier.as_ref(), account));
            if file.is_none() {
                *missing += 1;
                tracing::info!(at = source.at, "a media file of a private post is missing");
            }
            media.push(PrivateMedia {
                kind: file.as_ref().and_then(|file| MediaKind::of_type(&file.media_type)).unwrap_or(item.kind),
                file,
                alt: item.alt.clone(),
                source_url: item.reference.clone(),
            });
        }
        let files_missing = i16::try_from(*missing).unwrap_or(i16::MAX);
        if same && whole.is_some_and(|row| row.files_missing <= files_missing) {
            return Ok(Outcome::Unchanged);
        }
        if self.dry_run {
            return Ok(Outcome::Sealed(None));
        }
        let mut names: Vec<String> = media.iter().filter_map(|media| Some(media.file.as_ref()?.name.clone())).collect();
        names.sort();
        names.dedup();
        let (format, reader_version) = (source.format.name(), source.reader_version);
        let plain = envelope::write(&post(source, media)).map_err(Error::Task)?;
        let sealed = self.vault.seal_bytes(&bound(account, &identity), &plain)?;
        let key_name = key_name(&self.vault)?;
        let row = NewSealedPost {
            identity,
            source_name,
            format,
            reader_version,
            key_name,
            files: names,
            files_missing,
            sealed,
        };
        Ok(Outcome::Sealed(Some(row)))
    }

    /// A media file, sealed; in a dry run only looked at. `None` if it cannot be had: why may hold words of the post.
    fn file(&self, item: &SourceMedia, read: OpenMedia<'_>, account: AccountId) -> Option<PrivateFile> {
        let mut bytes = read(&item.reference).ok()?;
        if !self.dry_run {
            return self.files.seal(&self.vault, &self.media, account, &mut bytes).ok();
        }
        let found = self.media.recognise(&mut bytes).ok()?;
        let (media_type, extension) = (found.media_type, found.extension);
        Some(PrivateFile { name: String::new(), media_type, extension, bytes: found.bytes })
    }

    /// The file that came with an earlier import and is missing in this archive.
    fn earlier_file(
        &self,
        item: &SourceMedia,
        earlier: Option<&PrivatePost>,
        account: AccountId,
    ) -> Option<PrivateFile> {
        let known = earlier?.media.iter().find(|media| media.source_url == item.reference)?;
        known.file.clone().filter(|file| self.files.holds(account, &file.name))
    }
}

/// The rank of the format of that name.
fn rank(format: &str) -> u8 {
    Format::named(format).map_or(0, Format::rank)
}

fn failed(error: &Error) -> String {
    format!("it is not public and could not be sealed, so it was left out: {error}")
}

pub(super) fn post(source: SourcePost, media: Vec<PrivateMedia>) -> PrivatePost {
    PrivatePost {
        boost_of: match source.told.kind {
            SourceKind::Boost(of) => Some(of),
            _ => None,
        },
        content: SafeHtml::sanitise(&source.html),
        author: source.author.map(|author| author.to_string()),
        mentions: source.told.mentions.into_iter().map(|mention| mention.name).collect(),
        key: source.key,
        object_id: source.object_id,
        canonical_url: source.canonical_url,
        published: source.published.trunc_subsecs(3),
        date_estimated: source.date_origin == DateOrigin::Estimated,
        edited: source.edited,
        warning: source.warning,
        sensitive: source.sensitive,
        language: source.language,
        tags: source.tags,
        reply_to: source.reply_to,
        media,
        format: source.format,
        reader_version: source.reader_version,
        source: source.bytes,
    }
}
