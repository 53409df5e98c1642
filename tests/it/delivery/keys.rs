//! Which key signs what is sent: the one in force, but for the last word of one that is retired.

use super::office::{Office, until};
use super::sink::Reply;
use chrono::{TimeDelta, Utc};
use everpost::domain::delivery::Recipients;
use everpost::operations::{accounts, keys};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_are_told_with_the_old_one_and_with_the_new_one_to_who_takes_that_no_more() {
    let office = Office::open().await;
    office.follow("https://a.example/1", &office.inbox("a.example"), None).await;
    office.follow("https://b.example/1", &office.inbox("b.example"), None).await;
    office.sink.say("b.example", Reply::status(401));
    keys::rotate(&office.app, &office.account, false, office.now()).await.unwrap();
    let worker = office.worker();
    until("one delivery and one refusal", || {
        let refused =
            office.database.number("SELECT count(*) FROM deliveries WHERE status = 401 AND leased_by IS NULL");
        office.count("delivered") == 1 && refused == 1
    })
    .await;
    assert_eq!(office.sink.taken().len(), 1, "the sink verifies with the old key");
    office.sink.say("b.example", Reply::status(202));
    office.set_clock(TimeDelta::hours(1));
    office.database.execute("NOTIFY everpost_deliveries");
    until("the second delivery", || office.count("delivered") == 2).await;
    assert!(office.sink.forged() > 0, "the second try is not signed with the old key");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_signed_with_a_new_key_for_who_has_not_been_told_of_it() {
    let office = Office::open().await;
    let (own, shared) = (office.inbox_at("a.example", "/bo/inbox"), office.inbox("a.example"));
    office.follow("https://a.example/bo", &own, Some(&shared)).await;
    keys::rotate(&office.app, &office.account, false, office.now()).await.unwrap();
    office.database.execute("UPDATE deliveries SET due_at = now() + interval '1 hour'");
    for (id, inbox) in [("own", own), ("shared", shared)] {
        let accept = office.activity("Accept", id, id, Recipients::Inboxes(vec![inbox]));
        assert!(office.app.store.enqueue(office.account.id, &accept, office.now()).await.unwrap());
    }
    let worker = office.worker();
    until("both Accepts", || office.count("delivered") == 2).await;
    assert_eq!((office.sink.forged(), office.count("waiting")), (0, 1), "the sink verifies with the old key");
    office.database.execute("UPDATE deliveries SET due_at = now() WHERE state = 'waiting'; UPDATE delivery_hosts SET look_at = now(); NOTIFY everpost_deliveries");
    until("the word of the new key", || office.count("delivered") == 3).await;
    office.enqueue("after", &[office.inbox("a.example")]).await;
    until("what comes after it", || office.count("delivered") == 4).await;
    assert_eq!(office.sink.forged(), 1, "that is signed with the new key");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_gone_says_so_with_its_own_key_and_then_has_none() {
    let office = Office::open().await;
    office.follow("https://a.example/1", &office.inbox("a.example"), None).await;
    accounts::delete(&office.app, &office.account.handle, Utc::now()).await.unwrap();
    let worker = office.worker();
    until("the Delete", || office.count("delivered") == 1).await;
    let actor = office.account.urls().actor();
    assert_eq!(office.sink.taken(), [format!("a.example/inbox {actor}#delete")]);
    worker.stop().await;
    // A worker that begins tidies up, and may have done it by now.
    office.app.store.forget_keys().await.unwrap();
    assert_eq!(office.database.number("SELECT count(*) FROM keys WHERE account_id IS NOT NULL"), 0);
}
