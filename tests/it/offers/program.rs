//! The program itself: killed in the middle, and asked how far it is.

use super::{at, id};
use crate::activitypub::post;
use crate::delivery::office::{follow, public_key, settle_in, until};
use crate::delivery::sink::{Reply, Sink};
use crate::support::{Program, Serving};
use chrono::Utc;
use everpost::domain::source::Format;
use rustix::process::Signal;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_goes_on_where_it_was_and_the_owner_sees_how_far_it_is() {
    let (mut program, sink) = (Program::new(), Sink::start());
    let host = format!("127.0.0.2:{}", sink.port);
    program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8");
    program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &host);
    let (app, account) = settle_in(&program.database().url(), program.scratch()).await;
    sink.trust(&public_key(&app, &account).await);
    let say = |path: &str, body: Value| {
        let reply = Reply { body: body.to_string(), ..Reply::with(200, "content-type", "application/json") };
        sink.say(&format!("127.0.0.2{path}"), reply);
    };
    let rel = "http://nodeinfo.diaspora.software/ns/schema/2.1";
    say("/.well-known/nodeinfo", json!({ "links": [{ "rel": rel, "href": format!("http://{host}/nodeinfo/2.1") }] }));
    say("/nodeinfo/2.1", json!({ "software": { "name": "mastodon", "version": "4.6.5" } }));
    let import = app.store.begin_import(account.id, &[], Format::HugoBundle, Utc::now()).await.unwrap();
    app.store.ingest(account.id, &[post(&at(0)), post(&at(1))], Some(import), None, Utc::now()).await.unwrap();
    let nothing = program.ok(&["backfill", "status"]);
    assert!(nothing.contains("backfill.posts = 0"), "{nothing}");
    let set = program.ok(&["account", "set", "ann", "backfill.posts=2"]);
    assert!(set.contains("ann"), "{set}");
    assert_eq!(program.json(&["account", "show", "ann", "--json"])["settings"]["backfill.posts"], 2);
    let (actor, inbox) = (format!("http://{host}/users/bo"), format!("http://{host}/inbox"));
    let database = program.database();
    follow(database, &account, &actor, &inbox, None);
    database.execute(&format!("UPDATE remote_actors SET host = '{host}'"));

    let mut serving = Serving::start(&program);
    let delivered = "SELECT count(*) FROM deliveries WHERE state = 'delivered'";
    until("the first post is offered", || database.number(delivered) == 1).await;
    serving.signal(Signal::KILL);
    serving.ended();
    let second = Serving::start(&program);
    // Half an hour goes by.
    database.execute("UPDATE deliveries SET settled_at = settled_at - interval '30 minutes' WHERE state = 'delivered'");
    database.execute("UPDATE servers SET look_at = now()");
    until("it is taken out of the pins", || sink.taken().iter().any(|taken| taken.contains("#removes/"))).await;
    let adds =
        |number: i64| format!("SELECT count(*) FROM activities WHERE kind = 'Add' AND object_uri LIKE '%/{number}'");
    assert_eq!(database.number(&adds(id(1))), 1, "the kill has it offered no second time");
    drop(second);

    let status = program.json(&["backfill", "status", "--json", "--posts"]);
    let told = &status[0]["hosts"][0];
    assert_eq!((&status[0]["account"], &status[0]["posts"]), (&json!("ann"), &json!(2)));
    assert_eq!(
        (&told["host"], &told["software"], &told["version"]),
        (&json!(host), &json!("mastodon"), &json!("4.6.5"))
    );
    assert_eq!((&told["channel"], &told["followers"], &told["posts"]), (&json!("add"), &json!(1), &json!([])));
    assert_eq!(told["offered"].as_u64().unwrap() + told["waiting"].as_u64().unwrap(), 2, "{told}");
    let text = program.ok(&["backfill", "status", "--account", "ann"]);
    assert!(text.contains(&host) && text.contains("mastodon 4.6.5") && text.contains("followers there: 1"), "{text}");
}
