//! `everpost account move` and `everpost account alias`: each condition, what followers are told, what stays.

use super::{follow, program, queue, refused};
use crate::support::{Heard, Peer, Program, Reply, TestApp};
use chrono::Utc;
use everpost::domain::account::Account;
use everpost::domain::follower::FollowState::Accepted;
use everpost::operations::{accounts, moves};
use everpost::store::Store;
use serde_json::{Value, json};

const OURS: &str = "https://keep.example/users/ann";

/// A server with an actor for each thing that can be wrong.
pub fn server() -> Peer {
    Peer::start(|heard: &Heard| {
        let host = heard.header("host").to_owned();
        let base = format!("http://{host}");
        let reply = |status: u16, kind: &str, body: Value| Reply {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.to_string().into_bytes(),
        };
        if let Some((_, acct)) = heard.target.split_once("resource=acct:") {
            let name = acct.split('@').next().unwrap();
            let actor = if name == "nobody" { None } else { Some(format!("{base}/users/{name}")) };
            let Some(actor) = actor else { return reply(404, "application/json", json!({})) };
            let link = json!({ "rel": "self", "type": "application/activity+json", "href": actor });
            let jrd = json!({ "subject": format!("acct:{name}@{host}"), "links": [link] });
            return reply(200, "application/jrd+json", jrd);
        }
        let name = heard.target.trim_start_matches("/users/").trim_start_matches("/@");
        let id = format!("{base}/users/{name}");
        let mut actor = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": id,
            "type": "Person",
            "preferredUsername": name,
            "inbox": format!("{id}/inbox"),
            "alsoKnownAs": [OURS],
        });
        match name {
            "gone" => return reply(410, "application/json", json!({})),
            "bare" => drop(actor.as_object_mut().unwrap().remove("alsoKnownAs")),
            "page" => actor["alsoKnownAs"] = json!("https://keep.example/@ann"),
            "moved" => actor["movedTo"] = json!(format!("{base}/users/new")),
            "liar" => actor["preferredUsername"] = json!("new"),
            _ => {}
        }
        reply(200, "application/activity+json", actor)
    })
}

/// The program that may speak to that server, with an account that `bo` follows.
async fn followed(peer: &Peer) -> (Program, Store, Account) {
    let (mut program, store, ann) = program().await;
    program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128");
    program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &peer.authority());
    follow(&store, &ann, "bo", "far.example", Accepted).await;
    (program, store, ann)
}

fn shown(program: &Program) -> Value {
    program.json(&["account", "show", "ann", "--json"])
}

#[tokio::test]
async fn a_move_is_told_by_an_update_and_then_a_move_and_takes_no_second_one() {
    let peer = server();
    let (program, ..) = followed(&peer).await;
    let (address, target) = (format!("acct:new@{}", peer.authority()), peer.url("/users/new"));
    assert_eq!(
        program.ok(&["account", "move", "--to", &address]),
        format!(
            "@ann@keep.example has moved to {target}.\n\
             Followers to be told: 1. Nobody can follow it here any more; its posts stay where they are.\n"
        )
    );
    let told = queue(program.database());
    let kinds: Vec<&str> = told.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(kinds, ["Update", "Move"]);
    assert_eq!(told[0].3["object"]["movedTo"], target);
    let moved = &told[1].3;
    assert_eq!((&moved["actor"], &moved["object"], &moved["target"]), (&json!(OURS), &json!(OURS), &json!(target)));
    assert_eq!(moved["to"], json!(["https://keep.example/users/ann/followers"]));
    assert!(moved["proof"].is_object());
    assert_eq!(shown(&program)["moved_to"], target);
    refused(&program, &["account", "move", "--to", &address], &format!("ann has moved to {target} already"));
    assert!(peer.heard().iter().all(|heard| !heard.header("signature").is_empty()), "every look-up is signed");
}

#[tokio::test]
async fn a_move_that_is_taken_back_lets_others_follow_again_and_the_next_one_wait() {
    let peer = server();
    let (program, ..) = followed(&peer).await;
    refused(&program, &["account", "move", "--undo"], "ann has not moved");
    let address = format!("new@{}", peer.authority());
    program.ok(&["account", "move", "--to", &address]);
    let told = program.ok(&["account", "move", "--undo"]);
    let target = peer.url("/users/new");
    let unheard = format!("{target} (servers that were told of the move: 0, that are not told any more: 1)");
    assert_eq!(told, format!("@ann@keep.example takes follows again. Followers who went to {unheard} stay there.\n"));
    let moves = queue(program.database()).into_iter().filter(|(kind, ..)| kind == "Move");
    assert_eq!(moves.map(|(_, _, state, _)| state).collect::<Vec<_>>(), ["dropped"], "it has not left and stays");
    assert_eq!(shown(&program)["moved_to"], Value::Null);
    let (kind, _, _, body) = queue(program.database()).pop().unwrap();
    assert_eq!((kind.as_str(), body["object"].get("movedTo")), ("Update", None));
    refused(&program, &["account", "move", "--to", &address], "ann moved less than 30 days ago: it may move again on ");
    program.database().execute("UPDATE accounts SET moved_at = now() - interval '30 days 1 minute'");
    program.ok(&["account", "move", "--to", &address]);
    program.database().execute("UPDATE deliveries SET state = 'delivered', settled_at = now() WHERE state = 'waiting'");
    let told = program.ok(&["account", "move", "--undo"]);
    assert!(told.contains("(servers that were told of the move: 1, that are not told any more: 0)"), "{told}");
}

#[tokio::test]
async fn a_move_that_others_would_not_follow_is_refused_and_says_why() {
    let peer = server();
    let (program, ..) = followed(&peer).await;
    let at = peer.authority();
    for (whom, told) in [
        (format!("bare@{at}"), format!("Add {OURS} to its aliases there")),
        (format!("page@{at}"), format!("Add {OURS} to its aliases there")),
        (format!("moved@{at}"), format!("has moved itself, to {}", peer.url("/users/new"))),
        (format!("liar@{at}"), format!("says that it is new@{at}, but that leads to {}", peer.url("/users/new"))),
        (format!("nobody@{at}"), "leads to no actor".to_owned()),
        (format!("gone@{at}"), "cannot be had".to_owned()),
        ("new@unknown.example".to_owned(), "leads to no actor".to_owned()),
        ("nonsense".to_owned(), "leads to no actor".to_owned()),
    ] {
        refused(&program, &["account", "move", "--to", &whom], &told);
    }
    assert_eq!(queue(program.database()), []);
    assert_eq!(shown(&program)["moved_to"], Value::Null);
    program.ok(&["account", "create", "ben"]);
    let to = format!("new@{at}");
    refused(&program, &["account", "move", "--account", "ben", "--to", &to], "everpost account publish ben");
    for wrong in [&["account", "move"][..], &["account", "move", "--undo", "--to", "x"]] {
        assert_eq!(program.run(wrong).code, 64, "{wrong:?}");
    }
}

#[tokio::test]
async fn after_a_move_all_is_served_edits_are_kept_quiet_and_what_goes_is_still_told() {
    use super::{ONE, TWO, seen};
    use crate::support::{Bundle, status_id};
    let archive = tempfile::tempdir().unwrap();
    let app: TestApp = seen(archive.path()).await;
    let ann = app.account("ann").await;
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    let target = "https://new.example/users/ann".to_owned();
    let moved = Account { moved_to: Some(target.clone()), last_move: Some(Utc::now()), ..ann.clone() };
    assert!(app.app.store.move_account(&moved, &[], Utc::now()).await.unwrap().is_some());
    assert!(app.app.store.move_account(&moved, &[], Utc::now()).await.unwrap().is_none(), "only one of two at once");
    let actor = app.object("/users/ann").await;
    assert_eq!(actor["movedTo"], target);
    assert_eq!(actor["@context"][4]["movedTo"]["@id"], "as:movedTo");
    assert_eq!(app.walk_outbox("ann").await.len(), 2);
    assert_eq!(app.page("/@ann").await.status, 200);
    Bundle::new().post(ONE, "<p>Changed.</p>").post(TWO, "<p>Two.</p>").write(archive.path());
    app.import(archive.path()).await;
    assert_eq!(queue(&app.database), []);
    let note = app.object(&format!("/users/ann/statuses/{}", status_id(ONE))).await;
    assert!(note["content"].as_str().unwrap().contains("Changed."));
    let id = everpost::domain::ids::PostId(status_id(TWO));
    everpost::operations::posts::withdraw(&app.app, &app.account("ann").await, id, Utc::now()).await.unwrap();
    assert_eq!(queue(&app.database)[0].0, "Delete");
}

#[tokio::test]
async fn an_alias_is_the_id_of_an_actor_whatever_names_it_and_shows_in_ours() {
    let peer = server();
    let (program, ..) = followed(&peer).await;
    let id = peer.url("/users/old");
    let added = program.ok(&["account", "alias", "add", &format!("@old@{}", peer.authority())]);
    assert_eq!(added, format!("@ann@keep.example says that it is {id} too.\n"));
    assert_eq!(queue(program.database()).pop().unwrap().3["object"]["alsoKnownAs"], json!([id]));
    assert_eq!(program.ok(&["account", "alias", "add", &peer.url("/@old")]), added, "a page leads to the id");
    assert_eq!(program.ok(&["account", "alias", "list"]), format!("{id}\n"));
    refused(&program, &["account", "alias", "add", "old@unknown.example"], "leads to no actor");
    refused(&program, &["account", "alias", "add", "old@unknown.example", "--unchecked"], "https://…");
    let dead = "https://dead.example/users/ann";
    program.ok(&["account", "alias", "add", dead, "--unchecked"]);
    assert_eq!(program.json(&["account", "alias", "list", "--json"]), json!([id, dead]));
    refused(&program, &["account", "alias", "add", OURS, "--unchecked"], "is the account itself");
    let removed = program.ok(&["account", "alias", "remove", dead]);
    assert_eq!(removed, format!("@ann@keep.example says no longer that it is {dead}.\n"));
    refused(&program, &["account", "alias", "remove", dead], "is no alias");
    program.ok(&["account", "alias", "remove", &format!("old@{}", peer.authority())]);
    assert_eq!(program.ok(&["account", "alias", "list"]), "");
}

#[tokio::test]
async fn the_account_whose_posts_are_kept_stands_first_and_stays() {
    let app = TestApp::start_at("https://keep.example").await;
    app.import(&crate::support::fixture("mastodon-4.3")).await;
    let account = app.app.store.list_accounts().await.unwrap().pop().unwrap();
    accounts::publish(&app.app, &account.handle, Utc::now()).await.unwrap();
    let account = app.account(account.handle.as_str()).await;
    let source = account.source_actor.clone().unwrap();
    let dead = "https://dead.example/users/ann";
    moves::add_alias(&app.app, &account, dead, true, Utc::now()).await.unwrap();
    moves::add_alias(&app.app, &account, &source, true, Utc::now()).await.unwrap();
    let actor = app.object(&format!("/users/{}", account.handle)).await;
    assert_eq!(actor["alsoKnownAs"], json!([source, dead]));
    let account = app.account(account.handle.as_str()).await;
    let error = moves::remove_alias(&app.app, &account, &source, Utc::now()).await.unwrap_err().to_string();
    assert!(error.contains("always stands there"), "{error}");
    for number in 0..18 {
        let account = app.account(account.handle.as_str()).await;
        let id = format!("https://dead.example/users/{number}");
        moves::add_alias(&app.app, &account, &id, true, Utc::now()).await.unwrap();
    }
    let account = app.account(account.handle.as_str()).await;
    let error = moves::add_alias(&app.app, &account, "https://x.example/u", true, Utc::now()).await.unwrap_err();
    assert!(error.to_string().contains("at most 20"), "{error}");
}
