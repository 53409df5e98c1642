//! `everpost imports` as a person runs it.

use crate::private_postgres::write_archive;
use crate::support::{Bundle, Program};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn imports_are_listed_shown_and_undone() {
    let program = Program::new();
    let archive = program.scratch().join("archive");
    Bundle::new().post(super::ONE, "<p>One.</p>").post(super::TWO, "<p>Two.</p>").write(&archive);
    let path = archive.to_str().unwrap();
    program.ok(&["import", path, "--dry-run"]);
    let report = program.json(&["import", path, "--json"]);
    let number = report["import"].as_i64().unwrap().to_string();
    program.ok(&["import", path]);

    let listed = program.json(&["imports", "list", "--json"]);
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2, "a dry run leaves no trace: {listed:?}");
    let first = &listed[1];
    assert_eq!((&first["import"], &first["state"]), (&report["import"], &json!("finished")));
    assert_eq!((&first["paths"], &first["format"]), (&json!([path]), &json!("hugo-bundle")));
    assert_eq!((&first["counts"]["created"], &first["counts"]["read"]), (&json!(2), &json!(2)));
    assert_eq!(listed[0]["counts"]["unchanged"], 2);
    assert!(program.ok(&["imports", "list"]).contains(path));
    assert!(program.ok(&["imports", "list", "--account", "ann", "--limit", "1"]).lines().count() == 1);

    let shown = program.json(&["imports", "show", &number, "--json"]);
    assert_eq!(shown["undo_would"], json!({ "deleted": 2, "withdrawn": 0, "restored": 0, "protected": 0 }));
    assert!(program.ok(&["imports", "show", &number]).contains("deleted                2"));
    let undone = program.json(&["imports", "undo", &number, "--json"]);
    assert_eq!((&undone["done"]["deleted"], &undone["before"]), (&json!(2), &json!(false)));
    let twice = program.ok(&["imports", "undo", &number]);
    assert!(twice.contains("was undone before, on ") && twice.contains("Nothing was changed"), "{twice}");
    assert_eq!(program.json(&["imports", "show", &number, "--json"])["state"], "undone");
    assert_eq!(program.database().number("SELECT count(*) FROM posts"), 0);
    assert_eq!(program.database().number("SELECT count(*) FROM accounts"), 1, "the account stays");
    assert_eq!(program.json(&["import", path, "--json"])["created"], 2);

    let unknown = program.run(&["imports", "undo", "999"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("there is no import 999") && unknown.stderr.contains("everpost imports list"));
}

#[test]
fn a_killed_import_stays_to_be_seen_and_can_be_undone_and_run_again() {
    let program = Program::new();
    let archive = program.scratch().join("archive");
    write_archive(&archive, 300, 3);
    let path = archive.to_str().unwrap();
    let mut running = program.command().args(["import", path]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while program.database().number("SELECT count(*) FROM posts") == 0 {
        assert!(Instant::now() < deadline, "nothing came in");
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let there = program.database().number("SELECT count(*) FROM posts");
    assert!(there < 900, "the kill came too late to show anything");
    assert_eq!(
        program.database().number("SELECT count(*) FROM posts p JOIN imports i ON i.id = p.import_id"),
        there,
        "every post knows its import from the first batch on"
    );
    let listed = program.json(&["imports", "list", "--json"]);
    assert_eq!((&listed[0]["state"], &listed[0]["finished"]), (&json!("unfinished"), &Value::Null));
    let number = listed[0]["import"].to_string();
    // The lock of a killed process goes when Postgres notices.
    let undone = loop {
        let outcome = program.run(&["imports", "undo", &number, "--json"]);
        assert!(Instant::now() < deadline, "{outcome:?}");
        if outcome.code == 0 {
            break serde_json::from_str::<Value>(&outcome.stdout).unwrap();
        }
        assert!(outcome.stderr.contains("another import into this account is running"), "{outcome:?}");
    };
    assert!(undone["done"]["deleted"].as_i64().unwrap() >= there, "{undone}");
    assert_eq!(program.database().number("SELECT count(*) FROM posts"), 0);
    assert_eq!(program.json(&["import", path, "--json"])["created"], 900);
}
