//! What the simulated server holds, and where its posts come to stand: ids by time, feeds, pins, Tombstones.
//!
//! Everything is in memory and nothing here asks anybody.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Age up to which a post that was fetched still goes into feeds.
const REAL_TIME: TimeDelta = TimeDelta::hours(6);
/// For how long a Delete stops a Create that comes after it.
const DELETE_FIRST: TimeDelta = TimeDelta::hours(6);
/// Posts that a new follow brings into a home feed, each at its own place.
const MERGED: usize = 200;
/// Places from the top of a home feed within which a post keeps a boost of itself out.
const BOOST_FALLOFF: usize = 40;

/// Somebody who lives here.
#[derive(Debug, Default)]
pub struct User {
    /// Whom they asked to follow, and whether that was accepted.
    pub follows: BTreeMap<String, bool>,
    /// Their home feed.
    pub home: BTreeSet<i64>,
}

/// Somebody of another server, as they are known here.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub uri: String,
    pub handle: String,
    pub inbox: String,
    pub featured: Option<String>,
    pub followers: String,
    /// The public key, in PEM form.
    pub key: String,
    /// What the outbox and the collection of followers say of themselves.
    pub statuses_count: Option<u64>,
    pub followers_count: Option<u64>,
    pub hides_collections: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Public,
    Unlisted,
    Private,
    Direct,
}

/// A post or a boost of somebody else's server.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it stands among all others: the snowflake.
    pub id: i64,
    pub uri: String,
    /// The actor.
    pub author: String,
    pub created: DateTime<Utc>,
    pub edited: Option<DateTime<Utc>>,
    pub text: String,
    pub visibility: Visibility,
    /// What it answers: what the post says, and what of it is here.
    pub in_reply_to: Option<String>,
    pub parent: Option<i64>,
    pub boost_of: Option<i64>,
    /// Users here who are named in it.
    pub mentions: Vec<String>,
    /// When its thread was last walked.
    pub walked: Option<DateTime<Utc>>,
}

/// A feed that people look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    Home(String),
    /// The live stream of everything public.
    Public,
}

/// Why a post came into a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was sent to an inbox, whatever its date.
    Pushed,
    /// It was fetched, and is younger than six hours.
    Fresh,
    /// Somebody boosted it.
    Boosted,
}

/// A post was put into a feed, on top of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insertion {
    pub feed: Feed,
    /// The post; for a boost the one that was boosted.
    pub uri: String,
    pub reason: Reason,
}

/// An activity that was answered 202 and had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    pub activity: String,
    pub kind: String,
    pub why: &'static str,
}

#[derive(Default)]
pub struct State {
    pub users: BTreeMap<String, User>,
    pub profiles: BTreeMap<String, Profile>,
    pub statuses: BTreeMap<i64, Status>,
    pub pins: BTreeSet<(String, i64)>,
    /// Each with the actor who deleted it.
    pub tombstones: BTreeMap<String, String>,
    deleted: BTreeMap<String, DateTime<Utc>>,
    pub insertions: Vec<Insertion>,
    /// User and post: somebody was told that they were mentioned.
    pub notifications: Vec<(String, String)>,
    pub dropped: Vec<Dropped>,
    /// Every activity whose signature was good, in order.
    pub received: Vec<Value>,
    /// Deliveries that were refused, and why.
    pub refused: Vec<String>,
    /// Every URL that was asked for, signed.
    pub fetched: Vec<String>,
    random: u64,
}

impl State {
    /// An id of this moment.
    pub fn id_now(&mut self, now: DateTime<Utc>) -> i64 {
        self.free_id(now.timestamp_millis(), 1)
    }

    /// An id of the second in which something was published; which millisecond is left to chance.
    pub fn id_at(&mut self, at: DateTime<Utc>) -> i64 {
        self.free_id(at.timestamp() * 1000, 1000)
    }

    fn free_id(&mut self, milliseconds: i64, spread: u64) -> i64 {
        loop {
            let id = ((milliseconds + self.chance(spread)) << 16) | self.chance(1 << 16);
            if !self.statuses.contains_key(&id) {
                return id;
            }
        }
    }

    /// A number below the bound.
    fn chance(&mut self, below: u64) -> i64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.random >> 33) % below).unwrap()
    }

    pub fn find(&self, uri: &str) -> Option<&Status> {
        self.statuses.values().find(|status| status.uri == uri)
    }

    /// The boost of a post by somebody: there is at most one.
    pub fn boost(&self, author: &str, of: i64) -> Option<i64> {
        let mut statuses = self.statuses.values();
        statuses.find(|status| status.author == author && status.boost_of == Some(of)).map(|status| status.id)
    }

    /// Users here who follow an actor, and were accepted.
    pub fn followers_here(&self, actor: &str) -> Vec<String> {
        let follows = |user: &User| user.follows.get(actor) == Some(&true);
        self.users.iter().filter(|(_, user)| follows(user)).map(|(name, _)| name.clone()).collect()
    }

    /// Whether a Delete of it came a moment ago.
    pub fn is_deleted_first(&self, uri: &str, now: DateTime<Utc>) -> bool {
        self.deleted.get(uri).is_some_and(|at| *at + DELETE_FIRST > now)
    }

    pub fn note_delete(&mut self, uri: &str, now: DateTime<Utc>) {
        self.deleted.insert(uri.to_owned(), now);
    }

    /// Keep a post. What is pushed is of now and goes into feeds whatever its date; what is fetched has the place of its
    /// own date, and goes into feeds only within six hours of it.
    pub fn keep(&mut self, mut status: Status, pushed: bool, now: DateTime<Utc>) -> i64 {
        let id = if pushed || status.created >= now { self.id_now(now) } else { self.id_at(status.created) };
        status.id = id;
        let fresh = status.created > now - REAL_TIME;
        self.statuses.insert(id, status);
        if pushed {
            self.distribute(id, Reason::Pushed);
        } else if fresh {
            self.distribute(id, Reason::Fresh);
        }
        id
    }

    /// Keep a boost: it is of now.
    pub fn keep_boost(&mut self, mut boost: Status, now: DateTime<Utc>) {
        let id = self.id_now(now);
        boost.id = id;
        self.statuses.insert(id, boost);
        self.distribute(id, Reason::Boosted);
    }

    fn distribute(&mut self, id: i64, reason: Reason) {
        let status = self.statuses[&id].clone();
        let shown = status.boost_of.map_or(&status.uri, |of| &self.statuses[&of].uri).clone();
        let insertion = |feed| Insertion { feed, uri: shown.clone(), reason };
        if status.visibility != Visibility::Direct {
            for name in self.followers_here(&status.author) {
                if !self.is_filtered(&name, &status) && !self.is_boosted_already(&name, &status) {
                    self.users.get_mut(&name).unwrap().home.insert(id);
                    self.insertions.push(insertion(Feed::Home(name)));
                }
            }
        }
        let answers_others = status.in_reply_to.is_some() && self.author_of(status.parent) != Some(&status.author);
        if status.visibility == Visibility::Public && status.boost_of.is_none() && !answers_others {
            self.insertions.push(insertion(Feed::Public));
        }
        self.notifications.extend(status.mentions.into_iter().map(|name| (name, status.uri.clone())));
    }

    fn author_of(&self, status: Option<i64>) -> Option<&String> {
        status.and_then(|id| self.statuses.get(&id)).map(|status| &status.author)
    }

    /// A home feed has no answers to somebody whom its owner does not follow, and none to what is not here.
    fn is_filtered(&self, name: &str, status: &Status) -> bool {
        if status.in_reply_to.is_none() {
            return false;
        }
        match self.author_of(status.parent) {
            None => true,
            Some(author) => *author != status.author && self.users[name].follows.get(author) != Some(&true),
        }
    }

    /// A boost is not shown where the post itself, or a boost of it, stands near the top.
    fn is_boosted_already(&self, name: &str, status: &Status) -> bool {
        let Some(of) = status.boost_of else { return false };
        let home = self.users[name].home.iter().rev().take(BOOST_FALLOFF);
        home.filter_map(|id| self.statuses.get(id)).any(|one| one.id == of || one.boost_of == Some(of))
    }

    /// A user follows: what is known already comes into their home feed at its own place, and that is no insertion.
    pub fn merge(&mut self, name: &str, actor: &str) {
        let statuses = self.statuses.values().rev().filter(|status| status.author == actor);
        let found: Vec<i64> = statuses.take(MERGED).map(|status| status.id).collect();
        self.users.get_mut(name).unwrap().home.extend(found);
    }

    /// Take a post away, with its boosts, its pin and its places in feeds.
    pub fn remove(&mut self, id: i64) {
        let boosts = self.statuses.values().filter(|status| status.boost_of == Some(id)).map(|status| status.id);
        for id in boosts.chain([id]).collect::<Vec<_>>() {
            self.statuses.remove(&id);
            self.pins.retain(|(_, pinned)| *pinned != id);
            for user in self.users.values_mut() {
                user.home.remove(&id);
            }
        }
        for status in self.statuses.values_mut().filter(|status| status.parent == Some(id)) {
            status.parent = None;
        }
    }

    /// Take an account away with all that is its.
    pub fn remove_profile(&mut self, actor: &str) {
        self.profiles.remove(actor);
        let of_theirs = self.statuses.values().filter(|status| status.author == actor).map(|status| status.id);
        of_theirs.collect::<Vec<_>>().into_iter().for_each(|id| self.remove(id));
        for user in self.users.values_mut() {
            user.follows.remove(actor);
        }
    }
}
