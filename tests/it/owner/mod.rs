//! What an owner does about the account on other servers: what is told to followers, who may follow, and where it goes.

mod announced;
mod blocks;
mod followers;
mod keys;
mod moved;
mod moves;
mod news;
mod tokens;

use crate::support::{Bundle, Program, TestApp, TestDatabase};
use chrono::Utc;
use everpost::domain::account::Account;
use everpost::domain::follower::FollowState;
use everpost::domain::ids::RemoteActorId;
use everpost::domain::remote::RemoteActor;
use everpost::operations::accounts;
use everpost::store::Store;
use everpost::store::followers::Follow;
use serde_json::{Value, json};

pub const ONE: &str = "2024-01-01T10:00:00Z";
pub const TWO: &str = "2024-01-01T10:05:00Z";

/// An actor of another server that has a shared inbox.
pub fn remote(name: &str, host: &str) -> RemoteActor {
    RemoteActor {
        uri: format!("https://{host}/users/{name}"),
        kind: "Person".to_owned(),
        handle: Some(format!("{name}@{host}")),
        inbox: format!("https://{host}/users/{name}/inbox"),
        shared_inbox: Some(format!("https://{host}/inbox")),
        ..RemoteActor::default()
    }
}

/// The Follow of an actor.
pub fn follow_json(actor: &str, account: &Account) -> Value {
    json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": format!("{actor}#follows/1"),
        "type": "Follow",
        "actor": actor,
        "object": account.urls().actor(),
    })
}

/// Let an actor follow, or ask to.
pub async fn follow(store: &Store, account: &Account, name: &str, host: &str, state: FollowState) -> RemoteActorId {
    let actor = store.keep_remote_actor(&remote(name, host), Utc::now()).await.unwrap();
    let json = follow_json(&actor.told.uri, account);
    let uri = json["id"].as_str().unwrap();
    let follow = Follow { account: account.id, actor: actor.id, uri, json: &json.to_string() };
    store.follow(&follow, state, None, Utc::now()).await.unwrap();
    actor.id
}

/// What is or was in the queue, in the order in which it came: kind, inbox, state, body.
pub fn queue(database: &TestDatabase) -> Vec<(String, String, String, Value)> {
    let rows = database.texts(
        "SELECT json_build_array(kind, inbox, state, body) FROM deliveries JOIN activities ON activities.id = activity_id \
         ORDER BY activities.id, deliveries.id",
    );
    let row = |row: String| {
        let (kind, inbox, state, body): (String, String, String, String) = serde_json::from_str(&row).unwrap();
        (kind, inbox, state, serde_json::from_str(&body).unwrap())
    };
    rows.into_iter().map(row).collect()
}

/// Kind and inbox of what waits.
pub fn waiting(database: &TestDatabase) -> Vec<(String, String)> {
    let waiting = queue(database).into_iter().filter(|(_, _, state, _)| state == "waiting");
    waiting.map(|(kind, inbox, ..)| (kind, inbox)).collect()
}

/// An account under a name that is for ever, with two posts that another server has seen.
pub async fn seen(archive: &std::path::Path) -> TestApp {
    let app = TestApp::start_at("https://keep.example").await;
    Bundle::new().post(ONE, "<p>One.</p>").post(TWO, "<p>Two.</p>").write(archive);
    app.import(archive).await;
    let handle = app.account("ann").await.handle;
    accounts::publish(&app.app, &handle, Utc::now()).await.unwrap();
    assert_eq!(app.walk_outbox("ann").await.len(), 2);
    app
}

/// The program with an account of that name, and its store.
pub async fn program() -> (Program, Store, Account) {
    let mut program = Program::new();
    program.set("EVERPOST_SERVER__PUBLIC_URL", "https://keep.example");
    program.ok(&["account", "create", "ann"]);
    program.ok(&["account", "publish", "ann"]);
    let store = Store::connect(&program.database().url(), 2).unwrap();
    let account = store.list_accounts().await.unwrap().pop().unwrap();
    (program, store, account)
}

/// A run that ends with 1 and says this.
pub fn refused(program: &Program, arguments: &[&str], told: &str) {
    let outcome = program.run(arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments:?}: {outcome:?}");
    assert!(outcome.stderr.contains(told), "{arguments:?}: {told:?} is not in {}", outcome.stderr);
}
