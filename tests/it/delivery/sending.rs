//! What is enqueued is sent: once, signed, in order, to whom it should go.

use super::office::{Office, until};
use super::sink::Reply;
use chrono::{TimeDelta, Utc};
use everpost::domain::block::BlockTarget;
use everpost::domain::delivery::{Outgoing, Recipients, Standing};
use everpost::domain::follower::FollowState;
use everpost::domain::ids::RemoteActorId;
use everpost::operations::accounts;
use everpost::store::Store;
use everpost::store::deliveries::Lanes;
use everpost::store::followers::Follow;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_enqueued_is_sent_signed_once_to_each_shared_inbox() {
    let office = Office::open().await;
    for (actor, host, path, shared) in [
        ("https://a.example/1", "a.example", "/1/inbox", Some("/inbox")),
        ("https://a.example/2", "a.example", "/2/inbox", Some("/inbox")),
        ("https://b.example/1", "b.example", "/1/inbox", None),
        ("https://b.example/2", "b.example", "/2/inbox", None),
    ] {
        let shared = shared.map(|path| office.inbox_at(host, path));
        office.follow(actor, &office.inbox_at(host, path), shared.as_deref()).await;
    }
    // Nobody's address makes the whole fan-out fail.
    office.follow("https://c.example/1", "nowhere", None).await;
    let worker = office.worker();
    let outgoing = office.activity("Update", "1", "x", Recipients::Followers);
    assert!(office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap());
    assert!(!office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap(), "the id was there");
    until("three deliveries", || office.count("delivered") == 3).await;
    let mut taken = office.sink.taken();
    taken.sort();
    let id = &outgoing.uri;
    assert_eq!(taken, ["a.example/inbox", "b.example/1/inbox", "b.example/2/inbox"].map(|to| format!("{to} {id}")));
    assert_eq!(office.sink.got().len(), 3);
    worker.stop().await;
    assert_eq!(office.database.number("SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL"), 0);
    let hosts = "SELECT concat_ws(' ', split_part(host, ':', 1), standing, failures) FROM delivery_hosts ORDER BY host";
    assert_eq!(office.database.texts(hosts), ["a.example good 0", "b.example good 0"]);
    assert!(office.app.metrics.render(None).contains("everpost_deliveries_total{outcome=\"delivered\"} 3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rolled_back_is_never_sent() {
    let office = Office::open().await;
    office.follow("https://a.example/1", &office.inbox("a.example"), None).await;
    // The commit fails, after all statements went well.
    office.database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not today''; END'; \
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON activities DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
         WHEN (new.uri LIKE '%/never') EXECUTE FUNCTION refuse()",
    );
    let worker = office.worker();
    let actor = RemoteActorId(office.database.number("SELECT id FROM remote_actors"));
    let uri = "https://a.example/1#again";
    let follow = Follow { account: office.account.id, actor, uri, json: "{}" };
    let to = Recipients::Inboxes(vec![office.inbox("a.example")]);
    let answer = office.activity("Accept", "never", "x", to.clone());
    office.app.store.follow(&follow, FollowState::Accepted, Some(&answer), office.now()).await.unwrap_err();
    assert_eq!(office.database.texts("SELECT follow_uri FROM followers"), ["https://a.example/1#follow"]);
    let answer = office.activity("Accept", "yes", "x", to);
    office.app.store.follow(&follow, FollowState::Accepted, Some(&answer), office.now()).await.unwrap();
    until("the second Accept", || office.count("delivered") == 1).await;
    assert_eq!(office.sink.taken(), [format!("a.example/inbox {}", answer.uri)]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_the_queue_and_send_nothing_twice() {
    let office = Office::open().await;
    let inboxes: Vec<_> =
        (0..600).map(|n| office.inbox_at(&format!("h{}.example", n % 60), &format!("/{n}"))).collect();
    let workers = [office.worker(), office.worker()];
    office.enqueue("all", &inboxes).await;
    until("all deliveries", || office.count("delivered") == 600).await;
    let mut got: Vec<_> = office.sink.got().into_iter().map(|got| got.inbox).collect();
    got.sort();
    got.dedup();
    assert_eq!((got.len(), office.sink.got().len()), (600, 600));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_holds_nothing_up_however_much_it_is() {
    let office = Office::open().await;
    let to = || Recipients::Inboxes(vec![office.inbox("a.example")]);
    for n in 0..100 {
        let expired = office.activity("Create", &n.to_string(), &format!("objects/{n}"), to());
        let expired = Outgoing { expires_at: Some(office.now()), ..expired };
        assert!(office.app.store.enqueue(office.account.id, &expired, office.now()).await.unwrap());
    }
    office.enqueue("fresh", &[office.inbox("a.example")]).await;
    let worker = office.worker();
    until("what is fresh", || office.count("delivered") == 1).await;
    until("an end of everything", || office.count("expired") == 100).await;
    worker.stop().await;
    assert_eq!(office.sink.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_is_older_than_its_time_when_it_could_be_sent_expires_and_what_comes_after_it_is_sent() {
    let office = Office::open().await;
    office.sink.say("a.example", Reply::status(503));
    let to = || Recipients::Inboxes(vec![office.inbox("a.example"), office.inbox("b.example")]);
    let expiring = |id, after| {
        let expires_at = Some(office.now() + after);
        Outgoing { expires_at, ..office.activity("Create", id, &format!("objects/{id}"), to()) }
    };
    for outgoing in [expiring("1", TimeDelta::hours(6)), expiring("2", TimeDelta::hours(8))] {
        assert!(office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap());
    }
    let worker = office.worker();
    until("both at the host that answers", || office.count("delivered") == 2).await;
    let tried = || office.database.number("SELECT sum(attempts) FROM deliveries WHERE state = 'waiting'");
    until("a failure at the other", || tried() > 0).await;
    worker.stop().await;
    office.sink.say("a.example", Reply::status(202));
    let before = office.sink.got().len();
    office.set_clock(TimeDelta::hours(7));
    let update = office.activity("Update", "3", "objects/1", Recipients::Inboxes(vec![office.inbox("a.example")]));
    assert!(office.app.store.enqueue(office.account.id, &update, office.now()).await.unwrap());
    office.app.store.retry_deliveries(None, office.now()).await.unwrap();
    let worker = office.worker();
    until("an end of everything", || office.count("waiting") == 0).await;
    worker.stop().await;
    assert_eq!((office.count("delivered"), office.count("expired")), (4, 1));
    let mut late: Vec<_> =
        office.sink.got()[before..].iter().map(|got| got.id[got.id.len() - 1..].to_owned()).collect();
    late.sort();
    assert_eq!(late, ["2", "3"]);
    let expired = "SELECT uri || ' ' || answer FROM deliveries JOIN activities ON activities.id = activity_id \
                   WHERE state = 'expired'";
    assert_eq!(
        office.database.texts(expired),
        [format!("{}/activities/1 it was no longer news", office.account.urls().actor())]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_about_one_object_keeps_its_order_and_holds_nothing_else_up() {
    let office = Office::open().await;
    office.sink.say("a.example", Reply::status(503));
    let to = || Recipients::Inboxes(vec![office.inbox("a.example"), office.inbox("b.example")]);
    let other = Recipients::Inboxes(vec![office.inbox("a.example")]);
    let create = office.activity("Create", "1", "note", to());
    let worker = office.worker();
    assert!(office.app.store.enqueue(office.account.id, &create, office.now()).await.unwrap());
    until("the first failure", || office.sink.got().iter().any(|got| got.inbox == "a.example/inbox")).await;
    until("the first failure is written down", || office.count("waiting") == 1).await;
    for (kind, id, object, to) in
        [("Update", "2", "note", to()), ("Delete", "3", "note", to()), ("Update", "4", "another", other)]
    {
        let outgoing = office.activity(kind, id, object, to);
        assert!(office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap());
    }
    until("the other object", || office.sink.got().iter().any(|got| got.id.ends_with("/4"))).await;
    until("the other host", || office.count("delivered") == 3).await;
    let early: Vec<_> =
        office.sink.got().into_iter().filter(|got| got.inbox.starts_with("a.")).map(|got| got.id).collect();
    assert!(early.iter().all(|id| !id.ends_with("/2") && !id.ends_with("/3")), "{early:?}");
    office.sink.say("a.example", Reply::status(202));
    office.app.store.retry_deliveries(None, office.now()).await.unwrap();
    until("everything", || office.count("waiting") == 0).await;
    for host in ["a.example", "b.example"] {
        let about = |id: &&String| id.starts_with(host) && !id.ends_with("/4");
        let order: Vec<_> = office.sink.taken().iter().filter(about).map(|id| id[id.len() - 1..].to_owned()).collect();
        assert_eq!(order, ["1", "2", "3"], "{host}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_to_who_was_blocked_since() {
    let office = Office::open().await;
    let own = office.inbox_at("b.example", "/bob/inbox");
    office.follow("https://b.example/bob", &own, None).await;
    let inboxes = [office.inbox("a.example"), own, office.inbox_at("b.example", "/eve/inbox")];
    office.enqueue("1", &inboxes).await;
    for target in [BlockTarget::Domain("a.example".to_owned()), BlockTarget::Actor("https://b.example/bob".to_owned())]
    {
        office.app.store.insert_block(None, &target, "", Utc::now()).await.unwrap();
    }
    let worker = office.worker();
    until("a delivery", || office.count("waiting") == 0).await;
    assert_eq!((office.count("delivered"), office.count("dropped")), (1, 2));
    assert_eq!(office.sink.got()[0].inbox, "b.example/eve/inbox");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_goes_to_whom_its_account_blocks_and_not_to_whom_the_server_blocks() {
    let office = Office::open().await;
    let own = office.inbox_at("b.example", "/bob/inbox");
    office.follow("https://b.example/bob", &own, None).await;
    let bob = BlockTarget::Actor("https://b.example/bob".to_owned());
    office.app.store.insert_block(Some(office.account.id), &bob, "", Utc::now()).await.unwrap();
    let say = async |kind: &'static str, id: &str| {
        let outgoing = office.activity(kind, id, id, Recipients::Inboxes(vec![own.clone()]));
        assert!(office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap());
    };
    say("Reject", "1").await;
    say("Update", "2").await;
    let worker = office.worker();
    until("two ends", || office.count("waiting") == 0).await;
    assert_eq!((office.count("delivered"), office.count("dropped")), (1, 1));
    assert!(office.sink.got()[0].id.ends_with("/1"));
    office.app.store.insert_block(None, &bob, "", Utc::now()).await.unwrap();
    say("Reject", "3").await;
    until("a third end", || office.count("waiting") == 0).await;
    assert_eq!((office.count("delivered"), office.count("dropped")), (1, 2));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_to_whom_a_block_names_by_address() {
    let office = Office::open().await;
    let own = office.inbox_at("b.example", "/bob/inbox");
    office.follow("https://b.example/bob", &own, None).await;
    office.database.execute("UPDATE remote_actors SET handle = 'Bob@b.example'");
    let bob = BlockTarget::Address("bob@b.example".to_owned());
    office.app.store.insert_block(None, &bob, "", Utc::now()).await.unwrap();
    office.enqueue("1", &[own, office.inbox_at("b.example", "/eve/inbox")]).await;
    let worker = office.worker();
    until("two ends", || office.count("waiting") == 0).await;
    assert_eq!((office.count("delivered"), office.count("dropped")), (1, 1));
    assert_eq!(office.sink.got()[0].inbox, "b.example/eve/inbox");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_for_others_says_nothing_but_that_it_is_gone() {
    let office = Office::open().await;
    for (kind, id) in [("Delete", "1"), ("Update", "2")] {
        let outgoing = office.activity(kind, id, id, Recipients::Inboxes(vec![office.inbox("a.example")]));
        office.app.store.enqueue(office.account.id, &outgoing, office.now()).await.unwrap();
    }
    // Its keys are still there, as for a server that is about to say goodbye.
    office.database.execute("UPDATE accounts SET state = 'gone', gone_at = now()");
    let worker = office.worker();
    until("an end", || office.count("waiting") == 0).await;
    assert_eq!((office.count("delivered"), office.count("dropped")), (1, 1));
    office.database.execute("UPDATE accounts SET state = 'draft', gone_at = NULL");
    office.enqueue("3", &[office.inbox("a.example")]).await;
    until("another end", || office.count("dropped") == 2).await;
    office.database.execute("UPDATE accounts SET state = 'live'");
    accounts::delete(&office.app, &office.account.handle, Utc::now()).await.unwrap();
    let last = office.activity("Delete", "4", "4", Recipients::Inboxes(vec![office.inbox("a.example")]));
    office.app.store.enqueue(office.account.id, &last, office.now()).await.unwrap();
    // Whatever it said before went with it, and its keys when nothing was left to be signed.
    until("a last end", || office.count("dropped") == 1).await;
    assert_eq!((office.sink.got().len(), office.count("delivered")), (1, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_loses_nothing_and_sends_nothing_twice() {
    let office = Office::open().await;
    office.set_clock(TimeDelta::minutes(30));
    office.sink.say("b.example", Reply::status(500));
    let worker = office.worker();
    office.enqueue("1", &[office.inbox("a.example"), office.inbox("b.example")]).await;
    until("one is delivered", || office.count("delivered") == 1).await;
    until("one has failed", || office.database.number("SELECT count(*) FROM deliveries WHERE status = 500") == 1).await;
    office.set_clock(TimeDelta::zero());
    office.enqueue("2", &[office.inbox("a.example")]).await;
    until("what came after is delivered", || office.count("delivered") == 2).await;
    worker.stop().await;
    // What failed before is due half an hour and some seconds later than it would have been, and no earlier.
    office.sink.say("b.example", Reply::status(202));
    office.set_clock(TimeDelta::minutes(31));
    let worker = office.worker();
    until("all is delivered", || office.count("delivered") == 3).await;
    worker.stop().await;
    assert_eq!(office.sink.taken().len(), 3);
}

#[tokio::test]
async fn what_a_clock_wrote_that_ran_ahead_for_years_is_put_right() {
    let office = Office::open().await;
    office.enqueue("1", &[office.inbox("a.example")]).await;
    office.database.execute("UPDATE deliveries SET due_at = now() + interval '4 years'");
    let ages = everpost::delivery::policy::AGES;
    office.app.store.tidy_deliveries(ages, office.now()).await.unwrap().unwrap();
    assert_eq!(office.database.number("SELECT count(*) FROM deliveries WHERE due_at <= now()"), 1);
}

#[tokio::test]
async fn what_is_settled_is_forgotten_after_a_while_and_what_waits_too_long_expires() {
    let office = Office::open().await;
    for id in ["delivered", "refused", "waiting", "fresh"] {
        office.enqueue(id, &[office.inbox("a.example")]).await;
    }
    let of = |id: &str| format!("activity_id = (SELECT id FROM activities WHERE uri LIKE '%/{id}')");
    for state in ["delivered", "refused"] {
        let settled = format!("UPDATE deliveries SET state = '{state}', settled_at = now() WHERE {}", of(state));
        office.database.execute(&settled);
    }
    office.database.execute("UPDATE activities SET created_at = now() - interval '29 days' WHERE uri LIKE '%/waiting'");
    let left = async |days: i64| {
        let ages = everpost::delivery::policy::AGES;
        office.app.store.tidy_deliveries(ages, office.now() + TimeDelta::days(days)).await.unwrap().unwrap();
        let rows = "SELECT concat_ws(' ', regexp_replace(a.uri, '.*/', ''), d.state) FROM activities a \
            LEFT JOIN deliveries d ON a.id = d.activity_id ORDER BY a.id";
        office.database.texts(rows)
    };
    assert_eq!(left(0).await, ["delivered delivered", "refused refused", "waiting waiting", "fresh waiting"]);
    assert_eq!(left(4).await, ["delivered", "refused refused", "waiting expired", "fresh waiting"]);
    assert_eq!(left(29).await, ["delivered", "refused refused", "waiting expired", "fresh waiting"]);
    assert_eq!(left(31).await, ["waiting expired", "fresh expired"]);
    assert_eq!(left(62).await, Vec::<String>::new());
}

pub(super) fn lanes() -> Lanes {
    Lanes { free: Standing::ALL.map(|standing| (standing, 32)), total: 32, each: 4 }
}

#[tokio::test]
async fn a_lease_is_prolonged_for_what_a_worker_knows_of_and_taken_over_otherwise() {
    let office = Office::open().await;
    office.enqueue("1", &[office.inbox("a.example"), office.inbox("b.example")]).await;
    let (store, now) = (&office.app.store, office.now());
    let until = now + TimeDelta::seconds(15);
    let look = store.lease(7, &lanes(), now, until).await.unwrap();
    assert_eq!(look.leased.len(), 2);
    assert!(store.lease(8, &lanes(), now, until).await.unwrap().leased.is_empty(), "each is leased once");
    // As where the answer to a lease is lost, and with it one of the two.
    store.prolong_leases(7, &[look.leased[0].id], now + TimeDelta::seconds(40)).await.unwrap();
    store.prolong_leases(8, &[look.leased[1].id], now + TimeDelta::seconds(40)).await.unwrap();
    assert_eq!(store.take_over_leases(now + TimeDelta::seconds(14)).await.unwrap(), 0);
    assert_eq!(store.take_over_leases(now + TimeDelta::seconds(16)).await.unwrap(), 1);
    let later = now + TimeDelta::seconds(16);
    let again = store.lease(8, &lanes(), later, later + TimeDelta::seconds(15)).await.unwrap();
    assert_eq!(again.leased.iter().map(|leased| leased.id).collect::<Vec<_>>(), [look.leased[1].id]);
}

#[tokio::test]
async fn a_host_that_a_lease_has_no_room_for_keeps_its_turn() {
    let office = Office::open().await;
    for n in 0..4 {
        let inboxes: Vec<_> = (0..3).map(|host| office.inbox(&format!("h{host}.example"))).collect();
        office.enqueue(&n.to_string(), &inboxes).await;
    }
    office.database.execute(
        "DELETE FROM delivery_wakes; INSERT INTO delivery_hosts (host, standing, look_at) \
         SELECT DISTINCT host, 'good', now() - interval '1 hour' FROM deliveries",
    );
    let (store, now) = (&office.app.store, office.now());
    let one_host = Lanes { total: 4, ..lanes() };
    let look = store.lease(7, &one_host, now, now + TimeDelta::seconds(15)).await.unwrap();
    assert_eq!(look.leased.len(), 4);
    let kept = "SELECT count(*) FROM delivery_hosts WHERE look_at < now() - interval '59 minutes'";
    assert_eq!(office.database.number(kept), 2);
    let rest = store.lease(7, &lanes(), now, now + TimeDelta::seconds(15)).await.unwrap();
    assert_eq!(rest.leased.len(), 8);
}

#[tokio::test]
async fn a_lease_reads_what_it_takes_and_not_all_that_waits() {
    let office = Office::open().await;
    office.enqueue("1", &[]).await;
    // One host with very much and many with some, as no statistics of the tables would have it.
    office.database.execute(
        "INSERT INTO activities (account_id, uri, kind, object_uri, body, created_at) \
             SELECT account_id, uri || n, kind, object_uri || n, body, created_at FROM activities, generate_series(1, 20000) AS n; \
         INSERT INTO deliveries (activity_id, inbox, host, line, state, due_at) \
             SELECT id, 'https://' || host || '/inbox', host, hashtextextended(host || id, 0), 'waiting', now() - interval '1 hour' \
             FROM activities, (SELECT 'big.example' UNION ALL SELECT 'h' || h || '.example' FROM generate_series(1, 100) AS h) AS hosts (host) \
             WHERE host = 'big.example' OR id % 200 = 0; \
         INSERT INTO delivery_hosts (host, standing, look_at) SELECT DISTINCT host, 'good', now() - interval '1 hour' FROM deliveries; \
         ANALYZE",
    );
    let read = || {
        office.database.number(
            "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'deliveries') \
                + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'deliveries')",
        )
    };
    let before = read();
    let store = Store::connect(&office.database.url(), 1).unwrap();
    let now = office.now();
    let look = store.lease(7, &lanes(), now, now + TimeDelta::seconds(15)).await.unwrap();
    assert_eq!(look.leased.len(), 32);
    // A connection tells what it read when it ends.
    drop(store);
    until("the figures", || read() > before).await;
    let read = read() - before;
    assert!(read < 2000, "{read} rows were read to take 32 of 30000");
}
