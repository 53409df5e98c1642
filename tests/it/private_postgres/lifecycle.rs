//! The private database comes with its first user, serves all of them, and goes with the last.

use super::place::{Place, kill, mode, outcome, until, write_archive};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The database is gone within this many seconds after its last user.
const SOON: f64 = 5.0;

#[test]
fn ten_first_starts_at_once_make_one_cluster() {
    let place = Place::new();
    let mut children = Vec::new();
    for _ in 0..10 {
        let mut command = place.command();
        command.args(["account", "list", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        children.push(command.spawn().unwrap());
    }
    for child in children {
        let outcome = outcome(child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.stdout.trim()), (0, "[]"), "{outcome:?}");
    }
    place.empty_within(SOON);
    let mut names: Vec<_> = fs::read_dir(place.base()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cluster.lock", "data", "run", "server.log"], "no second initdb ran");
}

#[test]
fn server_and_import_share_a_database_that_stops_cleanly_with_the_last() {
    let place = Place::new();
    let archive = place.program.scratch().join("archive");
    write_archive(&archive, 3, 2);
    for (round, signal) in ["INT", "TERM"].into_iter().enumerate() {
        let mut server = place.serve();
        let report = place.ok(&["import", archive.to_str().unwrap(), "--json"]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report[["created", "unchanged"][round]], 6, "{report}");
        assert_eq!(place.status("/users/ann"), 200, "the server sees what the import wrote");
        let supervisors = place.supervisors();
        assert_eq!(supervisors.len(), 1, "one supervisor for both");
        let stopping = Instant::now();
        assert_eq!(server.end(signal), 0, "{}", server.said());
        // A newcomer during the stop waits for its end and is served.
        place.ok(&["account", "list"]);
        place.empty_within(SOON);
        assert!(stopping.elapsed() < Duration::from_secs(8), "it took {:?}", stopping.elapsed());
        assert!(server.said().contains("stopping"), "{}", server.said());
        let log = place.server_log();
        assert!(log.trim_end().ends_with("database system is shut down"), "{log}");
        assert!(!log.contains("not properly shut down") && !log.contains("PANIC"), "{log}");
    }
}

#[test]
fn an_interrupt_during_the_first_start_ends_the_server_at_once() {
    let place = Place::new();
    let mut server = place.start(&["serve"]);
    let supervisor = until("a supervisor", 10, || place.supervisors().first().copied());
    // The start takes as long as we like.
    kill(supervisor, "STOP");
    assert!(!server.said().contains("listening"), "it is not up yet");
    let begun = Instant::now();
    assert_eq!(server.end("TERM"), 0, "{}", server.said());
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
    kill(supervisor, "CONT");
    place.empty_within(10.0);
    place.ok(&["account", "list"]);
}

#[test]
fn a_pipe_gets_its_end_while_the_database_goes_on() {
    let place = Place::new();
    let archive = place.program.scratch().join("archive");
    write_archive(&archive, 1, 1);
    // Descriptor 3 is one that the program knows nothing of.
    let script = "(exec 3>&1; \"$0\" import \"$1\") 2>&1 | cat";
    let program = place.command();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(program.get_program()).arg(&archive).current_dir(place.program.scratch());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let said = place.program.scratch().join("piped");
    let mut shell = shell.stdin(Stdio::null()).stdout(fs::File::create(&said).unwrap()).spawn().unwrap();
    let supervisor = until("a supervisor", 10, || place.supervisors().first().copied());
    let mut server = place.serve();
    let status = until("the pipe ends", 20, || shell.try_wait().unwrap());
    assert!(status.success() && fs::read_to_string(&said).unwrap().contains("Imported."), "{status}");
    assert_eq!(place.supervisors(), [supervisor], "the supervisor that the import started goes on");
    let session = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().parse::<i32>().unwrap()
    };
    assert_eq!((session(supervisor), session(place.postmaster())), (supervisor, supervisor), "their own session");
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(SOON);
}

#[test]
fn a_long_and_strange_path_works_and_a_foreign_socket_folder_is_refused() {
    let place = Place::named(&format!("a, \"b'c\\d %41 é{}", "x".repeat(100)));
    let mut server = place.serve();
    let folder = place.socket_dir();
    assert!(folder.starts_with("/tmp"), "{folder:?}");
    let _guard = RemovedAfterwards(&folder);
    assert_eq!(mode(&folder), 0o700);
    server.end("TERM");
    place.empty_within(SOON);
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = place.refused();
    assert!(error.contains(folder.to_str().unwrap()) && error.contains("Remove it"), "{error}");
}

struct RemovedAfterwards<'a>(&'a Path);

impl Drop for RemovedAfterwards<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0);
    }
}

#[test]
fn the_log_holds_no_values_and_does_not_grow_for_ever() {
    let place = Place::new();
    let mut server = place.serve();
    place.sql("select 'secret-value'::int").unwrap_err();
    place.sql("select nonsense_secret").unwrap_err();
    place.sql("create table t(n text unique); insert into t values ('secret-key'), ('secret-key')").unwrap_err();
    server.end("TERM");
    place.empty_within(SOON);
    let log = place.server_log();
    assert!(!log.contains("secret") && log.contains("ready to accept"), "{log}");
    let file = fs::File::options().write(true).open(place.base().join("server.log")).unwrap();
    file.set_len(9 << 20).unwrap();
    place.ok(&["account", "list"]);
    place.empty_within(SOON);
    assert!(file.metadata().unwrap().len() < 100_000);
}

#[test]
fn files_are_private_even_without_a_umask() {
    let place = Place::new();
    let program = place.command();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 0000; exec \"$0\" account list"]).arg(program.get_program());
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("DATABASE_URL");
    let outcome = outcome(shell.current_dir(place.program.scratch()).output().unwrap());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    place.empty_within(SOON);
    let base = place.base();
    assert_eq!(mode(&place.dir), if super::place::is_root() { 0o711 } else { 0o700 });
    assert_eq!((mode(&base.join("run")), mode(&base.join("data"))), (0o700, 0o700));
    for file in [place.dir.join("everpost.lock"), place.dir.join("supervisor.log"), base.join("server.log")] {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}
