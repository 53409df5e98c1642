//! How old posts are offered to a server that fetches what an Add to the pins names, and what follows from each turn of it.
//!
//! An Add that may have arrived is always followed by its Remove: what stays pinned there is what the owner pinned. Pure; the
//! pace and the patience stand here (decision 0026). Start with [`Offer::next`].

use super::ids::{AccountId, PostId};
use super::software::{Channel, Software};
use chrono::{DateTime, TimeDelta, Utc};

/// Shortest time between two offers to one host, all accounts together: fifteen an hour.
pub const GAP: TimeDelta = TimeDelta::minutes(4);
/// Offers to one host whose Remove has not arrived; no further one is made then.
pub const MOST_OPEN: usize = 3;
/// How long an Add may wait to be sent.
pub const LIFE: TimeDelta = TimeDelta::minutes(30);
/// Time from the fetch of a post to its Remove. Mastodon makes the pin after it has read the post, its media and its author,
/// in the same job.
pub const LINGER: TimeDelta = TimeDelta::minutes(2);
/// Longest wait for the fetch after an Add has arrived: a server that has the post already does not come at all.
pub const PATIENCE: TimeDelta = TimeDelta::minutes(20);
/// How long a host is offered nothing after a delivery to it failed.
pub const PAUSE: TimeDelta = TimeDelta::days(1);
/// How often a post is offered to one host whose delivery fails.
pub const MOST_TRIES: u32 = 3;
/// Age below which a post is not offered: a fetched one that is younger than six hours goes into feeds, and clocks differ.
pub const FRESH: TimeDelta = TimeDelta::hours(7);
/// How often open offers of a host are looked at.
pub const LOOK: TimeDelta = TimeDelta::seconds(15);
/// How often a host is looked at for which there is nothing to do.
pub const IDLE: TimeDelta = TimeDelta::minutes(2);
/// The same for one that is offered nothing because of what it runs.
pub const ASIDE: TimeDelta = TimeDelta::hours(1);
/// Nothing about a host is put off for longer than this: what lies beyond was written by a wrong clock.
pub const FARTHEST: TimeDelta = TimeDelta::days(4);

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfferOutcome {
    /// The server came for the post.
    Fetched,
    /// It did not, in the time that it had. It may have had the post before.
    Unfetched,
    /// The Add did not arrive, as far as is known.
    Failed,
    /// The server had fetched the post before, or was sent it when it was new; it was not offered.
    Known,
}

impl OfferOutcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            OfferOutcome::Fetched => "fetched",
            OfferOutcome::Unfetched => "unfetched",
            OfferOutcome::Failed => "failed",
            OfferOutcome::Known => "known",
        }
    }

    /// The outcome of a word.
    pub fn parse(word: &str) -> Option<OfferOutcome> {
        let all = [OfferOutcome::Fetched, OfferOutcome::Unfetched, OfferOutcome::Failed, OfferOutcome::Known];
        all.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// How an activity fares on its way to the one inbox that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It waits for its first attempt, or is being sent.
    Waiting,
    /// An attempt failed, and it waits for another.
    Failing {
        /// The status code; `None`: there was no answer.
        status: Option<u16>,
        /// What the host said, or why there is no answer.
        why: String,
    },
    /// It has arrived.
    Delivered {
        /// When.
        at: DateTime<Utc>,
    },
    /// It will not be sent any more.
    Ended {
        /// Whether the host may have it all the same: an attempt was made that was not refused.
        perhaps: bool,
        /// Whether the host is the reason.
        blame: bool,
        /// Why.
        why: String,
    },
    /// Nothing is known of it any more: it is long ago.
    Unknown,
}

/// What an offer is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferState {
    /// Its Add is on its way or has arrived.
    Offered,
    /// Its Remove is on its way.
    Removing,
}

/// A post that a host was offered and that is not done with.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its number.
    pub id: i64,
    /// Whose post it is.
    pub account: AccountId,
    /// The post.
    pub post: PostId,
    /// Where the Add went, and the Remove goes.
    pub inbox: String,
    /// What it is at.
    pub state: OfferState,
    /// What became of it, once that is clear.
    pub outcome: Option<OfferOutcome>,
    /// How its Add fares; while removing, its Remove.
    pub way: Way,
    /// Whether the host has fetched the post.
    pub seen: bool,
    /// When that was noticed.
    pub fetched: Option<DateTime<Utc>>,
    /// Whether the account still shows the post.
    pub stands: bool,
    /// Whether its owner has pinned it meanwhile.
    pub pinned: bool,
}

/// What to do about an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Note that the post was fetched.
    Note,
    /// Send the Remove; the outcome is clear.
    Remove(OfferOutcome),
    /// It is done with; no Remove is sent, or it has arrived.
    Done(OfferOutcome),
    /// It never went out and the host is not to blame: as if it had not been offered.
    Forget,
    /// The Add is not to be sent any more, if that is not too late.
    Drop,
    /// The host is offered nothing for a while. What waits of the Add is dropped.
    Fail {
        /// Why.
        why: String,
        /// Whether the Add may have arrived, so that a Remove has to follow.
        remove: bool,
    },
    /// The same, and the Remove goes on waiting.
    Hold(String),
    /// The same, and the Remove will never arrive.
    GiveUp(String),
}

impl Offer {
    /// What to do about it now.
    pub fn next(&self, now: DateTime<Utc>) -> Step {
        match self.state {
            OfferState::Offered => self.after_add(now),
            OfferState::Removing => match &self.way {
                Way::Waiting => Step::Wait,
                Way::Failing { why, .. } => Step::Hold(why.clone()),
                Way::Delivered { .. } | Way::Unknown => Step::Done(self.outcome()),
                // We ended it ourselves: the account is gone, or the host is blocked.
                Way::Ended { blame: false, .. } => Step::Done(self.outcome()),
                Way::Ended { why, .. } => Step::GiveUp(why.clone()),
            },
        }
    }

    fn after_add(&self, now: DateTime<Utc>) -> Step {
        let arrived = match &self.way {
            Way::Waiting if !self.stands => return Step::Drop,
            Way::Waiting => return Step::Wait,
            // Whoever does not answer, or has a proxy answer, may have taken it.
            Way::Failing { status, why } => return self.fail(why, status.is_none_or(|status| status >= 500)),
            Way::Ended { perhaps, blame: true, why } => return self.fail(why, *perhaps),
            Way::Ended { perhaps: false, .. } => return Step::Forget,
            Way::Ended { perhaps: true, .. } | Way::Unknown => None,
            Way::Delivered { at } => Some(*at),
        };
        if self.pinned {
            // The pin is the owner's now.
            return Step::Done(self.outcome());
        }
        match self.fetched {
            _ if !self.stands => Step::Remove(self.outcome()),
            Some(at) if at + LINGER <= now => Step::Remove(OfferOutcome::Fetched),
            Some(_) => Step::Wait,
            None if self.seen => Step::Note,
            None if arrived.is_none_or(|at| at + PATIENCE <= now) => Step::Remove(OfferOutcome::Unfetched),
            None => Step::Wait,
        }
    }

    fn fail(&self, why: &str, perhaps: bool) -> Step {
        Step::Fail { why: why.to_owned(), remove: perhaps && !self.pinned }
    }

    fn outcome(&self) -> OfferOutcome {
        let fetched = self.seen || self.fetched.is_some();
        if fetched { OfferOutcome::Fetched } else { self.outcome.unwrap_or(OfferOutcome::Unfetched) }
    }
}

/// A server that may be offered posts.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its host.
    pub host: String,
    /// What it says that it runs.
    pub software: Option<Software>,
    /// When it last said so.
    pub told: Option<DateTime<Utc>>,
    /// When it is asked again.
    pub ask: DateTime<Utc>,
    /// Why it did not say so when it was last asked.
    pub failure: Option<String>,
    /// When it was last offered something.
    pub offered: Option<DateTime<Utc>>,
    /// Until when it is offered nothing, and why.
    pub paused: Option<(DateTime<Utc>, String)>,
}

impl Server {
    /// By which way old posts come to it, as far as is known.
    pub fn channel(&self) -> Channel {
        self.software.as_ref().map_or(Channel::Nothing, Software::channel)
    }

    /// Whether it may be offered a post now, as far as its software, pace and pause go.
    pub fn is_free(&self, now: DateTime<Utc>) -> bool {
        self.channel() == Channel::Add && self.free_at(now) <= now
    }

    /// When it may be offered something again, as far as pace and pause go.
    pub fn free_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let gap = self.offered.map_or(now, |offered| offered + GAP);
        self.paused.as_ref().map_or(gap, |(until, _)| gap.max(*until))
    }
}

/// How far offering has come between an account and a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The server.
    pub server: Server,
    /// The account.
    pub account: AccountId,
    /// Its accepted followers there.
    pub followers: u64,
    /// Whether it is offered nothing any more, because it was blocked.
    pub stopped: bool,
    /// Posts that were offered.
    pub offered: u64,
    /// Of these the ones whose Remove has not arrived.
    pub open: u64,
    /// Offers that were fetched, that were not, and that failed.
    pub fetched: u64,
    /// See above.
    pub unfetched: u64,
    /// See above.
    pub failed: u64,
    /// Posts that the host had before.
    pub known: u64,
    /// Posts that are still to be offered, as the setting stands.
    pub waiting: u64,
    /// Posts of the account that the host has fetched, offered or not.
    pub has: u64,
}

/// A post that a host has fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// The post.
    pub post: PostId,
    /// The host.
    pub host: String,
    /// When it first came for it.
    pub first: DateTime<Utc>,
    /// When it last did.
    pub last: DateTime<Utc>,
    /// How often.
    pub times: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn offer(way: Way) -> Offer {
        Offer {
            id: 1,
            account: AccountId(1),
            post: PostId(7),
            inbox: "https://far.example/inbox".to_owned(),
            state: OfferState::Offered,
            outcome: None,
            way,
            seen: false,
            fetched: None,
            stands: true,
            pinned: false,
        }
    }

    fn failing(status: Option<u16>) -> Way {
        Way::Failing { status, why: "why".to_owned() }
    }

    fn ended(perhaps: bool, blame: bool) -> Way {
        Way::Ended { perhaps, blame, why: "why".to_owned() }
    }

    fn fail(remove: bool) -> Step {
        Step::Fail { why: "why".to_owned(), remove }
    }

    #[test]
    fn fifteen_posts_an_hour_go_to_a_host() {
        assert_eq!(TimeDelta::hours(1).num_seconds() / GAP.num_seconds(), 15);
        let server = |offered, paused| Server {
            host: "far.example".to_owned(),
            software: None,
            told: None,
            ask: at(0),
            failure: None,
            offered,
            paused,
        };
        assert_eq!(server(None, None).free_at(at(9)), at(9));
        assert_eq!(server(Some(at(8)), None).free_at(at(9)), at(12));
        assert_eq!(server(Some(at(8)), Some((at(60), String::new()))).free_at(at(9)), at(60));
    }

    #[test]
    fn an_add_that_may_have_arrived_is_followed_by_its_remove_and_no_other_is() {
        for (way, step) in [
            (Way::Waiting, Step::Wait),
            (Way::Delivered { at: at(0) }, Step::Wait),
            (Way::Delivered { at: at(-20) }, Step::Remove(OfferOutcome::Unfetched)),
            (Way::Unknown, Step::Remove(OfferOutcome::Unfetched)),
            (failing(None), fail(true)),
            (failing(Some(500)), fail(true)),
            (failing(Some(504)), fail(true)),
            (failing(Some(429)), fail(false)),
            (failing(Some(401)), fail(false)),
            (ended(false, true), fail(false)),
            (ended(true, true), fail(true)),
            (ended(true, false), Step::Remove(OfferOutcome::Unfetched)),
            (ended(false, false), Step::Forget),
        ] {
            assert_eq!(offer(way.clone()).next(at(0)), step, "{way:?}");
        }
    }

    #[test]
    fn the_pin_is_there_before_it_is_taken_away() {
        let arrived = || offer(Way::Delivered { at: at(0) });
        assert_eq!(Offer { seen: true, ..arrived() }.next(at(1)), Step::Note);
        let fetched = Offer { seen: true, fetched: Some(at(1)), ..arrived() };
        assert_eq!(fetched.next(at(2)), Step::Wait);
        assert_eq!(fetched.next(at(3)), Step::Remove(OfferOutcome::Fetched));
        // It came at the last moment.
        assert_eq!(Offer { seen: true, ..arrived() }.next(at(25)), Step::Note);
    }

    #[test]
    fn what_the_owner_has_pinned_meanwhile_stays_pinned() {
        for way in [Way::Delivered { at: at(-60) }, Way::Unknown, ended(true, false)] {
            let pinned = Offer { pinned: true, seen: true, ..offer(way) };
            assert_eq!(pinned.next(at(0)), Step::Done(OfferOutcome::Fetched));
        }
        assert_eq!(Offer { pinned: true, ..offer(failing(None)) }.next(at(0)), fail(false));
    }

    #[test]
    fn a_post_that_was_withdrawn_is_not_waited_for() {
        let withdrawn = Offer { stands: false, ..offer(Way::Delivered { at: at(0) }) };
        assert_eq!(withdrawn.next(at(0)), Step::Remove(OfferOutcome::Unfetched));
        assert_eq!(Offer { stands: false, ..offer(Way::Waiting) }.next(at(0)), Step::Drop);
    }

    #[test]
    fn a_remove_is_waited_for_and_its_failure_stops_the_host() {
        let removing = |way, seen| Offer { state: OfferState::Removing, seen, ..offer(way) };
        for (way, seen, step) in [
            (Way::Waiting, false, Step::Wait),
            (Way::Delivered { at: at(0) }, true, Step::Done(OfferOutcome::Fetched)),
            (Way::Delivered { at: at(0) }, false, Step::Done(OfferOutcome::Unfetched)),
            (Way::Unknown, false, Step::Done(OfferOutcome::Unfetched)),
            (failing(Some(429)), false, Step::Hold("why".to_owned())),
            (failing(None), true, Step::Hold("why".to_owned())),
            (ended(false, true), false, Step::GiveUp("why".to_owned())),
            (ended(false, false), false, Step::Done(OfferOutcome::Unfetched)),
        ] {
            assert_eq!(removing(way.clone(), seen).next(at(0)), step, "{way:?}");
        }
        let failed = Offer { outcome: Some(OfferOutcome::Failed), ..removing(Way::Delivered { at: at(0) }, false) };
        assert_eq!(failed.next(at(0)), Step::Done(OfferOutcome::Failed));
    }
}
