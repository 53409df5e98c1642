//! Status pages: one for each status, from a template that tells its URI, its id and what it answers.

use super::{ID, Site, id, media, remarks, time};
use everpost::domain::source::{DateOrigin, Format, SourceKey};

/// A status page with these further lines of front matter.
fn page(more: &str, body: &str) -> String {
    format!(
        "---\ndate: 2024-04-05 00:39:47.731 +0000 UTC\n{more}post_uri: https://a.example/users/ann/statuses/{ID}\npost_id: {ID}\n---\n{body}\n"
    )
}

fn site(more: &str, body: &str) -> Site {
    Site::of(&format!("posts/{ID}.md"), page(more, body))
}

#[test]
fn a_page_is_one_post_with_its_uri_and_its_exact_time() {
    let post = site("tags:\n- FrameWork\n- C++\n", "Back at it. #FrameWork").post();
    assert_eq!((post.published, post.date_origin), (time("2024-04-05T00:39:47.731Z"), DateOrigin::FrontMatter));
    assert_eq!(post.object_id, Some(format!("https://a.example/users/ann/statuses/{ID}")));
    assert!(post.object_id_stated);
    assert_eq!(post.canonical_url, Some(format!("https://a.example/@ann/{ID}")));
    assert_eq!((post.format, post.status, post.reply_to), (Format::HugoStatus, Some(ID), None));
    assert_eq!(
        (post.html.as_str(), post.tags),
        ("<p>Back at it. #FrameWork</p>\n", vec!["FrameWork".into(), "C".into()])
    );
    assert_eq!(post.author.unwrap().to_string(), "@ann@a.example");
    assert_eq!(post.at, format!("posts/{ID}.md:9"));
}

#[test]
fn what_it_answers_is_named_by_its_key_whether_it_is_here_or_not() {
    let key = |more: &str| site(more, "a").post().reply_to;
    assert_eq!(key(&format!("in_reply_to: {}\n", id(-60))), Some(SourceKey(format!("mastodon:a.example:{}", id(-60)))));
    assert_eq!(key("in_reply_to: https://b.example/@bob/5\n"), Some(SourceKey("mastodon:b.example:5".into())));
    assert_eq!(key("in_reply_to:\n"), None);
}

#[test]
fn its_markdown_becomes_html_and_what_looks_like_html_was_text() {
    let body = "Read [#Fedora](https://a.example/tags/Fedora) and [@bob](https://b.example/@bob)  \nthen <b>this</b> & “that”\n\n\
        > quoted\n\n- one\n- two\n\n```\nif a < b\n```\n\n---\n\nend";
    let html = "<p>Read <a href=\"https://a.example/tags/Fedora\" class=\"mention hashtag\">#Fedora</a> and \
        <a href=\"https://b.example/@bob\" class=\"u-url mention\">@bob</a><br />\nthen &lt;b&gt;this&lt;/b&gt; &amp; “that”</p>\n\
        <blockquote>\n<p>quoted</p>\n</blockquote>\n<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n\
        <pre><code>if a &lt; b\n</code></pre>\n<hr />\n<p>end</p>\n";
    assert_eq!(site("", body).post().html, html);
}

#[test]
fn pictures_lie_in_the_bundle_or_where_the_site_serves_them() {
    let body = "Look\n\n![A [box], \"red\"\nand wide](box.png)\n![](/media/other.png)";
    let site = Site::of(&format!("content/posts/{ID}/index.md"), page("", body))
        .with(&format!("content/posts/{ID}/box.png"), "x")
        .with("static/media/other.png", "y");
    let found = [
        format!("image content/posts/{ID}/box.png A [box], \"red\"\nand wide"),
        "image static/media/other.png -".into(),
    ];
    assert_eq!(media(&site.post()), found);
    assert_eq!(site.post().html, "<p>Look</p>\n");
}

#[test]
fn a_page_with_its_descendants_is_one_post_and_says_so() {
    let post = site(&format!("descendants:\n- {}\n- {}\n", id(60), id(120)), "One.\n\nTwo.\n\nThree.").post();
    assert_eq!(post.html, "<p>One.</p>\n<p>Two.</p>\n<p>Three.</p>\n");
    let note = "its page holds the text of 2 more of its thread, which cannot be told apart from its own";
    assert_eq!(remarks(&post), [format!("posts/{ID}.md:9 {note}")]);
    assert!(!post.remarks[0].loss);
}

#[test]
fn a_status_of_another_software_is_known_by_its_uri() {
    let other = page("", "a")
        .replace(&format!("users/ann/statuses/{ID}"), "objects/5f-1")
        .replace(&format!("post_id: {ID}"), "post_id: AbC");
    let post = Site::of("a.md", other).post();
    assert_eq!((post.key.0.as_str(), post.status, &post.author), ("https://a.example/objects/5f-1", None, &None));
    assert_eq!(post.canonical_url.as_deref(), Some("https://a.example/objects/5f-1"));
}

#[test]
fn what_is_not_public_says_so() {
    use everpost::domain::source::SourceAudience::{NotPublic, Public, Unlisted};
    let audience = |visibility: &str| site(&format!("visibility: {visibility}\n"), "a").post().audience;
    assert_eq!(
        [audience("public"), audience("Unlisted"), audience("private"), audience("direct")],
        [Public, Unlisted, NotPublic, NotPublic]
    );
    assert_eq!([audience("quiet_public"), audience("")], [NotPublic, Public], "what is not understood is not public");
}

#[test]
fn a_page_that_cannot_be_a_post_says_why() {
    assert_eq!(site("", "").wrong(), format!("posts/{ID}.md:6 is empty"));
    let bad = page("", "a").replace("https://a.example/users", "nowhere");
    assert!(Site::of("a.md", bad).wrong().starts_with("a.md:1 its post_uri is no web address: nowhere/ann"));
    let future = page("", "a").replace("2024-04-05 00:39", "2124-04-05 00:39");
    assert_eq!(Site::of("a.md", future).wrong(), "a.md:6 its date is before 1970 or in the future");
    let undated = page("", "a").replace("date: 2024-04-05 00:39:47.731 +0000 UTC\n", "");
    assert_eq!(Site::of("a.md", undated.clone()).post().date_origin, DateOrigin::StatusId);
    let unknown = undated.replace(&ID.to_string(), "77");
    assert!(Site::of("a.md", unknown).wrong().contains("has no date"));
}
