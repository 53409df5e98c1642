//! A stranger's server, built on Fedify, meets an account over https: `tests/peers/peer.mjs`.

use crate::pulled::enqueue;
use crate::support::{Authority, Bundle, PATIENCE, Program, Serving, fixture, status_id};
use chrono::Utc;
use everpost::activitystreams::{outgoing, render};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HOST: &str = "kept.example";

/// Posts of the archive.
const NOTES: &str = "13";

/// The program under a public name over https, with an authority of its own, and what a peer needs to meet it there.
struct Meeting {
    program: Program,
    serving: Serving,
    believed: PathBuf,
    peer: (PathBuf, PathBuf),
}

impl Meeting {
    fn prepare(archive: &Path, handle: &str) -> Meeting {
        let authority = Authority::new();
        let mut program = Program::new();
        let folder = program.scratch().to_owned();
        let believed = authority.write(&folder);
        let (cert, key) = authority.issue(HOST).write(&folder, "everpost");
        let peer = authority.issue("localhost").write(&folder, "peer");
        for (name, value) in [
            ("SERVER__PUBLIC_URL", format!("https://{HOST}")),
            ("SERVER__CONTACT", format!("keeper@{HOST}")),
            ("SERVER__TLS_CERT", text(&cert)),
            ("SERVER__TLS_KEY", text(&key)),
            ("FEDERATION__EXTRA_CA", text(&believed)),
            ("FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128".to_owned()),
        ] {
            program.set(&format!("EVERPOST_{name}"), &value);
        }
        program.ok(&["import", &text(archive)]);
        program.ok(&["account", "publish", handle]);
        let serving = Serving::start(&program);
        Meeting { program, serving, believed, peer }
    }

    /// A script of `tests/peers`, told where the account is and by what it is itself believed.
    fn script(&self, name: &str, handle: &str) -> Command {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        assert!(peers.join("node_modules/@fedify").exists(), "run script/bootstrap --test first");
        let mut command = Command::new("node");
        command
            .args([name, "--handle", &format!("{handle}@{HOST}"), "--at", &self.serving.address.to_string()])
            .args(["--cert", &text(&self.peer.0), "--key", &text(&self.peer.1)])
            .env("NODE_EXTRA_CA_CERTS", &self.believed)
            .current_dir(peers);
        command
    }
}

/// Let the peer meet the account, and do all that it can think of.
fn meet(first: &str) -> Vec<Value> {
    let meeting = Meeting::prepare(&fixture("hugo-mastodon-to-hugo-v1"), "juno");
    let run = meeting
        .script("peer.mjs", "juno")
        .args(["--first", first, "--notes", NOTES])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let broken: Vec<&str> = said.lines().filter(|line| line.contains(r#""ok":false"#)).collect();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}\n\n{said}\n{errors}\n{}", broken.join("\n"), meeting.serving.log());
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The step of that name.
fn step<'a>(steps: &'a [Value], name: &str) -> &'a Value {
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no step is called {name:?}: {steps:#?}"))
}

#[test]
fn a_fedify_server_follows_likes_answers_and_leaves_by_draft_cavage() {
    let steps = meet("cavage");
    let follow = step(&steps, "follows and is accepted");
    assert_eq!((&follow["scheme"], &follow["knocks"]), (&"cavage".into(), &serde_json::json!(["cavage 202"])));
    assert_eq!(steps.iter().filter(|step| step["step"].as_str().unwrap().starts_with("refused: ")).count(), 11);
}

#[test]
fn a_fedify_server_that_insists_on_rfc_9421_is_knocked_at_a_second_time() {
    let steps = meet("rfc9421");
    let follow = step(&steps, "follows and is accepted");
    assert_eq!(
        (&follow["scheme"], &follow["knocks"]),
        (&"rfc9421".into(), &serde_json::json!(["cavage 401", "rfc9421 202"]))
    );
}

/// Three posts of years ago; the second and the third with these texts.
fn archive(folder: &Path, texts: [&str; 2]) {
    let posts =
        [("2018-03-01T10:00:00Z", "One."), ("2019-04-01T10:00:00Z", texts[0]), ("2020-05-01T10:00:00Z", texts[1])];
    for (at, said) in posts {
        Bundle::new().post(at, &format!("<p>{said}</p>")).write(folder);
    }
}

#[test]
fn a_fedify_server_that_follows_is_sent_a_boost_an_edit_and_a_withdrawal_all_signed_and_not_one_create() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), ["Two.", "Three."]);
    let meeting = Meeting::prepare(folder.path(), "ann");
    let mut peer = meeting
        .script("listen.mjs", "ann")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("it listens").unwrap()).unwrap() };
    let note = |at: &str| format!("https://{HOST}/users/ann/statuses/{}", status_id(at));
    assert_eq!(next()["read"].as_array().unwrap().len(), 3);
    let mut came = vec![next()];
    let at = Utc::now();
    enqueue(&meeting.program, "2018-03-01T10:00:00Z", |account, post| {
        outgoing::announce(render::shown_again(post, account, at))
    });
    came.push(next());
    archive(folder.path(), ["Two, put right.", "Three."]);
    meeting.program.ok(&["import", &text(folder.path())]);
    came.push(next());
    assert!(came[2]["activity"]["object"]["content"].as_str().unwrap().contains("put right"));
    meeting.program.ok(&["post", "withdraw", &status_id("2020-05-01T10:00:00Z").to_string()]);
    came.push(next());
    // What it was sent is all that there is.
    let waiting = "SELECT count(*) FROM deliveries WHERE state = 'waiting'";
    let begun = Instant::now();
    while meeting.program.database().number(waiting) > 0 {
        assert!(begun.elapsed() < PATIENCE, "something still waits");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(peer.stdin.take());
    let rest: Vec<Value> =
        std::iter::from_fn(|| lines.next()).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!((rest, peer.wait().unwrap().success()), (vec![], true));
    let ids: Vec<(&str, String)> = came
        .iter()
        .map(|one| {
            let activity = &one["activity"];
            let object = activity["object"]["id"].as_str().or(activity["object"].as_str()).unwrap();
            (activity["type"].as_str().unwrap(), object.to_owned())
        })
        .collect();
    let [one, two, three] = ["2018-03-01T10:00:00Z", "2019-04-01T10:00:00Z", "2020-05-01T10:00:00Z"].map(note);
    assert_eq!(ids[0].0, "Accept");
    assert_eq!(ids[1..], [("Announce", one), ("Update", two), ("Delete", three)]);
    for one in &came {
        let kind = &one["activity"]["type"];
        assert_eq!((&one["status"], &one["proven"]), (&202.into(), &true.into()), "{kind}: {one:#}");
        assert_eq!(one["judged"]["keyId"], format!("https://{HOST}/users/ann#main-key"), "{kind}: {}", one["refused"]);
    }
    assert_eq!(came[3]["heard"].as_array().unwrap().len(), 4);
}
