//! The static site: whole by itself, the same as the server, in a browser and behind a plain web server.

use crate::activitypub::{app_with, post, reply};
use crate::outside_readers::outside;
use crate::support::{Program, TestApp, fixture, status_id};
use everpost::domain::ids::PostId;
use everpost::domain::post::NewPost;
use everpost::http::site::{Wanted, Written, write};
use everpost::text::SafeHtml;
use scraper::{Html, Selector};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A site of an account, with everything in it that `admits` says.
async fn site_of(
    app: &TestApp,
    handle: &str,
    admits: &(dyn Fn(&str, &[String]) -> bool + Sync),
) -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let account = app.account(handle).await;
    let admits = |at: chrono::DateTime<chrono::Utc>, tags: &[String]| admits(&at.to_rfc3339(), tags);
    let wanted = Wanted { account: &account, admits: &admits, now: chrono::Utc::now() };
    let written = write(&app.app, &wanted, folder.path(), &|_, _| {}).await.unwrap();
    (folder, written)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Every page of a site with its path from the root.
fn pages(folder: &Path) -> BTreeMap<String, Html> {
    let pages = files(folder).into_iter().filter(|path| path.ends_with("index.html"));
    let name = |path: &Path| path.parent().unwrap().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    pages.map(|path| (name(&path), Html::parse_document(&std::fs::read_to_string(&path).unwrap()))).collect()
}

/// Every link and every file of every page that is not somewhere else leads to a file of the site; how many there are.
fn check_links(folder: &Path) -> usize {
    let selector = Selector::parse("[href], [src], [srcset]").unwrap();
    let mut checked = 0;
    for (page, html) in pages(folder) {
        for element in html.select(&selector) {
            let name = element.value().name();
            let loads = matches!(name, "img" | "video" | "audio" | "source" | "script")
                || element.attr("rel") == Some("stylesheet");
            let set = element.attr("srcset").unwrap_or_default().split(", ").filter_map(|item| item.split(' ').next());
            let links = [element.attr("href"), element.attr("src")].into_iter().flatten().chain(set);
            for link in links.filter(|link| !link.is_empty() && !link.starts_with('#')) {
                assert!(!link.starts_with('/'), "{page}: {link} leads out of the site");
                if link.contains("://") || link.starts_with("mailto:") {
                    assert!(!loads, "{page}: {link} is loaded from elsewhere");
                    continue;
                }
                let path = link.split(['?', '#']).next().unwrap();
                let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned();
                let target = folder.join(&page).join(&path);
                let target = if path.ends_with('/') { target.join("index.html") } else { target };
                assert!(target.is_file(), "{page}: {link} leads to {}", target.display());
                checked += 1;
            }
        }
    }
    checked
}

#[tokio::test]
async fn every_link_of_a_site_leads_to_a_file_of_it_and_nothing_is_loaded_from_elsewhere() {
    for (name, handle) in [("hugo-mastodon-to-hugo-v1", "juno"), ("mastodon-4.6", "oren"), ("akkoma-3.10", "petra")] {
        let app = TestApp::start().await;
        app.try_import(&fixture(name), None).await.unwrap();
        app.set(handle, &["publish.replies=true", "publish.boosts=true"]).await;
        let (folder, written) = site_of(&app, handle, &|_, _| true).await;
        let shown = app.app.store.count_listed(app.account(handle).await.id).await.unwrap();
        assert_eq!(written.posts + written.boosts, u64::try_from(shown).unwrap(), "{name}");
        let checked = check_links(folder.path());
        assert!(checked > 50, "{name}: {checked} links");
        let pages = pages(folder.path());
        let posts = pages.keys().filter(|page| page.starts_with(&format!("@{handle}/")) && !page.contains("years"));
        assert_eq!(posts.count() as u64, written.posts, "{name}: each post has its page");
    }
}

#[tokio::test]
async fn each_page_shows_what_the_servers_page_shows_and_has_its_object_beside_it() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let (folder, _) = site_of(&app, "juno", &|_, _| true).await;
    let article = Selector::parse("article .post-text, article time, article img, h1").unwrap();
    let shown = |html: &Html| -> Vec<String> {
        let alt = |element: scraper::ElementRef| element.attr("alt").unwrap_or_default().to_owned();
        html.select(&article).map(|element| element.text().collect::<String>() + &alt(element)).collect()
    };
    let mut compared = 0;
    for (page, html) in pages(folder.path()) {
        let Some(id) = page.strip_prefix("@juno/").filter(|id| !id.contains("years")) else { continue };
        assert_eq!(shown(&html), shown(&Html::parse_document(&app.page(&format!("/@juno/{id}")).await.body)), "{page}");
        let beside: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.path().join(&page).join("index.json")).unwrap())
                .unwrap();
        assert_eq!(beside, app.object(&format!("/users/juno/statuses/{id}")).await, "{page}");
        compared += 1;
    }
    assert_eq!(compared, 13);
    let actor = std::fs::read_to_string(folder.path().join("@juno/index.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&actor).unwrap(), app.object("/users/juno").await);
}

#[tokio::test]
async fn a_site_of_a_part_does_not_link_what_is_not_in_it() {
    let at = |n: u32| format!("2024-01-{n:02}T10:00:00Z");
    let first = format!("https://origin.example/@ann/{}", status_id(&at(1)));
    let tagged = |n| NewPost { tags: vec!["blåbær".to_owned(), "a/b".to_owned()], ..post(&at(n)) };
    let app = app_with(&[
        post(&at(1)),
        reply(&at(2), &first),
        tagged(3),
        NewPost { tags: vec!["blåbær".to_owned()], ..reply(&at(4), &first) },
    ])
    .await;
    let (folder, written) = site_of(&app, "ann", &|at, _| at >= "2024-01-02").await;
    assert_eq!((written.posts, written.notes.len()), (3, 1), "{:?}", written.notes);
    check_links(&remove_link(folder.path(), "a/b"));
    assert!(!folder.path().join(format!("@ann/{}", status_id(&at(1)))).exists());
    let (folder, written) = site_of(&app, "ann", &|_, tags| tags.contains(&"blåbær".to_owned())).await;
    assert_eq!(written.posts, 2);
    assert!(folder.path().join("tags/blåbær/index.html").is_file());
    let everything: String = pages(folder.path()).values().map(Html::html).collect();
    assert!(!everything.contains(&status_id(&at(2)).to_string()), "nothing tells of the others");
}

/// The same folder. A hashtag that can have no folder has no page either, and is the one thing that stays without one.
fn remove_link(folder: &Path, tag: &str) -> PathBuf {
    for page in files(folder).into_iter().filter(|path| path.ends_with("index.html")) {
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(!text.contains(&format!("tags/{}/", tag.replace('/', "%2F"))), "{}", page.display());
    }
    folder.to_owned()
}

#[tokio::test]
async fn a_long_thread_takes_a_bounded_page_for_each_post_and_many_posts_several_pages() {
    let at = |n: i64| {
        chrono::DateTime::from_timestamp(1_704_100_000 + n * 60, 0)
            .unwrap()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    let first = format!("https://origin.example/@ann/{}", status_id(&at(0)));
    let mut posts = vec![post(&at(0))];
    posts.extend((1..70).map(|n| reply(&at(n), &first)));
    let app = app_with(&posts).await;
    let (folder, _) = site_of(&app, "ann", &|_, _| true).await;
    check_links(folder.path());
    let pages = pages(folder.path());
    let article = Selector::parse("article").unwrap();
    let count = |page: &str| pages[page].select(&article).count();
    for n in [0, 30, 69] {
        let page = format!("@ann/{}", status_id(&at(n)));
        assert_eq!(count(&page), 50, "{page}");
        assert!(pages[&page].html().contains("A thread of 70 posts"));
        assert_eq!(pages[&page].select(&Selector::parse("article.is-focused").unwrap()).count(), 1);
    }
    let years: Vec<(&str, usize)> =
        pages.keys().filter(|page| page.contains("years")).map(|page| (page.as_str(), count(page))).collect();
    let expected = ["@ann/years/2024", "@ann/years/2024/page-2", "@ann/years/2024/page-3", "@ann/years/2024/page-4"];
    assert_eq!(years, expected.map(|page| (page, if page.ends_with('4') && page.contains("page") { 10 } else { 20 })));
    assert_eq!(count("@ann"), 20);
}

/// A program that serves a folder until this value goes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Start a server, and wait until it takes connections.
fn serve(command: &mut Command, port: u16) -> Server {
    let server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the server did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

#[tokio::test]
async fn a_plain_web_server_answers_old_addresses_with_the_page_or_the_object() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let (folder, _) = site_of(&app, "juno", &|_, _| true).await;
    let port = free_port();
    // The configuration that the documentation gives.
    let page = include_str!("../../docs/static-site.md");
    let block = page.split_once("```caddyfile\n").unwrap().1.split_once("```").unwrap().0;
    let config = block
        .replace("posts.example.org", &format!("http://127.0.0.1:{port}"))
        .replace("/srv/ann-site", folder.path().to_str().unwrap());
    let home = tempfile::tempdir().unwrap();
    let caddyfile = home.path().join("Caddyfile");
    std::fs::write(&caddyfile, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{config}")).unwrap();
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(&caddyfile).env("HOME", home.path());
    let _caddy = serve(&mut caddy, port);
    let ask = async |path: &str, accept: &str| {
        let request = app.client.get(format!("http://127.0.0.1:{port}{path}")).header("accept", accept);
        crate::support::Answer::read(request.send().await.unwrap()).await
    };
    let note = app.walk_outbox("juno").await[3]["object"]["id"].as_str().unwrap().replace(&app.base, "");
    let id = note.rsplit('/').next().unwrap();
    for path in
        [note.clone(), format!("/@juno/{id}"), format!("/@juno/{id}/"), "/users/juno".to_owned(), "/@juno".to_owned()]
    {
        let object = ask(&path, "application/activity+json").await;
        assert_eq!((object.status, object.header("content-type")), (200, "application/activity+json"), "{path}");
        assert_eq!(object.header("vary"), "Accept");
        let own = if path.contains(id) { &note } else { "/users/juno" };
        assert_eq!(object.json()["id"], format!("{}{own}", app.base), "{path}");
        let mut page = ask(&path, "text/html").await;
        if matches!(page.status, 302 | 308) {
            // An id leads to the page, and a folder's name to the one with a slash.
            let there = page.location().to_owned();
            page = ask(&there, "text/html").await;
        }
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
    }
    let found = ask("/.well-known/webfinger?resource=acct:juno@x", "application/jrd+json").await;
    assert_eq!((found.status, found.header("content-type")), (200, "application/jrd+json"));
    assert_eq!(found.header("access-control-allow-origin"), "*");
    assert_eq!(ask("/users/juno/outbox", "application/activity+json").await.json()["totalItems"], 13);
}

#[tokio::test]
async fn a_browser_shows_a_site_from_a_plain_file_server_and_finds_words_in_it() {
    let app = TestApp::start().await;
    app.import(&fixture("hugo-mastodon-to-hugo-v1")).await;
    let account = app.account("juno").await;
    let odd = |at: &str, html: &str, warning: Option<&str>| NewPost {
        content: SafeHtml::sanitise(html),
        warning: warning.map(str::to_owned),
        key: everpost::domain::source::SourceKey(format!("mastodon:origin.example:{}", status_id(at))),
        ..post(at)
    };
    let posts = [
        odd("2024-05-01T10:00:00Z", "<p>A &lt;b&gt;zymurgist&lt;/b&gt; &amp; kettles</p>", None),
        odd("2024-05-02T10:00:00Z", "<p>The arachnid behind it</p>", Some("Octopods")),
    ];
    let import = app
        .app
        .store
        .begin_import(account.id, &[], everpost::domain::source::Format::HugoBundle, chrono::Utc::now())
        .await
        .unwrap();
    app.app.store.ingest(account.id, &posts, Some(import), None, chrono::Utc::now()).await.unwrap();
    let (folder, _) = site_of(&app, "juno", &|_, _| true).await;
    // Below a folder, so that nothing leans on being at the root.
    let root = tempfile::tempdir().unwrap();
    std::fs::rename(folder.path(), root.path().join("sub")).unwrap();
    let port = free_port();
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(root.path()).arg(port.to_string());
    let _server = serve(&mut server, port);
    let at = |path: &str| format!("http://127.0.0.1:{port}/sub/{path}");
    let thread = format!("@juno/{}/", PostId(status_id("2024-05-01T10:00:00Z")));
    let addresses = [at("@juno/"), at(&thread), at("search/?q=clock")];
    let pictures = tempfile::tempdir().unwrap();
    let mut arguments = vec!["screenshots.mjs", "--out", pictures.path().to_str().unwrap()];
    arguments.extend(addresses.iter().map(String::as_str));
    let taken = outside(&arguments).await;
    assert_eq!(taken.len(), 12, "each page on phone and desktop, in light and dark: {taken:?}");
    let found = outside(&["search.mjs", &at("search/"), "zymurgist", "kettle", "octopods", "arachnid"]).await;
    let counts: Vec<_> = found.iter().map(|line| line["results"].as_array().unwrap().len()).collect();
    assert_eq!(counts[..3], [1, 1, 1], "a stem is found: {found:?}");
    // For a word that is nowhere the library gives what begins like it, and that is not behind a warning.
    let warned = at(&format!("@juno/{}/", status_id("2024-05-02T10:00:00Z")));
    let nearby = found[3]["results"].as_array().unwrap();
    assert!(nearby.iter().all(|result| result["url"] != warned.as_str()), "{nearby:?}");
    assert!(found.iter().all(|line| !line.to_string().contains("behind it")), "{found:?}");
    assert_eq!(found[0]["results"][0]["url"], at(&thread));
    assert!(found[0]["results"][0]["marked"].as_str().unwrap().contains("zymurgist"));
    assert!(
        found[0]["results"][0]["text"].as_str().unwrap().contains("<b>zymurgist</b>"),
        "markup in a post is text: {found:?}"
    );
}

#[test]
fn the_program_writes_a_site_whole_or_not_at_all() {
    let program = Program::new();
    program.ok(&["import", fixture("hugo-mastodon-to-hugo-v1").to_str().unwrap()]);
    let place = program.scratch().join("site");
    let report = program.json(&["export", "--format", "site", "--output", place.to_str().unwrap(), "--json"]);
    assert_eq!((&report["posts"], &report["media_missing"]), (&13.into(), &0.into()), "{report}");
    assert!(check_links(&place) > 50);
    let again = program.run(&["export", "--format", "site", "--output", place.to_str().unwrap()]);
    assert_eq!(again.code, 1, "what is there is not written over");
    let private = program.scratch().join("private");
    let refused =
        program.run(&["export", "--format", "site", "--include-private", "--output", private.to_str().unwrap()]);
    assert!(refused.code != 0 && !private.exists(), "{refused:?}");
}
