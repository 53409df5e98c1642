//! Requests as eight softwares send them (`tests/fixtures/activities`), replayed byte by byte against the real program.

use super::stranger::{Stranger, shared_key};
use super::totals::{self, Account};
use super::wire::{Head, send, signed};
use crate::support::PATIENCE;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Deserialize)]
struct Script {
    head: Head,
    steps: Vec<Step>,
}

/// One request and what comes of it.
#[derive(Deserialize)]
struct Step {
    /// The file with the body, without its ending.
    sends: String,
    /// The path of the inbox.
    to: String,
    /// A text in the body and what stands in its place this time.
    #[serde(default)]
    with: BTreeMap<String, String>,
    /// The id of the key, if it is not the usual one.
    key: Option<String>,
    /// The header `Collection-Synchronization`, which is signed too.
    sync: Option<String>,
    /// Documents that are gone from now on.
    #[serde(default)]
    gone: Vec<String>,
    /// What is there afterwards; what is not named is not there.
    then: BTreeMap<String, i64>,
    /// The types of what is sent back, each with this request's body embedded.
    #[serde(default)]
    answers: Vec<String>,
    /// What the page of the post shows afterwards.
    shows: Option<String>,
}

/// A software with its server and an account of ours.
struct Play {
    folder: PathBuf,
    software: String,
    stranger: Stranger,
    account: Account,
}

impl Play {
    fn new(software: &str) -> Play {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/activities").join(software);
        let stranger = Stranger::start();
        let account = Account::new(&[&stranger]);
        Play { folder, software: software.to_owned(), stranger, account }
    }

    /// A file, with the software's host replaced by the test's server, also where slashes are escaped.
    fn text(&self, name: &str) -> String {
        let path = self.folder.join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (theirs, ours) = (format!("https://{}.example", self.software), self.stranger.base());
        let escaped = |text: &str| text.replace('/', "\\/");
        let public = String::from_utf8(shared_key().public_key_to_pem().unwrap()).unwrap().replace('\n', "\\n");
        let text = text.replace(&theirs, &ours).replace(&escaped(&theirs), &escaped(&ours));
        text.replace("PUBLIC KEY", &public)
    }

    /// Where a document stands: at its id, or at that of its key.
    fn place(&self, name: &str) -> String {
        let document: Value = serde_json::from_str(&self.text(name)).unwrap();
        let url = if name.ends_with("key.json") { &document["publicKey"]["id"] } else { &document["id"] };
        url.as_str().unwrap().strip_prefix(&self.stranger.base()).unwrap().to_owned()
    }

    /// Serve every document of the folder that is no activity.
    fn serve(&self, head: &Head, steps: &[Step]) {
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_body = steps.iter().any(|step| format!("{}.json", step.sends) == name);
            if name.ends_with(".json") && name != "steps.json" && !is_body {
                let signed = head.signed_gets && !head.open.contains(&name);
                self.stranger.serve(&self.place(&name), &self.text(&name), signed);
            }
        }
    }

    fn run(&self, head: &Head, step: &Step, number: usize) {
        let at = format!("{} step {number}, {}", self.software, step.sends);
        for name in &step.gone {
            self.stranger.remove(&self.place(name));
        }
        let mut body = self.text(&format!("{}.json", step.sends));
        for (old, new) in &step.with {
            assert!(body.contains(old), "{at}: {old} does not stand in it");
            body = body.replace(old, new);
        }
        let body = body.trim_end();
        let mut head = head.clone();
        if let Some(key) = &step.key {
            head.key = key.replace(&format!("https://{}.example", self.software), &self.stranger.base());
        }
        if let Some(value) = &step.sync {
            head.headers.insert(head.headers.len() - 1, ("Collection-Synchronization".to_owned(), value.clone()));
            head.covers.insert(head.covers.len() - 1, "collection-synchronization".to_owned());
        }
        let before = self.stranger.deliveries().len();
        let request = signed(&head, &shared_key(), totals::HOST, &step.to, body.as_bytes());
        let (status, answer) = send(self.account.serving.address, &request);
        assert_eq!(status, 202, "{at}: {answer}\n{}", self.account.serving.log());
        self.account.become_like(&step.then, &at);
        self.wait_for_answers(step, body, before, &at);
        if let Some(text) = &step.shows {
            self.account.wait_for_page(text, &at);
        }
    }

    /// Wait until what was sent back has arrived: an answer with the request embedded as it was.
    fn wait_for_answers(&self, step: &Step, body: &str, before: usize, at: &str) {
        let begun = Instant::now();
        let sent: Value = serde_json::from_str(body).unwrap();
        loop {
            let came = self.stranger.deliveries().split_off(before);
            let types: Vec<&str> = came.iter().map(|answer| answer["type"].as_str().unwrap()).collect();
            if types == step.answers {
                for answer in &came {
                    assert_eq!(answer["object"]["id"], sent["id"], "{at}: {answer}");
                    assert_eq!(answer["object"]["actor"], sent["actor"], "{at}: {answer}");
                }
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{at}: {came:?} came\n{}", self.account.serving.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Replay all steps of a software, in their order.
fn replay(software: &str) {
    let play = Play::new(software);
    let Script { head, steps } = serde_json::from_str(&play.text("steps.json")).unwrap();
    play.serve(&head, &steps);
    for (number, step) in steps.iter().enumerate() {
        play.run(&head, step, number + 1);
    }
}

#[test]
fn what_mastodon_sends_is_understood() {
    replay("mastodon");
}

#[test]
fn what_gotosocial_sends_is_understood() {
    replay("gotosocial");
}

#[test]
fn what_misskey_sends_is_understood() {
    replay("misskey");
}

#[test]
fn what_akkoma_sends_is_understood() {
    replay("akkoma");
}

#[test]
fn what_pixelfed_sends_is_understood() {
    replay("pixelfed");
}

#[test]
fn what_lemmy_sends_is_understood() {
    replay("lemmy");
}

#[test]
fn what_wordpress_sends_is_understood() {
    replay("wordpress");
}

#[test]
fn what_ghost_sends_is_understood() {
    replay("ghost");
}
