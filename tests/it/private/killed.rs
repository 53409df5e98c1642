//! `kill -9` of an import that seals: what is there then tells nothing, and the next run does the rest.

use super::{Archive, MARK, files, hidden, picture, public, with_media};
use crate::crash::POSTS;
use crate::private_postgres::until;
use crate::support::Program;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

const SEALED: &str = "SELECT count(*) FROM private_posts";
/// Locks of imports that run.
const HELD: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND \
    database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const PRIVATE: i64 = 600;

/// Three posts in four are private; every sixth of those has a picture of its own.
fn archive() -> Archive {
    let at = |n: i64| format!("2024-01-{:02}T{:02}:{:02}:00Z", 1 + n / 1440, n / 60 % 24, n % 60);
    let item = |n: i64| match n % 4 {
        0 => public(&at(n), &format!("Number {n}, for all.")),
        1 if n % 8 == 1 => with_media(hidden(&at(n)), &[&format!("{MARK}-{n}.png")]),
        _ => hidden(&at(n)),
    };
    Archive::new(&(0..PRIVATE / 3 * 4).map(item).collect::<Vec<_>>()).with_media(&[])
}

fn program() -> Program {
    let mut program = Program::new();
    let file = program.scratch().join("everpost.key");
    std::fs::write(&file, [7; 32]).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    program
}

/// Everything that an import with the flag made, but for the numbers of the private posts, which nothing refers to.
fn made(program: &Program) -> (Vec<String>, Vec<String>, Vec<Value>, BTreeSet<String>) {
    let mut private = program.json(&["post", "list", "--private", "--json", "--limit", "10000"]);
    for post in private.as_array_mut().unwrap() {
        post["id"] = json!(null);
    }
    let folder = program.data_dir().join("private");
    let sealed = files(&folder).iter().map(|path| path.strip_prefix(&folder).unwrap().display().to_string()).collect();
    let media = program.database().texts("SELECT sha256 FROM media ORDER BY 1");
    (program.database().texts(POSTS), media, private.as_array().unwrap().clone(), sealed)
}

fn assert_closed(folder: &Path) {
    for path in files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()), "{}", path.display());
    }
}

#[test]
fn an_import_of_private_posts_killed_half_way_and_run_again_equals_an_undisturbed_one() {
    let (disturbed, undisturbed) = (program(), program());
    let path = archive().write(disturbed.scratch());
    let arguments = ["import", path.to_str().unwrap(), "--include-private", "--json"];
    let report = undisturbed.json(&arguments);
    assert_eq!((&report["created"], &report["private"]["stored"]), (&json!(PRIVATE / 3), &json!(PRIVATE)));

    let sealed = || disturbed.database().number(SEALED);
    for _ in 0..2 {
        let before = sealed();
        let mut command = disturbed.command();
        let mut import = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("more private posts are in", 60, || (sealed() > before).then_some(()));
        import.kill().unwrap();
        import.wait().unwrap();
        assert!(sealed() < PRIVATE, "the kill came too late to show anything");
        assert_closed(&disturbed.data_dir());
        until("the database has noticed", 20, || (disturbed.database().number(HELD) == 0).then_some(()));
    }
    let half = sealed();
    let report = disturbed.json(&arguments);
    let counts = [&report["private"]["stored"], &report["private"]["unchanged"]].map(|count| count.as_i64().unwrap());
    assert_eq!((counts[0] + counts[1], &report["skipped"]), (PRIVATE, &json!([])));
    assert!(counts[1] >= half, "what was written stays: {report}");

    assert_eq!(made(&disturbed), made(&undisturbed));
    let named = "SELECT DISTINCT unnest(files) FROM private_posts";
    assert_eq!(files(&disturbed.data_dir().join("private")).len(), disturbed.database().texts(named).len());
    let list = disturbed.json(&["post", "list", "--private", "--json", "--limit", "10000"]);
    let last = list.as_array().unwrap().iter().find(|post| post["attachments"][0]["bytes"].is_number()).unwrap();
    disturbed.ok(&["post", "show", last["id"].as_str().unwrap(), "--private", "--media", "opened"]);
    let name = last["attachments"][0]["source"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(std::fs::read(disturbed.scratch().join("opened/1.png")).unwrap(), picture(name));
    assert_eq!(disturbed.json(&arguments)["private"]["unchanged"], PRIVATE);
}
