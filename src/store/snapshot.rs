//! All that the database holds, seen at one moment, for who keeps a copy of it.
//!
//! Tables are found in the catalog, so that a new one is never forgotten, and given as `COPY` writes them: text that every
//! version of PostgreSQL reads. Must never know what the copy is kept in. The way back is `load.rs`.

use super::media::{Row as MediaRow, file};
use super::private::SEALED_FILES;
use super::{Error, Store};
use crate::domain::ids::AccountId;
use crate::domain::post::MediaFile;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

/// Our tables without the migrations' own: those that belong to whoever owns the marker and lie where it lies. Somebody else's
/// may lie beside them.
pub(super) const OURS: &str = "pg_class c WHERE c.relkind = 'r' AND c.relname <> '__diesel_schema_migrations' \
    AND (c.relnamespace, c.relowner) = (SELECT m.relnamespace, m.relowner FROM pg_class m \
        WHERE m.oid = to_regclass('public.everpost_instance'))";

/// How a session writes and reads values: the same everywhere. It may take as long as it takes.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
    SET client_encoding = 'UTF8'; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; \
    SET extra_float_digits = 3; SET bytea_output = 'hex'";

/// A table of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, in the schema `public`.
    pub name: String,
    /// Its columns, in the order in which each row has them.
    pub columns: Vec<String>,
    /// How many rows it has.
    pub rows: u64,
    /// Where the numbers of its rows come from.
    #[serde(default)]
    pub sequences: Vec<Sequence>,
}

/// What gives a column its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The column.
    pub column: String,
    /// The last number, or the first where none was given yet.
    pub last: i64,
    /// Whether that number was given.
    pub given: bool,
}

/// What a copy holds beside the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of media files.
    pub media: u64,
    /// Bytes of the tables on the disk, which is about what their text takes.
    pub tables: u64,
    /// Posts that stand.
    pub posts: u64,
}

/// The database at one moment. Ends with the value; whoever wants to hear of a lost connection asks for something.
#[derive(Debug)]
pub struct Snapshot {
    client: Client,
}

impl Store {
    /// Look at everything as it is now, on a connection of its own.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let client = self.session("everpost backup").await?;
        // The first question fixes the moment.
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM public.everpost_instance";
        client.batch_execute(begin).await.map_err(failed)?;
        Ok(Snapshot { client })
    }

    /// A connection for copies.
    pub(super) async fn session(&self, name: &str) -> Result<Client, Error> {
        let (client, connection) = super::dial(&self.place, name).await?;
        tokio::spawn(async move {
            // It ends without an error when the client goes; else whoever asks next hears it.
            if let Err(cause) = connection.await {
                tracing::debug!(%cause, "a connection to the database was lost");
            }
        });
        client.batch_execute(SETTINGS).await.map_err(failed)?;
        Ok(client)
    }
}

impl Snapshot {
    async fn rows(&self, query: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.client.query(query, values).await.map_err(failed)
    }

    /// The versions of the migrations that have run, in order.
    pub async fn migrations(&self) -> Result<Vec<String>, Error> {
        let query = "SELECT version::text FROM public.__diesel_schema_migrations ORDER BY 1";
        self.rows(query, &[]).await?.iter().map(|row| row.try_get(0).map_err(failed)).collect()
    }

    /// The address of the first domain.
    pub async fn domain(&self) -> Result<Option<String>, Error> {
        let rows = self.rows("SELECT base_url FROM public.domains WHERE role = 'first'", &[]).await?;
        rows.first().map(|row| row.try_get(0).map_err(failed)).transpose()
    }

    /// Whether a private key lies open.
    pub async fn has_open_keys(&self) -> Result<bool, Error> {
        let rows = self.rows("SELECT EXISTS (SELECT 1 FROM public.keys WHERE NOT sealed)", &[]).await?;
        rows.first().map_or(Ok(false), |row| row.try_get(0).map_err(failed))
    }

    /// How much there is.
    pub async fn size(&self) -> Result<Size, Error> {
        let query = format!(
            "SELECT (SELECT coalesce(sum(bytes), 0)::bigint FROM public.media), \
                 (SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM {OURS}), \
                 (SELECT count(*) FROM public.posts WHERE withdrawn_at IS NULL)"
        );
        let rows = self.rows(&query, &[]).await?;
        let number = |at: usize| -> Result<u64, Error> {
            let number: Option<i64> = rows.first().map(|row| row.try_get(at)).transpose().map_err(failed)?;
            Ok(u64::try_from(number.unwrap_or_default()).unwrap_or_default())
        };
        Ok(Size { media: number(0)?, tables: number(1)?, posts: number(2)? })
    }

    /// Every table of ours, by name.
    pub async fn tables(&self) -> Result<Vec<Table>, Error> {
        let mut tables = Vec::new();
        for (name, columns) in columns(&self.client).await? {
            let count = self.rows(&format!("SELECT count(*) FROM {}", place(&name)), &[]).await?;
            let count: i64 = count.first().map_or(Ok(0), |row| row.try_get(0)).map_err(failed)?;
            let mut sequences = Vec::new();
            for (column, sequence) in self.sequences(&name).await? {
                let state = self.rows(&format!("SELECT last_value, is_called FROM {sequence}"), &[]).await?;
                let Some(state) = state.first() else { continue };
                let (last, given) = (state.try_get(0).map_err(failed)?, state.try_get(1).map_err(failed)?);
                sequences.push(Sequence { column, last, given });
            }
            tables.push(Table { name, columns, rows: u64::try_from(count).unwrap_or_default(), sequences });
        }
        Ok(tables)
    }

    /// Columns that are numbered, each with the name of its sequence as SQL writes it.
    async fn sequences(&self, table: &str) -> Result<Vec<(String, String)>, Error> {
        let query = "SELECT a.attname::text, pg_get_serial_sequence($1, a.attname) FROM pg_attribute a \
                     WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped \
                     AND pg_get_serial_sequence($1, a.attname) IS NOT NULL ORDER BY a.attnum";
        let rows = self.rows(query, &[&place(table)]).await?;
        rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))).collect()
    }

    /// A table's rows, as many pieces as there are rows.
    pub async fn copy(&self, table: &Table) -> Result<impl Stream<Item = Result<Bytes, Error>> + use<>, Error> {
        let statement = format!("COPY {} ({}) TO STDOUT", place(&table.name), list(&table.columns));
        let rows = self.client.copy_out(&statement).await.map_err(failed)?;
        Ok(rows.map(|row| row.map_err(failed)))
    }

    /// Media files in the order of their hashes from the one after `after` on, at most `limit`.
    pub async fn list_media(&self, after: &str, limit: i64) -> Result<Vec<MediaFile>, Error> {
        let query = "SELECT sha256, extension, media_type, bytes, width, height, blurhash, thumbnails FROM public.media \
                     WHERE sha256 > $1 ORDER BY sha256 LIMIT $2";
        let read = |row: &Row| -> Result<MediaFile, tokio_postgres::Error> {
            let row: MediaRow = (
                row.try_get(0)?,
                row.try_get(1)?,
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
                row.try_get(5)?,
                row.try_get(6)?,
                row.try_get(7)?,
            );
            Ok(file(row))
        };
        self.rows(query, &[&after, &limit]).await?.iter().map(|row| read(row).map_err(failed)).collect()
    }

    /// Names of sealed files with the accounts that they belong to, from the one after `after` on, at most `limit`.
    pub async fn list_sealed(
        &self,
        after: &(AccountId, String),
        limit: i64,
    ) -> Result<Vec<(AccountId, String)>, Error> {
        let rows = self.rows(SEALED_FILES, &[&after.0.0, &after.1, &limit]).await?;
        let read = |row: &Row| Ok((AccountId(row.try_get(0).map_err(failed)?), row.try_get(1).map_err(failed)?));
        rows.iter().map(read).collect()
    }
}

/// Our tables by name, each with its columns in their order.
pub(super) async fn columns(client: &Client) -> Result<Vec<(String, Vec<String>)>, Error> {
    let query = format!(
        "SELECT t.name, array_agg(a.attname::text ORDER BY a.attnum) \
         FROM (SELECT c.oid, c.relname::text AS name FROM {OURS}) AS t JOIN pg_attribute a ON a.attrelid = t.oid \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY t.name ORDER BY t.name"
    );
    let rows = client.query(&query, &[]).await.map_err(failed)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))).collect()
}

/// A table's name as SQL writes it.
pub(super) fn place(table: &str) -> String {
    format!("public.{}", quoted(table))
}

/// Columns as SQL writes them.
pub(super) fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The driver's failures as ours. What the database adds of rows and values is left out.
pub(super) fn failed(error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(said) if !super::is_shutdown(said.message()) => Error::Database(said.message().to_owned()),
        Some(said) => Error::Unavailable(said.message().to_owned()),
        None => Error::Unavailable(error.to_string()),
    }
}
