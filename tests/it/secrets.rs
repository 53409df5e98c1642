//! Private keys and passwords: sealed at rest where a key file is set, and never in anything that is printed or logged.

use crate::support::{Bundle, Outcome, Program};
use serde_json::json;
use std::path::PathBuf;

/// A program whose private keys are sealed, and its key file.
fn sealed() -> (Program, PathBuf) {
    let mut program = Program::new();
    let file = program.scratch().join("everpost.key");
    std::fs::write(&file, format!("{}\n", "5a".repeat(32))).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    program.ok(&["account", "create", "ann"]);
    (program, file)
}

/// The stored private halves, in hexadecimal digits.
fn private_keys(program: &Program) -> Vec<String> {
    program.database().texts("SELECT encode(private_key, 'hex') FROM keys ORDER BY id")
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn opens(hex: &str) -> bool {
    openssl::pkey::PKey::private_key_from_der(&bytes(hex)).is_ok()
}

#[test]
fn with_a_key_file_no_stored_private_key_can_be_read() {
    let (program, _) = sealed();
    let keys = private_keys(&program);
    assert_eq!(keys.len(), 4, "the server actor's and the account's");
    assert!(!keys.iter().any(|key| opens(key)));
    // The head of PKCS#8: a sequence, version 0, and the identifiers of RSA and of Ed25519.
    for head in ["020100300d06092a864886f70d010101", "020100300506032b6570"] {
        assert!(!keys.iter().any(|key| key.contains(head)), "{head}");
    }
    assert_eq!(program.database().number("SELECT count(*) FROM keys WHERE NOT sealed"), 0);
}

#[test]
fn without_a_key_file_keys_lie_open_and_are_sealed_once_one_is_set() {
    let mut program = Program::new();
    program.ok(&["account", "create", "ann"]);
    let open = private_keys(&program);
    assert!(open.iter().all(|key| opens(key)));
    let public = "SELECT public_key FROM keys ORDER BY id";
    let before = program.database().texts(public);
    let file = program.scratch().join("everpost.key");
    std::fs::write(&file, [7; 32]).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    program.ok(&["account", "list"]);
    assert!(!private_keys(&program).iter().any(|key| opens(key)));
    assert_eq!(program.database().texts(public), before, "the keys are the same");
    program.ok(&["account", "list"]);
}

#[test]
fn a_start_with_a_missing_or_a_wrong_key_file_is_refused_with_its_name() {
    let (mut program, file) = sealed();
    let kept = private_keys(&program);
    let refused = |program: &Program, told: &str| {
        for arguments in [&["account", "list"][..], &["serve", "--set", "server.bind=127.0.0.1:0"]] {
            let outcome = program.run(arguments);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
            assert!(outcome.stderr.contains("key_file") && outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
        }
    };
    std::fs::write(&file, "5b".repeat(32)).unwrap();
    refused(&program, "not the one that sealed it");
    std::fs::write(&file, "too short").unwrap();
    refused(&program, file.to_str().unwrap());
    std::fs::remove_file(&file).unwrap();
    refused(&program, file.to_str().unwrap());
    program.set("EVERPOST_SECRETS__KEY_FILE", "");
    refused(&program, "is not set");
    assert_eq!(private_keys(&program), kept, "nothing was written over");
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    std::fs::write(&file, "5a".repeat(32)).unwrap();
    program.ok(&["account", "list"]);
}

/// A secret in every form in which a log could hold it.
fn forms(secret: &[u8]) -> Vec<String> {
    let decimal: Vec<String> = secret.iter().map(u8::to_string).collect();
    vec![
        decimal.join(", "),
        secret.iter().map(|byte| format!("{byte:02x}")).collect(),
        openssl::base64::encode_block(secret),
    ]
}

#[test]
fn not_even_the_most_talkative_log_shows_a_private_key_or_a_password() {
    for key_file in [true, false] {
        let mut program = Program::new();
        let password = "correct-horse-battery";
        let url = program.database().url().replacen("everpost@", &format!("everpost:{password}@"), 1);
        assert!(url.contains(password));
        program.set("EVERPOST_DATABASE__URL", &url);
        program.set("EVERPOST_LOG", "trace");
        let secret = [0x5a; 32];
        if key_file {
            let file = program.scratch().join("everpost.key");
            std::fs::write(&file, secret).unwrap();
            program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
        }
        Bundle::new().post("2024-01-01T10:00:00Z", "<p>One.</p>").write(&program.scratch().join("archive"));
        let commands = [
            &["account", "create", "bob"][..],
            &["import", "archive"],
            &["account", "show", "bob"],
            &["account", "list", "--json"],
            &["config", "check"],
            &["config", "check", "--json"],
            &["domain", "list"],
        ];
        let mut said: Vec<Outcome> = commands.iter().map(|command| program.run(command)).collect();
        assert!(said.iter().all(|outcome| outcome.code == 0), "{said:?}");
        assert!(
            said.iter().any(|outcome| outcome.stderr.contains("TRACE") || outcome.stderr.contains("DEBUG")),
            "the log is on"
        );
        program.set("EVERPOST_DATABASE__URL", &url.replace("/it_", "/gone_it_"));
        said.push(program.run(&["account", "list"]));
        assert_eq!(said.last().unwrap().code, 1);
        let mut hidden = vec![password.to_owned()];
        for key in private_keys(&program) {
            // The middle of the key: its head is the same for all.
            let key = bytes(&key);
            hidden.extend(forms(&key[key.len() - 28..key.len() - 4]));
        }
        if key_file {
            hidden.extend(forms(&secret[..24]));
        }
        for outcome in said {
            for secret in &hidden {
                assert!(!outcome.stdout.contains(secret), "{secret}: {}", outcome.stdout);
                let line = outcome.stderr.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "{secret}");
            }
        }
    }
}

#[test]
fn the_checked_configuration_masks_secrets_and_says_what_is_in_force() {
    let mut program = Program::private();
    let file = program.scratch().join("everpost.toml");
    let text = "[server]\ncontact = \"ann@example.org\"\n[database]\nurl = \"postgres://ann:hunter2@db.example/x?sslpassword=hunter3\"\npool_size = 7\n";
    std::fs::write(&file, text).unwrap();
    program.set("EVERPOST_SERVER__CONTACT", "from the environment");
    let check = |more: &[&str]| {
        let arguments = [&["config", "check", "--config", file.to_str().unwrap()], more].concat();
        (program.ok(&arguments), program.json(&[&arguments[..], &["--json"]].concat()))
    };
    let (plain, object) = check(&["--set", "database.pool_size=9"]);
    assert!(!plain.contains("hunter") && !object.to_string().contains("hunter"), "{plain}");
    assert!(plain.contains("database.url = postgres://ann:***@db.example/x"), "{plain}");
    assert_eq!(
        (&object["server.contact"], &object["database.pool_size"]),
        (&json!("from the environment"), &json!("9"))
    );
    let keys: Vec<&str> = plain.lines().map(|line| line.split(" = ").next().unwrap()).collect();
    assert_eq!(
        object.as_object().unwrap().keys().collect::<Vec<_>>(),
        keys,
        "both forms name every key in the same order"
    );
    assert!(!program.data_dir().exists(), "a check starts nothing");
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_told_by_line_without_quoting_it() {
    let program = Program::private();
    let file = program.scratch().join("everpost.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let outcome = program.run(&["config", "check", "--config", file.to_str().unwrap()]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
        assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
        outcome.stderr
    };
    let message = check("[database]\nurl = postgres://ann:hunter2@db.example/x\n");
    assert!(message.contains("everpost.toml") && message.contains("line 2"), "{message}");
    let message = check("[database]\nurl = [\"postgres://ann:hunter2@db.example/x\"]\n");
    assert!(message.contains("database.url") && message.contains("text in quotes"), "{message}");
    let message = check("[database]\nurl = \"mysql://ann:hunter2@db.example/x\"\n");
    assert!(message.contains("database.url") && message.contains("postgres://user:password@host/name"), "{message}");
    let message = check("[server]\nbindd = \"127.0.0.1:1\"\n");
    for part in ["server.bindd", "line 2", "public_url"] {
        assert!(message.contains(part), "{message}");
    }
}
