//! A stranger's server, built on Fedify, meets an account over https: `tests/peers/peer.mjs`.

use crate::support::{Authority, Program, Serving, fixture};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const HOST: &str = "kept.example";

/// Posts of the archive.
const NOTES: &str = "13";

/// Run the program under a public name over https, with an authority of its own, and let the peer meet it.
fn meet(first: &str) -> Vec<Value> {
    let authority = Authority::new();
    let mut program = Program::new();
    let folder = program.scratch().to_owned();
    let believed = authority.write(&folder);
    let (cert, key) = authority.issue(HOST).write(&folder, "everpost");
    let (peer_cert, peer_key) = authority.issue("localhost").write(&folder, "peer");
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
    program.ok(&["import", &text(&fixture("hugo-mastodon-to-hugo-v1"))]);
    program.ok(&["account", "publish", "juno"]);
    let serving = Serving::start(&program);
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    assert!(peers.join("node_modules/@fedify").exists(), "run script/bootstrap --test first");
    let run = Command::new("node")
        .args(["peer.mjs", "--handle", &format!("juno@{HOST}"), "--at", &serving.address.to_string()])
        .args(["--cert", &text(&peer_cert), "--key", &text(&peer_key), "--first", first, "--notes", NOTES])
        .env("NODE_EXTRA_CA_CERTS", &believed)
        .current_dir(peers)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let broken: Vec<&str> = said.lines().filter(|line| line.contains(r#""ok":false"#)).collect();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}\n\n{said}\n{errors}\n{}", broken.join("\n"), serving.log());
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
