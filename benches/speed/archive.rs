//! An archive of leaf bundles as the first converters wrote them, the same on every machine and in every run.
//!
//! Nine of ten bundles hold one post, the tenth a thread of two to five. A post has 20 to 300 characters of made-up
//! English, every fifth a hashtag, every eighth a link; every hundredth bundle has a small picture of its own.

use everpost::domain::snowflake;
use std::fmt::Write as _;
use std::path::Path;

const WORDS: [&str; 64] = [
    "the",
    "river",
    "and",
    "a",
    "quiet",
    "morning",
    "was",
    "over",
    "the",
    "hills",
    "when",
    "we",
    "walked",
    "along",
    "this",
    "old",
    "road",
    "with",
    "our",
    "bicycles",
    "there",
    "were",
    "many",
    "people",
    "who",
    "had",
    "never",
    "seen",
    "such",
    "weather",
    "before",
    "but",
    "nobody",
    "minded",
    "because",
    "it",
    "is",
    "what",
    "they",
    "came",
    "for",
    "every",
    "year",
    "in",
    "spring",
    "my",
    "neighbour",
    "keeps",
    "bees",
    "and",
    "says",
    "that",
    "honey",
    "tastes",
    "different",
    "after",
    "rain",
    "than",
    "it",
    "does",
    "in",
    "a",
    "dry",
    "summer",
];
pub const TAGS: [&str; 12] = [
    "bees", "river", "bicycles", "weather", "spring", "honey", "rust", "archives", "clocks", "bread", "maps", "trains",
];

/// Numbers that look random and are always the same (a linear congruential generator, Knuth's constants).
pub struct Numbers(u64);

impl Numbers {
    pub fn new() -> Numbers {
        Numbers(42)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Write an archive of `bundles` bundles by `@ann@origin.example` into `folder`.
pub fn write(folder: &Path, bundles: u32) {
    let mut numbers = Numbers::new();
    // From 2018 on, one bundle every half hour.
    let start: i64 = 1_514_764_800_000;
    for n in 0..bundles {
        let mut page = String::new();
        let moment = |post: i64| start + i64::from(n) * 1_800_000 + post * 60_000 + i64::from(n % 997);
        let id = |post: i64| (moment(post) << 16) | i64::from(n % 65_536);
        let first = id(0);
        let date = snowflake::time_of(first).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
        let posts = if n % 10 == 9 { 2 + numbers.below(4) } else { 1 };
        let tag = (n % 5 == 0).then(|| TAGS[numbers.below(TAGS.len())]);
        let tags = tag.map(|tag| format!("\"{tag}\",")).unwrap_or_default();
        write!(
            page,
            "---\ntitle: \"Mastodon - {date}\"\nsubtitle: \"\"\n\
             canonical: https://origin.example/users/ann/statuses/{first}\ndescription:\n\
             image: \"/images/mastodon.png\"\n\ndate: {date}\nlastmod: {date}\nimage: \"\"\n\
             tags: [{tags}\"Social Media\"]\n\ncategories: [\"mastodon\"]\n# generated: 2025-07-21T21:15:38-07:00\n---\n\
             ![Mastodon](/images/mastodon.png)\n"
        )
        .unwrap();
        let folder = folder.join(format!("content/mastodon/{}/{}/{first}", n / 20_000, n / 200 % 100));
        std::fs::create_dir_all(&folder).unwrap();
        for post in 0..posts {
            let length = 20 + numbers.below(280);
            let mut text = sentence(&mut numbers, length);
            if let Some(tag) = tag.filter(|_| post == 0) {
                let href = format!("https://origin.example/tags/{tag}");
                write!(text, " <a href=\"{href}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>")
                    .unwrap();
            }
            if n % 8 == 0 {
                text.push_str(
                    " <a href=\"https://blog.example/a/long/path\" target=\"_blank\" rel=\"nofollow noopener\">\
                     <span class=\"invisible\">https://</span><span class=\"ellipsis\">blog.example/a/long</span>\
                     <span class=\"invisible\">/path</span></a>",
                );
            }
            let picture = if n % 100 == 50 && post == 0 {
                std::fs::write(folder.join("picture.png"), png(n)).unwrap();
                "![A square of one colour](picture.png)\n"
            } else {
                ""
            };
            let id = id(i64::try_from(post).unwrap());
            write!(
                page,
                "\n<p>{text}</p>\n\n{picture}\n\n###### [Mastodon Source 🐘](https://origin.example/@ann/{id})\n\n___\n"
            )
            .unwrap();
        }
        std::fs::write(folder.join("index.md"), page).unwrap();
    }
}

/// Made-up English of at least `length` bytes.
pub fn sentence(numbers: &mut Numbers, length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        let word = WORDS[numbers.below(WORDS.len())];
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(word);
    }
    text
}

/// A picture of 32 by 32 points in a colour of its own.
pub fn png(n: u32) -> Vec<u8> {
    let [_, r, g, b] = n.to_be_bytes();
    let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([r, g, b]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
