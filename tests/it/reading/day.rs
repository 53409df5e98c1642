//! Day files: a page for each day, its threads newest first, the posts of a thread oldest first.

use super::{ID, Site, id, media, remarks, time};
use everpost::domain::source::{DateOrigin, Format, SourceAudience};
use everpost::import::Only;
use everpost::import::limits::Limits;

const PATH: &str = "content/mastodon/2024/2024-04-05.md";
const HEAD: &str = "---\ntitle: \"Mastodon - 2024-04-05\"\ndescription: \"\"\nimage: \"/images/mastodon.png\"\n\
    date: 2024-04-05T00:00:00Z\nlastmod: 2024-04-05T00:00:00Z\ntags: [\"Social Media\"]\ncategories: [\"mastodon\"]\n\
    # generated: 2026-01-02T03:04:05Z\n---\n\n# Toots from 2024-04-05\n\n";

/// A day of threads, each the posts with their ids; the first has a heading.
fn day(threads: &[&[(&str, i64)]]) -> String {
    let mut page = HEAD.to_owned();
    for thread in threads {
        for (at, (text, id)) in thread.iter().enumerate() {
            let first = text.replace('\n', " ");
            match at {
                0 => page.push_str(&format!("## {first}\n\n")),
                _ => page.push('\n'),
            }
            page.push_str(&format!("{text}\n\n##### [Mastodon Source 🐘](https://a.example/@ann/{id})\n"));
        }
        page.push_str("\n---\n\n");
    }
    page
}

/// The one post of a day with this section in it, heading and all.
fn one(section: &str) -> Site {
    Site::of(PATH, format!("{HEAD}{section}\n\n##### [Mastodon Source 🐘](https://a.example/@ann/{ID})\n\n---\n\n"))
}

#[test]
fn a_day_is_its_threads_each_in_the_order_of_time() {
    let page = day(&[&[("c", id(900)), ("d", id(960)), ("e", id(990))], &[("a", ID), ("b", id(60))]]);
    let posts = Site::of(PATH, page).posts();
    let html: Vec<&str> = posts.iter().map(|post| post.html.as_str()).collect();
    assert_eq!(html, ["<p>c</p>", "<p>d</p>", "<p>e</p>", "<p>a</p>", "<p>b</p>"]);
    let [c, d, e, a, b] = posts.as_slice() else { panic!("{posts:?}") };
    let answers = [&c.reply_to, &d.reply_to, &e.reply_to, &a.reply_to, &b.reply_to];
    assert_eq!(answers, [&None, &Some(c.key.clone()), &Some(d.key.clone()), &None, &Some(a.key.clone())]);
    assert_eq!((a.published, a.date_origin), (time("2024-04-05T00:39:47.731Z"), DateOrigin::StatusId));
    assert_eq!((a.key.0.as_str(), a.format), (format!("mastodon:a.example:{ID}").as_str(), Format::HugoDay));
    assert_eq!(a.author.as_ref().unwrap().to_string(), "@ann@a.example");
    assert_eq!(a.canonical_url, Some(format!("https://a.example/@ann/{ID}")));
    assert_eq!(
        (&a.object_id, a.object_id_stated),
        (&Some(format!("https://a.example/users/ann/statuses/{ID}")), false)
    );
    assert_eq!((a.audience, &a.edited, &a.warning, a.sensitive), (SourceAudience::Public, &None, &None, false));
    assert_eq!(c.at, "content/mastodon/2024/2024-04-05.md:12");
    let bytes = String::from_utf8(b.bytes.clone()).unwrap();
    assert_eq!(bytes, format!("b\n\n##### [Mastodon Source 🐘](https://a.example/@ann/{})", id(60)));
}

#[test]
fn the_heading_that_repeats_the_first_line_is_no_part_of_the_post() {
    let long =
        "A sentence that is so long that the converter cuts its heading somewhere in the middle of a word, as it does.";
    for (heading, text) in [
        ("Short".to_owned(), "Short"),
        ("One.  Two.".to_owned(), "One.\n\nTwo."),
        (format!("{}...", &long[..97]), long),
        ("Wait...".to_owned(), "Wait..."),
        ("<https://b.example/x>".to_owned(), "<https://b.example/x>"),
    ] {
        let post = one(&format!("## {heading}\n\n{text}")).post();
        assert_eq!(post.html.matches("<p>").count(), text.split("\n\n").count(), "{}", post.html);
        assert!(remarks(&post).is_empty(), "{heading}");
    }
}

#[test]
fn a_heading_that_says_something_else_is_left_out_and_told() {
    let post = one("## Something else\n\nThe text").post();
    assert_eq!(post.html, "<p>The text</p>");
    let note = "content/mastodon/2024/2024-04-05.md:12 its heading is not the beginning of its text and was left out: Something else";
    assert_eq!(remarks(&post), [note]);
    let reply = "##### [Mastodon Source 🐘](https://a.example/@ann/9)\n\n## is a sign of mine\n\nyes";
    let posts = one(&format!("## a\n\na\n\n{reply}")).posts();
    assert_eq!(posts[1].html, "<p>## is a sign of mine</p><p>yes</p>", "no thread begins there");
    assert_eq!(posts[1].reply_to, Some(posts[0].key.clone()));
}

#[test]
fn a_heading_that_was_cut_inside_of_a_character_does_no_harm() {
    let text = format!("{}über alles", "x".repeat(96));
    let mut page = HEAD.as_bytes().to_vec();
    page.extend(b"## ");
    page.extend(&text.as_bytes()[..97]);
    page.extend(format!("...\n\n{text}\n\n##### [Mastodon Source 🐘](https://a.example/@ann/{ID})\n").as_bytes());
    assert!(std::str::from_utf8(&page).is_err());
    let post = Site::of(PATH, page).post();
    assert_eq!((post.html, post.remarks.len()), (format!("<p>{text}</p>"), 0));
}

#[test]
fn its_text_is_plain_but_for_the_two_links_that_the_converter_writes() {
    let check = |text: &str, html: &str| {
        let post = one(&format!("## {}\n\n{text}", text.replace('\n', " "))).post();
        assert_eq!(post.html, html, "{text}");
    };
    check(
        "see <https://b.example/x?a=1&b=2>.",
        "<p>see <a href=\"https://b.example/x?a=1&amp;b=2\">https://b.example/x?a=1&amp;b=2</a>.</p>",
    );
    check("<https://b.example/x and more>", "<p><a href=\"https://b.example/x\">https://b.example/x</a> and more</p>");
    check(
        "hi [@bob](https://b.example/@bob)!",
        "<p>hi <a href=\"https://b.example/@bob\" class=\"u-url mention\">@bob</a>!</p>",
    );
    check("snake_case *stars* **two** `code` 1. a", "<p>snake_case *stars* **two** `code` 1. a</p>");
    check(
        "a < b > c <b>d</b> & \"e\" “f” [g](h) [i]",
        "<p>a &lt; b &gt; c &lt;b&gt;d&lt;/b&gt; &amp; &quot;e&quot; “f” [g](h) [i]</p>",
    );
    check("one\n\n---\n\ntwo", "<p>one</p><p>---</p><p>two</p>");
    check("[@bob](javascript:x) <javascript:y>", "<p>[@bob](javascript:x) &lt;javascript:y&gt;</p>");
}

#[test]
fn pictures_and_films_are_found_under_the_static_folder() {
    let section = "## Look\n\nLook\n\n![A [red] “box” \"here\"](/mastodon/media/a.png)\n![attachment](/mastodon/media/b.png)\n\
        [A film](/mastodon/media/c.mp4)\n[d.mp3](/mastodon/media/d.mp3)\n[Attachment: video/mp4](/media_attachments/files/e.mp4)";
    let mut site = one(section);
    for file in ["a.png", "b.png", "c.mp4", "d.mp3"] {
        site = site.with(&format!("static/mastodon/media/{file}"), file);
    }
    let post = site.post();
    assert_eq!(post.html, "<p>Look</p>");
    let found = [
        "image static/mastodon/media/a.png A [red] “box” \"here\"",
        "image static/mastodon/media/b.png -",
        "video static/mastodon/media/c.mp4 A film",
        "audio static/mastodon/media/d.mp3 -",
        "video /media_attachments/files/e.mp4 -",
    ];
    assert_eq!(media(&post), found);
}

#[test]
fn media_beside_the_years_are_found_too_and_others_are_told_to_be_outside() {
    let section = "## Look\n\nLook\n\n![a](/mastodon/media/a.png)";
    let site = Site::of(
        "2024/2024-04-05.md",
        one(section).0.path().join(PATH).to_str().map(|path| std::fs::read(path).unwrap()).unwrap(),
    );
    assert_eq!(media(&site.post()), ["image /mastodon/media/a.png a"]);
    let reader = everpost::import::open(site.path(), Only::Everything, &Limits::default(), time(super::NOW)).unwrap();
    let refusal = reader.media("/mastodon/media/a.png").err().unwrap().to_string();
    assert!(refusal.contains("static folder") && refusal.contains("import the folder of the whole site"), "{refusal}");
    let site = site.with("media/a.png", "a");
    assert_eq!(media(&site.post()), ["image media/a.png a"]);
}

#[test]
fn an_alternative_text_may_go_over_lines() {
    let post =
        one("## Look\n\nLook\n\n![one\n\ntwo [x](y)\nthree](/mastodon/media/a.png)\n![b](/mastodon/media/b.png)")
            .post();
    assert_eq!(post.html, "<p>Look</p>");
    assert_eq!(media(&post), ["image /mastodon/media/a.png one\n\ntwo [x](y)\nthree", "image /mastodon/media/b.png b"]);
}

#[test]
fn a_content_warning_and_the_tags_are_taken_from_below_the_text() {
    let section = "## Soup\n\nSoup\n\n![attachment](/mastodon/media/a.png)\n\n*Content Warning: food, *very* hot*\n\n\
        <small><b>Tags:</b> `#Soup`, `#écrire`, `#soup`</small>";
    let post = one(section).post();
    assert_eq!(
        (post.html.as_str(), post.warning.as_deref(), post.sensitive),
        ("<p>Soup</p>", Some("food, *very* hot"), true)
    );
    assert_eq!((post.tags, post.media.len()), (vec!["Soup".to_owned(), "écrire".to_owned()], 1));
    let post = one("## Soup\n\nSoup\n\n*Content Warning: two\n\nlines*").post();
    assert_eq!((post.html.as_str(), post.warning.as_deref()), ("<p>Soup</p>", Some("two\n\nlines")));
    let post = one("## *Content Warning: I mean it*  and more\n\n*Content Warning: I mean it*\n\nand more").post();
    assert_eq!((post.html.as_str(), post.warning), ("<p>*Content Warning: I mean it*</p><p>and more</p>", None));
}

#[test]
fn a_post_of_hashtags_alone_says_them() {
    let post = one("## \n\n\n\n<small><b>Tags:</b> `#one`, `#two`</small>").post();
    assert_eq!((post.html.as_str(), post.tags.len()), ("<p>#one #two</p>", 2));
    assert_eq!(one("## \n\n").wrong(), "content/mastodon/2024/2024-04-05.md:12 is empty");
}

#[test]
fn posts_without_a_trusted_id_are_dated_by_their_place_in_the_day() {
    let posts = Site::of(PATH, day(&[&[("c", 30), ("d", 40)], &[("a", 10), ("b", 20)]])).posts();
    let dates: Vec<_> = posts.iter().map(|post| (post.published, post.date_origin)).collect();
    let at = |second: i64| (time("2024-04-05T00:00:00Z") + chrono::Duration::seconds(second), DateOrigin::Estimated);
    assert_eq!(dates, [at(2), at(3), at(0), at(1)]);
    let other_day = day(&[&[("a", ID)]]).replace("date: 2024-04-05T00:00:00Z", "date: 2019-04-05T00:00:00Z");
    assert_eq!(Site::of(PATH, other_day).post().published, time("2019-04-05T00:00:00Z"), "a far id is not believed");
    let none = day(&[&[("a", ID)], &[("b", 7)]]).replace("date: 2024-04-05T00:00:00Z\n", "");
    let read = Site::of(PATH, none).read();
    assert_eq!(read[0].as_ref().unwrap().published, time("2024-04-05T00:39:47.731Z"));
    assert!(read[1].as_ref().unwrap_err().reason.starts_with("has no date"), "{read:?}");
}

#[test]
fn a_thread_that_goes_on_after_its_day_keeps_its_dates() {
    let posts = Site::of(PATH, day(&[&[("a", ID), ("b", id(9 * 86_400))]])).posts();
    assert_eq!(posts[1].published, time("2024-04-14T00:39:47.731Z"));
}

#[test]
fn a_bad_section_is_skipped_and_its_thread_goes_on() {
    let page = day(&[&[("a", ID), ("b", 1), ("c", id(60))]]).replace("https://a.example/@ann/1)", "nowhere)");
    let read = Site::of(PATH, page).read();
    let [Ok(a), Err(b), Ok(c)] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(b.reason, "its source line does not link to a post");
    assert_eq!(c.reply_to.as_ref(), Some(&a.key));
}
