//! Pages for people: readable by everyone, honest to search engines, and nothing in them can run.

use crate::activitypub::{account, post, store};
use crate::support::{Bundle, TestApp, fixture, status_id};
use everpost::domain::post::{Attachment, NewPost};
use everpost::domain::source::MediaKind;
use everpost::domain::told::MediaTold;
use everpost::text::SafeHtml;
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

const TIMES: [&str; 3] = ["2024-01-01T10:00:00Z", "2024-01-01T10:05:00Z", "2024-01-01T10:10:00Z"];

/// A thread of three posts.
async fn thread() -> TestApp {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = TIMES.iter().fold(Bundle::new(), |bundle, at| bundle.post(at, &format!("<p>Written at {at}.</p>")));
    bundle.write(archive.path());
    app.import(archive.path()).await;
    app
}

async fn page(app: &TestApp, path: &str) -> Html {
    let answer = app.page(path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
    Html::parse_document(&answer.body)
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

/// An attribute of the only element that a selector finds.
fn only(page: &Html, selector: &str, attribute: &str) -> String {
    let found = all(page, selector);
    assert_eq!(found.len(), 1, "{selector}");
    found[0].attr(attribute).unwrap().to_owned()
}

fn text(element: &ElementRef) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn meta(page: &Html, property: &str) -> String {
    only(page, &format!("meta[property='{property}']"), "content")
}

#[tokio::test]
async fn every_page_has_its_landmarks_one_heading_and_a_language() {
    let app = thread().await;
    let post = format!("/@ann/{}", status_id(TIMES[0]));
    for path in ["/", "/@ann", &post, "/tags/clocks"] {
        let page = page(&app, path).await;
        for selector in ["main#main", "h1", "body > header", "body > footer", "title", "meta[name='viewport']"] {
            assert_eq!(all(&page, selector).len(), 1, "{path}: {selector}");
        }
        assert_eq!(only(&page, "html", "lang"), "en", "{path}");
        assert_eq!(only(&page, "a.skip", "href"), "#main", "{path}");
    }
}

#[tokio::test]
async fn a_profile_tells_readers_and_machines_whose_it_is() {
    let app = thread().await;
    app.set("ann", &["name=Ann", "summary=Clocks."]).await;
    let page = page(&app, "/@ann").await;
    let host = app.base.split_once("://").unwrap().1;
    assert_eq!(only(&page, "link[rel='canonical']", "href"), format!("{}/@ann", app.base));
    let alternate = "link[rel='alternate'][type='application/activity+json']";
    assert_eq!(only(&page, alternate, "href"), format!("{}/users/ann", app.base));
    assert_eq!(only(&page, "link[rel='me']", "href"), "https://origin.example/@ann");
    assert_eq!(only(&page, "meta[name='fediverse:creator']", "content"), format!("@ann@{host}"));
    assert_eq!((meta(&page, "og:type"), meta(&page, "og:title")), ("profile".to_owned(), format!("Ann (@ann@{host})")));
    assert_eq!(meta(&page, "og:url"), format!("{}/@ann", app.base));
    assert_eq!(text(&all(&page, "h1")[0]), "Ann");
    assert_eq!(all(&page, "article").len(), 3);
    let times: Vec<&str> =
        all(&page, "article time.dt-published").iter().map(|time| time.attr("datetime").unwrap()).collect();
    assert_eq!(times, TIMES.iter().rev().copied().collect::<Vec<_>>(), "newest first");
}

#[tokio::test]
async fn a_thread_page_shows_the_whole_thread_in_order_and_marks_the_linked_post() {
    let app = thread().await;
    let id = status_id(TIMES[1]);
    let page = page(&app, &format!("/@ann/{id}")).await;
    let articles = all(&page, "ol.thread > li > article");
    let shown: Vec<String> = articles.iter().map(|article| article.attr("id").unwrap().to_owned()).collect();
    assert_eq!(shown, TIMES.map(|at| format!("p{}", status_id(at))));
    let marked: Vec<&str> = articles
        .iter()
        .filter(|article| article.attr("aria-current") == Some("true"))
        .map(|article| article.attr("id").unwrap())
        .collect();
    assert_eq!(marked, [format!("p{id}")]);
    assert_eq!(only(&page, "p.jump a", "href"), format!("#p{id}"), "and leads to it");
    for (article, at) in articles.iter().zip(TIMES) {
        let link = Selector::parse("a.original").unwrap();
        let original = article.select(&link).next().unwrap().attr("href").unwrap();
        assert_eq!(original, format!("https://origin.example/@ann/{}", status_id(at)));
    }
}

#[tokio::test]
async fn a_posts_page_names_its_original_as_canonical_and_the_note_as_alternate() {
    let app = thread().await;
    let id = status_id(TIMES[0]);
    let page = page(&app, &format!("/@ann/{id}")).await;
    assert_eq!(only(&page, "link[rel='canonical']", "href"), format!("https://origin.example/@ann/{id}"));
    let alternate = "link[rel='alternate'][type='application/activity+json']";
    assert_eq!(only(&page, alternate, "href"), format!("{}/users/ann/statuses/{id}", app.base));
    let description = format!("Written at {}.", TIMES[0]);
    for (property, expected) in [
        ("og:type", "article"),
        ("og:title", &format!("ann: {description}")),
        ("og:description", &description),
        ("og:url", &format!("{}/@ann/{id}", app.base)),
        ("og:published_time", TIMES[0]),
        ("article:published_time", TIMES[0]),
    ] {
        assert_eq!(meta(&page, property), expected, "{property}");
    }
}

#[tokio::test]
async fn a_post_without_an_original_is_its_own_canonical() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    store(&app, "ann", &[NewPost { canonical_url: None, object_id: None, ..post(TIMES[0]) }]).await;
    let path = format!("/@ann/{}", status_id(TIMES[0]));
    let page = page(&app, &path).await;
    assert_eq!(only(&page, "link[rel='canonical']", "href"), format!("{}{path}", app.base));
    assert!(all(&page, "a.original").is_empty());
}

#[tokio::test]
async fn search_engines_stay_out_until_the_owner_lets_them_in() {
    let app = thread().await;
    let post = format!("/@ann/{}", status_id(TIMES[0]));
    for path in ["/@ann", &post] {
        assert_eq!(only(&page(&app, path).await, "meta[name='robots']", "content"), "noindex,noarchive", "{path}");
    }
    app.set("ann", &["indexable=true"]).await;
    for path in ["/@ann", &post] {
        assert!(all(&page(&app, path).await, "meta[name='robots']").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn links_to_the_origin_redirect_people_and_nobody_else() {
    let app = thread().await;
    app.set("ann", &["links=origin"]).await;
    let id = status_id(TIMES[1]);
    let answer = app.page(&format!("/@ann/{id}")).await;
    assert_eq!((answer.status, answer.location()), (302, format!("https://origin.example/@ann/{id}").as_str()));
    assert_eq!(answer.header("vary"), "Accept");
    for path in [format!("/@ann/{id}"), format!("/users/ann/statuses/{id}")] {
        assert_eq!(app.object(&path).await["id"], format!("{}/users/ann/statuses/{id}", app.base));
    }
    assert_eq!(app.page("/@ann").await.status, 200, "the profile stays here");
}

#[tokio::test]
async fn a_profile_is_paged_both_ways() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let times: Vec<String> = (0..45).map(|n| format!("2024-01-01T10:{n:02}:00Z")).collect();
    store(&app, "ann", &times.iter().map(|at| post(at)).collect::<Vec<_>>()).await;
    let shown = |page: &Html| -> Vec<String> {
        all(page, "article time.dt-published").iter().map(|time| time.attr("datetime").unwrap().to_owned()).collect()
    };
    let first = page(&app, "/@ann").await;
    let second = page(&app, &only(&first, "nav.pager a[rel='next']", "href")).await;
    let third = page(&app, &only(&second, "nav.pager a[rel='next']", "href")).await;
    let mut newest_first: Vec<String> = [&first, &second, &third].into_iter().flat_map(shown).collect();
    newest_first.reverse();
    assert_eq!(newest_first, times);
    assert!(all(&first, "nav.pager a[rel='prev']").is_empty() && all(&third, "nav.pager a[rel='next']").is_empty());
    let back = page(&app, &only(&second, "nav.pager a[rel='prev']", "href")).await;
    assert_eq!(shown(&back), shown(&first));
}

#[tokio::test]
async fn a_hashtags_page_shows_what_carries_it_with_its_author() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let tagged = NewPost { tags: vec!["blåbær".to_owned()], ..post(TIMES[0]) };
    store(&app, "ann", &[tagged, post(TIMES[1])]).await;
    let profile = page(&app, "/@ann").await;
    let link = only(&profile, "ul.tags a[rel='tag']", "href");
    for path in [link.as_str(), "/tags/BL%C3%85B%C3%86R"] {
        let page = page(&app, path).await;
        assert_eq!(text(&all(&page, "h1")[0]), "#blåbær");
        assert_eq!(all(&page, "article").len(), 1);
        assert_eq!(only(&page, "article .post-author a", "href"), "/@ann");
    }
    assert_eq!(all(&page(&app, "/tags/unused").await, "article").len(), 0);
}

#[tokio::test]
async fn the_front_page_lists_the_accounts() {
    let app = thread().await;
    app.set("ann", &["name=Ann"]).await;
    let page = page(&app, "/").await;
    assert_eq!(only(&page, "ul.accounts a", "href"), "/@ann");
    assert!(text(&all(&page, "ul.accounts li")[0]).contains("3 posts"));
}

#[tokio::test]
async fn hostile_names_texts_and_tags_stay_text() {
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)> '&amp;";
    let app = TestApp::start().await;
    account(&app, "ann").await;
    app.set(
        "ann",
        &[&format!("name={evil}"), &format!("summary={evil}"), &format!("field.{}=v", evil.replace('=', ""))],
    )
    .await;
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    let file = app.app.media.keep(&mut std::fs::File::open(picture).unwrap()).unwrap();
    let kind = MediaKind::Image;
    let attachment = Attachment {
        file: Some(file),
        kind,
        alt: Some(evil.to_owned()),
        source_url: evil.to_owned(),
        told: MediaTold::default(),
    };
    let hostile = NewPost {
        content: SafeHtml::sanitise(&format!("<p onclick=alert(1)>{evil}<a href=\"javascript:alert(3)\">x</a></p>")),
        warning: Some(evil.to_owned()),
        tags: vec![evil.to_owned()],
        attachments: vec![attachment],
        canonical_url: Some("https://origin.example/\"><script>alert(4)</script>".to_owned()),
        language: Some(evil.to_owned()),
        ..post(TIMES[0])
    };
    store(&app, "ann", &[hostile]).await;
    let post = format!("/@ann/{}", status_id(TIMES[0]));
    let tag: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect::<String>().replace('+', "%20");
    for path in ["/", "/@ann", &post, &format!("/tags/{tag}"), "/@%3Cscript%3E"] {
        let answer = app.page(path).await;
        assert_harmless(path, &answer.body);
    }
    let shown = page(&app, &post).await;
    assert_eq!(only(&shown, "article img", "alt"), evil);
    assert_eq!(text(&all(&shown, "article summary .p-summary")[0]), evil);
    assert_eq!(text(&all(&shown, "ul.tags a")[0]), format!("#{evil}"));
    let profile = page(&app, "/@ann").await;
    assert_eq!(text(&all(&profile, "h1")[0]), evil);
    let note = app.object(&format!("/users/ann/statuses/{}", status_id(TIMES[0]))).await;
    assert_harmless("content", note["content"].as_str().unwrap());
    assert_eq!(note["attachment"][0]["name"], Value::from(evil));
}

/// Nothing in it runs, and nothing loads from elsewhere.
fn assert_harmless(place: &str, html: &str) {
    let page = Html::parse_document(html);
    for selector in
        ["script", "iframe", "object", "embed", "form", "base", "style", "[style]", "[srcdoc]", "meta[http-equiv]"]
    {
        assert!(all(&page, selector).is_empty(), "{place}: {selector}");
    }
    for element in all(&page, "*") {
        for (name, value) in element.value().attrs() {
            assert!(!name.starts_with("on"), "{place}: {name}={value}");
            assert!(!value.trim_start().to_lowercase().starts_with("javascript:"), "{place}: {name}={value}");
            let loads = name == "src"
                || (name == "href" && element.attr("rel").is_some_and(|rel| rel == "stylesheet" || rel == "icon"));
            assert!(!loads || (value.starts_with('/') && !value.starts_with("//")), "{place}: {name}={value}");
        }
    }
}

#[tokio::test]
async fn no_page_holds_anything_that_runs_or_loads_from_elsewhere() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let outbox = app.walk_outbox("juno").await;
    let last = outbox[0]["object"]["url"][0].as_str().unwrap().to_owned();
    for path in ["/", "/@juno", last.as_str(), "/tags/x", "/no/such/page"] {
        let answer = app.page(path).await;
        assert_harmless(path, &answer.body);
        let policy = "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
        assert_eq!(answer.header("content-security-policy"), policy, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("set-cookie").is_empty(), "{path}");
    }
    let pictures = all(&page(&app, &last).await, "article img")
        .iter()
        .map(|img| img.attr("src").unwrap().to_owned())
        .collect::<Vec<_>>();
    assert!(!pictures.is_empty());
    for path in pictures {
        let request = app.request(reqwest::Method::GET, &path).send().await.unwrap();
        assert_eq!(
            (request.status().as_u16(), &request.headers()["content-security-policy"]),
            (200, &"default-src 'none'; sandbox".parse().unwrap())
        );
        assert_eq!(request.headers()["cache-control"], "public, max-age=31536000, immutable");
    }
}
