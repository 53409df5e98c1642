//! Dates as front matter has them: what Hugo and Jekyll accept, and Go's own way of printing a time.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// A date in any of these shapes; one without a zone is UTC.
pub fn date(text: &str) -> Option<DateTime<Utc>> {
    let text = without_zone_name(text.trim());
    let zoned = ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M %z"];
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let with_zone = || zoned.iter().find_map(|shape| DateTime::parse_from_str(text, shape).ok());
    let without_zone = || local.iter().find_map(|shape| NaiveDateTime::parse_from_str(text, shape).ok());
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(with_zone)
        .map(|time| time.to_utc())
        .or_else(|| without_zone().map(|time| time.and_utc()))
        .or_else(|| day(text))
}

/// The day in front of a file's name, as Jekyll has it: `2024-04-05-a-title.md`.
pub fn of_file_name(name: &str) -> Option<DateTime<Utc>> {
    let rest = name.get(10..)?;
    if rest.starts_with('-') { day(&name[..10]) } else { None }
}

fn day(text: &str) -> Option<DateTime<Utc>> {
    Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc())
}

/// A time as Go prints it ends with `+0000 UTC`, `+0200 CEST` or `+0200 +0200`, and sometimes with `m=+0.1`: the offset
/// says it all.
fn without_zone_name(text: &str) -> &str {
    let text = text.split_once(" m=").map_or(text, |(text, _)| text);
    let Some((before, name)) = text.rsplit_once(' ') else { return text };
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_universal = name == "UTC" || name == "GMT";
    let follows_offset = before.rsplit_once(' ').is_some_and(|(_, offset)| offset.starts_with(['+', '-']));
    if is_universal || (follows_offset && (is_name || name.starts_with(['+', '-']))) { before } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_in_many_shapes() {
        let expected = date("2024-04-05T00:39:47Z");
        assert!(expected.is_some());
        for text in [
            "2024-04-05T02:39:47+02:00",
            "2024-04-05 00:39:47",
            "2024-04-05T00:39:47",
            " 2024-04-05 00:39:47 +0000 UTC",
            "2024-04-05 00:39:47 UTC",
            "2024-04-05 02:39:47 +0200 CEST",
            "2024-04-05 02:39:47 +0200 +0200 m=+0.000012",
            "2024-04-05T02:39:47+0200",
            "2024-04-05 02:39:47 +02:00",
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(date("2024-04-24 12:40:10.029 +0000 UTC"), date("2024-04-24T12:40:10.029Z"));
        assert_eq!(date("2024-04-05"), date("2024-04-05T00:00:00Z"));
        for text in ["", "yesterday", "2024-13-01", "99999-01-01T00:00:00Z", "UTC"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn a_jekyll_file_name_begins_with_its_day() {
        assert_eq!(of_file_name("2024-04-05-hello.md"), date("2024-04-05"));
        for name in ["2024-04-05.md", "hello.md", "2024-14-05-x.md", "日本語の名前.md"] {
            assert_eq!(of_file_name(name), None, "{name}");
        }
    }
}
