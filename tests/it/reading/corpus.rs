//! The corpus: an invented site of more than a hundred pages in all layouts, and what each of them is read as.
//!
//! `insta` compares with the files in `snapshots/`. A difference is accepted only after it was read.

use super::{media, read, remarks};
use crate::support::{TestApp, fixture};
use everpost::domain::source::{Format, Skipped, SourcePost};
use everpost::import::Only;
use everpost::import::limits::Limits;
use everpost::operations::ingest::{self, Request};
use std::collections::BTreeSet;
use std::path::Path;

const CORPUS: &str = "hugo-corpus";

/// Every snapshot of this file, so that none is left over.
const SNAPSHOTS: [&str; 5] = ["hugo-bundle", "hugo-day", "hugo-page", "hugo-status", "skipped"];

/// A post as it is shown for comparison: what is empty is left out.
fn shown(post: &SourcePost) -> String {
    let mut lines = vec![
        format!("== {}", post.at),
        format!("key      {}", post.key),
        format!("date     {} {}", post.published.to_rfc3339(), post.date_origin.name()),
    ];
    let mut line = |name: &str, value: Option<String>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{name:<8} {value}")));
    };
    line("audience", Some(format!("{:?}", post.audience)).filter(|audience| audience != "Public"));
    line("url", post.canonical_url.clone());
    line(
        "object",
        post.object_id.as_ref().map(|id| format!("{id}{}", if post.object_id_stated { "" } else { " (derived)" })),
    );
    line("answers", post.reply_to.as_ref().map(ToString::to_string));
    line("edited", post.edited.map(|time| time.to_rfc3339()));
    line("warning", post.warning.clone());
    line("flags", post.sensitive.then(|| "sensitive".to_owned()));
    line("language", post.language.clone());
    line("tags", Some(post.tags.join(", ")));
    for medium in media(post) {
        line("media", Some(medium));
    }
    for remark in remarks(post) {
        line("note", Some(remark));
    }
    lines.push(post.html.trim().to_owned());
    lines.join("\n")
}

fn corpus() -> Vec<Result<SourcePost, Skipped>> {
    read(&fixture(CORPUS), None)
}

/// Compare what is read in one format with its snapshot.
fn check(format: Format) {
    let posts: Vec<String> = corpus().iter().flatten().filter(|post| post.format == format).map(shown).collect();
    assert!(posts.len() > 20, "{} of {}", posts.len(), format.name());
    compare(format.name(), &posts.join("\n\n"));
}

fn compare(name: &str, text: &str) {
    assert!(SNAPSHOTS.contains(&name), "{name} is not in the list of snapshots");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn bundles_of_the_corpus_are_read_as_before() {
    check(Format::HugoBundle);
}

#[test]
fn day_files_of_the_corpus_are_read_as_before() {
    check(Format::HugoDay);
}

#[test]
fn status_pages_of_the_corpus_are_read_as_before() {
    check(Format::HugoStatus);
}

#[test]
fn generic_pages_of_the_corpus_are_read_as_before() {
    check(Format::HugoPage);
}

#[test]
fn what_the_corpus_skips_is_skipped_for_the_same_reasons() {
    let skipped: Vec<String> =
        corpus().into_iter().filter_map(Result::err).map(|item| format!("{}: {}", item.at, item.reason)).collect();
    compare("skipped", &skipped.join("\n"));
}

#[test]
fn no_snapshot_is_left_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/reading/snapshots");
    let there: BTreeSet<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, SNAPSHOTS.iter().map(|name| format!("{name}.snap")).collect());
}

#[test]
fn the_corpus_has_more_than_a_hundred_pages() {
    fn pages(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| {
                if path.is_dir() {
                    pages(&path)
                } else {
                    usize::from(
                        !path.ends_with("README.md")
                            && path.extension().is_some_and(|ending| ending == "md" || ending == "html"),
                    )
                }
            })
            .sum()
    }
    assert!(pages(&fixture(CORPUS)) > 100);
}

#[tokio::test]
async fn the_corpus_comes_in_whole_once_and_a_dry_run_tells_so() {
    let app = TestApp::start().await;
    let handle = everpost::domain::account::Handle::parse("ines").unwrap();
    everpost::operations::accounts::create(&app.app, &handle, None, None, chrono::Utc::now()).await.unwrap();
    let request = Request {
        paths: vec![fixture(CORPUS)],
        account: Some(handle),
        adopt: false,
        only: Only::Everything,
        dry_run: false,
        include_private: false,
        limits: Limits::default(),
    };
    let import = async |dry_run: bool| {
        let request = Request { dry_run, ..request.clone() };
        let report = ingest::ingest(&app.app, &request, chrono::Utc::now(), &|_, _| {}).await.unwrap();
        ingest::Report { import: None, ..report }
    };
    let dry = import(true).await;
    let report = import(false).await;
    assert_eq!(report, dry);
    let keys: BTreeSet<String> = corpus().iter().flatten().map(|post| post.key.to_string()).collect();
    assert_eq!(report.created, keys.len() as u64 - 1, "each post once, but for the one that is not public");
    let again = import(false).await;
    assert_eq!((again.created, again.updated, again.read), (0, 0, report.read));
}
