//! The fields of front matter that matter, filled from any serde format: YAML, TOML or JSON.
//!
//! Keys are compared without regard to case. Of a key that comes twice the last value counts that is not empty.

use super::{CANONICAL_KEYS, FrontMatter, Picture, Tags};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

impl<'de> Deserialize<'de> for FrontMatter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields)
    }
}

/// Reads the pairs one by one.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = FrontMatter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lines of `key: value`")
    }

    fn visit_unit<E>(self) -> Result<FrontMatter, E> {
        Ok(FrontMatter::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<FrontMatter, A::Error> {
        let mut read = FrontMatter::default();
        while let Some(key) = pairs.next_key::<String>()? {
            if let Some(rank) = canonical_rank(&key) {
                let Many(links) = pairs.next_value()?;
                if let Some(first) = links.into_iter().find_map(Value::into_text) {
                    read.canonicals[rank] = Some(first);
                }
                continue;
            }
            match key.to_ascii_lowercase().as_str() {
                "date" => keep(&mut read.date, pairs.next_value()?),
                "lastmod" | "updated" | "last_modified_at" => keep(&mut read.lastmod, pairs.next_value()?),
                "publishdate" => keep(&mut read.publish_date, pairs.next_value()?),
                "expirydate" => keep(&mut read.expiry_date, pairs.next_value()?),
                "title" => keep(&mut read.title, pairs.next_value()?),
                "lang" | "language" => keep(&mut read.language, pairs.next_value()?),
                "cw" | "content_warning" => keep(&mut read.warning, pairs.next_value()?),
                "summary" => keep(&mut read.summary, pairs.next_value()?),
                "visibility" => keep(&mut read.visibility, pairs.next_value()?),
                "post_id" => keep(&mut read.post_id, pairs.next_value()?),
                "in_reply_to" => keep(&mut read.in_reply_to, pairs.next_value()?),
                // Jekyll says whether a page is published, others say when.
                "published" => {
                    let mut published = None;
                    keep(&mut published, pairs.next_value()?);
                    match published.as_deref().map(truth) {
                        Some(Some(published)) => read.published = Some(published),
                        Some(None) => read.published_at = published,
                        None => {}
                    }
                }
                "draft" => flag(&mut read.draft, pairs.next_value()?),
                "sensitive" => flag(&mut read.sensitive, pairs.next_value()?),
                "private" => flag(&mut read.private, pairs.next_value()?),
                "headless" => flag(&mut read.headless, pairs.next_value()?),
                "unlisted" | "hidden" => flag(&mut read.unlisted, pairs.next_value()?),
                "password" => read.password |= pairs.next_value::<Value>()?.into_text().is_some(),
                "layout" => read.layout |= pairs.next_value::<Value>()?.into_text().is_some(),
                "tags" => tags(&mut read.tags, pairs.next_value()?),
                "keywords" => tags(&mut read.keywords, pairs.next_value()?),
                "descendants" => {
                    let Many(ids) = pairs.next_value()?;
                    read.descendants = ids.into_iter().filter_map(Value::into_text).collect();
                }
                "activities" => {
                    let value = pairs.next_value::<serde_json::Value>()?;
                    read.activities = value.as_array().cloned().unwrap_or_default();
                }
                "images" => pictures(&mut read.images, pairs.next_value()?),
                "cover" => pictures(&mut read.cover, pairs.next_value()?),
                "params" => {
                    if let Value::Map(inner) = pairs.next_value()? {
                        read.take_params(inner);
                    }
                }
                _ => drop(pairs.next_value::<IgnoredAny>()?),
            }
        }
        Ok(read)
    }
}

impl FrontMatter {
    /// Hugo's `params` hold what else a page may say about itself: they fill what the page itself leaves open.
    fn take_params(&mut self, params: Vec<(String, Value)>) {
        for (key, value) in params {
            if let Some(rank) = canonical_rank(&key) {
                let first = match value {
                    Value::List(values) => values.into_iter().find_map(Value::into_text),
                    value => value.into_text(),
                };
                self.canonicals[rank] = self.canonicals[rank].take().or(first);
                continue;
            }
            let field = match key.to_ascii_lowercase().as_str() {
                "cw" | "content_warning" => &mut self.warning,
                "lang" | "language" => &mut self.language,
                "visibility" => &mut self.visibility,
                "private" => {
                    self.private |= value.into_text().is_some_and(|text| truth(&text) == Some(true));
                    continue;
                }
                _ => continue,
            };
            *field = field.take().or_else(|| value.into_text());
        }
    }
}

/// The place of a key in [`CANONICAL_KEYS`]: as it is spelled there, or else in any case.
fn canonical_rank(key: &str) -> Option<usize> {
    let spelled = CANONICAL_KEYS.iter().position(|known| *known == key);
    spelled.or_else(|| CANONICAL_KEYS.iter().position(|known| known.eq_ignore_ascii_case(key)))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    }
}

fn keep(field: &mut Option<String>, Text(value): Text) {
    *field = value.or(field.take());
}

fn flag(field: &mut bool, Text(value): Text) {
    if let Some(value) = value {
        *field = truth(&value) == Some(true);
    }
}

fn tags(field: &mut Tags, value: Value) {
    let read = match value {
        Value::List(values) => Tags::Many(values.into_iter().filter_map(Value::into_text).collect()),
        value => value.into_text().map_or_else(Tags::default, Tags::One),
    };
    if !read.is_empty() {
        *field = read;
    }
}

fn pictures(field: &mut Vec<Picture>, Many(values): Many) {
    let read: Vec<Picture> = values.into_iter().filter_map(picture).collect();
    if !read.is_empty() {
        *field = read;
    }
}

/// A picture by its path alone, or by a map that names it.
fn picture(value: Value) -> Option<Picture> {
    let Value::Map(pairs) = value else {
        return value.into_text().map(|target| Picture { target, alt: None });
    };
    let (mut target, mut alt) = (None, None);
    for (key, value) in pairs {
        match key.to_ascii_lowercase().as_str() {
            "src" | "image" | "url" | "path" | "link" | "name" => target = target.or_else(|| value.into_text()),
            "alt" => alt = value.into_text(),
            _ => {}
        }
    }
    Some(Picture { target: target?, alt })
}

/// A text, or nothing. What is no single value is an error that names its line.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue { single: true }).map(|value| Text(value.into_text()))
    }
}

/// A list, or one value as a list of one.
struct Many(Vec<Value>);

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::List(values) => Many(values),
            value => Many(vec![value]),
        })
    }
}

/// Any value, as far as it matters here.
enum Value {
    Nothing,
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The text of a single value that is not empty.
    fn into_text(self) -> Option<String> {
        match self {
            Value::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            // TOML's parser hands out a date as a map with one secret key.
            Value::Map(pairs) => {
                let mut pairs = pairs.into_iter();
                let (key, value) = pairs.next()?;
                if key.starts_with("$__toml_private") { value.into_text() } else { None }
            }
            Value::Nothing | Value::List(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue { single: false })
    }
}

struct AnyValue {
    /// Whether lists and maps are refused.
    single: bool,
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        if self.single {
            return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = pairs.next_entry::<String, Value>()? {
            let is_toml_date = key.starts_with("$__toml_private");
            if self.single && !is_toml_date {
                return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Map, &self));
            }
            map.push((key, value));
        }
        Ok(Value::Map(map))
    }
}
