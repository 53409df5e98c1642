//! Old posts that are shown to followers again: when, which, how often, and by how many processes.

use super::{follow, program, queue, refused};
use crate::support::{Bundle, Program, TestApp, status_id};
use chrono::{DateTime, NaiveTime, Utc};
use everpost::domain::follower::FollowState::Accepted;
use everpost::domain::ids::PostId;
use everpost::domain::resurface::{Mode, Resurfacing};
use everpost::operations::{accounts, posts, resurface};
use everpost::store::Store;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// One post a bundle: none answers another.
fn write(folder: &Path, posts: &[&str]) {
    for at in posts {
        Bundle::new().post(at, &format!("<p>Of {at}.</p>")).write(folder);
    }
}

/// A live account under a public name with these posts and a follower.
async fn kept(moments: &[&str]) -> TestApp {
    let archive = tempfile::tempdir().unwrap();
    write(archive.path(), moments);
    let app = TestApp::start_at("https://keep.example").await;
    app.import(archive.path()).await;
    let ann = app.account("ann").await;
    accounts::publish(&app.app, &ann.handle, Utc::now()).await.unwrap();
    follow(&app.app.store, &ann, "bo", "far.example", Accepted).await;
    app
}

fn set(mode: Mode, times: &[&str]) -> Resurfacing {
    Resurfacing {
        mode,
        times: times.iter().map(|time| NaiveTime::parse_from_str(time, "%H:%M").unwrap()).collect(),
        zone: "Europe/Berlin".parse().unwrap(),
        allow_warned: false,
        since: at("2026-01-01T00:00:00Z"),
        last: None,
    }
}

async fn begin(app: &TestApp, set: &Resurfacing) {
    resurface::set(&app.app, &app.account("ann").await, set).await.unwrap();
}

async fn run(app: &TestApp, now: &str) -> usize {
    resurface::run(&app.app, at(now)).await.unwrap()
}

/// What was told, each as kind and the date of the post that it is about.
fn told(app: &TestApp, moments: &[&str]) -> Vec<String> {
    let date = |id: &Value| {
        let number: i64 = id.as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
        moments.iter().find(|at| status_id(at) == number).unwrap().split('T').next().unwrap().to_owned()
    };
    let line = |(kind, _, _, body): (String, String, String, Value)| {
        let object = if kind == "Undo" { &body["object"]["object"] } else { &body["object"] };
        format!("{kind} {}", date(object))
    };
    queue(&app.database).into_iter().map(line).collect()
}

#[tokio::test]
async fn on_this_day_boosts_a_post_of_an_earlier_year_once_and_takes_it_back_before_it_comes_again() {
    let moments = ["2019-07-01T10:00:00Z", "2022-07-01T21:30:00Z", "2022-07-01T22:30:00Z", "2020-06-30T21:00:00Z"];
    let app = kept(&moments).await;
    begin(&app, &set(Mode::OnThisDay, &["09:00"])).await;
    assert_eq!(run(&app, "2026-07-01T06:59:59Z").await, 0);
    assert_eq!(run(&app, "2026-07-01T07:00:30Z").await, 1);
    assert_eq!(run(&app, "2026-07-01T07:00:50Z").await, 0);
    let [(kind, inbox, _, body)] = &queue(&app.database)[..] else { panic!("{:?}", queue(&app.database)) };
    assert_eq!((kind.as_str(), inbox.as_str()), ("Announce", "https://far.example/inbox"));
    assert_eq!(body["published"], "2026-07-01T07:00:00Z");
    assert_eq!(body["object"], format!("https://keep.example/users/ann/statuses/{}", status_id(moments[0])));
    let id = body["id"].as_str().unwrap().to_owned();
    assert!(body["proof"].is_object());
    let plain = |mut value: Value| {
        value.as_object_mut().unwrap().remove("proof");
        value
    };
    assert_eq!(plain(app.object(&id).await), plain(body.clone()), "its id answers with it");
    assert_eq!(app.get(&id.replace("/announces/1", "/announces/2")).await.status, 404);
    assert_eq!(app.database.number("SELECT count(*) FROM posts WHERE exposed_at IS NOT NULL"), 1);
    // Half past nine in the evening by UTC is that day in Berlin, half past ten is the next one.
    assert_eq!(run(&app, "2027-07-01T07:10:00Z").await, 1);
    assert_eq!(run(&app, "2028-07-01T07:10:00Z").await, 1);
    let order = ["Announce 2019-07-01", "Announce 2022-07-01", "Undo 2019-07-01", "Announce 2019-07-01"];
    assert_eq!(told(&app, &moments), order);
    let bodies = queue(&app.database);
    assert_eq!(bodies[2].3["object"]["id"], id.as_str(), "the Undo names the Announce that went out");
    assert_eq!(bodies[1].3["object"].as_str().unwrap().rsplit('/').next().unwrap(), status_id(moments[1]).to_string());
    assert_eq!(app.get(&id).await.status, 410);
    let again = bodies[3].3["id"].as_str().unwrap().to_owned();
    assert_eq!(app.get(&again).await.status, 200);
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(moments[0])), Utc::now()).await.unwrap();
    let gone = app.get(&again).await;
    assert_eq!(
        (gone.status, gone.json()["type"].as_str(), gone.json()["id"].as_str()),
        (410, Some("Tombstone"), Some(again.as_str()))
    );
    assert_eq!(app.get(&again.replace("/announces/1", "/announces/2")).await.status, 404);
    let waits = "SELECT kind || ' ' || state FROM deliveries JOIN activities ON activities.id = activity_id \
                 WHERE object_uri LIKE (SELECT '%/' || id FROM posts WHERE withdrawn_at IS NOT NULL) ORDER BY activities.id";
    assert_eq!(app.database.texts(waits), ["Announce dropped", "Undo waiting", "Announce dropped", "Delete waiting"]);
}

#[tokio::test]
async fn a_drip_shows_each_post_once_from_the_oldest_on_and_leaves_replies_warnings_and_what_is_young_out() {
    let moments = ["2018-03-01T10:00:00Z", "2019-03-01T10:00:00Z", "2020-03-01T10:00:00Z", "2021-03-01T10:00:00Z"];
    let app = kept(&moments).await;
    let folder = tempfile::tempdir().unwrap();
    let young = "2026-06-20T10:00:00Z";
    Bundle::new()
        .post("2018-01-01T10:00:00Z", "<p>A.</p>")
        .post("2018-01-01T10:05:00Z", "<p>B.</p>")
        .write(folder.path());
    write(folder.path(), &[young]);
    app.import(folder.path()).await;
    let all: Vec<&str> = moments.into_iter().chain(["2018-01-01T10:00:00Z", "2018-01-01T10:05:00Z", young]).collect();
    app.database.execute(&format!(
        "UPDATE posts SET warning = 'Spiders', sensitive = true WHERE id = {}",
        status_id(moments[0])
    ));
    begin(&app, &set(Mode::Drip, &["09:00", "18:00"])).await;
    for now in ["2026-07-01T07:01:00Z", "2026-07-01T16:01:00Z", "2026-07-02T07:01:00Z"] {
        assert_eq!(run(&app, now).await, 1, "{now}");
    }
    assert_eq!(told(&app, &all), ["Announce 2018-01-01", "Announce 2019-03-01", "Announce 2020-03-01"]);
    // What was left out for its warning has its turn where that is allowed.
    begin(&app, &Resurfacing { allow_warned: true, ..set(Mode::Drip, &["18:00"]) }).await;
    assert_eq!(run(&app, "2026-07-02T16:01:00Z").await, 1);
    assert_eq!(run(&app, "2026-07-03T16:01:00Z").await, 1);
    assert_eq!(run(&app, "2026-07-04T16:01:00Z").await, 0, "what is left is a reply, and younger than 30 days");
    assert_eq!(told(&app, &all)[3..], ["Announce 2018-03-01", "Announce 2021-03-01"]);
    assert_eq!(run(&app, "2026-07-25T16:01:00Z").await, 1);
    assert_eq!(told(&app, &all)[5..], ["Announce 2026-06-20"]);
}

#[tokio::test]
async fn what_was_missed_is_not_made_up_for_and_no_day_has_more_than_three() {
    let moments = ["2018-03-01T10:00:00Z", "2019-03-01T10:00:00Z", "2020-03-01T10:00:00Z", "2021-03-01T10:00:00Z"];
    let app = kept(&moments).await;
    begin(&app, &set(Mode::Drip, &["09:00"])).await;
    assert_eq!(run(&app, "2026-07-09T08:00:00Z").await, 0, "an hour late");
    assert_eq!(run(&app, "2026-07-10T07:59:00Z").await, 1);
    for (times, now, shown) in [
        ("10:00", "2026-07-10T08:00:00Z", 1),
        ("11:00", "2026-07-10T09:00:00Z", 1),
        ("12:00", "2026-07-10T10:00:00Z", 0),
        ("09:00", "2026-07-11T07:00:00Z", 1),
    ] {
        begin(&app, &set(Mode::Drip, &[times])).await;
        assert_eq!(run(&app, now).await, shown, "{now}");
    }
}

#[tokio::test]
async fn a_draft_an_account_that_moved_one_that_nobody_follows_and_a_third_partys_show_nothing() {
    let app = kept(&["2018-03-01T10:00:00Z"]).await;
    begin(&app, &set(Mode::Drip, &["09:00"])).await;
    let now = "2026-07-01T07:01:00Z";
    for (before, after) in [
        ("UPDATE accounts SET state = 'draft'", "UPDATE accounts SET state = 'live'"),
        (
            "UPDATE accounts SET moved_to = 'https://new.example/ann', moved_at = now()",
            "UPDATE accounts SET moved_to = NULL",
        ),
        ("UPDATE followers SET state = 'requested'", "UPDATE followers SET state = 'accepted'"),
        (
            "UPDATE accounts SET settings = settings || '{\"operator\": \"third-party\"}'",
            "UPDATE accounts SET settings = settings || '{\"operator\": \"owner\"}'",
        ),
    ] {
        app.database.execute(before);
        assert_eq!(run(&app, now).await, 0, "{before}");
        app.database.execute(after);
    }
    assert_eq!(run(&app, now).await, 1, "the moment was not used up");
    app.set("ann", &["operator=third-party"]).await;
    let error = resurface::set(&app.app, &app.account("ann").await, &set(Mode::Drip, &["09:00"])).await.unwrap_err();
    assert!(error.to_string().contains("a third party's copy"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_look_at_once_show_one_post() {
    let app = kept(&["2018-03-01T10:00:00Z", "2019-03-01T10:00:00Z"]).await;
    begin(&app, &set(Mode::Drip, &["09:00"])).await;
    let looks = (0..12).map(|_| resurface::run(&app.app, at("2026-07-01T07:01:00Z")));
    let shown: usize = futures::future::join_all(looks).await.into_iter().map(|shown| shown.unwrap()).sum();
    assert_eq!((shown, queue(&app.database).len()), (1, 1));
}

/// `everpost worker`. Killed with this value.
struct Working(Child);

impl Working {
    fn start(program: &Program) -> Working {
        let quiet = || Stdio::null();
        Working(program.command().arg("worker").stdout(quiet()).stderr(quiet()).spawn().unwrap())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_are_killed_and_start_again_show_one_post_for_one_moment() {
    let (program, store, ann) = program().await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &["2018-03-01T10:00:00Z", "2019-03-01T10:00:00Z"]);
    program.ok(&["import", folder.path().to_str().unwrap(), "--account", "ann"]);
    let bea = tempfile::tempdir().unwrap();
    Bundle { user: "bea", ..Bundle::new() }.post("2018-01-01T10:00:00Z", "<p>Hers.</p>").write(bea.path());
    program.ok(&["import", bea.path().to_str().unwrap()]);
    program.ok(&["account", "publish", "bea"]);
    let bea =
        store.list_accounts().await.unwrap().into_iter().find(|account| account.handle.as_str() == "bea").unwrap();
    follow(&store, &ann, "bo", "far.example", Accepted).await;
    follow(&store, &bea, "cy", "far.example", Accepted).await;
    let just_now = (Utc::now() - chrono::TimeDelta::minutes(1)).format("%H:%M").to_string();
    let begin = |handle: &str| {
        program.ok(&["resurface", "set", "drip", "--at", &just_now, "--account", handle]);
        program.database().execute("UPDATE resurfacing SET set_at = set_at - interval '2 hours'");
    };
    let shown = |handle: &str| {
        program.database().number(&format!(
            "SELECT count(*) FROM activities JOIN accounts ON accounts.id = account_id \
             WHERE kind = 'Announce' AND accounts.handle = '{handle}'"
        ))
    };
    let until = async |what: &str, handle: &str| {
        let begun = Instant::now();
        while shown(handle) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(120), "{what} did not happen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    begin("ann");
    let workers = [Working::start(&program), Working::start(&program)];
    until("the first post", "ann").await;
    drop(workers);
    let workers = [Working::start(&program), Working::start(&program)];
    begin("bea");
    // Whoever shows the second account's post has looked at the first account before.
    until("the other's post", "bea").await;
    drop(workers);
    assert_eq!((shown("ann"), shown("bea")), (1, 1));
    let _: Store = store;
}

#[test]
fn the_command_sets_shows_and_ends_it_and_says_what_is_wrong() {
    let program = Program::new();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &["2018-03-01T10:00:00Z", "2019-03-01T10:00:00Z"]);
    program.ok(&["import", folder.path().to_str().unwrap()]);
    let nothing = "ann shows no old posts again: `everpost resurface set` changes that.\n";
    assert_eq!(program.ok(&["resurface", "show"]), nothing);
    assert_eq!(program.ok(&["resurface", "next"]), nothing);
    let zone = ["--time-zone", "Europe/Berlin"];
    let said = program.ok(&[&["resurface", "set", "drip", "--at", "18:00", "--at", "9:30"], &zone[..]].concat());
    let set =
        "ann shows old posts again: drip, at 09:30 and 18:00 (Europe/Berlin), without posts that have a warning.\n";
    assert!(said.starts_with(set), "{said}");
    let first = status_id("2018-03-01T10:00:00Z");
    assert!(said.contains(&format!(": {first}  2018-03-01T10:00:00Z  Of 2018-03-01T10:00:00Z.\n")), "{said}");
    assert_eq!(program.ok(&["resurface", "show"]), format!("{set}2 posts have not been shown yet.\n"));
    let shown = program.json(&["resurface", "show", "--json"]);
    assert_eq!((&shown["mode"], &shown["left"]), (&"drip".into(), &2.into()));
    assert_eq!(shown["at"], serde_json::json!(["09:30", "18:00"]));
    assert_eq!(program.json(&["resurface", "next", "--json"])["post"]["id"], first.to_string());
    for (arguments, told) in [
        (&["resurface", "set", "drip"][..], "--at"),
        (&["resurface", "set", "drip", "--at", "25:00"], "it takes a time of the day, as 09:30"),
        (&["resurface", "set", "drip", "--at", "9:00", "--time-zone", "Berlin"], "it takes a name of the IANA list"),
        (&["resurface", "set", "weekly", "--at", "9:00"], "on-this-day"),
    ] {
        let outcome = program.run(arguments);
        assert_eq!(outcome.code, 64, "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(told), "{arguments:?}: {}", outcome.stderr);
    }
    let four = ["resurface", "set", "drip", "--at", "1:00", "--at", "2:00", "--at", "3:00", "--at", "4:00"];
    refused(&program, &four, "name one to 3 times of the day");
    assert_eq!(program.ok(&["resurface", "off"]), "ann shows no more old posts again. What was shown stays noted.\n");
    assert_eq!(program.ok(&["resurface", "off"]), "ann showed none before.\n");
}
