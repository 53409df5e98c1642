//! A start that cannot succeed says why and what to do, and leaves nothing running.

use super::place::{Place, is_root, outcome, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[test]
fn a_taken_port_is_named_before_anything_is_started() {
    let place = Place::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    let outcome = place.run(&["serve"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    for part in [&format!("127.0.0.1:{}", place.port), "cannot listen", "server.bind"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    assert!(!place.dir.join("postgres").exists(), "no database was made for it");
}

#[test]
fn missing_programs_are_told_with_the_command_that_installs_them() {
    if !is_root() {
        eprintln!("SKIPPED: only root can hide the installed PostgreSQL, in a mount namespace");
        return;
    }
    let place = Place::new();
    let program = place.command();
    let run = |hide: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &format!("{hide} && PATH=/none exec \"$@\""), "sh"]);
        command.arg(program.get_program()).args(["account", "list"]).current_dir("/").stdin(Stdio::null());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("DATABASE_URL");
        outcome(command.output().unwrap())
    };
    let hide = "for d in /usr/lib/postgresql /usr/pgsql-*; do [ ! -d $d ] || mount -t tmpfs none $d || exit 77; done";
    let outcome = run(hide);
    if outcome.code == 77 || outcome.stderr.contains("unshare") {
        eprintln!("SKIPPED: no mount namespace can be made here: {}", outcome.stderr);
        return;
    }
    assert_eq!(outcome.code, 1, "{outcome:?}");
    for part in ["No PostgreSQL was found", "apt-get install postgresql)", "DATABASE_URL", "docker-compose.yml"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    place.empty_within(3.0);
    place.ok(&["account", "list"]);
}

#[test]
fn a_cluster_of_another_version_is_not_touched() {
    let place = Place::new();
    place.ok(&["account", "list"]);
    place.empty_within(5.0);
    let file = place.base().join("data/PG_VERSION");
    let right = fs::read_to_string(&file).unwrap();
    for (version, part) in [("99", "apt-get install postgresql-99"), ("13", "pg_upgrade -b /usr/lib/postgresql/13/bin")]
    {
        fs::write(&file, format!("{version}\n")).unwrap();
        let error = place.refused();
        let made = format!("made by PostgreSQL {version}");
        assert!(error.contains(&made) && error.contains(part) && error.contains("Nothing was changed"), "{error}");
        assert!(error.contains(&format!("PostgreSQL {}", right.trim())), "{error}");
    }
    fs::write(&file, right).unwrap();
    place.ok(&["account", "list"]);
}

#[test]
fn a_damaged_or_missing_cluster_is_told_to_everybody_who_waits() {
    let place = Place::new();
    place.ok(&["account", "list"]);
    place.empty_within(5.0);
    let control = place.base().join("data/global/pg_control");
    fs::rename(&control, control.with_extension("x")).unwrap();
    // The one that did not start the failing supervisor is told too.
    let mut both = [place.start(&["account", "list"]), place.start(&["serve"])];
    for process in &mut both {
        assert_eq!(process.wait(), 1);
        let said = process.said();
        assert!(said.contains("did not start") && said.contains("pg_control"), "{said}");
    }
    place.empty_within(3.0);
    fs::rename(control.with_extension("x"), &control).unwrap();
    // A database that is not there is never replaced by an empty one.
    let (base, away) = (place.base(), place.dir.join("away"));
    fs::rename(&base, &away).unwrap();
    let error = place.refused();
    assert!(error.contains("is not there"), "{error}");
    assert!(!base.exists());
    fs::rename(&away, &base).unwrap();
    // The data folder as a whole may move.
    let moved = place.dir.with_file_name("moved");
    fs::rename(&place.dir, &moved).unwrap();
    let list = place.command().args(["account", "list"]).env("EVERPOST_STORAGE__DATA_DIR", &moved).output().unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    place.empty_within(5.0);
}

#[test]
fn root_with_a_folder_that_nobody_else_can_enter_keeps_the_cluster_elsewhere_and_says_so() {
    if !is_root() {
        eprintln!("SKIPPED: only root starts the database as another user");
        return;
    }
    let place = Place::new();
    let closed = |mode| fs::set_permissions(place.program.scratch(), fs::Permissions::from_mode(mode)).unwrap();
    closed(0o700);
    let notice = "The database is in /var/lib/everpost/";
    let made = place.run(&["account", "create", "ann"]);
    assert!(made.code == 0 && made.stderr.contains(notice), "{made:?}");
    let elsewhere = place.base();
    place.empty_within(5.0);
    // The existing cluster stays the one, also when the folder can be entered and without the pointer.
    closed(0o755);
    fs::remove_file(place.dir.join("postgres.location")).unwrap();
    let mut server = place.serve();
    until("the server says where", 5, || server.said().contains(notice).then_some(()));
    assert_eq!((place.status("/users/ann"), place.base()), (200, elsewhere));
    // A copied data folder does not share a running cluster.
    let copy = Place::new();
    fs::create_dir(&copy.dir).unwrap();
    let location = copy.dir.join("postgres.location");
    fs::copy(place.dir.join("postgres.location"), &location).unwrap();
    let outcome = copy.run(&["account", "list"]);
    fs::remove_file(location).unwrap();
    assert!(outcome.code == 1 && outcome.stderr.contains("in use through another"), "{outcome:?}");
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(5.0);
}
