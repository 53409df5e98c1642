//! Migrations: embedded, run under a lock, and only in a database that is ours. Synchronous, through libpq.

use super::Error;
use super::snapshot::{OURS, place};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The table by which a database is known as ours.
pub(super) const MARKER: &str = "everpost_instance";

/// The key of the advisory lock: "everpost" in ASCII.
const LOCK: i64 = 0x6576_6572_706f_7374;

/// Run what is pending and name it.
pub(super) fn run(url: &str) -> Result<Vec<String>, Error> {
    locked(url, |connection| {
        refuse_foreign(connection)?;
        let done = connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
        let names = done.iter().map(ToString::to_string).collect();
        connection.batch_execute("INSERT INTO everpost_instance DEFAULT VALUES ON CONFLICT DO NOTHING")?;
        Ok(names)
    })
}

/// The migrations that have not run, by name; changes nothing.
pub(super) fn pending(url: &str) -> Result<Vec<String>, Error> {
    let mut connection = connect(url)?;
    refuse_foreign(&mut connection)?;
    let applied = applied(&mut connection)?;
    let known = diesel::migration::MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(failed)?;
    let missing = known.iter().filter(|known| !applied.contains(&known.name().version().to_string()));
    Ok(missing.map(|known| known.name().to_string()).collect())
}

/// The versions that have run.
fn applied(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    let there: bool =
        diesel::select(diesel::dsl::sql::<Bool>("to_regclass('public.__diesel_schema_migrations') IS NOT NULL"))
            .get_result(connection)?;
    let applied: Vec<Name> = match there {
        true => {
            diesel::sql_query("SELECT version::text AS name FROM public.__diesel_schema_migrations").load(connection)?
        }
        false => Vec::new(),
    };
    Ok(applied.into_iter().map(|applied| applied.name).collect())
}

/// The versions that this program has.
fn known() -> Result<Vec<String>, Error> {
    let known = diesel::migration::MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(failed)?;
    Ok(known.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// All the way down and up again.
pub(super) fn redo(url: &str) -> Result<(), Error> {
    locked(url, |connection| {
        refuse_foreign(connection)?;
        connection.revert_all_migrations(MIGRATIONS).map_err(failed)?;
        connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
        connection.batch_execute("INSERT INTO everpost_instance DEFAULT VALUES ON CONFLICT DO NOTHING")?;
        Ok(())
    })
}

/// Make the tables as these migrations leave them; there must be no rows.
pub(super) fn run_to(url: &str, versions: &[String]) -> Result<(), Error> {
    locked(url, |connection| {
        refuse_foreign(connection)?;
        if let Some(table) = filled(connection)? {
            return Err(Error::Conflict(table));
        }
        let wanted = |version: &str| versions.iter().any(|wanted| wanted == version);
        if applied(connection)?.iter().any(|version| !wanted(version)) {
            // Without a row there is nothing to lose.
            connection.revert_all_migrations(MIGRATIONS).map_err(failed)?;
        }
        for migration in connection.pending_migrations(MIGRATIONS).map_err(failed)? {
            if wanted(&migration.name().version().to_string()) {
                connection.run_migration(&migration).map_err(failed)?;
            }
        }
        Ok(())
    })
}

/// The first of our tables that has rows.
pub(super) fn first_filled(url: &str) -> Result<Option<String>, Error> {
    let mut connection = connect(url)?;
    refuse_foreign(&mut connection)?;
    filled(&mut connection)
}

fn filled(connection: &mut PgConnection) -> Result<Option<String>, Error> {
    let tables: Vec<Name> =
        diesel::sql_query(format!("SELECT c.relname::text AS name FROM {OURS} ORDER BY 1")).load(connection)?;
    for table in tables.into_iter().filter(|table| table.name != MARKER) {
        let there = format!("EXISTS (SELECT 1 FROM {})", place(&table.name));
        if diesel::select(diesel::dsl::sql::<Bool>(&there)).get_result(connection)? {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// The versions that this program does not have, of these.
pub(super) fn unknown(versions: &[String]) -> Result<Vec<String>, Error> {
    let known = known()?;
    Ok(versions.iter().filter(|version| !known.contains(version)).cloned().collect())
}

/// How many migrations this version has.
pub(super) fn count() -> usize {
    diesel::migration::MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_or(0, |all| all.len())
}

/// One connection and nothing else.
pub(super) fn probe(url: &str) -> Result<(), Error> {
    connect(url).map(drop)
}

/// Create a database unless it is there.
pub(super) fn create_database(url: &str, name: &str) -> Result<(), Error> {
    let mut connection = connect(url)?;
    let there: bool = diesel::select(
        diesel::dsl::sql::<Bool>("EXISTS (SELECT 1 FROM pg_database WHERE datname = ").bind::<Text, _>(name).sql(")"),
    )
    .get_result(&mut connection)?;
    if !there {
        let quoted = name.replace('"', "\"\"");
        connection.batch_execute(&format!("CREATE DATABASE \"{quoted}\" ENCODING 'UTF8' TEMPLATE template0"))?;
    }
    Ok(())
}

fn connect(url: &str) -> Result<PgConnection, Error> {
    PgConnection::establish(url).map_err(|e| Error::Unavailable(e.to_string()))
}

/// Run `work` while no other process does the same. The lock ends with the connection, however that ends.
fn locked<T>(url: &str, work: impl FnOnce(&mut PgConnection) -> Result<T, Error>) -> Result<T, Error> {
    let mut connection = connect(url)?;
    connection.batch_execute("SET client_min_messages = warning")?;
    diesel::sql_query("SELECT pg_advisory_lock($1)").bind::<BigInt, _>(LOCK).execute(&mut connection)?;
    work(&mut connection)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Database(format!("a migration failed: {error}"))
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// A database with tables of somebody else, or of a newer version of ours, is never touched.
/// The catalog tells it and not the information schema, which hides what this role may not read.
fn refuse_foreign(connection: &mut PgConnection) -> Result<(), Error> {
    let tables: Vec<Name> = diesel::sql_query(
        "SELECT format('%s.%s', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
         AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1",
    )
    .load(connection)?;
    let marked = tables.iter().any(|table| table.name == "public.everpost_instance");
    let foreign: Vec<&str> = tables
        .iter()
        .map(|table| table.name.as_str())
        .filter(|name| *name != "public.__diesel_schema_migrations")
        .collect();
    if !marked && !foreign.is_empty() {
        return Err(Error::Foreign(format!(
            "the database already holds tables that are not Everpost's ({}); nothing was changed. \
             Name another database in database.url (or DATABASE_URL), or leave it unset for a private one.",
            foreign.iter().take(3).copied().collect::<Vec<_>>().join(", ")
        )));
    }
    if !tables.iter().any(|table| table.name == "public.__diesel_schema_migrations") {
        return Ok(());
    }
    let applied: Vec<Name> =
        diesel::sql_query("SELECT version::text AS name FROM public.__diesel_schema_migrations ORDER BY 1")
            .load(connection)?;
    if !marked && !applied.is_empty() {
        return Err(Error::Foreign(
            "the database belongs to another program that uses diesel; nothing was changed. \
             Name another database in database.url (or DATABASE_URL)."
                .to_owned(),
        ));
    }
    let known = known()?;
    match applied.iter().find(|version| !known.contains(&version.name)) {
        Some(newer) => Err(Error::Foreign(format!(
            "the database was migrated by a newer Everpost (migration {}); nothing was changed. Run that version, or a later one.",
            newer.name
        ))),
        None => Ok(()),
    }
}
