//! The same post in several layouts: one post, of which the richer copy wins and the poorer fills, in whatever order they
//! come, also within one import; and what a dry run and the report tell of each item.

use super::{ONE, TWO, into, post, request, run};
use crate::support::{Bundle, Program, TestApp, fixture, status_id};
use everpost::operations::ingest::{self, Request};
use everpost::operations::preview::Outcome;
use std::path::Path;
use std::sync::Mutex;

const RICH: &str =
    "<p>The <em>rich</em> text with enough words of English in it to know what language it was written in.</p>";

fn picture() -> Vec<u8> {
    std::fs::read(fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png"))
        .unwrap()
}

fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A day file with the posts of [`ONE`] and [`TWO`] as one thread, the first with a warning.
fn day(folder: &Path, path: &str) {
    let source = |at| format!("##### [Mastodon Source 🐘](https://origin.example/@ann/{})", status_id(at));
    let page = format!(
        "---\ndate: 2024-01-01T00:00:00Z\n---\n\n# Toots from 2024-01-01\n\n## Poor text\n\nPoor text\n\n\
         *Content Warning: Clocks*\n\n<small><b>Tags:</b> `#clock`</small>\n\n{}\n\nSecond\n\n{}\n\n---\n\n",
        source(ONE),
        source(TWO)
    );
    write(folder, path, page);
}

/// A generic page about the post of [`ONE`].
fn page(folder: &Path, path: &str, body: &str) {
    let object = format!("https://origin.example/users/ann/statuses/{}", status_id(ONE));
    write(folder, path, format!("---\ndate: {ONE}\nsyndication: {object}\n---\n{body}\n"));
}

fn status_page(folder: &Path, path: &str, at: &str, more: &str) {
    let uri = format!("https://origin.example/users/ann/statuses/{}", status_id(at));
    let id = status_id(at);
    write(folder, path, format!("---\ndate: {at}\n{more}post_uri: {uri}\npost_id: {id}\n---\nA status of its own.\n"));
}

/// What stands of the post of [`ONE`] when these archives were imported one after the other.
async fn stands_after(imports: &[Vec<&Path>]) -> (String, Option<String>, bool, Vec<String>, usize) {
    let app = TestApp::start().await;
    for paths in imports {
        let paths = Request { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..request(paths[0]) };
        let dry = run(&app, &Request { dry_run: true, ..paths.clone() }).await.unwrap();
        let report = run(&app, &paths).await.unwrap();
        assert_eq!(report, dry, "a dry run tells the same");
        assert_eq!(report.skipped, []);
        let again = run(&app, &paths).await.unwrap();
        assert_eq!((again.created, again.updated), (0, 0), "and again changes nothing");
        assert_eq!(report.read, report.created + report.updated + report.unchanged);
    }
    let one = post(&app, "ann", status_id(ONE)).await;
    assert_eq!(app.database.number("SELECT count(*) FROM posts"), 2, "nothing is doubled");
    assert_eq!((one.updated, one.published.to_rfc3339()), (None, "2024-01-01T10:00:00+00:00".to_owned()));
    let files = one.attachments.iter().filter(|attachment| attachment.file.is_some()).count();
    (one.content.as_str().to_owned(), one.warning, one.sensitive, one.tags, files)
}

#[tokio::test]
async fn the_richer_layout_wins_and_the_poorer_fills_in_whatever_order_they_come() {
    let (rich, poor) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Bundle::new().post(ONE, RICH).post(TWO, "<p>Second rich.</p>").write(rich.path());
    day(poor.path(), "2024/2024-01-01.md");
    let (rich, poor) = (rich.path(), poor.path());
    let expected = (RICH.to_owned(), Some("Clocks".to_owned()), true, vec!["clock".to_owned()], 0);
    for imports in
        [vec![vec![rich], vec![poor]], vec![vec![poor], vec![rich]], vec![vec![rich, poor]], vec![vec![poor, rich]]]
    {
        assert_eq!(stands_after(&imports).await, expected, "{imports:?}");
    }
}

#[tokio::test]
async fn both_layouts_in_one_batch_of_one_tree_are_one_post() {
    let tree = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, RICH).post(TWO, "<p>Second rich.</p>").write(tree.path());
    day(tree.path(), "a/2024-01-01.md");
    day(tree.path(), "z/2024-01-01.md");
    page(tree.path(), "b/page.md", "![A clock](clock.png)\n\nA page.");
    write(tree.path(), "b/clock.png", picture());
    let app = TestApp::start().await;
    let dry = run(&app, &Request { dry_run: true, ..request(tree.path()) }).await.unwrap();
    let report = run(&app, &request(tree.path())).await.unwrap();
    assert_eq!(report, dry);
    let counts = (report.read, report.created, report.updated, report.unchanged, report.skipped.len());
    assert_eq!(counts, (7, 2, 3, 0, 2), "the second day file is a copy in the same layout");
    assert!(report.skipped[0].reason.contains("in this import already"), "{:?}", report.skipped);
    let one = post(&app, "ann", status_id(ONE)).await;
    assert_eq!((one.content.as_str(), one.warning.as_deref(), one.attachments.len()), (RICH, Some("Clocks"), 1));
    assert_eq!(one.attachments[0].alt.as_deref(), Some("A clock"));
    assert_eq!(post(&app, "ann", status_id(TWO)).await.reply_to.map(|id| id.0), Some(status_id(ONE)));
    let formats = app.database.texts("SELECT DISTINCT format FROM post_sources");
    assert_eq!(formats, ["hugo-bundle"]);
}

#[tokio::test]
async fn a_warning_that_another_layout_told_outlives_an_edit() {
    let app = TestApp::start().await;
    let (rich, poor) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bundle = Bundle::new().post(ONE, RICH).write(rich.path());
    day(poor.path(), "2024-01-01.md");
    app.import(rich.path()).await;
    app.import(poor.path()).await;
    super::edit(&bundle, |page| page.replace("The <em>rich</em>", "The edited"));
    assert_eq!(app.import(rich.path()).await.updated, 1);
    let one = post(&app, "ann", status_id(ONE)).await;
    assert!(one.content.as_str().contains("The edited") && one.updated.is_some());
    assert_eq!(
        (one.warning.as_deref(), one.sensitive),
        (Some("Clocks"), true),
        "a bundle cannot tell that it has none"
    );
}

#[tokio::test]
async fn a_thread_that_is_cut_across_files_is_one_conversation() {
    let app = TestApp::start().await;
    let tree = tempfile::tempdir().unwrap();
    status_page(tree.path(), "a/2.md", TWO, &format!("in_reply_to: {}\n", status_id(ONE)));
    status_page(tree.path(), "b/1.md", ONE, "");
    assert_eq!(app.import(tree.path()).await.published, 2);
    let (one, two) = (post(&app, "ann", status_id(ONE)).await, post(&app, "ann", status_id(TWO)).await);
    assert_eq!((two.reply_to, two.context), (Some(one.id), one.context));
}

#[tokio::test]
async fn an_answer_to_somebody_else_is_kept_and_not_published() {
    let app = TestApp::start().await;
    let tree = tempfile::tempdir().unwrap();
    status_page(tree.path(), "1.md", ONE, "");
    status_page(tree.path(), "2.md", TWO, "in_reply_to: 111111111111111111\n");
    let report = app.import(tree.path()).await;
    assert_eq!((report.created, report.published), (2, 1));
    assert!(post(&app, "ann", status_id(TWO)).await.to_others);
}

#[tokio::test]
async fn what_was_stripped_or_is_missing_is_noted_with_its_place() {
    let app = TestApp::start().await;
    let tree = tempfile::tempdir().unwrap();
    page(tree.path(), "page.md", "Hello {{< chart 1 >}} there\n\n![x](/media/x.png)");
    let report = run(&app, &request(tree.path())).await.unwrap();
    let at = tree.path().join("page.md").display().to_string();
    let told: Vec<_> =
        report.notes.iter().map(|note| (note.at.replace(&at, "page.md"), note.note.as_str(), note.loss)).collect();
    assert_eq!(told[0], ("page.md:5".to_owned(), "the shortcode chart was left out", true));
    assert_eq!((told[1].0.as_str(), told[1].2, report.media_missing), ("page.md:5", false, 1));
    assert!(
        told[1].1.contains("/media/x.png") && told[1].1.contains("import the folder of the whole site"),
        "{told:?}"
    );
    assert_eq!(run(&app, &request(tree.path())).await.unwrap().notes, report.notes, "also when nothing changed");
}

#[tokio::test]
async fn a_dry_run_tells_of_each_item_in_order_what_it_would_become() {
    let app = TestApp::start().await;
    let tree = tempfile::tempdir().unwrap();
    let bundle = Bundle::new().post(ONE, RICH).post(TWO, "<p>Second.</p>").write(&tree.path().join("a"));
    app.import(tree.path()).await;
    super::edit(&bundle, |page| page.replace("Second.", "Changed."));
    write(tree.path(), "b/draft.md", "---\ndraft: true\ncanonical: https://origin.example/@ann/7\n---\na\n");
    status_page(tree.path(), "c/3.md", "2024-02-01T10:00:00Z", "");
    let told = Mutex::new(Vec::new());
    let watch = |item| told.lock().unwrap().push(item);
    let dry = Request { dry_run: true, ..into(tree.path(), "ann") };
    ingest::ingest_watched(&app.app, &dry, chrono::Utc::now(), &|_, _| {}, &watch).await.unwrap();
    let told = told.into_inner().unwrap();
    let outcomes: Vec<_> = told.iter().map(|item| item.outcome.name()).collect();
    assert_eq!(outcomes, ["unchanged", "updated", "skipped", "created"]);
    assert!(matches!(&told[2].outcome, Outcome::Skipped(reason) if reason == "is a draft"));
    let last = told[3].post.as_ref().unwrap();
    assert_eq!((last.format.name(), last.words.as_str(), last.media), ("hugo-status", "A status of its own.", 0));
    assert_eq!(last.id.map(|id| id.0), Some(status_id("2024-02-01T10:00:00Z")));
    assert!(told[3].at.ends_with("c/3.md:6"), "{}", told[3].at);
}

#[test]
fn the_program_prints_a_line_for_each_item_of_a_dry_run_and_json_holds_them_all() {
    let program = Program::new();
    let archive = program.scratch().join("archive");
    Bundle::new().post_with(ONE, RICH, "![gone](gone.png)").write(&archive);
    page(&archive, "z.md", "A page {{< chart >}}");
    let lines = program.ok(&["import", "archive", "--dry-run"]);
    let id = status_id(ONE);
    let first = format!("{id}/index.md:18 -> created  hugo-bundle  2024-01-01T10:00:00Z  {id}  1 file  The rich text");
    assert!(lines.lines().next().unwrap().contains(&first), "{lines}");
    assert!(lines.lines().nth(1).unwrap().contains("z.md:5 -> unchanged  hugo-page"), "{lines}");
    let json = program.json(&["import", "archive", "--dry-run", "--json"]);
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
    assert_eq!((&json["items"][0]["outcome"], &json["items"][0]["media"]), (&"created".into(), &1.into()));
    assert_eq!(json["items"][0]["id"], id.to_string());
    let json = program.json(&["import", "archive", "--json"]);
    assert!(json.get("items").is_none() && json["notes"][0]["note"].as_str().unwrap().contains("gone.png"), "{json}");
    let whole = program.scratch().join("whole");
    write(
        &whole,
        "a.md",
        format!(
            "---\ndate: {TWO}\nsyndication: https://origin.example/@ann/{}\n---\nA {{{{< chart >}}}}\n",
            status_id(TWO)
        ),
    );
    assert_eq!(program.run(&["import", "--strict", "whole"]).code, 3, "a note that tells of a loss counts");
    assert_eq!(program.run(&["import", "--format", "hugo-day", "whole"]).code, 2, "nothing of that format is there");
}
