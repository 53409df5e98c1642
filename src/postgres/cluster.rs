//! Where the private cluster is, who runs it, and how a new one is made.
//!
//! A cluster's folder, the base, holds `data` (PostgreSQL's own), `run` (the socket) and `server.log`. It is
//! `data_dir/postgres`, or for root, where the database's user cannot work there, `/var/lib/everpost/<hash>`.
//! `data_dir/postgres.location` names the base; it is written once the cluster is complete.
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{geteuid, getpid};

use super::files::{self, Ids, file_error};
use super::{Error, binaries};

/// The cluster's superuser and the role that every Everpost process connects as.
const ROLE: &str = "everpost";
/// The number in the socket's name.
const PORT: u16 = 5432;
/// The longest path of a socket.
const MAX_SOCKET_PATH: usize = 107;
/// Where root puts clusters that cannot be in the data folder.
const SYSTEM_BASE: &str = "/var/lib/everpost";
/// Where sockets go whose path would be too long; not taken from TMPDIR, because all processes must agree on it.
const SHORT_BASE: &str = "/tmp";
/// The server's log is cut at start beyond this size.
const MAX_SERVER_LOG: u64 = 8 << 20;

/// The fixed places in the data folder.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The canonical data folder.
    pub(super) data_dir: PathBuf,
}

impl Layout {
    /// Creates the data folder if it is missing: root's may be passed through by the database's user.
    pub(super) fn open(data_dir: &Path) -> Result<Layout, Error> {
        if let Some(parent) = data_dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(file_error("create the folder", parent))?;
        }
        let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
        files::create_dir(data_dir, mode, None).map_err(file_error("create the data folder", data_dir))?;
        let data_dir = fs::canonicalize(data_dir).map_err(file_error("find the data folder", data_dir))?;
        Ok(Layout { data_dir })
    }

    /// Held shared by every user process.
    pub(super) fn users_lock(&self) -> PathBuf {
        self.data_dir.join("everpost.lock")
    }

    /// Held exclusively by the supervisor.
    pub(super) fn supervisor_lock(&self) -> PathBuf {
        self.data_dir.join("supervisor.lock")
    }

    /// The supervisor's own log.
    pub(super) fn supervisor_log(&self) -> PathBuf {
        self.data_dir.join("supervisor.log")
    }

    /// The file that names the base; it is there once a cluster was made.
    pub(super) fn pointer(&self) -> PathBuf {
        self.data_dir.join("postgres.location")
    }

    fn home_base(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }

    fn system_base(&self) -> PathBuf {
        Path::new(SYSTEM_BASE).join(hash(&self.data_dir))
    }

    fn read_pointer(&self) -> Result<Option<PathBuf>, Error> {
        let path = self.pointer();
        match fs::read(&path) {
            // A relative path moves with the data folder.
            Ok(text) => Ok(Some(self.data_dir.join(OsStr::from_bytes(text.trim_ascii_end())))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", &path)(error)),
        }
    }

    fn write_pointer(&self, base: &Path) -> Result<(), Error> {
        let text = base.strip_prefix(&self.data_dir).unwrap_or(base);
        let path = self.pointer();
        files::write_whole(&path, &[text.as_os_str().as_bytes(), b"\n"].concat()).map_err(file_error("write", &path))
    }
}

/// A complete cluster.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    base: PathBuf,
    /// The owner of the cluster's files.
    owner: Ids,
}

impl Cluster {
    /// The cluster that the pointer names, if it is there already.
    pub(super) fn find(layout: &Layout) -> Result<Option<Cluster>, Error> {
        Ok(layout.read_pointer()?.and_then(Cluster::at))
    }

    /// The cluster of this data folder: the existing one, else a new one.
    pub(super) fn open_or_create(layout: &Layout, path_var: Option<&OsStr>) -> Result<Cluster, Error> {
        if let Some(base) = layout.read_pointer()? {
            let cluster = Cluster::at(base.clone()).ok_or_else(|| Error::Refused {
                problem: format!(
                    "The database that {} names, {}, is not there",
                    layout.pointer().display(),
                    base.display()
                ),
                remedy: "Bring that folder back, or, to start with an empty database, remove the file".into(),
            })?;
            remove_leftovers(&base);
            return Ok(cluster);
        }
        let system = geteuid().is_root().then(|| layout.system_base());
        let existing = [Some(layout.home_base()), system].into_iter().flatten().find_map(Cluster::at);
        let cluster = match existing {
            Some(cluster) => cluster,
            None => create(layout, path_var)?,
        };
        layout.write_pointer(&cluster.base)?;
        Ok(cluster)
    }

    fn at(base: PathBuf) -> Option<Cluster> {
        let meta = fs::metadata(base.join("data/PG_VERSION")).ok()?;
        Some(Cluster { base, owner: Ids { uid: meta.uid(), gid: meta.gid() } })
    }

    /// PostgreSQL's own folder.
    pub(super) fn data(&self) -> PathBuf {
        self.base.join("data")
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.base.join("server.log")
    }

    /// Opens the server's log for appending, and cuts it if it has grown large.
    pub(super) fn open_log(&self) -> Result<File, Error> {
        let path = self.log();
        let log =
            File::options().append(true).create(true).mode(0o600).open(&path).map_err(file_error("open", &path))?;
        if log.metadata().is_ok_and(|meta| meta.len() > MAX_SERVER_LOG) {
            log.set_len(0).map_err(file_error("cut", &path))?;
        }
        Ok(log)
    }

    /// The major version that made the cluster.
    pub(super) fn version(&self) -> Result<String, Error> {
        let path = self.data().join("PG_VERSION");
        Ok(fs::read_to_string(&path).map_err(file_error("read", &path))?.trim().to_owned())
    }

    /// The user to start PostgreSQL as, if it is not the present one; an error if that is impossible.
    pub(super) fn run_as(&self) -> Result<Option<Ids>, Error> {
        let me = geteuid();
        let data = self.data();
        let refuse = |problem: String, remedy: String| Err(Error::Refused { problem, remedy });
        match self.owner.uid {
            0 => refuse(
                format!("The database in {} belongs to root, which PostgreSQL does not allow", data.display()),
                format!("Give it to another user (chown -R postgres: {})", data.display()),
            ),
            uid if uid == me.as_raw() => Ok(None),
            _ if me.is_root() => Ok(Some(self.owner)),
            uid => refuse(
                format!("The database in {} belongs to the user with the number {uid}", data.display()),
                "Start Everpost as that user or as root, or use another storage.data_dir".into(),
            ),
        }
    }

    /// The lock on the cluster itself, so that a copied pointer cannot make two data folders share it.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let path = self.base.join("cluster.lock");
        let file = files::lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::Error(source)) => Err(file_error("lock", &path)(source)),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Refused {
                problem: format!("The database in {} is in use through another data folder", self.base.display()),
                remedy: "Stop the other Everpost, or, if this data folder is a copy, remove its postgres.location"
                    .into(),
            }),
        }
    }

    /// The folder of the socket: `run` beside the data, or a short one where that path would be too long for a
    /// socket or holds characters that connection strings use.
    pub(super) fn socket_dir(&self) -> PathBuf {
        let usual = self.base.join("run");
        if fits_a_socket(&usual) { usual } else { self.short_dir() }
    }

    fn short_dir(&self) -> PathBuf {
        Path::new(SHORT_BASE).join(format!("everpost-{}-{}", self.owner.uid, hash(&self.base)))
    }

    /// The socket itself.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket_dir().join(format!(".s.PGSQL.{PORT}"))
    }

    /// Whether the socket's folder belongs to the cluster's user alone, so that whoever answers there is PostgreSQL.
    pub(super) fn socket_dir_is_ours(&self) -> bool {
        files::is_private_dir(&self.socket_dir(), self.owner.uid)
    }

    /// Creates the socket's folder if it is missing, and checks it.
    pub(super) fn prepare_socket_dir(&self) -> Result<(), Error> {
        let dir = self.socket_dir();
        let run_as = self.run_as()?;
        files::create_dir(&dir, 0o700, run_as).map_err(file_error("create the folder", &dir))?;
        if let Some(ids) = run_as.filter(|_| files::is_private_dir(&dir, 0)) {
            // Root made it and was stopped before it could give it away.
            chown(&dir, Some(ids.uid), Some(ids.gid)).map_err(file_error("give away the folder", &dir))?;
        }
        if self.socket_dir_is_ours() {
            return Ok(());
        }
        Err(Error::Refused {
            problem: format!(
                "The folder {} for the database's socket is not a folder of the user with the number {} alone",
                dir.display(),
                self.owner.uid
            ),
            remedy: "Remove it".into(),
        })
    }

    /// The URL of one of the cluster's databases, for libpq and tokio-postgres alike.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@{}:{PORT}/{database}", percent_encoded(&self.socket_dir()))
    }

    /// The settings that PostgreSQL gets on its command line.
    pub(super) fn server_settings(&self) -> Vec<OsString> {
        let mut socket_dirs = OsString::from("unix_socket_directories=\"");
        socket_dirs.push(self.socket_dir());
        socket_dirs.push("\"");
        let port = format!("port={PORT}");
        let fixed = [
            "listen_addresses=",
            &port,
            "unix_socket_permissions=0700",
            "max_connections=60",
            "timezone=UTC",
            "log_timezone=UTC",
            "logging_collector=off",
            "log_destination=stderr",
            "log_line_prefix=%m [%p] ",
            // Neither statements nor their values get into the log. A failed statement's error goes to the client
            // that sent it; its text may quote values, so the log takes the server's own messages only.
            "log_min_error_statement=panic",
            "log_min_messages=log",
            "log_statement=none",
            "log_min_duration_statement=-1",
        ];
        [socket_dirs].into_iter().chain(fixed.into_iter().map(OsString::from)).collect()
    }

    /// A sentence about where the database is, if it is not in the data folder.
    pub(super) fn notice(&self, layout: &Layout) -> Option<String> {
        if self.base.starts_with(&layout.data_dir) {
            return None;
        }
        let reason = "the database's user cannot work in the data folder, and PostgreSQL does not run as root";
        Some(format!("The database is in {} ({reason}). Include that folder in backups.", self.base.display()))
    }
}

/// Makes a new cluster, in the data folder if possible.
fn create(layout: &Layout, path_var: Option<&OsStr>) -> Result<Cluster, Error> {
    let run_as = if geteuid().is_root() { Some(unprivileged_user()?) } else { None };
    let programs = binaries::for_new_cluster(path_var, Path::new("/"), run_as)?;
    let mode = if run_as.is_some() { 0o711 } else { 0o700 };
    let mut base = layout.home_base();
    files::create_dir(&base, mode, None).map_err(file_error("create the folder", &base))?;
    if let Some(ids) = run_as.filter(|ids| !can_work_in(&base, *ids)) {
        // This fails when it is not empty, which is as good.
        let _ = fs::remove_dir(&base);
        base = layout.system_base();
        for dir in [Path::new(SYSTEM_BASE), &base] {
            files::create_dir(dir, mode, None).map_err(file_error("create the folder", dir))?;
        }
        if !can_work_in(&base, ids) {
            return Err(Error::Refused {
                problem: format!(
                    "The database's user (number {}) can work neither in {} nor in {}, and PostgreSQL does not \
                     run as root",
                    ids.uid,
                    layout.home_base().display(),
                    base.display()
                ),
                remedy: "Use a storage.data_dir that other users may pass through, or start Everpost as another user"
                    .into(),
            });
        }
    }
    initialise(&base, &programs.dir, run_as)?;
    Cluster::at(base.clone()).ok_or_else(|| Error::Create { base, output: "initdb left no PG_VERSION".into() })
}

/// Runs `initdb` in a temporary folder, and renames that into place.
fn initialise(base: &Path, programs: &Path, run_as: Option<Ids>) -> Result<(), Error> {
    remove_leftovers(base);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // The name is new each time, as the initdb of a killed supervisor may still be writing to an older one.
    let new = base.join(format!("data.new-{}-{nanos}", getpid().as_raw_nonzero()));
    files::create_dir(&new, 0o700, run_as).map_err(file_error("create the folder", &new))?;
    let program = programs.join("initdb");
    let output = binaries::command(&program, run_as)
        .args(["-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-k", "-D"])
        .arg(&new)
        .output()
        .map_err(file_error("start", &program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let output = format!("initdb ended with {}.\n{}", output.status, files::last_lines(&said, 15));
        remove_leftovers(base);
        return Err(Error::Create { base: base.to_owned(), output });
    }
    let data = base.join("data");
    fs::rename(&new, &data).map_err(file_error("rename the new database to", &data))?;
    files::sync_dir(base).map_err(file_error("write", base))
}

/// Removes what interrupted runs of `initdb` left. The next start removes what one of them is still writing now.
fn remove_leftovers(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(b"data.new-") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether this user can reach the folder and write to a folder of its own inside.
fn can_work_in(base: &Path, ids: Ids) -> bool {
    let probe = base.join(format!("data.new-probe-{}", getpid().as_raw_nonzero()));
    let created = files::create_dir(&probe, 0o700, Some(ids)).is_ok();
    let works = created && {
        let mut shell = binaries::command(Path::new("/bin/sh"), Some(ids));
        shell.args(["-c", "cd \"$1\" && : > file && rm file", "sh"]).arg(&probe);
        shell.output().is_ok_and(|output| output.status.success())
    };
    let _ = fs::remove_dir_all(&probe);
    works
}

/// The user that runs PostgreSQL for root.
fn unprivileged_user() -> Result<Ids, Error> {
    let path = Path::new("/etc/passwd");
    let users = fs::read_to_string(path).map_err(file_error("read", path))?;
    ["postgres", "nobody"].iter().find_map(|name| user_ids(&users, name)).ok_or_else(|| Error::Refused {
        problem: "PostgreSQL does not run as root, and /etc/passwd has neither a user postgres nor nobody".into(),
        remedy: "Add one (useradd --system postgres), or start Everpost as another user".into(),
    })
}

/// Looks a user up in the text of `/etc/passwd`; root's numbers do not count.
fn user_ids(users: &str, name: &str) -> Option<Ids> {
    let mut fields =
        users.lines().map(|line| line.split(':')).find_map(|mut line| (line.next() == Some(name)).then_some(line))?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != 0).then_some(Ids { uid, gid })
}

/// The first 16 hexadecimal digits of a path's SHA-256.
fn hash(path: &Path) -> String {
    let digest = openssl::sha::sha256(path.as_os_str().as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a socket can be in this folder.
fn fits_a_socket(dir: &Path) -> bool {
    let plain = |text: &str| !text.contains(|c: char| c.is_control() || ",\"'\\".contains(c));
    dir.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= MAX_SOCKET_PATH && dir.to_str().is_some_and(plain)
}

/// A path as one component of a URL.
fn percent_encoded(path: &Path) -> String {
    let encode = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.as_os_str().as_bytes().iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_looked_up() {
        let text = "root:x:0:0::/:/bin/sh\npostgresql:x:5:5::/:\npostgres:x:101:104:P,,,:/var/lib:\nnobody:x:0:0:::\n";
        assert_eq!(user_ids(text, "postgres"), Some(Ids { uid: 101, gid: 104 }));
        assert_eq!(user_ids(text, "nobody"), None);
        assert_eq!(user_ids(text, "none"), None);
        assert_eq!(user_ids("broken", "broken"), None);
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(Path::new("/srv/everpost")), "fee25df37fca72f6");
    }

    #[test]
    fn long_and_strange_paths_get_a_short_socket_folder() {
        let cluster = |base: String| Cluster { base: base.into(), owner: Ids { uid: 7, gid: 7 } };
        let short = cluster("/srv/a b".into());
        assert_eq!(short.socket_dir(), Path::new("/srv/a b/run"));
        assert_eq!(short.url("x"), "postgres://everpost@%2Fsrv%2Fa%20b%2Frun:5432/x");
        for base in [format!("/srv/{}", "x".repeat(120)), "/srv/a,b".into(), "/srv/a\"b".into()] {
            let dir = cluster(base).socket_dir();
            assert!(dir.starts_with("/tmp") && dir.display().to_string().contains("everpost-7-"), "{dir:?}");
        }
    }

    #[test]
    fn the_pointer_moves_with_the_data_folder() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let layout = Layout::open(&root.path().join("a/b")).expect("created");
        assert_eq!(layout.read_pointer().expect("readable"), None);
        layout.write_pointer(&layout.home_base()).expect("written");
        assert_eq!(fs::read_to_string(layout.pointer()).expect("readable"), "postgres\n");
        assert_eq!(layout.read_pointer().expect("readable"), Some(layout.home_base()));
        let error = Cluster::open_or_create(&layout, None).expect_err("nothing there").to_string();
        assert!(error.contains("is not there"), "{error}");
        layout.write_pointer(Path::new("/var/lib/everpost/x")).expect("written");
        assert_eq!(layout.read_pointer().expect("readable"), Some("/var/lib/everpost/x".into()));
    }
}
