//! Lines of JSON, read: each stands by itself, whatever its neighbours are.

use crate::archives::{create, note};
use crate::support::packing::put;
use chrono::Utc;
use everpost::domain::source::Format;
use everpost::import::Only;
use everpost::import::limits::Limits;
use serde_json::json;

fn read(text: &[u8], limits: &Limits) -> (Vec<i64>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = put(folder.path(), "posts.jsonl", text);
    let mut reader = everpost::import::open(&path, Only::Everything, limits, Utc::now()).unwrap();
    let (mut numbers, mut skipped) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next() {
        match item {
            Ok(post) => {
                assert_eq!(post.format, Format::Jsonl);
                numbers.push(post.status.unwrap());
            }
            Err(wrong) => skipped.push(format!("{} {}", wrong.at.rsplit('/').next().unwrap(), wrong.reason)),
        }
    }
    (numbers, skipped)
}

fn line(number: i64) -> String {
    create(note(number, json!({}))).to_string()
}

#[test]
fn a_broken_line_costs_nothing_but_itself() {
    let text = format!("{}\n{{\"type\": \"Create\", [\n{}\n", line(1), line(3));
    let (numbers, skipped) = read(text.as_bytes(), &Limits::default());
    assert_eq!(numbers, [1, 3]);
    assert!(skipped.len() == 1 && skipped[0].starts_with("posts.jsonl line 2 is not JSON"), "{skipped:?}");
}

#[test]
fn empty_lines_other_line_ends_a_mark_and_a_missing_last_end_do_not_matter() {
    let text = format!("\u{feff}{}\r\n\n  \r\n{}", line(1), line(2));
    assert_eq!(read(text.as_bytes(), &Limits::default()), (vec![1, 2], vec![]));
}

#[test]
fn a_line_that_is_too_long_is_passed_over_and_not_held() {
    let long = create(note(2, json!({ "content": "x".repeat(40_000) }))).to_string();
    let text = format!("{}\n{long}\n{}\n", line(1), line(3));
    let (numbers, skipped) = read(text.as_bytes(), &Limits { post: 16 * 1024, ..Limits::default() });
    assert_eq!(numbers, [1, 3]);
    assert!(skipped.len() == 1 && skipped[0].contains("line 2 is longer than 16 KiB"), "{skipped:?}");
}

#[test]
fn a_file_whose_first_line_is_no_activity_is_no_such_file() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["{\"type\": \"Person\"}\n", "words\n", "", "[1]\n", &format!("words\n{}\n", line(1))] {
        let path = put(folder.path(), "posts.jsonl", text.as_bytes());
        let only = Only::Format(Format::Jsonl);
        assert!(everpost::import::open(&path, only, &Limits::default(), Utc::now()).is_err(), "{text}");
    }
}
