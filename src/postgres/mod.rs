//! Everpost's private PostgreSQL, used when no `database.url` is configured.
//!
//! Every process that needs the database calls [`PrivatePostgres::attach`] and holds a shared lock on
//! `data_dir/everpost.lock` while it lives. A small supervisor process owns the cluster and stops it once that
//! lock can be had exclusively, that is, when the last user is gone, by exit or by `kill -9`. Each user watches
//! the supervisor through its lock on `data_dir/supervisor.lock`, and starts a new one if it dies.
mod binaries;
mod cluster;
mod files;
mod server;
mod supervisor;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use cluster::{Cluster, Layout};
pub use supervisor::supervise;

/// The hidden subcommand that runs [`supervise`].
pub const SUBCOMMAND: &str = "postgres-supervisor";

/// How long a user process waits for the database without a sign of progress.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits while PostgreSQL itself says that it is still starting, as after a crash.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(600);
/// How long the last user waits for PostgreSQL to write everything and stop.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// After this long without a sign of stopping, another process is using the database.
const STOP_SIGN: Duration = Duration::from_secs(2);
/// Pause between two looks while waiting.
const PAUSE: Duration = Duration::from_millis(50);
/// The supervisor's log is started anew beyond this size.
const MAX_SUPERVISOR_LOG: u64 = 1 << 20;

/// What the private PostgreSQL needs to know about its surroundings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Everpost's data folder; it is created if it is missing.
    pub data_dir: PathBuf,
    /// The absolute path of Everpost's own binary, which is started as the supervisor.
    pub exe: PathBuf,
    /// The value of `PATH`, searched for PostgreSQL's programs and handed on to the supervisor.
    pub path_var: Option<OsString>,
}

/// Why the private PostgreSQL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written, created or locked.
    #[error("Cannot {action} {}: {source}.", .path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// No PostgreSQL is installed.
    #[error(
        "No PostgreSQL was found on this machine (looked for initdb and postgres in {searched}). Install it (Debian \
         and Ubuntu: apt-get install postgresql), or name a running server in database.url or DATABASE_URL, or \
         start Everpost with the project's docker-compose.yml, which brings its own."
    )]
    NoBinaries {
        /// The places that were searched.
        searched: String,
    },
    /// The cluster was made by a PostgreSQL version that is not installed.
    #[error(
        "The database in {} was made by PostgreSQL {cluster}, but this machine has {found}. \
         Nothing was changed.\n{remedy}",
        .data.display()
    )]
    WrongVersion {
        /// The cluster's data folder.
        data: PathBuf,
        /// The version that made it.
        cluster: String,
        /// The versions found, in words.
        found: String,
        /// The commands to use.
        remedy: String,
    },
    /// `initdb` did not make a new cluster.
    #[error("PostgreSQL could not create a database in {}: {output}", .base.display())]
    Create {
        /// The folder of the new cluster.
        base: PathBuf,
        /// What `initdb` said last.
        output: String,
    },
    /// PostgreSQL did not start, or did not do its first work.
    #[error("PostgreSQL did not start: {reason}. The last lines of {}:\n{tail}", .log.display())]
    Start {
        /// What was seen.
        reason: String,
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// What is found on the disk is not what Everpost may use.
    #[error("{problem}. {remedy}.")]
    Refused {
        /// What is wrong, and where.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The supervisor's own error, as it told it.
    #[error("{0}")]
    Supervisor(String),
    /// The database did not answer in time.
    #[error(
        "The private PostgreSQL did not answer within {seconds} seconds (last answer: {last}). See the logs {} and \
         {}, and start again.", .supervisor_log.display(), .server_log.display()
    )]
    Timeout {
        /// How long the process waited.
        seconds: u64,
        /// The last answer to an attempt to connect.
        last: String,
        /// The supervisor's log.
        supervisor_log: PathBuf,
        /// PostgreSQL's log.
        server_log: PathBuf,
    },
}

/// One process's hold on the private PostgreSQL; the database runs at least until it is dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: Cluster,
    layout: Layout,
    notice: Option<String>,
    /// The shared lock; the guardian thread knows it weakly, so dropping this lets go.
    _lock: Arc<File>,
}

impl PrivatePostgres {
    /// Makes sure that the private PostgreSQL runs, and holds on to it. Blocks; call it from a blocking thread.
    ///
    /// `probe(url)` tries to connect to the database `everpost` once and returns Ok when it accepts connections.
    pub fn attach(settings: &Settings, probe: &dyn Fn(&str) -> Result<(), String>) -> Result<PrivatePostgres, Error> {
        let layout = Layout::open(&settings.data_dir)?;
        let lock = Arc::new(hold_users_lock(&layout)?);
        let cluster = wait_for_database(settings, &layout, probe)?;
        let notice = cluster.notice(&layout);
        let guarded = (settings.clone(), layout.clone(), Arc::downgrade(&lock));
        thread::Builder::new()
            .name("postgres-guard".into())
            .spawn(move || guard(&guarded.0, &guarded.1, &guarded.2))
            .map_err(|source| Error::File { action: "start a thread for", path: settings.data_dir.clone(), source })?;
        Ok(PrivatePostgres { cluster, layout, notice, _lock: lock })
    }

    /// Lets go of it, and waits until it has stopped, unless another process uses it too. Blocks.
    pub fn release(self) -> Result<(), Error> {
        let PrivatePostgres { layout, _lock: lock, .. } = self;
        drop(lock);
        let begun = Instant::now();
        let path = layout.users_lock();
        let file = files::lock_file(&path)?;
        while supervisor_lives(&layout)? && begun.elapsed() < STOP_PATIENCE {
            // The supervisor holds this lock alone while it stops the server.
            let stopping = matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock));
            if !stopping {
                file.unlock().map_err(|source| Error::File { action: "unlock", path: path.clone(), source })?;
                if begun.elapsed() > STOP_SIGN {
                    return Ok(());
                }
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The URL of the database `everpost`.
    ///
    /// The socket folder stands percent-encoded in the host's place, and the port is named: a URL with `localhost`
    /// and `?host=` makes tokio-postgres try TCP first, and libpq takes a missing port from `PGPORT`.
    pub fn url(&self) -> String {
        self.cluster.url("everpost")
    }

    /// What the operator should know about where the database is, if it is not in the data folder.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }
}

/// Whether a cluster was made for this data folder; it need not run, and nothing is started or made.
pub fn exists(data_dir: &Path) -> bool {
    let layout = Layout { data_dir: data_dir.to_owned() };
    layout.pointer().exists()
}

/// Takes the shared lock of a user process, waiting for a cluster that is just being stopped.
fn hold_users_lock(layout: &Layout) -> Result<File, Error> {
    let path = layout.users_lock();
    let file = files::lock_file(&path)?;
    match file.try_lock_shared() {
        Ok(()) => return Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            tracing::info!("Waiting for the database to finish stopping.")
        }
        Err(std::fs::TryLockError::Error(source)) => {
            return Err(Error::File { action: "lock", path, source });
        }
    }
    files::retry_interrupted(|| file.lock_shared()).map_err(|source| Error::File { action: "lock", path, source })?;
    Ok(file)
}

/// Waits until the database accepts connections, and starts a supervisor whenever none lives.
fn wait_for_database(
    settings: &Settings,
    layout: &Layout,
    probe: &dyn Fn(&str) -> Result<(), String>,
) -> Result<Cluster, Error> {
    let start = Instant::now();
    let mut spawned: Option<Receiver<Status>> = None;
    let mut last = String::from("none yet");
    loop {
        if spawned.is_none() && !supervisor_lives(layout)? {
            spawned = Some(spawn_supervisor(settings, layout)?);
        }
        let cluster = Cluster::find(layout)?;
        // While a supervisor of our own has not spoken, the server may be one that it will refuse.
        let settled = cluster.as_ref().filter(|cluster| spawned.is_none() && cluster.socket_dir_is_ours());
        if let Some(cluster) = settled {
            match probe(&cluster.url("everpost")) {
                Ok(()) => return Ok(cluster.clone()),
                Err(answer) => last = answer,
            }
        }
        match &spawned {
            Some(status) => match status.recv_timeout(PAUSE) {
                Ok(Status::Failed(message)) => return Err(Error::Supervisor(message)),
                Ok(Status::Ready) => spawned = None,
                Ok(Status::Owned) | Err(RecvTimeoutError::Disconnected) => {
                    spawned = None;
                    thread::sleep(PAUSE);
                }
                Err(RecvTimeoutError::Timeout) => {}
            },
            None => thread::sleep(PAUSE),
        }
        let patience = if last.contains("starting up") { RECOVERY_PATIENCE } else { PATIENCE };
        if start.elapsed() > patience {
            return Err(Error::Timeout {
                seconds: start.elapsed().as_secs(),
                last,
                supervisor_log: layout.supervisor_log(),
                server_log: cluster.map_or_else(|| layout.data_dir.join("postgres"), |cluster| cluster.log()),
            });
        }
    }
}

/// Whether a supervisor holds its lock.
fn supervisor_lives(layout: &Layout) -> Result<bool, Error> {
    let path = layout.supervisor_lock();
    match files::lock_file(&path)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::File { action: "lock", path, source }),
    }
}

/// What a supervisor tells the process that started it.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    /// The database accepts connections.
    Ready,
    /// Another supervisor owns the cluster.
    Owned,
    /// It gave up, for this reason.
    Failed(String),
}

/// Starts a supervisor; its one status arrives through the channel.
fn spawn_supervisor(settings: &Settings, layout: &Layout) -> Result<Receiver<Status>, Error> {
    // The shell closes descriptors that this process got from its parent without close-on-exec, such as a pipe of
    // a test runner or a listening socket; the supervisor would keep them open for ever.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec \"$@\"", "sh"])
        .arg(&settings.exe)
        .args([SUBCOMMAND, "--data-dir"])
        .arg(&layout.data_dir)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(supervisor_log(layout).map_or_else(Stdio::null, Stdio::from));
    match &settings.path_var {
        Some(path) => command.env("PATH", path),
        None => command.env_remove("PATH"),
    };
    let mut child = command.spawn().map_err(|source| Error::File {
        action: "start the database's supervisor",
        path: settings.exe.clone(),
        source,
    })?;
    let (sender, receiver) = mpsc::channel();
    let log = layout.supervisor_log();
    let stdout = child.stdout.take();
    let reaper = move |mut child: Child| {
        let status = read_status(stdout, &log);
        // Nobody listens any more if the database was reached by other means.
        let _ = sender.send(status);
        let _ = child.wait();
    };
    thread::Builder::new()
        .name("postgres-reaper".into())
        .spawn(move || reaper(child))
        .map_err(|source| Error::File { action: "start a thread for", path: settings.exe.clone(), source })?;
    Ok(receiver)
}

/// Opens the log that takes the supervisor's standard error.
fn supervisor_log(layout: &Layout) -> Option<File> {
    let path = layout.supervisor_log();
    let large = std::fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_SUPERVISOR_LOG);
    if large {
        // Other supervisors append to the same file, so it is cut and not replaced.
        let _ = File::options().write(true).truncate(true).open(&path);
    }
    File::options().append(true).create(true).mode(0o600).open(&path).ok()
}

/// Reads the supervisor's status: a line `ready` or `owned`, or `error: ` and a text up to the end.
fn read_status(stdout: Option<ChildStdout>, log: &Path) -> Status {
    let died = || format!("The database's supervisor ended without a word. See its log {}.", log.display());
    let Some(stdout) = stdout else {
        return Status::Failed(died());
    };
    parse_status(BufReader::new(stdout)).unwrap_or_else(|| Status::Failed(died()))
}

fn parse_status(mut from: impl BufRead) -> Option<Status> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    match line.trim_end() {
        "ready" => Some(Status::Ready),
        "owned" => Some(Status::Owned),
        first => {
            let mut text = first.strip_prefix("error: ")?.to_owned() + "\n";
            from.read_to_string(&mut text).ok()?;
            Some(Status::Failed(text.trim_end().to_owned()))
        }
    }
}

/// Body of the guardian thread: starts a new supervisor whenever the present one dies.
fn guard(settings: &Settings, layout: &Layout, users_lock: &Weak<File>) {
    let mut pause = Duration::from_millis(200);
    loop {
        let gone = files::lock_file(&layout.supervisor_lock()).map(|file| {
            let locked = files::retry_interrupted(|| file.lock_shared());
            drop(file);
            locked
        });
        // A dropped lock means that this process has let go of the database.
        let Some(held) = users_lock.upgrade() else {
            return;
        };
        let outcome = match gone {
            Ok(Ok(())) => spawn_supervisor(settings, layout),
            Ok(Err(source)) => Err(Error::File { action: "lock", path: layout.supervisor_lock(), source }),
            Err(error) => Err(error),
        };
        drop(held);
        let failure = match outcome.map(|status| status.recv()) {
            Ok(Ok(Status::Ready | Status::Owned)) => None,
            Ok(Ok(Status::Failed(message))) => Some(message),
            Ok(Err(_)) => Some("the supervisor's status was lost".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        match failure {
            None => pause = Duration::from_millis(200),
            Some(message) => {
                tracing::error!("The private database is down, next attempt in {} ms: {message}", pause.as_millis());
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_status() {
        assert_eq!(parse_status(&b"ready\n"[..]), Some(Status::Ready));
        assert_eq!(parse_status(&b"owned\nmore"[..]), Some(Status::Owned));
        assert_eq!(parse_status(&b"error: one\ntwo\n"[..]), Some(Status::Failed("one\ntwo".into())));
        assert_eq!(parse_status(&b""[..]), None);
        assert_eq!(parse_status(&b"thread panicked\n"[..]), None);
    }

    #[test]
    fn errors_say_what_to_do() {
        let text = Error::NoBinaries { searched: "PATH".into() }.to_string();
        for part in ["apt-get install postgresql", "database.url", "DATABASE_URL", "docker-compose"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
