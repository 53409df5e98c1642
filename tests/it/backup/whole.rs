//! What comes back: every row and every file, under the same addresses, signed by the same keys.

use super::{MARK, SEQUENCES, archive, contents, files, filled, with_key};
use crate::private_postgres::Place;
use crate::support::{PATIENCE, Program, TestDatabase};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A program with an empty database that is not even migrated, and no data folder.
fn bare(database: &TestDatabase) -> Program {
    let mut program = Program::private();
    program.set("EVERPOST_DATABASE__URL", &database.url());
    program
}

/// Status line, ETag and body of an answer, whose head has a date and a request id too.
fn answer(place: &Place, path: &str) -> (String, String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", place.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n", place.port);
    stream.write_all(format!("{head}Accept: application/activity+json\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let etag = head.lines().find(|line| line.to_lowercase().starts_with("etag")).unwrap_or_default().to_owned();
    (line, etag, answer[end..].to_vec())
}

#[test]
fn an_instance_with_a_private_postgres_is_the_same_on_an_empty_machine() {
    let mut old = Place::new();
    with_key(&mut old.program);
    let path = archive(old.program.scratch());
    old.ok(&["import", path.to_str().unwrap(), "--include-private"]);
    let backups = old.program.scratch().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let mut server = old.serve();
    let ids = old.texts("SELECT id FROM posts ORDER BY id").unwrap();
    let picture = old.texts("SELECT sha256 || '.' || extension FROM media").unwrap().remove(0);
    let paths: Vec<String> = ids
        .iter()
        .map(|id| format!("/users/ann/statuses/{id}"))
        .chain([
            "/users/ann".into(),
            "/users/ann/outbox?page=true".into(),
            "/actor".into(),
            format!("/media/{picture}"),
        ])
        .collect();
    let before: Vec<_> = paths.iter().map(|path| answer(&old, path)).collect();
    assert!(before.iter().all(|(line, etag, _)| line.contains("200") && !etag.is_empty()));
    assert!(holds(&before[0].2, b"proofValue"), "what is compared is signed");
    let made = old.run(&["backup", backups.to_str().unwrap(), "--json"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains("WARNING") && made.stderr.contains("private keys"), "{}", made.stderr);
    let report: Value = serde_json::from_str(&made.stdout).unwrap();
    let file = report["path"].as_str().unwrap().to_owned();
    assert!(file.starts_with(backups.to_str().unwrap()) && file.ends_with(".tar.zst"), "{file}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((&report["posts"], &report["open_keys"], &report["troubles"]), (&json!(2), &json!(true), &json!([])));
    let rows = contents(|query| old.texts(query).unwrap());
    let sequences = old.texts(SEQUENCES).unwrap();
    let private = old.program.json(&["post", "list", "--private", "--json"]);
    server.end("TERM");
    let (media, sealed) = (files(&old.dir.join("media")), files(&old.dir.join("private")));

    // The other machine knows nothing: no configuration, no key.
    let mut new = Place::new();
    for name in ["EVERPOST_SERVER__BIND", "EVERPOST_SERVER__PUBLIC_URL"] {
        new.program.unset(name);
    }
    let said = new.ok(&["restore", &file]);
    for part in [
        "everpost.key",
        "restored.toml",
        "queue resume",
        "old server does not run",
        &format!("http://localhost:{}", old.port),
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    new.port = old.port;
    let config = new.dir.join("restored.toml");
    let config = config.to_str().unwrap();
    let server = new.start(&["--config", config, "serve"]);
    crate::private_postgres::until("the server is ready", 30, || (new.status("/readyz") == 200).then_some(()));
    assert_eq!(contents(|query| new.texts(query).unwrap()), rows);
    assert_eq!(new.texts(SEQUENCES).unwrap(), sequences);
    assert_eq!(new.texts("SELECT deliveries_paused_at IS NOT NULL FROM everpost_instance").unwrap(), ["true"]);
    assert_eq!(files(&new.dir.join("media")), media);
    assert_eq!(files(&new.dir.join("private")), sealed);
    let after: Vec<_> = paths.iter().map(|path| answer(&new, path)).collect();
    assert_eq!(after, before, "the same bytes under the same addresses, and the same signatures");
    assert_eq!(new.program.json(&["--config", config, "post", "list", "--private", "--json"]), private);
    assert!(private.to_string().contains(MARK));
    let proven = new.ok(&["--config", config, "verify"]);
    assert!(proven.starts_with("Everything is whole."), "{proven}");
    // What is sealed opens, the picture with it.
    let id = private[0]["id"].as_str().unwrap();
    let opened = new.program.scratch().join("opened");
    new.ok(&["--config", config, "post", "show", id, "--private", "--media", opened.to_str().unwrap()]);
    assert_eq!(std::fs::read(opened.join("1.png")).unwrap(), super::picture_of(40));
    // Nothing was lost, so the archive brings nothing new.
    let again = new.ok(&["--config", config, "import", path.to_str().unwrap(), "--include-private"]);
    assert!(again.lines().any(|line| line.trim() == "new                    0"), "{again}");
    drop(server);
}

#[test]
fn an_encrypted_backup_with_an_external_postgres_comes_back_with_the_passphrase() {
    let program = filled();
    let word = program.scratch().join("word");
    std::fs::write(&word, "correct horse\n").unwrap();
    let file = program.scratch().join("a.age");
    let made = program.run(&["backup", file.to_str().unwrap(), "--passphrase-file", word.to_str().unwrap()]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "no warning where keys are encrypted: {made:?}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt "));

    let database = TestDatabase::empty();
    let new = bare(&database);
    let mut restoring = new.command();
    restoring.env("EVERPOST_BACKUP_PASSPHRASE", "correct horse").args(["restore", file.to_str().unwrap(), "--json"]);
    let output = restoring.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["posts"], 2);
    assert_eq!(report["key_file"], new.data_dir().join("everpost.key").to_str().unwrap());
    assert_eq!(contents(|query| database.texts(query)), contents(|query| program.database().texts(query)));
    assert_eq!(shape(&database), shape(program.database()), "nothing that the tables promise was lost on the way");
    for folder in ["media", "private"] {
        assert_eq!(files(&new.data_dir().join(folder)), files(&program.data_dir().join(folder)), "{folder}");
    }
    let config = new.data_dir().join("restored.toml");
    let list =
        |program: &Program, more: &[&str]| program.json(&[more, &["post", "list", "--private", "--json"]].concat());
    assert_eq!(list(&new, &["--config", config.to_str().unwrap()]), list(&program, &[]));
}

/// Everything that the tables promise.
fn shape(database: &TestDatabase) -> Vec<String> {
    database.texts(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
         UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid)) FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace ORDER BY 1",
    )
}

#[test]
fn a_backup_of_an_earlier_version_is_migrated_after_it_was_loaded() {
    use everpost::store::Store;
    let program = filled();
    let file = program.scratch().join("a");
    program.ok(&["backup", file.to_str().unwrap()]);
    // The last migration makes tables of its own: without them it is a backup of the version before.
    let earlier = program.scratch().join("earlier");
    let last = program.database().texts("SELECT max(version) FROM __diesel_schema_migrations").remove(0);
    let before = TestDatabase::empty();
    let all = program.database().texts("SELECT version FROM __diesel_schema_migrations ORDER BY 1");
    Store::prepare_for_load(&before.url(), &all[..all.len() - 1]).unwrap();
    let known = before.texts(super::TABLES);
    super::refused::rewrite(&file, &earlier, |manifest| {
        let of = |value: &Value| value["name"].as_str().is_some_and(|name| known.iter().any(|known| known == name));
        manifest["tables"].as_array_mut().unwrap().retain(of);
        manifest["migrations"].as_array_mut().unwrap().retain(|version| *version != json!(last));
    });
    let database = TestDatabase::empty();
    let new = bare(&database);
    new.ok(&["restore", earlier.to_str().unwrap()]);
    assert_eq!(contents(|query| database.texts(query)), contents(|query| program.database().texts(query)));
    assert_eq!(Store::pending_migrations(&database.url()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_database_that_was_migrated_and_never_used_counts_as_empty() {
    let program = filled();
    let file = program.scratch().join("a");
    program.ok(&["backup", file.to_str().unwrap()]);
    let database = TestDatabase::new();
    bare(&database).ok(&["restore", file.to_str().unwrap()]);
    assert_eq!(database.number("SELECT count(*) FROM posts"), 2);
}

#[test]
fn without_the_key_file_a_backup_says_what_is_missing_and_holds_no_open_key() {
    let program = filled();
    let file = program.scratch().join("a");
    let made = program.run(&["backup", file.to_str().unwrap(), "--without-key"]);
    assert!(made.code == 0 && !made.stderr.contains("WARNING") && made.stderr.contains("own.key"), "{made:?}");
    let bytes = unpacked(&file);
    assert!(!holds(&bytes, &[7; 32]) && !holds(&bytes, b"everpost.key"));
    let database = TestDatabase::empty();
    let mut new = bare(&database);
    let said = new.ok(&["restore", file.to_str().unwrap()]);
    assert!(said.contains("bring your own copy"), "{said}");
    let config = new.data_dir().join("restored.toml");
    with_key(&mut new);
    new.ok(&["--config", config.to_str().unwrap(), "post", "list", "--private"]);
}

#[test]
fn no_secret_is_printed_logged_or_written_down_where_it_can_be_read() {
    let mut program = filled();
    let url = program.database().url().replace("//everpost@", "//everpost:hunter2@");
    program.set("EVERPOST_DATABASE__URL", &url);
    program.set("EVERPOST_LOG", "debug");
    let file = program.scratch().join("a");
    let encrypted = program.scratch().join("b");
    let word = program.scratch().join("word");
    std::fs::write(&word, "correct horse").unwrap();
    let plain = program.run(&["backup", file.to_str().unwrap()]);
    let closed = program.run(&["backup", encrypted.to_str().unwrap(), "--passphrase-file", word.to_str().unwrap()]);
    let database = TestDatabase::empty();
    let mut new = bare(&database);
    new.set("EVERPOST_LOG", "debug");
    new.set("EVERPOST_DATABASE__URL", &database.url().replace("//everpost@", "//everpost:hunter2@"));
    let opened = new.run(&["restore", encrypted.to_str().unwrap(), "--passphrase-file", word.to_str().unwrap()]);
    for outcome in [&plain, &closed, &opened] {
        assert_eq!(outcome.code, 0, "{outcome:?}");
        for secret in ["hunter2", "correct horse", &"07".repeat(16), MARK] {
            assert!(!format!("{outcome:?}").contains(secret), "{secret}: {outcome:?}");
        }
    }
    let bytes = unpacked(&file);
    assert!(holds(&bytes, &[7; 32]), "the key is in it, as the warning says");
    for secret in ["hunter2", MARK] {
        assert!(!holds(&bytes, secret.as_bytes()), "{secret}");
    }
    let config = std::fs::read_to_string(new.data_dir().join("restored.toml")).unwrap();
    assert!(!config.contains("hunter2"), "{config}");
    for file in ["restored.toml", "everpost.key"] {
        let mode = std::fs::metadata(new.data_dir().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn media_that_were_missing_or_damaged_before_are_told_and_cost_nothing_else() {
    let program = filled();
    let folder = program.data_dir().join("media");
    let whole = files(&folder);
    let (name, bytes) = whole.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut flipped = bytes.clone();
    flipped[50] ^= 1;
    std::fs::write(folder.join(name), flipped).unwrap();
    let shown = name.file_name().unwrap().to_str().unwrap();
    for (file, why) in [("a", "not those of its name"), ("b", "not there")] {
        let file = program.scratch().join(file);
        let made = program.run(&["backup", file.to_str().unwrap()]);
        assert_eq!(made.code, 3, "{made:?}");
        assert!(made.stdout.contains(shown) && made.stdout.contains(why), "{made:?}");
        let database = TestDatabase::empty();
        let said = bare(&database).ok(&["restore", file.to_str().unwrap()]);
        assert!(said.contains("1 media files were missing or damaged"), "{said}");
        assert_eq!(database.number("SELECT count(*) FROM posts"), 2);
        // Gone for the second time round.
        drop(std::fs::remove_file(folder.join(name)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_private_is_not_removed_while_a_backup_still_has_to_copy_it() {
    let program = filled();
    let store = everpost::store::Store::connect(&program.database().url(), 2).unwrap();
    let held = store.hold_sealed().await.unwrap();
    let sealed = || files(&program.data_dir().join("private")).len();
    assert_eq!(sealed(), 1);
    let id = program.json(&["post", "list", "--private", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let mut withdrawing = program.command().args(["post", "withdraw", &id, "--private"]).spawn().unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    crate::private_postgres::until("it waits", 60, || (program.database().number(waits) > 0).then_some(()));
    assert_eq!((sealed(), withdrawing.try_wait().unwrap()), (1, None));
    held.release().await.unwrap();
    assert!(withdrawing.wait().unwrap().success());
    assert_eq!(sealed(), 0);
}

fn unpacked(file: &Path) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}
