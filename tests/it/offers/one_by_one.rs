//! One post after the other, the newest first, each taken out of the pins again.

use super::{Yard, id};
use crate::delivery::office::until;
use everpost::domain::ids::PostId;
use everpost::operations::{backfill, posts};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_posts_are_offered_one_after_the_other_and_each_is_taken_out_of_the_pins_again() {
    let mut yard = Yard::open(5, 3).await;
    for n in [4, 3, 2] {
        yard.after(1).await;
        assert_eq!(yard.taken("a.example").last().unwrap(), &format!("Add {n}"));
        yard.fetch("a.example", id(n)).await;
        yard.pass(2).await;
        assert_eq!(yard.pinned("a.example"), [n.to_string()], "the pin may not be made yet");
        yard.after(1).await;
        assert_eq!(yard.pinned("a.example"), Vec::<String>::new());
        assert_eq!(yard.offer(n), "removing fetched");
    }
    yard.pass(30).await;
    let all = ["Add 4", "Remove 4", "Add 3", "Remove 3", "Add 2", "Remove 2"];
    assert_eq!(yard.taken("a.example"), all, "no more than three, and nothing twice");
    assert_eq!(yard.offer(2), "done fetched");
    // More of them later: it goes on where it was.
    yard.set("backfill.posts", "4").await;
    yard.pass(3).await;
    assert_eq!(yard.taken("a.example").last().unwrap(), "Add 1");
    // Nothing any more: what is out is taken back all the same.
    yard.set("backfill.posts", "0").await;
    yard.pass(30).await;
    assert_eq!(yard.taken("a.example")[6..], ["Add 1", "Remove 1"]);
    assert_eq!(yard.office.database.number("SELECT count(*) FROM activities WHERE kind = 'Create'"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_names_the_pins_and_the_post_and_goes_to_the_shared_inbox_alone() {
    let mut yard = Yard::open(1, 1).await;
    yard.follow("a.example", "cy").await;
    yard.after(1).await;
    let body = yard.office.database.texts("SELECT body FROM activities WHERE kind = 'Add'");
    let add: serde_json::Value = serde_json::from_str(&body[0]).unwrap();
    let actor = yard.office.account.urls().actor();
    assert_eq!(
        (&add["actor"], &add["target"]),
        (&actor.clone().into(), &format!("{actor}/collections/featured").into())
    );
    assert_eq!(add["object"], format!("{actor}/statuses/{}", id(0)), "the address alone: it has to be fetched");
    assert!(add["proof"].is_object());
    assert_eq!(yard.office.sink.got().iter().map(|got| got.inbox.as_str()).collect::<Vec<_>>(), ["a.example/inbox"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_fifteen_an_hour_go_to_a_host_whoever_they_are_of() {
    let mut yard = Yard::open(30, 200).await;
    let mut most = 0;
    for minute in 1..=90 {
        yard.after(1).await;
        let taken = yard.taken("a.example");
        if let Some(newest) = taken.iter().rev().find_map(|deed| deed.strip_prefix("Add ")) {
            yard.fetch("a.example", id(newest.parse().unwrap())).await;
        }
        let offered = "SELECT count(*) FROM offers WHERE offered_at > now() + make_interval(mins => ";
        most = most.max(yard.office.database.number(&format!("{offered}{})", minute - 60)));
    }
    assert_eq!(most, 15);
    assert_eq!(yard.pinned("a.example").len(), 1, "the last one alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_nobody_comes_for_is_taken_out_of_the_pins_after_twenty_minutes() {
    let mut yard = Yard::open(1, 1).await;
    yard.after(1).await;
    yard.pass(19).await;
    assert_eq!(yard.pinned("a.example"), ["0"]);
    yard.pass(3).await;
    assert_eq!(yard.taken("a.example"), ["Add 0", "Remove 0"]);
    assert_eq!(yard.offer(0), "done unfetched");
    // The server was slow: it makes the pin only now, and nobody would take it away.
    yard.fetch("a.example", id(0)).await;
    yard.pass(10).await;
    assert_eq!(yard.taken("a.example"), ["Add 0", "Remove 0", "Remove 0"]);
    assert_eq!(yard.offer(0), "done fetched");
    yard.fetch("a.example", id(0)).await;
    yard.pass(10).await;
    assert_eq!(yard.taken("a.example").len(), 3, "and that once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_that_wait_for_a_slow_server_are_few() {
    let mut yard = Yard::open(10, 10).await;
    yard.pass(19).await;
    assert_eq!(yard.taken("a.example"), ["Add 9", "Add 8", "Add 7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_is_withdrawn_in_between_is_not_offered_and_taken_out_of_the_pins() {
    let mut yard = Yard::open(2, 2).await;
    yard.after(1).await;
    assert_eq!(yard.pinned("a.example"), ["1"]);
    for n in [1, 0] {
        posts::withdraw(yard.app(), &yard.office.account, PostId(id(n)), yard.now()).await.unwrap();
    }
    yard.pass(10).await;
    let taken = yard.taken("a.example");
    assert_eq!((taken[0].as_str(), taken.last().unwrap().as_str()), ("Add 1", "Remove 1"), "{taken:?}");
    assert!(!taken.contains(&"Add 0".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_that_still_waits_when_its_post_is_withdrawn_is_not_sent() {
    let mut yard = Yard::open(1, 1).await;
    yard.close_office().await;
    backfill::run(yard.app(), yard.now()).await.unwrap();
    posts::withdraw(yard.app(), &yard.office.account, PostId(id(0)), yard.now()).await.unwrap();
    let later = |seconds| yard.now() + chrono::TimeDelta::seconds(seconds);
    for seconds in [20, 40, 60] {
        backfill::run(yard.app(), later(seconds)).await.unwrap();
    }
    assert_eq!(yard.offer(0), "", "as if it had never been offered");
    yard.open_office();
    yard.pass(5).await;
    assert!(!yard.taken("a.example").iter().any(|deed| deed.starts_with("Add")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_is_not_sent_in_time_is_none_and_is_made_again() {
    let mut yard = Yard::open(1, 1).await;
    yard.close_office().await;
    let now = yard.now();
    backfill::run(yard.app(), now).await.unwrap();
    assert_eq!(yard.offer(0), "offered");
    yard.minutes += 31;
    yard.office.set_clock(chrono::TimeDelta::minutes(31));
    yard.open_office();
    until("it expires", || yard.office.count("expired") == 1).await;
    yard.pass(6).await;
    assert_eq!(yard.taken("a.example"), ["Add 0"], "no Remove for what never went out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_offer_no_post_twice_and_no_faster() {
    let mut yard = Yard::open(6, 6).await;
    let other = Arc::new(yard.app().clone());
    for minute in 1..=40 {
        yard.minutes = minute;
        yard.office.set_clock(chrono::TimeDelta::minutes(minute));
        let now = yard.now();
        let runs = (0..4).map(|_| {
            // Whose turn it is keeps nobody out here: each comes while the others are in the middle.
            yard.office.database.execute("UPDATE servers SET look_at = now() - interval '1 day'");
            let app = other.clone();
            tokio::spawn(async move { backfill::run(&app, now).await.unwrap() })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        yard.sent().await;
        if let Some(newest) = yard.taken("a.example").last().and_then(|deed| deed.strip_prefix("Add ")) {
            yard.fetch("a.example", id(newest.parse().unwrap())).await;
        }
    }
    let deeds = (0..6).rev().flat_map(|n| [format!("Add {n}"), format!("Remove {n}")]);
    assert_eq!(yard.taken("a.example"), deeds.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_anywhere_leaves_nothing_half_done() {
    let mut yard = Yard::open(4, 4).await;
    for minute in 1..=60 {
        yard.minutes = minute;
        yard.office.set_clock(chrono::TimeDelta::minutes(minute));
        let (app, now) = (yard.app().clone(), yard.now());
        let run = tokio::spawn(async move { backfill::run(&app, now).await });
        // It is broken off at some point of its work, another one each time.
        tokio::time::sleep(std::time::Duration::from_millis(minute.unsigned_abs() % 20)).await;
        run.abort();
        drop(run.await);
        yard.sent().await;
        if let Some(newest) = yard.taken("a.example").last().and_then(|deed| deed.strip_prefix("Add ")) {
            yard.fetch("a.example", id(newest.parse().unwrap())).await;
        }
    }
    yard.pass(50).await;
    let mut taken = yard.taken("a.example");
    taken.sort_unstable();
    let deeds = ["Add", "Remove"].into_iter().flat_map(|deed| (0..4).map(move |n| format!("{deed} {n}")));
    assert_eq!(taken, deeds.collect::<Vec<_>>(), "each once");
    assert_eq!(yard.pinned("a.example"), Vec::<String>::new());
}
