//! The YAML block at the top of a page: finding it, reading the few fields that matter, and reading its dates.
//!
//! The wild has keys twice, empty values, comments and tags with unescaped quotes: all of that is accepted.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What a page says about itself; everything else in its front matter is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontMatter {
    /// Where the first post of the page first stood.
    pub canonical: Option<String>,
    /// When that post was published, as written.
    pub date: Option<String>,
    /// When the page was last changed, as written.
    pub lastmod: Option<String>,
    /// The tags of that post, as written.
    pub tags: Vec<String>,
    /// Whether the page is not to be published.
    pub draft: bool,
}

/// Where the front matter of a page is, and what it holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The page has none.
    Nothing,
    /// It cannot be read.
    Broken {
        /// The line of the page, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It can.
    Read {
        /// What it says.
        front_matter: FrontMatter,
        /// The offset of the first byte after the block.
        end: usize,
        /// The number of lines up to there.
        lines: usize,
    },
}

/// Read the front matter of a page, a block between two lines of `---`.
pub fn read(page: &str) -> Found {
    let mark = '\u{feff}'.len_utf8();
    let from = if page.starts_with('\u{feff}') { mark } else { 0 };
    let mut end = from;
    for (index, line) in page[from..].split_inclusive('\n').enumerate() {
        let is_fence = line.trim_end() == "---";
        if index == 0 && !is_fence {
            return Found::Nothing;
        }
        if index > 0 && is_fence {
            // The opening fence stays in, so that the parser counts lines as the page does.
            return match parse(&page[from..end]) {
                Ok(front_matter) => Found::Read { front_matter, end: end + line.len(), lines: index + 1 },
                Err((line, reason)) => Found::Broken { line, reason },
            };
        }
        end += line.len();
    }
    if page.len() == from {
        return Found::Nothing;
    }
    Found::Broken { line: 1, reason: "its front matter never ends: a second line with --- is missing".into() }
}

/// Read a date in any of the shapes that Hugo accepts; one without a zone is UTC.
pub fn date(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim().trim_end_matches(" UTC");
    let zoned = ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z"];
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let with_zone = || zoned.iter().find_map(|shape| DateTime::parse_from_str(text, shape).ok());
    let without_zone = || local.iter().find_map(|shape| NaiveDateTime::parse_from_str(text, shape).ok());
    let day_alone = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(with_zone)
        .map(|time| time.to_utc())
        .or_else(|| without_zone().or_else(day_alone).map(|time| time.and_utc()))
}

/// Parse a block; the error is a line and a reason. A `tags` line that is no YAML is read by hand.
fn parse(block: &str) -> Result<FrontMatter, (usize, String)> {
    let block = Cow::from(block).replace("\r\n", "\n");
    let (line, reason) = match yaml(&block) {
        Ok(front_matter) => return Ok(front_matter),
        Err(failure) => failure,
    };
    if let Some((without, tags)) = tags_by_hand(&block)
        && let Ok(mut front_matter) = yaml(&without)
    {
        front_matter.tags = tags;
        return Ok(front_matter);
    }
    Err((line, reason))
}

fn yaml(block: &str) -> Result<FrontMatter, (usize, String)> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(block, options).map_err(|error| {
        let line = error.location().and_then(|place| usize::try_from(place.line()).ok());
        let text = error.to_string();
        let reason = format!("its front matter cannot be read: {}", text.lines().next().unwrap_or_default());
        (line.unwrap_or(1).max(1), reason)
    })
}

/// The block with its `tags: ["…","…"]` line emptied, and what stood between the quotes and commas of that line.
fn tags_by_hand(block: &str) -> Option<(String, Vec<String>)> {
    let line = block.lines().find(|line| line.starts_with("tags:"))?;
    let list = line["tags:".len()..].trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    let tags = match list.strip_prefix('"').and_then(|list| list.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\", \"", "\",\"").split("\",\"").map(str::to_owned).collect(),
        None => list.split(',').map(|tag| tag.trim().to_owned()).collect(),
    };
    Some((block.replacen(line, "tags:", 1), tags))
}

impl<'de> Deserialize<'de> for FrontMatter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields)
    }
}

/// Reads the pairs one by one: of a key that comes twice, the last value that is not empty counts.
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
            match key.to_ascii_lowercase().as_str() {
                "canonical" => keep(&mut read.canonical, pairs.next_value()?),
                "date" => keep(&mut read.date, pairs.next_value()?),
                "lastmod" => keep(&mut read.lastmod, pairs.next_value()?),
                "draft" => {
                    let mut draft = None;
                    keep(&mut draft, pairs.next_value()?);
                    read.draft = draft.map_or(read.draft, |draft| draft.eq_ignore_ascii_case("true"));
                }
                "tags" => {
                    let Tags(tags) = pairs.next_value()?;
                    if !tags.is_empty() {
                        read.tags = tags;
                    }
                }
                _ => drop(pairs.next_value::<IgnoredAny>()?),
            }
        }
        Ok(read)
    }
}

fn keep(field: &mut Option<String>, value: Option<String>) {
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    *field = value.or(field.take());
}

/// A list of tags, or one tag alone, or nothing.
struct Tags(Vec<String>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TagList)
    }
}

struct TagList;

impl<'de> Visitor<'de> for TagList {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tags")
    }

    fn visit_unit<E>(self) -> Result<Tags, E> {
        Ok(Tags(vec![]))
    }

    fn visit_str<E>(self, tag: &str) -> Result<Tags, E> {
        Ok(Tags(vec![tag.to_owned()]))
    }

    fn visit_i64<E>(self, tag: i64) -> Result<Tags, E> {
        Ok(Tags(vec![tag.to_string()]))
    }

    fn visit_u64<E>(self, tag: u64) -> Result<Tags, E> {
        Ok(Tags(vec![tag.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tags, A::Error> {
        let mut tags = Vec::new();
        while let Some(tag) = list.next_element::<Option<String>>()? {
            tags.extend(tag);
        }
        Ok(Tags(tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front_matter(block: &str) -> FrontMatter {
        match read(&format!("---\n{block}---\nbody\n")) {
            Found::Read { front_matter, .. } => front_matter,
            other => panic!("{other:?}"),
        }
    }

    fn broken(page: &str) -> (usize, String) {
        match read(page) {
            Found::Broken { line, reason } => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_that_comes_twice_has_its_last_value_that_is_not_empty() {
        let read =
            front_matter("image: \"/a.png\"\ndate: 2024-01-01\nimage: \"\"\ndate: 2024-01-02\ndate:\ndate: \"\"\n");
        assert_eq!(read.date.as_deref(), Some("2024-01-02"));
    }

    #[test]
    fn comments_and_empty_values_and_unknown_keys_are_passed_over() {
        let read = front_matter(
            "title: \"A: b\"\ndescription:\n\n# generated\ndeep: {a: [1, {b: 2}]}\ncanonical: https://a.example/1\n",
        );
        assert_eq!(read.canonical.as_deref(), Some("https://a.example/1"));
        assert_eq!(front_matter("# nothing\n"), FrontMatter::default());
        assert_eq!(front_matter(""), FrontMatter::default());
    }

    #[test]
    fn tags_come_as_a_list_or_alone_or_not_at_all() {
        assert_eq!(front_matter("tags: [\"a\",\"Social Media\"]\n").tags, ["a", "Social Media"]);
        assert_eq!(front_matter("tags:\n  - a\n  - 2024\n  -\n").tags, ["a", "2024"]);
        assert_eq!(front_matter("tags: a\n").tags, ["a"]);
        assert_eq!(front_matter("tags: 2024\n").tags, ["2024"]);
        assert!(front_matter("tags:\n").tags.is_empty());
    }

    #[test]
    fn tags_with_unescaped_quotes_are_read_by_hand() {
        let read = front_matter("tags: [\"say \"hi\"\",\"a\\b\", \"c\"]\ndate: 2024-01-01\n");
        assert_eq!(read.tags, ["say \"hi\"", "a\\b", "c"]);
        assert_eq!(read.date.as_deref(), Some("2024-01-01"));
    }

    #[test]
    fn draft_is_true_only_if_it_says_so() {
        assert!(front_matter("draft: true\n").draft);
        assert!(front_matter("Draft: \"True\"\n").draft);
        assert!(!front_matter("draft: false\n").draft);
        assert!(!front_matter("draft:\n").draft);
    }

    #[test]
    fn what_cannot_be_read_names_the_line_of_the_page() {
        let (line, reason) = broken("---\ntitle: a\ndate: [1, 2\n---\n");
        assert!(line >= 3, "{line} {reason}");
        let (line, reason) = broken("---\ntitle: a\ndescription: b: c\ndate: x\n---\n");
        assert_eq!(line, 3, "{reason}");
        assert!(reason.starts_with("its front matter cannot be read: "), "{reason}");
        assert!(broken("---\n- a\n- b\n---\n").1.contains("lines of `key: value`"));
        assert_eq!(broken("---\ndate: {a: b}\n---\n").0, 2);
        let (line, reason) = broken("---\ntitle: a\n");
        assert_eq!((line, reason.starts_with("its front matter never ends")), (1, true));
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
        let page = "\u{feff}---\r\ndate: 2024-01-01\r\ntags:\r\n- a\r\n---\r\nbody";
        let Found::Read { front_matter, end, lines } = read(page) else { panic!() };
        assert_eq!((&page[end..], lines), ("body", 5));
        assert_eq!((front_matter.date.as_deref(), front_matter.tags), (Some("2024-01-01"), vec!["a".to_owned()]));
    }

    #[test]
    fn a_page_without_front_matter_has_none() {
        for page in ["", "\u{feff}", "text\n---\n", "+++\na = 1\n+++\n"] {
            assert_eq!(read(page), Found::Nothing, "{page:?}");
        }
    }

    #[test]
    fn dates_come_quoted_or_not_and_in_many_shapes() {
        assert_eq!(
            front_matter("date: \"2024-04-05T00:39:47Z\"\n").date,
            front_matter("date: 2024-04-05T00:39:47Z\n").date
        );
        let expected = date("2024-04-05T00:39:47Z");
        assert!(expected.is_some());
        for text in [
            "2024-04-05T02:39:47+02:00",
            "2024-04-05 00:39:47",
            "2024-04-05T00:39:47",
            " 2024-04-05 00:39:47 +0000 UTC",
            "2024-04-05T02:39:47+0200",
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(date("2024-04-05"), date("2024-04-05T00:00:00Z"));
        for text in ["", "yesterday", "2024-13-01", "99999-01-01T00:00:00Z"] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
