//! What a post becomes: clean HTML, lower-case tags, a language, a date of its own; and what cannot become one.

use super::{ONE, THREE, TWO, edit, post, request, run};
use crate::support::{Bundle, Program, TestApp, status_id};
use everpost::operations::ingest::Request;

const ENGLISH: &str = "There is a theme that the better logging was an extra that many people never paid for at all.";
const GERMAN: &str = "Heute morgen lag der Nebel so dicht über dem Wasser, dass ich die Mole nicht sehen konnte.";

#[tokio::test]
async fn html_that_would_run_or_load_something_never_reaches_a_posts_content() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let html = "<p onclick=\"steal()\" style=\"position:fixed\">Safe text<script>steal()</script>\
        <a href=\"javascript:steal()\">a</a><a href=\" jAvAsCrIpT:steal()\">b</a><a href=\"data:text/html,steal\">c</a>\
        <iframe src=\"https://bad.example/steal\"></iframe><object data=\"steal\"></object><svg onload=\"steal()\"></svg>\
        <form action=\"https://bad.example/steal\"><input></form><style>@import 'steal'</style>\
        <img src=x onerror=steal()><math><mtext><style><img src=x onerror=steal()></style></mtext></math></p>";
    Bundle::new().post(ONE, html).write(archive.path());
    app.import(archive.path()).await;
    let note = app.object(&format!("/users/ann/statuses/{}", status_id(ONE))).await;
    let page = app.page(&format!("/@ann/{}", status_id(ONE))).await.body;
    for content in [post(&app, "ann", status_id(ONE)).await.content.as_str(), note["content"].as_str().unwrap()] {
        assert!(content.contains("Safe text"), "{content}");
        for bad in ["steal", "script", "onclick", "onerror", "style", "<iframe", "<svg", "<img", "<form", "data:"] {
            assert!(!content.to_lowercase().contains(bad), "{bad} in {content}");
        }
    }
    assert!(!page.contains("steal"), "{page}");
}

#[tokio::test]
async fn rel_me_is_no_part_of_a_stored_link() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let html = "<p>I am <a rel=\"me nofollow\" href=\"https://ann.example/\">Ann</a> \
        <a href=\"https://ann.example/2\" rel='ME'>also</a></p>";
    Bundle::new().post(ONE, html).write(archive.path());
    app.import(archive.path()).await;
    let content = post(&app, "ann", status_id(ONE)).await.content;
    assert_eq!(content.as_str().matches("rel=\"nofollow noopener\"").count(), 2, "{content:?}");
    assert!(!content.as_str().contains("me nofollow") && !content.as_str().contains("\"ME\""));
}

#[tokio::test]
async fn tags_are_in_lower_case_and_those_of_the_converter_are_dropped() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let mut bundle =
        Bundle::new().post(ONE, "<p>About #HarbourClock and #Écrire.</p>").post(TWO, "<p>No tags here.</p>");
    bundle.tags = vec!["HarbourClock", "écrire"];
    bundle.write(archive.path());
    app.import(archive.path()).await;
    assert_eq!(post(&app, "ann", status_id(ONE)).await.tags, ["harbourclock", "écrire"]);
    assert_eq!(post(&app, "ann", status_id(TWO)).await.tags, Vec::<String>::new());
    let tagged = "SELECT unnest(tags) FROM posts WHERE tags::text ILIKE '%social%' OR tags::text ILIKE '%mastodon%'";
    assert_eq!(app.database.texts(tagged), Vec::<String>::new());
}

#[tokio::test]
async fn a_clear_language_is_told_and_a_doubtful_one_is_not() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let paragraph = |text: &str| format!("<p>{text}</p>");
    let bundle = Bundle::new().post(ONE, &paragraph(ENGLISH)).post(TWO, &paragraph(GERMAN)).post(THREE, "<p>ok 👍</p>");
    bundle.write(archive.path());
    app.import(archive.path()).await;
    let mut told = Vec::new();
    for at in [ONE, TWO, THREE] {
        told.push(post(&app, "ann", status_id(at)).await.language);
    }
    assert_eq!(told, [Some("en".to_owned()), Some("de".to_owned()), None]);
    let doubtful = app.object(&format!("/users/ann/statuses/{}", status_id(THREE))).await;
    assert!(doubtful.get("contentMap").is_none_or(|map| map.get("und").is_none()), "{doubtful}");
}

#[tokio::test]
async fn every_post_has_its_own_date_and_an_estimated_one_is_marked() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let bundle = Bundle::new().post(ONE, "<p>One.</p>").post(TWO, "<p>Two.</p>").post(THREE, "<p>Three.</p>");
    let folder = bundle.write(archive.path());
    edit(&folder, |page| page.replace(&format!("@ann/{}", status_id(TWO)), "@ann/4711"));
    let report = app.import(archive.path()).await;
    assert_eq!((report.created, report.estimated_dates), (3, 1));
    let dates = app.database.texts(
        "SELECT to_char(published_at AT TIME ZONE 'UTC', 'HH24:MI:SS') || ' ' || date_origin FROM posts ORDER BY published_at",
    );
    assert_eq!(dates, ["10:00:00 front_matter", "10:00:01 estimated", "10:10:00 status_id"]);
    let again = app.import(archive.path()).await;
    assert_eq!((again.unchanged, again.estimated_dates), (3, 1));
    let id: i64 = app.database.texts("SELECT id FROM posts WHERE date_origin = 'estimated'")[0].parse().unwrap();
    assert_ne!(id, 4711, "a number without a time is not taken over");
    assert!(post(&app, "ann", id).await.date_estimated);
}

#[tokio::test]
async fn what_cannot_be_read_is_skipped_with_place_and_reason_and_the_rest_goes_in() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let folder = Bundle::new()
        .post(ONE, "<p>One.</p>")
        .post(TWO, "<p>Two.</p>")
        .post(THREE, "<p>Three.</p>")
        .write(archive.path());
    edit(&folder, |page| page.replace(&format!("https://origin.example/@ann/{}", status_id(TWO)), "nowhere"));
    let other = Bundle::new().post("2024-05-01T10:00:00Z", "<script>only()</script>").write(archive.path());
    let broken = Bundle::new().post("2024-05-02T10:00:00Z", "<p>Broken.</p>").write(archive.path());
    edit(&broken, |page| page.replace("subtitle: \"\"", "subtitle: \"open"));
    let request = request(archive.path());
    let dry = run(&app, &Request { dry_run: true, ..request.clone() }).await.unwrap();
    let report = run(&app, &request).await.unwrap();
    assert_eq!(report, dry);
    assert_eq!((report.read, report.created, report.published, report.skipped.len()), (5, 2, 2, 3), "{report:?}");
    let told = |folder: &std::path::Path, reason: &str| {
        let at = folder.join("index.md").display().to_string();
        let found = report.skipped.iter().find(|skipped| skipped.at.starts_with(&format!("{at}:")));
        let found = found.unwrap_or_else(|| panic!("{at}: {:?}", report.skipped));
        assert!(found.reason.contains(reason), "{found:?}");
    };
    told(&folder, "its source line does not link to a post");
    told(&other, "nothing is left of it");
    told(&broken, "its front matter cannot be read");
    let third = post(&app, "ann", status_id(THREE)).await;
    assert_eq!(third.reply_to.map(|id| id.0), Some(status_id(ONE)), "the thread goes on around the gap");
}

#[tokio::test]
async fn an_archive_of_many_batches_comes_in_whole_and_a_dry_run_tells_so() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    for at in 0..250_i64 {
        let date = |second: i64| {
            let time = chrono::DateTime::from_timestamp(1_600_000_000 + at * 3600 + second, 0).unwrap();
            time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
        };
        Bundle::new()
            .post(&date(0), "<p>One.</p>")
            .post(&date(60), "<p>Two.</p>")
            .post(&date(90), "<p>Three.</p>")
            .write(archive.path());
    }
    let steps = std::sync::Mutex::new(Vec::new());
    let progress = |read: u64, total: Option<u64>| steps.lock().unwrap().push((read, total));
    let request = request(archive.path());
    let dry = run(&app, &Request { dry_run: true, ..request.clone() }).await.unwrap();
    let now = chrono::Utc::now();
    let report = everpost::operations::ingest::ingest(&app.app, &request, now, &progress).await.unwrap();
    assert_eq!((report.read, report.created, report.published), (750, 750, 750));
    assert!(report.import.is_some() && dry.import.is_none());
    assert_eq!(
        everpost::operations::report::Report { import: None, ..report },
        dry,
        "also where a thread lies in two batches"
    );
    let steps = steps.into_inner().unwrap();
    assert!(steps.len() >= 7 && steps.is_sorted() && steps.iter().all(|(_, total)| *total == Some(750)), "{steps:?}");
    assert_eq!(app.database.number("SELECT count(DISTINCT context_id) FROM posts"), 250);
    let orphans = "SELECT count(*) FROM posts WHERE reply_to_key IS NOT NULL AND reply_to_id IS NULL";
    assert_eq!(app.database.number(orphans), 0);
    assert_eq!(app.import(archive.path()).await.unchanged, 750);
}

#[tokio::test]
async fn a_dry_run_into_an_account_that_has_posts_tells_the_same_as_the_real_one() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    let folder = Bundle::new().post(ONE, "<p>One.</p>").write(archive.path());
    app.import(archive.path()).await;
    edit(&folder, |page| page.replace("One.", "Changed."));
    Bundle::new().post(TWO, "<p>Two.</p>").write(archive.path());
    let rows = "SELECT concat_ws(' ', p, s.format, encode(s.sha256, 'hex')) FROM posts p JOIN post_sources s ON s.post_id = p.id ORDER BY 1";
    let before = app.database.texts(rows);
    let dry = run(&app, &Request { dry_run: true, ..request(archive.path()) }).await.unwrap();
    assert_eq!(app.database.texts(rows), before);
    assert_eq!((dry.created, dry.updated, dry.published), (1, 1, 2));
    assert_eq!(run(&app, &request(archive.path())).await.unwrap(), dry);
}

#[test]
fn strict_ends_with_3_when_anything_did_not_come_in_whole() {
    let program = Program::new();
    let whole = program.scratch().join("whole");
    Bundle::new().post("2024-03-02T10:00:00Z", "<p>Whole.</p>").write(&whole);
    let lossy = program.scratch().join("lossy");
    Bundle::new().post_with("2024-03-03T10:00:00Z", "<p>Lossy.</p>", "![gone](gone.png)").write(&lossy);
    assert_eq!(program.run(&["import", "--strict", whole.to_str().unwrap()]).code, 0);
    let outcome = program.run(&["import", "--strict", "--json", lossy.to_str().unwrap()]);
    assert_eq!(outcome.code, 3, "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&report["created"], &report["media"]["missing"]), (&1.into(), &1.into()), "what is left came in");
    assert_eq!(program.run(&["import", lossy.to_str().unwrap()]).code, 0, "without --strict it is no failure");
}

#[tokio::test]
async fn a_thread_goes_on_around_a_post_of_which_nothing_is_left() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    Bundle::new()
        .post_with(ONE, "", "![gone](gone.png)")
        .post(TWO, "<p>The second.</p>")
        .post(THREE, "<p>The third.</p>")
        .write(archive.path());
    let report = app.try_import(archive.path(), None).await.unwrap();
    assert_eq!((report.created, report.skipped.len(), report.published), (2, 1, 2), "{report:?}");
    let [second, third] = [TWO, THREE].map(|at| format!("{}/users/ann/statuses/{}", app.base, status_id(at)));
    assert!(app.object(&second).await["inReplyTo"].is_null(), "the thread begins with what is left of it");
    assert_eq!(app.object(&third).await["inReplyTo"], second.as_str());
}

#[tokio::test]
async fn a_character_that_postgres_cannot_store_does_not_stop_an_import() {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post_with(ONE, "<p>One.</p>", "![a\0b](gone\0.png)").write(archive.path());
    assert_eq!(app.import(archive.path()).await.created, 1);
    for path in ["/tags/%00", "/media/%00.png"] {
        assert_eq!(app.page(path).await.status, 404, "{path}");
    }
}

#[test]
fn the_report_counts_reasons_and_fields_and_names_a_place_for_each() {
    let program = Program::new();
    let zip = crate::archives::packed("mastodon-3.5", program.scratch());
    let path = zip.to_str().unwrap();
    let report = program.json(&["import", path, "--json"]);
    let read = report["read"].as_u64().unwrap();
    let whole: u64 =
        ["created", "updated", "unchanged", "skipped_total"].iter().map(|n| report[n].as_u64().unwrap()).sum();
    let private = report["private"]["left_out"].as_u64().unwrap();
    assert_eq!((whole + private, private), (read, 2), "{report}");
    let reasons = report["skipped_by_reason"].as_array().unwrap();
    assert_eq!(reasons.iter().map(|reason| reason["count"].as_u64().unwrap()).sum::<u64>(), report["skipped_total"]);
    assert_eq!(report["fields"]["poll"], serde_json::json!({ "kept": 1, "lost": 0 }));
    assert_eq!(report["fields"]["emoji_pictures"], serde_json::json!({ "kept": 0, "lost": 1 }));
    assert_eq!(report["fields"]["alt"]["lost"], 0, "{}", report["fields"]);
    let shown = program.json(&["imports", "show", &report["import"].to_string(), "--json"]);
    assert_eq!((&shown["counts"]["read"], &shown["counts"]["skipped"]), (&report["read"], &report["skipped_total"]));

    let table = program.ok(&["import", path]);
    for line in [
        "  unchanged              6",
        "  what the source tells                 kept    lost",
        "  private left out       2",
        "  replies kept           1",
        "  boosts kept            1",
        "everpost imports undo",
    ] {
        assert!(table.contains(line), "{line}\n{table}");
    }
    assert_eq!(program.run(&["import", path, "--strict"]).code, 3, "the picture of a custom emoji is nowhere");
}

#[test]
fn twenty_thousand_skipped_items_are_all_counted_and_a_thousand_of_them_named() {
    let program = Program::new();
    let mut outbox = String::from(r#"{"type":"OrderedCollection","orderedItems":["#);
    for number in 1..=20_000 {
        let id = format!("https://m.example/users/ann/statuses/{number}");
        let words = if number == 1 { "x" } else { "" };
        outbox.push_str(&format!(
            r#"{{"type":"Create","actor":"https://m.example/users/ann","to":["as:Public"],"object":{{"type":"Note","id":"{id}","#
        ));
        outbox.push_str(&format!(r#""to":["as:Public"],"published":"2024-01-01T00:00:00Z","content":"{words}"}}}},"#));
    }
    outbox.pop();
    outbox.push_str("]}");
    std::fs::write(program.scratch().join("outbox.json"), outbox).unwrap();
    for dry in [&["--dry-run"][..], &[]] {
        let report = program.json(&[&["import", "outbox.json", "--json"], dry].concat());
        assert_eq!(
            (&report["read"], &report["created"], &report["skipped_total"]),
            (&20_000.into(), &1.into(), &19_999.into())
        );
        assert_eq!(report["skipped"].as_array().unwrap().len(), 1000);
        assert_eq!(report["skipped_by_reason"].as_array().unwrap().len(), 1);
        assert_eq!(report["skipped_by_reason"][0]["count"], 19_999);
        if !dry.is_empty() {
            assert_eq!(report["items"].as_array().unwrap().len(), 20_000, "a dry run names every item all the same");
        }
    }
    let table = program.ok(&["import", "outbox.json"]);
    assert!(
        table.contains("  19999  nothing is left of it")
            && table.contains("… and 19979 more; --json names the first 1000"),
        "{table}"
    );
}
