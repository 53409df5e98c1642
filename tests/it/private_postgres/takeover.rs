//! Whatever is killed, the next one takes over: supervisor, server, backends, a half-made cluster.

use super::place::{Place, kill, until};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn a_new_supervisor_adopts_the_running_server_and_replaces_it_when_it_dies() {
    let place = Place::new();
    let mut server = place.serve();
    let (old, postmaster) = (place.supervisors()[0], place.postmaster());
    kill(old, "KILL");
    let new = until("a new supervisor", 5, || place.supervisors().into_iter().find(|pid| *pid != old));
    assert_eq!((place.postmaster(), place.status("/readyz")), (postmaster, 200), "Postgres was not disturbed");
    until("it has adopted the server", 5, || {
        let log = fs::read_to_string(place.dir.join("supervisor.log")).unwrap();
        (log.matches("The private PostgreSQL runs").count() == 2).then_some(())
    });
    // A backend that is busy does not see that its server died, and is in the way of the next.
    std::thread::scope(|scope| {
        scope.spawn(|| place.sql("set statement_timeout = '30s'; do $$ begin loop null; end loop; end $$"));
        until("a busy backend", 5, || {
            let query = "select pid from pg_stat_activity where query like '%loop null%' and pid <> pg_backend_pid() and state = 'active'";
            place.texts(query).unwrap().pop()
        });
        kill(postmaster, "KILL");
        until("a new server", 20, || (place.postmaster() != postmaster).then_some(()));
    });
    until("it is reached again", 20, || (place.status("/readyz") == 200).then_some(()));
    assert_eq!(place.supervisors(), [new]);
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(5.0);
}

#[test]
fn after_everything_was_killed_the_next_start_works() {
    let place = Place::new();
    let freeze = || {
        let found = (place.supervisors()[0], place.postmaster());
        kill(found.0, "STOP");
        found
    };
    // All three at once: nobody is left to restart anything.
    let mut server = place.serve();
    let (supervisor, postmaster) = freeze();
    server.end("KILL");
    kill(postmaster, "KILL");
    kill(supervisor, "KILL");
    place.ok(&["account", "create", "ann"]);
    place.empty_within(5.0);
    // The server alone is left: it is adopted, and stopped with the last user.
    let mut server = place.serve();
    let (supervisor, postmaster) = freeze();
    server.end("KILL");
    kill(supervisor, "KILL");
    until("the supervisor is gone", 5, || place.supervisors().is_empty().then_some(()));
    let mut server = place.serve();
    assert_eq!(place.postmaster(), postmaster);
    assert_eq!(place.status("/users/ann"), 200, "nothing was lost");
    // A number in the lock files that another process has by now does not count.
    let pid_file = fs::read_to_string(place.base().join("data/postmaster.pid")).unwrap();
    let (_, rest) = pid_file.split_once('\n').unwrap();
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(5.0);
    // PostgreSQL itself overlooks processes of other users.
    let owner = fs::metadata(place.base().join("data")).unwrap().uid();
    let mut other = Command::new("sleep").arg("60").uid(owner).spawn().unwrap();
    for file in ["data/postmaster.pid", "run/.s.PGSQL.5432.lock"] {
        fs::write(place.base().join(file), format!("{}\n{rest}", other.id())).unwrap();
    }
    let outcome = place.run(&["account", "list"]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    place.empty_within(5.0);
}

#[test]
fn a_kill_while_the_cluster_is_made_is_harmless() {
    let place = Place::new();
    for round in 0..2 {
        let mut server = place.start(&["serve"]);
        let supervisor = until("a supervisor", 10, || place.supervisors().first().copied());
        if round == 1 {
            until("initdb is at work", 10, || {
                let entries = fs::read_dir(place.dir.join("postgres")).ok()?.flatten();
                entries
                    .map(|entry| entry.path())
                    .find(|path| path.to_string_lossy().contains("data.new-") && path.join("PG_VERSION").exists())
            });
        }
        kill(supervisor, "STOP");
        server.end("KILL");
        kill(supervisor, "KILL");
    }
    assert!(!place.dir.join("postgres/data").exists(), "the kill came too late to show anything");
    place.ok(&["account", "list"]);
    place.empty_within(5.0);
    // An initdb that outlived its supervisor may have written beside that start; the next one clears up after it.
    place.ok(&["account", "list"]);
    let left = fs::read_dir(place.base()).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("data.new")).collect();
    assert_eq!(left.len(), 0, "{left:?}");
}

#[test]
fn an_unprivileged_user_has_all_of_it() {
    let Some(place) = Place::of_nobody() else { return };
    let mut server = place.serve();
    let (supervisor, postmaster) = (place.supervisors()[0], place.postmaster());
    kill(supervisor, "KILL");
    until("a new supervisor", 5, || place.supervisors().into_iter().find(|pid| *pid != supervisor));
    kill(postmaster, "KILL");
    until("a new server", 20, || (place.postmaster() != postmaster).then_some(()));
    until("it is reached again", 20, || (place.status("/readyz") == 200).then_some(()));
    place.ok(&["account", "list"]);
    server.end("KILL");
    place.empty_within(5.0);
    assert!(place.server_log().trim_end().ends_with("database system is shut down"), "{}", place.server_log());
}
