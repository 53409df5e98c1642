//! When an account shows old posts of its own again, and which of them. Pure: days and clocks are those of a time zone.

use super::account::{Account, AccountState};
use super::ids::PostId;
use super::settings::Operator;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Posts that an account shows again on a day at most: boosts stand in people's feeds as of now.
pub const MOST_A_DAY: usize = 3;
/// The time within which no more are shown than on a day; a day on which clocks go forward is no longer.
pub const DAY: TimeDelta = TimeDelta::hours(23);
/// How late a post may still be shown. What was missed by more, because no server ran, is not made up for.
pub const GRACE: TimeDelta = TimeDelta::hours(1);
/// How long the Announce may be on its way. Later it would come beside others.
pub const NEWS: TimeDelta = TimeDelta::hours(12);
/// The youngest post that a drip shows, by its own date: whoever follows has just seen what is younger.
pub const OLD: TimeDelta = TimeDelta::days(30);
/// The time between two showings of one post at least. The next anniversary is further away than this.
const APART: TimeDelta = TimeDelta::days(300);
/// The longest that a clock skips when it is put forward, generously, in minutes.
const SKIPPED: i64 = 180;

/// Which posts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of the same calendar day in earlier years.
    OnThisDay,
    /// All, each once, the oldest first.
    Drip,
}

impl Mode {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::OnThisDay => "on-this-day",
            Mode::Drip => "drip",
        }
    }

    /// The mode of a word.
    pub fn parse(word: &str) -> Option<Mode> {
        [Mode::OnThisDay, Mode::Drip].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// How an account shows old posts again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resurfacing {
    /// Which posts.
    pub mode: Mode,
    /// At which times of a day, one for each post: one to three, ascending, to the minute.
    pub times: Vec<NaiveTime>,
    /// Where these are.
    pub zone: Tz,
    /// Whether posts with a content warning or sensitive media are shown too.
    pub allow_warned: bool,
    /// When this was set: no earlier moment counts.
    pub since: DateTime<Utc>,
    /// The last moment whose turn it was.
    pub last: Option<DateTime<Utc>>,
}

impl Resurfacing {
    /// The moment whose turn it is; `None` where it is none's.
    pub fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let latest = self.around(now).into_iter().rev().find(|slot| *slot <= now)?;
        let is_taken = self.last.is_some_and(|last| latest <= last);
        (latest > self.since && !is_taken && now - latest < GRACE).then_some(latest)
    }

    /// The first moment after `now`.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.around(now).into_iter().find(|slot| *slot > now && self.last.is_none_or(|last| *slot > last))
    }

    /// The calendar day of a moment.
    pub fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// The moments of the days around one, ascending.
    fn around(&self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let today = self.day(now);
        let days = [today.pred_opt(), Some(today), today.succ_opt(), today.checked_add_days(Days::new(2))];
        let slots = days.into_iter().flatten().flat_map(|day| self.times.iter().map(move |time| (day, *time)));
        let mut slots: Vec<_> = slots.filter_map(|(day, time)| moment(day, time, self.zone)).collect();
        slots.sort();
        slots.dedup();
        slots
    }
}

/// Why an account may not show posts again; `None` where it may.
pub fn obstacle(account: &Account) -> Option<&'static str> {
    match account.state {
        _ if account.settings.operator == Operator::ThirdParty => {
            Some("it is a third party's copy, and speaks for nobody")
        }
        _ if account.moved_to.is_some() => Some("it has moved"),
        AccountState::Draft => Some("it is a draft"),
        AccountState::Gone { .. } => Some("it was deleted"),
        AccountState::Live => None,
    }
}

/// A moment by the clock of a time zone. A time that the clock skips is when it goes on, one that it shows twice the first;
/// `None` on a day that a time zone left out.
fn moment(day: NaiveDate, time: NaiveTime, zone: Tz) -> Option<DateTime<Utc>> {
    let shown = |minutes| zone.from_local_datetime(&(day.and_time(time) + TimeDelta::minutes(minutes))).earliest();
    (0..=SKIPPED).find_map(shown).map(|at| at.to_utc())
}

/// The same calendar day in each year from `first` on and before that of `day`: from when until when, the latest first.
///
/// A 29 February is remembered on the 28th in years that have none.
pub fn anniversaries(day: NaiveDate, zone: Tz, first: i32) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let leap_day = |year| NaiveDate::from_ymd_opt(year, 2, 29);
    let stands_for_leap_day = (day.month(), day.day()) == (2, 28) && leap_day(day.year()).is_none();
    let of = |year| {
        let begins = NaiveDate::from_ymd_opt(year, day.month(), day.day())?;
        let last = if stands_for_leap_day { leap_day(year).unwrap_or(begins) } else { begins };
        Some((moment(begins, NaiveTime::MIN, zone)?, moment(last.succ_opt()?, NaiveTime::MIN, zone)?))
    };
    (first..day.year()).rev().filter_map(of).collect()
}

/// A post that may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub id: PostId,
    /// Its own date.
    pub published: DateTime<Utc>,
    /// When it was last shown again.
    pub shown: Option<DateTime<Utc>>,
}

/// Which of the posts of a calendar day is shown: one that never was, else the one that has waited longest; of those the
/// oldest. None that was shown on this anniversary.
pub fn choose(candidates: &[Candidate], now: DateTime<Utc>) -> Option<PostId> {
    let rested = candidates.iter().filter(|post| post.shown.is_none_or(|at| now - at > APART));
    rested.min_by_key(|post| (post.shown, post.published, post.id)).map(|post| post.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn set(times: &[&str], zone: &str) -> Resurfacing {
        Resurfacing {
            mode: Mode::OnThisDay,
            times: times.iter().map(|time| NaiveTime::parse_from_str(time, "%H:%M").unwrap()).collect(),
            zone: zone.parse().unwrap(),
            allow_warned: false,
            since: at("2000-01-01T00:00:00Z"),
            last: None,
        }
    }

    /// What is due and what comes next, of times in a zone, at a moment.
    fn check(times: &[&str], zone: &str, now: &str, due: Option<&str>, next: &str) {
        let set = set(times, zone);
        assert_eq!(
            (set.due(at(now)), set.next(at(now))),
            (due.map(at), Some(at(next))),
            "{times:?} in {zone} at {now}"
        );
    }

    #[test]
    fn it_is_a_moments_turn_from_its_time_on_for_an_hour() {
        for (now, due, next) in [
            ("2026-07-01T06:59:59Z", None, "2026-07-01T07:00:00Z"),
            ("2026-07-01T07:00:00Z", Some("2026-07-01T07:00:00Z"), "2026-07-01T16:30:00Z"),
            ("2026-07-01T07:59:59Z", Some("2026-07-01T07:00:00Z"), "2026-07-01T16:30:00Z"),
            ("2026-07-01T08:00:00Z", None, "2026-07-01T16:30:00Z"),
            ("2026-07-01T16:31:00Z", Some("2026-07-01T16:30:00Z"), "2026-07-02T07:00:00Z"),
            ("2026-12-01T08:10:00Z", Some("2026-12-01T08:00:00Z"), "2026-12-01T17:30:00Z"),
        ] {
            check(&["09:00", "18:30"], "Europe/Berlin", now, due, next);
        }
    }

    #[test]
    fn a_moment_before_midnight_is_its_days_also_after_midnight() {
        check(
            &["23:50"],
            "Pacific/Auckland",
            "2026-07-01T12:20:00Z",
            Some("2026-07-01T11:50:00Z"),
            "2026-07-02T11:50:00Z",
        );
        check(
            &["00:10"],
            "America/Los_Angeles",
            "2026-07-01T07:10:00Z",
            Some("2026-07-01T07:10:00Z"),
            "2026-07-02T07:10:00Z",
        );
    }

    #[test]
    fn clocks_that_go_forward_or_back_leave_one_moment_a_day() {
        // 29 March 2026: 2:00 becomes 3:00. 25 October: 3:00 becomes 2:00.
        check(
            &["02:30"],
            "Europe/Berlin",
            "2026-03-29T01:00:00Z",
            Some("2026-03-29T01:00:00Z"),
            "2026-03-30T00:30:00Z",
        );
        check(&["02:30", "03:00"], "Europe/Berlin", "2026-03-29T00:59:59Z", None, "2026-03-29T01:00:00Z");
        check(
            &["02:30"],
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            Some("2026-10-25T00:30:00Z"),
            "2026-10-26T01:30:00Z",
        );
        check(&["02:30"], "Europe/Berlin", "2026-10-25T01:30:00Z", None, "2026-10-26T01:30:00Z");
        // Half an hour, in the other half of the year.
        check(
            &["02:15"],
            "Australia/Lord_Howe",
            "2026-10-03T15:30:00Z",
            Some("2026-10-03T15:30:00Z"),
            "2026-10-04T15:15:00Z",
        );
        // A day that Samoa left out.
        check(&["12:00"], "Pacific/Apia", "2011-12-30T05:00:00Z", None, "2011-12-30T22:00:00Z");
    }

    #[test]
    fn a_moment_that_had_its_turn_or_lies_before_the_setting_is_nobodys() {
        let now = at("2026-07-01T07:10:00Z");
        let mut set = set(&["09:00"], "Europe/Berlin");
        set.last = Some(at("2026-07-01T07:00:00Z"));
        assert_eq!((set.due(now), set.next(now)), (None, Some(at("2026-07-02T07:00:00Z"))));
        // A clock that ran ahead, and was set back.
        set.last = Some(at("2026-07-02T07:00:00Z"));
        assert_eq!((set.due(now), set.next(now)), (None, Some(at("2026-07-03T07:00:00Z"))));
        set.last = Some(at("2026-06-30T07:00:00Z"));
        assert_eq!(set.due(now), Some(at("2026-07-01T07:00:00Z")));
        set.since = at("2026-07-01T07:00:00Z");
        assert_eq!(set.due(now), None);
    }

    fn days(day: &str, zone: &str, first: i32) -> Vec<(String, String)> {
        let shown = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M").to_string();
        let found = anniversaries(day.parse().unwrap(), zone.parse().unwrap(), first);
        found.into_iter().map(|(from, until)| (shown(from), shown(until))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(from, until)| ((*from).to_owned(), (*until).to_owned())).collect()
    }

    #[test]
    fn a_calendar_day_is_that_of_the_time_zone_in_each_earlier_year() {
        assert_eq!(days("2026-07-01", "UTC", 2026), []);
        assert_eq!(
            days("2026-07-01", "Europe/Berlin", 2024),
            pairs(&[("2025-06-30T22:00", "2025-07-01T22:00"), ("2024-06-30T22:00", "2024-07-01T22:00")])
        );
        assert_eq!(days("2026-01-01", "Asia/Tokyo", 2025), pairs(&[("2024-12-31T15:00", "2025-01-01T15:00")]));
        // A day of 23 hours, and one of 25.
        assert_eq!(days("2027-03-29", "Europe/Berlin", 2026), pairs(&[("2026-03-28T23:00", "2026-03-29T22:00")]));
        assert_eq!(days("2027-10-25", "Europe/Berlin", 2026), pairs(&[("2026-10-24T22:00", "2026-10-25T23:00")]));
    }

    #[test]
    fn a_leap_day_is_remembered_on_the_day_before_in_other_years() {
        assert_eq!(
            days("2026-02-28", "UTC", 2023),
            pairs(&[
                ("2025-02-28T00:00", "2025-03-01T00:00"),
                ("2024-02-28T00:00", "2024-03-01T00:00"),
                ("2023-02-28T00:00", "2023-03-01T00:00")
            ])
        );
        assert_eq!(days("2028-02-28", "UTC", 2024).last(), pairs(&[("2024-02-28T00:00", "2024-02-29T00:00")]).last());
        assert_eq!(
            days("2028-02-29", "UTC", 2020),
            pairs(&[("2024-02-29T00:00", "2024-03-01T00:00"), ("2020-02-29T00:00", "2020-03-01T00:00")])
        );
    }

    #[test]
    fn of_a_days_posts_the_one_that_waited_longest_is_shown() {
        let post = |id, published: &str, shown: Option<&str>| Candidate {
            id: PostId(id),
            published: at(published),
            shown: shown.map(at),
        };
        let now = at("2026-07-01T07:00:00Z");
        let new = post(1, "2022-07-01T10:00:00Z", None);
        let old = post(2, "2019-07-01T10:00:00Z", None);
        let last_year = post(3, "2018-07-01T10:00:00Z", Some("2025-07-01T07:00:00Z"));
        let before = post(4, "2020-07-01T10:00:00Z", Some("2024-07-01T07:00:00Z"));
        let today = post(5, "2017-07-01T10:00:00Z", Some("2026-07-01T05:00:00Z"));
        for (candidates, chosen) in [
            (vec![], None),
            (vec![new, old], Some(2)),
            (vec![last_year, new, before], Some(1)),
            (vec![last_year, before, today], Some(4)),
            (vec![last_year, today], Some(3)),
            (vec![today], None),
        ] {
            assert_eq!(choose(&candidates, now).map(|id| id.0), chosen, "{candidates:?}");
        }
    }
}
