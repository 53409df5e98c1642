//! What cannot be restored is refused with a reason, before anything is touched.

use super::{filled, with_key};
use crate::support::{Program, TestDatabase};
use everpost::operations::backup::{Passphrase, verify};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A backup of a small instance, in the instance's own folder.
fn backup(program: &Program, name: &str, more: &[&str]) -> PathBuf {
    let file = program.scratch().join(name);
    program.ok(&[&["backup", file.to_str().unwrap()], more].concat());
    file
}

/// Write a backup anew with another manifest, and a sum that fits.
pub fn rewrite(from: &Path, to: &Path, change: impl Fn(&mut Value)) {
    let packed = std::fs::File::open(from).unwrap();
    let mut tar = tar::Archive::new(zstd::Decoder::new(packed).unwrap());
    let out = zstd::Encoder::new(std::fs::File::create(to).unwrap(), 1).unwrap();
    let mut out = tar::Builder::new(out);
    let mut sum = openssl::sha::Sha256::new();
    let (mut members, mut total, mut tables) = (0, 0, Vec::new());
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        match name.as_str() {
            "manifest.json" => {
                let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
                change(&mut manifest);
                let named = manifest["tables"].as_array().unwrap().iter();
                tables = named.map(|table| table["name"].as_str().unwrap().to_owned()).collect();
                bytes = manifest.to_string().into_bytes();
            }
            "end.json" => {
                let mut end: Value = serde_json::from_slice(&bytes).unwrap();
                let digest = sum.clone().finish();
                end["sha256"] = json!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
                (end["members"], end["bytes"]) = (json!(members), json!(total));
                bytes = end.to_string().into_bytes();
            }
            other => {
                let table = other.strip_prefix("database/").and_then(|rest| rest.split('/').next());
                if table.is_some_and(|table| !tables.iter().any(|known| known == table)) {
                    continue;
                }
            }
        }
        (members, total) = (members + 1, total + bytes.len());
        sum.update(format!("{name}\n{}\n", bytes.len()).as_bytes());
        sum.update(&bytes);
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        out.append_data(&mut header, &name, &bytes[..]).unwrap();
    }
    out.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

/// A restore that has to fail, and touch nothing; what it says.
fn refusal(file: &Path, more: &[&str]) -> String {
    let database = TestDatabase::empty();
    let mut new = Program::private();
    new.set("EVERPOST_DATABASE__URL", &database.url());
    let outcome = new.run(&[&["restore", file.to_str().unwrap()], more].concat());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{outcome:?}");
    assert!(!new.data_dir().exists(), "{outcome:?}");
    assert_eq!(database.texts(super::TABLES), [] as [&str; 0], "{outcome:?}");
    // The same where the database would be a private one: no cluster is made.
    let private = Program::private();
    let outcome = private.run(&[&["restore", file.to_str().unwrap()], more].concat());
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(!private.data_dir().exists(), "{outcome:?}");
    outcome.stderr
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let program = filled();
    let file = backup(&program, "a", &[]);
    let whole = std::fs::read(&file).unwrap();
    verify(&file, None, &|_, _| {}).unwrap();
    let damaged = program.scratch().join("damaged");
    let write = |at: usize, bit: u8| {
        let mut flipped = whole.clone();
        flipped[at] ^= bit;
        std::fs::write(&damaged, flipped).unwrap();
    };
    let places = (0..40).chain((40..whole.len()).step_by(whole.len() / 150)).chain(whole.len() - 40..whole.len());
    for at in places {
        write(at, 0xff);
        let error = verify(&damaged, None, &|_, _| {}).expect_err(&format!("byte {at} of {}", whole.len()));
        assert!(error.to_string().contains(damaged.to_str().unwrap()), "{error}");
        write(at, 1 << (at % 8));
        // A bit that means nothing may be another one, if everything is what it was.
        if let Ok(read) = verify(&damaged, None, &|_, _| {}) {
            assert_eq!(read.end, verify(&file, None, &|_, _| {}).unwrap().end, "byte {at}");
        }
    }
    for at in [2, whole.len() / 3, whole.len() - 3] {
        write(at, 0x10);
        let said = refusal(&damaged, &[]);
        assert!(said.contains("damaged") && said.contains("Nothing was changed"), "{said}");
    }
}

#[test]
fn one_that_is_cut_short_or_longer_is_refused() {
    let program = filled();
    let file = backup(&program, "a", &[]);
    let whole = std::fs::read(&file).unwrap();
    let other = program.scratch().join("other");
    for length in (0..whole.len()).step_by(whole.len() / 50).chain([whole.len() - 1]) {
        std::fs::write(&other, &whole[..length]).unwrap();
        assert!(verify(&other, None, &|_, _| {}).is_err(), "{length} of {}", whole.len());
    }
    let said = refusal(&other, &[]);
    assert!(said.contains("cut short") && said.contains("Nothing was changed"), "{said}");
    for more in [&b"x"[..], &whole] {
        std::fs::write(&other, [&whole, more].concat()).unwrap();
        assert!(verify(&other, None, &|_, _| {}).is_err());
    }
}

#[test]
fn an_encrypted_one_is_refused_without_its_passphrase_and_with_any_byte_flipped() {
    let program = filled();
    let word = program.scratch().join("word");
    std::fs::write(&word, "correct horse\nnot this line\n").unwrap();
    let file = backup(&program, "a", &["--passphrase-file", word.to_str().unwrap()]);
    let passphrase = Passphrase::new("correct horse".to_owned());
    verify(&file, passphrase.as_ref(), &|_, _| {}).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let damaged = program.scratch().join("damaged");
    for at in [0, 22, 30, 60, 110, 160, 190, 220, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&damaged, flipped).unwrap();
        assert!(verify(&damaged, passphrase.as_ref(), &|_, _| {}).is_err(), "byte {at} of {}", whole.len());
    }
    for length in [whole.len() - 1, whole.len() / 2, 190, 20] {
        std::fs::write(&damaged, &whole[..length]).unwrap();
        assert!(verify(&damaged, passphrase.as_ref(), &|_, _| {}).is_err(), "{length} of {}", whole.len());
    }
    std::fs::write(&word, "wrong horse").unwrap();
    let said = refusal(&file, &["--passphrase-file", word.to_str().unwrap()]);
    assert!(said.contains("passphrase is not the one") && !said.contains("horse"), "{said}");
    let said = refusal(&file, &[]);
    assert!(said.contains("--passphrase-file") && said.contains("EVERPOST_BACKUP_PASSPHRASE"), "{said}");
    std::fs::write(&word, "\n").unwrap();
    assert!(refusal(&file, &["--passphrase-file", word.to_str().unwrap()]).contains("empty"));
}

#[test]
fn one_of_a_newer_version_is_refused_and_so_is_what_is_none() {
    let program = filled();
    let file = backup(&program, "a", &[]);
    let other = program.scratch().join("other");
    rewrite(&file, &other, |_| {});
    verify(&other, None, &|_, _| {}).unwrap();
    let changes: [fn(&mut Value); 2] = [
        |manifest| (manifest["format"], manifest["everpost"]) = (json!(2), json!("9.1.0")),
        |manifest| {
            manifest["migrations"].as_array_mut().unwrap().push(json!("20991231000001"));
            manifest["everpost"] = json!("9.1.0");
        },
    ];
    for change in changes {
        rewrite(&file, &other, change);
        let said = refusal(&other, &[]);
        assert!(said.contains("newer Everpost (9.1.0") && said.contains("Nothing was changed"), "{said}");
    }
    std::fs::write(&other, "a letter").unwrap();
    assert!(refusal(&other, &[]).contains("no backup of Everpost"));
    assert!(refusal(&program.scratch().join("nowhere"), &[]).contains("cannot be read"));
    // Somebody's tar.zst, and one that wants to get out of its folder.
    for name in ["notes.txt", "media/ab/cd/../../../escaped"] {
        let mut tar = tar::Builder::new(zstd::Encoder::new(std::fs::File::create(&other).unwrap(), 1).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        let bytes = header.as_old_mut();
        bytes.name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        assert!(refusal(&other, &[]).contains("no backup of Everpost"), "{name}");
    }
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let program = filled();
    let file = backup(&program, "a", &[]);
    let outcome = program.run(&["backup", file.to_str().unwrap()]);
    assert!(outcome.code == 1 && outcome.stderr.contains("is there already"), "{outcome:?}");
    let restore = ["restore", file.to_str().unwrap()];
    // Into itself: both are full.
    let rows = super::contents(|query| program.database().texts(query));
    let kept = super::files(&program.data_dir());
    let outcome = program.run(&restore);
    assert!(outcome.code == 1 && outcome.stderr.contains("storage.data_dir"), "{outcome:?}");
    // A full database with an empty folder, and the other way round.
    let mut other = Program::private();
    other.set("EVERPOST_DATABASE__URL", &program.database().url());
    let outcome = other.run(&restore);
    assert!(outcome.code == 1 && outcome.stderr.contains("database.url"), "{outcome:?}");
    assert!(!other.data_dir().exists());
    let empty = TestDatabase::empty();
    let mut full = Program::private();
    full.set("EVERPOST_DATABASE__URL", &empty.url());
    full.set("EVERPOST_STORAGE__DATA_DIR", program.data_dir().to_str().unwrap());
    assert_eq!(full.run(&restore).code, 1);
    assert_eq!(empty.texts(super::TABLES), [] as [&str; 0]);
    assert_eq!(
        (super::contents(|query| program.database().texts(query)), super::files(&program.data_dir())),
        (rows, kept)
    );
    // Somebody else's tables.
    empty.execute("CREATE TABLE recipes (id int)");
    let mut stranger = Program::private();
    stranger.set("EVERPOST_DATABASE__URL", &empty.url());
    let outcome = stranger.run(&restore);
    assert!(outcome.code == 1 && outcome.stderr.contains("recipes"), "{outcome:?}");
    assert_eq!(empty.texts(super::TABLES), ["recipes"]);
    // Another key in the key's place.
    let database = TestDatabase::empty();
    let mut keyed = Program::private();
    keyed.set("EVERPOST_DATABASE__URL", &database.url());
    let key = with_key(&mut keyed);
    std::fs::write(&key, [8; 32]).unwrap();
    let outcome = keyed.run(&restore);
    assert!(outcome.code == 1 && outcome.stderr.contains("another key"), "{outcome:?}");
    assert_eq!(std::fs::read(&key).unwrap(), [8; 32]);
    assert!(!keyed.data_dir().exists() && database.texts(super::TABLES).is_empty());
}

#[test]
fn a_backup_that_cannot_be_written_leaves_nothing() {
    let program = filled();
    let folder = program.scratch().join("full");
    std::fs::create_dir(&folder).unwrap();
    let outcome = program.run(&["backup", "nowhere/a"]);
    assert!(outcome.code == 1 && outcome.stderr.contains("nowhere/a"), "{outcome:?}");
    // A file may have 8 KiB: as if the disk were full.
    let everpost = program.command();
    let mut limited = std::process::Command::new("/bin/sh");
    limited.args(["-c", "ulimit -f 16; trap '' XFSZ; exec \"$0\" backup full"]).arg(everpost.get_program()).env_clear();
    limited.envs(everpost.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(program.scratch());
    let output = limited.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write"), "{output:?}");
    assert_eq!(super::files(&folder), []);
}
