//! The command: killed in the middle it leaves nothing at its place, and what is there already is never touched.

use crate::archives::{create, note, outbox};
use crate::support::Program;
use crate::support::packing::put;
use serde_json::json;
use std::process::Stdio;
use std::time::{Duration, Instant};

const POSTS: i64 = 800;

/// Words that no compressor makes short: else the disk would see the first of them when all is done.
fn words(number: i64) -> String {
    let hash = |part: i64| openssl::sha::sha256(&(number * 100 + part).to_le_bytes());
    (0..20).flat_map(hash).map(|byte| format!("{byte:02x}")).collect()
}

fn filled(posts: i64) -> Program {
    let program = Program::new();
    let item = |number| create(note(number, json!({ "content": format!("<p>{}</p>", words(number)) })));
    let items: Vec<_> = (1..=posts).map(item).collect();
    let path = put(program.scratch(), "outbox.json", &outbox(&items));
    program.ok(&["import", path.to_str().unwrap()]);
    program
}

#[test]
fn an_export_killed_half_way_leaves_nothing_at_its_place_and_runs_again() {
    let program = filled(POSTS);
    let place = program.scratch().join("out");
    std::fs::create_dir(&place).unwrap();
    let zip = place.join("a.zip");
    let arguments = ["export", "--format", "mastodon", "--output", zip.to_str().unwrap()];
    let mut running = program.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let partial = || {
        std::fs::read_dir(&place)
            .unwrap()
            .filter_map(Result::ok)
            .any(|entry| entry.metadata().is_ok_and(|file| file.len() > 0))
    };
    while !partial() {
        assert!(Instant::now() < deadline && running.try_wait().unwrap().is_none(), "it has to be under way");
        std::thread::yield_now();
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(!zip.exists());
    let report = program.json(&["export", "--format", "mastodon", "--output", zip.to_str().unwrap(), "--json"]);
    assert_eq!((&report["posts"], &report["media_missing"]), (&json!(POSTS), &json!(0)));
    let refused = program.run(&arguments);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
}

#[test]
fn a_folder_gets_an_archive_under_mastodons_own_name() {
    let program = filled(2);
    let place = program.scratch().join("out");
    std::fs::create_dir(&place).unwrap();
    let report = program.json(&["export", "--format", "mastodon", "--output", place.to_str().unwrap(), "--json"]);
    let name = report["output"].as_str().unwrap().rsplit('/').next().unwrap();
    let (date, token) = name.strip_prefix("archive-").unwrap().strip_suffix(".zip").unwrap().split_once('-').unwrap();
    assert!(date.len() == 14 && date.bytes().all(|b| b.is_ascii_digit()), "{name}");
    assert!(token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    let again = program.json(&["import", report["output"].as_str().unwrap(), "--json"]);
    assert_eq!((&again["read"], &again["created"]), (&json!(2), &json!(0)), "it is the same posts");
}
