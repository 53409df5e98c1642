//! Rows of stored media files: which there are, and who may see them.

use super::ingest::{ImportLock, MEDIA_LOCK};
use super::schema::{accounts, attachments, media, posts, revision_media};
use super::{Error, Store};
use crate::domain::ids::AccountId;
use crate::domain::post::{MediaFile, Picture};
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// A file's columns as they are selected: hash, extension, type, length; width, height, blurhash, thumbnails.
pub(super) type Row = (String, String, String, i64, Option<i32>, Option<i32>, Option<String>, Vec<i32>);

/// The columns of [`Row`].
pub(super) type Columns = (
    media::sha256,
    media::extension,
    media::media_type,
    media::bytes,
    media::width,
    media::height,
    media::blurhash,
    media::thumbnails,
);

/// The columns of [`Row`].
pub(super) const COLUMNS: Columns = (
    media::sha256,
    media::extension,
    media::media_type,
    media::bytes,
    media::width,
    media::height,
    media::blurhash,
    media::thumbnails,
);

/// A file from its columns.
pub(super) fn file((sha256, extension, media_type, bytes, width, height, blurhash, thumbnails): Row) -> MediaFile {
    let size = |side: Option<i32>| side.and_then(|side| u32::try_from(side).ok());
    let thumbnails = thumbnails.into_iter().filter_map(|slot| u32::try_from(slot).ok()).collect();
    let picture = size(width).zip(size(height));
    let picture = picture.map(|(width, height)| Picture { width, height, blurhash, thumbnails });
    MediaFile { sha256, extension, media_type, bytes, picture }
}

impl Store {
    /// The file of that hash, if a live account shows it, or one of the accounts in `previews` (drafts) does.
    pub async fn find_shown_media(&self, sha256: &str, previews: &[AccountId]) -> Result<Option<MediaFile>, Error> {
        let previews: Vec<i64> = previews.iter().map(|id| id.0).collect();
        let seen = accounts::state.eq("live").or(accounts::state.eq("draft").and(accounts::id.eq_any(previews)));
        let profile = accounts::table
            .filter(seen.clone())
            .filter(accounts::avatar_sha256.eq(sha256).or(accounts::header_sha256.eq(sha256)));
        let post = attachments::table
            .inner_join(posts::table.inner_join(accounts::table))
            .filter(attachments::media_sha256.eq(sha256).and(posts::withdrawn_at.is_null()).and(seen))
            .filter(posts::listed);
        let row: Option<Row> = media::table
            .find(sha256)
            .filter(exists(profile).or(exists(post)))
            .select(COLUMNS)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(row.map(file))
    }

    /// Files whose figures are older than [`Picture::VERSION`], in order of their hashes from the one after `after` on, at
    /// most `limit`.
    pub async fn list_unmeasured_media(&self, after: &str, limit: i64) -> Result<Vec<MediaFile>, Error> {
        let rows: Vec<Row> = media::table
            .filter(media::sha256.gt(after).and(media::figures_version.lt(Picture::VERSION)))
            .order(media::sha256)
            .limit(limit)
            .select(COLUMNS)
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(file).collect())
    }

    /// Note the figures of files, `None` for those that have none, and that the accounts that show them have changed.
    pub async fn set_figures(&self, found: &[(String, Option<Picture>)], now: DateTime<Utc>) -> Result<(), Error> {
        let hashes: Vec<&str> = found.iter().filter(|(_, p)| p.is_some()).map(|(sha256, _)| sha256.as_str()).collect();
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                for (sha256, picture) in found {
                    let row = media::table.filter(media::sha256.eq(sha256));
                    diesel::update(row).set(figures(picture.as_ref())).execute(connection).await?;
                }
                let in_posts = posts::table
                    .inner_join(attachments::table)
                    .filter(attachments::media_sha256.eq_any(&hashes))
                    .select(posts::account_id);
                let in_profile = accounts::avatar_sha256.eq_any(&hashes).or(accounts::header_sha256.eq_any(&hashes));
                let showing: Vec<i64> = accounts::table
                    .filter(accounts::id.eq_any(in_posts).or(in_profile.assume_not_null()))
                    .select(accounts::id)
                    .order(accounts::id)
                    .load(connection)
                    .await?;
                for account in showing {
                    super::accounts::touch(connection, AccountId(account), now).await?;
                }
                Ok(())
            })
            .await
    }

    /// Keep every media file from being forgotten while this is held. Ends with the process, however that ends.
    pub async fn hold_media(&self) -> Result<ImportLock, Error> {
        ImportLock::media(Object::take(self.connection().await?)).await
    }

    /// At most `limit` stored files, in the order of their hashes, which is no order of anything else.
    pub async fn sample_media(&self, limit: i64) -> Result<Vec<MediaFile>, Error> {
        let query = media::table.order(media::sha256).limit(limit).select(COLUMNS);
        let rows: Vec<Row> = query.load(&mut self.connection().await?).await?;
        Ok(rows.into_iter().map(file).collect())
    }

    /// Forget the rows of files that nothing refers to any more, and call `erase` for each file's bytes. What an earlier
    /// revision of a post refers to is kept, though it is not served.
    ///
    /// While an import runs nothing is forgotten, for the import may be about to refer to the same file again; it calls
    /// this when it ends. What stays behind till then is not served, because nothing shown refers to it.
    pub async fn forget_unused_media(&self, erase: impl Fn(&MediaFile) + Send + Sync) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let try_lock = diesel::dsl::sql::<Bool>("pg_try_advisory_xact_lock(").bind::<Integer, _>(MEDIA_LOCK);
                if !diesel::select(try_lock.sql(", 0)")).get_result::<bool>(connection).await? {
                    return Ok(());
                }
                let in_post = attachments::table.filter(attachments::media_sha256.eq(media::sha256.nullable()));
                let avatar = accounts::avatar_sha256.eq(media::sha256.nullable());
                let in_profile =
                    accounts::table.filter(avatar.or(accounts::header_sha256.eq(media::sha256.nullable())));
                let in_revision = revision_media::table.filter(revision_media::media_sha256.eq(media::sha256));
                let unused = not(exists(in_post)).and(not(exists(in_profile))).and(not(exists(in_revision)));
                let rows: Vec<Row> =
                    diesel::delete(media::table.filter(unused)).returning(COLUMNS).get_results(connection).await?;
                rows.into_iter().map(file).for_each(|file| erase(&file));
                Ok(())
            })
            .await
    }
}

/// The columns that a file's figures fill.
type Figures = (
    diesel::dsl::Eq<media::width, Option<i32>>,
    diesel::dsl::Eq<media::height, Option<i32>>,
    diesel::dsl::Eq<media::blurhash, Option<String>>,
    diesel::dsl::Eq<media::thumbnails, Vec<i32>>,
    diesel::dsl::Eq<media::figures_version, i16>,
);

fn figures(picture: Option<&Picture>) -> Figures {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let slots: Option<Vec<i32>> = picture.map(|picture| picture.thumbnails.iter().copied().map(number).collect());
    (
        media::width.eq(picture.map(|picture| number(picture.width))),
        media::height.eq(picture.map(|picture| number(picture.height))),
        media::blurhash.eq(picture.and_then(|picture| picture.blurhash.clone())),
        media::thumbnails.eq(slots.unwrap_or_default()),
        media::figures_version.eq(Picture::VERSION),
    )
}

/// Store the rows of files; those that are there stay as they are.
pub(super) async fn insert(
    connection: &mut AsyncPgConnection,
    mut files: Vec<&MediaFile>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    files.sort_by(|a, b| a.sha256.cmp(&b.sha256));
    files.dedup_by(|a, b| a.sha256 == b.sha256);
    let values: Vec<_> = files
        .iter()
        .map(|file| {
            (
                media::sha256.eq(&file.sha256),
                media::extension.eq(&file.extension),
                media::media_type.eq(&file.media_type),
                media::bytes.eq(file.bytes),
                media::created_at.eq(now),
                figures(file.picture.as_ref()),
            )
        })
        .collect();
    diesel::insert_into(media::table).values(values).on_conflict_do_nothing().execute(connection).await?;
    Ok(())
}
