//! The supervisor: the process that owns the private cluster while somebody uses it.
use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::process::{setsid, umask};

use super::cluster::{Cluster, Layout};
use super::files::{self, file_error};
use super::server::{self, Outcome, Server};
use super::{Error, Settings};

/// How long to try for the supervisor's lock while others look at it.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How long to try to bring a dead server back.
const RESTART_PATIENCE: Duration = Duration::from_secs(30);
/// When remains of the dead server that are in the way get ended.
const LEFTOVER_PATIENCE: Duration = Duration::from_millis(500);
/// How often the server is looked at.
const POLL: Duration = Duration::from_millis(200);
/// A server that dies younger than this is not started again at once.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// Body of the hidden subcommand [`super::SUBCOMMAND`]; returns when no user is left.
///
/// `prepare(url)` gets the URL of the maintenance database once PostgreSQL accepts connections, and must create the
/// database `everpost` if it is missing. Standard output carries the status for the process that started this one
/// (`ready`, `owned`, or `error: ` and the reason), so nothing else may print there.
pub fn supervise(settings: &Settings, prepare: &dyn Fn(&str) -> Result<(), String>) -> Result<(), Error> {
    let result = run(settings, prepare);
    if let Err(error) = &result {
        report(&format!("error: {error}"));
    }
    result
}

fn run(settings: &Settings, prepare: &dyn Fn(&str) -> Result<(), String>) -> Result<(), Error> {
    // An own session keeps the terminal's signals away. It fails only for a process that leads its group already,
    // which is one started by hand.
    let _ = setsid();
    umask(Mode::from_raw_mode(0o077));
    // With a name of its own, the supervisor is spared by `killall everpost`, and can stop PostgreSQL after it.
    let _ = fs::write("/proc/self/comm", "pg-supervisor");
    let layout = Layout::open(&settings.data_dir)?;
    let Some(own_lock) = take_lock(&layout)? else {
        report("owned");
        return Ok(());
    };
    let mut users = Users::watch(&layout)?;
    let cluster = Cluster::open_or_create(&layout, settings.path_var.as_deref())?;
    let cluster_lock = cluster.lock()?;
    let mut keeper = Keeper { settings, cluster: &cluster, prepare, users: &mut users };
    let mut server = keeper.bring_up(false)?;
    report("ready");
    tracing::info!("The private PostgreSQL runs.");
    while !keeper.users.gone(POLL) {
        let Some(how) = server.ended(&cluster) else {
            continue;
        };
        tracing::warn!("PostgreSQL died ({how}); starting it again.");
        if server.age() < SHORT_LIFE && keeper.users.gone(Duration::from_secs(1)) {
            break;
        }
        server = keeper.bring_up(true)?;
    }
    server.stop(&cluster);
    tracing::info!("The last user has gone, and the private PostgreSQL has stopped.");
    // In this order: whoever gets the users' lock next finds no supervisor any more.
    drop((cluster_lock, own_lock));
    drop(users);
    Ok(())
}

/// Tells the starting process one thing; it may be gone, or have read enough.
fn report(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// The supervisor's lock, or None if another supervisor keeps it.
fn take_lock(layout: &Layout) -> Result<Option<File>, Error> {
    let path = layout.supervisor_lock();
    let file = files::lock_file(&path)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(fs::TryLockError::Error(source)) => return Err(file_error("lock", &path)(source)),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        // Only a supervisor locks exclusively; those who look whether there is one lock shared, for a moment.
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(file_error("unlock", &path))?,
            Err(_) => return Ok(None),
        }
        if start.elapsed() > LOCK_PATIENCE {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Watches for the moment at which no user is left.
struct Users {
    locked: Receiver<File>,
    /// The users' lock, held exclusively: newcomers wait until it is let go.
    held: Option<File>,
    gone: bool,
}

impl Users {
    fn watch(layout: &Layout) -> Result<Users, Error> {
        let path = layout.users_lock();
        let file = files::lock_file(&path)?;
        let (sender, locked) = mpsc::channel();
        let wait = move || {
            if let Err(error) = files::retry_interrupted(|| file.lock()) {
                tracing::error!("Cannot watch the users of the database: {error}.");
            }
            // The receiver lives as long as the process does anything.
            let _ = sender.send(file);
        };
        let thread = thread::Builder::new().name("users".into()).spawn(wait);
        thread.map_err(file_error("start a thread for", &path))?;
        Ok(Users { locked, held: None, gone: false })
    }

    /// Waits up to `patience`; true once all users are gone.
    fn gone(&mut self, patience: Duration) -> bool {
        if !self.gone {
            match self.locked.recv_timeout(patience) {
                Ok(file) => (self.held, self.gone) = (Some(file), true),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.gone = true,
            }
        }
        self.gone
    }
}

/// What it takes to have a working server.
struct Keeper<'a> {
    settings: &'a Settings,
    cluster: &'a Cluster,
    prepare: &'a dyn Fn(&str) -> Result<(), String>,
    users: &'a mut Users,
}

impl Keeper<'_> {
    /// Adopts or starts the server, and waits until it accepts connections and has the database, or until the last
    /// user is gone. A new start fails at once if the reason will last; a restart is tried for a while.
    fn bring_up(&mut self, restart: bool) -> Result<Server, Error> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let mut server = match Server::adopt(self.cluster)? {
                Some(server) => server,
                None => {
                    if begun.elapsed() > LEFTOVER_PATIENCE {
                        server::end_leftovers(self.cluster);
                        thread::sleep(Duration::from_millis(50));
                    }
                    Server::start(self.cluster, self.settings.path_var.as_deref())?
                }
            };
            let how = match server.wait_until_ready(self.cluster, |pause| self.users.gone(pause)) {
                Outcome::CalledOff => return Ok(server),
                Outcome::Ready => match self.prepare(&mut server) {
                    Ok(()) => return Ok(server),
                    Err(reason) if server.ended(self.cluster).is_some() => reason,
                    Err(reason) if restart || server.is_adopted() => {
                        // Users may be connected, so it goes on running.
                        tracing::error!("PostgreSQL runs, but {reason}.");
                        return Ok(server);
                    }
                    Err(reason) => {
                        let error = self.failure(reason, &server);
                        server.stop(self.cluster);
                        return Err(error);
                    }
                },
                Outcome::Died(how) => how,
            };
            let error = self.failure(how, &server);
            let passing =
                restart || server.is_adopted() || server::is_passing(&server.log_tail(self.cluster).to_lowercase());
            if !passing || begun.elapsed() > RESTART_PATIENCE {
                return Err(error);
            }
            tracing::warn!("{error}");
            if self.users.gone(pause) {
                return Ok(server);
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Has the database created; a server under load may need more than one attempt.
    fn prepare(&mut self, server: &mut Server) -> Result<(), String> {
        let url = self.cluster.url("postgres");
        let mut attempts = 0;
        loop {
            attempts += 1;
            match (self.prepare)(&url) {
                Ok(()) => return Ok(()),
                Err(reason) if attempts == 10 || server.ended(self.cluster).is_some() => {
                    return Err(format!("the database everpost could not be prepared ({reason})"));
                }
                Err(_) if self.users.gone(POLL) => return Ok(()),
                Err(_) => {}
            }
        }
    }

    fn failure(&self, reason: String, server: &Server) -> Error {
        Error::Start { reason, log: self.cluster.log(), tail: server.log_tail(self.cluster) }
    }
}
