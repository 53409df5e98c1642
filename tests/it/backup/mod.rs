//! Backup and restore of the whole instance: what comes back, what is refused, and that nothing half done is ever served.

mod broken_off;
mod drill;
mod refused;
mod whole;

use crate::archives::{create, note, outbox};
use crate::support::packing::{put, zip};
use crate::support::{Program, status_id};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Stands in what is private, and in nothing else.
const MARK: &str = "Zilpzalp";

/// An archive as Mastodon hands it out: a public post with a picture, one that answers it, one for followers with a picture.
fn archive(folder: &Path) -> PathBuf {
    let post = |at: &str, mut change: Value| {
        change["published"] = json!(at);
        create(note(status_id(at), change))
    };
    let picture = |name: &str| json!([{ "type": "Document", "mediaType": "image/png", "url": format!("/media/{name}"), "name": "A" }]);
    let above = format!("https://m.example/users/ann/statuses/{}", status_id("2024-01-01T10:00:00Z"));
    let items = [
        post("2024-01-01T10:00:00Z", json!({ "attachment": picture("a.png") })),
        post("2024-01-01T10:05:00Z", json!({ "inReplyTo": above })),
        post(
            "2024-01-01T10:10:00Z",
            json!({ "to": ["https://m.example/users/ann/followers"], "content": format!("<p>{MARK}</p>"), "attachment": picture("b.png") }),
        ),
    ];
    let mut files = vec![("outbox.json".to_owned(), outbox(&items))];
    files.extend([("a.png", 90), ("b.png", 40)].map(|(name, side)| (format!("media/{name}"), picture_of(side))));
    put(folder, "archive.zip", &zip(&files))
}

/// A picture that does not compress.
fn picture_of(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgb);
    let mut state = side;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..side * side * 3).map(|_| noise()).collect();
    encoder.write_header().unwrap().write_image_data(&noise).unwrap();
    bytes
}

/// A key file of sevens beside the data folder, which the program is told.
fn with_key(program: &mut Program) -> PathBuf {
    let file = program.scratch().join("own.key");
    std::fs::write(&file, [7; 32]).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    file
}

/// A small instance with public and private posts, media and sealed files.
fn filled() -> Program {
    let mut program = Program::new();
    with_key(&mut program);
    let path = archive(program.scratch());
    program.ok(&["import", path.to_str().unwrap(), "--include-private"]);
    program
}

/// Every table's rows, as `name: hash of its rows`; but for what a restore changes on purpose, pausing deliveries.
const TABLES: &str = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
    ORDER BY 1";

fn rows_of(table: &str) -> String {
    let row = match table {
        "everpost_instance" => "t.created_at",
        "__diesel_schema_migrations" => "t.version",
        _ => "t",
    };
    format!(
        "SELECT '{table}: ' || count(*) || ' ' || coalesce(md5(string_agg(({row})::text, ';' ORDER BY ({row})::text)), '') FROM {table} t"
    )
}

/// Every table of a database with what it holds.
fn contents(texts: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    texts(TABLES).iter().flat_map(|table| texts(&rows_of(table))).collect()
}

/// Where every sequence goes on; but for that of domains, of which each start takes a number.
const SEQUENCES: &str = "SELECT sequencename || ' ' || coalesce(last_value, 0) FROM pg_sequences \
    WHERE schemaname = 'public' AND sequencename <> 'domains_id_seq' ORDER BY 1";

/// The files below a folder, each with its bytes, by their paths in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => found.push((path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}
