//! How the history of a feed is cut into documents that can be kept.
//!
//! The feed itself has what is newest; behind it are archive documents, each with its own entries (RFC 5005, section 4;
//! decision 0031). Start with [`Outline`].

use super::ids::PostId;
use chrono::{DateTime, Datelike, Utc};

/// Most entries of an archive document.
pub const MOST: u32 = 100;
/// Entries that the feed itself has at least, where there are as many. It has fewer than `LEAST + MOST`.
pub const LEAST: u32 = 20;

/// Where an entry stands: when it was published, and its number among those of one millisecond.
pub type Stand = (DateTime<Utc>, PostId);

/// Entries that stand in one document: those of a year from its beginning on, [`MOST`] at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The year, in UTC.
    pub year: i32,
    /// Which hundred of that year, from 1.
    pub number: u32,
    /// Where its first, which is its oldest, stands.
    pub first: Stand,
    /// How many there are, from 1 to [`MOST`].
    pub count: u32,
    /// A digest of these entries and of all older ones: who knows it knows everything up to here.
    pub version: u64,
}

impl Part {
    /// Its name in addresses: `2019`, and `2019-2` for the second hundred of that year.
    pub fn name(&self) -> String {
        if self.number == 1 { self.year.to_string() } else { format!("{}-{}", self.year, self.number) }
    }

    /// Its version in addresses: 16 hexadecimal digits.
    pub fn version(&self) -> String {
        format!("{:016x}", self.version)
    }
}

/// A whole history in parts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    parts: Vec<Part>,
}

impl Outline {
    /// Take in the next entry, which is newer than all before it, with the moment at which it last changed.
    pub fn add(&mut self, at: DateTime<Utc>, id: PostId, changed: DateTime<Utc>) {
        let last = self.parts.last().copied();
        let before = last.map_or(OFFSET, |part| part.version);
        let version = mixed(mixed(before, id.0), changed.timestamp_micros());
        match self.parts.last_mut().filter(|part| part.year == at.year() && part.count < MOST) {
            Some(part) => (part.count, part.version) = (part.count + 1, version),
            None => {
                let number = last.filter(|part| part.year == at.year()).map_or(1, |part| part.number + 1);
                self.parts.push(Part { year: at.year(), number, first: (at, id), count: 1, version });
            }
        }
    }

    /// Every part, oldest first.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// How many of the parts are archive documents. Those behind them are the feed itself.
    pub fn archived(&self) -> usize {
        let mut entries = 0;
        let newest = self.parts.iter().rev().take_while(|part| {
            let wanted = entries < LEAST;
            entries += part.count;
            wanted
        });
        self.parts.len() - newest.count()
    }

    /// Which part has a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.parts.iter().position(|part| part.name() == name)
    }
}

/// Where FNV-1a begins, 64 bits wide. Addresses are made of it, so it stays the same for ever.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
/// What FNV-1a multiplies by.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A digest with eight more bytes in it, by FNV-1a.
fn mixed(digest: u64, value: i64) -> u64 {
    value.to_be_bytes().iter().fold(digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    /// A history with so many entries in each of these years, a minute apart.
    fn outline(years: &[(i32, u32)]) -> Outline {
        let mut outline = Outline::default();
        for (year, entries) in years {
            for n in 0..*entries {
                let at = Utc.with_ymd_and_hms(*year, 1, 1, n / 60, n % 60, 0).unwrap();
                outline.add(at, PostId(i64::from(*year) * 10_000 + i64::from(n)), at);
            }
        }
        outline
    }

    fn names(outline: &Outline) -> Vec<(String, u32)> {
        outline.parts().iter().map(|part| (part.name(), part.count)).collect()
    }

    fn versions(outline: &Outline) -> Vec<String> {
        outline.parts().iter().map(Part::version).collect()
    }

    #[test]
    fn a_year_is_cut_into_hundreds_from_its_beginning() {
        let outline = outline(&[(2019, 250), (2021, 100), (2022, 1)]);
        let expected = [("2019", 100), ("2019-2", 100), ("2019-3", 50), ("2021", 100), ("2022", 1)];
        assert_eq!(names(&outline), expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!((outline.find("2019-3"), outline.find("2020"), outline.find("2019-1")), (Some(2), None, None));
    }

    #[test]
    fn the_feed_itself_has_a_handful_and_the_archives_have_the_rest() {
        let archived = |years: &[(i32, u32)]| outline(years).archived();
        assert_eq!(archived(&[]), 0);
        assert_eq!(archived(&[(2019, 5)]), 0);
        assert_eq!(archived(&[(2019, 19), (2020, 100)]), 1);
        assert_eq!(archived(&[(2019, 300), (2020, 19)]), 2, "a hundred more, so that there are 20");
        assert_eq!(archived(&[(2019, 300), (2020, 20)]), 3);
    }

    #[test]
    fn what_is_added_behind_changes_no_archive_and_what_is_added_before_changes_every_later_one() {
        let before = outline(&[(2019, 120), (2020, 130)]);
        let newer = outline(&[(2019, 120), (2020, 131)]);
        assert_eq!(versions(&before)[..3], versions(&newer)[..3]);
        let older = outline(&[(2018, 1), (2019, 120), (2020, 130)]);
        let between = outline(&[(2019, 121), (2020, 130)]);
        assert!(versions(&before).iter().all(|version| !versions(&older).contains(version)));
        assert_eq!(versions(&before)[0], versions(&between)[0], "what is older than the new one stays");
        assert!(versions(&before)[1..].iter().all(|version| !versions(&between).contains(version)));
    }

    #[test]
    fn a_change_of_an_entry_and_its_absence_show_in_the_version() {
        let at = Utc.with_ymd_and_hms(2020, 1, 1, 0, 0, 0).unwrap();
        let of = |entries: &[(i64, DateTime<Utc>)]| {
            let mut outline = Outline::default();
            entries.iter().for_each(|(id, changed)| outline.add(at, PostId(*id), *changed));
            versions(&outline)
        };
        let whole = of(&[(1, at), (2, at)]);
        assert_ne!(whole, of(&[(1, at), (2, at + chrono::TimeDelta::microseconds(1))]));
        assert_ne!(whole, of(&[(2, at)]));
        assert_eq!(whole, ["d9da4063684e1830"], "addresses are for ever");
    }
}
