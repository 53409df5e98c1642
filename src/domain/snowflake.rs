//! Mastodon's status ids carry their time: reading it, judging whether to trust it, and minting ids of the same shape.

use chrono::{DateTime, Duration, TimeZone, Utc};

/// The first moment a Mastodon snowflake id can mean: the scheme came on 2017-10-04 (mastodon 468523f4ad, R-140).
const FIRST_MS: i64 = 1_506_816_000_000;

/// The time inside a Mastodon status id: its upper 48 bits are milliseconds since 1970.
pub fn time_of(id: i64) -> Option<DateTime<Utc>> {
    Utc.timestamp_millis_opt(id >> 16).single()
}

/// The time of `id` if the id can be trusted to carry one.
///
/// It must fall between October 2017 and a day after `now`, and within a day of `near`, a date that the source
/// states for the same post or its neighbour.
pub fn trusted_time(id: i64, near: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let time = time_of(id)?;
    let day = Duration::days(1);
    let plausible = time.timestamp_millis() >= FIRST_MS && time <= now + day;
    let agrees = near.is_none_or(|near| (time - near).abs() <= day);
    (plausible && agrees).then_some(time)
}

/// The first id to try for a post whose source gives none: publish time, then 16 bits taken from its source key.
///
/// Deterministic, so that importing anew into an empty server gives the same URLs. Times before 1970 count as 1970.
pub fn mint(published: DateTime<Utc>, key_hash: u16) -> i64 {
    let ms = published.timestamp_millis().clamp(0, (1 << 47) - 1);
    ((ms << 16) | i64::from(key_hash)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_status_id_tells_its_time_to_the_millisecond() {
        assert_eq!(time_of(112_215_823_989_566_555), Some(at("2024-04-05T00:39:47.731Z")));
    }

    #[test]
    fn an_id_is_trusted_only_between_its_scheme_and_tomorrow() {
        let now = at("2026-11-23T00:00:00Z");
        assert!(trusted_time(112_215_823_989_566_555, None, now).is_some());
        assert_eq!(trusted_time(98_000_000_000_000_000, None, now), None, "before snowflakes");
        assert_eq!(trusted_time(4_711, None, now), None, "a sequential id of the first years");
        assert_eq!(trusted_time(mint(at("2026-11-25T00:00:00Z"), 0), None, now), None, "the day after tomorrow");
        assert_eq!(trusted_time(-5, None, now), None);
    }

    #[test]
    fn an_id_that_contradicts_its_neighbour_by_more_than_a_day_is_not_trusted() {
        let now = at("2026-11-23T00:00:00Z");
        let near = |text: &str| trusted_time(112_215_823_989_566_555, Some(at(text)), now);
        assert!(near("2024-04-05T12:00:00Z").is_some());
        assert!(near("2024-04-07T12:00:00Z").is_none());
    }

    #[test]
    fn a_minted_id_keeps_the_order_of_time_and_is_never_zero() {
        let early = mint(at("2019-03-02T10:00:00Z"), u16::MAX);
        let late = mint(at("2019-03-02T10:00:00.001Z"), 0);
        assert!(early < late);
        assert!(mint(at("1850-01-01T00:00:00Z"), 0) > 0);
        assert!(mint(at("+200000-01-01T00:00:00Z"), 9) > 0);
    }
}
