//! `kill -9` of the import, of the server, of Postgres: nothing lost, nothing doubled, nothing left running.

use crate::archives::{create, note, outbox};
use crate::private_postgres::{Place, kill, until, write_archive};
use crate::support::packing::put;
use crate::support::{Program, fixture, status_id};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Everything about the posts that an import decides, one line each.
pub const POSTS: &str = "select concat_ws(' ', p.id, p.source_key, p.source_object_id, p.canonical_url, p.visibility, \
    p.published_at, p.date_origin, p.updated_at, md5(p.content_html), p.language, p.tags, p.reply_to_id, \
    p.warning, p.sensitive, p.details, p.to_others, p.listed, p.boost_of, p.refers_to, \
    (select string_agg(concat_ws('/', t.position, t.kind, t.media_sha256, t.alt, t.source_url, t.told), ' ' order by t.position) \
    from attachments t where t.post_id = p.id), \
    (select min(q.id) from posts q where q.context_id = p.context_id), encode(s.sha256, 'hex'), md5(s.bytes), a.handle) \
    from posts p join accounts a on a.id = p.account_id left join post_sources s on s.post_id = p.id order by p.id";
const PICTURE: &str = "media_attachments/files/1/original/fog.png";
const COUNT: &str = "select count(*) from posts";
const ACCOUNTS: &str = "select concat_ws(' ', a.handle, a.source_actor_id, a.name, a.archived_profile, (select count(*) from keys k where k.account_id = a.id)) \
    from accounts a order by a.handle";

/// An archive of Mastodon: `public` posts for everyone, every third answering the one before it, and among them half as many
/// for followers only. A third of the conversations begins with one of those. Some have a warning, a poll or a picture, and
/// every fiftieth is boosted.
fn write_mastodon(folder: &Path, public: i64) {
    let followers = json!(["https://m.example/users/ann/followers"]);
    let mut items = Vec::new();
    for n in 0..public {
        let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(18_000 + n);
        let number = |part: i64| status_id(&(at + TimeDelta::minutes(part)).to_rfc3339());
        let published = |part: i64| (at + TimeDelta::minutes(part)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let id = |number: i64| format!("https://m.example/users/ann/statuses/{number}");
        if n % 2 == 0 {
            items.push(create(note(number(0), json!({ "published": published(0), "to": followers }))));
        }
        let above = match n % 6 {
            0 => json!(id(number(0))),
            3 => json!(id(status_id(&(at + TimeDelta::minutes(1) - TimeDelta::days(1)).to_rfc3339()))),
            _ => Value::Null,
        };
        let mut post = json!({ "published": published(1), "inReplyTo": above });
        match n % 10 {
            1 => post["summary"] = json!("rain"),
            4 => (post["type"], post["oneOf"]) = (json!("Question"), json!([{ "type": "Note", "name": "Tea" }])),
            7 => {
                post["attachment"] =
                    json!([{ "type": "Document", "mediaType": "image/png", "url": PICTURE, "name": "Fog" }])
            }
            _ => {}
        }
        items.push(create(note(number(1), post)));
        if n % 50 == 9 {
            items.push(json!({
                "id": format!("{}/activity", id(number(2))), "type": "Announce", "actor": "https://m.example/users/ann",
                "published": published(2), "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [],
                "object": id(number(1)),
            }));
        }
    }
    let picture = fixture("hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png");
    put(folder, PICTURE, &std::fs::read(picture).unwrap());
    let actor = json!({
        "id": "https://m.example/users/ann", "type": "Person", "preferredUsername": "ann", "name": "Ann",
        "published": "2019-01-01T00:00:00Z",
    });
    put(folder, "outbox.json", &outbox(&items));
    put(folder, "actor.json", actor.to_string().as_bytes());
}

fn archive(place: &Place, bundles: u32) -> PathBuf {
    let folder = place.program.scratch().join("archive");
    write_archive(&folder, bundles, 3);
    folder
}

/// The number in the outbox, over HTTP.
fn listed(place: &Place) -> u64 {
    let answer = place.get("/users/ann/outbox").unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let outbox: serde_json::Value =
        serde_json::from_str(&body[body.find('{').unwrap()..=body.rfind('}').unwrap()]).unwrap();
    outbox["totalItems"].as_u64().unwrap()
}

#[test]
fn an_import_killed_half_way_goes_on_as_if_nothing_had_been() {
    let place = Place::new();
    let archive = archive(&place, 150);
    let report = goes_on_after_kills(&place, archive.to_str().unwrap(), 450, 300);
    assert_eq!(report["skipped"], json!([]));
}

#[test]
fn an_import_of_a_mastodon_archive_killed_half_way_goes_on_as_if_nothing_had_been() {
    let place = Place::new();
    let archive = place.program.scratch().join("archive");
    write_mastodon(&archive, 450);
    goes_on_after_kills(&place, archive.to_str().unwrap(), 684, 75);
}

/// Kill the import of an archive of 450 posts for everyone, alone and beside a server, and let it end: the database is that of
/// an import that nobody disturbed. Of its `items` so many posts are `linked` to the one that they answer.
fn goes_on_after_kills(place: &Place, archive: &str, items: u64, linked: u32) -> Value {
    let undisturbed = Program::new();
    undisturbed.ok(&["import", archive]);
    let count = || place.texts(COUNT).ok().and_then(|rows| rows[0].parse::<u32>().ok()).unwrap_or_default();
    place.ok(&["account", "list"]);
    place.empty_within(5.0);

    // Alone: the database goes with it.
    let mut import = place.start(&["import", archive]);
    let seen = until("some posts are in", 30, || Some(started(place)).filter(|n| *n > 0));
    import.end("KILL");
    place.empty_within(5.0);
    assert!(seen < 450, "the kill came too late to show anything");

    // Beside a server: the database goes on, and the next import need not wait.
    let mut server = place.serve();
    let before = count();
    assert!((seen..450).contains(&before), "{before} after {seen}: committed posts are kept");
    let mut import = place.start(&["import", archive]);
    until("more posts are in", 30, || (count() > before + 50).then_some(()));
    import.end("KILL");
    let half = count();
    assert!(half < 450, "the kill came too late to show anything");
    let report = place.ok(&["import", archive, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((report["read"].as_u64(), report["published"].as_u64()), (Some(items), Some(450)), "{report}");
    assert!(report["unchanged"].as_u64().unwrap() >= half.into(), "what was committed stays: {report}");

    assert_eq!(place.texts(POSTS).unwrap(), undisturbed.database().texts(POSTS));
    assert_eq!(place.texts(ACCOUNTS).unwrap(), undisturbed.database().texts(ACCOUNTS));
    let contexts = "select count(*) from contexts";
    assert_eq!(place.texts(contexts).unwrap(), undisturbed.database().texts(contexts));
    let answering = "select count(*) from posts where reply_to_id is not null";
    assert_eq!(place.texts(answering).unwrap(), [linked.to_string()]);
    assert_eq!(listed(place), 450);
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(5.0);
    report
}

/// The number of posts, while the database may still be starting.
fn started(place: &Place) -> u32 {
    let file = place.base().join("data/postmaster.pid");
    if !std::fs::read_to_string(file).is_ok_and(|text| text.contains("\nready")) {
        return 0;
    }
    place.texts(COUNT).ok().and_then(|rows| rows[0].parse().ok()).unwrap_or_default()
}

#[test]
fn a_killed_server_takes_its_database_along_and_the_next_one_has_everything() {
    let place = Place::new();
    let archive = archive(&place, 10);
    let mut server = place.serve();
    place.ok(&["import", archive.to_str().unwrap()]);
    let before = place.texts(POSTS).unwrap();
    assert_eq!((before.len(), place.status("/users/ann/outbox?page=true")), (30, 200));
    assert_eq!(server.end("KILL"), -1);
    place.empty_within(5.0);
    assert!(place.server_log().trim_end().ends_with("database system is shut down"), "{}", place.server_log());

    let mut server = place.serve();
    assert_eq!(place.texts(POSTS).unwrap(), before);
    assert_eq!(listed(&place), 30);
    let report = place.ok(&["import", archive.to_str().unwrap(), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((report["unchanged"].as_u64(), report["created"].as_u64()), (Some(30), Some(0)));
    assert_eq!(server.end("KILL"), -1);
    // The next one need not wait until the database has stopped.
    let mut server = place.serve();
    assert_eq!(listed(&place), 30);
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(5.0);
}

#[test]
fn while_postgres_is_away_the_server_answers_503_and_then_goes_on_by_itself() {
    let place = Place::new();
    let archive = archive(&place, 10);
    let mut server = place.serve();
    place.ok(&["import", archive.to_str().unwrap()]);
    let before = place.texts(POSTS).unwrap();
    let id = before[0].split(' ').next().unwrap();
    let paths = [
        format!("/users/ann/statuses/{id}"),
        "/users/ann".to_owned(),
        "/users/ann/outbox?page=true".to_owned(),
        format!("/.well-known/webfinger?resource=acct:ann@localhost:{}", place.port),
        format!("/@ann/{id}"),
    ];
    for path in &paths {
        assert_eq!(place.status(path), 200, "{path}");
    }
    // The supervisor sleeps, so that the outage lasts until we have seen it.
    let (supervisor, postmaster) = (place.supervisors()[0], place.postmaster());
    kill(supervisor, "STOP");
    kill(postmaster, "KILL");
    until("the backends have noticed", 10, || {
        let here = place.processes();
        here.iter().all(|pid| *pid == server.pid() || *pid == supervisor).then_some(())
    });
    // It hears of it at once, but not in the same moment: until then it may answer what it has in mind.
    until("the server has noticed", 5, || (place.status(&paths[0]) == 503).then_some(()));
    for path in paths.iter().map(String::as_str).chain(["/readyz"]) {
        for attempt in 0..3 {
            let answer = place.get(path).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503"), "{path}, attempt {attempt}: {answer}");
            assert!(answer.to_lowercase().contains("\r\nretry-after: "), "{path}: {answer}");
        }
    }
    assert_eq!(place.status("/healthz"), 200, "the process itself is well");
    kill(supervisor, "CONT");
    let mut seen = Vec::new();
    until("the server has its database again", 20, || {
        seen.push(place.status(&paths[0]));
        (seen.last() == Some(&200)).then_some(())
    });
    seen.dedup();
    assert!(seen == [503, 200] || seen == [200], "never anything else: {seen:?}");
    for path in &paths {
        assert_eq!(place.status(path), 200, "{path}");
    }
    assert_eq!(place.texts(POSTS).unwrap(), before);
    assert_eq!(listed(&place), 30);
    assert_eq!(server.end("TERM"), 0);
    place.empty_within(5.0);
    assert_eq!(place.supervisors(), Vec::<i32>::new());
    place.ok(&["account", "list"]);
}
