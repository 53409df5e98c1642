//! Cases and actors of fediverse-pasture, which nobody here wrote: every sample activity is answered, and its actors read
//! and post as they may.

use super::stranger::{Stranger, shared_key};
use super::totals::{self, Account};
use super::wire::{Head, Scheme, send, signed};
use crate::support::{TestApp, fixture};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sample activities in the package.
const SAMPLES: usize = 262;
/// Where `docs/interop.md` tells what becomes of them.
const BEGINS: &str = "<!-- What each sample does: from here on it is checked by a test. -->\n";
const ENDS: &str = "<!-- Until here. -->\n";

/// The interpreter with the packages of `tests/peers`.
fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/venv/bin/python");
    assert!(python.exists(), "run script/bootstrap --test first");
    python
}

/// Each sample activity by its name, in the order of the names.
fn samples() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(python())
        .args(["-m", "fediverse_pasture_inputs", "zip-file", "--path", "."])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let file = std::fs::File::open(folder.path().join("samples.zip")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let path = member.name().unwrap().into_owned();
        let Some(name) = path.strip_prefix("activity/") else { continue };
        let name = name.trim_end_matches(".json").to_owned();
        let mut text = String::new();
        member.read_to_string(&mut text).unwrap();
        found.push((name, text));
    }
    let number = |name: &str| name.rsplit_once('_').map(|(group, n)| (group.to_owned(), n.parse::<u32>().unwrap()));
    found.sort_by_key(|(name, _)| number(name));
    found
}

/// How the samples are signed.
fn head(key: &str) -> Head {
    let names = ["Host", "Date", "Digest", "Content-Type", "Signature"];
    let headers = names.iter().map(|name| ((*name).to_owned(), String::new())).collect::<Vec<_>>();
    let mut head = Head {
        scheme: Scheme::Cavage,
        key: key.to_owned(),
        signature: r#"keyId="KEY",algorithm="rsa-sha256",headers="HEADERS",signature="SIGNATURE""#.to_owned(),
        covers: ["(request-target)", "host", "date", "digest"].map(str::to_owned).to_vec(),
        headers,
        signed_gets: false,
        open: Vec::new(),
    };
    "application/activity+json".clone_into(&mut head.headers[3].1);
    head
}

/// A sample as an answer to a post of the account, under ids of its own; `None` for one that is about no object.
fn as_an_answer(body: &str) -> Option<String> {
    let mut activity: Value = serde_json::from_str(body).unwrap();
    let again = |id: &mut Value| {
        if let Some(text) = id.as_str() {
            *id = json!(format!("{text}-again"));
        }
    };
    again(&mut activity["id"]);
    let object = activity["object"].as_object_mut()?;
    object.insert("inReplyTo".to_owned(), json!(format!("https://{}{}", totals::HOST, totals::POST)));
    object.get_mut("id").map(again);
    Some(activity.to_string())
}

/// What became of a sample, in the words of the table.
fn outcome(account: &Account, status: u16, before: (i64, i64)) -> String {
    let after = counts(account);
    let effect = match (after.0 - before.0, after.1 - before.1) {
        (0, 0) => "nothing is kept",
        (1, 0) => "a reply is kept",
        (0, 1) => "it is fetched later",
        more => panic!("{more:?} replies and errands of one sample"),
    };
    format!("{status}, {effect}")
}

/// How many replies are kept, and how many errands there ever were: those that are done are gone.
fn counts(account: &Account) -> (i64, i64) {
    let both =
        "SELECT (SELECT count(*) FROM replies) * 100000 + (SELECT last_value - 1 + is_called::int FROM errands_id_seq)";
    let found = account.program.database().number(both);
    (found / 100_000, found % 100_000)
}

/// Numbers as ranges: `0–3, 5`.
fn ranges(numbers: &BTreeSet<u32>) -> String {
    let mut found: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match found.last_mut() {
            Some((_, end)) if *end + 1 == *number => *end = *number,
            _ => found.push((*number, *number)),
        }
    }
    let text = |(from, to): &(u32, u32)| if from == to { from.to_string() } else { format!("{from}–{to}") };
    found.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[test]
fn none_of_262_sample_activities_is_answered_with_an_error_of_ours_and_the_table_tells_what_each_does() {
    let stranger = Stranger::start();
    let account = Account::new(&[&stranger]);
    let actor = format!("{}/actor", stranger.base());
    let public = String::from_utf8(shared_key().public_key_to_pem().unwrap()).unwrap();
    let document = json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        "id": actor, "type": "Person", "preferredUsername": "sampler", "inbox": format!("{actor}/inbox"),
        "publicKey": {"id": format!("{actor}#main-key"), "owner": actor, "publicKeyPem": public},
    });
    stranger.serve("/actor", &document.to_string(), false);
    let head = head(&format!("{actor}#main-key"));
    let samples = samples();
    assert_eq!(samples.len(), SAMPLES);
    let mut table: BTreeMap<String, BTreeMap<String, BTreeSet<u32>>> = BTreeMap::new();
    for (name, text) in &samples {
        // One group of them names this actor instead.
        let text = text.replace("http://pasture-one-actor/", "http://actor.example/");
        let body = text.replace("http://actor.example/", &format!("{}/", stranger.base()));
        let body = body.replace("\"http://actor.example\"", &format!("{actor:?}"));
        let body = body.replace("http://remote.example/", &format!("https://{}/users/juno", totals::HOST));
        let answer = as_an_answer(&body);
        let tried = [Some(body), answer].map(|body| {
            let Some(body) = body else { return "–".to_owned() };
            // Of one actor 50 answers to a post are kept; what comes of each sample is seen all the same.
            account.program.database().execute(
                "DELETE FROM replies WHERE (SELECT count(*) FROM replies) >= 40 AND id = (SELECT min(id) FROM replies)",
            );
            let before = counts(&account);
            let request = signed(&head, &shared_key(), totals::HOST, "/users/juno/inbox", body.as_bytes());
            let (status, answer) = send(account.serving.address, &request);
            assert!(status < 500, "{name}: {answer}\n{body}\n{}", account.serving.log());
            outcome(&account, status, before)
        });
        let (group, number) = name.rsplit_once('_').unwrap();
        let done = tried.join(" | ");
        table.entry(group.to_owned()).or_default().entry(done).or_default().insert(number.parse().unwrap());
    }
    let (status, page) = account.get(&account.page, "text/html");
    assert_eq!(status, 200, "{page}");
    assert!(!page.contains("<script") && !page.contains("javascript:") && !page.contains("onerror"), "{page}");
    let mut rows = String::from("| Samples | Numbers | As it is | As an answer to a post here |\n|---|---|---|---|\n");
    for (group, outcomes) in &table {
        let mut outcomes: Vec<_> = outcomes.iter().collect();
        outcomes.sort_by_key(|(_, numbers)| numbers.first());
        for (done, numbers) in outcomes {
            rows.push_str(&format!("| `{group}` | {} | {done} |\n", ranges(numbers)));
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interop.md");
    let page = std::fs::read_to_string(page).unwrap();
    let told = page.split_once(BEGINS).and_then(|(_, rest)| rest.split_once(ENDS)).map_or("", |(told, _)| told);
    assert!(told.trim() == rows.trim(), "docs/interop.md should say between its two comments:\n\n{rows}");
}

#[tokio::test]
async fn the_actors_of_fediverse_pasture_read_the_account_and_post_to_it_as_they_may() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/verify_actor.py");
    let run = tokio::process::Command::new(python())
        .arg(script)
        .arg(format!("{}/users/juno", app.base))
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    let can = |get: bool, post: bool| json!({"get_actor": get, "post_inbox": post});
    // alice and dean do not sign. bob and claire have WebFinger, emily and frank have not; claire and frank answer only to
    // who signs.
    let expected = json!({
        "alice": can(true, false), "bob": can(true, true), "claire": can(true, true),
        "dean": can(true, false), "emily": can(true, true), "frank": can(true, true),
        "webfinger": true,
    });
    assert_eq!(found["result"], expected, "{found:#}");
}
