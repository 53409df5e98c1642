//! Who is offered posts, and which.

use super::{Yard, at, id};
use crate::activitypub::{post, reply};
use chrono::{SecondsFormat, TimeDelta, Utc};
use everpost::domain::post::NewPost;
use everpost::operations::accounts;

fn url(n: i64) -> String {
    format!("https://origin.example/@ann/{}", id(n))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_software_that_is_known_to_take_it_is_offered_anything() {
    let mut yard = Yard::open(2, 2).await;
    yard.runs("a.example", "misskey", "2025.1.0");
    yard.runs("b.example", "gotosocial", "0.20.0");
    yard.runs("h1.example", "mastodon", "2.9.0");
    yard.runs("h3.example", "mastodon", "4.3.0+glitch");
    // What answers nothing of the kind is `h2.example`.
    for name in ["b.example", "h1.example", "h2.example", "h3.example"] {
        yard.follow(name, "bo").await;
    }
    yard.pass(20).await;
    for silent in ["a.example", "b.example", "h1.example", "h2.example"] {
        assert_eq!(yard.taken(silent), Vec::<String>::new(), "{silent}");
    }
    assert_eq!(yard.taken("h3.example"), ["Add 1", "Add 0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_or_offered_anything_while_the_setting_is_off() {
    let mut yard = Yard::open(2, 0).await;
    yard.pass(10).await;
    assert_eq!(yard.office.database.number("SELECT count(*) FROM servers"), 0);
    assert_eq!(yard.office.sink.got().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_boosts_and_what_is_not_shown_are_not_offered_and_do_not_count() {
    let mut yard = Yard::empty(2).await;
    yard.runs("a.example", "mastodon", "4.6.5");
    yard.follow("a.example", "bo").await;
    let boost = NewPost { boost_of: Some("https://far.example/notes/1".to_owned()), ..post(&at(7)) };
    let posts = [post(&at(1)), post(&at(2)), post(&at(3)), reply(&at(4), &url(3)), reply(&at(5), &url(30)), boost];
    yard.store(&posts).await;
    let recent = (Utc::now() - TimeDelta::hours(2)).to_rfc3339_opts(SecondsFormat::Secs, true);
    yard.store(&[post(&recent)]).await;
    yard.pass(30).await;
    let adds: Vec<String> = yard.taken("a.example").into_iter().filter(|deed| deed.starts_with("Add")).collect();
    assert_eq!(adds, ["Add 3"], "the newest two, of which one is so young that it would be news");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_the_server_has_fetched_before_is_not_offered() {
    let mut yard = Yard::open(3, 3).await;
    for n in [2, 1] {
        yard.fetch("a.example", id(n)).await;
    }
    yard.after(1).await;
    assert_eq!(yard.taken("a.example"), ["Add 0"]);
    assert_eq!((yard.offer(2), yard.offer(1)), ("done known".to_owned(), "done known".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_has_pinned_is_neither_offered_nor_taken_out_of_the_pins() {
    let mut yard = Yard::open(3, 3).await;
    yard.pin(2, true);
    yard.after(1).await;
    assert_eq!(yard.taken("a.example"), ["Add 1"]);
    yard.pin(1, true);
    yard.fetch("a.example", id(1)).await;
    yard.pass(3).await;
    assert_eq!(
        (yard.taken("a.example").len(), yard.offer(1)),
        (1, "done fetched".to_owned()),
        "the pin is the owner's now"
    );
    yard.pass(30).await;
    assert_eq!(yard.taken("a.example"), ["Add 1", "Add 0", "Remove 0"]);
    yard.pin(2, false);
    yard.pass(3).await;
    assert_eq!(yard.taken("a.example").last().unwrap(), "Add 2", "once it is pinned no more it is one of the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loses_its_last_follower_is_offered_nothing_more() {
    let mut yard = Yard::open(4, 4).await;
    yard.after(1).await;
    yard.leave("a.example");
    yard.pass(40).await;
    assert_eq!(yard.taken("a.example"), ["Add 3", "Remove 3"], "what went out is taken back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_is_offered_the_posts_at_its_own_pace() {
    let mut yard = Yard::open(2, 2).await;
    yard.after(1).await;
    yard.runs("b.example", "mastodon", "4.4.0");
    yard.follow("b.example", "cy").await;
    yard.after(1).await;
    yard.fetch("a.example", id(1)).await;
    yard.pass(3).await;
    let mut taken = yard.taken("a.example");
    taken.sort_unstable();
    assert_eq!(taken, ["Add 0", "Add 1", "Remove 1"]);
    assert_eq!(yard.taken("b.example"), ["Add 1"], "that another server has it says nothing about this one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_moved_away_or_is_no_owner_offers_nothing() {
    let moved = "moved_to = 'https://new.example/users/ann', moved_at = now()";
    for change in [moved, "state = 'draft'", "settings = settings || '{\"operator\": \"third-party\"}'"] {
        let mut yard = Yard::open(2, 2).await;
        yard.office.database.execute(&format!("UPDATE accounts SET {change}"));
        yard.pass(6).await;
        assert_eq!(yard.office.sink.got().len(), 0, "{change}");
    }
    let yard = Yard::open(1, 1).await;
    let mut account = yard.app().store.find_account_by_id(yard.office.account.id).await.unwrap().unwrap();
    accounts::set(yard.app(), &mut account, "operator", "third-party").await.unwrap();
    assert_eq!(account.settings.backfill_posts, 0);
}
