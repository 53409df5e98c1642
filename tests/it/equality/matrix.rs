//! Every reader times every writer.

use super::{Written, compare, read, write};
use crate::support::{TestApp, fixture};
use everpost::domain::source::Format;
use everpost::export::Ids;
use everpost::export::hugo::Layout;
use everpost::import::Only;
use everpost::operations::diff::{Finding, Kind};
use std::collections::BTreeSet;
use std::path::Path;

/// What is imported first: by which reader, and which fixture. Of the last two, which only we write, what was exported.
const SOURCES: [(&str, &str, Only); 9] = [
    ("mastodon 3.5", "mastodon-3.5", Only::Everything),
    ("mastodon 4.3", "mastodon-4.3", Only::Everything),
    ("mastodon 4.6", "mastodon-4.6", Only::Everything),
    ("mastodon 2026", "mastodon-2026", Only::Everything),
    ("pleroma", "akkoma-3.10", Only::Everything),
    ("hugo-bundle", "hugo-mastodon-to-hugo-v1", Only::Everything),
    ("hugo-day", "hugo-corpus", Only::Format(Format::HugoDay)),
    ("hugo-status", "hugo-corpus", Only::Format(Format::HugoStatus)),
    ("hugo-page", "hugo-corpus", Only::Format(Format::HugoPage)),
];

/// Where the table stands.
const PAGE: &str = "docs/exporting.md";
const FENCES: (&str, &str) = ("<!-- the table of what comes back -->\n", "<!-- its end -->");

/// What a finding loses, or changes, by the name that the page explains.
fn losses(finding: &Finding) -> Vec<String> {
    match &finding.kind {
        Kind::OnlyA(shown) if shown.contains("boost of ") => vec!["boosts".to_owned()],
        Kind::Differs(_) if finding.what == "profile" => vec!["profile".to_owned()],
        Kind::Differs(fields) => fields
            .iter()
            .map(|found| {
                let words = found.field.split(' ').filter(|word| word.parse::<u32>().is_err());
                let field = words.collect::<Vec<_>>().join(" ");
                match (field.as_str(), &found.a) {
                    ("attachment blurhash" | "attachment media_type" | "attachment size", None) => "figures added",
                    ("attachment file", _) => "files",
                    ("answers", None) => "parent named",
                    ("reply_to", _) => "parent elsewhere",
                    ("source_object", None) => "id added",
                    _ => return field,
                }
                .to_owned()
            })
            .collect(),
        other => vec![format!("{} ({})", finding.what, other.name())],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_what_comes_back_from_each_format_tells_the_truth() {
    let from = TestApp::start().await;
    let mut rows = Vec::new();
    for (number, (name, archive, only)) in SOURCES.into_iter().enumerate() {
        let handle = format!("a{number}");
        read(&from, &handle, &[&fixture(archive)], only, false).await;
        rows.push((name, handle));
    }
    for (written, handle) in [(Written::Jsonl, "lines"), (Written::Fep6fcd, "container")] {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write(&from, "a1", written, Ids::Origin, false, folder.path()).await;
        read(&from, handle, &[&path], Only::Everything, false).await;
        rows.push((written.name(), handle.to_owned()));
    }
    let head = Written::ALL.map(Written::name).join(" | ");
    let mut table = format!("| From | {head} |\n|---|{}\n", "---|".repeat(Written::ALL.len()));
    let mut detail = String::new();
    let mut cells = vec![Vec::new(); rows.len()];
    for written in Written::ALL {
        let to = TestApp::start().await;
        for ((name, handle), cells) in rows.iter().zip(&mut cells) {
            let found = there_and_back(&from, &to, handle, written).await;
            let lost: BTreeSet<String> = found.iter().flat_map(losses).collect();
            for finding in &found {
                detail.push_str(&format!("{name} → {}: {finding:?}\n", written.name()));
            }
            cells.push(if lost.is_empty() { "equal".to_owned() } else { Vec::from_iter(lost).join(", ") });
        }
    }
    for ((name, _), cells) in rows.iter().zip(cells) {
        table.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap_or_default();
    let told = page.split_once(FENCES.0).and_then(|(_, after)| after.split_once(FENCES.1)).map_or("", |(told, _)| told);
    assert!(
        told.trim() == table.trim(),
        "{PAGE} should say between its two comments (and explain each name below the table):\n\n{table}\n\nin detail:\n{detail}"
    );
    for lost in table.lines().skip(2).flat_map(|row| row.split('|').skip(2).flat_map(|cell| cell.split(", "))) {
        let lost = lost.trim();
        let is_told = lost.is_empty() || lost == "equal" || page.contains(&format!("\n- **{lost}**"));
        assert!(is_told, "{PAGE} does not explain {lost:?} on a line that begins with `- **{lost}**`");
    }
}

/// Export an account, import that into an instance that has nothing of it, and compare.
async fn there_and_back(from: &TestApp, to: &TestApp, handle: &str, written: Written) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = write(from, handle, written, Ids::Origin, false, folder.path()).await;
    let only = match written {
        Written::Hugo(Layout::Bundle) => Only::Format(Format::HugoBundle),
        Written::Hugo(Layout::Daily) => Only::Format(Format::HugoDay),
        Written::Hugo(Layout::Post) => Only::Format(Format::HugoPage),
        Written::Mastodon | Written::Fep6fcd | Written::Jsonl => Only::Everything,
    };
    let report = read(to, handle, &[&path], only, false).await;
    assert_eq!(report.skipped, [], "{handle} as {}", written.name());
    compare((from, handle), (to, handle), false).await
}
