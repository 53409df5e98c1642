//! The block at the top of a page that says something about it: finding it, in YAML, TOML or JSON, and reading it.
//!
//! The wild has keys twice, empty values, comments and tags with unescaped quotes: all of that is accepted.
//! Start with [`find`]; `fields.rs` says which keys are read.

mod date;
mod fields;

pub use date::{date, of_file_name};
use std::borrow::Cow;
use std::ops::Range;

/// The keys that say where a page first stood. The first one that a page has wins.
pub const CANONICAL_KEYS: [&str; 8] = [
    "canonical",
    "canonicalUrl",
    "canonicalURL",
    "canonical_url",
    "original_url",
    "post_uri",
    "syndication",
    "u-syndication",
];

/// The lines in which front matter that cannot be read is looked through.
const MOST_LINES: usize = 100;

/// What a page says about itself; everything else in its front matter is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontMatter {
    /// Where the page first stood, one for each of [`CANONICAL_KEYS`].
    pub canonicals: [Option<String>; CANONICAL_KEYS.len()],
    /// When it was published, as written.
    pub date: Option<String>,
    /// The same under the key `published`.
    pub published_at: Option<String>,
    /// When the page was last changed, as written.
    pub lastmod: Option<String>,
    /// Before when it is not to be shown.
    pub publish_date: Option<String>,
    /// From when on it is not to be shown any more.
    pub expiry_date: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// Its content warning.
    pub warning: Option<String>,
    /// Its summary.
    pub summary: Option<String>,
    /// For whom it is, in Mastodon's words.
    pub visibility: Option<String>,
    /// The id of its status.
    pub post_id: Option<String>,
    /// The id of the status that it answers.
    pub in_reply_to: Option<String>,
    /// The ids of the statuses below it whose text it holds too.
    pub descendants: Vec<String>,
    /// Its tags, as written.
    pub tags: Tags,
    /// Its keywords, as written.
    pub keywords: Tags,
    /// The activities of its posts, on pages that Everpost wrote.
    pub activities: Vec<serde_json::Value>,
    /// The pictures that belong to it.
    pub images: Vec<Picture>,
    /// The picture that stands on top of it.
    pub cover: Vec<Picture>,
    /// Whether it is not to be published yet.
    pub draft: bool,
    /// Whether it is published at all, where it says so.
    pub published: Option<bool>,
    /// Whether it is for its author alone.
    pub private: bool,
    /// Whether it is no page of its own.
    pub headless: bool,
    /// Whether it is shown in no list.
    pub unlisted: bool,
    /// Whether it asks for a password.
    pub password: bool,
    /// Whether its media are sensitive.
    pub sensitive: bool,
    /// Whether it names a layout, as Jekyll's pages do.
    pub layout: bool,
}

/// Tags as a page has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// One text, which may hold several.
    One(String),
    /// A list.
    Many(Vec<String>),
}

/// A picture that front matter names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its path or URL, as written.
    pub target: String,
    /// Its alternative text.
    pub alt: Option<String>,
}

/// In which language front matter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Yaml,
    Toml,
    Json,
}

/// The front matter of a page, found and not yet read.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    kind: Kind,
    /// What the parser gets; its first line is that of the page.
    text: &'a str,
    /// The offset of the first byte after the block.
    pub end: usize,
    /// The number of lines up to there.
    pub lines: usize,
}

/// Whether a page that begins with these bytes may have front matter: cheap, for the many files of a site without any.
pub fn may_begin(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    bytes.starts_with(b"---") || bytes.starts_with(b"+++") || bytes.starts_with(b"{")
}

/// Find the front matter of a page. `None` if it has none, an error with line and reason if it never ends.
pub fn find(page: &str) -> Option<Result<Block<'_>, (usize, String)>> {
    let from = if page.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let first = page[from..].lines().next()?;
    let (kind, fence) = match first.trim_end() {
        "---" => (Kind::Yaml, "---"),
        "+++" => (Kind::Toml, "+++"),
        first if first.starts_with('{') => return Some(find_json(page, from)),
        _ => return None,
    };
    let mut end = from;
    for (index, line) in page[from..].split_inclusive('\n').enumerate() {
        if index > 0 && line.trim_end() == fence {
            // YAML's opening fence stays in, so that the parser counts lines as the page does.
            let start = if kind == Kind::Yaml { from } else { from + fence.len() };
            return Some(Ok(Block { kind, text: &page[start..end], end: end + line.len(), lines: index + 1 }));
        }
        end += line.len();
    }
    Some(Err((1, format!("its front matter never ends: a second line with {fence} is missing"))))
}

/// JSON says itself where it ends.
fn find_json(page: &str, from: usize) -> Result<Block<'_>, (usize, String)> {
    let mut values = serde_json::Deserializer::from_str(&page[from..]).into_iter::<serde::de::IgnoredAny>();
    if let Some(Err(error)) = values.next() {
        return Err((error.line().max(1), unreadable(&error.to_string())));
    }
    let end = from + values.byte_offset();
    let text = &page[from..end];
    let rest_of_line = page[end..].find('\n').filter(|at| page[end..end + at].trim().is_empty());
    let end = rest_of_line.map_or(end, |at| end + at + 1);
    Ok(Block { kind: Kind::Json, text, end, lines: page[..end].bytes().filter(|byte| *byte == b'\n').count() })
}

impl Block<'_> {
    /// Whether one of [`CANONICAL_KEYS`] may stand in it: cheap, for the many pages that say nothing of the kind.
    pub fn may_be_canonical(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        ["canonical", "original_url", "post_uri", "syndication"].iter().any(|key| text.contains(key))
    }

    /// Read it; the error is a line of the page and a reason.
    pub fn read(&self) -> Result<FrontMatter, (usize, String)> {
        match self.kind {
            Kind::Yaml => yaml_or_by_hand(self.text),
            Kind::Toml => toml::from_str(self.text).map_err(|error| {
                let before = error.span().map_or("", |Range { start, .. }| &self.text[..start.min(self.text.len())]);
                (before.matches('\n').count() + 1, unreadable(error.message()))
            }),
            Kind::Json => {
                serde_json::from_str(self.text).map_err(|error| (error.line().max(1), unreadable(&error.to_string())))
            }
        }
    }
}

impl FrontMatter {
    /// The values that say where the page first stood, the one that wins first, each with its key.
    pub fn canonicals(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = CANONICAL_KEYS.iter().zip(&self.canonicals);
        named.filter_map(|(key, value)| Some((*key, value.as_deref()?)))
    }

    /// The value of `canonical` itself.
    pub fn canonical(&self) -> Option<&str> {
        self.canonicals[0].as_deref()
    }

    /// The value of `post_uri`.
    pub fn post_uri(&self) -> Option<&str> {
        self.canonicals[5].as_deref()
    }
}

impl Default for Tags {
    fn default() -> Tags {
        Tags::Many(Vec::new())
    }
}

impl Tags {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Tags::Many(tags) if tags.is_empty())
    }

    /// Each as it is written; one text is one tag.
    pub fn as_written(&self) -> &[String] {
        match self {
            Tags::One(tag) => std::slice::from_ref(tag),
            Tags::Many(tags) => tags,
        }
    }

    /// Each; one text is taken apart at its commas or else, as Jekyll does, at its spaces.
    pub fn split(&self) -> Vec<&str> {
        match self {
            Tags::One(tags) if tags.contains(',') => tags.split(',').collect(),
            Tags::One(tags) => tags.split_whitespace().collect(),
            Tags::Many(tags) => tags.iter().map(String::as_str).collect(),
        }
    }
}

/// Whether one of the first lines of a page, whose front matter cannot be read, sets one of [`CANONICAL_KEYS`].
pub fn names_canonical(page: &str) -> bool {
    page.lines().take(MOST_LINES).any(|line| {
        let line = line.trim_start().trim_start_matches(['"', '\'']);
        let after = |key: &&&str| line.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key));
        CANONICAL_KEYS.iter().filter(after).any(|key| {
            let rest = line[key.len()..].trim_start_matches(['"', '\'']).trim_start();
            rest.starts_with([':', '='])
        })
    })
}

fn unreadable(message: &str) -> String {
    format!("its front matter cannot be read: {}", message.lines().next().unwrap_or_default())
}

/// Parse a block; the error is a line and a reason. A `tags` line that is no YAML is read by hand.
fn yaml_or_by_hand(block: &str) -> Result<FrontMatter, (usize, String)> {
    let block = if block.contains('\r') { Cow::from(block.replace("\r\n", "\n")) } else { Cow::from(block) };
    let (line, reason) = match yaml(&block) {
        Ok(front_matter) => return Ok(front_matter),
        Err(failure) => failure,
    };
    if let Some((without, tags)) = tags_by_hand(&block)
        && let Ok(mut front_matter) = yaml(&without)
    {
        front_matter.tags = Tags::Many(tags);
        return Ok(front_matter);
    }
    Err((line, reason))
}

fn yaml(block: &str) -> Result<FrontMatter, (usize, String)> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        // Norway's language is `no`, and `y` may be a tag.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(block, options).map_err(|error| {
        let line = error.location().and_then(|place| usize::try_from(place.line()).ok());
        (line.unwrap_or(1).max(1), unreadable(&error.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of_page(page: &str) -> Result<FrontMatter, (usize, String)> {
        find(page).unwrap().and_then(|block| block.read())
    }

    fn yaml(block: &str) -> FrontMatter {
        of_page(&format!("---\n{block}---\nbody\n")).unwrap()
    }

    fn broken(page: &str) -> (usize, String) {
        of_page(page).unwrap_err()
    }

    #[test]
    fn a_key_that_comes_twice_has_its_last_value_that_is_not_empty() {
        let read = yaml("image: \"/a.png\"\ndate: 2024-01-01\nimage: \"\"\ndate: 2024-01-02\ndate:\ndate: \"\"\n");
        assert_eq!(read.date.as_deref(), Some("2024-01-02"));
    }

    #[test]
    fn comments_and_empty_values_and_unknown_keys_are_passed_over() {
        let read = yaml(
            "title: \"A: b\"\ndescription:\n\n# generated\ndeep: {a: [1, {b: 2}]}\ncanonical: https://a.example/1\n",
        );
        assert_eq!(read.canonical(), Some("https://a.example/1"));
        assert_eq!(yaml("# nothing\n"), FrontMatter::default());
        assert_eq!(yaml(""), FrontMatter::default());
    }

    #[test]
    fn yaml_toml_and_json_say_the_same() {
        let yaml = of_page(
            "---\ndate: 2024-04-05T01:02:03Z\ntags: [a, \"b c\"]\ndraft: true\npost_id: 112\nimages: [x.png]\n\
             cover: {image: y.png, alt: Y}\nsyndication: [https://a.example/1]\n---\n",
        );
        let toml = of_page(
            "+++\ndate = 2024-04-05T01:02:03Z\ntags = [\"a\", \"b c\"]\ndraft = true\npost_id = 112\n\
             images = [\"x.png\"]\nsyndication = [\"https://a.example/1\"]\n[cover]\nimage = \"y.png\"\nalt = \"Y\"\n+++\n",
        );
        let json = of_page(
            "{\n\"date\": \"2024-04-05T01:02:03Z\", \"tags\": [\"a\", \"b c\"], \"draft\": true, \"post_id\": 112,\n\
             \"images\": [\"x.png\"], \"cover\": {\"image\": \"y.png\", \"alt\": \"Y\"}, \"deep\": [{}, null, 1.5],\n\
             \"syndication\": [\"https://a.example/1\"]\n}\nbody",
        );
        let read = yaml.unwrap();
        assert_eq!((read.draft, read.date.as_deref()), (true, Some("2024-04-05T01:02:03Z")));
        assert_eq!(read.cover, [Picture { target: "y.png".into(), alt: Some("Y".into()) }]);
        assert_eq!(toml.unwrap(), read);
        assert_eq!(json.unwrap(), read);
    }

    #[test]
    fn a_toml_date_may_be_a_day_or_have_no_zone() {
        let date = |value: &str| of_page(&format!("+++\ndate = {value}\n+++\n")).unwrap().date.unwrap();
        assert_eq!(date("2024-04-05"), "2024-04-05");
        assert_eq!(date("2024-04-05T01:02:03"), "2024-04-05T01:02:03");
        assert_eq!(date("2024-04-05 01:02:03+02:00"), "2024-04-05T01:02:03+02:00");
        assert_eq!(date("\"2024-04-05\""), "2024-04-05");
    }

    #[test]
    fn the_first_canonical_key_wins_and_a_list_gives_its_first() {
        let winner = |block: &str| yaml(block).canonicals().next().map(|(key, value)| format!("{key} {value}"));
        let all = "u-syndication: [h, i]\nsyndication:\n- g\n- x\npost_uri: f\noriginal_url: e\ncanonical_url: d\n\
            canonicalURL: c\ncanonicalUrl: b\ncanonical: a\n";
        let mut left = all.to_owned();
        for (key, value) in CANONICAL_KEYS.iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
            assert_eq!(winner(&left), Some(format!("{key} {value}")));
            left = left.replace(&format!("\n{key}:"), "\nother:").replace(&format!("^{key}:"), "other:");
            if left.starts_with(&format!("{key}:")) {
                left = left.replacen(key, "other", 1);
            }
        }
        assert_eq!(winner(&left), None);
        assert_eq!(winner("CanonicalUrl: a\n"), Some("canonicalUrl a".into()), "Hugo does not mind the case");
        assert_eq!(winner("params:\n  canonicalURL: a\n"), Some("canonicalURL a".into()), "nor where it stands");
        assert_eq!(winner("canonical: \"\"\nsyndication: []\n"), None);
    }

    #[test]
    fn tags_come_as_a_list_or_alone_or_not_at_all() {
        assert_eq!(yaml("tags: [\"a\",\"Social Media\"]\n").tags.as_written(), ["a", "Social Media"]);
        assert_eq!(yaml("tags:\n  - a\n  - 2024\n  -\n").tags.as_written(), ["a", "2024"]);
        assert_eq!(yaml("tags: a\n").tags.as_written(), ["a"]);
        assert_eq!(yaml("tags: 2024\n").tags.as_written(), ["2024"]);
        assert!(yaml("tags:\n").tags.is_empty());
        assert_eq!(yaml("tags: a b\n").tags.split(), ["a", "b"]);
        assert_eq!(yaml("tags: a b, c\n").tags.split(), ["a b", " c"]);
        assert_eq!(yaml("tags: [a b]\n").tags.split(), ["a b"]);
    }

    #[test]
    fn tags_with_unescaped_quotes_are_read_by_hand() {
        let read = yaml("tags: [\"say \"hi\"\",\"a\\b\", \"c\"]\ndate: 2024-01-01\n");
        assert_eq!(read.tags.as_written(), ["say \"hi\"", "a\\b", "c"]);
        assert_eq!(read.date.as_deref(), Some("2024-01-01"));
    }

    #[test]
    fn draft_is_true_only_if_it_says_so() {
        assert!(yaml("draft: true\n").draft);
        assert!(yaml("Draft: \"True\"\n").draft);
        assert!(!yaml("draft: false\n").draft);
        assert!(!yaml("draft:\n").draft);
    }

    #[test]
    fn a_word_that_was_a_truth_value_once_is_a_word() {
        let read = yaml("language: no\ntags: [y, off, On]\n");
        assert_eq!((read.language.as_deref(), read.tags.as_written().join(" ")), (Some("no"), "y off On".into()));
    }

    #[test]
    fn published_says_whether_or_when() {
        assert_eq!(yaml("published: false\n").published, Some(false));
        assert_eq!(yaml("published: true\n").published, Some(true));
        assert_eq!(yaml("published: 2024-01-02\n").published_at.as_deref(), Some("2024-01-02"));
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
        assert_eq!(broken("+++\ntitle = 'a'\ndate = \n+++\n").0, 3);
        assert_eq!(broken("{\n\"title\": \"a\",\n\"date\": }\n").0, 3);
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
        let page = "\u{feff}---\r\ndate: 2024-01-01\r\ntags:\r\n- a\r\n---\r\nbody";
        let block = find(page).unwrap().unwrap();
        assert_eq!((&page[block.end..], block.lines), ("body", 5));
        let read = block.read().unwrap();
        assert_eq!((read.date.as_deref(), read.tags.as_written()), (Some("2024-01-01"), &["a".to_owned()][..]));
        for page in
            ["\u{feff}+++\r\ndate = '2024-01-01'\r\n+++\r\nbody", "\u{feff}{\r\n\"date\": \"2024-01-01\"\r\n}\r\nbody"]
        {
            let block = find(page).unwrap().unwrap();
            assert_eq!((&page[block.end..], block.lines), ("body", 3));
            assert_eq!(block.read().unwrap().date.as_deref(), Some("2024-01-01"));
        }
    }

    #[test]
    fn a_page_without_front_matter_has_none() {
        for page in ["", "\u{feff}", "text\n---\n", "----\n", "++\n"] {
            assert_eq!(find(page), None, "{page:?}");
        }
        for bytes in [&b"---"[..], b"+++", b"{", b"\xef\xbb\xbf---"] {
            assert!(may_begin(bytes), "{bytes:?}");
        }
        assert!(!may_begin(b"# Plain") && !may_begin(b"<!doctype html>") && !may_begin(b""));
    }
}
