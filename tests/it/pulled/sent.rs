//! What would be seen over there if we did what we do not: our own words, sent by the real worker. So silence elsewhere is
//! not that of a server that does not understand us.

use super::{ANN, HANDLE, World, note, single};
use crate::mastodon::{Feed, Insertion, Reason};
use crate::support::{Program, status_id};
use chrono::{DateTime, TimeDelta, Utc};
use everpost::activitystreams::{outgoing, render};
use everpost::domain::account::{Account, Handle};
use everpost::domain::delivery::{Outgoing, Recipients};
use everpost::domain::ids::PostId;
use everpost::domain::post::{Post, Stored};
use everpost::federation::client::Client;
use everpost::federation::keys::Vault;
use everpost::media::MediaStore;
use everpost::operations::private::Files;
use everpost::operations::{App, accounts};
use everpost::store::Store;

/// Put something about the post of that moment by `ann` into the queue of a program, proven as all that it sends.
pub fn enqueue(program: &Program, at: &str, make: impl FnOnce(&Account, &Post) -> Outgoing) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (folder, now) = (program.scratch(), Utc::now());
        let store = Store::connect(&program.database().url(), 1).unwrap();
        let media = MediaStore::in_folder(&folder.join("media"), Default::default()).unwrap();
        let client = Client::new(&Default::default()).unwrap();
        let app = App::new(store, media, Vault::open(None).unwrap(), Files::new(&folder.join("private")), client);
        let account = accounts::find(&app, &Handle::parse("ann").unwrap()).await.unwrap();
        let found = app.store.find_post(account.id, PostId(status_id(at))).await.unwrap();
        let Some(Stored::Live(post)) = found else { panic!("no such post") };
        let made = app.prove_outgoing(&account, make(&account, &post), now).await.unwrap();
        assert!(app.store.enqueue(account.id, &made, now).await.unwrap());
    });
}

fn create(world: &World, at: &str) {
    let make = |account: &Account, post: &Post| {
        let now = Utc::now();
        outgoing::create(render::create(post, account, now), now + TimeDelta::hours(1))
    };
    enqueue(&world.program, at, make);
}

#[test]
fn an_old_create_of_ours_would_be_on_top_of_every_feed_at_a_place_of_now() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    create(&world, &single(0));
    world.wait("it is there", |mastodon| mastodon.status(&note(&single(0))).is_some());
    let inserted = |feed| Insertion { feed, uri: note(&single(0)), reason: Reason::Pushed };
    assert_eq!(world.mastodon.insertions(), [inserted(Feed::Home("bo".to_owned())), inserted(Feed::Public)]);
    let status = world.mastodon.status(&note(&single(0))).unwrap();
    assert_eq!(super::date(status.created), single(0));
    let place = DateTime::from_timestamp_millis(status.id >> 16).unwrap();
    assert!(Utc::now() - place < TimeDelta::minutes(5), "{place}");
    // So its profile is out of order: the newer post, which it fetches, stands below.
    assert!(world.mastodon.look_up(&note(&single(1))));
    assert_eq!(world.shown(), [single(0), single(1)]);
}

#[test]
fn a_create_of_ours_that_nobody_over_there_follows_or_whose_id_was_deleted_is_lost() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    assert!(world.mastodon.look_up(&note(&single(0))));
    let delete = |account: &Account, post: &Post| outgoing::delete_note(account, post.id, "1", Utc::now());
    enqueue(&world.program, &single(0), delete);
    world.wait("it is gone", |mastodon| mastodon.status(&note(&single(0))).is_none());
    create(&world, &single(0));
    world.wait("it is dropped", |mastodon| !mastodon.dropped().is_empty());
    world.mastodon.unfollow("bo", ANN);
    create(&world, &single(1));
    world.wait("it is dropped too", |mastodon| mastodon.dropped().len() > 1);
    let whys: Vec<&str> = world.mastodon.dropped().iter().map(|dropped| dropped.why).collect();
    assert_eq!(whys, ["it was deleted, and its id is not taken again", "nobody here follows its author"]);
    assert_eq!((world.shown(), world.mastodon.insertions()), (vec![], vec![]));
}

#[test]
fn an_add_of_ours_fetches_a_post_silently_and_leaves_its_pin_until_the_remove() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    let add =
        |account: &Account, post: &Post| outgoing::add(account, post.id, &post.id.to_string(), Recipients::Followers);
    enqueue(&world.program, &single(0), add);
    enqueue(&world.program, &single(1), add);
    world.wait("both are pinned", |mastodon| mastodon.pins(ANN).len() == 2);
    let remove = |account: &Account, post: &Post| outgoing::remove(account, post.id, "1", Recipients::Followers);
    enqueue(&world.program, &single(1), remove);
    world.wait("one is left", |mastodon| mastodon.pins(ANN).len() == 1);
    assert_eq!((world.mastodon.pins(ANN), world.shown()), (vec![note(&single(0))], vec![single(1), single(0)]));
    world.assert_silent();
}

#[test]
fn an_announce_of_ours_is_one_boost_in_the_feed_and_the_post_is_at_its_own_date() {
    let world = World::start(2);
    world.mastodon.follow_and_wait("bo", HANDLE);
    for seconds in [0, 1] {
        let at = Utc::now() + TimeDelta::seconds(seconds);
        enqueue(&world.program, &single(0), |account, post| outgoing::announce(render::shown_again(post, account, at)));
    }
    world.wait("the second one is dropped", |mastodon| !mastodon.dropped().is_empty());
    assert_eq!(world.mastodon.dropped()[0].why, "it was boosted before");
    let boosted = Insertion { feed: Feed::Home("bo".to_owned()), uri: note(&single(0)), reason: Reason::Boosted };
    assert_eq!((world.mastodon.insertions(), world.shown()), (vec![boosted], vec![single(0)]));
    assert_eq!(world.mastodon.boosts(ANN), [note(&single(0))]);
    let post = world.mastodon.status(&note(&single(0))).unwrap();
    assert_eq!(super::place(post.id), single(0));
}
