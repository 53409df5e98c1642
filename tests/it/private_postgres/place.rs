//! A data folder of its own with a private Postgres in it, every process that belongs to it, and its end.

use crate::support::{Outcome, Program};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The user `nobody` of every Linux system.
const NOBODY: u32 = 65534;

/// A data folder, a port, and the program on them. Ends every process of its own and removes every folder.
pub struct Place {
    pub program: Program,
    pub port: u16,
    /// The data folder, as the program is told it.
    pub dir: PathBuf,
    user: Option<u32>,
}

impl Place {
    pub fn new() -> Place {
        let mut program = Program::private();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        program.set("EVERPOST_SERVER__BIND", &format!("127.0.0.1:{port}"));
        program.set("EVERPOST_SERVER__PUBLIC_URL", &format!("http://localhost:{port}"));
        let dir = program.data_dir();
        Place { program, port, dir, user: None }
    }

    /// With the data folder under another name.
    pub fn named(name: &str) -> Place {
        let mut place = Place::new();
        place.dir = place.program.scratch().join(name);
        place.program.set("EVERPOST_STORAGE__DATA_DIR", place.dir.to_str().unwrap());
        place
    }

    /// Run by `nobody`; only root can do that.
    pub fn of_nobody() -> Option<Place> {
        if !is_root() {
            eprintln!("SKIPPED: only root can run the program as another user");
            return None;
        }
        let mut place = Place::new();
        place.user = Some(NOBODY);
        chown(place.program.scratch(), Some(NOBODY), Some(NOBODY)).unwrap();
        if place.command().arg("--version").output().is_err() {
            eprintln!("SKIPPED: the program is in a folder that other users cannot enter");
            return None;
        }
        Some(place)
    }

    /// The program, by the right user.
    pub fn command(&self) -> Command {
        let mut command = self.program.command();
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        command
    }

    /// Run to the end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command().args(arguments).output().unwrap())
    }

    /// Run to the end, and succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        outcome.stdout
    }

    /// Run, fail, and say why; nothing is left running.
    pub fn refused(&self) -> String {
        let outcome = self.run(&["account", "list"]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        self.empty_within(3.0);
        outcome.stderr
    }

    /// Start in the background; what it prints goes to a file.
    pub fn start(&self, arguments: &[&str]) -> Running {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = self.program.scratch().join(format!("said-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let log = File::create(&path).unwrap();
        let copy = log.try_clone().unwrap();
        Running {
            child: self.command().args(arguments).process_group(0).stdout(copy).stderr(log).spawn().unwrap(),
            said: path,
        }
    }

    /// `everpost serve`, once it is ready.
    pub fn serve(&self) -> Running {
        let mut server = self.start(&["serve"]);
        until("the server is ready", 30, || {
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended: {}", server.said());
            (self.status("/readyz") == 200).then_some(())
        });
        server
    }

    /// The status code of a GET; 0 where nobody answers.
    pub fn status(&self, path: &str) -> u16 {
        self.get(path).map_or(0, |answer| answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0))
    }

    /// The whole answer to a GET as ActivityPub, head and body; `None` where nobody answers.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n", self.port);
        write!(stream, "{head}Accept: application/activity+json\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    }

    /// The cluster's folder.
    pub fn base(&self) -> PathBuf {
        self.dir.join(fs::read_to_string(self.dir.join("postgres.location")).unwrap().trim())
    }

    /// The server's process, once it accepts connections.
    pub fn postmaster(&self) -> i32 {
        let file = self.base().join("data/postmaster.pid");
        until("postmaster.pid", 20, || {
            let text = fs::read_to_string(&file).ok()?;
            text.contains("\nready").then(|| text.lines().next()?.parse().ok()).flatten()
        })
    }

    pub fn server_log(&self) -> String {
        fs::read_to_string(self.base().join("server.log")).unwrap()
    }

    /// The socket's folder, while the server runs.
    pub fn socket_dir(&self) -> PathBuf {
        let text = fs::read_to_string(self.base().join("data/postmaster.pid")).unwrap();
        text.lines().nth(4).unwrap().into()
    }

    /// Run SQL beside the program, without holding on to the database.
    pub fn sql(&self, text: &str) -> Result<(), String> {
        use diesel::connection::SimpleConnection;
        self.connect()?.batch_execute(text).map_err(|e| e.to_string())
    }

    /// The texts that a query of one column answers with; an error while the database is not there.
    pub fn texts(&self, query: &str) -> Result<Vec<String>, String> {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            t: String,
        }
        let rows = diesel::sql_query(format!("SELECT t::text AS t FROM ({query}) AS q(t)"));
        let rows: Vec<Row> = rows.load(&mut self.connect()?).map_err(|e| e.to_string())?;
        Ok(rows.into_iter().map(|row| row.t).collect())
    }

    /// The database's URL, while it runs.
    pub fn url(&self) -> String {
        let folder = self.socket_dir();
        let encode = |byte: &u8| format!("%{byte:02X}");
        let host: String = folder.to_str().unwrap().as_bytes().iter().map(encode).collect();
        format!("postgres://everpost@{host}:5432/everpost")
    }

    fn connect(&self) -> Result<diesel::PgConnection, String> {
        diesel::Connection::establish(&self.url()).map_err(|e: diesel::ConnectionError| e.to_string())
    }

    /// The supervisors of this place.
    pub fn supervisors(&self) -> Vec<i32> {
        let dir = self.dir.to_string_lossy();
        // While it is being started, it is a shell.
        processes(|line, _| {
            line.contains("\0postgres-supervisor\0") && line.contains(&*dir) && !line.starts_with("/bin/sh")
        })
    }

    /// Every process of this place: the program, the supervisor, Postgres and its backends.
    pub fn processes(&self) -> Vec<i32> {
        let scratch = self.program.scratch();
        let location = fs::read_to_string(self.dir.join("postgres.location")).unwrap_or_default();
        let base = self.dir.join(location.trim());
        processes(|line, cwd| {
            line.contains(&*scratch.to_string_lossy()) || cwd.starts_with(scratch) || cwd.starts_with(&base)
        })
    }

    /// Waits until no process of this place is left.
    pub fn empty_within(&self, seconds: f64) {
        let begun = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            if begun.elapsed().as_secs_f64() > seconds {
                let lines = left.iter().map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")));
                panic!("left over after {seconds} s: {left:?} {:?}", lines.collect::<Vec<_>>());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A supervisor would start Postgres again, so it goes on until nothing is left.
        let begun = Instant::now();
        while begun.elapsed().as_secs() < 5 {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            left.iter().for_each(|pid| kill(*pid, "KILL"));
        }
        if let Ok(location) = fs::read_to_string(self.dir.join("postgres.location"))
            && location.starts_with("/var/lib/everpost/")
        {
            let _ = fs::remove_dir_all(location.trim());
            // It goes only if it is empty.
            let _ = fs::remove_dir("/var/lib/everpost");
        }
    }
}

/// A program in the background; it is killed with this value.
pub struct Running {
    pub child: Child,
    said: PathBuf,
}

impl Running {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Everything that it printed so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Send a signal and wait for the end; the exit code, -1 for a death by a signal. `INT` goes to the whole process
    /// group, as a terminal sends it at Ctrl-C.
    pub fn end(&mut self, signal: &str) -> i32 {
        kill(if signal == "INT" { -self.pid() } else { self.pid() }, signal);
        self.wait()
    }

    pub fn wait(&mut self) -> i32 {
        let status = until("the program ends", 30, || self.child.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn outcome(output: Output) -> Outcome {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The processes, zombies excepted, whose command line (parted by zeros) and working folder are wanted.
fn processes(wanted: impl Fn(&str, &Path) -> bool) -> Vec<i32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let here = i32::try_from(std::process::id()).unwrap();
    let belongs = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        !line.is_empty() && *pid != here && wanted(&String::from_utf8_lossy(&line), &cwd)
    };
    numbers.filter(belongs).collect()
}

pub fn kill(pid: i32, signal: &str) {
    let mut command = Command::new("kill");
    // It may have ended in the meantime.
    let _ = command.args(["-s", signal, "--", &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Polls until there is a value.
pub fn until<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(begun.elapsed().as_secs() < seconds, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Bundles of `posts` posts each by `@ann@origin.example`, one a day, into `folder`.
pub fn write_archive(folder: &Path, bundles: u32, posts: u32) {
    let start: chrono::DateTime<chrono::Utc> = "2021-01-01T08:00:00Z".parse().unwrap();
    for day in 0..bundles {
        let mut bundle = crate::support::Bundle::new();
        for n in 0..posts {
            let at = start + chrono::TimeDelta::days(day.into()) + chrono::TimeDelta::minutes(n.into());
            bundle = bundle.post(&at.to_rfc3339(), &format!("<p>Day {day}, part {n}: a walk along the river.</p>"));
        }
        bundle.write(folder);
    }
}
