//! An import against Postgres's COPY of the same rows into the same tables with their indexes, in turns.

use crate::figure::{Figure, Limit};
use crate::place::{Place, watch};
use crate::{Wanted, mastodon};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The tables that an import writes, each after those that it refers to.
const TABLES: [&str; 9] =
    ["domains", "media", "accounts", "keys", "imports", "contexts", "posts", "post_sources", "attachments"];

/// Leaf bundles; the first round only warms up.
pub fn run(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!("\n== import: everpost import, then COPY … FROM of the rows that it wrote into an empty database");
    let (ratios, peaks) = compare(place, &place.archive(wanted.bundles), wanted.rounds.min(3) + 1, true);
    vec![
        Figure::new("import / COPY of the same rows, time", "", ratios, Limit::AtMost(6.0)),
        Figure::new("peak memory of the import (VmHWM)", "MiB", peaks, Limit::AtMost(100.0)),
    ]
}

/// An archive of Mastodon, once: it is too long to be repeated, and reading is a small part of it.
pub fn run_archive(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!("\n== archive: the same with an archive of Mastodon of {} items", wanted.posts);
    let folder = place.path("mastodon");
    let begun = Instant::now();
    let bytes = mastodon::write(&folder, wanted.posts);
    println!("{} MiB of outbox.json were written in {:.1} s", bytes >> 20, begun.elapsed().as_secs_f64());
    let (ratios, peaks) = compare(place, &folder, 1, false);
    std::fs::remove_dir_all(folder).unwrap();
    vec![
        Figure::new("import of a Mastodon archive / COPY of the same rows, time", "", ratios, Limit::AtMost(6.0)),
        Figure::new("peak memory of that import (VmHWM)", "MiB", peaks, Limit::AtMost(100.0)),
    ]
}

/// Import an archive and copy the rows, in turns: the ratio of the times and the peak in MiB of each round.
fn compare(place: &Place, archive: &Path, rounds: usize, warms_up: bool) -> (Vec<f64>, Vec<f64>) {
    let dump = place.path("dump");
    std::fs::create_dir_all(&dump).unwrap();
    std::fs::set_permissions(&dump, PermissionsExt::from_mode(0o777)).unwrap();
    let (mut ratios, mut peaks) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let url = place.create("imported");
        let data = place.path(&format!("imported-{round}"));
        place.sql("postgres", "CHECKPOINT");
        let (ours, peak) = import(place, &url, &data, archive);
        let posts = place.texts("imported", "SELECT count(*) FROM posts").remove(0);
        let theirs = copy(place, &dump);
        std::fs::remove_dir_all(&data).unwrap();
        // The archive's files are read from memory in all rounds but the first.
        let warming_up = warms_up && round == 0;
        let note = if warming_up { " (warming up)" } else { "" };
        println!(
            "{posts} posts: import {ours:.2} s, peak {peak:.1} MiB; COPY {theirs:.2} s; ratio {:.2}{note}",
            ours / theirs
        );
        if !warming_up {
            ratios.push(ours / theirs);
            peaks.push(peak);
        }
    }
    (ratios, peaks)
}

/// Seconds, and the peak of the process's memory in MiB.
fn import(place: &Place, url: &str, data: &Path, archive: &Path) -> (f64, f64) {
    let settings = [
        ("DATABASE_URL", url),
        ("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap()),
        ("EVERPOST_LOG", "warn,everpost::operations::ingest=info"),
    ];
    let said = place.path("import.said");
    let begun = Instant::now();
    let mut command = place.command(&settings);
    let child = command
        .arg("import")
        .arg(archive)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let (status, peak) = watch(child);
    let took = begun.elapsed().as_secs_f64();
    let said = std::fs::read_to_string(said).unwrap();
    assert!(status.success(), "the import failed: {said}");
    if let Some((_, stages)) = said.lines().find_map(|line| line.split_once("what the stages of the import took ")) {
        println!("stages: {stages}");
    }
    (took, peak)
}

/// Write the rows out, and copy them into an empty database; the seconds of the second.
fn copy(place: &Place, dump: &Path) -> f64 {
    let file = |table: &str| dump.join(format!("{table}.copy"));
    for table in TABLES {
        place.sql("imported", &format!("COPY {table} TO '{}'", file(table).display()));
    }
    place.create("copied");
    place.sql("postgres", "CHECKPOINT");
    let begun = Instant::now();
    for table in TABLES {
        place.sql("copied", &format!("COPY {table} FROM '{}'", file(table).display()));
    }
    let took = begun.elapsed().as_secs_f64();
    let count = |database: &str| place.texts(database, "SELECT count(*) FROM posts");
    assert_eq!(count("copied"), count("imported"));
    for table in TABLES {
        std::fs::remove_file(file(table)).unwrap();
    }
    took
}
