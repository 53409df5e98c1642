//! Servers that do not take what they are offered.

use super::{Yard, id};
use crate::delivery::sink::Reply;
use everpost::domain::block::BlockTarget;

/// A day, in minutes, and a little more.
const DAY: i64 = 24 * 60 + 5;

fn pause(yard: &Yard) -> String {
    yard.office.database.texts("SELECT coalesce(pause_reason, '') FROM servers").join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_has_had_enough_is_left_alone_for_a_day() {
    let mut yard = Yard::open(3, 3).await;
    yard.office.sink.say("a.example/inbox", Reply::with(429, "retry-after", "60"));
    yard.after(1).await;
    yard.after(1).await;
    assert!(pause(&yard).contains("429"), "{}", pause(&yard));
    assert_eq!(yard.offer(2), "done failed", "it was not taken, so nothing has to be taken back");
    yard.office.sink.say("a.example/inbox", Reply::status(202));
    yard.pass(60).await;
    assert_eq!(yard.taken("a.example"), Vec::<String>::new(), "neither the queue nor anybody else tries again");
    yard.after(DAY).await;
    yard.after(1).await;
    assert_eq!(yard.taken("a.example"), ["Add 2"], "the same post, on the next day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_that_may_have_arrived_is_taken_back_once_the_host_answers_again() {
    for broken in [500, 503] {
        let mut yard = Yard::open(2, 2).await;
        yard.office.sink.say("a.example/inbox", Reply::status(broken));
        yard.after(1).await;
        yard.after(1).await;
        assert_eq!(yard.offer(1), "removing failed");
        yard.office.sink.say("a.example/inbox", Reply::status(202));
        yard.pass(30).await;
        assert_eq!(yard.taken("a.example"), ["Remove 1"], "{broken}");
        assert_eq!(yard.offer(1), "done failed");
        yard.after(DAY).await;
        yard.after(1).await;
        assert_eq!(yard.taken("a.example")[1..], ["Add 1"], "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_refuses_is_paused_and_no_post_is_offered_more_than_three_times() {
    let mut yard = Yard::open(1, 1).await;
    yard.office.sink.say("a.example/inbox", Reply::status(403));
    for _ in 0..5 {
        yard.after(DAY).await;
        yard.after(1).await;
        yard.after(5).await;
    }
    assert!(pause(&yard).contains("403"));
    assert_eq!(yard.office.sink.got().len(), 3);
    assert_eq!(yard.offer(0), "done failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remove_that_does_not_arrive_stops_the_host_and_is_sent_again_by_the_queue() {
    let mut yard = Yard::open(3, 3).await;
    yard.after(1).await;
    yard.fetch("a.example", id(2)).await;
    yard.office.sink.say("a.example/inbox", Reply::status(502));
    yard.pass(5).await;
    assert!(pause(&yard).contains("502"), "{}", pause(&yard));
    assert_eq!(yard.taken("a.example"), ["Add 2"]);
    yard.office.sink.say("a.example/inbox", Reply::status(202));
    yard.pass(60).await;
    assert_eq!(yard.taken("a.example"), ["Add 2", "Remove 2"], "and nothing new for a day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_ends_it_for_good() {
    let mut yard = Yard::open(3, 3).await;
    yard.after(1).await;
    let target = BlockTarget::Domain("a.example".to_owned());
    let account = yard.office.account.id;
    yard.app().store.insert_block(Some(account), &target, "", yard.now()).await.unwrap();
    yard.pass(5).await;
    assert_eq!(yard.taken("a.example"), ["Add 2"], "not even a Remove goes to who is blocked");
    yard.app().store.delete_block(Some(account), &target).await.unwrap();
    yard.follow("a.example", "dee").await;
    yard.pass(30).await;
    let taken = yard.taken("a.example");
    assert_eq!(taken.iter().filter(|deed| deed.starts_with("Add")).count(), 1, "{taken:?}");
    let progress = yard.app().store.list_progress(account).await.unwrap();
    assert!(progress[0].stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_clock_wrote_that_ran_ahead_for_a_year_holds_no_offer_up() {
    let mut yard = Yard::open(3, 3).await;
    yard.after(1).await;
    yard.fetch("a.example", id(2)).await;
    yard.pass(3).await;
    assert_eq!(yard.taken("a.example"), ["Add 2", "Remove 2"]);
    yard.office.database.execute(
        "UPDATE servers SET look_at = look_at + interval '1 year', ask_at = ask_at + interval '1 year', \
             offered_at = offered_at + interval '1 year', paused_until = look_at + interval '1 year', pause_reason = 'a test'",
    );
    yard.after(1).await;
    yard.after(5).await;
    assert_eq!(yard.taken("a.example")[2..], ["Add 1"]);
}
