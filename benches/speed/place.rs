//! A folder with a private Postgres, the program's processes in it, and a small HTTP client. All end with the bench.

use crate::{Wanted, archive};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use everpost::postgres::{PrivatePostgres, Settings};
use everpost::store::Store;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The program that is measured.
pub const EVERPOST: &str = env!("CARGO_BIN_EXE_everpost");

/// The folder of a bench and its Postgres.
pub struct Place {
    folder: tempfile::TempDir,
    postgres: PrivatePostgres,
}

impl Place {
    pub fn new() -> Place {
        let folder = tempfile::Builder::new().prefix("everpost-bench-").tempdir().unwrap();
        // The database's unprivileged user must be able to reach it, and to write what COPY writes.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let settings = Settings {
            data_dir: folder.path().join("postgres"),
            exe: PathBuf::from(EVERPOST),
            path_var: std::env::var_os("PATH"),
        };
        let probe = |url: &str| Store::probe(url).map_err(|e| e.to_string());
        let postgres = PrivatePostgres::attach(&settings, &probe).unwrap();
        Place { folder, postgres }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of a database of that name in the bench's Postgres.
    pub fn url(&self, database: &str) -> String {
        let url = self.postgres.url().replace("/everpost", &format!("/{database}"));
        url.replace(&format!("//{database}@"), "//everpost@")
    }

    /// A new database with Everpost's tables.
    pub fn create(&self, database: &str) -> String {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        self.sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0"));
        Store::migrate(&self.url(database)).unwrap();
        self.url(database)
    }

    pub fn sql(&self, database: &str, text: &str) {
        diesel::PgConnection::establish(&self.url(database)).unwrap().batch_execute(text).unwrap();
    }

    /// The texts that a query of one column answers with.
    pub fn texts(&self, database: &str, text: &str) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            t: String,
        }
        let mut connection = diesel::PgConnection::establish(&self.url(database)).unwrap();
        let rows = diesel::sql_query(format!("SELECT t::text AS t FROM ({text}) AS q(t)"));
        rows.load::<Row>(&mut connection).unwrap().into_iter().map(|row| row.t).collect()
    }

    /// Seconds of processor time that the backends of a database took so far.
    pub fn backends(&self, database: &str) -> f64 {
        let query =
            format!("SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()");
        self.texts(database, &query).iter().filter_map(|pid| pid.parse().ok()).map(processor).sum()
    }

    /// The generated archive, made once.
    pub fn archive(&self, bundles: u32) -> PathBuf {
        let folder = self.path("archive");
        if !folder.exists() {
            let begun = Instant::now();
            archive::write(&folder, bundles);
            println!("the archive was written in {:.1} s", begun.elapsed().as_secs_f64());
        }
        folder
    }

    /// The program with nothing of this process's configuration.
    pub fn command(&self, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(EVERPOST);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EVERPOST_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        command.envs(settings.iter().copied()).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Start the server and wait until it is ready; how long that took.
    pub fn serve(&self, settings: &[(&str, &str)]) -> (Server, Duration) {
        let port = free_port();
        let bind = format!("127.0.0.1:{port}");
        let public = format!("http://localhost:{port}");
        let mut all = vec![
            ("EVERPOST_SERVER__BIND", bind.as_str()),
            ("EVERPOST_SERVER__PUBLIC_URL", public.as_str()),
            ("EVERPOST_LOG", "warn"),
        ];
        all.extend(settings);
        let begun = Instant::now();
        let child = self.command(&all).arg("serve").stdout(Stdio::null()).spawn().unwrap();
        let server = Server { child, port };
        while !matches!(server.get("/readyz"), Some((200, ..))) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not become ready");
            std::thread::sleep(Duration::from_millis(2));
        }
        (server, begun.elapsed())
    }
}

/// An account with the generated archive, imported once and served in several ways.
pub struct Served {
    /// Every Note's path.
    pub notes: Vec<String>,
    pub data: PathBuf,
    pub url: String,
}

impl Served {
    pub fn with_archive(place: &Place, wanted: &Wanted) -> Served {
        let archive = place.archive(wanted.bundles);
        let (url, data) = (place.create("served"), place.path("served"));
        let settings = [("DATABASE_URL", url.as_str()), ("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap())];
        let status = place.command(&settings).arg("import").arg(&archive).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "the import failed");
        place.sql("served", "VACUUM ANALYZE");
        let notes = place.texts("served", "SELECT '/users/ann/statuses/' || id FROM posts ORDER BY id");
        Served { notes, data, url }
    }

    /// Serve it with a cache of that size.
    pub fn serve(&self, place: &Place, cache_mib: &str) -> Server {
        let settings = [
            ("DATABASE_URL", self.url.as_str()),
            ("EVERPOST_STORAGE__DATA_DIR", self.data.to_str().unwrap()),
            ("EVERPOST_CACHE__SIZE_MIB", cache_mib),
        ];
        place.serve(&settings).0
    }
}

/// A process that serves HTTP on a port of this machine. It is ended with this value.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// A process that was started for that port.
    pub fn of(child: Child, port: u16) -> Server {
        Server { child, port }
    }

    /// One answer: status, headers as lines, body.
    pub fn get(&self, path: &str) -> Option<(u16, Vec<String>, Vec<u8>)> {
        Client::open(self.port)?.get(path)
    }

    /// Seconds of processor time that it took so far, its own and the system's for it.
    pub fn processor(&self) -> f64 {
        processor(self.child.id())
    }

    /// A line of `/proc/<pid>/status`, in KiB.
    pub fn memory(&self, name: &str) -> f64 {
        memory(self.child.id(), name).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has a database to let go of, so it is asked first.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if begun.elapsed() > Duration::from_secs(20) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Wait for the end of a process: how it ended, and the peak of its memory in MiB.
pub fn watch(mut child: Child) -> (ExitStatus, f64) {
    let mut peak = 0.0_f64;
    loop {
        peak = peak.max(memory(child.id(), "VmHWM").unwrap_or_default());
        match child.try_wait().unwrap() {
            Some(status) => return (status, peak / 1024.0),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A line of `/proc/<pid>/status` in KiB; `None` once the process has ended.
fn memory(pid: u32, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Seconds of processor time that a process took so far.
pub fn processor(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may hold anything, the 12th and the 13th field; in hundredths of a second on Linux.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A connection that is kept open.
pub struct Client {
    stream: BufReader<TcpStream>,
    port: u16,
}

impl Client {
    pub fn open(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Client { stream: BufReader::new(stream), port })
    }

    /// GET as another server does.
    pub fn get(&mut self, path: &str) -> Option<(u16, Vec<String>, Vec<u8>)> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nAccept: application/activity+json\r\n\r\n",
            self.port
        );
        self.stream.get_mut().write_all(head.as_bytes()).ok()?;
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).ok()?;
            match line.trim_end() {
                "" => break,
                header => headers.push(header.to_owned()),
            }
        }
        let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).ok()?;
        Some((status, headers, body))
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Processor, cores, memory, system.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (cpu, memory) = (field(&read("/proc/cpuinfo"), "model name"), field(&read("/proc/meminfo"), "MemTotal"));
    let load = read("/proc/loadavg");
    format!("{cpu}, {cores} cores, {memory}, load at the start {}", load.split(' ').next().unwrap_or_default())
}
