//! Everything that is kept of posts, page by page, for who proves that it is whole.

use super::posts::{Relations, Row, entry, list_files};
use super::schema::{accounts, activities, attachments, media, post_revisions, post_sources, posts, revision_media};
use super::{Error, Store, media as media_rows};
use crate::domain::ids::{AccountId, ActivityId, ImportId, PostId};
use crate::domain::post::{Entry, MediaFile};
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, sql};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use std::collections::HashMap;

/// What a post was read from, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSource {
    /// The format's name.
    pub format: String,
    /// The version of the reader that read it.
    pub reader_version: i32,
    /// SHA-256 of the uncompressed bytes, as it was noted.
    pub sha256: Vec<u8>,
    /// The bytes, compressed with zstd.
    pub bytes: Vec<u8>,
}

/// A post with all that is kept beside it.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The post, or the boost. What it answers, quotes or passes on is not looked up.
    pub entry: Entry,
    /// When it came here: the time that its import went by.
    pub created: DateTime<Utc>,
    /// Whether anything can have written over it since: then other sources may have filled what its own does not tell.
    pub touched: bool,
    /// What it was read from; every post that stands has that.
    pub source: Option<KeptSource>,
}

/// An earlier revision of a post: what it had been read from.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The post.
    pub post: PostId,
    /// The import that wrote over it.
    pub import: ImportId,
    /// SHA-256 of the uncompressed bytes, in hexadecimal digits, as it was noted.
    pub sha256: String,
    /// The bytes, compressed with zstd.
    pub bytes: Vec<u8>,
}

/// What an account told other servers, or is about to.
#[derive(Clone, Debug)]
pub struct Told {
    /// The number of the activity.
    pub id: ActivityId,
    /// Whose it is.
    pub account: AccountId,
    /// Its id.
    pub uri: String,
    /// The JSON that is sent.
    pub body: String,
}

type Columns = (Row, DateTime<Utc>, Option<i64>, Option<i64>, Option<(String, i32, Vec<u8>, Vec<u8>)>);

impl Store {
    /// Standing posts in the order of their numbers from the one after `after` on, at most `limit`; of one account or of
    /// all. Each is seen at one moment, whatever is written meanwhile.
    pub async fn list_archived(
        &self,
        account: Option<AccountId>,
        after: PostId,
        limit: i64,
    ) -> Result<Vec<Archived>, Error> {
        let mut connection = self.connection().await?;
        let mut at_once = connection.build_transaction().repeatable_read().read_only();
        let (rows, files): (Vec<Columns>, _) = at_once
            .run(async |connection| {
                let mut query = posts::table
                    .left_join(post_sources::table)
                    .filter(posts::id.gt(after.0).and(posts::withdrawn_at.is_null()))
                    .into_boxed();
                if let Some(account) = account {
                    query = query.filter(posts::account_id.eq(account.0));
                }
                let source =
                    (post_sources::format, post_sources::reader_version, post_sources::sha256, post_sources::bytes);
                let rows: Vec<Columns> = query
                    .order(posts::id)
                    .limit(limit)
                    .select((
                        Row::as_select(),
                        posts::created_at,
                        posts::import_id,
                        posts::touched_by,
                        source.nullable(),
                    ))
                    .load(connection)
                    .await?;
                let ids: Vec<i64> = rows.iter().map(|(row, ..)| row.id).collect();
                let files = list_files(connection, &ids).await?;
                Ok::<_, Error>((rows, files))
            })
            .await?;
        let mut of_post: HashMap<i64, Vec<_>> = HashMap::new();
        for file in files {
            of_post.entry(file.0).or_default().push(file);
        }
        let archived = |(row, created, import, touched, source): Columns| {
            let files = of_post.remove(&row.id).unwrap_or_default();
            let source = source.map(|(format, reader_version, sha256, bytes)| KeptSource {
                format,
                reader_version,
                sha256,
                bytes,
            });
            let touched = import.is_none() || touched.is_some();
            // As if all that it answers stood: what it says of that is proven too.
            let relations = Relations { parents: row.reply_to_id.into_iter().collect(), ..Relations::default() };
            Ok(Archived { entry: entry(row, files, &relations)?, created, touched, source })
        };
        rows.into_iter().map(archived).collect()
    }

    /// Earlier revisions with a source, in the order of their posts and imports from the one after `after` on, at most
    /// `limit`; of one account's posts or of all.
    pub async fn list_earlier(
        &self,
        account: Option<AccountId>,
        after: (PostId, ImportId),
        limit: i64,
    ) -> Result<Vec<Earlier>, Error> {
        let (post, import) = (after.0.0, after.1.0);
        let further = post_revisions::post_id
            .gt(post)
            .or(post_revisions::post_id.eq(post).and(post_revisions::import_id.gt(import)));
        let mut query = post_revisions::table
            .inner_join(posts::table)
            .filter(post_revisions::post_id.ge(post).and(further).and(post_revisions::source.is_not_null()))
            .into_boxed();
        if let Some(account) = account {
            query = query.filter(posts::account_id.eq(account.0));
        }
        let sha256 = sql::<Text>("ltrim(post_revisions.source ->> 'sha256', '\\x')");
        let rows: Vec<(i64, i64, String, Option<Vec<u8>>)> = query
            .order((post_revisions::post_id, post_revisions::import_id))
            .limit(limit)
            .select((post_revisions::post_id, post_revisions::import_id, sha256, post_revisions::source_bytes))
            .load(&mut self.connection().await?)
            .await?;
        let earlier = |(post, import, sha256, bytes): (i64, i64, String, Option<Vec<u8>>)| Earlier {
            post: PostId(post),
            import: ImportId(import),
            sha256,
            bytes: bytes.unwrap_or_default(),
        };
        Ok(rows.into_iter().map(earlier).collect())
    }

    /// Activities that are kept, but those whose words were taken back, in the order of their numbers from the one after
    /// `after` on, at most `limit`; of one account or of all.
    pub async fn list_told(
        &self,
        account: Option<AccountId>,
        after: ActivityId,
        limit: i64,
    ) -> Result<Vec<Told>, Error> {
        let mut query = activities::table.filter(activities::id.gt(after.0).and(activities::body.ne(""))).into_boxed();
        if let Some(account) = account {
            query = query.filter(activities::account_id.eq(account.0));
        }
        let columns = (activities::id, activities::account_id, activities::uri, activities::body);
        let rows: Vec<(i64, i64, String, String)> =
            query.order(activities::id).limit(limit).select(columns).load(&mut self.connection().await?).await?;
        let told = |(id, account, uri, body)| Told { id: ActivityId(id), account: AccountId(account), uri, body };
        Ok(rows.into_iter().map(told).collect())
    }

    /// Stored files in the order of their hashes from the one after `after` on, at most `limit`, each with a post that
    /// shows it; all of them, or those that an account needs.
    pub async fn list_files(
        &self,
        account: Option<AccountId>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<(MediaFile, Option<PostId>)>, Error> {
        let shown =
            attachments::table.inner_join(posts::table).filter(attachments::media_sha256.eq(media::sha256.nullable()));
        let mut query = media::table.filter(media::sha256.gt(after.to_owned())).into_boxed();
        if let Some(AccountId(account)) = account {
            let picture = accounts::avatar_sha256.eq(media::sha256.nullable());
            let picture = picture.or(accounts::header_sha256.eq(media::sha256.nullable()));
            let in_profile = accounts::table.filter(accounts::id.eq(account)).filter(picture.assume_not_null());
            let earlier = revision_media::table
                .inner_join(posts::table.on(posts::id.eq(revision_media::post_id)))
                .filter(revision_media::media_sha256.eq(media::sha256).and(posts::account_id.eq(account)));
            let in_post = shown.filter(posts::account_id.eq(account));
            query = query.filter(exists(in_post).or(exists(in_profile)).or(exists(earlier)));
        }
        let post = shown.select(diesel::dsl::min(attachments::post_id)).single_value();
        let rows: Vec<(media_rows::Row, Option<i64>)> = query
            .order(media::sha256)
            .limit(limit)
            .select((media_rows::COLUMNS, post))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(|(row, post)| (media_rows::file(row), post.map(PostId))).collect())
    }

    /// How many posts stand, of one account or of all, and how many are withdrawn.
    pub async fn count_archived(&self, account: Option<AccountId>) -> Result<(i64, i64), Error> {
        let of = || {
            let query = posts::table.into_boxed();
            account.map_or_else(|| posts::table.into_boxed(), |account| query.filter(posts::account_id.eq(account.0)))
        };
        let mut connection = self.connection().await?;
        let standing = of().filter(posts::withdrawn_at.is_null()).count().get_result(&mut connection).await?;
        Ok((standing, of().filter(posts::withdrawn_at.is_not_null()).count().get_result(&mut connection).await?))
    }
}
