//! Being found: WebFinger, host-meta, NodeInfo and the server actor.

use crate::activitypub::{account, post, store};
use crate::support::{Answer, TestApp, fixture};
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::operations::accounts;
use serde_json::{Value, json};

const WEBFINGER: &str = "/.well-known/webfinger";

async fn finger(app: &TestApp, resource: &str) -> Answer {
    app.get_with(&format!("{WEBFINGER}?resource={resource}"), &[]).await
}

fn authority(app: &TestApp) -> &str {
    app.base.split_once("://").unwrap().1
}

#[tokio::test]
async fn every_spelling_of_an_account_gets_the_same_answer_whatever_accept_says() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let host = authority(&app);
    let first = finger(&app, &format!("acct:ann@{host}")).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let encoded = host.replace(':', "%3A");
    let spellings = [
        format!("acct%3Aann%40{encoded}"),
        format!("acct:Ann@{}", host.to_uppercase()),
        format!("ann@{host}"),
        format!("@ann@{host}"),
        "ann".to_owned(),
        format!("{}/users/ann", app.base),
        format!("{}/@ann", app.base),
        format!("{}/@ann/", app.base),
    ];
    for resource in spellings {
        for accept in ["application/jrd+json, application/json", "text/html", "application/activity+json", "image/png"]
        {
            let answer = app.get_with(&format!("{WEBFINGER}?resource={resource}"), &[("accept", accept)]).await;
            assert_eq!((answer.status, &answer.body), (200, &first.body), "{resource}, {accept}");
            assert_eq!(answer.header("content-type"), "application/jrd+json; charset=utf-8");
        }
    }
}

#[tokio::test]
async fn the_jrd_names_the_actor_and_nothing_that_a_reader_could_mistake_for_one() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let avatar = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    app.set("ann", &[&format!("avatar={}", avatar.display())]).await;
    let jrd = finger(&app, &format!("acct:ann@{}", authority(&app))).await.json();
    let picture = app.object("/users/ann").await["icon"]["url"].clone();
    let expected = json!({
        "subject": format!("acct:ann@{}", authority(&app)),
        "aliases": [format!("{}/@ann", app.base), format!("{}/users/ann", app.base)],
        "links": [
            { "rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": format!("{}/@ann", app.base) },
            { "rel": "self", "type": "application/activity+json", "href": format!("{}/users/ann", app.base) },
            { "rel": "http://webfinger.net/rel/avatar", "type": "image/png", "href": picture },
        ],
    });
    assert_eq!(jrd, expected);
    let actor = app.object("/users/ann").await;
    assert_eq!(actor["id"], jrd["links"][1]["href"], "self is the actor's id, byte for byte (R-12)");
    assert_eq!(format!("acct:{}", actor["webfinger"].as_str().unwrap()), jrd["subject"].as_str().unwrap());
}

#[tokio::test]
async fn rel_filters_the_links_and_nothing_else() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let ask = async |rels: &str| finger(&app, &format!("ann{rels}")).await.json();
    let rels = |jrd: &Value| -> Vec<String> {
        jrd["links"].as_array().unwrap().iter().map(|link| link["rel"].as_str().unwrap().to_owned()).collect()
    };
    let whole = ask("").await;
    for (query, expected) in [
        ("&rel=self", vec!["self"]),
        (
            "&rel=self&rel=http%3A%2F%2Fwebfinger.net%2Frel%2Fprofile-page",
            vec!["http://webfinger.net/rel/profile-page", "self"],
        ),
        ("&rel=lrdd", vec![]),
    ] {
        let jrd = ask(query).await;
        assert_eq!(rels(&jrd), expected, "{query}");
        assert_eq!((&jrd["subject"], &jrd["aliases"]), (&whole["subject"], &whole["aliases"]));
    }
}

#[tokio::test]
async fn a_malformed_resource_is_400_and_an_unknown_one_404_both_readable_from_anywhere() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let host = authority(&app);
    for query in ["", "?", "?resource=", "?rel=self", "?resource=acct:", "?resource=acct:@", "?resource=mailto:ann"] {
        let answer = app.get_with(&format!("{WEBFINGER}{query}"), &[]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (400, "*"), "{query}");
        assert!(answer.json()["error"].is_string());
    }
    let unknown = [
        format!("acct:bob@{host}"),
        "acct:ann@other.example".to_owned(),
        "https://other.example/@ann".to_owned(),
        format!("{}/@ann/1", app.base),
        format!("{}/users/ann/outbox", app.base),
        "acct:a%20b@x.example".to_owned(),
    ];
    for resource in unknown {
        let answer = finger(&app, &resource).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (404, "*"), "{resource}");
        assert!(answer.json()["error"].is_string());
    }
}

#[tokio::test]
async fn a_deleted_account_is_404_and_never_410() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    accounts::delete(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    for resource in ["ann".to_owned(), format!("acct:ann@{}", authority(&app)), format!("{}/users/ann", app.base)] {
        assert_eq!(finger(&app, &resource).await.status, 404, "{resource}");
    }
}

#[tokio::test]
async fn a_draft_is_404_until_it_is_published() {
    let app = TestApp::start_at("https://mirror.example").await;
    account(&app, "ann").await;
    assert_eq!(finger(&app, "acct:ann@mirror.example").await.status, 404);
    accounts::publish(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    let jrd = finger(&app, "acct:ann@mirror.example").await.json();
    assert_eq!(jrd["links"][1]["href"], "https://mirror.example/users/ann");
}

#[tokio::test]
async fn a_handle_on_another_domain_is_the_subject_of_both_spellings() {
    let app = TestApp::start_at("https://mirror.example").await;
    account(&app, "ann").await;
    accounts::publish(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    app.set("ann", &["handle_domain=person.example"]).await;
    for resource in ["acct:ann@person.example", "acct:ann@mirror.example", "https://mirror.example/users/ann"] {
        let jrd = finger(&app, resource).await.json();
        assert_eq!(jrd["subject"], "acct:ann@person.example", "{resource}");
        assert_eq!(jrd["links"][1]["href"], "https://mirror.example/users/ann", "{resource}");
    }
    let actor = app.object("/users/ann").await;
    assert_eq!((&actor["webfinger"], &actor["preferredUsername"]), (&json!("ann@person.example"), &json!("ann")));
    assert_eq!(finger(&app, "acct:ann@other.example").await.status, 404);
}

#[tokio::test]
async fn discovery_can_be_cached_for_three_days_and_asked_for_by_head() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let paths = [
        format!("{WEBFINGER}?resource=ann"),
        "/.well-known/host-meta".to_owned(),
        "/.well-known/host-meta.json".to_owned(),
        "/.well-known/nodeinfo".to_owned(),
    ];
    for path in paths {
        let answer = app.get_with(&path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), "public, max-age=259200", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let etag = answer.header("etag");
        let again = app.get_with(&path, &[("if-none-match", etag)]).await;
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", etag), "{path}");
        let head = app.request(reqwest::Method::HEAD, &path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        for name in ["content-type", "content-length", "etag", "access-control-allow-origin", "cache-control"] {
            assert_eq!(head.headers()[name], answer.headers[name], "{path}: {name}");
        }
        assert_eq!(head.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn host_meta_is_xrd_in_its_namespace_and_json_to_who_asks_for_it() {
    let app = TestApp::start().await;
    let template = format!("{}/.well-known/webfinger?resource={{uri}}", app.base);
    let xrd = app.get_with("/.well-known/host-meta", &[]).await;
    assert_eq!(xrd.header("content-type"), "application/xrd+xml; charset=utf-8");
    assert_eq!(xrd.header("vary"), "Accept");
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n  \
         <Link rel=\"lrdd\" template=\"{template}\"/>\n</XRD>\n"
    );
    assert_eq!(xrd.body, expected);
    let json = json!({ "links": [{ "rel": "lrdd", "template": template }] });
    let asked = app.get_with("/.well-known/host-meta", &[("accept", "application/json")]).await;
    for answer in [asked, app.get_with("/.well-known/host-meta.json", &[]).await] {
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(answer.json(), json);
    }
}

#[tokio::test]
async fn nodeinfo_is_exact_in_both_versions_and_counts_live_accounts_and_their_listed_posts() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let [first, second] = [post("2024-01-01T10:00:00Z"), post("2024-01-02T10:00:00Z")];
    let answers_a_stranger = crate::activitypub::reply("2024-01-03T10:00:00Z", "https://elsewhere.example/@bob/1");
    store(&app, "ann", &[first, second, answers_a_stranger]).await;
    let links = app.get_with("/.well-known/nodeinfo", &[]).await.json();
    let schema = "http://nodeinfo.diaspora.software/ns/schema";
    let expected = json!({ "links": [
        { "rel": format!("{schema}/2.1"), "href": format!("{}/nodeinfo/2.1", app.base) },
        { "rel": format!("{schema}/2.0"), "href": format!("{}/nodeinfo/2.0", app.base) },
        { "rel": "https://www.w3.org/ns/activitystreams#Application", "href": format!("{}/actor", app.base) },
    ] });
    assert_eq!(links, expected);
    for version in ["2.0", "2.1"] {
        let answer = app.get_with(&format!("/nodeinfo/{version}"), &[]).await;
        assert_eq!(answer.header("content-type"), format!("application/json; profile=\"{schema}/{version}#\""));
        assert_eq!(answer.header("cache-control"), "public, max-age=1800");
        let mut document = answer.json();
        let metadata = document.as_object_mut().unwrap().remove("metadata").unwrap();
        let expected = json!({
            "version": version,
            "software": { "name": "everpost", "version": env!("CARGO_PKG_VERSION") },
            "protocols": ["activitypub"],
            "services": { "inbound": [], "outbound": ["atom1.0", "rss2.0"] },
            "openRegistrations": false,
            "usage": { "users": { "total": 1 }, "localPosts": 2 },
        });
        assert_eq!(document, expected);
        assert_eq!(metadata["archive"], true);
    }
    assert_eq!(app.get_with("/nodeinfo/1.0", &[]).await.status, 404);
}

#[tokio::test]
async fn nodeinfo_and_federation_md_name_the_same_proposals() {
    let app = TestApp::start().await;
    let metadata = app.get_with("/nodeinfo/2.1", &[]).await.json()["metadata"].clone();
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/FEDERATION.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| FEP-"));
    let named: Vec<&str> = rows.map(|row| row.split(':').next().unwrap()).collect();
    assert_eq!(metadata["feps"], json!(named));
}

#[tokio::test]
async fn the_server_actor_is_readable_unsigned_and_has_keys_and_collections_of_its_own() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let id = format!("{}/actor", app.base);
    let answer = app.get("/actor").await;
    assert_eq!(answer.header("content-type"), "application/activity+json; charset=utf-8");
    let actor = answer.json();
    assert_eq!((&actor["id"], &actor["type"]), (&json!(id), &json!("Application")));
    assert_eq!(actor["preferredUsername"], authority(&app));
    assert_eq!((&actor["inbox"], &actor["outbox"]), (&json!(format!("{id}/inbox")), &json!(format!("{id}/outbox"))));
    assert_eq!(actor["publicKey"]["id"], format!("{id}#main-key"));
    assert_eq!(actor["publicKey"]["owner"], id);
    let other = app.object("/users/ann").await;
    assert_ne!(actor["publicKey"]["publicKeyPem"], other["publicKey"]["publicKeyPem"], "keys are not shared");
    let outbox = app.object("/actor/outbox").await;
    assert_eq!((&outbox["type"], &outbox["totalItems"]), (&json!("OrderedCollection"), &json!(0)));
    let inbox = app.request(reqwest::Method::POST, "/actor/inbox").send().await.unwrap();
    assert_eq!(inbox.status(), 415, "it wants to know what comes");
    let inbox = app.request(reqwest::Method::POST, "/actor/inbox").header("content-type", "application/activity+json");
    let inbox = inbox.send().await.unwrap();
    assert_eq!(inbox.status(), 401, "it takes what is signed");
}

#[tokio::test]
async fn the_server_itself_is_found_by_its_url_and_by_its_host() {
    let app = TestApp::start().await;
    let host = authority(&app);
    let link =
        |rel: &str| json!({ "rel": rel, "type": "application/activity+json", "href": format!("{}/actor", app.base) });
    for (resource, subject) in [
        (format!("{}/", app.base), format!("{}/", app.base)),
        (format!("acct:{host}@{host}"), format!("acct:{host}@{host}")),
    ] {
        let jrd = finger(&app, &resource).await.json();
        assert_eq!(jrd["subject"], subject);
        assert_eq!(jrd["links"], json!([link("self"), link("https://www.w3.org/ns/activitystreams#Service")]));
    }
}
