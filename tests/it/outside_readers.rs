//! Readers that are not ours: the AP library's own look-up and object types, and Fedify in Node.

use crate::support::{Program, TestApp, fixture};
use activitypub_federation::config::{Data, FederationConfig};
use activitypub_federation::fetch::collection_id::CollectionId;
use activitypub_federation::fetch::object_id::ObjectId;
use activitypub_federation::fetch::webfinger::webfinger_resolve_actor;
use activitypub_federation::protocol::verification::verify_domains_match;
use activitypub_federation::traits::{Actor, Collection, Object};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use url::Url;

/// What the reader has read.
type Seen = Arc<Mutex<Vec<String>>>;

/// An actor in a stranger's eyes: what Lemmy's Person needs.
#[derive(Clone, Debug)]
struct Stranger {
    json: Person,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    id: ObjectId<Stranger>,
    #[serde(rename = "type")]
    kind: String,
    preferred_username: String,
    inbox: Url,
    outbox: CollectionId<Outbox>,
    public_key: Key,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    owner: Url,
    public_key_pem: String,
}

#[async_trait]
impl Object for Stranger {
    type DataType = Seen;
    type Kind = Person;
    type Error = anyhow::Error;

    fn id(&self) -> &Url {
        self.json.id.inner()
    }

    async fn read_from_id(_: Url, _: &Data<Seen>) -> anyhow::Result<Option<Stranger>> {
        Ok(None)
    }

    async fn into_json(self, _: &Data<Seen>) -> anyhow::Result<Person> {
        Ok(self.json)
    }

    async fn verify(json: &Person, expected: &Url, _: &Data<Seen>) -> anyhow::Result<()> {
        Ok(verify_domains_match(json.id.inner(), expected)?)
    }

    async fn from_json(json: Person, _: &Data<Seen>) -> anyhow::Result<Stranger> {
        Ok(Stranger { json })
    }
}

impl Actor for Stranger {
    fn public_key_pem(&self) -> &str {
        &self.json.public_key.public_key_pem
    }

    fn private_key_pem(&self) -> Option<String> {
        None
    }

    fn inbox(&self) -> Url {
        self.json.inbox.clone()
    }
}

/// A Note in a stranger's eyes.
#[derive(Clone, Debug)]
struct Read {
    json: Note,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    id: ObjectId<Read>,
    #[serde(rename = "type")]
    kind: String,
    attributed_to: ObjectId<Stranger>,
    content: String,
    published: String,
    to: Vec<Url>,
    cc: Vec<Url>,
    in_reply_to: Option<ObjectId<Read>>,
}

#[async_trait]
impl Object for Read {
    type DataType = Seen;
    type Kind = Note;
    type Error = anyhow::Error;

    fn id(&self) -> &Url {
        self.json.id.inner()
    }

    async fn read_from_id(_: Url, _: &Data<Seen>) -> anyhow::Result<Option<Read>> {
        Ok(None)
    }

    async fn into_json(self, _: &Data<Seen>) -> anyhow::Result<Note> {
        Ok(self.json)
    }

    async fn verify(json: &Note, expected: &Url, _: &Data<Seen>) -> anyhow::Result<()> {
        Ok(verify_domains_match(json.id.inner(), expected)?)
    }

    async fn from_json(json: Note, data: &Data<Seen>) -> anyhow::Result<Read> {
        json.published.parse::<DateTime<Utc>>()?;
        data.lock().unwrap().push(json.id.inner().to_string());
        Ok(Read { json })
    }
}

/// An outbox in a stranger's eyes: the library reads its root, the walk goes on from there.
#[derive(Clone, Debug)]
struct Outbox {
    total: usize,
    first: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutboxRoot {
    id: Url,
    total_items: usize,
    first: String,
}

#[async_trait]
impl Collection for Outbox {
    type Owner = Stranger;
    type DataType = Seen;
    type Kind = OutboxRoot;
    type Error = anyhow::Error;

    async fn read_local(_: &Stranger, _: &Data<Seen>) -> anyhow::Result<OutboxRoot> {
        anyhow::bail!("nothing is local")
    }

    async fn verify(json: &OutboxRoot, expected: &Url, _: &Data<Seen>) -> anyhow::Result<()> {
        Ok(verify_domains_match(&json.id, expected)?)
    }

    async fn from_json(json: OutboxRoot, _: &Stranger, _: &Data<Seen>) -> anyhow::Result<Outbox> {
        Ok(Outbox { total: json.total_items, first: json.first })
    }
}

/// The library, as a server elsewhere sets it up; plain http because the test's server has no certificate.
async fn stranger() -> FederationConfig<Seen> {
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::builder().no_proxy().build().unwrap()).build();
    let builder = &mut FederationConfig::builder();
    let builder = builder.domain("stranger.example").app_data(Seen::default()).client(client);
    builder.http_fetch_limit(1000).debug(true).allow_http_urls(true).build().await.unwrap()
}

#[tokio::test]
async fn the_ap_library_reads_the_whole_account() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let config = stranger().await;
    let data = config.to_request_data();
    let address = format!("juno@localhost:{}", app.address.port());

    let actor: Stranger = webfinger_resolve_actor(&address, &data).await.unwrap();
    assert_eq!((actor.json.kind.as_str(), actor.json.preferred_username.as_str()), ("Person", "juno"));
    assert_eq!(actor.json.public_key.owner, *actor.id());
    assert!(openssl::pkey::PKey::public_key_from_pem(actor.public_key_pem().as_bytes()).is_ok());

    let outbox = actor.json.outbox.dereference(&actor, &data).await.unwrap();
    assert_eq!(outbox.total, 13);
    let mut next = Some(outbox.first);
    let mut notes = 0;
    while let Some(url) = next {
        let page = app.object(&url).await;
        for create in page["orderedItems"].as_array().unwrap() {
            let id: ObjectId<Read> = ObjectId::parse(create["object"]["id"].as_str().unwrap()).unwrap();
            let note = id.dereference(&data).await.unwrap();
            assert_eq!(note.json.kind, "Note");
            assert_eq!(note.json.attributed_to.inner(), actor.id());
            assert!(note.json.content.contains("Archived from"), "{}", note.json.content);
            if let Some(parent) = &note.json.in_reply_to {
                parent.dereference(&data).await.unwrap();
            }
            notes += 1;
        }
        next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    assert_eq!(notes, 13);
    let mut seen = data.lock().unwrap().clone();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 13, "thirteen different Notes");
}

/// Run a script of `tests/outside`; what it printed, a JSON value a line.
pub async fn outside(arguments: &[&str]) -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside");
    assert!(folder.join("node_modules").exists(), "run script/bootstrap --test first");
    let run = tokio::process::Command::new("node").args(arguments).current_dir(folder).output().await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn fedify_reads_the_whole_account() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let acct = format!("juno@localhost:{}", app.address.port());
    let steps = outside(&["walk.mjs", "--origin", &app.base, "--acct", &acct, "--expect-notes", "13"]).await;
    for rule in ["R-10", "R-19", "R-20", "R-21", "R-22", "R-23", "R-26", "R-34", "R-35", "R-44"] {
        assert!(steps.iter().any(|step| step["rule"] == rule && step["ok"] == true), "no step checked {rule}");
    }
    assert_eq!(steps.last().unwrap()["notes"], 13);
}

/// The options with which `unshare` gives a process ports and a hosts file of its own; none where the kernel forbids it.
fn own_namespace() -> Option<&'static [&'static str]> {
    const ROOT: &[&str] = &["--net", "--mount"];
    // An ordinary user's search path lacks the folder of ip.
    const LOOPBACK: &str = "PATH=\"$PATH:/usr/sbin:/sbin\" ip link set lo up";
    const ANYBODY: &[&str] = &["--net", "--mount", "--user", "--map-root-user"];
    let works = |options: &&&[&str]| {
        let run = std::process::Command::new("unshare").args(**options).args(["sh", "-c", LOOPBACK]).output();
        run.is_ok_and(|run| run.status.success())
    };
    [ROOT, ANYBODY].iter().find(works).copied()
}

#[test]
fn fedify_finds_the_handle_over_https_behind_caddy_and_reads_the_outbox_to_its_end() {
    const HOST: &str = "kept.example";
    let Some(options) = own_namespace() else {
        eprintln!(
            "SKIPPED: this kernel gives out no namespaces (unshare --net --mount), and the test takes no port of the machine"
        );
        return;
    };
    let mut program = Program::new();
    program.set("EVERPOST_SERVER__PUBLIC_URL", &format!("https://{HOST}"));
    program.set("EVERPOST_SERVER__CONTACT", "keeper@kept.example");
    program.ok(&["import", fixture("hugo-mastodon-to-hugo-v1").to_str().unwrap()]);
    program.ok(&["account", "publish", "juno"]);
    let folder = program.scratch().join("proxy");
    std::fs::create_dir(&folder).unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/behind-caddy.sh");
    let own = program.command();
    let mut command = std::process::Command::new("unshare");
    command.args(options).arg(script).args([HOST, "juno", "13", env!("CARGO_BIN_EXE_everpost")]).arg(&folder);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let run = command.current_dir(program.scratch()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    let steps: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&steps[0]["handle"], &steps[0]["notes"]), (&"@juno@kept.example".into(), &13.into()), "{said}");
    assert_eq!((&steps[1]["step"], &steps[1]["notes"]), (&"done".into(), &13.into()), "{said}");
    let findings = steps[2]["findings"].as_array().unwrap();
    for check in ["certificate", "host", "webfinger", "actor", "caching", "compression", "redirects"] {
        let good = findings.iter().any(|finding| finding["check"] == check && finding["severity"] == "ok");
        assert!(good, "{check}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_browser_shows_the_pages_without_an_error_or_anything_too_wide() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let pictures = tempfile::tempdir().unwrap();
    let (front, profile) = (format!("{}/", app.base), format!("{}/@juno", app.base));
    let thread = app.walk_outbox("juno").await[3]["object"]["url"][0].as_str().unwrap().to_owned();
    let arguments = ["screenshots.mjs", "--out", pictures.path().to_str().unwrap(), &front, &profile, &thread];
    let taken = outside(&arguments).await;
    assert_eq!(taken.len(), 12, "each page on phone and desktop, in light and dark: {taken:?}");
    assert_eq!(std::fs::read_dir(pictures.path()).unwrap().count(), 12);
}
