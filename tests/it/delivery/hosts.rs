//! Hosts that do not answer as they should: what that means for them, and for all others.

use super::office::{Office, until};
use super::sink::Reply;
use chrono::{TimeDelta, Utc};
use everpost::domain::delivery::{Recipients, Standing};
use everpost::store::deliveries::Chosen;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_has_its_end_and_what_was_said_is_kept() {
    let office = Office::open().await;
    let cases = [
        ("h1.example", Reply::status(202), "delivered", Some(202)),
        ("h2.example", Reply { body: "not you".to_owned(), ..Reply::status(403) }, "refused", Some(403)),
        ("h3.example", Reply::status(410), "gone", Some(410)),
        ("h4.example", Reply::status(404), "waiting", Some(404)),
        ("h5.example", Reply::with(429, "retry-after", "3600"), "waiting", Some(429)),
        ("h6.example", Reply::status(500), "waiting", Some(500)),
        ("h7.example", Reply::status(501), "refused", Some(501)),
        ("h8.example", Reply::with(301, "location", &office.inbox("a.example")), "waiting", Some(301)),
        ("h9.example", Reply::status(401), "waiting", Some(401)),
    ];
    for (host, reply, ..) in &cases {
        office.sink.say(host, reply.clone());
    }
    office.enqueue("1", &cases.each_ref().map(|(host, ..)| office.inbox(host))).await;
    let worker = office.worker();
    let tried = "SELECT count(*) FROM deliveries WHERE status IS NOT NULL AND leased_by IS NULL";
    until("an attempt at each", || office.database.number(tried) == 9).await;
    worker.stop().await;
    for (host, _, state, status) in cases {
        let found = office.database.texts(&format!(
            "SELECT concat_ws(' ', state, status, attempts > 0, due_at > now() + interval '5 seconds') FROM deliveries WHERE host LIKE '{host}%'"
        ));
        let later = state == "waiting";
        let due = if later { "t" } else { "f" };
        let (Some(found), status) = (found.first(), status.unwrap_or_default()) else { panic!("{host}") };
        // A host that answers 500 is tried some times at once, so its next attempt may be anywhere.
        assert!(*found == format!("{state} {status} t {due}"), "{host}: {found}");
    }
    let kept = "SELECT answer FROM deliveries WHERE host LIKE 'h2.%'";
    assert_eq!(office.database.texts(kept), ["not you"]);
    assert!(!office.sink.got().iter().any(|got| got.inbox.starts_with("a.example")), "no redirect is followed");
    let asked = |host: &str| office.sink.got().iter().filter(|got| got.inbox.starts_with(host)).count();
    assert_eq!(asked("h9.example"), 2, "by both schemes");
    let paused = "SELECT count(*) FROM delivery_hosts WHERE host LIKE 'h5.%' AND standing = 'new' \
        AND paused_until > now() + interval '59 minutes' AND paused_until < now() + interval '76 minutes'";
    assert_eq!(office.database.number(paused), 1, "Retry-After holds for the whole host");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_fails_and_then_works_gets_everything() {
    let office = Office::open().await;
    office.sink.say("a.example", Reply::status(500));
    let worker = office.worker();
    for n in 0..20 {
        office.enqueue(&n.to_string(), &[office.inbox_at("a.example", &format!("/{n}/inbox"))]).await;
    }
    let failures = "SELECT coalesce(max(failures), 0) FROM delivery_hosts";
    until("the host is left alone", || office.database.number(failures) >= 3).await;
    let asked = office.sink.got().len();
    assert!(asked <= 3, "a host that fails is asked one thing at a time and then no more: {asked}");
    let hosts = office.app.store.list_delivery_hosts(Chosen::Notable, 10).await.unwrap();
    assert_eq!((hosts[0].waiting, hosts[0].host.standing), (20, Standing::Failing));
    assert_eq!((hosts.len(), hosts[0].host.reason.as_str()), (1, "it answered 500"));
    office.sink.say("a.example", Reply::status(202));
    office.set_clock(TimeDelta::seconds(30));
    until("everything", || office.count("delivered") == 20).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_answers_500_for_an_hour_is_asked_now_and_then_and_gets_everything_once() {
    let office = Office::open().await;
    office.sink.say("a.example", Reply::status(500));
    for n in 0..20 {
        office.enqueue(&n.to_string(), &[office.inbox_at("a.example", &format!("/{n}/inbox"))]).await;
    }
    let worker = office.worker();
    let nothing_to_do = || {
        let now = office.now().to_rfc3339();
        let waits = format!("SELECT count(*) FROM delivery_hosts WHERE look_at > '{now}' AND standing = 'failing'");
        let leased = "SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL";
        office.database.number(&waits) == 1 && office.database.number(leased) == 0
    };
    for minute in 0..60 {
        office.set_clock(TimeDelta::minutes(minute));
        office.app.store.call_workers().await.unwrap();
        until("what is due this minute", nothing_to_do).await;
    }
    let asked = office.sink.got().len();
    assert!((6..=12).contains(&asked), "asked {asked} times in an hour");
    assert_eq!((office.count("waiting"), office.sink.taken().len()), (20, 0));
    office.sink.say("a.example", Reply::status(202));
    // No pause is longer than the time it has failed for, by then.
    office.set_clock(TimeDelta::minutes(120));
    office.app.store.call_workers().await.unwrap();
    until("everything", || office.count("delivered") == 20).await;
    worker.stop().await;
    assert_eq!((office.sink.taken().len(), office.sink.got().len()), (20, asked + 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_host_is_brought_back_by_one_probe() {
    let office = Office::open().await;
    office.sink.say("a.example", Reply::status(502));
    let host = format!("a.example:{}", office.sink.port);
    office.enqueue("1", &[office.inbox_at("a.example", "/1")]).await;
    let worker = office.worker();
    until("a failure", || !office.sink.got().is_empty()).await;
    office.enqueue("2", &[office.inbox_at("a.example", "/2")]).await;
    until("the pause", || office.database.number("SELECT max(failures) FROM delivery_hosts") >= 3).await;
    // After a week of failures.
    office.database.execute("UPDATE delivery_hosts SET failing_since = now() - interval '8 days'");
    office.app.store.retry_deliveries(Some(&host), office.now()).await.unwrap();
    let parked =
        "SELECT count(*) FROM delivery_hosts WHERE standing = 'parked' AND look_at > now() + interval '23 hours'";
    until("it is parked", || office.database.number(parked) == 1).await;
    let asked = office.sink.got().len();
    office.enqueue("3", &[office.inbox_at("a.example", "/3")]).await;
    office.enqueue("4", &[office.inbox_at("b.example", "/4")]).await;
    until("the other host", || office.count("delivered") == 1).await;
    assert_eq!(office.sink.got().len(), asked + 1, "nothing more goes to a parked host");
    office.sink.say("a.example", Reply::status(202));
    office.database.execute("UPDATE delivery_hosts SET paused_until = NULL, look_at = now() WHERE standing = 'parked'");
    until("everything", || office.count("delivered") == 4).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_host_is_brought_back_by_a_message_from_it() {
    let office = Office::open().await;
    office.enqueue("1", &[office.inbox("a.example")]).await;
    let host = format!("a.example:{}", office.sink.port);
    office.database.execute(&format!(
        "DELETE FROM delivery_wakes; UPDATE deliveries SET due_at = now() + interval '20 hours', attempts = 20; \
         INSERT INTO delivery_hosts (host, standing, failures, failing_since, paused_until, look_at) \
         VALUES ('{host}', 'parked', 30, now() - interval '9 days', now() + interval '1 day', now() + interval '1 day')"
    ));
    let worker = office.worker();
    office.enqueue("2", &[office.inbox("b.example")]).await;
    until("the other host", || office.count("delivered") == 1).await;
    assert!(!office.app.store.host_is_back("b.example", Utc::now()).await.unwrap(), "it was not away");
    assert!(!office.app.store.host_is_back("unknown.example", Utc::now()).await.unwrap());
    assert!(office.app.store.host_is_back(&host, Utc::now()).await.unwrap());
    until("what waited", || office.count("delivered") == 2).await;
    worker.stop().await;
}

/// An office whose account is followed by these, each with an inbox of its own that answers so.
async fn followed(followers: &[(&str, u16)]) -> Office {
    let office = Office::open().await;
    for (name, status) in followers {
        let inbox = office.inbox_at("a.example", &format!("/{name}/inbox"));
        office.follow(&office.inbox_at("a.example", &format!("/{name}")), &inbox, None).await;
        office.sink.say(&format!("a.example/{name}/inbox"), Reply::status(*status));
    }
    let everyone = office.activity("Update", "1", "x", Recipients::Followers);
    office.app.store.enqueue(office.account.id, &everyone, office.now()).await.unwrap();
    let worker = office.worker();
    let tried = "SELECT count(*) FROM deliveries WHERE status IS NOT NULL AND leased_by IS NULL";
    let all = i64::try_from(followers.len()).unwrap();
    until("all answers", || office.database.number(tried) == all).await;
    worker.stop().await;
    // That worker clears up when it starts, before or after the first answer: the next one finds nothing done.
    office.database.execute("UPDATE parked_inboxes SET checks = 0, check_at = now()");
    office
}

fn document(object: &Value) -> Reply {
    Reply { body: object.to_string(), ..Reply::with(200, "content-type", "application/activity+json") }
}

const FOLLOWERS: &str =
    "SELECT regexp_replace(uri, '.*/', '') FROM followers JOIN remote_actors ON remote_actors.id = actor_id ORDER BY 1";
const PARKED: &str = "SELECT regexp_replace(inbox, '.*/(.*)/inbox', '\\1') FROM parked_inboxes ORDER BY 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_inbox_is_gone_is_removed_when_its_own_host_says_so_and_not_before() {
    let office = followed(&[("gone", 410), ("tomb", 410), ("there", 410), ("unsure", 410), ("odd", 410)]).await;
    let at = |name: &str| office.inbox_at("a.example", &format!("/{name}"));
    let there = at("there");
    office.sink.say("a.example/there", document(&json!({
        "@context": "https://www.w3.org/ns/activitystreams", "id": there, "type": "Person", "preferredUsername": "there",
        "inbox": format!("{there}/inbox"),
        "publicKey": { "id": format!("{there}#main-key"), "owner": there, "publicKeyPem": "" },
    })));
    office.sink.say("a.example/tomb", document(&json!({ "id": at("tomb"), "type": "Tombstone" })));
    // It is there and of no use: nobody can tell whether it has another inbox.
    office.sink.say("a.example/odd", document(&json!({ "id": at("odd"), "type": "Person" })));
    office.sink.say("a.example/gone", Reply::status(410));
    office.sink.say("a.example/unsure", Reply::status(500));
    assert_eq!((office.count("gone"), office.database.number("SELECT count(*) FROM parked_inboxes")), (5, 5));
    let again = office.activity("Update", "2", "x", Recipients::Followers);
    office.app.store.enqueue(office.account.id, &again, office.now()).await.unwrap();
    assert_eq!(office.count("waiting"), 0, "nothing is sent to a parked inbox");
    let direct = office.inbox_at("a.example", "/gone/inbox");
    office.enqueue("3", &[direct]).await;
    // Whoever was asked within minutes is not asked again.
    office.database.execute("UPDATE remote_actors SET fetched_at = now() - interval '1 hour'");
    // A worker that starts clears up.
    let worker = office.worker();
    until("two are gone", || office.database.texts(FOLLOWERS) == ["odd", "there", "unsure"]).await;
    until("two are not clear", || office.database.texts(PARKED) == ["odd", "unsure"]).await;
    let put_off = "SELECT count(*) FROM parked_inboxes WHERE checks = 1 AND check_at > now() + interval '9 minutes'";
    until("both are left alone after one look", || office.database.number(put_off) == 2).await;
    worker.stop().await;
    assert_eq!(office.database.number(put_off), 2);
    assert_eq!(office.sink.got().iter().filter(|got| got.id.ends_with("/3")).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_404_to_everything_for_a_day_loses_neither_its_followers_nor_what_waits_for_them() {
    let office = followed(&[("missing", 404)]).await;
    office.sink.say("a.example/missing", Reply::status(404));
    assert_eq!((office.count("waiting"), office.database.texts(PARKED)), (1, vec!["missing".to_owned()]));
    let again = office.activity("Update", "2", "x", Recipients::Followers);
    office.app.store.enqueue(office.account.id, &again, office.now()).await.unwrap();
    assert_eq!(office.count("waiting"), 2, "what is missing may come back");
    // Missing for days at the first look, and at every look for a day.
    for (missing, days) in [(0, 4), (3, 1)] {
        office.database.execute(&format!(
            "UPDATE parked_inboxes SET missing = {missing}, parked_at = now() - interval '{days} days', check_at = now()"
        ));
        let worker = office.worker();
        let looks = format!("SELECT count(*) FROM parked_inboxes WHERE missing = {missing} + 1");
        until("another look", || office.database.number(&looks) == 1).await;
        worker.stop().await;
        assert_eq!(office.database.texts(FOLLOWERS), ["missing"]);
    }
    office.sink.say("a.example/missing/inbox", Reply::status(202));
    office.app.store.retry_deliveries(None, office.now()).await.unwrap();
    let worker = office.worker();
    until("everything that waited", || office.count("delivered") == 2).await;
    worker.stop().await;
    assert_eq!(office.database.texts(PARKED), Vec::<String>::new(), "it took something, so it is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_missing_for_days_at_every_look_is_removed() {
    let office = followed(&[("missing", 404)]).await;
    office.sink.say("a.example/missing", Reply::status(404));
    office
        .database
        .execute("UPDATE parked_inboxes SET missing = 2, parked_at = now() - interval '4 days', check_at = now()");
    let worker = office.worker();
    until("it is removed", || office.database.texts(FOLLOWERS).is_empty()).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_was_never_asked_does_not_wait_for_the_backlog_of_those_that_answer() {
    let office = Office::open().await;
    for host in 0..4 {
        office.sink.say(&format!("h{host}.example"), Reply::after(Duration::from_millis(30)));
        office.database.execute(&format!(
            "INSERT INTO delivery_hosts (host, standing) VALUES ('h{host}.example:{}', 'good')",
            office.sink.port
        ));
    }
    let inboxes: Vec<_> = (0..240).map(|n| office.inbox_at(&format!("h{}.example", n % 4), &format!("/{n}"))).collect();
    office.enqueue("backlog", &inboxes).await;
    office.enqueue("new", &[office.inbox("b.example")]).await;
    let worker = office.small_worker(8);
    until("everything", || office.count("delivered") == 241).await;
    worker.stop().await;
    let after =
        "SELECT count(*) FROM deliveries WHERE settled_at > (SELECT settled_at FROM deliveries WHERE host LIKE 'b.%')";
    let after = office.database.number(after);
    assert!(after > 100, "the new host came before all but {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_for_dead_hosts_hold_no_living_one_up() {
    let office = Office::open().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_port, closed_port) = (silent.local_addr().unwrap().port(), closed.local_addr().unwrap().port());
    drop(closed);
    // 400 hosts that refuse connections and 400 that never answer, each with 125 deliveries: all due, none asked before.
    office.enqueue("old", &[]).await;
    office.database.execute(&format!(
        "INSERT INTO activities (account_id, uri, kind, object_uri, body, created_at) \
             SELECT account_id, uri || n, kind, object_uri || n, body, now() - interval '1 hour' \
             FROM activities, generate_series(1, 125) AS n; \
         INSERT INTO deliveries (activity_id, inbox, host, line, state, due_at) \
             SELECT id, 'http://' || host || '/inbox', host, hashtextextended(host || uri, 0), 'waiting', now() - interval '1 hour' \
             FROM (SELECT 'h' || h || '.example:' || CASE WHEN h % 2 = 0 THEN {silent_port} ELSE {closed_port} END AS host \
                   FROM generate_series(0, 799) AS h) AS hosts, activities WHERE uri NOT LIKE '%/old'; \
         INSERT INTO delivery_wakes (host) SELECT DISTINCT host FROM deliveries"
    ));
    assert_eq!(office.count("waiting"), 100_000);
    let worker = office.worker();
    until("the dead are being asked", || {
        office.database.number("SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL") >= 32
    })
    .await;
    // A host that has answered before never waits for those that have not.
    let host = format!("a.example:{}", office.sink.port);
    office.database.execute(&format!("INSERT INTO delivery_hosts (host, standing) VALUES ('{host}', 'good')"));
    let inboxes: Vec<_> = (0..40).map(|n| office.inbox_at("a.example", &format!("/{n}/inbox"))).collect();
    let begun = std::time::Instant::now();
    office.enqueue("fresh", &inboxes).await;
    until("the living has everything", || office.count("delivered") == 40).await;
    let took = begun.elapsed();
    let silence =
        office.database.number("SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL AND host LIKE '%:' || 1");
    assert!(took < Duration::from_secs(10), "sooner than one dead host's silence ends: {took:?} {silence}");
    worker.stop().await;
    let most = office
        .database
        .number("SELECT max(n) FROM (SELECT count(*) AS n FROM deliveries WHERE attempts > 0 GROUP BY host) q");
    assert!(most <= 40, "{most}");
    drop(silent);
}
