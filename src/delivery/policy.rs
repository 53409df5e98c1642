//! What follows from an attempt: for the delivery, and for its host. Pure: given the outcome, the past, the time and a dice.
//!
//! Start with [`next`] for the delivery and with [`judge`] for the host; [`read`] makes an outcome of what came back.

use crate::domain::account::AccountState;
use crate::domain::delivery::{DeliveryHost, DeliveryState, Standing};
use crate::federation::client::{self, Answer};
use crate::store::deliveries::Ages;
use chrono::{DateTime, TimeDelta, Utc};

/// How long something waits at most after it was enqueued. Longer than a host may be away before it is parked, so that one
/// that comes back after a holiday still hears of deletions.
pub const PATIENCE: TimeDelta = TimeDelta::days(30);
/// How long a host may fail before it is parked.
pub const PARKED_AFTER: TimeDelta = TimeDelta::days(7);
/// Longest pause, between two attempts and by the wish of a host.
pub const LONGEST_PAUSE: TimeDelta = TimeDelta::days(1);
/// Shortest pause by the wish of a host.
const SHORTEST_PAUSE: TimeDelta = TimeDelta::seconds(15);
/// Pause where a host wishes one and does not say how long.
const USUAL_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// Failures in a row after which a host is left alone for a while.
const BREAKER: u32 = 3;
/// Attempts at an inbox that answers 401: it may not be able to fetch our key at the moment.
const TRIES_UNAUTHORIZED: u32 = 4;
/// Attempts by which the pauses for an inbox that is not there, and between looks at who is behind one, are ahead of the
/// others: the first is eleven minutes.
pub const MISSING_AHEAD: u32 = 4;
/// How long an inbox has to be missing before the actors behind it, who are missing too, are taken to be gone. A 404 is what
/// a server answers while it is set up anew.
const MISSING_FOR: TimeDelta = TimeDelta::days(3);
/// Looks at an actor, one after the other, that have to find it missing before that.
const MISSING_LOOKS: i32 = 3;
/// Pause after something that has its cause here.
const OWN_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// How much of an answer is kept, in characters.
const KEPT: usize = 500;

/// How long the rows of the queue are kept.
pub const AGES: Ages = Ages {
    waiting: PATIENCE,
    done: TimeDelta::days(3),
    failed: TimeDelta::days(30),
    // No pause is longer than a day and its jitter.
    ahead: TimeDelta::days(2),
};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The inbox took it.
    Delivered,
    /// The inbox will not take it.
    Refused,
    /// The inbox does not believe that it is from us.
    Unauthorized,
    /// There was such an inbox and is no more.
    Gone,
    /// There is no such inbox at the moment: a server that is being set up anew answers so for all of its inboxes.
    Missing,
    /// The host asks for patience, and says how long or does not.
    Later(Option<TimeDelta>),
    /// The host does not answer, or not as an inbox does, and says when it will or does not.
    Unreachable(Option<TimeDelta>),
    /// It never left this machine.
    Unsent,
}

impl Outcome {
    /// The word under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Refused => "refused",
            Outcome::Unauthorized => "unauthorized",
            Outcome::Gone => "gone",
            Outcome::Missing => "missing",
            Outcome::Later(_) => "later",
            Outcome::Unreachable(_) => "unreachable",
            Outcome::Unsent => "unsent",
        }
    }
}

/// What came back: the outcome with what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// The status code of the answer.
    pub status: Option<u16>,
    /// The start of the answer, or why there is none.
    pub answer: String,
}

impl Attempt {
    /// One that never left this machine.
    pub fn unsent(why: &str) -> Attempt {
        Attempt { outcome: Outcome::Unsent, status: None, answer: shown(why) }
    }
}

/// What came back from an inbox.
pub fn read(result: Result<Answer, client::Error>, now: DateTime<Utc>) -> Attempt {
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => {
            let outcome = match &error {
                client::Error::Refused(_) => Outcome::Refused,
                client::Error::Setup(_) | client::Error::Unsigned(_) => Outcome::Unsent,
                client::Error::Busy(_) => Outcome::Later(None),
                _ => Outcome::Unreachable(None),
            };
            return Attempt { outcome, status: None, answer: shown(&error.to_string()) };
        }
    };
    let after = retry_after(&answer.header("retry-after"), now);
    // The words of R-87.
    let outcome = match answer.status {
        200..=299 => Outcome::Delivered,
        401 => Outcome::Unauthorized,
        404 => Outcome::Missing,
        410 => Outcome::Gone,
        408 | 429 => Outcome::Later(after),
        400..=499 | 501 => Outcome::Refused,
        _ => Outcome::Unreachable(after),
    };
    Attempt { outcome, status: Some(answer.status), answer: shown(&String::from_utf8_lossy(&answer.body)) }
}

/// What becomes of a delivery: its state, and when it is due again if it goes on waiting. `attempts` includes this one;
/// `chance` is between 0 and 1.
pub fn next(
    outcome: Outcome,
    attempts: u32,
    enqueued: DateTime<Utc>,
    now: DateTime<Utc>,
    chance: f64,
) -> (DeliveryState, Option<DateTime<Utc>>) {
    let pause = match outcome {
        Outcome::Delivered => return (DeliveryState::Delivered, None),
        Outcome::Refused => return (DeliveryState::Refused, None),
        Outcome::Gone => return (DeliveryState::Gone, None),
        Outcome::Unauthorized if attempts >= TRIES_UNAUTHORIZED => return (DeliveryState::Refused, None),
        Outcome::Unauthorized => backoff(attempts, chance),
        Outcome::Missing => backoff(attempts.saturating_add(MISSING_AHEAD), chance),
        Outcome::Later(wish) => jittered(wish.map_or(USUAL_PAUSE, clamped), chance).max(backoff(attempts, chance)),
        Outcome::Unreachable(wish) => {
            wish.map_or(TimeDelta::zero(), |wish| jittered(clamped(wish), chance)).max(backoff(attempts, chance))
        }
        Outcome::Unsent => jittered(OWN_PAUSE, chance),
    };
    let due = now + pause;
    // Where the clock was set back, what was enqueued later than now is not old.
    if due - enqueued > PATIENCE { (DeliveryState::Expired, None) } else { (DeliveryState::Waiting, Some(due)) }
}

/// What an attempt means for its host. What was under way when the host was paused tells nothing new by failing.
pub fn judge(host: &mut DeliveryHost, attempt: &Attempt, now: DateTime<Utc>, chance: f64) {
    let paused = host.paused_until.is_some_and(|until| until > now);
    match attempt.outcome {
        Outcome::Unsent => {}
        Outcome::Delivered | Outcome::Refused | Outcome::Unauthorized | Outcome::Gone | Outcome::Missing => {
            // What was never sent says nothing about who would have got it.
            if attempt.status.is_some() {
                *host = DeliveryHost {
                    paused_until: host.paused_until.filter(|_| paused && host.failures == 0),
                    standing: Standing::Good,
                    answered: Some(now),
                    ..DeliveryHost::new(&host.host)
                };
            }
        }
        // Without an answer it is we who had enough under way.
        Outcome::Later(_) if attempt.status.is_none() => {}
        Outcome::Later(wish) => {
            let until = now + jittered(wish.map_or(USUAL_PAUSE, clamped), chance);
            host.paused_until = host.paused_until.max(Some(until));
        }
        Outcome::Unreachable(_) if paused && host.failures > 0 => {}
        Outcome::Unreachable(wish) => {
            host.failures = host.failures.saturating_add(1);
            let since = *host.failing_since.get_or_insert(now);
            host.standing = if now - since >= PARKED_AFTER { Standing::Parked } else { Standing::Failing };
            host.reason = match attempt.status {
                Some(status) => format!("it answered {status}"),
                None => attempt.answer.clone(),
            };
            let pause = match host.standing {
                Standing::Parked => jittered(LONGEST_PAUSE, chance),
                _ if host.failures < BREAKER => TimeDelta::zero(),
                _ => backoff(host.failures - BREAKER + 1, chance),
            };
            let wish = wish.map_or(TimeDelta::zero(), |wish| jittered(clamped(wish), chance));
            host.paused_until = Some(now + pause.max(wish)).filter(|until| *until > now);
        }
    }
}

/// Whether an account that is in this state may still say this. One that is gone may say so and refuse; what a draft says
/// nobody could verify, for its actor is not to be seen.
pub fn may_say(state: &AccountState, kind: &str) -> bool {
    match state {
        AccountState::Live => true,
        AccountState::Draft => false,
        AccountState::Gone { .. } => ["Delete", "Reject", "Undo"].contains(&kind),
    }
}

/// Whether an actor is gone that was looked for this often in a row and was not there, and whose inbox is missing since then.
pub fn is_gone(looks: i32, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    looks >= MISSING_LOOKS && now - since >= MISSING_FOR
}

/// The pause after so many attempts: 16 seconds, 31, 96, 4 minutes … a day after the 17th, with up to a quarter more. The
/// curve is Mastodon's; a week has room for some twenty attempts.
pub fn backoff(attempts: u32, chance: f64) -> TimeDelta {
    let seconds = 15 + i64::from(attempts.min(100)).pow(4);
    jittered(TimeDelta::seconds(seconds).min(LONGEST_PAUSE), chance)
}

/// Up to a quarter longer, so that what failed together is not tried together.
fn jittered(pause: TimeDelta, chance: f64) -> TimeDelta {
    let most = pause.num_milliseconds() / 4;
    #[expect(clippy::cast_possible_truncation, reason = "a quarter of a day in milliseconds is small")]
    #[expect(clippy::cast_precision_loss, reason = "a quarter of a day in milliseconds is small")]
    let more = (most as f64 * chance.clamp(0.0, 1.0)) as i64;
    pause + TimeDelta::milliseconds(more)
}

fn clamped(wish: TimeDelta) -> TimeDelta {
    wish.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// `Retry-After`: seconds, or a date.
fn retry_after(header: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u32>() {
        return Some(TimeDelta::seconds(seconds.into()));
    }
    DateTime::parse_from_rfc2822(header).ok().map(|at| at.to_utc() - now)
}

/// The start of what a stranger said, without what a terminal could take for commands.
fn shown(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(KEPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Result<Answer, client::Error> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Answer { url: "https://a.example/inbox".to_owned(), status, headers, body: b" no\x1b[2J ".to_vec() })
    }

    #[test]
    fn each_answer_has_its_outcome() {
        let minute = Some(TimeDelta::seconds(60));
        for (status, headers, outcome) in [
            (200, &[][..], Outcome::Delivered),
            (202, &[], Outcome::Delivered),
            (204, &[], Outcome::Delivered),
            (301, &[("location", "https://b.example/inbox")], Outcome::Unreachable(None)),
            (308, &[], Outcome::Unreachable(None)),
            (400, &[], Outcome::Refused),
            (401, &[], Outcome::Unauthorized),
            (403, &[], Outcome::Refused),
            (404, &[], Outcome::Missing),
            (406, &[], Outcome::Refused),
            (408, &[], Outcome::Later(None)),
            (410, &[], Outcome::Gone),
            (413, &[], Outcome::Refused),
            (418, &[], Outcome::Refused),
            (422, &[], Outcome::Refused),
            (429, &[("retry-after", "60")], Outcome::Later(minute)),
            (429, &[("retry-after", "Wed, 25 Nov 2026 12:01:00 GMT")], Outcome::Later(minute)),
            (429, &[("retry-after", "soon")], Outcome::Later(None)),
            (429, &[("retry-after", "-5")], Outcome::Later(None)),
            (500, &[], Outcome::Unreachable(None)),
            (501, &[], Outcome::Refused),
            (502, &[], Outcome::Unreachable(None)),
            (503, &[("retry-after", "60")], Outcome::Unreachable(minute)),
            (599, &[], Outcome::Unreachable(None)),
        ] {
            let read = read(answer(status, headers), now());
            assert_eq!((read.outcome, read.status), (outcome, Some(status)), "{headers:?}");
            assert_eq!(read.answer, "no [2J", "an escape sequence is kept out of the table");
        }
        for (error, outcome) in [
            (client::Error::Timeout, Outcome::Unreachable(None)),
            (client::Error::Connect("refused".to_owned()), Outcome::Unreachable(None)),
            (client::Error::TooLarge, Outcome::Unreachable(None)),
            (client::Error::Forbidden("a.example".to_owned()), Outcome::Unreachable(None)),
            (client::Error::Refused("http://a.example".to_owned()), Outcome::Refused),
            (client::Error::Busy("a.example".to_owned()), Outcome::Later(None)),
            (client::Error::Unsigned("no".to_owned()), Outcome::Unsent),
        ] {
            assert_eq!(read(Err(error), now()).outcome, outcome);
        }
    }

    #[test]
    fn each_outcome_has_its_consequence() {
        use DeliveryState::{Delivered, Expired, Gone, Refused, Waiting};
        let day = 24 * 3600;
        let later = |seconds: i64| Outcome::Later(Some(TimeDelta::seconds(seconds)));
        // Outcome, attempts, seconds since it was enqueued; state, seconds until it is due again.
        for (outcome, attempts, age, state, pause) in [
            (Outcome::Delivered, 1, 0, Delivered, None),
            (Outcome::Delivered, 9, 60 * day, Delivered, None),
            (Outcome::Refused, 1, 0, Refused, None),
            (Outcome::Gone, 1, 0, Gone, None),
            (Outcome::Missing, 1, 0, Waiting, Some(640)),
            (Outcome::Missing, 60, 29 * day, Waiting, Some(day)),
            (Outcome::Missing, 60, 30 * day, Expired, None),
            (Outcome::Unauthorized, 1, 0, Waiting, Some(16)),
            (Outcome::Unauthorized, 3, 0, Waiting, Some(96)),
            (Outcome::Unauthorized, 4, 0, Refused, None),
            (Outcome::Later(None), 1, 0, Waiting, Some(60)),
            (later(600), 1, 0, Waiting, Some(600)),
            (later(0), 1, 0, Waiting, Some(16)),
            (later(-100), 1, 0, Waiting, Some(16)),
            (later(365 * day), 1, 0, Waiting, Some(day)),
            (later(60), 10, 0, Waiting, Some(10_015)),
            (Outcome::Unreachable(None), 1, 0, Waiting, Some(16)),
            (Outcome::Unreachable(None), 2, 0, Waiting, Some(31)),
            (Outcome::Unreachable(None), 5, 0, Waiting, Some(640)),
            (Outcome::Unreachable(None), 17, 0, Waiting, Some(83_536)),
            (Outcome::Unreachable(None), 18, 0, Waiting, Some(day)),
            (Outcome::Unreachable(None), u32::MAX, 0, Waiting, Some(day)),
            (Outcome::Unreachable(Some(TimeDelta::hours(2))), 1, 0, Waiting, Some(7200)),
            (Outcome::Unreachable(None), 20, 29 * day - 1, Waiting, Some(day)),
            (Outcome::Unreachable(None), 20, 29 * day + 1, Expired, None),
            (Outcome::Unreachable(None), 1, -3600, Waiting, Some(16)),
            (Outcome::Unsent, 1, 0, Waiting, Some(600)),
        ] {
            let found = next(outcome, attempts, now() - TimeDelta::seconds(age), now(), 0.0);
            let due = pause.map(|pause| now() + TimeDelta::seconds(pause));
            assert_eq!(found, (state, due), "{outcome:?} after {attempts} attempts and {age} seconds");
        }
    }

    #[test]
    fn a_week_has_room_for_some_twenty_attempts_and_no_two_hosts_keep_step() {
        let week: TimeDelta = (1..=20).map(|attempts| backoff(attempts, 0.0)).sum();
        assert!(week > TimeDelta::days(6) && week < TimeDelta::days(8), "{week}");
        assert_eq!(backoff(3, 1.0), TimeDelta::milliseconds(96_000 + 24_000));
        assert!(backoff(3, 0.3) < backoff(3, 0.7));
    }

    fn attempt(outcome: Outcome, status: Option<u16>) -> Attempt {
        Attempt { outcome, status, answer: "no connection".to_owned() }
    }

    #[test]
    fn a_host_is_paused_after_three_failures_parked_after_a_week_and_back_with_one_answer() {
        let fails = attempt(Outcome::Unreachable(None), None);
        let mut host = DeliveryHost::new("a.example");
        let mut at = now();
        for (failures, pause) in [(1, None), (2, None), (3, Some(16)), (4, Some(31)), (5, Some(96))] {
            judge(&mut host, &fails, at, 0.0);
            let until = pause.map(|pause| at + TimeDelta::seconds(pause));
            assert_eq!((host.failures, host.paused_until, host.standing), (failures, until, Standing::Failing));
            // What was under way when it was paused counts no more.
            if pause.is_some() {
                judge(&mut host, &fails, at, 0.0);
                assert_eq!(host.failures, failures);
            }
            at = host.paused_until.unwrap_or(at) + TimeDelta::seconds(1);
        }
        assert_eq!((host.reason.as_str(), host.failing_since), ("no connection", Some(now())));
        at = now() + PARKED_AFTER;
        judge(&mut host, &fails, at, 0.0);
        assert_eq!((host.standing, host.paused_until), (Standing::Parked, Some(at + TimeDelta::days(1))));
        let back = at + TimeDelta::days(1);
        judge(&mut host, &attempt(Outcome::Refused, Some(403)), back, 0.0);
        let good = DeliveryHost { standing: Standing::Good, answered: Some(back), ..DeliveryHost::new("a.example") };
        assert_eq!(host, good, "an answer is an answer, whatever it says");
    }

    #[test]
    fn a_host_that_asks_for_patience_gets_it_and_fails_not() {
        let mut host = DeliveryHost { standing: Standing::Good, ..DeliveryHost::new("a.example") };
        let later = Outcome::Later(Some(TimeDelta::seconds(600)));
        judge(&mut host, &attempt(later, Some(429)), now(), 0.0);
        let until = Some(now() + TimeDelta::seconds(600));
        assert_eq!((host.standing, host.failures, host.paused_until), (Standing::Good, 0, until));
        judge(&mut host, &attempt(Outcome::Delivered, Some(202)), now(), 0.0);
        assert_eq!(host.paused_until, until, "what was under way does not end the pause");
        let mut down = DeliveryHost::new("a.example");
        judge(&mut down, &attempt(Outcome::Unreachable(Some(TimeDelta::seconds(90))), Some(503)), now(), 0.0);
        assert_eq!((down.failures, down.paused_until), (1, Some(now() + TimeDelta::seconds(90))));
        assert_eq!(down.reason, "it answered 503");
    }

    #[test]
    fn an_actor_is_gone_when_it_was_missing_for_days_and_at_every_look() {
        for (looks, days, gone) in [(1, 0, false), (100, 2, false), (2, 20, false), (3, 3, true)] {
            assert_eq!(is_gone(looks, now() - TimeDelta::days(days), now()), gone, "{looks} {days}");
        }
    }

    #[test]
    fn what_never_left_says_nothing_about_a_host() {
        let mut host = DeliveryHost::new("a.example");
        for outcome in [Outcome::Unsent, Outcome::Refused, Outcome::Later(None)] {
            judge(&mut host, &attempt(outcome, None), now(), 0.0);
            assert_eq!(host, DeliveryHost::new("a.example"));
        }
    }

    #[test]
    fn an_account_that_is_gone_may_say_so_and_a_draft_says_nothing() {
        let gone = AccountState::Gone { since: now() };
        for (kind, may) in [("Delete", true), ("Reject", true), ("Undo", true), ("Accept", false), ("Announce", false)]
        {
            assert_eq!(may_say(&gone, kind), may, "{kind}");
            assert!(may_say(&AccountState::Live, kind) && !may_say(&AccountState::Draft, kind));
        }
    }
}
