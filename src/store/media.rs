//! Rows of stored media files: which there are, and who may see them.

use super::ingest::MEDIA_LOCK;
use super::schema::{accounts, attachments, media, posts};
use super::{Error, Store};
use crate::domain::ids::AccountId;
use crate::domain::post::MediaFile;
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// A file's columns as they are selected.
pub(super) type Row = (String, String, String, i64);

/// The columns of [`Row`].
pub(super) const COLUMNS: (media::sha256, media::extension, media::media_type, media::bytes) =
    (media::sha256, media::extension, media::media_type, media::bytes);

/// A file from its columns.
pub(super) fn file((sha256, extension, media_type, bytes): Row) -> MediaFile {
    MediaFile { sha256, extension, media_type, bytes }
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
            .filter(posts::to_others.eq(false));
        let row: Option<Row> = media::table
            .find(sha256)
            .filter(exists(profile).or(exists(post)))
            .select(COLUMNS)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(row.map(file))
    }

    /// Forget the rows of files that nothing refers to any more, and call `erase` for each file's bytes.
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
                let unused = not(exists(in_post)).and(not(exists(in_profile)));
                let rows: Vec<Row> =
                    diesel::delete(media::table.filter(unused)).returning(COLUMNS).get_results(connection).await?;
                rows.into_iter().map(file).for_each(|file| erase(&file));
                Ok(())
            })
            .await
    }
}

/// Store the rows of files; those that are there stay.
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
            )
        })
        .collect();
    diesel::insert_into(media::table).values(values).on_conflict_do_nothing().execute(connection).await?;
    Ok(())
}
