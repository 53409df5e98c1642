//! `import.*`: how much of an archive is believed.

use super::{Entry, Error};
use crate::import::limits::Limits;
use std::collections::BTreeMap;

const MIB: u64 = 1024 * 1024;

/// A key, the most that it takes, and where its value goes.
type Key = (&'static str, u64, fn(&mut Limits, u64));

const KEYS: [Key; 5] = [
    ("import.max_unpacked_mib", 1 << 30, |limits, mib| limits.unpacked = mib * MIB),
    ("import.max_ratio", 1_000_000, |limits, ratio| limits.ratio = ratio),
    ("import.max_members", 10_000_000, |limits, members| limits.members = members),
    ("import.max_media_mib", 1 << 20, |limits, mib| limits.media = mib * MIB),
    ("import.max_post_kib", 65_536, |limits, kib| limits.post = usize::try_from(kib * 1024).unwrap_or(usize::MAX)),
];

/// The limits in force.
pub(super) fn limits(entries: &BTreeMap<String, Entry>) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    for (key, most, set) in KEYS {
        let Some(entry) = entries.get(key) else { continue };
        let value = entry.value.as_integer().unwrap_or_default();
        let number = u64::try_from(value).ok().filter(|number| (1..=most).contains(number));
        let number = number.ok_or_else(|| Error::BadValue {
            key: key.to_owned(),
            place: entry.place.clone(),
            value: value.to_string(),
            allowed: format!("it takes 1 to {most}"),
        })?;
        set(&mut limits, number);
    }
    Ok(limits)
}

/// Every key with its value.
pub(super) fn effective(limits: &Limits) -> [(&'static str, String); 5] {
    [
        ("import.max_unpacked_mib", (limits.unpacked / MIB).to_string()),
        ("import.max_ratio", limits.ratio.to_string()),
        ("import.max_members", limits.members.to_string()),
        ("import.max_media_mib", (limits.media / MIB).to_string()),
        ("import.max_post_kib", (limits.post / 1024).to_string()),
    ]
}
