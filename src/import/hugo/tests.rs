//! Whole bundles through the reader: small invented documents, and what comes out of them.

use super::*;
use crate::domain::source::DateOrigin;
use crate::import::limits::Limits;
use crate::import::{Only, open};
use std::fs;

const ID: i64 = 112_215_823_989_566_555;
const FIRST: &str = "2024-04-05T00:39:47.731Z";
const HEAD: &str = "canonical: https://a.example/users/ann/statuses/112215823989566555\ndate: 2024-04-05T00:39:47Z\n";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The status id of so many seconds after the first one.
fn id(after: i64) -> i64 {
    ID + ((after * 1000) << 16)
}

/// A section with this content that links to the status.
fn section(content: &str, status: i64) -> String {
    format!("\n{content}\n\n###### [Mastodon Source 🐘](https://a.example/@ann/{status})\n\n___\n")
}

fn page(front_matter: &str, sections: &[String]) -> String {
    format!("---\n{front_matter}---\n![Mastodon](/images/mastodon.png)\n{}", sections.concat())
}

/// Everything that a file of that name and content gives, with the folder cut from the places.
fn read_as(name: &str, content: &[u8]) -> Vec<Item> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let mut reader = open(dir.path(), Only::Everything, &Limits::default(), time("2026-11-23T00:00:00Z")).unwrap();
    let prefix = format!("{}/", dir.path().display());
    std::iter::from_fn(|| reader.next())
        .map(|item| match item {
            Ok(post) => Ok(SourcePost { at: post.at.replace(&prefix, ""), ..post }),
            Err(skipped) => Err(Skipped { at: skipped.at.replace(&prefix, ""), ..skipped }),
        })
        .collect()
}

fn read(content: &str) -> Vec<Item> {
    read_as("t/index.md", content.as_bytes())
}

/// The posts of a page that must have nothing wrong with it.
fn posts(content: &str) -> Vec<SourcePost> {
    read(content).into_iter().map(Result::unwrap).collect()
}

/// The one thing wrong with a page, as `place reason`.
fn wrong(content: &str) -> String {
    let skipped: Vec<_> = read(content).into_iter().filter_map(Result::err).collect();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    format!("{} {}", skipped[0].at, skipped[0].reason)
}

#[test]
fn a_page_is_a_thread_of_posts() {
    let text =
        page(HEAD, &[section("<p>it&#39;s a</p>", ID), section("<p>b</p>", id(60)), section("<p>c</p>", id(90))]);
    let posts = posts(&text);
    let [a, b, c] = posts.as_slice() else { panic!("{posts:?}") };
    assert_eq!(
        (a.html.as_str(), a.published, a.date_origin),
        ("<p>it&#39;s a</p>", time(FIRST), DateOrigin::FrontMatter)
    );
    assert_eq!((b.published - a.published, b.date_origin), (Duration::seconds(60), DateOrigin::StatusId));
    assert_eq!((a.at.as_str(), b.at.as_str()), ("t/index.md:7", "t/index.md:13"));
    assert_eq!([&a.reply_to, &b.reply_to, &c.reply_to], [&None, &Some(a.key.clone()), &Some(b.key.clone())]);
    assert_eq!(a.key.0, format!("mastodon:a.example:{ID}"));
    assert_eq!(a.author.as_ref().unwrap().to_string(), "@ann@a.example");
    assert_eq!(a.canonical_url, Some(format!("https://a.example/@ann/{ID}")));
    assert_eq!((a.audience, a.edited, a.media.len()), (SourceAudience::Public, None, 0));
    let end = text.find("\n\n___").unwrap();
    assert_eq!(a.bytes, text.as_bytes()[..end], "the front matter goes with the first post");
    let b_bytes = format!("<p>b</p>\n\n###### [Mastodon Source 🐘](https://a.example/@ann/{})", id(60));
    assert_eq!(b.bytes, b_bytes.as_bytes());
}

#[test]
fn the_first_object_id_is_stated_and_the_others_are_derived() {
    let ids = |head: &str, second: &str| {
        let second = format!("<p>b</p>\n# [Mastodon Source]({second})\n");
        let posts = posts(&page(head, &[section("<p>a</p>", ID), second]));
        posts.into_iter().map(|post| (post.object_id, post.object_id_stated)).collect::<Vec<_>>()
    };
    let stated = (Some(format!("https://a.example/users/ann/statuses/{ID}")), true);
    let derived = (Some("https://a.example/users/ann/statuses/7".to_owned()), false);
    assert_eq!(ids(HEAD, "https://a.example/@ann/7"), [stated.clone(), derived]);
    assert_eq!(ids(HEAD, "https://a.example/@bob/7"), [stated.clone(), (None, false)]);
    assert_eq!(ids(HEAD, "https://b.example/@ann/7"), [stated, (None, false)]);
    let numeric = HEAD.replace("users/ann", "ap/users/42");
    let stated = (Some(format!("https://a.example/ap/users/42/statuses/{ID}")), true);
    assert_eq!(ids(&numeric, "https://a.example/@ann/7"), [stated, (None, false)]);
    let blog = HEAD.replace("a.example", "blog.example").replace("users/ann/statuses", "posts");
    assert_eq!(ids(&blog, "https://a.example/@ann/7"), [(None, false), (None, false)]);
    let object = HEAD.replace("users/ann/statuses", "objects");
    let unstated = (Some(format!("https://a.example/objects/{ID}")), false);
    assert_eq!(ids(&object, "https://a.example/@ann/7"), [unstated, (None, false)]);
}

#[test]
fn the_date_of_the_first_post_is_only_made_finer() {
    let published = |date: &str| {
        let head = HEAD.replace("2024-04-05T00:39:47Z", date);
        let post = posts(&page(&head, &[section("<p>a</p>", ID)])).remove(0);
        (post.published, post.date_origin)
    };
    assert_eq!(published("\"2024-04-05T02:39:47+02:00\""), (time(FIRST), DateOrigin::FrontMatter));
    let other = "2024-04-05T00:39:46Z";
    assert_eq!(published(other), (time(other), DateOrigin::FrontMatter));
    assert_eq!(published("2019-04-05"), (time("2019-04-05T00:00:00Z"), DateOrigin::FrontMatter));
    assert_eq!(published("soon"), (time(FIRST), DateOrigin::StatusId));
}

#[test]
fn a_thread_that_goes_on_for_days_keeps_the_dates_of_its_ids() {
    let days = 9 * 86_400;
    let text = page(HEAD, &[section("<p>a</p>", ID), section("<p>b</p>", id(days))]);
    let told = posts(&text);
    assert_eq!((told[1].published, told[1].date_origin), (time("2024-04-14T00:39:47.731Z"), DateOrigin::StatusId));
}

#[test]
fn the_note_of_when_the_converter_ran_is_no_part_of_a_post() {
    let run =
        |at: &str| posts(&page(&format!("{HEAD}# generated: {at}\n"), &[section("<p>a</p>", ID)]))[0].bytes.clone();
    assert_eq!(run("2025-07-21"), run("2026-01-02"));
}

#[test]
fn ids_that_cannot_be_trusted_give_estimated_dates() {
    let sections = [section("<p>a</p>", ID), section("<p>b</p>", 4711), section("<p>c</p>", id(60))];
    let told = |head: &str| {
        let posts = posts(&page(head, &sections));
        posts.iter().map(|post| (post.published, post.date_origin)).skip(1).collect::<Vec<_>>()
    };
    let estimated = |text: &str| (time(text), DateOrigin::Estimated);
    let by_id = (time("2024-04-05T00:40:47.731Z"), DateOrigin::StatusId);
    assert_eq!(told(HEAD), [estimated("2024-04-05T00:39:48Z"), by_id]);
    let contradicted = HEAD.replace("date: 2024-04-05T00:39:47Z", "date: 2019-03-01T12:00:00Z");
    assert_eq!(told(&contradicted), [estimated("2019-03-01T12:00:01Z"), estimated("2019-03-01T12:00:02Z")]);
}

#[test]
fn without_a_date_the_first_trusted_id_tells_it() {
    let head = HEAD.replace("date: 2024-04-05T00:39:47Z", "date:");
    let posts = posts(&page(&head, &[section("<p>a</p>", 4711), section("<p>b</p>", ID)]));
    assert_eq!((posts[0].published, posts[0].date_origin), (time(FIRST) - Duration::seconds(1), DateOrigin::Estimated));
    assert_eq!((posts[1].published, posts[1].date_origin), (time(FIRST), DateOrigin::StatusId));
    let none = wrong(&page(&head, &[section("<p>a</p>", 4711)]));
    assert!(none.starts_with("t/index.md its front matter has no date; no status id"), "{none}");
}

#[test]
fn dates_that_cannot_be_are_skipped() {
    for date in ["1969-12-31T23:59:59Z", "2026-11-24T00:00:01Z", "-0001-01-01T00:00:00Z"] {
        let head = HEAD.replace("2024-04-05T00:39:47Z", date);
        let reason = wrong(&page(&head, &[section("<p>a</p>", 4711)]));
        assert!(reason.contains("date"), "{reason}");
    }
}

#[test]
fn a_page_that_was_changed_later_has_an_edited_first_post() {
    let edited = |lastmod: &str| {
        let head = format!("{HEAD}lastmod: {lastmod}\n");
        let posts = posts(&page(&head, &[section("<p>a</p>", ID), section("<p>b</p>", id(1))]));
        assert_eq!(posts[1].edited, None);
        posts[0].edited
    };
    assert_eq!(edited("2024-04-06"), Some(time("2024-04-06T00:00:00Z")));
    for lastmod in ["2024-04-05T00:39:47Z", "2024-04-01", "9000-01-01", "\"\"", "soon"] {
        assert_eq!(edited(lastmod), None, "{lastmod}");
    }
}

#[test]
fn media_are_named_by_their_path_below_the_root() {
    let content = "<p>a<img src='https://m.example/i.png' alt='in'></p>\n\n![x [y] \"z\"\nw](f.png)\n![](../up/f.png)\n\
        <video><source src=\"/m/f.mp4\" type=\"video/mp4\" /></video>\n![q](data:image/png;base64,xx)";
    let post = posts(&page(HEAD, &[section(content, ID)])).remove(0);
    assert_eq!(post.html, "<p>a</p>");
    let told: Vec<_> = post.media.iter().map(|m| (m.kind.name(), m.reference.as_str(), m.alt.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("image", "https://m.example/i.png", Some("in")),
            ("image", "t/f.png", Some("x [y] \"z\"\nw")),
            ("video", "t/f.mp4", None)
        ]
    );
}

#[test]
fn media_can_be_read_through_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("index.md"), page(HEAD, &[section("![a](f.png)", ID)])).unwrap();
    fs::write(dir.path().join("f.png"), "bytes").unwrap();
    let mut reader =
        open(&dir.path().join("index.md"), Only::Format(Format::HugoBundle), &Limits::default(), Utc::now()).unwrap();
    let post = reader.next().unwrap().unwrap();
    let mut bytes = Vec::new();
    reader.media(&post.media[0].reference).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!((bytes.as_slice(), reader.next()), (b"bytes".as_slice(), None));
}

#[test]
fn tags_go_to_the_posts_that_show_them() {
    let head = format!("{HEAD}tags: [\"#rust\", \"Hidden\",\"écrire\",\"Social Media\"]\n");
    let a = "<p><a class=\"mention hashtag\">#<span>Rust</span></a></p>";
    let b = "<p>#RUST #Écrire <a class=\"hashtag\">#New</a> #plain</p>";
    let posts = posts(&page(&head, &[section(a, ID), section(b, id(1))]));
    assert_eq!(posts[0].tags, ["Rust", "Hidden"]);
    assert_eq!(posts[1].tags, ["New", "RUST", "Écrire"]);
}

#[test]
fn a_draft_is_skipped() {
    assert_eq!(wrong(&page(&format!("{HEAD}draft: true\n"), &[section("a", ID)])), "t/index.md is a draft");
}

#[test]
fn carriage_returns_and_a_byte_order_mark_change_nothing_but_the_bytes() {
    let text =
        page(&format!("{HEAD}tags:\n- b\n"), &[section("<p>a</p>\n![x\ny](f.png)", ID), section("<p>#b</p>", id(1))]);
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let strip = |post: SourcePost| SourcePost { bytes: vec![], ..post };
    let (plain, other) = (posts(&text), posts(&windows));
    assert!(windows.as_bytes().starts_with(&other[0].bytes));
    assert!(other[1].bytes.starts_with(b"<p>#b</p>\r\n\r\n######"));
    assert_eq!(plain.into_iter().map(strip).collect::<Vec<_>>(), other.into_iter().map(strip).collect::<Vec<_>>());
}

#[test]
fn a_page_that_is_not_utf8_says_where() {
    let mut bytes = page(HEAD, &[section("<p>caf?</p>", ID)]).into_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xe9;
    let items = read_as("t/index.md", &bytes);
    let [Err(skipped)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!(skipped.at, "t/index.md:7");
    assert_eq!(skipped.reason, format!("is not UTF-8 at byte {at}. Convert it to UTF-8 and import it again."));
    assert!(read_as("t/index.md", b"caf\xe9").is_empty(), "other files are left alone");
}

#[test]
fn front_matter_that_cannot_be_read_names_its_line() {
    let reason = wrong(&page("title: a\nnote: b: c\n", &[section("a", ID)]));
    assert!(reason.starts_with("t/index.md:3 its front matter cannot be read: "), "{reason}");
    let reason = wrong(&page("canonical: not a link\n", &[section("a", ID)]));
    assert_eq!(reason, "t/index.md:1 its canonical is no web address: not a link");
    assert!(read("---\nnote: b: c\n---\nno posts\n").is_empty());
}

#[test]
fn other_files_are_left_alone() {
    let ours = page(HEAD, &[section("a", ID)]);
    assert!(read_as("t/index.txt", ours.as_bytes()).is_empty());
    assert_eq!(read_as("t/Post.MARKDOWN", ours.as_bytes()).len(), 1);
    assert!(read("# Plain\n").is_empty());
    assert!(read(&page("date: 2024-04-05T00:00:00Z\n", &[section("a", ID)])).is_empty(), "no canonical");
    assert!(read(&section("a", ID)).is_empty(), "no front matter");
}

#[test]
fn a_bad_section_is_skipped_and_the_thread_goes_on() {
    let bad = "\n<p>b</p>\n\n###### [Mastodon Source 🐘](nowhere)\n";
    let items = read(&page(
        HEAD,
        &[section("a", ID), bad.into(), section("<p> </p>", 5), section("d", id(9)), "\nmore\n".into()],
    ));
    let [Ok(a), Err(b), Err(c), Ok(d), Err(rest)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((b.at.as_str(), b.reason.as_str()), ("t/index.md:13", "its source line does not link to a post"));
    assert_eq!((c.at.as_str(), c.reason.as_str()), ("t/index.md:17", "is empty"));
    assert_eq!(d.reply_to.as_ref(), Some(&a.key));
    assert!(rest.at == "t/index.md:29" && rest.reason.starts_with("is text without a source line"), "{rest:?}");
}

#[test]
fn a_post_that_is_too_long_is_skipped() {
    let long = "<div>".repeat(MAX_POST / 5 + 1);
    let reason = wrong(&page(HEAD, &[section(&long, ID), section("<p>b</p>", id(1))]));
    assert_eq!(reason, "t/index.md:7 is longer than 128 KiB, which no post is");
}

#[test]
fn a_post_that_comes_twice_does_not_answer_itself() {
    let posts = posts(&page(HEAD, &[section("a", ID), section("b", id(1)), section("b", id(1)), section("c", id(2))]));
    assert_eq!(posts[1].key, posts[2].key);
    assert_eq!(posts[2].reply_to, Some(posts[0].key.clone()));
    assert_eq!(posts[3].reply_to, Some(posts[1].key.clone()));
}

#[test]
fn a_name_with_a_line_end_stays_on_one_line() {
    let items = read_as("t\nu/index.md", page(HEAD, &[section("a", ID)]).as_bytes());
    let [Ok(post)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!(post.at, "t\\nu/index.md:7");
}
