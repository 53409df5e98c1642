//! How old a signature may be: Mastodon's rules, because its senders are the most.

use super::Error;
use chrono::{DateTime, NaiveDateTime};

/// How far two clocks may be apart, in seconds (Mastodon's `CLOCK_SKEW_MARGIN`).
const SKEW: i64 = 60 * 60;
/// How long a signature holds that does not say, in seconds.
const LIFE: i64 = 5 * 60;
/// How long a signature holds at most, whatever it says, in seconds (Mastodon's `EXPIRATION_WINDOW_LIMIT`).
const LONGEST: i64 = 12 * 60 * 60;

/// Whether a signature made at `created` still holds at `now`; all three in seconds since 1970.
///
/// It holds from an hour before `created` to an hour after its end: `expires`, or five minutes, at most twelve hours.
pub(super) fn judge(created: i64, expires: Option<i64>, now: i64) -> Result<(), Error> {
    let end = expires.unwrap_or(created.saturating_add(LIFE)).min(created.saturating_add(LONGEST));
    if created > now.saturating_add(SKEW) {
        return Err(Error::Outdated("it was made in the future"));
    }
    if now > end.saturating_add(SKEW) {
        return Err(Error::Outdated("it is too old"));
    }
    Ok(())
}

/// A `Date` header in seconds since 1970. Of RFC 9110's three forms the two that only old programs send count too.
pub(super) fn read_date(text: &str) -> Result<i64, Error> {
    let text = text.trim();
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Ok(date.timestamp());
    }
    let old = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let read = old.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    read.map(|date| date.and_utc().timestamp())
        .ok_or_else(|| Error::Malformed("the header Date is not a date of HTTP".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn holds(created: i64, expires: Option<i64>) -> bool {
        judge(NOW + created, expires.map(|at| NOW + at), NOW).is_ok()
    }

    #[test]
    fn a_signature_that_does_not_say_holds_for_65_minutes() {
        assert!(holds(0, None) && holds(-65 * 60, None));
        assert!(!holds(-65 * 60 - 1, None));
    }

    #[test]
    fn a_clock_may_be_an_hour_ahead() {
        assert!(holds(3600, None) && !holds(3601, None));
    }

    #[test]
    fn what_a_signature_says_counts_for_12_hours() {
        assert!(holds(-10 * 3600, Some(0)) && holds(-13 * 3600, Some(3600)));
        assert!(!holds(-13 * 3600 - 1, Some(3600)), "twelve hours and the margin");
        assert!(holds(-60, Some(-3600)) && !holds(-60, Some(-3601)), "an end in the past counts with its margin");
        assert!(judge(i64::MIN, Some(i64::MAX), i64::MAX).is_err(), "no sum overflows");
        assert!(judge(i64::MAX, None, i64::MIN).is_err());
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(read_date(text), Ok(784_111_777), "{text}");
        }
        for text in ["", "yesterday", "1994-11-06T08:49:37Z", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert!(read_date(text).is_err(), "{text}");
        }
    }
}
