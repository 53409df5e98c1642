//! Whose posts they are: the account is found or made, other authors stay out, and every refusal names a way that works.

use super::{ONE, THREE, TWO, by, into, post, request, run};
use crate::support::{Bundle, Outcome, Program, TestApp, status_id};
use everpost::domain::snowflake::time_of;
use everpost::operations::ingest::Request;
use std::path::Path;

/// Run the commands that a message names, in a shell, as a person pastes them; the last one's report.
fn paste(program: &Program, message: &str) -> serde_json::Value {
    let commands: Vec<&str> = message.lines().map(str::trim).filter(|line| line.starts_with("everpost ")).collect();
    assert!(!commands.is_empty(), "{message}");
    let mut last = String::new();
    for (at, command) in commands.iter().enumerate() {
        let json = if at + 1 == commands.len() { " --json" } else { "" };
        let command = format!("set -e; everpost() {{ {} \"$@\"; }}; {command}{json}", env!("CARGO_BIN_EXE_everpost"));
        let mut shell = std::process::Command::new("sh");
        let environment = program.command();
        shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = shell.args(["-c", &command]).current_dir(program.scratch()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        last = String::from_utf8(output.stdout).unwrap();
    }
    serde_json::from_str(&last).unwrap()
}

fn refused(program: &Program, arguments: &[&str]) -> Outcome {
    let outcome = program.run(arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    outcome
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn several_authors_are_refused_with_their_counts_and_a_command_that_takes_them_in() {
    let program = Program::new();
    let archive = program.scratch().join("ann's archive");
    by("ann", "origin.example").post(ONE, "<p>One.</p>").post(TWO, "<p>Two.</p>").write(&archive);
    by("Bob", "other.example").post(THREE, "<p>Three.</p>").write(&archive);
    let outcome = refused(&program, &["import", text(&archive)]);
    for found in ["@ann@origin.example (2 posts)", "@Bob@other.example (1 post)"] {
        assert!(outcome.stderr.contains(found), "{}", outcome.stderr);
    }
    assert_eq!(program.database().number("SELECT count(*) FROM accounts"), 0);
    let report = paste(&program, &outcome.stderr);
    assert_eq!((&report["created"], &report["account"]), (&3.into(), &"ann".into()));
}

#[test]
fn several_authors_into_an_account_that_keeps_nobody_yet_name_the_command_with_that_account() {
    let program = Program::new();
    let archive = program.scratch().join("archive");
    by("ann", "origin.example").post(ONE, "<p>One.</p>").write(&archive);
    by("bob", "other.example").post(TWO, "<p>Two.</p>").write(&archive);
    program.ok(&["account", "create", "mine"]);
    for dry in [&["--dry-run"][..], &[]] {
        let outcome = refused(&program, &[&["import", text(&archive), "--account", "mine"], dry].concat());
        assert!(outcome.stderr.contains("--account mine --adopt"), "{}", outcome.stderr);
    }
    let outcome = refused(&program, &["import", text(&archive), "--account", "mine"]);
    assert_eq!(paste(&program, &outcome.stderr)["created"], 2);
}

#[test]
fn links_that_name_nobody_are_refused_with_a_command_that_takes_them_in() {
    let program = Program::new();
    let bundle = Bundle::new().post(ONE, "<p>One.</p>").write(&program.scratch().join("archive"));
    super::edit(&bundle, |page| page.replace("/@ann/", "/objects/").replace("/users/ann/statuses/", "/objects/"));
    let outcome = refused(&program, &["import", "archive"]);
    assert!(outcome.stderr.contains("nobody (1 post)"), "{}", outcome.stderr);
    let report = paste(&program, &outcome.stderr);
    assert_eq!((&report["created"], &report["account"]), (&1.into(), &"archive".into()));
}

#[test]
fn a_handle_that_is_taken_is_refused_with_whose_it_is_and_another_one_that_is_free() {
    let program = Program::new();
    program.ok(&["account", "create", "ann"]);
    program.ok(&["account", "create", "ann2"]);
    Bundle::new().post(ONE, "<p>One.</p>").write(&program.scratch().join("archive"));
    for dry in [&["--dry-run"][..], &[]] {
        let outcome = refused(&program, &[&["import", "archive"], dry].concat());
        for part in ["@ann@origin.example", "the handle ann already belongs to", "account create ann3"] {
            assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
        }
    }
    let outcome = refused(&program, &["import", "archive"]);
    let report = paste(&program, &outcome.stderr);
    assert_eq!((&report["created"], &report["account"]), (&1.into(), &"ann3".into()));
    assert_eq!(program.json(&["import", "archive", "--json"])["unchanged"], 1, "the next import finds it by itself");
}

#[test]
fn a_handle_as_long_as_handles_get_still_finds_another_one() {
    let program = Program::new();
    let long = "x".repeat(30);
    program.ok(&["account", "create", &long]);
    let user: &'static str = Box::leak(long.into_boxed_str());
    by(user, "origin.example").post(ONE, "<p>One.</p>").write(&program.scratch().join("archive"));
    let outcome = refused(&program, &["import", "archive"]);
    assert_eq!(paste(&program, &outcome.stderr)["created"], 1);
}

#[test]
fn a_handle_that_the_server_needs_itself_is_refused() {
    let program = Program::new();
    by("media", "origin.example").post(ONE, "<p>One.</p>").write(&program.scratch().join("archive"));
    let outcome = refused(&program, &["import", "archive"]);
    assert!(outcome.stderr.contains("the handle media is the server's own"), "{}", outcome.stderr);
    let report = paste(&program, &outcome.stderr);
    assert_eq!((&report["created"], &report["account"]), (&1.into(), &"media2".into()));
}

#[test]
fn nothing_readable_is_exit_code_2_and_says_what_is_read_and_what_was_wrong() {
    let program = Program::new();
    std::fs::create_dir(program.scratch().join("empty")).unwrap();
    let bad = program.scratch().join("bad");
    let bundle = Bundle::new().post(ONE, "<p>One.</p>").write(&bad);
    super::edit(&bundle, |page| page.replace("title: ", "draft: true\ntitle: "));
    for (path, told) in [("empty", "index.md with `canonical`"), ("nowhere", "nowhere"), ("bad", "is a draft")] {
        let outcome = program.run(&["import", path, "--json"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:?}");
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    assert_eq!(program.database().number("SELECT count(*) FROM accounts"), 0);
}

#[tokio::test]
async fn the_account_of_the_links_author_gets_the_posts_whatever_the_spelling() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    by("Ann.B", "origin.example").post(ONE, "<p>One.</p>").write(archive.path());
    app.import(archive.path()).await;
    let account = app.account("ann_b").await;
    assert_eq!(account.source.unwrap().to_string(), "@Ann.B@origin.example");
    let second = tempfile::tempdir().unwrap();
    by("ann.b", "origin.example").post(TWO, "<p>Two.</p>").write(second.path());
    let report = app.import(second.path()).await;
    assert_eq!((report.account.as_str(), report.created, report.published), ("ann_b", 1, 2));
}

#[tokio::test]
async fn posts_by_another_author_stay_out_unless_they_are_adopted() {
    let app = TestApp::start().await;
    let own = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, "<p>One.</p>").write(own.path());
    app.import(own.path()).await;
    let mixed = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, "<p>One.</p>").write(mixed.path());
    by("bob", "other.example").post(TWO, "<p>Two.</p>").post(THREE, "<p>Three.</p>").write(mixed.path());
    let report = run(&app, &into(mixed.path(), "ann")).await.unwrap();
    assert_eq!((report.read, report.unchanged, report.created, report.skipped.len()), (3, 1, 0, 2));
    let reason = &report.skipped[0].reason;
    assert!(reason.contains("@bob@other.example") && reason.contains("--adopt"), "{reason}");
    assert!(report.skipped[0].at.contains("index.md:"), "{:?}", report.skipped);
    let dry = run(&app, &Request { adopt: true, dry_run: true, ..into(mixed.path(), "ann") }).await.unwrap();
    let adopted = run(&app, &Request { adopt: true, ..into(mixed.path(), "ann") }).await.unwrap();
    assert_eq!(dry, adopted, "a dry run tells the same");
    assert_eq!((adopted.created, adopted.published), (2, 3));
    assert_eq!(app.account("ann").await.source.unwrap().user, "ann", "adopting changes nobody's source");
}

#[tokio::test]
async fn a_number_that_is_taken_is_replaced_by_a_minted_one_for_ever() {
    let app = TestApp::start().await;
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Bundle::new().post(ONE, "<p>One.</p>").write(first.path());
    by("bob", "other.example").post(ONE, "<p>Other.</p>").write(second.path());
    app.import(first.path()).await;
    let request = Request { adopt: true, ..into(second.path(), "ann") };
    let report = run(&app, &request).await.unwrap();
    assert_eq!((report.created, report.published), (1, 2));
    let ids = app.database.texts("SELECT id FROM posts ORDER BY created_at");
    assert_eq!(ids[0], status_id(ONE).to_string());
    let minted: i64 = ids[1].parse().unwrap();
    assert_ne!(minted, status_id(ONE));
    assert_eq!(time_of(minted), time_of(status_id(ONE)), "it carries the same time");
    assert_eq!(post(&app, "ann", minted).await.key.0, format!("mastodon:other.example:{}", status_id(ONE)));
    assert_eq!(run(&app, &request).await.unwrap().unchanged, 1, "it is found again by its key");
    assert_eq!(app.database.number("SELECT count(*) FROM posts"), 2);
}

#[tokio::test]
async fn while_one_import_into_an_account_runs_another_is_refused() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = Bundle::new().post(ONE, "<p>One.</p>").write(archive.path());
    app.import(archive.path()).await;
    super::edit(&bundle, |page| page.replace("One.", "Changed."));
    let lock = app.app.store.lock_import(app.account("ann").await.id).await.unwrap();
    let refusal = run(&app, &request(archive.path())).await.unwrap_err().to_string();
    assert_eq!(refusal, "another import into this account is running; wait for it to end");
    assert!(post(&app, "ann", status_id(ONE)).await.content.as_str().contains("One."), "nothing was written");
    drop(lock);
    let report = run(&app, &request(archive.path())).await;
    // The lock ends when the server has seen the connection close.
    let mut report = report;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while report.is_err() && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        report = run(&app, &request(archive.path())).await;
    }
    assert_eq!(report.unwrap().updated, 1);
}
