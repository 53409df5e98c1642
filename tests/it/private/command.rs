//! The command line: refused without a key, opened with it, and silent where something does not open.

use super::{Archive, MARK, ONE, THREE, TWO, hidden, key, public, with_media};
use crate::support::{Bundle, Program};
use serde_json::json;

/// A program with a key file of sevens, and the archive imported into its database.
fn program(archive: &Archive) -> Program {
    let mut program = Program::new();
    let file = program.scratch().join("everpost.key");
    std::fs::write(&file, [7; 32]).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    if !archive.items.is_empty() {
        let path = archive.write(program.scratch());
        program.ok(&["import", path.to_str().unwrap(), "--include-private"]);
    }
    program
}

fn archive() -> Archive {
    let posts = [public(ONE, "For all."), with_media(hidden(TWO), &["a.png"]), hidden(THREE)];
    Archive::new(&posts).with_media(&[])
}

#[test]
fn without_a_key_file_private_posts_are_refused_before_anything_is_written() {
    let program = Program::new();
    Bundle::new().post(ONE, "<p>One.</p>").write(&program.scratch().join("archive"));
    for more in [&[][..], &["--dry-run"]] {
        let outcome = program.run(&[&["import", "archive", "--include-private"], more].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
        for part in ["secrets.key_file", "openssl rand -hex 32 > everpost.key && chmod 600 everpost.key"] {
            assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
        }
    }
    assert_eq!(program.database().number("SELECT count(*) FROM accounts"), 0);
    assert!(!program.data_dir().join("private").exists());
    let shell = "openssl rand -hex 32 > everpost.key && chmod 600 everpost.key";
    let made = std::process::Command::new("sh").args(["-c", shell]).current_dir(program.scratch()).status().unwrap();
    assert!(made.success());
    let report =
        program.json(&["--set", "secrets.key_file=everpost.key", "import", "archive", "--include-private", "--json"]);
    let none = json!({ "stored": 0, "unchanged": 0, "left_out": 0, "made_public": 0, "still_public": [] });
    assert_eq!((&report["created"], &report["private"]), (&json!(1), &none));
}

#[test]
fn private_posts_are_listed_and_shown_by_number_and_by_key_to_who_has_the_key_file() {
    let program = program(&archive());
    let list = program.json(&["post", "list", "--private", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let (newest, older) = (&list[0], &list[1]);
    assert_eq!((&newest["published"], &newest["state"]), (&json!(THREE), &json!("private")));
    let id = older["id"].as_str().unwrap();
    let before = newest["id"].as_str().unwrap();
    assert_eq!(&program.json(&["post", "list", "--private", "--before", before, "--json"])[0], older);
    assert!(program.ok(&["post", "list", "--private"]).contains(MARK));
    assert_eq!(&program.json(&["post", "show", id, "--private", "--json"]), older);
    assert_eq!(&program.json(&["post", "show", &key(TWO).0, "--private", "--json"]), older);
    assert!(older["source"].as_str().unwrap().contains(MARK) && older["attachments"][0]["media_type"] == "image/png");
    let shown = program.ok(&["post", "show", id, "--private", "--media", "opened"]);
    assert!(shown.ends_with(&format!("\n\n{MARK} at {TWO}, only for you\n")), "{shown}");
    assert_eq!(std::fs::read(program.scratch().join("opened/1.png")).unwrap(), super::picture("a.png"));
    let again = program.run(&["post", "show", id, "--private", "--media", "opened"]);
    assert!(again.code == 1 && !again.stderr.contains(MARK), "nothing is written over: {again:?}");
    for public in [&["post", "list", "--json"][..], &["post", "list"], &["account", "show", "ann", "--json"]] {
        assert!(!program.ok(public).contains(MARK), "{public:?}");
    }
    let absent = program.run(&["post", "show", "999", "--private"]);
    assert!(absent.code == 1 && absent.stderr.contains("ann has no private post 999"), "{absent:?}");
}

#[test]
fn a_wrong_key_or_a_damaged_row_shows_nothing_and_says_why() {
    let mut program = program(&archive());
    let id = program.json(&["post", "list", "--private", "--json"])[1]["id"].as_str().unwrap().to_owned();
    let silent = |program: &Program, told: &str| {
        for command in [&["post", "list", "--private"][..], &["post", "show", &id, "--private", "--json"]] {
            let outcome = program.run(command);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
            assert!(outcome.stderr.contains(told) && !outcome.stderr.contains(MARK), "{}", outcome.stderr);
        }
    };
    program.database().execute(&format!(
        "UPDATE private_posts SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE id = {id}"
    ));
    silent(&program, &format!("private post {id} does not open"));
    let other = program.scratch().join("other.key");
    std::fs::write(&other, [8; 32]).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", other.to_str().unwrap());
    silent(&program, "secrets.key_file");
    program.set("EVERPOST_SECRETS__KEY_FILE", "");
    silent(&program, "secrets.key_file");
}

#[test]
fn not_even_the_most_talkative_log_shows_a_private_word() {
    let mut program = program(&Archive::default());
    program.set("EVERPOST_LOG", "trace");
    let path = archive().write(program.scratch());
    let import = program.run(&["import", path.to_str().unwrap(), "--include-private"]);
    assert!(import.code == 0 && import.stderr.contains("TRACE") && !import.stderr.contains(MARK), "{}", import.stderr);
    let id = program.json(&["post", "list", "--private", "--json"])[1]["id"].as_str().unwrap().to_owned();
    for command in [
        &["post", "list", "--private"][..],
        &["post", "show", &id, "--private", "--media", "opened"],
        &["post", "withdraw", &id, "--private"],
        &["account", "delete", "ann", "--forever"],
    ] {
        let outcome = program.run(command);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("DEBUG") || outcome.stderr.contains("TRACE"), "the log is on");
        assert!(!outcome.stderr.contains(MARK), "{command:?}: {}", outcome.stderr);
    }
    assert_eq!(program.database().number("SELECT count(*) FROM private_posts"), 0);
    assert_eq!(super::files(&program.data_dir().join("private")), Vec::<std::path::PathBuf>::new());
}
