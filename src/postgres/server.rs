//! The PostgreSQL server process: found running, started, watched and stopped.
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::Error;
use super::binaries;
use super::cluster::Cluster;
use super::files::{self, file_error};

/// How long a stopping server gets before it is told to stop at once.
const STOP_PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks at a server that starts or stops.
const PAUSE: Duration = Duration::from_millis(20);

/// A running server, started by this process or found running.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    /// None for a server that an earlier supervisor started.
    child: Option<Child>,
    started: Instant,
    /// Where this run's part of the log begins.
    log_start: u64,
}

/// What waiting for a server led to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It accepts connections.
    Ready,
    /// It ended, as these words tell.
    Died(String),
    /// The wait was called off.
    CalledOff,
}

impl Server {
    /// The server that already runs on the cluster, if there is one.
    pub(super) fn adopt(cluster: &Cluster) -> Result<Option<Server>, Error> {
        let Some(found) = PidFile::read(cluster).filter(|found| is_postmaster(found.pid, cluster)) else {
            return Ok(None);
        };
        if found.socket_dir.as_bytes() != cluster.socket_dir().as_os_str().as_bytes() && !found.socket_dir.is_empty() {
            return Err(Error::Refused {
                problem: format!(
                    "A PostgreSQL server that Everpost did not start (process {}) runs on {}",
                    found.pid.as_raw_nonzero(),
                    cluster.data().display()
                ),
                remedy: format!("Stop it (kill -INT {})", found.pid.as_raw_nonzero()),
            });
        }
        Ok(Some(Server { pid: found.pid, child: None, started: Instant::now(), log_start: log_size(cluster) }))
    }

    /// Starts the server with the programs of the cluster's own version.
    pub(super) fn start(cluster: &Cluster, path_var: Option<&OsStr>) -> Result<Server, Error> {
        let run_as = cluster.run_as()?;
        let data = cluster.data();
        let programs = binaries::for_cluster(path_var, Path::new("/"), run_as, &data, &cluster.version()?)?;
        cluster.prepare_socket_dir()?;
        clear_stale_locks(cluster);
        let log = cluster.open_log()?;
        let copy = log.try_clone().map_err(file_error("open", &cluster.log()))?;
        let program = programs.dir.join("postgres");
        let mut command = binaries::command(&program, run_as);
        command.arg("-D").arg(&data).stdout(copy).stderr(log).process_group(0);
        for setting in cluster.server_settings() {
            command.arg("-c").arg(setting);
        }
        let log_start = log_size(cluster);
        let child = command.spawn().map_err(file_error("start", &program))?;
        let pid = Pid::from_child(&child);
        Ok(Server { pid, child: Some(child), started: Instant::now(), log_start })
    }

    /// Whether this process did not start the server itself.
    pub(super) fn is_adopted(&self) -> bool {
        self.child.is_none()
    }

    /// How long the server has been known.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// None while the server lives, else how it ended.
    pub(super) fn ended(&mut self, cluster: &Cluster) -> Option<String> {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(status)) => status.map(|status| format!("it ended with {status}")),
            Some(Err(error)) => Some(format!("it cannot be waited for ({error})")),
            None => (!is_postmaster(self.pid, cluster)).then(|| "it is gone".to_owned()),
        }
    }

    /// Waits until the server accepts connections; `called_off` is asked in between.
    pub(super) fn wait_until_ready(
        &mut self,
        cluster: &Cluster,
        mut called_off: impl FnMut(Duration) -> bool,
    ) -> Outcome {
        loop {
            if PidFile::read(cluster).is_some_and(|file| file.pid == self.pid && file.status == "ready") {
                return Outcome::Ready;
            }
            if let Some(how) = self.ended(cluster) {
                return Outcome::Died(how);
            }
            if called_off(PAUSE) {
                return Outcome::CalledOff;
            }
        }
    }

    /// Stops the server fast and clean: open transactions are rolled back, everything is written.
    pub(super) fn stop(mut self, cluster: &Cluster) {
        let asked = Instant::now();
        let mut signal = Signal::INT;
        self.signal(cluster, signal);
        while self.ended(cluster).is_none() {
            if asked.elapsed() > STOP_PATIENCE && signal == Signal::INT {
                tracing::error!(
                    "PostgreSQL did not stop within {} s, so it is told to stop at once.",
                    STOP_PATIENCE.as_secs()
                );
                signal = Signal::QUIT;
                self.signal(cluster, signal);
            }
            thread::sleep(PAUSE);
        }
    }

    fn signal(&mut self, cluster: &Cluster, signal: Signal) {
        if self.ended(cluster).is_none()
            && let Err(error) = kill_process(self.pid, signal)
        {
            tracing::error!("Cannot signal PostgreSQL (process {}): {error}.", self.pid.as_raw_nonzero());
        }
    }

    /// The last lines that this run wrote to the log.
    pub(super) fn log_tail(&self, cluster: &Cluster) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut log = File::open(cluster.log())?;
            let end = log.metadata()?.len();
            log.seek(SeekFrom::Start(self.log_start.clamp(end.saturating_sub(16 << 10), end)))?;
            let mut text = Vec::new();
            log.read_to_end(&mut text)?;
            Ok(text)
        };
        files::last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()), 15)
    }
}

/// Whether these log lines tell of remains of an earlier server that will go away by themselves.
pub(super) fn is_passing(log: &str) -> bool {
    let signs = [
        "pre-existing shared memory block",
        "is another postmaster",
        "is another postgres",
        "the database system is shutting down",
    ];
    signs.iter().any(|sign| log.contains(sign))
}

/// Ends the backends that outlived their server because they are busy; a new server cannot start beside them.
pub(super) fn end_leftovers(cluster: &Cluster) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let backend = fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"postgres:"));
        if backend && same_file(&entry.path().join("cwd"), &cluster.data()) == Some(true) {
            tracing::warn!("Ending process {pid:?}, left over from a server that died.");
            // It may have ended by itself in the meantime.
            let _ = kill_process(pid, Signal::QUIT);
        }
    }
}

/// What `postmaster.pid` tells.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: Pid,
    socket_dir: String,
    status: String,
}

impl PidFile {
    fn read(cluster: &Cluster) -> Option<PidFile> {
        PidFile::parse(&fs::read_to_string(cluster.data().join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<PidFile> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok().and_then(Pid::from_raw)?;
        let mut rest = lines.skip(3);
        let socket_dir = rest.next().unwrap_or_default().to_owned();
        let status = rest.nth(2).unwrap_or_default().trim().to_owned();
        Some(PidFile { pid, socket_dir, status })
    }
}

/// What a process number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    /// The cluster's server.
    Server,
    /// Nothing, or something else.
    Other,
    /// A server, but perhaps of another cluster.
    Unclear,
}

/// Looks at a process. A dead one that nobody has waited for is not the server, nor is another one that has got
/// the number since.
fn identify(pid: Pid, cluster: &Cluster) -> Process {
    let entry = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let line = fs::read(entry.join("cmdline")).unwrap_or_default();
    let mut arguments = line.split(|byte| *byte == 0).skip_while(|argument| *argument != b"-D").skip(1);
    let Some(folder) = arguments.next() else {
        return Process::Other;
    };
    let data = cluster.data();
    match same_file(&entry.join("cwd"), &data) {
        Some(true) => Process::Server,
        Some(false) => Process::Other,
        // In a container, root may be forbidden to look at other users' processes so closely.
        None if folder == data.as_os_str().as_bytes() => Process::Server,
        None => Process::Unclear,
    }
}

fn is_postmaster(pid: Pid, cluster: &Cluster) -> bool {
    identify(pid, cluster) == Process::Server
}

/// Whether two paths lead to the same file; None if the first cannot be followed.
fn same_file(a: &Path, b: &Path) -> Option<bool> {
    let a = fs::metadata(a).ok()?;
    Some(fs::metadata(b).is_ok_and(|b| a.dev() == b.dev() && a.ino() == b.ino()))
}

/// Removes the lock files of a dead server whose process number belongs to another process by now, as after the
/// restart of a container. PostgreSQL would take that process for a server and refuse to start.
fn clear_stale_locks(cluster: &Cluster) {
    let socket_lock = cluster.socket().with_added_extension("lock");
    for path in [cluster.data().join("postmaster.pid"), socket_lock] {
        let Some(file) = fs::read_to_string(&path).ok().and_then(|text| PidFile::parse(&text)) else {
            continue;
        };
        if test_kill_process(file.pid).is_ok() && identify(file.pid, cluster) == Process::Other {
            tracing::warn!("Removing {}, left by a server that died.", path.display());
            // PostgreSQL says what is wrong if this fails.
            let _ = fs::remove_file(&path);
        }
    }
}

fn log_size(cluster: &Cluster) -> u64 {
    fs::metadata(cluster.log()).map_or(0, |meta| meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read() {
        let text = "4711\n/d/data\n1700000000\n5432\n/d/run\n\n  5432001  65538\nready   \n";
        let file = PidFile::parse(text).expect("complete");
        assert_eq!(
            (file.pid.as_raw_nonzero().get(), file.socket_dir.as_str(), file.status.as_str()),
            (4711, "/d/run", "ready")
        );
        let file = PidFile::parse("4711\n/d/data\n").expect("just begun");
        assert_eq!((file.socket_dir.as_str(), file.status.as_str()), ("", ""));
        for broken in ["", "x\n", "0\n"] {
            assert_eq!(PidFile::parse(broken), None);
        }
    }

    #[test]
    fn passing_trouble_is_told_from_lasting() {
        assert!(is_passing("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use"));
        assert!(is_passing(
            "HINT:  Is another postmaster (PID 7) running in data directory \"/d\"?".to_lowercase().as_str()
        ));
        assert!(!is_passing("FATAL:  could not write: No space left on device"));
    }
}
