//! The tables: every migration goes down as well as up, the file for diesel is true, and no other program's database is touched.

use crate::support::{Program, TestDatabase};
use everpost::store::Store;
use std::collections::BTreeMap;

/// Everything about the tables that a migration makes.
const SHAPE: &str = "SELECT concat_ws(' ', c.table_name, c.column_name, c.data_type, c.udt_name, c.is_nullable, c.column_default, \
    col_description(format('public.%I', c.table_name)::regclass, c.ordinal_position)) \
    FROM information_schema.columns c WHERE c.table_schema = 'public' \
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint \
    WHERE connamespace = 'public'::regnamespace ORDER BY 1";

fn shape(database: &TestDatabase) -> Vec<String> {
    database.texts(SHAPE)
}

#[test]
fn every_migration_goes_down_and_up_again() {
    let database = TestDatabase::new();
    let before = shape(&database);
    assert!(before.len() > 100);
    Store::redo_migrations(&database.url()).unwrap();
    assert_eq!(shape(&database), before);
    assert_eq!(database.number("SELECT count(*) FROM everpost_instance"), 1);
    assert_eq!(Store::migrate(&database.url()).unwrap(), Vec::<String>::new(), "nothing is pending");
}

/// Table and column, with type and nullability in diesel's words, as `src/store/schema/` says.
fn written() -> BTreeMap<String, String> {
    let text =
        concat!(include_str!("../../src/store/schema/mod.rs"), include_str!("../../src/store/schema/federation.rs"));
    let mut columns = BTreeMap::new();
    for table in text.split("diesel::table! {").skip(1) {
        let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
        let name = lines.next().unwrap().split_whitespace().next().unwrap();
        for line in lines.take_while(|line| *line != "}") {
            let (column, kind) = line.trim_end_matches(',').split_once(" -> ").unwrap();
            columns.insert(format!("{name}.{column}"), kind.to_owned());
        }
    }
    columns
}

/// The same as the database has it.
fn migrated(database: &TestDatabase) -> BTreeMap<String, String> {
    let columns = "SELECT concat_ws(' ', table_name, column_name, udt_name, is_nullable) FROM information_schema.columns \
        WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations'";
    let one = |row: String| {
        let [table, column, kind, nullable] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let kind = match kind {
            "bool" => "Bool",
            "int2" => "Int2",
            "int4" => "Int4",
            "int8" => "Int8",
            "text" => "Text",
            "_text" => "Array<Text>",
            "_int2" => "Array<Int2>",
            "_int4" => "Array<Int4>",
            "jsonb" => "Jsonb",
            "bytea" => "Bytea",
            "timestamptz" => "Timestamptz",
            other => panic!("{table}.{column} has the type {other}, which this test does not know"),
        };
        let kind = if nullable == "YES" { format!("Nullable<{kind}>") } else { kind.to_owned() };
        (format!("{table}.{column}"), kind)
    };
    database.texts(columns).into_iter().map(one).collect()
}

#[test]
fn the_file_that_diesel_reads_is_true() {
    let (written, migrated) = (written(), migrated(&TestDatabase::new()));
    assert!(written.len() > 60, "{written:?}");
    assert_eq!(written, migrated);
}

#[test]
fn every_table_says_what_it_is_for() {
    let silent = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \
        AND relname <> '__diesel_schema_migrations' AND obj_description(oid) IS NULL";
    assert_eq!(TestDatabase::new().texts(silent), Vec::<String>::new());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let up = std::fs::read_to_string(entry.path().join("up.sql")).unwrap();
        let made = up.matches("CREATE TABLE").count();
        assert_eq!(up.matches("COMMENT ON TABLE").count(), made, "{}", entry.path().display());
        let down = std::fs::read_to_string(entry.path().join("down.sql")).unwrap();
        assert!(!down.trim().is_empty(), "{}", entry.path().display());
    }
}

#[test]
fn what_belongs_to_an_account_goes_with_it() {
    let keys = "SELECT concat_ws(' ', conrelid::regclass, confrelid::regclass, confdeltype) FROM pg_constraint WHERE contype = 'f'";
    let keys = TestDatabase::new().texts(keys);
    let to_accounts: Vec<&String> = keys.iter().filter(|key| key.split(' ').nth(1) == Some("accounts")).collect();
    assert!(
        to_accounts.len() >= 8,
        "keys, contexts, posts, imports, private_posts, followers, activities, blocks: {to_accounts:?}"
    );
    assert!(to_accounts.iter().all(|key| key.ends_with(" c")), "{to_accounts:?}");
    let unsaid: Vec<&String> = keys.iter().filter(|key| key.ends_with(" a")).collect();
    assert_eq!(unsaid, Vec::<&String>::new(), "every foreign key says what happens on a deletion");
}

/// A migrated database with one account, and its posts as the given values say; whether they were taken.
fn takes_post(visibility: &str, withdrawn: &str, content: &str) -> bool {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    let database = TestDatabase::new();
    database.execute(
        "INSERT INTO domains (base_url, role, created_at) VALUES ('https://a.example', 'first', now()); \
         INSERT INTO accounts (domain_id, handle, handle_domain, settings, state, preview_token, created_at, changed_at) \
         SELECT id, 'ann', 'a.example', '{}', 'live', '', now(), now() FROM domains; \
         INSERT INTO contexts (id, account_id) SELECT 1, id FROM accounts",
    );
    let post = format!(
        "INSERT INTO posts (id, account_id, source_key, visibility, published_at, date_origin, content_html, to_others, listed, context_id, created_at, \
         changed_at, withdrawn_at) SELECT 1, id, 'k', '{visibility}', now(), 'estimated', '{content}', false, true, 1, now(), now(), {withdrawn} FROM accounts"
    );
    PgConnection::establish(&database.url()).unwrap().batch_execute(&post).is_ok()
}

#[test]
fn the_database_itself_refuses_a_post_for_fewer_people() {
    assert!(takes_post("public", "NULL", "x") && takes_post("unlisted", "NULL", "x"));
    for narrower in ["private", "direct", "", "PUBLIC", "followers"] {
        assert!(!takes_post(narrower, "NULL", "x"), "{narrower}");
    }
}

#[test]
fn the_database_itself_refuses_a_withdrawn_post_with_content() {
    assert!(takes_post("public", "now()", ""));
    assert!(!takes_post("public", "now()", "still here"));
}

/// What is in a database, whoever made it.
const EVERYTHING: &str = "SELECT concat_ws(' ', n.nspname, c.relname, c.relkind) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1";

/// A database that the given SQL made is refused with these words and stays as it is.
fn refused(sql: &str, told: &str) {
    let database = TestDatabase::empty();
    database.execute(sql);
    let before = database.texts(EVERYTHING);
    for outcome in [Store::migrate(&database.url()).map(drop), Store::redo_migrations(&database.url())] {
        let message = outcome.expect_err(sql).to_string();
        assert!(message.contains(told) && message.contains("nothing was changed"), "{message}");
    }
    assert_eq!(database.texts(EVERYTHING), before, "{sql}");
}

#[test]
fn a_database_of_another_program_is_refused_untouched() {
    refused("CREATE TABLE users (id int)", "public.users");
    refused("CREATE SCHEMA shop; CREATE TABLE shop.orders (id int)", "shop.orders");
    refused("CREATE SCHEMA pgqueue; CREATE TABLE pgqueue.job (id int)", "pgqueue.job");
    refused("CREATE VIEW report AS SELECT 1 AS n", "public.report");
}

#[test]
fn a_database_of_another_program_that_uses_diesel_is_refused_untouched() {
    let versions =
        "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp DEFAULT now())";
    refused(
        &format!("{versions}; INSERT INTO __diesel_schema_migrations VALUES ('20200101000000')"),
        "another program",
    );
    refused(&format!("{versions}; CREATE TABLE users (id int)"), "public.users");
}

#[test]
fn tables_that_this_role_may_not_even_read_are_seen_all_the_same() {
    let database = TestDatabase::empty();
    let role = format!("other_{}", std::process::id());
    database.execute(&format!("CREATE TABLE users (id int); DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN"));
    database.execute(&format!("GRANT ALL ON SCHEMA public TO {role}"));
    let url = database.url().replacen("//everpost@", &format!("//{role}@"), 1);
    assert_ne!(url, database.url());
    let outcome = Store::probe(&url).map(|()| Store::migrate(&url).map(drop));
    database.execute(&format!("REVOKE ALL ON SCHEMA public FROM {role}; DROP ROLE {role}"));
    match outcome {
        Ok(migrated) => assert!(migrated.unwrap_err().to_string().contains("public.users")),
        Err(error) => panic!("the other role cannot connect: {error}"),
    }
}

#[test]
fn a_database_that_a_newer_everpost_migrated_is_refused_untouched() {
    let database = TestDatabase::new();
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000001')");
    let before = shape(&database);
    let message = Store::migrate(&database.url()).unwrap_err().to_string();
    assert!(message.contains("newer Everpost") && message.contains("20990101000001"), "{message}");
    assert_eq!(shape(&database), before);
}

#[test]
fn the_program_refuses_a_stray_database_url_and_names_the_way_out() {
    let database = TestDatabase::empty();
    database.execute("CREATE TABLE users (id int)");
    let mut program = Program::private();
    program.set("DATABASE_URL", &database.url());
    for arguments in [&["migrate"][..], &["account", "list"], &["serve", "--set", "server.bind=127.0.0.1:0"]] {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
        for part in ["public.users", "nothing was changed", "database.url"] {
            assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
        }
    }
    assert_eq!(database.texts(EVERYTHING), ["public users r"]);
}

#[test]
fn several_processes_migrate_at_once() {
    let database = TestDatabase::empty();
    let url = database.url();
    let start = std::sync::Barrier::new(6);
    let made: Vec<usize> = std::thread::scope(|scope| {
        let migrate = || {
            start.wait();
            Store::migrate(&url).unwrap().len()
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(migrate)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all = std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).unwrap();
    let all = all.map(Result::unwrap).filter(|entry| entry.path().is_dir()).count();
    assert_eq!((made.iter().sum::<usize>(), made.iter().max()), (all, Some(&all)), "one of them did it all: {made:?}");
    assert_eq!(shape(&database), shape(&TestDatabase::new()));

    let fresh = TestDatabase::empty();
    let mut program = Program::private();
    program.set("EVERPOST_DATABASE__URL", &fresh.url());
    let children: Vec<_> = (0..4).map(|_| program.command().args(["account", "list"]).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(fresh.number("SELECT count(*) FROM domains"), 1);
    assert_eq!(fresh.number("SELECT count(*) FROM keys"), 2, "one server actor, one pair of each kind");
}
