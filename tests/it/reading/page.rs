//! Generic pages: any post of a Hugo or Jekyll site that says where it first stood.

use super::{ID, Site, media, remarks, time};
use everpost::domain::source::{DateOrigin, Format, SourceAudience};

const PATH: &str = "content/posts/one.md";

/// A YAML page with a canonical and a date, and these further lines.
fn page(more: &str, body: &str) -> String {
    format!("---\ncanonicalURL: https://blog.example/posts/one/\ndate: 2019-03-01T10:00:00Z\n{more}---\n{body}\n")
}

fn site(more: &str, body: &str) -> Site {
    Site::of(PATH, page(more, body))
}

#[test]
fn a_page_is_one_post_however_long() {
    let body = "A paragraph of a long post, that goes on.\n\n".repeat(400);
    let post = site("lastmod: 2020-01-01\n", &body).post();
    assert_eq!((post.format, post.key.0.as_str()), (Format::HugoPage, "https://blog.example/posts/one"));
    assert_eq!(post.html.matches("<p>").count(), 400);
    assert_eq!((post.author, post.status, post.object_id, post.reply_to), (None, None, None, None));
    assert_eq!(post.canonical_url.as_deref(), Some("https://blog.example/posts/one/"));
    assert_eq!((post.published, post.date_origin), (time("2019-03-01T10:00:00Z"), DateOrigin::FrontMatter));
    assert_eq!((post.edited, post.at.as_str()), (Some(time("2020-01-01T00:00:00Z")), "content/posts/one.md:6"));
    assert_eq!(post.audience, SourceAudience::Public);
}

#[test]
fn yaml_toml_and_json_say_the_same() {
    let yaml = "---\ntitle: One\ndate: 2019-03-01\nsyndication:\n- https://a.example/@ann/7\n- https://b.example/2\ntags: [a, b]\nlang: de\n---\nHallo\n";
    let toml = "+++\ntitle = \"One\"\ndate = 2019-03-01\nsyndication = [\"https://a.example/@ann/7\", \"https://b.example/2\"]\ntags = [\"a\", \"b\"]\nlang = \"de\"\n+++\nHallo\n";
    let json = "{\n\"title\": \"One\", \"date\": \"2019-03-01\",\n\"syndication\": [\"https://a.example/@ann/7\", \"https://b.example/2\"],\n\"tags\": [\"a\", \"b\"], \"lang\": \"de\"\n}\nHallo\n";
    let strip = |text: &str| {
        let post = Site::of(PATH, text).post();
        everpost::domain::source::SourcePost { bytes: vec![], at: String::new(), ..post }
    };
    let post = strip(yaml);
    assert_eq!(
        (post.key.0.as_str(), post.language.as_deref(), post.tags.join(" ")),
        ("mastodon:a.example:7", Some("de"), "a b".into())
    );
    assert_eq!(post.object_id.as_deref(), Some("https://a.example/users/ann/statuses/7"));
    assert_eq!((strip(toml), strip(json)), (post.clone(), post));
}

#[test]
fn a_status_id_makes_a_coarse_date_finer_and_can_stand_for_one() {
    let post =
        |date: &str| Site::of(PATH, format!("---\n{date}syndication: https://a.example/@ann/{ID}\n---\na\n")).post();
    let exact = time("2024-04-05T00:39:47.731Z");
    assert_eq!(post("date: 2024-04-05\n").published, exact);
    assert_eq!(post("date: 2024-04-05T00:39:47Z\n").published, exact);
    assert_eq!(post("date: 2024-04-05T10:00:00Z\n").published, time("2024-04-05T10:00:00Z"));
    assert_eq!((post("").published, post("").date_origin), (exact, DateOrigin::StatusId));
    let named =
        Site::of("_posts/2018-02-03-hello.md", "---\nlayout: post\ncanonical_url: https://blog.example/h\n---\na\n")
            .post();
    assert_eq!(named.published, time("2018-02-03T00:00:00Z"), "Jekyll has the day in the name");
    assert_eq!(
        Site::of(PATH, "---\npublished: 2018-02-03\ncanonical: https://blog.example/h\n---\na").post().published,
        time("2018-02-03T00:00:00Z")
    );
    let undated = Site::of(PATH, "---\ncanonical: https://blog.example/h\n---\na\n").wrong();
    assert!(undated.starts_with("content/posts/one.md:4 has no date"), "{undated}");
}

#[test]
fn a_title_stands_on_top_unless_the_text_begins_with_it_or_a_status_has_none() {
    assert_eq!(site("title: A <b> title\n", "Text").post().html, "<h1>A &lt;b&gt; title</h1>\n<p>Text</p>\n");
    assert_eq!(site("title: \"The text\"\n", "The *text* goes on").post().html, "<p>The <em>text</em> goes on</p>\n");
    assert_eq!(site("title: \"???\"\n", "a").post().html, "<p>a</p>\n");
    let status = Site::of(PATH, format!("---\ntitle: 2024\nsyndication: https://a.example/@ann/{ID}\n---\nText\n"));
    assert_eq!(status.post().html, "<p>Text</p>\n");
}

#[test]
fn warnings_languages_tags_and_audiences_come_from_front_matter() {
    let post = site("cw: Food\nsummary: Soup\nkeywords: \"soup, hot stuff\"\ntags: [Soup]\n", "a").post();
    assert_eq!(
        (post.warning.as_deref(), post.sensitive, post.tags.join(" ")),
        (Some("Food"), true, "Soup hotstuff".into())
    );
    let post = site("summary: Soup\ntags: one two\nlanguage: pt_BR\n", "a").post();
    assert_eq!((post.warning.as_deref(), post.sensitive, post.tags.join(" ")), (Some("Soup"), false, "one two".into()));
    assert_eq!(post.language.as_deref(), Some("pt-BR"));
    assert_eq!(site("lang: \"not a language\"\n", "a").post().language, None);
    assert_eq!(Site::of("a.de.md", page("", "a")).post().language.as_deref(), Some("de"));
    assert_eq!(Site::of("v1.md.md", page("", "a")).post().language, None);
    assert_eq!(site("unlisted: true\n", "a").post().audience, SourceAudience::Unlisted);
    assert_eq!(site("visibility: private\n", "a").post().audience, SourceAudience::NotPublic);
    assert_eq!(site("", "[#Tag](https://blog.example/t/tag)").post().tags, ["Tag"]);
}

#[test]
fn pictures_come_from_the_cover_the_text_and_the_list() {
    let body = "Look ![A [red] “box” \\\"here\\\"](box.png \"Title\") and <img src=\"/i/wide.png\" alt='1 > 0'>.\n\n\
        `![code](no.png)`\n\n    ![code](no.png)\n";
    let site =
        site("cover: {image: /i/cover.png, alt: Cover}\nimages: [/i/wide.png, \"https://c.example/far.png\"]\n", body)
            .with("content/posts/box.png", "1")
            .with("static/i/wide.png", "2")
            .with("assets/i/cover.png", "3");
    let found = [
        "image assets/i/cover.png Cover",
        "image content/posts/box.png A [red] “box” \"here\"",
        "image static/i/wide.png 1 > 0",
        "image https://c.example/far.png -",
    ];
    assert_eq!(media(&site.post()), found);
    let html = site.post().html;
    assert!(html.contains("<code>![code](no.png)</code>") && !html.contains("<img"), "{html}");
}

#[test]
fn links_on_the_own_site_lead_there_and_others_are_told() {
    let body = "[a](/posts/two/) [b](../three/) [c](https://c.example/) [d](#top)";
    let post = site("", body).post();
    let html = "<p><a href=\"https://blog.example/posts/two/\">a</a> <a href=\"https://blog.example/posts/three/\">b</a> \
        <a href=\"https://c.example/\">c</a> <a href=\"#top\">d</a></p>\n";
    assert_eq!((post.html.as_str(), post.remarks.len()), (html, 0));
    let copy = Site::of(PATH, format!("---\nsyndication: https://a.example/@ann/{ID}\n---\n{body}\n")).post();
    assert_eq!(remarks(&copy), ["content/posts/one.md:4 links to other pages of its site have lost their address: 2"]);
}

#[test]
fn shortcodes_are_rendered_or_left_out_with_a_note() {
    let body = "Watch {{< youtube abc >}}\n\n{{< figure src=\"/i/a.png\" alt=\"A\" caption=\"Caption\" >}}\n\n\
        {{< chart data=\"x\" >}}\n\n{{% notice info %}}\nKeep **this**.\n{{% /notice %}}\n\n[there]({{< relref \"two.md\" >}})\n\n\
        {{< highlight go >}}\nif a < b {}\n{{< /highlight >}}\n<script>run()</script>";
    let post = site("", body).with("static/i/a.png", "1").post();
    let video = "https://www.youtube.com/watch?v=abc";
    assert!(
        post.html.starts_with(&format!("<p>Watch <a href=\"{video}\">{video}</a></p>\n<p><p>Caption</p></p>\n")),
        "{}",
        post.html
    );
    assert!(post.html.contains("<p>Keep <strong>this</strong>.</p>"), "{}", post.html);
    assert!(post.html.contains("<pre><code>if a &lt; b {}</code></pre>"), "{}", post.html);
    assert_eq!(media(&post), ["image static/i/a.png A"]);
    let told = [
        "content/posts/one.md:9 the shortcode chart was left out",
        "content/posts/one.md:15 the shortcode relref was left out",
        "content/posts/one.md:5 elements that no post can hold were left out: script",
    ];
    assert_eq!(remarks(&post), told);
    assert!(post.remarks.iter().all(|remark| remark.loss));
}

#[test]
fn an_html_page_is_read_as_html() {
    let body = "<p>One *two* <a href=\"/three/\">three</a></p>\n<!-- hidden -->\n<video src=\"v.mp4\"></video>";
    let post = Site::of("content/posts/one.html", page("title: One\n", body)).with("content/posts/v.mp4", "x").post();
    assert_eq!(post.html, "<p>One *two* <a href=\"https://blog.example/three/\">three</a></p>\n\n\n");
    assert_eq!(media(&post), ["video content/posts/v.mp4 -"]);
    let made = "<!doctype html><html><head><link rel=\"canonical\" href=\"https://blog.example/\"></head></html>";
    assert!(Site::of("public/index.html", made).read().is_empty(), "what a site generator made is none of ours");
}

#[test]
fn jekylls_tags_are_read_in_jekylls_folder() {
    let body = "![a]({{ site.baseurl }}/assets/a.png)\n\n{% highlight ruby %}\nputs 1\n{% endhighlight %}\n\n{% include nav.html %}";
    let page = "---\nlayout: post\noriginal_url: https://blog.example/h\ntags: one two\n---\n".to_owned() + body;
    let post = Site::of("_posts/2018-02-03-hello.md", page).with("assets/a.png", "x").post();
    assert_eq!((media(&post), post.tags.join(" ")), (vec!["image assets/a.png a".into()], "one two".into()));
    assert!(post.html.contains("<pre><code>puts 1</code></pre>"), "{}", post.html);
    assert_eq!(remarks(&post), ["_posts/2018-02-03-hello.md:12 the shortcode include was left out"]);
}

#[test]
fn a_canonical_that_is_no_web_address_makes_way_for_the_next_or_is_told() {
    let both = "---\ncanonical: /posts/one/\nsyndication: https://a.example/@ann/7\ndate: 2019-01-01\n---\na\n";
    assert_eq!(Site::of(PATH, both).post().key.0, "mastodon:a.example:7");
    let none = "---\ncanonical_url: /posts/one/\ndate: 2019-01-01\n---\na\n";
    assert_eq!(Site::of(PATH, none).wrong(), "content/posts/one.md:1 its canonical_url is no web address: /posts/one/");
    assert!(
        Site::of(PATH, "---\ncanonical: \"\"\ndate: 2019-01-01\n---\na\n").read().is_empty(),
        "an empty one is none"
    );
}
