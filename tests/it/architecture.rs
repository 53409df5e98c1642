//! The floors and the tidy rules of ARCHITECTURE.md, as tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each room with its floor and what it may import besides `domain` and `text`. Those on floor 6 only wire.
const ROOMS: [(&str, u8, &[&str]); 17] = [
    ("text", 0, &[]),
    ("domain", 0, &[]),
    ("metrics", 0, &[]),
    ("activitystreams", 1, &[]),
    ("store", 1, &[]),
    ("media", 1, &[]),
    ("import", 2, &["activitystreams"]),
    ("export", 2, &["activitystreams"]),
    ("federation", 2, &["activitystreams", "store", "metrics"]),
    ("delivery", 3, &["federation", "store", "metrics"]),
    ("operations", 4, &["activitystreams", "store", "media", "import", "export", "federation", "metrics"]),
    ("http", 5, &["operations", "store", "activitystreams", "federation", "media", "metrics"]),
    ("cli", 6, &["*"]),
    ("config", 6, &["*"]),
    ("postgres", 6, &["*"]),
    ("startup", 6, &["*"]),
    ("main", 6, &["*"]),
];

/// A word in code, and the rooms (or files) where it may stand.
const FENCED: [(&str, &[&str]); 8] = [
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    ("actix_web", &["http", "startup"]),
    ("reqwest", &["federation"]),
    ("prometheus_client", &["metrics"]),
    ("activitypub_federation", &["federation", "http"]),
    ("std::env", &["config"]),
    ("Utc::now", &["startup", "http", "cli"]),
];

/// The only files that may name a module, a table or a type of what is not public, as beginnings of their paths. `startup`
/// says where its folder is; `accounts` erases; `backup` and `snapshot` take along what is sealed, and cannot open it.
const PRIVATE_FILES: [&str; 18] = [
    "cli/posts.rs",
    "cli/private.rs",
    "domain/private.rs",
    "export/",
    "operations/accounts.rs",
    "operations/backup/",
    "operations/diff/",
    "operations/export.rs",
    "operations/ingest",
    "operations/mod.rs",
    "operations/pipeline.rs",
    "operations/private/",
    "operations/report.rs",
    "startup.rs",
    "store/accounts.rs",
    "store/private.rs",
    "store/schema/",
    "store/snapshot.rs",
];

/// What opens what is sealed, and where alone it may be called.
const OPENS: [(&str, &[&str]); 3] = [
    ("open_bytes", &["federation/seal.rs", "operations/private/"]),
    ("open_sealed", &["federation/seal.rs", "operations/private/"]),
    ("open_media", &["operations/private/", "cli/private.rs"]),
];

const FORBIDDEN_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "service"];
const LONGEST_FILE: usize = 500;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of Rust below a folder, with their texts.
fn rust_files(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

fn sources() -> Vec<Source> {
    let source = |(path, text): (PathBuf, String)| {
        let path = path.strip_prefix(root().join("src")).unwrap().to_owned();
        let room = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        Source { path, room, text }
    };
    let found: Vec<Source> = rust_files("src").into_iter().map(source).collect();
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The code of a file: without comments, and without its tests.
fn code(source: &Source) -> String {
    let body = source.text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let line = |line: &str| line.split("//").next().unwrap().to_owned();
    body.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn is_test(source: &Source) -> bool {
    source.path.ends_with("tests.rs")
}

/// The rooms that a file names after `crate::`, also inside braces.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.push(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn imports_point_to_a_lower_floor() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().map(|(room, _, may)| (*room, *may)).collect();
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| source.room != "lib" && !is_test(source)) {
        let Some(may) = rooms.get(source.room.as_str()) else {
            problems.push(format!("{}: the room {} is not in the table of floors", source.path.display(), source.room));
            continue;
        };
        for import in imports(&code(source)) {
            let base = matches!(import.as_str(), "text" | "domain") && source.room != "text";
            let own = import == source.room;
            if !(base || own || may.contains(&"*") || may.contains(&import.as_str())) {
                problems.push(format!("{}: {} may not import {import}", source.path.display(), source.room));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_library_stays_behind_its_fence() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        let code = code(source);
        for (word, rooms) in FENCED {
            let used = code.match_indices(word).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                let after = code[at + word.len()..].chars().next();
                let inside_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !inside_word(before) && !inside_word(after)
            });
            if used && !rooms.contains(&source.room.as_str()) {
                problems.push(format!("{}: {word} belongs into {} only", source.path.display(), rooms.join(", ")));
            }
        }
        if source.room != "postgres" && code.contains("pub use crate::") {
            problems.push(format!("{}: nothing is re-exported across rooms", source.path.display()));
        }
    }
    assert_none(&problems);
}

/// The identifiers of code, each once.
fn words(code: &str) -> std::collections::BTreeSet<&str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}

/// Whether code reaches for what is not public: a module by its path or in a `use`, a table, a type, a query, a field.
fn names_private(code: &str) -> bool {
    let path = ["::private", "private::", "app.private"].iter().any(|path| {
        code.match_indices(path).any(|(at, _)| {
            let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let before = path.starts_with('p') && in_word(code[..at].chars().next_back());
            let after = !path.ends_with(':') && in_word(code[at + path.len()..].chars().next());
            !before && !after
        })
    });
    let used = format!("\n{code}")
        .split("\nuse ")
        .skip(1)
        .any(|rest| words(rest.split(';').next().unwrap()).contains("private"));
    let types = ["Private", "Sealed"];
    let named = words(code).into_iter().any(|word| {
        let of_type = types.iter().any(|start| {
            let rest =
                word.strip_prefix(start).or_else(|| word.strip_prefix("New").and_then(|w| w.strip_prefix(start)));
            rest.is_some_and(|rest| ["Post", "Media", "File", "Id"].contains(&rest))
        });
        let verbs = ["list_private", "find_private", "page_private", "write_private", "delete_private"];
        of_type || word == "private_posts" || verbs.iter().any(|verb| word.starts_with(verb))
    });
    path || used || named
}

#[test]
fn what_is_not_public_is_named_only_where_it_is_kept_and_shown_to_its_owner() {
    for reaches in [
        "use crate::domain::private::PrivatePost;",
        "use super::{posts, private};",
        "app.private.open(x)",
        "store.find_private(id)",
        "store.list_private_files(id)",
        "private_posts::table",
        "let x: NewSealedPost",
    ] {
        assert!(names_private(reaches), "{reaches}");
    }
    for other in [
        "row.private_key",
        "use crate::postgres::PrivatePostgres;",
        "fn of(private: bool)",
        "ip.is_private()",
        "says.private",
    ] {
        assert!(!names_private(other), "{other}");
    }
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        let (path, code) = (source.path.to_str().unwrap(), code(source));
        if names_private(&code) && !PRIVATE_FILES.iter().any(|may| path.starts_with(may)) {
            problems.push(format!("{path}: it may not name what is not public"));
        }
        for (word, may) in OPENS {
            if words(&code).contains(word) && !may.iter().any(|may| path.starts_with(may)) {
                problems.push(format!("{path}: {word} belongs into {} only", may.join(", ")));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn the_simulated_mastodon_knows_nothing_of_us() {
    let files = rust_files("tests/it/mastodon");
    assert!(files.len() > 5, "the simulation was not found");
    let mut problems = Vec::new();
    for (path, text) in files {
        // Neither the crate nor the other tests, which stand on it.
        for word in ["everpost::", "crate::", "super::super::"] {
            if text.contains(word) {
                problems.push(format!("{}: it says {word}", path.display()));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn files_are_short_named_for_what_they_hold_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in sources() {
        let shown = source.path.display();
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            problems.push(format!("{shown}: {lines} lines; at most {LONGEST_FILE}"));
        }
        let head = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        if !(1..=9).contains(&head) {
            problems.push(format!("{shown}: opens with {head} lines of //!; it takes 1 to 8 that say what it is for"));
        }
        let stem = source.path.file_stem().unwrap().to_str().unwrap();
        if FORBIDDEN_NAMES.contains(&stem) || FORBIDDEN_NAMES.contains(&source.room.as_str()) {
            problems.push(format!("{shown}: {stem} says nothing about what it holds"));
        }
    }
    assert_none(&problems);
}

#[test]
fn the_map_names_every_room_and_every_room_is_there() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 200, "ARCHITECTURE.md has at most 200 lines");
    let there: Vec<String> = sources().into_iter().map(|source| source.room).collect();
    let mut problems = Vec::new();
    for room in there.iter().filter(|room| !matches!(room.as_str(), "lib" | "main")) {
        if !map.contains(&format!("`{room}`")) && !map.contains(&format!("`{room}.rs`")) {
            problems.push(format!("ARCHITECTURE.md does not name the room {room}"));
        }
    }
    // Each row of its table of floors is `| floor | `room` | may import | must never know |`.
    for row in map.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let Some(floor) = cells.get(1).and_then(|cell| cell.parse::<u8>().ok()) else { continue };
        for room in cells[2].split(',').map(|room| room.trim().trim_matches('`').trim_end_matches(".rs")) {
            match ROOMS.iter().find(|(known, _, _)| *known == room) {
                Some((_, known, _)) if *known == floor => {}
                _ => problems.push(format!("ARCHITECTURE.md puts {room} on floor {floor}; the test does not")),
            }
            if !there.iter().any(|known| known == room) {
                problems.push(format!("ARCHITECTURE.md names the room {room}, which is not there"));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_row_of_federation_md_names_a_test_that_exists() {
    assert_none(&rows_without_a_test("FEDERATION.md"));
}

#[test]
fn every_row_of_the_page_about_interoperability_names_a_test_that_exists() {
    // The table of sample activities is checked by the test that makes it.
    let problems = rows_without_a_test("docs/interop.md");
    let others: Vec<String> = problems.into_iter().filter(|problem| !problem.contains("| Samples |")).collect();
    assert_none(&others);
}

/// Tables of a document without a column of tests, and rows whose tests do not exist.
fn rows_without_a_test(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let tests: String = ["src", "tests/it"].into_iter().flat_map(rust_files).map(|(_, text)| text).collect();
    let mut problems = Vec::new();
    let mut rows = 0;
    let mut column = None;
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if column.is_none() {
            column = cells.iter().position(|cell| *cell == "Test");
            if column.is_none() {
                problems.push(format!("a table without a Test column: {line}"));
                column = Some(usize::MAX);
            }
        } else if let Some(cell) = column.and_then(|column| cells.get(column)).filter(|cell| !cell.starts_with("--")) {
            rows += 1;
            let names: Vec<&str> = cell.split(',').map(|name| name.trim().trim_matches('`')).collect();
            for name in names {
                if name.is_empty() || !tests.contains(&format!("fn {name}(")) {
                    problems.push(format!("no test {name:?} for the row {line}"));
                }
            }
        }
    }
    assert!(rows > 10, "{document} has {rows} rows with a test");
    problems
}
