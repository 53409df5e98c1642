//! The simulated server bites: what would flood followers, leave pins behind or be lost is seen to do so here.

use super::author::Author;
use super::signature::Keys;
use super::{Feed, Insertion, Mastodon, Reason};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;

/// A date of years ago.
fn old() -> DateTime<Utc> {
    "2019-05-01T10:00:00Z".parse().unwrap()
}

/// An author whom bo follows.
fn followed() -> (Mastodon, Author) {
    let (mastodon, author) = (Mastodon::start(), Author::start());
    author.be_followed(&mastodon, "bo");
    assert_eq!(mastodon.insertions(), []);
    (mastodon, author)
}

/// The moment that an id tells.
fn moment(id: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(id >> 16).unwrap()
}

fn is_now(at: DateTime<Utc>) -> bool {
    (Utc::now() - at).abs() < TimeDelta::minutes(5)
}

fn home(name: &str, uri: &str, reason: Reason) -> Insertion {
    Insertion { feed: Feed::Home(name.to_owned()), uri: uri.to_owned(), reason }
}

fn whys(mastodon: &Mastodon) -> Vec<&'static str> {
    mastodon.dropped().into_iter().map(|dropped| dropped.why).collect()
}

///
#[test]
fn an_old_post_that_is_pushed_is_of_now_on_top_of_every_feed_and_tells_whom_it_names() {
    let (mastodon, author) = followed();
    let named = json!({"tag": [{"type": "Mention", "href": mastodon.add_user("bo"), "name": "@bo"}]});
    let post = author.post_with("old", old(), named);
    assert_eq!(author.push(&mastodon, &author.activity("Create", 1, author.note("old"))), 202);
    let status = mastodon.status(&post).unwrap();
    assert_eq!((status.created, is_now(moment(status.id))), (old(), true));
    let public = Insertion { feed: Feed::Public, uri: post.clone(), reason: Reason::Pushed };
    assert_eq!(mastodon.insertions(), [home("bo", &post, Reason::Pushed), public]);
    assert_eq!(mastodon.notifications(), [("bo".to_owned(), post)]);
}

///
#[test]
fn an_old_post_that_is_fetched_has_the_place_of_its_date_and_is_in_no_feed() {
    let (mastodon, author) = followed();
    let named = json!({"tag": [{"type": "Mention", "href": mastodon.add_user("bo"), "name": "@bo"}]});
    let later = author.post("later", old() + TimeDelta::seconds(1));
    let post = author.post_with("old", old(), named);
    assert!(mastodon.look_up(&later) && mastodon.look_up(&post));
    let at = moment(mastodon.status(&post).unwrap().id);
    assert!(at >= old() && at < old() + TimeDelta::seconds(1), "{at}");
    let posts: Vec<String> = mastodon.posts(&author.actor()).into_iter().map(|(uri, _)| uri).collect();
    assert_eq!(posts, [later, post]);
    assert_eq!((mastodon.insertions(), mastodon.notifications(), mastodon.home("bo")), (vec![], vec![], vec![]));
    let fresh = author.post("fresh", Utc::now() - TimeDelta::hours(5));
    let stale = author.post("stale", Utc::now() - TimeDelta::hours(7));
    assert!(mastodon.look_up(&fresh) && mastodon.look_up(&stale));
    assert_eq!(mastodon.insertions()[0], home("bo", &fresh, Reason::Fresh));
    assert!(mastodon.insertions().iter().all(|insertion| insertion.uri == fresh));
}

///
#[test]
fn an_add_without_a_remove_leaves_a_pin_and_with_one_the_post_alone() {
    let (mastodon, author) = followed();
    let (left, taken) = (author.post("left", old()), author.post("taken", old()));
    author.push(&mastodon, &author.pinning("Add", 1, &left));
    author.push(&mastodon, &author.pinning("Add", 2, &taken));
    author.push(&mastodon, &author.pinning("Remove", 3, &taken));
    assert_eq!(mastodon.pins(&author.actor()), [left]);
    assert_eq!((mastodon.posts(&author.actor()).len(), mastodon.insertions().len()), (2, 0));
}

/// Each activity is a job of its own there, so what is sent later may be done earlier.
#[test]
fn a_remove_that_comes_while_the_post_is_on_its_way_leaves_a_pin() {
    let (mastodon, author) = followed();
    let post = author.post("slow", old());
    mastodon.set_dawdling(Duration::from_secs(1));
    std::thread::scope(|both| {
        both.spawn(|| author.push(&mastodon, &author.pinning("Add", 1, &post)));
        mastodon.wait("it is asked for", |mastodon| mastodon.fetched().contains(&post));
        author.push(&mastodon, &author.pinning("Remove", 2, &post));
    });
    assert_eq!(mastodon.pins(&author.actor()), [post]);
    assert_eq!(whys(&mastodon), ["it is not pinned"]);
}

///
#[test]
fn an_id_that_was_deleted_is_never_taken_again_however_it_comes() {
    let (mastodon, mut author) = followed();
    let post = author.post("old", old());
    assert!(mastodon.look_up(&post));
    author.push(&mastodon, &author.activity("Delete", 1, json!({"id": post, "type": "Tombstone"})));
    assert_eq!((mastodon.posts(&author.actor()), mastodon.tombstones()), (vec![], vec![post.clone()]));
    author.push(&mastodon, &author.activity("Create", 2, author.note("old")));
    author.push(&mastodon, &author.activity("Announce", 3, json!(post)));
    author.push(&mastodon, &author.pinning("Add", 4, &post));
    assert!(!mastodon.look_up(&post));
    assert_eq!((mastodon.profile(&author.actor()).len(), mastodon.pins(&author.actor())), (0, vec![]));
    let deleted = "it was deleted, and its id is not taken again";
    let lost = [deleted, deleted, "what it boosts cannot be had", deleted, "what it pins cannot be had", deleted];
    assert_eq!(whys(&mastodon), lost);
    // Whoever has other keys is somebody else.
    author.lose_keys();
    mastodon.look_up_account(&author.handle()).unwrap();
    mastodon.set_clock(TimeDelta::hours(7));
    assert!(mastodon.look_up(&post));
}

///
#[test]
fn a_create_that_nobody_asked_for_is_answered_202_and_dropped() {
    let (mastodon, author) = (Mastodon::start(), Author::start());
    author.post("old", old());
    assert_eq!(author.push(&mastodon, &author.activity("Create", 1, author.note("old"))), 202);
    assert_eq!((mastodon.posts(&author.actor()), whys(&mastodon)), (vec![], vec!["nobody here follows its author"]));
    author.push(&mastodon, &author.activity("Announce", 2, author.note("old")["id"].clone()));
    assert_eq!(whys(&mastodon)[1..], ["nobody here follows who boosts it"]);
    author.post_with("to", old(), json!({"cc": [mastodon.add_user("bo")]}));
    author.push(&mastodon, &author.activity("Create", 3, author.note("to")));
    assert_eq!(mastodon.posts(&author.actor()).len(), 1);
}

///
#[test]
fn a_boost_fetches_the_post_silently_comes_on_top_once_and_a_second_one_is_dropped() {
    let (mastodon, author) = followed();
    let post = author.post("old", old());
    author.push(&mastodon, &author.activity("Announce", 1, json!(post)));
    author.push(&mastodon, &author.activity("Announce", 2, json!(post)));
    assert_eq!(mastodon.insertions(), [home("bo", &post, Reason::Boosted)]);
    assert_eq!(
        (mastodon.boosts(&author.actor()), whys(&mastodon)),
        (vec![post.clone()], vec!["it was boosted before"])
    );
    let [boost, note] = &mastodon.profile(&author.actor())[..] else { panic!("a boost and a post") };
    assert!(is_now(moment(boost.id)) && moment(note.id) < old() + TimeDelta::seconds(1));
    // A post that stands near the top already is not shown a second time.
    let merged = author.post("merged", old());
    assert!(mastodon.look_up(&merged));
    author.be_followed(&mastodon, "cy");
    assert_eq!(mastodon.home("cy").len(), 3);
    author.push(&mastodon, &author.activity("Announce", 3, json!(merged)));
    assert_eq!(mastodon.insertions()[1..], [home("bo", &merged, Reason::Boosted)]);
    author.push(&mastodon, &author.activity("Undo", 4, author.activity("Announce", 3, json!(merged))));
    assert_eq!(mastodon.boosts(&author.actor()), [post]);
}

///
#[test]
fn an_update_of_an_old_post_that_is_not_held_is_dropped_and_of_one_that_is_counts_by_its_date() {
    let (mastodon, author) = followed();
    let post = author.post("old", old());
    let edited = |at: &str, text: &str| {
        let mut note = author.note("old");
        note["content"] = json!(text);
        note["updated"] = json!(at);
        note
    };
    author.push(&mastodon, &author.activity("Update", 1, edited("2020-01-01T00:00:00Z", "two")));
    assert_eq!(
        (mastodon.status(&post).is_none(), whys(&mastodon)),
        (true, vec!["it is about an old post that is not held"])
    );
    assert!(mastodon.look_up(&post));
    let id = mastodon.status(&post).unwrap().id;
    author.push(&mastodon, &author.activity("Update", 2, edited("2020-01-01T00:00:00Z", "two")));
    author.push(&mastodon, &author.activity("Update", 3, edited("2020-01-01T00:00:00Z", "three")));
    let status = mastodon.status(&post).unwrap();
    assert_eq!((status.text.as_str(), status.id, mastodon.insertions().len()), ("two", id, 0));
    assert_eq!(whys(&mastodon)[1..], ["it says nothing new"]);
}

///
#[test]
fn five_replies_of_the_same_host_come_with_a_post_and_all_when_its_thread_is_opened() {
    let (mastodon, author) = followed();
    let reply = |name: &str, to: &str| author.post_with(name, old(), json!({"inReplyTo": to}));
    let root = format!("{}/posts/root", author.base);
    let replies: Vec<String> = (0..8).map(|n| reply(&format!("reply-{n}"), &root)).collect();
    let deep = reply("deep", &replies[7]);
    let under = json!({"replies": {"type": "Collection", "items": [deep]}, "inReplyTo": root});
    author.post_with("reply-7", old(), under);
    let items = [vec!["http://far.example/1".to_owned()], replies.clone()].concat();
    author.post_with("root", old(), json!({"replies": {"type": "Collection", "items": items}}));
    assert!(mastodon.look_up(&root));
    let held = |mastodon: &Mastodon| mastodon.posts(&author.actor()).len();
    assert_eq!((held(&mastodon), mastodon.status(&replies[4]).is_some()), (6, true));
    mastodon.open_thread(&root);
    assert_eq!((held(&mastodon), mastodon.insertions().len()), (10, 0));
    assert_eq!(mastodon.status(&deep).unwrap().parent, Some(mastodon.status(&replies[7]).unwrap().id));
    // From the deepest of them the whole is reached upwards.
    let other = Mastodon::start();
    assert!(other.look_up(&deep));
    assert!(other.status(&root).is_some() && other.status(&replies[7]).is_some());
}

///
#[test]
fn a_404_deletes_a_post_and_a_410_an_account_and_an_outage_neither() {
    let (mastodon, author) = followed();
    let (post, kept) = (author.post("old", old()), author.post("kept", old()));
    assert!(mastodon.look_up(&post) && mastodon.look_up(&kept));
    for (path, status) in
        [("/posts/old", 503), ("/posts/old", 410), ("/users/ann", 404), ("/.well-known/webfinger", 404)]
    {
        author.refuse(path, status);
        mastodon.look_up(&post);
        assert!(mastodon.look_up_account(&author.handle()).is_err() || path == "/posts/old");
        assert_eq!(mastodon.posts(&author.actor()).len(), 2, "{path} {status}");
    }
    author.refuse("/posts/old", 404);
    assert!(!mastodon.look_up(&post));
    assert_eq!((mastodon.posts(&author.actor()).len(), mastodon.tombstones()), (1, vec![]));
    author.refuse("/.well-known/webfinger", 410);
    assert!(mastodon.look_up_account(&author.handle()).is_err());
    assert!(mastodon.account(&author.actor()).is_none() && !mastodon.follows("bo", &author.actor()));
    assert_eq!(mastodon.posts(&author.actor()), []);
}

///
#[test]
fn a_copy_that_names_a_post_that_is_held_is_not_held_beside_it() {
    let (mastodon, author) = followed();
    let original = author.post("original", old());
    assert!(mastodon.look_up(&original));
    author.post_with("copy", old(), json!({"atomUri": original}));
    assert!(mastodon.look_up(&format!("{}/posts/copy", author.base)));
    assert_eq!(mastodon.posts(&author.actor()).len(), 1);
    let (other, copy) = (Author::start(), json!({"atomUri": original}));
    assert!(!mastodon.look_up(&other.post_with("copy", old(), copy)));
    assert_eq!(whys(&mastodon), ["somebody else holds it"]);
}

///
#[test]
fn pins_are_looked_at_when_an_account_is_found_first_followed_and_updated() {
    let (mastodon, author) = (Mastodon::start(), Author::start());
    let posts: Vec<String> = (0..7).map(|n| author.post(&n.to_string(), old())).collect();
    author.feature(&[json!(posts[0])]);
    mastodon.look_up_account(&author.handle()).unwrap();
    mastodon.settle();
    assert_eq!(mastodon.pins(&author.actor()), [posts[0].clone()]);
    // All of them, embedded or not; but what is embedded is a Note.
    let embedded = [author.note("1"), json!({"id": posts[2], "type": "Question"})];
    let named = posts[3..].iter().map(|id| json!(id));
    author.feature(&embedded.into_iter().chain(named).collect::<Vec<_>>());
    author.be_followed(&mastodon, "bo");
    let pins = |mastodon: &Mastodon| mastodon.pins(&author.actor()).len();
    assert_eq!((pins(&mastodon), mastodon.status(&posts[2]).is_some()), (5, false));
    author.feature(&[]);
    author.be_followed(&mastodon, "cy");
    assert_eq!(pins(&mastodon), 0, "looking for it is enough");
    author.feature(&[json!(posts[2])]);
    author.push(&mastodon, &author.activity("Update", 1, author.document()));
    assert_eq!(mastodon.pins(&author.actor()), [posts[2].clone()]);
    assert_eq!((mastodon.posts(&author.actor()).len(), mastodon.insertions().len()), (7, 0));
    let account = mastodon.account(&author.actor()).unwrap();
    assert_eq!((account.statuses_count, account.followers_count, account.hides_collections), (Some(7), Some(7), false));
}

///
#[test]
fn what_is_not_signed_by_its_sender_is_401_or_has_no_effect() {
    let (mastodon, author) = followed();
    author.post("old", old());
    let create = author.activity("Create", 1, author.note("old"));
    assert_eq!(author.push_signed(&mastodon, &create, &Keys::new()), 401);
    let mut of_another = create.clone();
    of_another["actor"] = json!(format!("{}/users/eve", author.base));
    assert_eq!(author.push(&mastodon, &of_another), 202);
    let mut graph = create.clone();
    graph["@graph"] = json!([]);
    assert_eq!(author.push(&mastodon, &graph), 202);
    let mut plain = create;
    plain["@context"] = json!("https://schema.example");
    assert_eq!(author.push(&mastodon, &plain), 202);
    let ghost = format!("{}/users/ghost", author.base);
    let delete = json!({"type": "Delete", "actor": ghost, "object": ghost});
    assert_eq!(author.push_signed(&mastodon, &delete, &Keys::new()), 202);
    assert_eq!(
        whys(&mastodon),
        [
            "its actor did not sign it",
            "it holds what is not read",
            "its context is not that of ActivityStreams",
            "it is about somebody who is not known",
        ]
    );
    assert_eq!((mastodon.refused().len(), mastodon.posts(&author.actor()).len()), (1, 0));
}
