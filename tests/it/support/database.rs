//! One Postgres for the whole run, one database for each test, made from a migrated template and dropped afterwards.

use everpost::postgres::{PrivatePostgres, Settings};
use everpost::store::Store;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static CLUSTER: OnceLock<PrivatePostgres> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A migrated, empty database that lives as long as this value.
pub struct TestDatabase {
    name: String,
}

impl TestDatabase {
    pub fn new() -> TestDatabase {
        let database = TestDatabase::unmigrated_from(&template());
        assert!(Store::probe(&database.url()).is_ok());
        database
    }

    /// A database with nothing in it, not even our tables.
    pub fn empty() -> TestDatabase {
        TestDatabase::unmigrated_from("template0")
    }

    fn unmigrated_from(template: &str) -> TestDatabase {
        let name = format!("it_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        sql(&cluster_url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        TestDatabase { name }
    }

    pub fn url(&self) -> String {
        cluster_url(&self.name)
    }

    /// Let new connections in, or keep them out; those that stand go on.
    pub fn let_in(&self, allowed: bool) {
        sql(&cluster_url("postgres"), &format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", self.name));
    }

    /// Run SQL that answers nothing.
    pub fn execute(&self, text: &str) {
        sql(&self.url(), text);
    }

    /// The single number that a query answers with.
    pub fn number(&self, text: &str) -> i64 {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        let mut connection = PgConnection::establish(&self.url()).unwrap();
        diesel::sql_query(format!("SELECT ({text})::bigint AS n")).get_result::<Row>(&mut connection).unwrap().n
    }

    /// The texts that a query of one column answers with.
    pub fn texts(&self, text: &str) -> Vec<String> {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            t: String,
        }
        let mut connection = PgConnection::establish(&self.url()).unwrap();
        let rows = diesel::sql_query(format!("SELECT t::text AS t FROM ({text}) AS q(t)"));
        rows.load::<Row>(&mut connection).unwrap().into_iter().map(|row| row.t).collect()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        sql(&cluster_url("postgres"), &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn template() -> String {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    let make = || {
        let name = format!("it_{}_template", std::process::id());
        sql(&cluster_url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE template0"));
        Store::migrate(&cluster_url(&name)).unwrap();
        name
    };
    TEMPLATE.get_or_init(make).clone()
}

fn cluster_url(database: &str) -> String {
    let cluster = CLUSTER.get_or_init(|| {
        let settings = Settings {
            data_dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("it-postgres"),
            exe: PathBuf::from(env!("CARGO_BIN_EXE_everpost")),
            path_var: std::env::var_os("PATH"),
        };
        let probe = |url: &str| Store::probe(url).map_err(|e| e.to_string());
        let cluster = PrivatePostgres::attach(&settings, &probe).unwrap();
        drop_leftovers(&cluster.url());
        cluster
    });
    cluster.url().replace("/everpost", &format!("/{database}")).replace(&format!("//{database}@"), "//everpost@")
}

/// Databases of runs that ended without dropping them.
fn drop_leftovers(url: &str) {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        datname: String,
    }
    let mut connection = PgConnection::establish(url).unwrap();
    let rows = diesel::sql_query("SELECT datname::text AS datname FROM pg_database WHERE datname LIKE 'it\\_%'");
    for Row { datname } in rows.load(&mut connection).unwrap() {
        let pid = datname.split('_').nth(1).unwrap_or_default();
        if !std::path::Path::new("/proc").join(pid).exists() {
            sql(url, &format!("DROP DATABASE IF EXISTS {datname} WITH (FORCE)"));
        }
    }
}

fn sql(url: &str, text: &str) {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    PgConnection::establish(url).unwrap().batch_execute(text).unwrap();
}
