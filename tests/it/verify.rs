//! `everpost verify`: what is whole is whole, and whatever is damaged is found, with its place.

use crate::archives::packed;
use crate::support::packing::{put, zip};
use crate::support::{Bundle, Outcome, Program, fixture, status_id};
use serde_json::{Value, json};
use std::path::PathBuf;

/// An imported archive with text, warning, hashtags, pictures, a poll and answers.
fn imported() -> Program {
    let program = Program::new();
    let path = packed("mastodon-3.5", program.scratch());
    program.ok(&["import", path.to_str().unwrap()]);
    program
}

fn verify(program: &Program) -> (Outcome, Value) {
    let outcome = program.run(&["verify", "--json"]);
    let report = serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {outcome:?}"));
    (outcome, report)
}

/// What is found, each as `post damage fields`.
fn found(program: &Program) -> Vec<String> {
    let (outcome, report) = verify(program);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(outcome.code, i32::from(!findings.is_empty()), "{outcome:?}");
    assert_eq!(report["findings_total"], findings.len());
    let told = |finding: &Value| {
        let fields: Vec<&str> = finding["fields"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let post = finding["post"].as_str().unwrap_or("-");
        format!("{post} {} {}", finding["damage"].as_str().unwrap(), fields.join(" ")).trim_end().to_owned()
    };
    findings.iter().map(told).collect()
}

/// The number of the post whose text has these words.
fn post(program: &Program, words: &str) -> String {
    program.database().texts(&format!("SELECT id FROM posts WHERE content_html LIKE '%{words}%'")).remove(0)
}

/// Damage, look, and repair again.
fn with_damage(program: &Program, damage: &str, expected: &[String]) {
    let database = program.database();
    database.execute(
        "CREATE TABLE p AS TABLE posts; CREATE TABLE s AS TABLE post_sources; CREATE TABLE a AS TABLE attachments",
    );
    database.execute(damage);
    assert_eq!(found(program), expected, "{damage}");
    let columns = database.texts(
        "SELECT string_agg(format('%1$I = p.%1$I', column_name), ', ') FROM information_schema.columns \
         WHERE table_name = 'posts' AND column_name <> 'id'",
    );
    database.execute(&format!(
        "UPDATE posts SET {} FROM p WHERE p.id = posts.id; DELETE FROM post_sources; INSERT INTO post_sources TABLE s; \
         UPDATE attachments SET alt = a.alt, source_url = a.source_url, told = a.told FROM a WHERE a.id = attachments.id; DROP TABLE p, s, a",
        columns[0]
    ));
}

#[test]
fn a_sound_database_gives_nothing_whatever_it_went_through() {
    let program = Program::new();
    for name in ["mastodon-3.5", "mastodon-4.1", "mastodon-4.3", "mastodon-4.6", "mastodon-2026", "akkoma-3.10"] {
        program.ok(&["import", packed(name, program.scratch()).to_str().unwrap()]);
    }
    // A poorer archive fills what is empty, one was there before the richer one, and a post is edited.
    let items: Value = serde_json::from_slice(&std::fs::read(fixture("mastodon-3.5/outbox.json")).unwrap()).unwrap();
    let id = |at: usize| {
        items["orderedItems"][at]["object"]["id"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
    };
    let html = |at: usize| items["orderedItems"][at]["object"]["content"].as_str().unwrap().to_owned();
    let mut site = Bundle { user: "ilse", host: "tide.example", tags: vec!["weather"], ..Bundle::new() };
    site.posts = (0..2).map(|at| (id(at), html(at), String::new())).collect();
    site.write(&program.scratch().join("site"));
    program.ok(&["import", "site", "--account", "ilse"]);
    let bundle = Bundle::new().post("2024-01-01T10:00:00Z", "<p>One.</p>").post("2024-01-01T10:05:00Z", "<p>Two.</p>");
    let bundle = bundle.write(&program.scratch().join("other"));
    program.ok(&["import", "other"]);
    let page = std::fs::read_to_string(bundle.join("index.md")).unwrap().replace("One.", "Another one.");
    std::fs::write(bundle.join("index.md"), page).unwrap();
    program.ok(&["import", "other"]);
    program.ok(&["post", "withdraw", &status_id("2024-01-01T10:05:00Z").to_string(), "--account", "ann"]);

    let (outcome, report) = verify(&program);
    assert_eq!((outcome.code, &report["findings"]), (0, &json!([])), "{report:#}");
    let standing = program.database().number("SELECT count(*) FROM posts WHERE withdrawn_at IS NULL");
    assert_eq!((&report["posts"], &report["withdrawn"], &report["earlier"]), (&json!(standing), &json!(1), &json!(2)));
    assert_eq!(report["reread"], standing - 1, "all but the one from a page of a site");
    assert_eq!(report["files"], program.database().number("SELECT count(*) FROM media"));
    let one = program.json(&["verify", "--account", "ilse", "--json"]);
    assert_eq!((&one["posts"], &one["withdrawn"]), (&json!(6), &json!(0)));
    assert!(one["files"].as_i64().unwrap() < report["files"].as_i64().unwrap());
    let table = program.ok(&["verify"]);
    assert!(table.starts_with("Everything is whole.\n"), "{table}");
}

#[test]
fn whatever_is_changed_in_a_post_or_its_source_is_found() {
    let program = imported();
    let fog = program.database().texts("SELECT id FROM posts WHERE warning IS NOT NULL").remove(0);
    let tide = post(&program, "Low water");
    let one = |what: &str| vec![format!("{tide} {what}")];
    let flip = |column: &str| {
        format!(
            "UPDATE post_sources SET {column} = set_byte({column}, length({column}) / 2, get_byte({column}, length({column}) / 2) # 1) \
             WHERE post_id = {tide}"
        )
    };
    assert_eq!(found(&program), [] as [&str; 0]);
    with_damage(&program, &flip("sha256"), &one("source_changed"));
    with_damage(&program, &format!("DELETE FROM post_sources WHERE post_id = {tide}"), &one("no_source"));
    with_damage(
        &program,
        &format!("UPDATE post_sources SET bytes = 'x' WHERE post_id = {tide}"),
        &one("source_unreadable"),
    );
    let set = |what: &str| format!("UPDATE posts SET {what} WHERE id = {tide}");
    with_damage(&program, &set("content_html = replace(content_html, 'Low', 'Lov')"), &one("post_changed text"));
    with_damage(&program, &set("published_at = published_at + interval '1 ms'"), &one("post_changed date"));
    with_damage(&program, &set("visibility = 'unlisted'"), &one("post_changed audience"));
    with_damage(&program, &set("warning = 'rain'"), &one("post_changed warning"));
    with_damage(&program, &set("tags = '{rain}', language = 'sv'"), &one("post_changed language hashtags"));
    with_damage(&program, &set("canonical_url = 'https://tide.example/'"), &one("post_changed address"));
    with_damage(&program, &set("source_object_id = NULL, updated_at = now()"), &one("post_changed id edit"));
    let fog_is = |what: &str| vec![format!("{fog} {what}")];
    with_damage(
        &program,
        &format!("UPDATE attachments SET alt = 'A dog' WHERE post_id = {fog}"),
        &fog_is("post_changed media"),
    );
    with_damage(
        &program,
        &format!("UPDATE posts SET sensitive = false WHERE id = {fog}"),
        &fog_is("post_changed sensitive"),
    );
    let poll = post(&program, "boots");
    with_damage(
        &program,
        &format!("UPDATE posts SET details = jsonb_set(details, '{{poll,options,0,1}}', '6') WHERE id = {poll}"),
        &[format!("{poll} post_changed details")],
    );
    with_damage(
        &program,
        &format!("UPDATE attachments SET told = jsonb_set(told, '{{focal_point,0}}', '0.75') WHERE post_id = {fog}"),
        &fog_is("post_changed media"),
    );
    let boost = program.database().texts("SELECT id FROM posts WHERE boost_of IS NOT NULL").remove(0);
    with_damage(
        &program,
        &format!(
            "UPDATE posts SET boost_of = boost_of || '0', published_at = published_at + interval '1 s' WHERE id = {boost}"
        ),
        &[format!("{boost} post_changed boosted object date")],
    );
    assert_eq!(found(&program), [] as [&str; 0]);

    program.database().execute(&flip("bytes"));
    let told = found(&program);
    assert!(told == one("source_changed") || told == one("source_unreadable"), "{told:?}");
    let outcome = program.run(&["verify"]);
    assert_eq!(outcome.code, 1);
    let line = outcome.stdout.lines().next().unwrap();
    assert!(line.starts_with(&format!("post {tide}: its source ")), "{line}");
    assert!(line.contains(&format!("everpost post withdraw {tide}")) && line.contains("from a backup"), "{line}");
    // What it says is what helps.
    program.ok(&["post", "withdraw", &tide]);
    program.ok(&["post", "restore", &tide]);
    program.ok(&["import", packed("mastodon-3.5", program.scratch()).to_str().unwrap()]);
    assert_eq!(found(&program), [] as [&str; 0]);
}

#[test]
fn a_file_that_is_changed_cut_short_or_gone_is_found() {
    let program = imported();
    let name = program.database().texts("SELECT sha256 || '.' || extension FROM media WHERE sha256 IN (SELECT media_sha256 FROM attachments) ORDER BY 1").remove(0);
    let path: PathBuf = program.data_dir().join("media").join(&name[..2]).join(&name[2..4]).join(&name);
    let whole = std::fs::read(&path).unwrap();
    let shows = "SELECT min(post_id) FROM attachments WHERE media_sha256 = ";
    let post = program.database().texts(&format!("{shows}'{}'", &name[..64])).remove(0);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&path, flipped).unwrap();
    assert_eq!(found(&program), [format!("{post} file_changed")]);
    std::fs::write(&path, &whole[1..]).unwrap();
    assert_eq!(found(&program), [format!("{post} file_length")]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(found(&program), [format!("{post} file_missing")]);
    let outcome = program.run(&["verify"]);
    let line = outcome.stdout.lines().next().unwrap();
    assert!(line.contains(path.to_str().unwrap()) && line.contains(&format!("post {post}")), "{line}");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(found(&program), [] as [&str; 0]);
}

#[test]
fn the_source_of_a_post_that_an_import_wrote_over_is_proven_too() {
    let program = Program::new();
    let archive = |words: &str| {
        let note = json!({
            "id": "https://m.example/users/ann/statuses/112215823989566555", "type": "Note",
            "attributedTo": "https://m.example/users/ann", "published": "2024-04-05T00:39:47Z",
            "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [], "content": words,
        });
        let item = json!({
            "id": "https://m.example/a", "type": "Create", "actor": "https://m.example/users/ann", "to": note["to"],
            "cc": [], "object": note,
        });
        let outbox = json!({ "type": "OrderedCollection", "orderedItems": [item] }).to_string().into_bytes();
        put(program.scratch(), "archive.zip", &zip(&vec![("outbox.json".to_owned(), outbox)]))
    };
    for words in ["<p>Once.</p>", "<p>Twice.</p>"] {
        program.ok(&["import", archive(words).to_str().unwrap()]);
    }
    assert_eq!(verify(&program).1["earlier"], 1);
    program
        .database()
        .execute("UPDATE post_revisions SET source_bytes = set_byte(source_bytes, 20, get_byte(source_bytes, 20) # 4)");
    assert_eq!(found(&program), ["112215823989566555 earlier_source_changed"]);
}

#[test]
fn a_flipped_byte_of_what_is_sent_or_of_its_proof_is_found() {
    let program = Program::new();
    program.ok(&["account", "create", "ann"]);
    let database = program.database();
    database.execute(
        "WITH actor AS (INSERT INTO remote_actors (uri, host, kind, name, inbox, keys, also_known_as, fetched_at, created_at) \
         VALUES ('https://a.example/bob', 'a.example', 'Person', '', 'https://a.example/bob/inbox', '[]', '{}', now(), now()) RETURNING id) \
         INSERT INTO followers (account_id, actor_id, state, follow_uri, follow, created_at, accepted_at) \
         SELECT (SELECT id FROM accounts), id, 'accepted', 'https://a.example/bob#follow', '{}', now(), now() FROM actor",
    );
    program.ok(&["account", "set", "ann", "name=Ann"]);
    // A key that is retired still proves what it proved.
    program.ok(&["account", "keys", "rotate"]);
    let (outcome, report) = verify(&program);
    assert_eq!((outcome.code, &report["proofs"]), (0, &json!(2)), "{report:#}");
    let body = database.texts("SELECT body FROM activities ORDER BY id").remove(0);
    let uri = database.texts("SELECT uri FROM activities ORDER BY id").remove(0);
    let proof = body.find("\"proof\":").unwrap();
    let value = body.find("\"proofValue\":\"z").unwrap() + 14;
    let places = [
        1,
        40,
        body.len() / 3,
        body.len() / 2,
        proof + 1,
        proof + 3,
        proof + 30,
        value,
        value + 20,
        value + 80,
        body.len() - 2,
    ];
    for at in places {
        // SQL counts from 1.
        let flip = format!(
            "UPDATE activities SET body = overlay(body PLACING chr(ascii(substr(body, {at} + 1, 1)) # 1) FROM {at} + 1 FOR 1) \
             WHERE id = (SELECT min(id) FROM activities)"
        );
        database.execute(&flip);
        let (outcome, report) = verify(&program);
        assert_eq!((outcome.code, &report["findings_total"]), (1, &json!(1)), "byte {at} of {body}");
        let finding = &report["findings"][0];
        assert_eq!((&finding["damage"], &finding["activity"]), (&json!("proof_broken"), &json!(uri)), "{finding}");
        database.execute(&flip);
    }
    assert_eq!(found(&program), [] as [&str; 0]);
    database.execute("UPDATE keys SET public_key = (SELECT max(public_key) FROM keys WHERE kind = 'ed25519' AND domain_id IS NOT NULL) WHERE kind = 'ed25519' AND retired_at IS NULL AND account_id IS NOT NULL");
    assert_eq!(found(&program), [] as [&str; 0], "the new key has proven nothing yet");
    database.execute("DELETE FROM keys WHERE kind = 'ed25519' AND retired_at IS NOT NULL");
    assert_eq!(found(&program), ["- proof_broken", "- proof_broken"]);
    // What was taken back has nothing left to prove.
    database.execute("UPDATE activities SET body = ''");
    assert_eq!(verify(&program).1["proofs"], 0);
}
