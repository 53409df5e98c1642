//! Who gets which representation under which headers, and what is never answered (R-33 to R-41, R-150).

use crate::activitypub::{account, post, store};
use crate::support::{Answer, TestApp, TestDatabase, status_id};
use everpost::http::Settings;
use reqwest::Method;
use std::time::{Duration, Instant};

const AT: &str = "2024-01-01T10:00:00Z";
const ACTIVITY_JSON: &str = "application/activity+json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const PROFILE: &str = r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#;

async fn app() -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(AT)]).await;
    app
}

/// The four negotiated URLs: each with the id that ActivityPub finds there, and the page that people find there.
fn negotiated() -> [(String, String, String); 4] {
    let id = status_id(AT);
    let (actor, note) = ("/users/ann".to_owned(), format!("/users/ann/statuses/{id}"));
    let (profile, page) = ("/@ann".to_owned(), format!("/@ann/{id}"));
    [
        (actor.clone(), actor.clone(), profile.clone()),
        (profile.clone(), actor, profile),
        (note.clone(), note.clone(), page.clone()),
        (page.clone(), note, page),
    ]
}

fn authority(app: &TestApp) -> &str {
    app.base.split_once("://").unwrap().1
}

/// GET with exactly these headers, the Host included.
async fn raw(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> u16 {
    let request =
        headers.iter().fold(app.client.get(app.url(path)), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn whoever_names_activitypub_gets_it_in_place_with_the_true_id() {
    let app = app().await;
    let mastodon_search = format!("{PROFILE}, application/activity+json, text/html;q=0.1");
    let accepts: [&[&str]; 8] = [
        &["application/activity+json"],
        &["application/ld+json"],
        &[PROFILE],
        &["APPLICATION/ACTIVITY+JSON"],
        &["application/activity+json", PROFILE],
        &["text/plain", "application/activity+json"],
        &[&mastodon_search],
        &["text/html;q=0.9, application/activity+json;q=0.9"],
    ];
    for (path, id, _) in negotiated() {
        for lines in accepts {
            let headers: Vec<(&str, &str)> = lines.iter().map(|line| ("accept", *line)).collect();
            let answer = app.get_with(&path, &headers).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, ACTIVITY_JSON), "{path} {lines:?}");
            assert_eq!(answer.json()["id"], format!("{}{id}", app.base), "{path} {lines:?}");
            assert_eq!(answer.header("vary"), "Accept");
        }
    }
}

#[tokio::test]
async fn everyone_else_gets_the_page_and_ids_lead_people_to_it() {
    let app = app().await;
    let accepts: [&[(&str, &str)]; 6] = [
        &[],
        &[("accept", "*/*")],
        &[("accept", BROWSER)],
        &[("accept", "application/json")],
        &[("accept", "text/html, application/activity+json;q=0.5")],
        &[("accept", "application/activity+json;q=0")],
    ];
    for (path, _, page) in negotiated() {
        for headers in accepts {
            let answer = app.get_with(&path, headers).await;
            assert_eq!(answer.header("vary"), "Accept", "{path} {headers:?}");
            if path == page {
                assert_eq!((answer.status, answer.header("content-type")), (200, HTML), "{path} {headers:?}");
            } else {
                assert_eq!((answer.status, answer.location()), (302, page.as_str()), "{path} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_id_answers_under_itself_without_a_redirect() {
    let app = app().await;
    let mut ids = vec![format!("{}/actor", app.base), format!("{}/users/ann", app.base)];
    for create in app.walk_outbox("ann").await {
        for id in [&create["id"], &create["object"]["id"], &create["object"]["context"], &create["object"]["replies"]] {
            ids.push(id.as_str().unwrap().to_owned());
        }
    }
    for id in ids {
        let answer = app.get(&id).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, ACTIVITY_JSON), "{id}");
        assert_eq!(answer.json()["id"], id);
    }
}

#[tokio::test]
async fn another_spelling_of_an_id_is_never_answered_with_activitypub() {
    let app = app().await;
    account(&app, "bob").await;
    let id = status_id(AT);
    for path in [
        "/users/Ann".to_owned(),
        "/Users/ann".to_owned(),
        "/users/ann/".to_owned(),
        "/users//ann".to_owned(),
        "/users/@ann".to_owned(),
        "/@Ann".to_owned(),
        "/@@ann".to_owned(),
        "/@ann/".to_owned(),
        format!("/@Ann/{id}"),
        format!("/users/ann/statuses/0{id}"),
        format!("/users/ann/statuses/+{id}"),
        format!("/users/ann/statuses/{id}/"),
        format!("/users/Ann/statuses/{id}"),
        format!("/users/Ann/statuses/{id}/activity"),
        format!("/users/bob/statuses/{id}"),
        format!("/@bob/{id}"),
        format!("/users/bob/contexts/{id}"),
        "/users/Ann/outbox".to_owned(),
        "/users/ann/outbox/".to_owned(),
        "/users/%ff".to_owned(),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "application/json"),
            "{path}: {}",
            answer.body
        );
    }
    assert_eq!(app.page("/@Ann").await.location(), "/@ann", "people are led to the right spelling");
    assert_eq!(app.page(&format!("/@ANN/{id}")).await.location(), format!("/@ann/{id}"));
    assert_eq!(app.page(&format!("/@bob/{id}")).await.status, 404);
}

#[tokio::test]
async fn a_strong_etag_saves_the_second_answer() {
    let app = app().await;
    let mut cases: Vec<(String, &str)> = vec![("/users/ann/outbox?page=true".to_owned(), "application/activity+json")];
    for (path, _, page) in negotiated() {
        cases.push((path.clone(), "application/activity+json"));
        if path == page {
            cases.push((path, BROWSER));
        }
    }
    for (path, accept) in cases {
        let first = app.get_with(&path, &[("accept", accept)]).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.len() > 10, "{path}: {etag}");
        let list = format!("\"other\", W/{etag}");
        for known in [etag.as_str(), list.as_str(), "*"] {
            let again = app.get_with(&path, &[("accept", accept), ("if-none-match", known)]).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{path} {known}");
            for name in ["etag", "vary", "cache-control", "link"] {
                assert_eq!(again.header(name), first.header(name), "{path}: {name}");
            }
        }
        let other = app.get_with(&path, &[("accept", accept), ("if-none-match", "\"other\"")]).await;
        assert_eq!((other.status, other.body.as_str()), (200, first.body.as_str()), "{path}");
    }
    let (json, html) = (app.get("/@ann").await, app.page("/@ann").await);
    assert_ne!(json.header("etag"), html.header("etag"), "two representations, two tags");
}

/// The answer once it says when it last changed, which it does from the next second on.
async fn dated(app: &TestApp, path: &str) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = app.get(path).await;
        if !answer.header("last-modified").is_empty() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} never says when it last changed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn if_modified_since_is_answered_304_until_something_changes() {
    let app = app().await;
    for (path, _, _) in negotiated() {
        let first = dated(&app, &path).await;
        let date = first.header("last-modified").to_owned();
        let accept = ("accept", "application/activity+json");
        assert_eq!(app.get_with(&path, &[accept, ("if-modified-since", &date)]).await.status, 304, "{path}");
        let long_ago = [accept, ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT")];
        assert_eq!(app.get_with(&path, &long_ago).await.status, 200, "{path}");
        let both = [accept, ("if-modified-since", date.as_str()), ("if-none-match", "\"other\"")];
        assert_eq!(app.get_with(&path, &both).await.status, 200, "{path}: the tag goes first");
        app.set("ann", &[&format!("name=Ann {path}")]).await;
        let changed = app.get_with(&path, &[accept, ("if-modified-since", &date)]).await;
        assert_eq!(changed.status, 200, "{path} after a change");
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let app = app().await;
    let other =
        ["/", "/users/ann/outbox", "/users/ann/followers", "/actor", "/healthz", "/users/nobody", "/assets/style.css"];
    let paths = negotiated().into_iter().map(|(path, _, _)| path).chain(other.map(str::to_owned));
    for path in paths {
        for accept in ["application/activity+json", BROWSER] {
            let get = app.get_with(&path, &[("accept", accept)]).await;
            let head = app.request(Method::HEAD, &path).header("accept", accept).send().await.unwrap();
            assert_eq!(head.status().as_u16(), get.status, "{path}");
            for name in ["content-type", "content-length", "etag", "vary", "cache-control", "location"] {
                assert_eq!(head.headers().get(name), get.headers.get(name), "{path} {accept}: {name}");
            }
            assert_eq!(head.text().await.unwrap(), "", "{path}");
        }
    }
}

#[tokio::test]
async fn each_kind_of_answer_may_be_cached_for_its_time() {
    let app = app().await;
    let id = status_id(AT);
    for (path, seconds) in [
        ("/users/ann".to_owned(), 180),
        ("/actor".to_owned(), 180),
        (format!("/users/ann/statuses/{id}"), 180),
        (format!("/users/ann/statuses/{id}/activity"), 180),
        (format!("/users/ann/contexts/{id}"), 180),
        ("/users/ann/collections/featured".to_owned(), 180),
        ("/users/ann/outbox".to_owned(), 180),
        ("/users/ann/outbox?page=true".to_owned(), 60),
        ("/users/nobody".to_owned(), 180),
    ] {
        assert_eq!(app.get(&path).await.header("cache-control"), format!("public, max-age={seconds}"), "{path}");
    }
    assert_eq!(app.page("/@ann").await.header("cache-control"), "public, max-age=180");
    assert_eq!(app.get("/users/ann/outbox?page=x").await.header("cache-control"), "no-store");
    assert_eq!(app.get("/healthz").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn link_headers_lead_from_a_page_to_its_object() {
    let app = app().await;
    for (path, id, page) in negotiated() {
        let alternate = format!("<{}{id}>; rel=\"alternate\"; type=\"application/activity+json\"", app.base);
        assert_eq!(app.get(&path).await.header("link"), alternate, "{path}");
        let shown = app.page(&page).await;
        let links: Vec<&str> = shown.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(links[0], alternate, "{page}");
        if page == "/@ann" {
            let subject = format!("{}/.well-known/webfinger?resource=acct:ann@{}", app.base, authority(&app));
            assert_eq!(links[1], format!("<{subject}>; rel=\"lrdd\"; type=\"application/jrd+json\""));
        }
    }
}

#[tokio::test]
async fn an_unknown_host_is_misdirected_but_for_health() {
    let app = app().await;
    let id = status_id(AT);
    let paths =
        ["/", "/users/ann", "/@ann", "/.well-known/webfinger?resource=ann", "/actor", "/tags/x", "/no/such/path"];
    for path in paths.into_iter().map(str::to_owned).chain([format!("/users/ann/statuses/{id}")]) {
        for accept in ["application/activity+json", BROWSER] {
            assert_eq!(raw(&app, &path, &[("host", "other.example"), ("accept", accept)]).await, 421, "{path}");
        }
    }
    let inbox = app.client.post(app.url("/inbox")).header("host", "other.example").send().await.unwrap();
    assert_eq!(inbox.status(), 421);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(raw(&app, path, &[("host", "other.example")]).await, 200, "{path}");
    }
    let shouted = authority(&app).to_uppercase();
    assert_eq!(raw(&app, "/@ann", &[("host", &shouted)]).await, 200, "a host has no case");
}

#[tokio::test]
async fn the_usual_port_belongs_to_the_host() {
    let app = TestApp::start_at("https://mirror.example").await;
    for host in ["mirror.example", "mirror.example:443", "mirror.example.", "Mirror.Example"] {
        assert_eq!(raw(&app, "/", &[("host", host)]).await, 200, "{host}");
    }
    for host in ["mirror.example:8080", "www.mirror.example", "example"] {
        assert_eq!(raw(&app, "/", &[("host", host)]).await, 421, "{host}");
    }
}

#[tokio::test]
async fn a_forwarded_host_counts_only_from_a_trusted_proxy() {
    let settings = |proxy: &str| Settings { trusted_proxies: vec![proxy.parse().unwrap()], ..Settings::default() };
    let trusting = TestApp::start_as(Some("https://mirror.example"), settings("127.0.0.0/8")).await;
    for (forwarded, expected) in [("mirror.example", 200), ("evil.example, mirror.example", 200), ("evil.example", 421)]
    {
        let headers = [("host", "inner:8080"), ("x-forwarded-host", forwarded)];
        assert_eq!(raw(&trusting, "/", &headers).await, expected, "{forwarded}");
    }
    let wary = TestApp::start_as(Some("https://mirror.example"), settings("10.0.0.0/8")).await;
    for (host, forwarded, expected) in [("inner:8080", "mirror.example", 421), ("mirror.example", "evil.example", 200)]
    {
        let headers = [("host", host), ("x-forwarded-host", forwarded)];
        assert_eq!(raw(&wary, "/", &headers).await, expected, "{host} {forwarded}");
    }
}

#[tokio::test]
async fn an_error_is_small_json_or_a_page_as_suits_who_asked() {
    let app = app().await;
    for (path, status) in [("/users/nobody", 404), ("/@ann/1", 404), ("/no/such/path", 404), ("/@ann?max_id=x", 400)] {
        let json = app.get_with(path, &[("accept", "application/json")]).await;
        assert_eq!((json.status, json.header("content-type")), (status, "application/json"), "{path}");
        assert!(json.json()["error"].is_string() && json.body.len() < 300, "{path}: {}", json.body);
        let page = app.page(path).await;
        assert_eq!((page.status, page.header("content-type")), (status, HTML), "{path}");
        assert!(page.body.contains("<main") && page.body.contains("noindex"), "{path}");
        // A page that is not there may be a draft's, which a cookie opens.
        for (answer, vary) in [(json, "Accept"), (page, "Accept, Cookie")] {
            assert_eq!((answer.header("vary"), answer.header("x-content-type-options")), (vary, "nosniff"));
        }
    }
}

#[tokio::test]
async fn another_method_is_405_with_what_is_allowed() {
    let app = app().await;
    let paths =
        ["/", "/users/ann", "/@ann", "/users/ann/outbox", "/.well-known/webfinger", "/nodeinfo/2.1", "/healthz"];
    for path in paths {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = app.request(method.clone(), path).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], "GET, HEAD", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn an_outage_of_the_database_is_503_with_retry_after_and_never_404() {
    let app = app().await;
    let id = status_id(AT);
    let paths: Vec<String> = negotiated()
        .into_iter()
        .map(|(path, _, _)| path)
        .chain(
            ["/", "/actor", "/users/ann/outbox?page=true", "/users/nobody", "/no/such/path", "/tags/x"]
                .map(str::to_owned),
        )
        .chain([
            format!("/users/ann/contexts/{id}"),
            "/.well-known/webfinger?resource=ann".to_owned(),
            "/readyz".to_owned(),
        ])
        .collect();
    // Every connection of the pool is in use once, so that broken ones are met below.
    futures::future::join_all(paths.iter().map(|path| app.get(path))).await;
    let name = app.database.texts("SELECT current_database()").remove(0);
    let outside = TestDatabase::empty();
    outside.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    outside.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    for path in &paths {
        for accept in ["application/activity+json", BROWSER] {
            let answer = app.get_with(path, &[("accept", accept)]).await;
            assert_eq!(answer.status, 503, "{path}: {}", answer.body);
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{path}");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
    assert_eq!(app.get("/healthz").await.status, 200, "the process itself is well");
    outside.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    assert_eq!(app.get("/users/ann").await.status, 200, "and it comes back by itself");
}
