//! The first domain: it follows `server.public_url` until other servers have seen it, and is renamed by command from then on.

use crate::support::{Bundle, Outcome, Program, TestApp};
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::operations::{accounts, domains};

const ONE: &str = "2024-01-01T10:00:00Z";
const OLD: &str = "https://old.example";
const NEW: &str = "https://new.example";

/// The program under a name, with an account that keeps one post.
fn program(url: &str) -> Program {
    let mut program = Program::new();
    program.set("EVERPOST_SERVER__PUBLIC_URL", url);
    Bundle::new().post(ONE, "<p>One.</p>").write(&program.scratch().join("archive"));
    program.ok(&["import", "archive"]);
    program
}

/// As if another server had fetched something.
fn expose(program: &Program) {
    program.database().execute("UPDATE domains SET exposed_at = now()");
}

fn refused(program: &Program, arguments: &[&str]) -> Outcome {
    let outcome = program.run(arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments:?}: {outcome:?}");
    outcome
}

#[test]
fn before_anyone_has_seen_the_name_it_follows_the_configuration_and_handles_follow_it() {
    let mut program = program(OLD);
    assert_eq!(program.json(&["account", "show", "ann", "--json"])["address"], "@ann@old.example");
    program.set("EVERPOST_SERVER__PUBLIC_URL", NEW);
    let account = program.json(&["account", "show", "ann", "--json"]);
    assert_eq!(
        (&account["address"], &account["actor"]),
        (&"@ann@new.example".into(), &"https://new.example/users/ann".into())
    );
    let domains = program.json(&["domain", "list", "--json"]);
    assert_eq!(domains, serde_json::json!([{ "base_url": NEW, "first": true, "exposed": null }]));
}

#[test]
fn once_seen_another_name_is_refused_with_the_command_that_renames_it_and_that_command_works() {
    let mut program = program(OLD);
    expose(&program);
    program.set("EVERPOST_SERVER__PUBLIC_URL", NEW);
    let command = format!("everpost domain rename {OLD} {NEW}");
    for arguments in [&["account", "list"][..], &["serve"], &["import", "archive"]] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--set", "server.bind=127.0.0.1:0"]);
        let outcome = refused(&program, &arguments);
        for part in [OLD, NEW, command.as_str()] {
            assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
        }
    }
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let told = program.ok(&arguments);
    assert!(told.contains("Renamed"), "{told}");
    let account = program.json(&["account", "show", "ann", "--json"]);
    assert_eq!(
        (&account["address"], &account["page"]),
        (&"@ann@new.example".into(), &"https://new.example/@ann".into())
    );
    let post = &program.json(&["post", "list", "--json"])[0];
    assert!(post["object"].as_str().unwrap().starts_with("https://new.example/users/ann/statuses/"), "{post}");
}

#[test]
fn a_rename_is_not_taken_back_by_a_configuration_that_still_names_the_old_one() {
    let mut program = program(OLD);
    expose(&program);
    program.ok(&["account", "list"]);
    program.ok(&["domain", "rename", OLD, NEW]);
    let outcome = refused(&program, &["account", "list"]);
    assert!(outcome.stderr.contains(&format!("everpost domain rename {NEW} {OLD}")), "{}", outcome.stderr);
    assert_eq!(program.json(&["domain", "list", "--json"])[0]["base_url"], NEW);
    program.set("EVERPOST_SERVER__PUBLIC_URL", NEW);
    program.ok(&["account", "list"]);
}

#[test]
fn a_rename_names_what_there_is_and_takes_a_base_url_only() {
    let program = program(OLD);
    let outcome = refused(&program, &["domain", "rename", "https://other.example", NEW]);
    assert!(outcome.stderr.contains("https://other.example") && outcome.stderr.contains(OLD), "{}", outcome.stderr);
    for bad in [
        "new.example",
        "https://new.example/",
        "https://new.example/path",
        "http://new.example",
        "https://new.example:8443",
    ] {
        let outcome = refused(&program, &["domain", "rename", OLD, bad]);
        assert!(
            outcome.stderr.contains("as https://example.org") || outcome.stderr.contains("localhost"),
            "{bad}: {}",
            outcome.stderr
        );
    }
    let outcome = refused(&program, &["domain", "rename", OLD, OLD]);
    assert!(outcome.stderr.contains("already"), "{}", outcome.stderr);
    assert_eq!(program.json(&["domain", "list", "--json"])[0]["base_url"], OLD);
}

#[test]
fn a_split_handle_stays_as_it_was_chosen() {
    let program = program(OLD);
    program.ok(&["account", "set", "ann", "handle_domain=example.org"]);
    program.ok(&["domain", "rename", OLD, NEW]);
    let account =
        program.command().env("EVERPOST_SERVER__PUBLIC_URL", NEW).args(["account", "show", "ann", "--json"]).output();
    let account: serde_json::Value = serde_json::from_slice(&account.unwrap().stdout).unwrap();
    assert_eq!(
        (&account["address"], &account["actor"]),
        (&"@ann@example.org".into(), &"https://new.example/users/ann".into())
    );
}

#[tokio::test]
async fn only_an_answer_about_an_account_under_a_name_of_the_world_fixes_the_name() {
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, "<p>One.</p>").write(archive.path());
    let app = TestApp::start_at("https://m.example").await;
    app.import(archive.path()).await;
    accounts::publish(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    let exposed = || app.database.number("SELECT count(*) FROM domains WHERE exposed_at IS NOT NULL");
    app.page("/").await;
    app.get("/users/nobody").await;
    app.page("/@nobody").await;
    assert_eq!(exposed(), 0);
    app.page("/@ann").await;
    assert_eq!(exposed(), 1, "a page can be linked to");
    app.database.execute("UPDATE domains SET exposed_at = NULL");
    app.object("/users/ann/outbox").await;
    assert_eq!(exposed(), 1);
    assert!(domains::ensure_first(&app.app, NEW, Utc::now()).await.is_err());
    assert!(domains::ensure_first(&app.app, "https://m.example", Utc::now()).await.is_ok());

    let local = TestApp::start().await;
    local.import(archive.path()).await;
    local.object("/users/ann/outbox").await;
    assert_eq!(local.database.number("SELECT count(*) FROM domains WHERE exposed_at IS NOT NULL"), 0);
    assert_eq!(local.database.number("SELECT count(*) FROM posts WHERE exposed_at IS NOT NULL"), 0);
}

#[tokio::test]
async fn an_account_that_was_live_on_localhost_is_a_draft_under_its_first_real_name() {
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post(ONE, "<p>One.</p>").write(archive.path());
    let app = TestApp::start().await;
    app.import(archive.path()).await;
    domains::ensure_first(&app.app, NEW, Utc::now()).await.unwrap();
    let account = app.account("ann").await;
    assert_eq!(account.state, everpost::domain::account::AccountState::Draft);
    assert_eq!((account.address().as_str(), account.base_url.as_str()), ("ann@new.example", NEW));
}
