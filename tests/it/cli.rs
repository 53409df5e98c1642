//! The command line as a person and a script use it: what it prints, in which form, and how it ends.

use crate::support::{Bundle, Program, fixture, status_id};
use serde_json::{Value, json};

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";
const PICTURE: &str = "hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png";

/// A program with an account that keeps two posts.
fn program() -> Program {
    let program = Program::new();
    Bundle::new().post(ONE, "<p>One.</p>").post(TWO, "<p>Two.</p>").write(&program.scratch().join("archive"));
    program.ok(&["import", "archive"]);
    program
}

/// A run that ends with 1, prints nothing on standard output, and says this.
fn fails(program: &Program, arguments: &[&str], told: &[&str]) {
    let outcome = program.run(arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments:?}: {outcome:?}");
    for part in told {
        assert!(outcome.stderr.contains(part), "{arguments:?}: {part:?} is not in {}", outcome.stderr);
    }
}

fn show(program: &Program) -> Value {
    program.json(&["account", "show", "ann", "--json"])
}

#[test]
fn wrong_usage_is_exit_code_64_and_help_is_0() {
    let program = Program::private();
    let wrong = [
        &["frobnicate"][..],
        &["import"],
        &["import", "x", "--format", "epub"],
        &["account"],
        &["account", "set", "ann"],
        &["post", "show", "not-a-number"],
        &["post", "withdraw", "not-a-number"],
        &["post", "show", "1", "--media", "folder"],
        &["post", "list", "--private", "--withdrawn"],
        &["post", "list", "--limit", "0"],
        &["domain", "rename", "https://a.example"],
        &["config", "check", "--colour"],
    ];
    for arguments in wrong {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (64, ""), "{arguments:?}: {outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
    for arguments in [&["--help"][..], &["--version"], &["import", "--help"], &["account", "set", "--help"]] {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{arguments:?}");
    }
    assert!(!program.data_dir().exists(), "none of this starts a database");
}

#[test]
fn a_new_account_is_live_on_localhost_and_a_draft_elsewhere_until_it_is_published() {
    let mut program = Program::new();
    let local = program.json(&["account", "create", "@Ann", "--json"]);
    assert_eq!((&local["handle"], &local["state"], &local["preview"]), (&json!("ann"), &json!("live"), &Value::Null));
    program.set("EVERPOST_SERVER__PUBLIC_URL", "https://m.example");
    let draft = program.json(&["account", "create", "bob", "--json"]);
    assert_eq!((&draft["state"], &draft["address"]), (&json!("draft"), &json!("@bob@m.example")));
    assert!(draft["preview"].as_str().unwrap().starts_with("https://m.example/@bob?preview="));
    assert!(program.ok(&["account", "publish", "bob"]).contains("@bob@m.example is live"));
    let live = program.json(&["account", "show", "bob", "--json"]);
    assert_eq!((&live["state"], &live["preview"]), (&json!("live"), &Value::Null));
    let keys = "SELECT count(*) FROM keys WHERE account_id IS NOT NULL";
    assert_eq!(program.database().number(keys), 4, "an RSA and an Ed25519 pair each");
}

#[test]
fn lists_and_shows_say_the_same_to_people_and_to_scripts() {
    let program = program();
    let accounts = program.json(&["account", "list", "--json"]);
    assert_eq!((&accounts[0]["handle"], &accounts[0]["posts"]), (&json!("ann"), &json!(2)));
    assert_eq!(accounts[0], show(&program));
    let list = program.ok(&["account", "list"]);
    assert!(list.contains("@ann@localhost:8080") && list.contains("2 posts") && list.contains("@ann@origin.example"));
    let shown = program.ok(&["account", "show", "ann"]);
    assert!(shown.contains("hashtags = recent") && shown.contains("rel=\"me\""), "{shown}");

    let posts = program.json(&["post", "list", "--json"]);
    assert_eq!(posts.as_array().unwrap().iter().map(|post| &post["published"]).collect::<Vec<_>>(), [TWO, ONE]);
    let (one, two) = (status_id(ONE).to_string(), status_id(TWO).to_string());
    assert_eq!(program.json(&["post", "list", "--limit", "1", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(program.json(&["post", "list", "--before", &two, "--json"])[0]["id"], one.as_str());
    let post = program.json(&["post", "show", &two, "--json"]);
    assert_eq!(post, posts[0]);
    assert_eq!((&post["reply_to"], &post["state"]), (&json!(one), &json!("live")));
    assert_eq!(post["canonical"], format!("https://origin.example/@ann/{two}"));
    assert!(program.ok(&["post", "list"]).contains("Two."));
    assert!(program.ok(&["post", "show", &two]).contains(&format!("https://origin.example/@ann/{two}")));
}

#[test]
fn with_json_nothing_else_is_on_standard_output() {
    let program = program();
    let id = status_id(ONE).to_string();
    let commands = [
        &["account", "list"][..],
        &["account", "show", "ann"],
        &["account", "create", "bob"],
        &["post", "list", "--account", "ann"],
        &["post", "list", "--withdrawn", "--account", "ann"],
        &["post", "show", &id, "--account", "ann"],
        &["domain", "list"],
        &["config", "check"],
        &["import", "archive"],
        &["import", "archive", "--dry-run"],
    ];
    for command in commands {
        program.json(&[command, &["--json"]].concat());
    }
}

#[test]
fn the_account_need_not_be_named_while_there_is_one() {
    let program = program();
    let id = status_id(ONE).to_string();
    program.ok(&["post", "show", &id]);
    program.ok(&["account", "create", "bob"]);
    for command in
        [&["post", "list"][..], &["post", "show", &id], &["post", "withdraw", &id], &["post", "restore", &id]]
    {
        fails(&program, command, &["--account", "ann, bob"]);
    }
    program.ok(&["post", "show", &id, "--account", "ANN"]);
    fails(&program, &["post", "show", &id, "--account", "bob"], &["bob has no post", &id]);
}

#[test]
fn an_error_names_what_there_is() {
    let program = Program::new();
    fails(&program, &["post", "list"], &["there is no account yet", "everpost import PATH"]);
    fails(&program, &["account", "show", "ann"], &["there is no account ann", "everpost account create"]);
    assert!(program.ok(&["account", "list"]).contains("everpost import PATH"));
    program.ok(&["account", "create", "bob"]);
    fails(&program, &["account", "show", "ann"], &["there is no account ann; there are: bob"]);
    fails(&program, &["account", "create", "bob"], &["the handle bob is taken"]);
    fails(&program, &["account", "create", "media"], &["the server's own"]);
    fails(&program, &["account", "create", "Ann O."], &["a-z, 0-9 and _"]);
    fails(&program, &["post", "withdraw", "42"], &["post 42 is not there"]);
    fails(
        &program,
        &["account", "set", "bob", "colour=red"],
        &["colour", "provenance_line", "publish.boosts", "field.<name>"],
    );
    fails(&program, &["account", "set", "bob", "links=away"], &["here, origin"]);
    fails(&program, &["account", "set", "bob", "discoverable=yes"], &["true, false"]);
    fails(&program, &["account", "set", "bob", "hashtags"], &["KEY=VALUE"]);
}

#[test]
fn a_profile_is_set_and_emptied_word_by_word() {
    let program = program();
    let picture = fixture(PICTURE);
    let avatar = format!("avatar={}", picture.display());
    program.ok(&[
        "account",
        "set",
        "ann",
        "name=Ann of the Harbour",
        "summary=Clocks & bells.\nNothing else.",
        &avatar,
    ]);
    program.ok(&[
        "account",
        "set",
        "ann",
        "field.Web=https://ann.example",
        "field.Clock=slow",
        &format!("header={}", picture.display()),
    ]);
    let shown = show(&program);
    assert_eq!(shown["name"], "Ann of the Harbour");
    assert_eq!(shown["summary"], "<p>Clocks &amp; bells.<br>Nothing else.</p>");
    let fields = json!([{ "name": "Web", "value": "https://ann.example" }, { "name": "Clock", "value": "slow" }]);
    assert_eq!(shown["fields"], fields);
    assert!(shown["avatar"].as_str().unwrap().starts_with("http://localhost:8080/media/"));
    assert_eq!(shown["avatar"], shown["header"], "one file for both");
    let files = || program.database().number("SELECT count(*) FROM media");
    assert_eq!(files(), 1);
    program.ok(&["account", "set", "ann", "field.Web=", "avatar="]);
    let shown = show(&program);
    assert_eq!((&shown["avatar"], files()), (&Value::Null, 1), "the header still shows it");
    assert_eq!(shown["fields"], json!([{ "name": "Clock", "value": "slow" }]));
    program.ok(&["account", "set", "ann", "field.Clock=", "header=", "name=", "summary="]);
    let shown = show(&program);
    assert_eq!((&shown["header"], files()), (&Value::Null, 0));
    assert_eq!((&shown["name"], &shown["summary"], &shown["fields"]), (&json!(""), &json!(""), &json!([])));
}

#[test]
fn a_change_that_is_refused_in_part_changes_nothing() {
    let program = program();
    let before = show(&program);
    let text = program.scratch().join("text.png");
    std::fs::write(&text, "<svg onload='x'/>").unwrap();
    let avatar = format!("avatar={}", text.display());
    fails(&program, &["account", "set", "ann", "name=New", &avatar], &["text.png"]);
    fails(&program, &["account", "set", "ann", "name=New", "avatar=nowhere.png"], &["nowhere.png"]);
    fails(&program, &["account", "set", "ann", "name=New", "colour=red"], &["colour"]);
    fails(&program, &["account", "set", "ann", &format!("name={}", "x".repeat(3000))], &["too long"]);
    fails(&program, &["account", "set", "ann", "handle_domain=https://example.org/"], &["host name"]);
    assert_eq!(show(&program), before);
}

#[test]
fn a_summary_cannot_bring_a_script_onto_the_page() {
    let program = program();
    program.ok(&[
        "account",
        "set",
        "ann",
        "summary=<p onclick=x>Hi<script>x()</script> <a rel=me href='https://ann.example'>me</a></p>",
    ]);
    let summary = show(&program)["summary"].as_str().unwrap().to_owned();
    assert!(!summary.contains("script") && !summary.contains("onclick") && !summary.contains("rel=\"me"), "{summary}");
}

#[test]
fn somebody_elses_mirror_cannot_be_made_discoverable() {
    let program = program();
    program.ok(&["account", "set", "ann", "discoverable=true", "indexable=true"]);
    assert_eq!(show(&program)["settings"]["discoverable"], true);
    program.ok(&["account", "set", "ann", "operator=third-party"]);
    let settings = show(&program)["settings"].clone();
    assert_eq!((&settings["discoverable"], &settings["indexable"]), (&json!(false), &json!(false)));
    for key in ["discoverable", "indexable"] {
        fails(&program, &["account", "set", "ann", &format!("{key}=true")], &[key, "third party"]);
    }
    fails(&program, &["account", "set", "ann", "discoverable=true", "operator=third-party"], &[]);
}

#[test]
fn posts_are_withdrawn_and_come_back_with_the_next_import_after_a_restore() {
    let program = program();
    let id = status_id(TWO).to_string();
    assert!(program.ok(&["post", "withdraw", &id]).contains("410"));
    assert!(program.ok(&["post", "withdraw", &id]).contains("before"));
    let tombstone = program.json(&["post", "show", &id, "--json"]);
    assert_eq!((&tombstone["state"], &tombstone["published"]), (&json!("withdrawn"), &json!(TWO)));
    assert_eq!(program.json(&["post", "list", "--withdrawn", "--json"]), json!([tombstone]));
    assert_eq!(program.json(&["post", "list", "--json"]).as_array().unwrap().len(), 1);
    assert!(program.ok(&["import", "archive"]).contains("it was withdrawn on"));
    program.ok(&["post", "restore", &id]);
    assert_eq!(program.json(&["post", "show", &id, "--json"])["state"], "awaited");
    assert_eq!(program.json(&["import", "archive", "--json"])["updated"], 1);
    assert_eq!(program.json(&["post", "show", &id, "--json"])["state"], "live");
    fails(&program, &["post", "restore", &id], &["nothing to restore"]);
}

#[test]
fn an_account_is_deleted_only_for_ever() {
    let program = program();
    fails(&program, &["account", "delete", "ann"], &["--forever", "everpost post withdraw"]);
    program.ok(&["account", "delete", "ann", "--forever"]);
    fails(&program, &["account", "show", "ann"], &["was deleted on"]);
    fails(&program, &["account", "create", "ann"], &["never given twice"]);
    fails(&program, &["import", "archive"], &["everpost account create ann2"]);
    assert_eq!(program.json(&["account", "list", "--json"]), json!([]));
    for table in ["posts", "post_sources", "contexts", "media"] {
        assert_eq!(program.database().number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(program.database().number("SELECT count(*) FROM keys WHERE account_id IS NOT NULL"), 0);
}

#[test]
fn migrate_says_what_it_did_and_then_that_there_is_nothing_to_do() {
    let database = crate::support::TestDatabase::empty();
    let mut program = Program::private();
    program.set("DATABASE_URL", &database.url());
    assert!(program.ok(&["migrate"]).lines().all(|line| line.starts_with("migrated: ")));
    assert_eq!(database.number("SELECT count(*) FROM everpost_instance"), 1);
    assert_eq!(program.ok(&["migrate"]), "The tables are up to date.\n");
}

#[test]
fn who_stops_reading_the_output_hears_of_no_failure() {
    use std::process::Stdio;
    let program = program();
    // The reader's end of the pipe is closed before anything is printed.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program.command();
    command.args(["config", "check"]).stdout(writer).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(141));
}
