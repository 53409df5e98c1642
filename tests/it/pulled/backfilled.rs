//! A profile over there fills with old posts, one by one, and nothing else there changes.

use super::{ANN, HANDLE, World, link, note, place, single};
use crate::support::{PATIENCE, status_id};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How much time passes whenever nothing is left to be done at the moment.
const STEP: &str = "interval '5 minutes'";

impl World {
    fn number(&self, query: &str) -> i64 {
        self.program.database().number(query)
    }

    /// Whether the present moment holds nothing more: the server was looked at, what is to be sent is sent, and what that
    /// leads to over there is done.
    fn is_still(&self) -> bool {
        let busy = "SELECT (SELECT count(*) FROM servers WHERE look_at <= now()) \
                  + (SELECT count(*) FROM deliveries WHERE state = 'waiting')";
        self.number("SELECT count(*) FROM servers") > 0 && self.number(busy) == 0 && self.mastodon.is_idle()
    }

    /// Let time pass: all that is written down of the past and of what is due lies so much further back.
    fn pass_time(&self) {
        self.program.database().execute(&format!(
            "UPDATE servers SET look_at = look_at - {STEP}, offered_at = offered_at - {STEP}, ask_at = ask_at - {STEP}, \
                 told_at = told_at - {STEP}, paused_until = paused_until - {STEP}; \
             UPDATE offers SET offered_at = offered_at - {STEP}, fetched_at = fetched_at - {STEP}, \
                 removed_at = removed_at - {STEP}; \
             UPDATE fetches SET first_at = first_at - {STEP}, last_at = last_at - {STEP}; \
             UPDATE deliveries SET settled_at = settled_at - {STEP} WHERE state <> 'waiting'; \
             UPDATE activities SET expires_at = expires_at - {STEP};"
        ));
    }

    /// Let as much time pass as it takes until so many offers are done with.
    fn wait_for_offers(&self, count: i64) {
        let done = || self.number("SELECT count(*) FROM offers WHERE state = 'done'");
        let begun = Instant::now();
        while done() < count {
            assert!(begun.elapsed() < 4 * PATIENCE, "{} offers are done\n{}", done(), self.serving.log());
            if self.is_still() {
                self.pass_time();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.mastodon.settle();
    }
}

/// What came about pins, in order: type and object.
fn pinning(world: &World) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let about =
        |one: &Value| (text(&one["type"]), one["object"].as_str().or(one["object"]["id"].as_str()).unwrap().to_owned());
    let received = world.mastodon.received();
    received.iter().filter(|one| one["type"] == "Add" || one["type"] == "Remove").map(about).collect()
}

#[test]
fn a_profile_fills_with_old_posts_in_their_order_and_no_feed_and_no_pin_tells_of_it() {
    let world = World::start(6);
    world.program.ok(&["account", "set", "ann", "backfill.posts=7"]);
    world.program.ok(&["pin", "add", &status_id(&single(2)).to_string()]);
    // It takes its time over what it was sent.
    world.mastodon.set_dawdling(Duration::from_millis(1500));
    world.mastodon.follow_and_wait("bo", HANDLE);
    assert_eq!((world.mastodon.pins(ANN), world.shown()), (vec![note(&single(2))], vec![single(2)]));
    world.wait_for_offers(6);
    // Six posts of 2020 and the root of the thread of 2018, which has brought the rest of it.
    let singles = (0..6).rev().map(single);
    let all: Vec<String> = singles.chain((0..8).rev().map(link)).collect();
    assert_eq!(world.shown(), all);
    let places: Vec<String> = world.mastodon.profile(ANN).iter().map(|status| place(status.id)).collect();
    assert_eq!(places, all);
    world.assert_silent();
    assert_eq!(world.mastodon.home("bo"), Vec::<String>::new());
    // What the owner pinned is pinned, and nothing else: every Add had its Remove after it.
    assert_eq!(world.mastodon.pins(ANN), [note(&single(2))]);
    let mut offered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (kind, object) in pinning(&world) {
        offered.entry(object).or_default().push(kind);
    }
    assert_eq!(offered.len(), 6);
    assert!(offered.values().all(|kinds| *kinds == ["Add", "Remove"]), "{offered:?}");
    let pace = "SELECT count(*) FROM (SELECT offered_at - lag(offered_at) OVER (ORDER BY offered_at) AS gap FROM offers \
                    WHERE outcome <> 'known') AS gaps WHERE gap < interval '4 minutes'";
    assert_eq!(world.number(pace), 0, "fifteen an hour at most");
    let fetched = world.number("SELECT count(*) FROM offers WHERE outcome = 'fetched'");
    let outcomes = "SELECT concat_ws(' ', post_id, state, outcome, tries, offered_at, fetched_at, removed_at) FROM offers ORDER BY id";
    let outcomes = world.program.database().texts(outcomes).join("\n");
    let open = world.number("SELECT count(*) FROM offers WHERE state <> 'done'");
    assert_eq!((fetched, open), (6, 0), "{outcomes}\n{}", world.serving.log());
    let kinds: std::collections::BTreeSet<String> = world.came().into_iter().collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Accept", "Add", "Remove"]);
}
