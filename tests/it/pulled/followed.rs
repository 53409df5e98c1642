//! Somebody follows, looks a post up, opens a thread; posts are edited and withdrawn.

use super::{ANN, HANDLE, World, date, link, note, place, single};
use crate::mastodon::{Feed, Insertion, Reason};
use crate::support::{Bundle, status_id};
use chrono::{TimeDelta, Utc};

#[test]
fn who_follows_gets_the_account_with_its_totals_and_not_one_old_post_into_a_feed() {
    let world = World::start(3);
    assert_eq!(world.mastodon.follow_and_wait("bo", HANDLE), ANN);
    let account = world.mastodon.account(ANN).unwrap();
    assert_eq!((account.handle.as_str(), account.statuses_count), (HANDLE, Some(11)));
    // It looks again when the first Follow is accepted, and by then the follower is counted.
    assert_eq!((account.followers_count, account.hides_collections), (Some(1), false));
    assert_eq!((world.came(), world.shown(), world.mastodon.pins(ANN)), (vec!["Accept".to_owned()], vec![], vec![]));
    world.assert_silent();
}

#[test]
fn a_post_that_is_looked_up_brings_its_thread_each_at_its_own_date_and_nothing_into_feeds() {
    let world = World::start(1);
    world.mastodon.follow_and_wait("bo", HANDLE);
    // From the middle: what it answers comes up to the root, and what answers it down to the last.
    assert!(world.mastodon.look_up(&note(&link(3))));
    let thread: Vec<String> = (0..8).rev().map(link).collect();
    assert_eq!(world.shown(), thread);
    let places: Vec<String> = world.mastodon.profile(ANN).iter().map(|status| place(status.id)).collect();
    assert_eq!(places, thread);
    for number in 1..8 {
        let parent = world.mastodon.status(&note(&link(number - 1))).unwrap().id;
        assert_eq!(world.mastodon.status(&note(&link(number))).unwrap().parent, Some(parent), "{number}");
    }
    world.assert_silent();
}

#[test]
fn a_thread_that_is_opened_at_its_root_is_whole() {
    let world = World::start(1);
    world.mastodon.follow_and_wait("bo", HANDLE);
    assert!(world.mastodon.look_up(&note(&link(0))));
    world.mastodon.open_thread(&note(&link(0)));
    assert_eq!(world.shown(), (0..8).rev().map(link).collect::<Vec<_>>());
    world.assert_silent();
}

#[test]
fn an_edit_is_made_where_the_post_stands_and_of_what_nobody_asked_for_nothing_comes() {
    let mut world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    assert!(world.mastodon.look_up(&note(&single(0))));
    let before = world.mastodon.status(&note(&single(0))).unwrap();
    world.edit(&single(1), "Nobody has this.");
    world.edit(&single(0), "Month 0, put right.");
    let text = |mastodon: &crate::mastodon::Mastodon| mastodon.status(&note(&single(0))).unwrap().text;
    world.wait("the edit is there", |mastodon| text(mastodon).contains("put right"));
    let after = world.mastodon.status(&note(&single(0))).unwrap();
    assert_eq!((after.id, after.created), (before.id, before.created));
    assert_eq!((world.shown(), world.came()), (vec![single(0)], vec!["Accept".to_owned(), "Update".to_owned()]));
    world.assert_silent();
}

#[test]
fn a_post_that_is_withdrawn_is_gone_over_there_and_its_id_never_comes_back() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    let (withdrawn, kept) = (note(&single(0)), note(&single(1)));
    assert!(world.mastodon.look_up(&withdrawn) && world.mastodon.look_up(&kept));
    world.program.ok(&["post", "withdraw", &status_id(&single(0)).to_string()]);
    world.wait("it is gone", |mastodon| mastodon.status(&withdrawn).is_none());
    assert_eq!((world.shown(), world.mastodon.tombstones()), (vec![single(1)], vec![withdrawn.clone()]));
    assert!(!world.mastodon.look_up(&withdrawn));
    world.assert_silent();
}

#[test]
fn an_account_that_is_deleted_is_gone_over_there_with_all_its_posts() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    assert!(world.mastodon.look_up(&note(&single(0))));
    world.program.ok(&["account", "delete", "ann", "--forever"]);
    world.wait("it is gone", |mastodon| mastodon.account(ANN).is_none());
    assert_eq!((world.shown(), world.mastodon.follows("bo", ANN)), (vec![], false));
    assert!(world.mastodon.look_up_account(HANDLE).is_err());
    assert_eq!((world.came(), world.mastodon.refused()), (vec!["Accept".to_owned(), "Delete".to_owned()], vec![]));
}

#[test]
fn a_new_post_is_on_top_of_the_feed_at_once_and_an_old_one_of_the_same_import_is_not_sent() {
    let world = World::start(1);
    world.mastodon.follow_and_wait("bo", HANDLE);
    let folder = tempfile::tempdir().unwrap();
    let (fresh, old) = (date(Utc::now() - TimeDelta::hours(1)), date(Utc::now() - TimeDelta::hours(7)));
    for at in [&fresh, &old] {
        Bundle::new().post(at, "<p>News.</p>").write(folder.path());
    }
    world.program.ok(&["import", folder.path().to_str().unwrap()]);
    world.wait("it is there", |mastodon| !mastodon.posts(ANN).is_empty());
    assert_eq!((world.shown(), world.came()), (vec![fresh.clone()], vec!["Accept".to_owned(), "Create".to_owned()]));
    let inserted = |feed| Insertion { feed, uri: note(&fresh), reason: Reason::Pushed };
    assert_eq!(world.mastodon.insertions(), [inserted(Feed::Home("bo".to_owned())), inserted(Feed::Public)]);
    assert!(world.mastodon.look_up(&note(&old)));
    assert_eq!((world.shown(), world.mastodon.insertions().len()), (vec![fresh, old], 2));
}
