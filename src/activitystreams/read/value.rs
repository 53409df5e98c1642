//! Leniency towards single values: text, ids, lists, times and counts, in the forms that JSON-LD and habit allow.

use crate::domain::remote::host_of;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

/// A text that is not empty. U+0000 is dropped: no database has a place for it.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str().or_else(|| value?.get("@value")?.as_str())?;
    let text = if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() };
    (!text.is_empty()).then_some(text)
}

/// The items of a list; a single value is a list of one.
pub(super) fn list(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        Some(Value::Null) | None => &[],
        Some(single) => std::slice::from_ref(single),
    }
}

/// The id of an object that stands here itself or by its address. A list means its first item.
pub(super) fn id(value: Option<&Value>) -> Option<String> {
    let first = list(value).first()?;
    text(Some(first)).or_else(|| text(first.get("id")))
}

/// Longest address that is kept, in bytes.
pub(super) const LONGEST_URL: usize = 2048;

/// Whether a text is an address of the web as everybody writes one: who reads URLs takes `hTtps:/host` too, and ids are
/// compared letter by letter.
pub(super) fn is_url(text: &str) -> bool {
    let scheme = text.starts_with("https://") || text.starts_with("http://");
    let bearable = text.len() <= LONGEST_URL && !text.contains(char::is_control);
    scheme && bearable && host_of(text).is_some_and(|host| !host.is_empty())
}

/// The ids of a list.
pub(super) fn ids(value: Option<&Value>) -> Vec<String> {
    list(value).iter().filter_map(|item| id(Some(item))).collect()
}

/// The types of an object.
pub(super) fn kinds(value: &Value) -> Vec<&str> {
    list(value.get("type")).iter().filter_map(Value::as_str).map(|kind| kind.trim_start_matches("as:")).collect()
}

/// Whether an object is of that type.
pub(super) fn is_kind(value: &Value, kind: &str) -> bool {
    kinds(value).contains(&kind)
}

/// A point in time; one without a zone is in UTC.
pub(super) fn time(value: Option<&Value>) -> Option<DateTime<Utc>> {
    let text = text(value)?;
    let text = text.trim();
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let bare = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc());
    zoned.or_else(|_| bare()).ok()
}

/// A count.
pub(super) fn count(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// How many a collection holds: as it says, else as it lists.
pub(super) fn total(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Object(collection) => count(collection.get("totalItems")),
        Value::Array(items) => Some(items.len() as u64),
        single => count(Some(single)),
    }
}

/// Whether a flag is set.
pub(super) fn flag(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

/// The start of a text, for a message.
pub(super) fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
