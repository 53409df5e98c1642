//! Killed in the middle: a backup leaves nothing at its path, a restore nothing that serves, and the next one does the rest.

use super::{contents, files, filled, with_key};
use crate::archives::{create, note, outbox};
use crate::private_postgres::until;
use crate::support::packing::{put, zip};
use crate::support::{Program, TestDatabase, status_id};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Posts with a picture each: enough files that a restore takes a while.
const PICTURES: u32 = 60;

fn with_pictures() -> Program {
    let mut program = Program::new();
    with_key(&mut program);
    let mut archive = Vec::new();
    let mut items = Vec::new();
    for n in 0..PICTURES {
        let at = format!("2024-01-01T10:{n:02}:00Z");
        let picture =
            json!([{ "type": "Document", "mediaType": "image/png", "url": format!("/media/{n}.png"), "name": "A" }]);
        items.push(create(note(status_id(&at), json!({ "published": at, "attachment": picture }))));
        archive.push((format!("media/{n}.png"), super::picture_of(20 + n)));
    }
    archive.insert(0, ("outbox.json".to_owned(), outbox(&items)));
    let path = put(program.scratch(), "archive.zip", &zip(&archive));
    program.ok(&["import", path.to_str().unwrap()]);
    program
}

fn backup(program: &Program, name: &str) -> PathBuf {
    let file = program.scratch().join(name);
    program.ok(&["backup", file.to_str().unwrap()]);
    file
}

fn start(program: &Program, arguments: &[&str]) -> Child {
    program.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Start something, and kill it as soon as `seen`; it must not have ended by then.
fn kill_when(program: &Program, arguments: &[&str], what: &str, mut seen: impl FnMut() -> bool) {
    let mut child = start(program, arguments);
    until(what, 60, || seen().then_some(()));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was killed: {what}");
}

fn is_begun(data_dir: &Path) -> bool {
    data_dir.join("restore.unfinished").exists()
}

#[test]
fn a_restore_that_is_killed_serves_nothing_and_the_next_one_does_the_rest() {
    let old = with_pictures();
    let file = backup(&old, "a");
    let other = backup(&old, "b");
    let database = TestDatabase::empty();
    let mut new = Program::private();
    new.set("EVERPOST_DATABASE__URL", &database.url());
    let data_dir = new.data_dir();
    let restore = ["restore", file.to_str().unwrap()];
    kill_when(&new, &restore, "it has begun", || is_begun(&data_dir));
    let media = data_dir.join("media");
    kill_when(&new, &restore, "there are some files", || files(&media).len() > PICTURES as usize / 2);
    let loading = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'everpost restore'";
    kill_when(&new, &restore, "rows are coming", || database.number(loading) > 0);
    assert!(is_begun(&data_dir));
    assert_eq!(database.number("SELECT count(*) FROM posts"), 0, "all rows or none");
    for arguments in [&["serve"][..], &["worker"], &["account", "list"], &["migrate"], &["backup", "c"]] {
        let outcome = new.run(arguments);
        assert!(outcome.code == 1 && outcome.stderr.contains("everpost restore"), "{arguments:?}: {outcome:?}");
    }
    let outcome = new.run(&["restore", other.to_str().unwrap()]);
    assert!(outcome.code == 1 && outcome.stderr.contains("another backup"), "{outcome:?}");
    new.ok(&restore);
    let rows = contents(|query| old.database().texts(query));
    assert_eq!(contents(|query| database.texts(query)), rows);
    // What was being written when it was killed may still lie there under no name that anybody asks for.
    let named = |path: &Path| !path.to_str().unwrap().contains(['#', '-']);
    let restored: Vec<_> = files(&media).into_iter().filter(|(path, _)| named(path)).collect();
    assert!(restored == files(&old.data_dir().join("media")));
    assert!(!is_begun(&data_dir));

    // As if it had been killed between the commit and the end.
    let id = new_id(&file);
    std::fs::write(data_dir.join("restore.unfinished"), id).unwrap();
    std::fs::remove_file(data_dir.join("everpost.key")).unwrap();
    assert_eq!(new.run(&["account", "list"]).code, 1);
    new.ok(&restore);
    assert_eq!(contents(|query| database.texts(query)), rows);
    assert_eq!(database.number("SELECT count(*) FROM everpost_instance WHERE deliveries_paused_at IS NOT NULL"), 1);
    assert!(data_dir.join("everpost.key").exists());
    // What was changed since is not written over.
    std::fs::write(data_dir.join("restore.unfinished"), new_id(&file)).unwrap();
    database.execute("DELETE FROM attachments WHERE id = (SELECT min(id) FROM attachments)");
    let outcome = new.run(&restore);
    assert!(outcome.code == 1 && outcome.stderr.contains("holds an instance already"), "{outcome:?}");
    assert_eq!(database.number("SELECT count(*) FROM attachments"), i64::from(PICTURES) - 1);
}

/// The id of a backup.
fn new_id(file: &Path) -> String {
    everpost::operations::backup::verify(file, None, &|_, _| {}).unwrap().manifest.id
}

#[test]
fn a_backup_that_is_killed_or_stopped_leaves_nothing_at_its_path() {
    let program = filled();
    let folder = program.scratch().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("a");
    // It waits for an import, which holds on to what it is about to remove.
    let mut session = Session::begin(&program);
    for signal in ["INT", "TERM", "KILL"] {
        let arguments = ["backup", file.to_str().unwrap()];
        let mut child = start(&program, &arguments);
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("it waits", 60, || (program.database().number(waits) > 0).then_some(()));
        crate::private_postgres::kill(i32::try_from(child.id()).unwrap(), signal);
        assert!(!child.wait().unwrap().success(), "{signal}");
        assert!(!file.exists());
        if signal != "KILL" {
            assert_eq!(files(&folder), [], "nothing of it is left");
        }
    }
    session.end();
    // What the kill left is in nobody's way.
    backup(&program, "backups/a");
}

/// A session that holds a table so that nobody can read it.
struct Session(diesel::PgConnection);

impl Session {
    fn begin(program: &Program) -> Session {
        use diesel::connection::SimpleConnection;
        let mut connection = diesel::Connection::establish(&program.database().url()).unwrap();
        diesel::PgConnection::batch_execute(&mut connection, "BEGIN; LOCK TABLE replies IN ACCESS EXCLUSIVE MODE")
            .unwrap();
        Session(connection)
    }

    fn end(&mut self) {
        use diesel::connection::SimpleConnection;
        self.0.batch_execute("COMMIT").unwrap();
    }
}
