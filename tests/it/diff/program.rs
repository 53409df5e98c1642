//! `everpost diff` as a person and a script use it.

use crate::support::{Bundle, Program, status_id};
use serde_json::json;

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";

fn program(words: &str) -> Program {
    let program = Program::new();
    Bundle::new().post(ONE, words).write(&program.scratch().join("archive"));
    program.ok(&["import", "archive"]);
    program
}

#[test]
fn equal_ends_with_0_and_a_difference_with_1_and_a_failure_with_2() {
    let program = program("<p>One.</p>");
    let equal = program.run(&["diff", "@ann", "archive"]);
    assert_eq!((equal.code, equal.stdout.lines().next()), (0, Some("Equal.")), "{equal:?}");
    Bundle::new().post(ONE, "<p>Another.</p>").post(TWO, "<p>Two.</p>").write(&program.scratch().join("later"));
    let other = program.run(&["diff", "ann", "later"]);
    assert_eq!(other.code, 1, "{other:?}");
    let key = format!("mastodon:origin.example:{}", status_id(ONE));
    assert!(
        other.stdout.starts_with(&format!("differs: {key}\n  content\n    A  <p>One.</p>\n    B  <p>Another.</p>\n")),
        "{other:?}"
    );
    let second = format!("only in B: mastodon:origin.example:{}  2024-01-01T10:05:00.000Z  Two.", status_id(TWO));
    assert!(other.stdout.contains(&second) && other.stdout.contains("2 things differ; see above."), "{other:?}");
    let value = program.run(&["diff", "ann", "later", "--json"]);
    assert_eq!(value.code, 1, "{value:?}");
    let value: serde_json::Value = serde_json::from_str(&value.stdout).unwrap();
    assert_eq!((&value["equal"], &value["differences"]), (&json!(false), &json!(2)));
    assert_eq!(
        value["findings"][0]["fields"][0],
        json!({ "field": "content", "a": "<p>One.</p>", "b": "<p>Another.</p>" })
    );
    let failures = [
        (&["diff", "@nobody", "archive"][..], "there is no account nobody"),
        (&["diff", "@ann", "@nobody"], "there is no account nobody"),
        (&["diff", "@ann@elsewhere.example", "archive"], "there is no account @ann@elsewhere.example here"),
        (&["diff", "@ann", "./nowhere"], "there is no file or folder ./nowhere"),
        (&["diff", "@ann", "archive", "--include-private"], "secrets.key_file"),
        (&["diff", "@ann", "@ann", "--other-config", "absent.toml"], "absent.toml"),
    ];
    for (arguments, told) in failures {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(told), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(program.run(&["diff", "@ann"]).code, 64);
}

#[test]
fn an_account_of_another_instance_is_named_by_its_configuration_file() {
    let (one, two) = (program("<p>One.</p>"), program("<p>Two.</p>"));
    let file = one.scratch().join("other.toml");
    let text = format!(
        "[database]\nurl = {:?}\n[storage]\ndata_dir = {:?}\n",
        two.database().url(),
        two.data_dir().to_str().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let other = one.run(&["diff", "ann", "ann", "--other-config", file]);
    assert!(other.code == 1 && other.stdout.contains("A  <p>One.</p>\n    B  <p>Two.</p>"), "{other:?}");
    let address = format!(
        "@{}",
        one.json(&["account", "show", "ann", "--json"])["address"].as_str().unwrap().trim_start_matches('@')
    );
    let same = one.run(&["diff", &address, "@ann"]);
    assert_eq!(same.code, 0, "an account equals itself: {same:?}");
}
