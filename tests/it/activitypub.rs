//! Actors and Notes field by field (R-19 to R-32, R-43 to R-67); rows for tests that no archive can write yet.

use crate::support::{Bundle, TestApp, fixture, status_id};
use chrono::{DateTime, Utc};
use everpost::domain::account::{Account, Handle};
use everpost::domain::details::Details;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Attachment, NewPost, Visibility};
use everpost::domain::source::{Author, DateOrigin, Format, MediaKind, PostLink, SourceKey};
use everpost::domain::told::MediaTold;
use everpost::operations::accounts;
use everpost::text::SafeHtml;
use serde_json::{Value, json};

const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// A new account that keeps the posts of `@HANDLE@origin.example`.
pub async fn account(app: &TestApp, handle: &str) -> Account {
    let source = Author { host: "origin.example".to_owned(), user: handle.to_owned() };
    let actor = format!("https://origin.example/users/{handle}");
    accounts::create(&app.app, &Handle::parse(handle).unwrap(), Some(source), Some(actor), Utc::now()).await.unwrap()
}

/// A post as an import would store it, published at `at`.
pub fn post(at: &str) -> NewPost {
    let published: DateTime<Utc> = at.parse().unwrap();
    let id = status_id(at);
    NewPost {
        at: "test".to_owned(),
        key: SourceKey(format!("mastodon:origin.example:{id}")),
        preferred_id: PostId(id),
        object_id: Some(format!("https://origin.example/users/ann/statuses/{id}")),
        object_id_stated: false,
        canonical_url: Some(format!("https://origin.example/@ann/{id}")),
        visibility: Visibility::Public,
        published,
        date_origin: DateOrigin::StatusId,
        edited: None,
        content: SafeHtml::sanitise(&format!("<p>Written at {at}.</p>")),
        warning: None,
        sensitive: false,
        language: None,
        tags: Vec::new(),
        reply_to: None,
        attachments: Vec::new(),
        details: Details::default(),
        boost_of: None,
        refers_to: None,
        format: Format::HugoBundle,
        reader_version: 1,
        source_sha256: openssl::sha::sha256(at.as_bytes()),
        source_bytes: Vec::new(),
        remarks: Vec::new(),
    }
}

/// A post that answers the one at `url`.
pub fn reply(at: &str, url: &str) -> NewPost {
    NewPost { reply_to: Some(PostLink::read(&url.parse().unwrap()).key), ..post(at) }
}

/// Store posts, as one batch of an import.
pub async fn store(app: &TestApp, handle: &str, posts: &[NewPost]) {
    let account = app.account(handle).await;
    let import = app.app.store.begin_import(account.id, &[], Format::HugoBundle, Utc::now()).await.unwrap();
    app.app.store.ingest(account.id, posts, Some(import), None, Utc::now()).await.unwrap();
}

/// Levels of arrays and objects inside each other.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn note_path(at: &str) -> String {
    format!("/users/ann/statuses/{}", status_id(at))
}

pub async fn app_with(posts: &[NewPost]) -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    store(&app, "ann", posts).await;
    app
}

#[tokio::test]
async fn the_actor_has_every_field_that_other_servers_need() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    app.set("ann", &["name=Ann", "summary=Clocks & tides.", "field.Site=https://ann.example/", "field.Likes=<b>"])
        .await;
    let actor = app.object("/users/ann").await;
    let id = format!("{}/users/ann", app.base);
    let host = app.base.split_once("://").unwrap().1;
    assert_eq!(actor["@context"][0], "https://www.w3.org/ns/activitystreams");
    for (field, expected) in [
        ("id", json!(id)),
        ("type", json!("Person")),
        ("preferredUsername", json!("ann")),
        ("webfinger", json!(format!("ann@{host}"))),
        ("name", json!("Ann")),
        ("summary", json!("<p>Clocks &amp; tides.</p>")),
        ("url", json!(format!("{}/@ann", app.base))),
        ("inbox", json!(format!("{id}/inbox"))),
        ("outbox", json!(format!("{id}/outbox"))),
        ("followers", json!(format!("{id}/followers"))),
        ("following", json!(format!("{id}/following"))),
        ("featured", json!(format!("{id}/collections/featured"))),
        ("featuredTags", json!(format!("{id}/collections/tags"))),
        ("endpoints", json!({ "sharedInbox": format!("{}/inbox", app.base) })),
        ("manuallyApprovesFollowers", json!(false)),
        ("discoverable", json!(false)),
        ("indexable", json!(false)),
        ("alsoKnownAs", json!(["https://origin.example/users/ann"])),
        ("attributionDomains", json!([app.base.split("://").nth(1).unwrap().split(':').next().unwrap()])),
        ("tag", json!([])),
    ] {
        assert_eq!(actor[field], expected, "{field}");
    }
    let link = |to: &str| format!("<a href=\"{to}\" rel=\"me nofollow noopener\">{to}</a>");
    let row = |name: &str, value: &str| json!({ "type": "PropertyValue", "name": name, "value": value });
    let rows = [
        row("Original account", &link("https://origin.example/@ann")),
        row("Site", &link("https://ann.example/")),
        row("Likes", "&lt;b&gt;"),
    ];
    assert_eq!(actor["attachment"], json!(rows));
    let published = actor["published"].as_str().unwrap();
    assert!(published.ends_with('Z') && published.len() == "2024-01-01T00:00:00Z".len(), "{published}");
    for never in ["suspended", "movedTo", "icon", "image"] {
        assert!(actor.get(never).is_none(), "{never}");
    }
    assert!(depth(&actor) <= 7);
}

#[tokio::test]
async fn the_actor_has_one_rsa_key_as_an_object_and_an_ed25519_key_as_a_multikey() {
    let app = app_with(&[]).await;
    let actor = app.object("/users/ann").await;
    let id = actor["id"].as_str().unwrap();
    let key = actor["publicKey"].as_object().unwrap();
    assert_eq!(key.keys().collect::<Vec<_>>(), ["id", "owner", "publicKeyPem"]);
    assert_eq!((&key["id"], &key["owner"]), (&json!(format!("{id}#main-key")), &json!(id)));
    let pem = openssl::rsa::Rsa::public_key_from_pem(key["publicKeyPem"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(pem.size() * 8, 2048);
    let [multikey] = actor["assertionMethod"].as_array().unwrap().as_slice() else { panic!("one Multikey") };
    assert_eq!((&multikey["type"], &multikey["controller"]), (&json!("Multikey"), &json!(id)));
    assert!(multikey["id"].as_str().unwrap().starts_with(&format!("{id}#")));
    assert_ne!(multikey["id"], key["id"]);
    assert!(multikey["publicKeyMultibase"].as_str().unwrap().starts_with("z6Mk"));
}

#[tokio::test]
async fn a_third_party_mirror_is_a_service_that_is_unlisted_and_not_to_be_quoted() {
    let app = app_with(&[post("2024-01-01T10:00:00Z")]).await;
    app.set("ann", &["discoverable=true", "indexable=true", "operator=third-party"]).await;
    let actor = app.object("/users/ann").await;
    assert_eq!(actor["type"], "Service");
    assert_eq!((&actor["discoverable"], &actor["indexable"]), (&json!(false), &json!(false)));
    let note = app.object(&note_path("2024-01-01T10:00:00Z")).await;
    assert_eq!((&note["to"], &note["cc"]), (&json!([actor["followers"]]), &json!([PUBLIC])));
    assert_eq!(note["interactionPolicy"], json!({ "canQuote": { "automaticApproval": [actor["id"]] } }));
}

#[tokio::test]
async fn a_note_is_a_template_of_strings_and_arrays_that_strict_readers_accept() {
    let at = "2024-04-05T00:39:47.731Z";
    let english = NewPost { language: Some("en".to_owned()), ..post(at) };
    let app = app_with(&[english]).await;
    let note = app.object(&note_path(at)).await;
    let id = status_id(at);
    let actor = format!("{}/users/ann", app.base);
    let note_id = format!("{actor}/statuses/{id}");
    let origin = format!("https://origin.example/@ann/{id}");
    let content = format!(
        "<p>Written at {at}.</p><p>Archived from <a href=\"{origin}\" rel=\"nofollow noopener\" translate=\"no\">\
         origin.example/@ann/{id}</a></p>"
    );
    let count = |path: &str| json!({ "id": format!("{note_id}/{path}"), "type": "Collection", "totalItems": 0 });
    let replies = format!("{note_id}/replies");
    let expected = json!({
        "@context": note["@context"],
        "id": note_id,
        "type": "Note",
        "url": [
            format!("{}/@ann/{id}", app.base),
            { "type": "Link", "rel": "canonical", "mediaType": "text/html", "href": origin },
        ],
        "attributedTo": actor,
        "published": "2024-04-05T00:39:47Z",
        "to": [PUBLIC],
        "cc": [format!("{actor}/followers")],
        "summary": null,
        "sensitive": false,
        "inReplyTo": null,
        "content": content,
        "contentMap": { "en": content },
        "attachment": [],
        "tag": [],
        "context": format!("{actor}/contexts/{id}"),
        "conversation": format!("{actor}/contexts/{id}"),
        "replies": { "id": replies, "type": "Collection", "first": {
            "id": format!("{replies}?page=1"), "type": "CollectionPage", "partOf": replies, "items": [],
        } },
        "likes": count("likes"),
        "shares": count("shares"),
        "interactionPolicy": { "canQuote": { "automaticApproval": [PUBLIC] } },
        "proof": note["proof"],
    });
    assert_eq!(note, expected);
    assert_eq!(note["@context"][0], "https://www.w3.org/ns/activitystreams");
    assert!(note.get("name").is_none() && depth(&note) <= 7);
}

#[tokio::test]
async fn the_origins_object_is_linked_only_where_the_source_states_its_id() {
    let (guessed, stated, homeless) = ("2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z", "2024-01-03T10:00:00Z");
    let posts = [
        post(guessed),
        NewPost { object_id_stated: true, ..post(stated) },
        NewPost { canonical_url: None, object_id: None, ..post(homeless) },
    ];
    let app = app_with(&posts).await;
    let links = async |at: &str| app.object(&note_path(at)).await["url"].as_array().unwrap().clone();
    assert_eq!(links(guessed).await.len(), 2);
    let three = links(stated).await;
    assert!(three[0].is_string() && three.len() == 3, "{three:?}");
    let href = format!("https://origin.example/users/ann/statuses/{}", status_id(stated));
    let alternate =
        json!({ "type": "Link", "rel": "alternate", "mediaType": "application/activity+json", "href": href });
    assert_eq!(three[2], alternate);
    assert_eq!(
        app.object(&note_path(stated)).await["previously"],
        json!([{ "actor": "https://origin.example/users/ann", "id": href }])
    );
    assert_eq!(app.object(&note_path(guessed)).await.get("previously"), None);
    assert_eq!(links(homeless).await, [json!(format!("{}/@ann/{}", app.base, status_id(homeless)))]);
    let content = app.object(&note_path(homeless)).await["content"].clone();
    assert!(!content.as_str().unwrap().contains("Archived from"), "nothing to link to: {content}");
}

#[tokio::test]
async fn the_provenance_line_can_be_turned_off() {
    let at = "2024-01-01T10:00:00Z";
    let app = app_with(&[post(at)]).await;
    let content = async || app.object(&note_path(at)).await["content"].as_str().unwrap().to_owned();
    assert!(content().await.ends_with("</a></p>") && content().await.contains("<p>Archived from <a href="));
    app.set("ann", &["provenance_line=false"]).await;
    assert_eq!(content().await, format!("<p>Written at {at}.</p>"));
}

#[tokio::test]
async fn hashtags_are_sent_for_recent_posts_unless_told_otherwise() {
    let (old, fresh) = ("2020-01-01T10:00:00Z", Utc::now() - chrono::Duration::days(3));
    let fresh = fresh.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let tagged = |at: &str| NewPost { tags: vec!["tides".to_owned(), "blåbær".to_owned()], ..post(at) };
    let app = app_with(&[tagged(old), tagged(&fresh)]).await;
    let tag = |name: &str, path: &str| json!({ "type": "Hashtag", "href": format!("{}/tags/{path}", app.base), "name": name });
    let both = json!([tag("#tides", "tides"), tag("#blåbær", "bl%C3%A5b%C3%A6r")]);
    for (setting, of_old, of_fresh) in
        [("recent", json!([]), both.clone()), ("on", both.clone(), both.clone()), ("off", json!([]), json!([]))]
    {
        app.set("ann", &[&format!("hashtags={setting}")]).await;
        assert_eq!(app.object(&note_path(old)).await["tag"], of_old, "{setting}");
        assert_eq!(app.object(&note_path(&fresh)).await["tag"], of_fresh, "{setting}");
    }
}

#[tokio::test]
async fn a_mention_stays_a_plain_link_and_notifies_nobody() {
    let at = "2024-01-01T10:00:00Z";
    let html = r#"<p><a href="https://b.example/@bob" class="u-url mention" rel="me">@<span>bob</span></a> hi</p>"#;
    let app = app_with(&[NewPost { content: SafeHtml::sanitise(html), ..post(at) }]).await;
    let note = app.object(&note_path(at)).await;
    assert_eq!(note["tag"], json!([]));
    assert!(!note["to"].to_string().contains("bob") && !note["cc"].to_string().contains("bob"));
    let content = note["content"].as_str().unwrap();
    assert!(content.contains("https://b.example/@bob") && !content.contains("rel=\"me"), "{content}");
}

#[tokio::test]
async fn attachments_have_type_url_and_the_alternative_text_as_it_was() {
    let at = "2024-01-01T10:00:00Z";
    let app = app_with(&[]).await;
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    let file = app.app.media.keep(&mut std::fs::File::open(&picture).unwrap()).unwrap();
    let attachment = |file, alt: Option<&str>| Attachment {
        file,
        kind: MediaKind::Image,
        alt: alt.map(str::to_owned),
        source_url: "a.png".to_owned(),
        told: MediaTold::default(),
    };
    let attachments = vec![
        attachment(Some(file.clone()), Some("Two <boxes> & \"arrows\"\nin a loop")),
        attachment(Some(file.clone()), None),
        attachment(None, Some("its file is missing")),
    ];
    store(&app, "ann", &[NewPost { attachments, ..post(at) }]).await;
    let note = app.object(&note_path(at)).await;
    let url = format!("{}/media/{}", app.base, file.file_name());
    let picture_file = file.picture.clone().unwrap();
    let document = |name: Value| {
        json!({
            "type": "Document", "mediaType": "image/png", "url": url, "name": name,
            "width": picture_file.width, "height": picture_file.height, "blurhash": picture_file.blurhash,
        })
    };
    assert_eq!(
        note["attachment"],
        json!([document(json!("Two <boxes> & \"arrows\"\nin a loop")), document(json!(null))])
    );
    let served =
        app.client.get(app.url(&url)).header("host", app.base.split_once("://").unwrap().1).send().await.unwrap();
    assert_eq!(served.headers()["content-type"], "image/png");
    assert_eq!(served.bytes().await.unwrap(), std::fs::read(&picture).unwrap());
}

#[tokio::test]
async fn warnings_edits_and_narrower_listing_come_through() {
    let (warned, edited, unlisted) = ("2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z", "2024-01-03T10:00:00Z");
    let posts = [
        NewPost { warning: Some("Spiders <8>".to_owned()), ..post(warned) },
        NewPost { edited: Some("2024-01-02T11:00:00.9Z".parse().unwrap()), ..post(edited) },
        NewPost { visibility: Visibility::Unlisted, sensitive: true, ..post(unlisted) },
    ];
    let app = app_with(&posts).await;
    let note = app.object(&note_path(warned)).await;
    assert_eq!((&note["summary"], &note["sensitive"]), (&json!("Spiders <8>"), &json!(true)));
    assert!(note.get("updated").is_none() && note.get("contentMap").is_none());
    let note = app.object(&note_path(edited)).await;
    assert_eq!((&note["published"], &note["updated"]), (&json!(edited), &json!("2024-01-02T11:00:00Z")));
    let note = app.object(&note_path(unlisted)).await;
    let followers = format!("{}/users/ann/followers", app.base);
    assert_eq!((&note["to"], &note["cc"], &note["sensitive"]), (&json!([followers]), &json!([PUBLIC]), &json!(true)));
}

#[tokio::test]
async fn an_edit_within_the_second_of_publishing_is_no_update() {
    let at = "2024-01-02T10:00:00.100Z";
    let app = app_with(&[NewPost { edited: Some("2024-01-02T10:00:00.900Z".parse().unwrap()), ..post(at) }]).await;
    assert!(app.object(&note_path(at)).await.get("updated").is_none(), "never equal to published (R-47)");
}

#[tokio::test]
async fn a_create_is_at_its_own_id_and_equals_the_one_in_the_outbox() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = Bundle::new().post("2024-01-01T10:00:00Z", "<p>One.</p>").post("2024-01-01T10:05:00Z", "<p>Two.</p>");
    bundle.write(archive.path());
    app.import(archive.path()).await;
    for listed in app.walk_outbox("ann").await {
        let create = app.object(listed["id"].as_str().unwrap()).await;
        assert_eq!(create, listed);
        let note = app.object(listed["object"]["id"].as_str().unwrap()).await;
        assert_eq!(create["id"], format!("{}/activity", note["id"].as_str().unwrap()));
        assert_eq!((&create["type"], &create["actor"]), (&json!("Create"), &note["attributedTo"]));
        for field in ["published", "to", "cc"] {
            assert_eq!(create[field], note[field], "{field}");
        }
        for (field, value) in create["object"].as_object().unwrap().iter().filter(|(field, _)| *field != "replies") {
            assert_eq!(*value, note[field], "{field}");
        }
        assert_eq!(create["object"]["replies"], note["replies"]["id"], "pages do not inline replies");
    }
}

#[tokio::test]
async fn a_profile_keeps_to_the_sizes_that_others_read() {
    let app = app_with(&[]).await;
    let mut ann = app.account("ann").await;
    let fields: Vec<(String, String)> = (0..50).map(|n| (format!("field.{n}"), "v".to_owned())).collect();
    let sized = [
        ("name".to_owned(), "n".repeat(2048)),
        ("summary".to_owned(), "s".repeat((20 << 10) - "<p></p>".len())),
        ("field.0".to_owned(), "v".repeat(2047)),
    ];
    for (key, value) in fields.iter().chain(&sized) {
        accounts::set(&app.app, &mut ann, key, value).await.unwrap();
    }
    let most = ann.clone();
    for (key, value) in [
        ("name", "n".repeat(2049)),
        ("summary", "s".repeat((20 << 10) - "<p></p>".len() + 1)),
        ("field.0", "v".repeat(2048)),
        ("field.50", "v".to_owned()),
    ] {
        assert!(accounts::set(&app.app, &mut ann, key, &value).await.is_err(), "{key}");
    }
    assert_eq!(ann, most, "nothing that was refused is kept");
}

#[tokio::test]
async fn a_date_is_fixed_once_another_server_has_seen_it_under_a_name_that_is_for_ever() {
    let [seen, unseen] = ["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"];
    let corrected = |at: &str| NewPost {
        published: "2024-01-01T12:00:00Z".parse().unwrap(),
        source_sha256: [1; 32],
        content: SafeHtml::sanitise("<p>Corrected.</p>"),
        ..post(at)
    };
    let app = TestApp::start_at("https://mirror.example").await;
    account(&app, "ann").await;
    accounts::publish(&app.app, &Handle::parse("ann").unwrap(), Utc::now()).await.unwrap();
    store(&app, "ann", &[post(seen), post(unseen)]).await;
    app.object(&note_path(seen)).await;
    store(&app, "ann", &[corrected(seen), corrected(unseen)]).await;
    let (fixed, free) = (app.object(&note_path(seen)).await, app.object(&note_path(unseen)).await);
    assert_eq!((&fixed["published"], &free["published"]), (&json!(seen), &json!("2024-01-01T12:00:00Z")));
    assert!(fixed["content"].as_str().unwrap().contains("Corrected."), "its text is not fixed");
    assert!(fixed["updated"].as_str().unwrap() > "2026", "the edit is dated by the import that brought it");
    let local = app_with(&[post(seen)]).await;
    local.object(&note_path(seen)).await;
    assert_eq!(
        local.database.number("SELECT count(*) FROM posts WHERE exposed_at IS NOT NULL"),
        0,
        "localhost is nobody"
    );
}
