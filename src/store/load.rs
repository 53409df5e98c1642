//! Writing a copy of a whole database into an empty one: the tables first, then every row in one transaction.
//!
//! Either all of it is there afterwards or nothing. The tables are those of the version that made the copy; whoever calls
//! this migrates them afterwards. Start with [`Store::prepare_for_load`], then [`Load::begin`].

use super::snapshot::{self, OURS, Table, failed, list, place};
use super::{Error, Store, migrate};
use bytes::Bytes;
use futures::SinkExt;
use std::collections::HashMap;
use std::pin::Pin;
use tokio_postgres::{Client, CopyInSink};

/// Rows that are being written, in an open transaction. What is not committed is gone with the value.
pub struct Load {
    client: Client,
    /// The tables of this database, with their columns.
    known: HashMap<String, Vec<String>>,
    /// What refers to what, as SQL that brings each back: put aside while rows come in whatever order.
    references: Vec<String>,
    writing: Option<Writing>,
}

/// A table whose rows are coming.
struct Writing {
    table: String,
    rows: u64,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Load")
    }
}

impl Store {
    /// Make the tables as these migrations leave them, in a database in which no table of ours has rows. Blocking.
    ///
    /// `Foreign` for a database of somebody else, and where a migration is not known: a newer version made it.
    /// `Conflict` where there are rows.
    pub fn prepare_for_load(url: &str, migrations: &[String]) -> Result<(), Error> {
        migrate::run_to(url, migrations)
    }

    /// The first table of ours that has rows; `None` for a database without any, or without tables. `Foreign` for a database
    /// of somebody else. Blocking, changes nothing.
    pub fn first_filled_table(url: &str) -> Result<Option<String>, Error> {
        migrate::first_filled(url)
    }

    /// The migrations that this version does not know, of these: a newer one made them. Blocking, asks nobody.
    pub fn unknown_migrations(migrations: &[String]) -> Result<Vec<String>, Error> {
        migrate::unknown(migrations)
    }

    /// Whether the tables hold exactly so many rows, each of them, as a load leaves them that was committed.
    pub async fn holds_exactly(&self, tables: &[Table]) -> Result<bool, Error> {
        let there = self.snapshot().await?.tables().await?;
        let count = |name: &str| there.iter().find(|table| table.name == name).map(|table| table.rows);
        Ok(tables.iter().all(|table| count(&table.name) == Some(table.rows)))
    }

    /// Let Postgres learn what all tables hold, after a load.
    pub async fn learn_everything(&self) -> Result<(), Error> {
        let client = self.session("everpost restore").await?;
        for (table, _) in snapshot::columns(&client).await? {
            client.batch_execute(&format!("ANALYZE {}", place(&table))).await.map_err(failed)?;
        }
        Ok(())
    }
}

impl Load {
    /// Open the transaction, and keep everybody else from the tables. `Conflict` if they have rows by now.
    pub async fn begin(store: &Store) -> Result<Load, Error> {
        let client = store.session("everpost restore").await?;
        client.batch_execute("BEGIN").await.map_err(failed)?;
        let known = snapshot::columns(&client).await?;
        let names: Vec<String> = known.iter().map(|(name, _)| place(name)).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
        client.batch_execute(&lock).await.map_err(failed)?;
        for (name, _) in known.iter().filter(|(name, _)| name != migrate::MARKER) {
            let row = client.query_opt(&format!("SELECT 1 FROM {} LIMIT 1", place(name)), &[]).await.map_err(failed)?;
            if row.is_some() {
                return Err(Error::Conflict(name.clone()));
            }
        }
        client.batch_execute(&format!("DELETE FROM {}", place(migrate::MARKER))).await.map_err(failed)?;
        let found = format!(
            "SELECT f.conrelid::regclass::text, quote_ident(f.conname), pg_get_constraintdef(f.oid) FROM pg_constraint f \
             WHERE f.contype = 'f' AND f.conrelid IN (SELECT c.oid FROM {OURS}) ORDER BY f.oid"
        );
        let mut references = Vec::new();
        for row in client.query(&found, &[]).await.map_err(failed)? {
            let text = |at: usize| row.try_get::<_, String>(at).map_err(failed);
            let (table, name, definition) = (text(0)?, text(1)?, text(2)?);
            let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {name}");
            client.batch_execute(&drop).await.map_err(failed)?;
            references.push(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"));
        }
        Ok(Load { client, known: known.into_iter().collect(), references, writing: None })
    }

    /// Write the next bytes of a table's rows. A table's bytes come one after the other, and no other table's between them.
    pub async fn write(&mut self, table: &Table, bytes: Bytes) -> Result<(), Error> {
        if self.writing.as_ref().is_none_or(|writing| writing.table != table.name) {
            self.end_table().await?;
            let mut columns = self.known.get(&table.name).cloned().unwrap_or_default();
            let mut given = table.columns.clone();
            columns.sort();
            given.sort();
            if columns != given {
                let why = format!("the table {} has other columns here than in the copy", table.name);
                return Err(Error::Damaged(why));
            }
            let statement = format!("COPY {} ({}) FROM STDIN", place(&table.name), list(&table.columns));
            let sink = Box::pin(self.client.copy_in(&statement).await.map_err(failed)?);
            self.writing = Some(Writing { table: table.name.clone(), rows: table.rows, sink });
        }
        let Some(writing) = &mut self.writing else { return Ok(()) };
        writing.sink.send(bytes).await.map_err(failed)
    }

    async fn end_table(&mut self) -> Result<(), Error> {
        let Some(mut writing) = self.writing.take() else { return Ok(()) };
        let rows = writing.sink.as_mut().finish().await.map_err(failed)?;
        if rows != writing.rows {
            let why = format!("the table {} has {rows} rows and should have {}", writing.table, writing.rows);
            return Err(Error::Damaged(why));
        }
        Ok(())
    }

    /// Set where numbers go on, bring back what refers to what, which Postgres proves for every row, and commit. Deliveries are
    /// paused from the first moment on: what waits may have been sent by whom the copy is of.
    pub async fn commit(mut self, tables: &[Table]) -> Result<(), Error> {
        self.end_table().await?;
        for table in tables {
            for sequence in &table.sequences {
                let set = "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3, $4)";
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                    [&place(&table.name), &sequence.column, &sequence.last, &sequence.given];
                self.client.query(set, &values).await.map_err(failed)?;
            }
        }
        for reference in &self.references {
            self.client.batch_execute(reference).await.map_err(failed)?;
        }
        let pause = format!(
            "UPDATE {} SET deliveries_paused_at = coalesce(deliveries_paused_at, now())",
            place(migrate::MARKER)
        );
        self.client.batch_execute(&pause).await.map_err(failed)?;
        self.client.batch_execute("COMMIT").await.map_err(failed)
    }
}
