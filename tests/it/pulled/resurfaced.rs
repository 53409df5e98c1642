//! Old posts that are shown again, and those that are pinned, as the owner's commands bring that about.

use super::{ANN, HANDLE, World, link, note, place, single};
use crate::mastodon::{Feed, Insertion, Reason};
use crate::support::status_id;
use chrono::{TimeDelta, Utc};

#[test]
fn a_post_that_is_shown_again_is_one_boost_in_the_feed_and_stands_at_its_own_date_with_its_thread() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    // The time of the day that has just come, and it was set an hour ago.
    let at = (Utc::now() - TimeDelta::minutes(1)).format("%H:%M").to_string();
    world.program.ok(&["resurface", "set", "drip", "--at", &at]);
    world.program.database().execute("UPDATE resurfacing SET set_at = set_at - interval '1 hour'");
    world.wait("it is shown again", |mastodon| !mastodon.boosts(ANN).is_empty());
    let oldest = note(&link(0));
    let boosted = Insertion { feed: Feed::Home("bo".to_owned()), uri: oldest.clone(), reason: Reason::Boosted };
    assert_eq!((world.mastodon.insertions(), world.mastodon.boosts(ANN)), (vec![boosted], vec![oldest.clone()]));
    assert_eq!(world.shown(), (0..8).rev().map(link).collect::<Vec<_>>());
    assert_eq!(place(world.mastodon.status(&oldest).unwrap().id), link(0));
    assert_eq!(world.came(), ["Accept", "Announce"]);
    assert_eq!((world.mastodon.dropped(), world.mastodon.notifications()), (vec![], vec![]));
}

#[test]
fn what_the_owner_pins_is_pinned_over_there_in_no_feed_and_what_is_unpinned_stays_at_its_date() {
    let world = World::start(3);
    let pin = |verb: &str, number: u32| world.program.ok(&["pin", verb, &status_id(&single(number)).to_string()]);
    pin("add", 0);
    world.mastodon.follow_and_wait("bo", HANDLE);
    assert_eq!((world.mastodon.pins(ANN), world.shown()), (vec![note(&single(0))], vec![single(0)]));
    pin("add", 1);
    world.wait("the second is pinned", |mastodon| mastodon.pins(ANN).len() == 2);
    pin("remove", 0);
    world.wait("the first is not", |mastodon| mastodon.pins(ANN) == [note(&single(1))]);
    assert_eq!(world.shown(), [single(1), single(0)]);
    world.assert_silent();
}
