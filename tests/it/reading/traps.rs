//! What goes wrong in real archives, in every layout in which it can.

use super::{ID, Site, id, read, time};
use everpost::domain::source::{Format, SourcePost};
use everpost::import::Only;
use everpost::import::limits::Limits;
use std::os::unix::fs::symlink;

/// A small page of each layout: where it lies, what it is, and its text with this body.
fn layouts(body: &str) -> [(&'static str, Format, String); 4] {
    layouts_with("", body)
}

fn layouts_with(more: &str, body: &str) -> [(&'static str, Format, String); 4] {
    let date = "date: 2024-04-05T00:39:47Z\n";
    let source = format!("[Mastodon Source 🐘](https://a.example/@ann/{ID})");
    let object = format!("https://a.example/users/ann/statuses/{ID}");
    [
        (
            "b/index.md",
            Format::HugoBundle,
            format!("---\n{date}{more}canonical: {object}\n---\n{body}\n\n###### {source}\n\n___\n"),
        ),
        (
            "d/2024-04-05.md",
            Format::HugoDay,
            format!("---\n{date}{more}---\n\n# Toots from 2024-04-05\n\n{body}\n\n##### {source}\n\n---\n"),
        ),
        ("s/1.md", Format::HugoStatus, format!("---\n{date}{more}post_uri: {object}\npost_id: {ID}\n---\n{body}\n")),
        ("p/one.md", Format::HugoPage, format!("---\n{date}{more}canonical_url: {object}\n---\n{body}\n")),
    ]
}

fn check(path: &str, page: &str, test: impl Fn(SourcePost)) {
    test(Site::of(path, page).post());
}

#[test]
fn carriage_returns_and_a_byte_order_mark_change_nothing() {
    for (path, format, page) in layouts("Two “lines”\nand\n\nmore\n\n![x](x.png)") {
        let windows = format!("\u{feff}{}", page.replace('\n', "\r\n"));
        let strip = |post: SourcePost| SourcePost { bytes: vec![], ..post };
        let (plain, other) = (strip(Site::of(path, page).post()), strip(Site::of(path, windows).post()));
        assert_eq!((plain.format, &plain), (format, &other));
        assert!(plain.html.contains("Two “lines”") && !plain.html.contains('\r'), "{plain:?}");
    }
}

#[test]
fn what_is_not_utf8_says_where() {
    for (path, format, page) in layouts("caf\u{e9}") {
        let at = page.find('é').unwrap();
        let mut bytes = page.into_bytes();
        bytes.splice(at..at + 2, [0xe9]);
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        let told = format!("{path}:{line} is not UTF-8 at byte {at}. Convert it to UTF-8 and import it again.");
        assert_eq!(Site::of(path, bytes).wrong(), told, "{format:?}");
    }
}

#[test]
fn curly_quotes_stay_as_they_are() {
    for (path, _, page) in layouts("“a” ‘b’ „c“ «d» ’n’") {
        check(path, &page, |post| assert!(post.html.contains("“a” ‘b’ „c“ «d» ’n’"), "{post:?}"));
    }
}

#[test]
fn brackets_and_quotes_in_an_alternative_text_do_no_harm() {
    for (path, format, page) in layouts("a\n\n![See [1] and (2), “red” \"box\"](x.png)") {
        check(path, &page, |post| {
            assert_eq!(post.media.len(), 1, "{format:?}");
            assert_eq!(post.media[0].alt.as_deref(), Some("See [1] and (2), “red” \"box\""), "{format:?}");
            assert!(!post.html.contains("See") && !post.html.contains("x.png"), "{post:?}");
        });
    }
}

#[test]
fn three_dashes_inside_of_a_text_end_nothing() {
    for (path, format, page) in layouts("one\n\n---\n\ntwo\n\n___\n\nthree") {
        let posts = Site::of(path, page).posts();
        assert_eq!(posts.len(), 1, "{format:?}");
        for word in ["one", "two", "three"] {
            assert!(posts[0].html.contains(word), "{:?}", posts[0]);
        }
    }
}

#[test]
fn drafts_and_what_is_not_for_everyone_stay_out() {
    for (more, reason) in [
        ("draft: true\n", "is a draft"),
        ("published: false\n", "is not published: its front matter says `published: false`"),
        ("private: true\n", "is not for everyone"),
        ("password: hunter2\n", "is not for everyone"),
        ("headless: true\n", "is not for everyone"),
    ] {
        for (path, format, page) in layouts_with(more, "a") {
            let told = Site::of(path, page).wrong();
            assert!(told.starts_with(&format!("{path} {reason}")), "{format:?} {told}");
        }
    }
    let draft = Site::of("_drafts/2018-02-03-a.md", "---\ncanonical: https://blog.example/h\n---\na\n");
    assert_eq!(draft.wrong(), "_drafts/2018-02-03-a.md is a draft: it lies in the folder _drafts");
}

#[test]
fn future_and_expired_files_stay_out_until_their_time() {
    for (path, format, page) in layouts_with("publishDate: 2026-12-01\n", "a") {
        assert_eq!(
            Site::of(path, page).wrong(),
            format!("{path} is not to be published before 2026-12-01 00:00 UTC"),
            "{format:?}"
        );
    }
    for (path, format, page) in layouts_with("expiryDate: 2025-12-01\n", "a") {
        assert_eq!(
            Site::of(path, page).wrong(),
            format!("{path} has expired: it was to be shown until 2025-12-01 00:00 UTC"),
            "{format:?}"
        );
    }
    for more in ["publishDate: 2026-11-01\n", "expiryDate: 2026-12-01\n", "publishDate: soon\n"] {
        for (path, _, page) in layouts_with(more, "a") {
            check(path, &page, |post| assert_eq!(post.published.timestamp(), time("2024-04-05T00:39:47Z").timestamp()));
        }
    }
    let tomorrow = "---\ndate: 2026-11-25\ncanonical: https://blog.example/h\n---\na\n";
    assert_eq!(Site::of("a.md", tomorrow).wrong(), "a.md:5 is not to be published before 2026-11-25 00:00 UTC");
}

#[test]
fn tags_that_are_not_escaped_are_read() {
    for (path, format, page) in layouts_with("tags: [\"say \"hi\"\", \"C\\d\", \"#two words\"]\n", "a #hi") {
        let post = Site::of(path, page).post();
        match format {
            Format::HugoBundle => assert_eq!(post.tags, ["say \"hi\"", "C\\d", "two words"]),
            Format::HugoDay => assert!(post.tags.is_empty(), "the tags of a day are those of its posts"),
            _ => assert_eq!(post.tags, ["sayhi", "Cd", "twowords"]),
        }
    }
}

#[test]
fn an_empty_body_is_skipped_and_a_picture_alone_is_not() {
    for (path, format, page) in layouts("") {
        assert!(Site::of(path, page).wrong().ends_with(" is empty"), "{format:?}");
    }
    for (path, format, page) in layouts("![A picture](x.png)") {
        check(path, &page, |post| assert_eq!(post.media.len(), 1, "{format:?}"));
    }
}

#[test]
fn a_thread_that_is_cut_across_files_finds_itself_by_its_keys() {
    let status = |at: i64, more: &str| {
        let uri = format!("https://a.example/users/ann/statuses/{at}");
        format!("---\ndate: 2024-04-05 01:00:00 +0000 UTC\n{more}post_uri: {uri}\npost_id: {at}\n---\na\n")
    };
    let answer = format!("in_reply_to: {ID}\n");
    let posts = Site::of("a/2.md", status(id(60), &answer)).with("b/1.md", status(ID, "")).posts();
    assert_eq!(posts[0].reply_to.as_ref(), Some(&posts[1].key), "the answer may come first");
    let source = |at: i64, level: &str| format!("{level} [Mastodon Source 🐘](https://a.example/@ann/{at})\n");
    let first = format!("---\ndate: 2024-04-05\n---\n# Toots from 2024-04-05\n\n## a\n\na\n\n{}", source(ID, "#####"));
    let second = format!(
        "---\ndate: 2024-04-06\n---\nb\n\n{}\nc\n\n{}",
        source(id(90_000), "#####"),
        source(id(90_060), "#####")
    );
    let posts = Site::of("2024/2024-04-05.md", first).with("2024/2024-04-06.md", second).posts();
    let answers: Vec<_> = posts.iter().map(|post| post.reply_to.clone()).collect();
    assert_eq!(answers, [None, None, Some(posts[1].key.clone())], "what nothing joins begins a thread of its own");
}

#[test]
fn a_link_that_leaves_the_tree_is_not_followed() {
    let outside = layouts("a")
        .into_iter()
        .fold(Site::new(), |site, (path, _, page)| site.with(path, page))
        .with("x.png", "secret");
    let site = Site::of("p/one.md", &layouts("![x](x.png)")[3].2);
    for (path, _, _) in layouts("a").iter().take(3) {
        let link = site.path().join(path);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(outside.path().join(path), link).unwrap();
    }
    symlink(outside.path().join("x.png"), site.path().join("p/x.png")).unwrap();
    let read = site.read();
    let skipped: Vec<_> = read.iter().filter_map(|item| item.as_ref().err()).collect();
    assert_eq!(skipped.len(), 4, "{read:?}");
    assert!(
        skipped.iter().all(|item| item.reason.starts_with("is a link that leads out of the archive")),
        "{skipped:?}"
    );
    let reader = everpost::import::open(site.path(), Only::Everything, &Limits::default(), time(super::NOW)).unwrap();
    let refusal = reader.media("p/x.png").err().unwrap().to_string();
    assert_eq!(refusal, "p/x.png: is a link that leads out of the archive");
}

#[test]
fn a_path_with_a_line_end_stays_on_one_line() {
    for (path, format, page) in layouts("a\n\n![x](gone.png)\n\n{{< chart >}}") {
        let post = Site::of(&format!("new\nline/{path}"), page).post();
        assert!(post.at.starts_with("new\\nline/"), "{format:?} {}", post.at);
        assert!(post.remarks.iter().all(|remark| remark.at.starts_with("new\\nline/")), "{:?}", post.remarks);
    }
}

#[test]
fn layouts_mix_in_one_tree_and_one_of_them_can_be_asked_for() {
    let site = layouts("a").into_iter().fold(Site::new(), |site, (path, _, page)| site.with(path, page));
    let site = site
        .with("README.md", "# Plain\n")
        .with("about.md", "---\ntitle: About\n---\nNothing\n")
        .with("x.html", "<p>x</p>");
    let posts = site.posts();
    let formats: Vec<_> = posts.iter().map(|post| post.format).collect();
    assert_eq!(formats, [Format::HugoBundle, Format::HugoDay, Format::HugoPage, Format::HugoStatus]);
    assert!(posts.iter().all(|post| post.key == posts[0].key), "the same post in each of them");
    for format in formats {
        let read = site.read_only(Some(format));
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].as_ref().unwrap().format, format);
    }
    for (path, format, _) in layouts("a") {
        let alone = read(&site.path().join(path), None);
        assert_eq!(alone[0].as_ref().unwrap().format, format, "one file alone is read in the same way");
    }
}

#[test]
fn front_matter_that_cannot_be_read_is_told_where_a_page_is_ours() {
    for (path, format, page) in layouts_with("note: b: c\n", "a") {
        let told = Site::of(path, page).wrong();
        assert!(told.starts_with(&format!("{path}:3 its front matter cannot be read: ")), "{format:?} {told}");
    }
    let toml = Site::of("a.md", "+++\ncanonical = \"https://blog.example/\"\ndate = \n+++\na\n").wrong();
    assert!(toml.starts_with("a.md:3 its front matter cannot be read: "), "{toml}");
    let json = Site::of("a.md", "{\n\"canonical\": \"https://blog.example/\",\n\"date\": }\n\na\n").wrong();
    assert!(json.starts_with("a.md:3 its front matter cannot be read: "), "{json}");
    let endless = Site::of("a.md", "---\ncanonical: https://blog.example/\n\na\n").wrong();
    assert!(endless.starts_with("a.md:1 its front matter never ends"), "{endless}");
    for other in ["---\nnote: b: c\n---\na\n", "---\n\nA text about canonical links.\n", "{{< toc >}}\n"] {
        assert!(Site::of("a.md", other).read().is_empty(), "{other}");
    }
}

#[test]
fn fifty_thousand_files_in_one_folder_are_read_one_by_one() {
    let site = Site::new();
    let pages: Vec<String> = layouts("Hello").into_iter().map(|(_, _, page)| page).collect();
    for number in 0..50_000_i64 {
        let path = site.path().join(format!("{number:05}.md"));
        match number % 100 {
            0 => std::fs::write(
                path,
                pages[(number / 100 % 4) as usize].replace(&ID.to_string(), &id(number).to_string()),
            )
            .unwrap(),
            1..50 => {
                std::fs::write(path, "---\ntitle: Another page\ndate: 2024-01-01\n---\nIt says nothing about a post.\n")
                    .unwrap()
            }
            _ => std::fs::write(path, "# Notes\n\nNo front matter at all.\n").unwrap(),
        }
    }
    let posts = site.posts();
    assert_eq!(posts.len(), 500);
    assert!(posts.iter().is_sorted_by_key(|post| &post.at), "in the order of their names");
}

#[test]
fn a_page_that_is_nested_without_end_neither_hangs_nor_crashes() {
    // Each of these took minutes, or the stack, where time grew with the square of it.
    for piece in [
        "<div>",
        "<b><p>",
        "> ",
        "1. ",
        "* a\n",
        "- ",
        "[",
        "![",
        "*a **",
        "`",
        "<a href=\"/x\">",
        "{{< a >}}",
        "{{< a ",
        "{% raw %}",
    ] {
        let body = piece.repeat(60_000 / piece.len());
        for (path, page) in [("p/one.md", &body), ("_posts/2018-02-03-one.md", &body), ("p/one.html", &body)] {
            let page = format!("---\ndate: 2018-02-03\ncanonical_url: https://blog.example/h\n---\na\n\n{page}\n");
            for item in Site::of(path, page).read().iter().flatten() {
                everpost::text::SafeHtml::sanitise(&item.html);
            }
        }
    }
}
