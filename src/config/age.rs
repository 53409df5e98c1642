//! Lengths of time as a configuration says them: `6h`, `90m`, `0`.

use chrono::TimeDelta;

/// Read one of at most `most`; `None` for everything else.
pub(super) fn read(text: &str, most: TimeDelta) -> Option<TimeDelta> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: i64 = number.parse().ok()?;
    let age = match unit {
        "" if number == 0 => TimeDelta::zero(),
        "m" => TimeDelta::try_minutes(number)?,
        "h" => TimeDelta::try_hours(number)?,
        _ => return None,
    };
    (age <= most).then_some(age)
}

/// As it is written.
pub(super) fn shown(age: TimeDelta) -> String {
    match age.num_minutes() {
        0 => "0".to_owned(),
        minutes if minutes % 60 == 0 => format!("{}h", minutes / 60),
        minutes => format!("{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_they_are_written() {
        let day = TimeDelta::days(1);
        for (text, minutes) in [("0", 0), ("6h", 360), ("90m", 90), ("24h", 1440), (" 1m ", 1), ("0h", 0)] {
            assert_eq!(read(text, day), Some(TimeDelta::minutes(minutes)), "{text:?}");
        }
        for text in ["", "6", "h", "25h", "1441m", "-1h", "1.5h", "6 h", "6H", "1d", "99999999999999999h"] {
            assert_eq!(read(text, day), None, "{text:?}");
        }
        assert_eq!([0, 360, 90].map(|minutes| shown(TimeDelta::minutes(minutes))), ["0", "6h", "90m"]);
    }
}
