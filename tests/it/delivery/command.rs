//! `everpost queue …`, `/metrics`, and what they do to running workers.

use super::office::{Office, activity, public_key, settle_in, until};
use super::sink::{Reply, Sink};
use crate::support::{Program, Serving, TestApp};
use chrono::{TimeDelta, Utc};
use everpost::domain::delivery::{DeliveryState, Recipients};
use everpost::domain::token::Scope;
use everpost::http;
use everpost::http::metrics::Token;
use everpost::operations::tokens;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_sees_the_queue_pauses_it_and_drops_what_waits() {
    let (mut program, sink) = (Program::new(), Sink::start());
    let hosts = [2, 3].map(|n| format!("127.0.0.{n}:{}", sink.port));
    program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8");
    program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &hosts.join(","));
    let (app, account) = settle_in(&program.database().url(), program.scratch()).await;
    sink.trust(&public_key(&app, &account).await);
    sink.say("127.0.0.3", Reply::status(503));
    let enqueue = async |id: &'static str| {
        let inboxes = hosts.iter().map(|host| format!("http://{host}/inbox")).collect();
        let outgoing = activity(&account, "Update", id, id, Recipients::Inboxes(inboxes));
        assert!(app.store.enqueue(account.id, &outgoing, Utc::now()).await.unwrap());
    };
    assert!(program.ok(&["queue", "hosts"]).contains("Nothing waits"));
    assert!(program.ok(&["queue", "pause"]).contains("everpost queue resume"));
    assert!(program.ok(&["queue", "pause"]).contains("already"));
    let mut serving = Serving::start(&program);
    enqueue("1").await;
    // The worker looks at every wake; a second one proves that it has done so and left the first alone.
    enqueue("2").await;
    let status = program.json(&["queue", "status", "--json"]);
    assert_eq!((&status["waiting"], &status["due"], &status["leased"]), (&4.into(), &4.into(), &0.into()), "{status}");
    assert!(status["paused"].is_string() && status["oldest"].is_string());
    assert_eq!(sink.got().len(), 0);
    assert_eq!(program.ok(&["queue", "resume"]), "Deliveries go on.\n");
    assert_eq!(program.ok(&["queue", "resume"]), "Deliveries were not paused.\n");
    let database = program.database();
    until("the host that answers has both", || sink.taken().len() == 2).await;
    until("the other one is tried", || database.number("SELECT max(failures) FROM delivery_hosts") > 0).await;
    let listed = program.json(&["queue", "hosts", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!((&listed[0]["host"], &listed[0]["standing"]), (&hosts[1].as_str().into(), &"failing".into()));
    assert_eq!(program.json(&["queue", "hosts", "--all", "--json"]).as_array().unwrap().len(), 2);
    let text = program.ok(&["queue", "hosts"]);
    assert!(text.contains("it answered 503") && text.contains("2 waiting"), "{text}");
    let nobody = program.run(&["queue", "retry", "--host", "nobody.example"]);
    assert!(nobody.code == 1 && nobody.stderr.contains("queue hosts --all"), "{nobody:?}");
    let asked = sink.got().len();
    program.ok(&["queue", "retry", "--host", &hosts[1]]);
    until("it is asked again", || sink.got().len() > asked).await;
    until("nothing is under way", || {
        database.number("SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL") == 0
    })
    .await;
    assert!(program.ok(&["queue", "drop", "--host", &hosts[1]]).contains("2 deliveries"));
    let status = program.json(&["queue", "status", "--json"]);
    assert_eq!((&status["waiting"], &status["settled"]["dropped"]), (&0.into(), &2.into()), "{status}");
    assert!(program.ok(&["queue", "status"]).contains("dropped         2"));
    serving.signal(rustix::process::Signal::TERM);
    assert_eq!(serving.ended(), Some(0));
}

#[tokio::test]
async fn figures_are_given_on_this_machine_and_to_who_knows_the_token() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdef").unwrap();
    let token = Some(Token::read(file.path()).unwrap());
    let app = TestApp::start_as(None, http::Settings { metrics_token: token, ..http::Settings::default() }).await;
    app.get("/actor").await;
    app.get("/nothing-here").await;
    app.app.metrics.received("Follow");
    let answer = app.get_with("/metrics", &[]).await;
    assert_eq!((answer.status, answer.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "everpost_http_requests_total{class=\"2xx\"} 1\n",
        "everpost_http_requests_total{class=\"4xx\"} 1\n",
        "everpost_http_answer_seconds_count 2\n",
        "everpost_inbox_received_total{type=\"Follow\"} 1\n",
        "everpost_queue_deliveries{state=\"waiting\"} 0\n",
        "everpost_queue_hosts{standing=\"parked\"} 0\n",
    ] {
        assert!(answer.body.contains(line), "{line} {}", answer.body);
    }
    let proxied = ("x-forwarded-for", "192.0.2.1");
    assert_eq!(app.get_with("/metrics", &[proxied]).await.status, 404);
    assert_eq!(app.get_with("/metrics", &[proxied, ("authorization", "Bearer 0123456789abcdef")]).await.status, 200);
    assert_eq!(app.get_with("/metrics", &[("authorization", "Bearer fedcba9876543210")]).await.status, 404);
}

#[tokio::test]
async fn behind_a_public_name_figures_are_given_to_a_token_of_that_scope_alone() {
    let app = TestApp::start_at("https://kept.example").await;
    let ask = async |given: Option<&str>| {
        let request = app.client.get(app.url("/metrics")).header("host", "localhost");
        let request = given.iter().fold(request, |request, token| request.bearer_auth(token));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(None).await, 404, "a proxy on this machine need not say that it is one");
    let (token, made) = tokens::create(&app.app, None, "prometheus", &[Scope::Metrics], Utc::now()).await.unwrap();
    assert_eq!(ask(Some(&token)).await, 200);
    assert_eq!(ask(Some(&format!("{token}x"))).await, 404);
    assert_eq!(ask(None).await, 404);
    tokens::revoke(&app.app, None, made.id).await.unwrap();
    assert_eq!(ask(Some(&token)).await, 404);
}

#[tokio::test]
async fn a_scrape_counts_what_waits_and_the_command_what_is_settled_too() {
    let office = Office::open().await;
    office.enqueue("settled", &[office.inbox("a.example")]).await;
    office.database.execute("UPDATE deliveries SET state = 'delivered', settled_at = now()");
    office.database.execute("UPDATE activities SET created_at = now() - interval '1 day'");
    assert_eq!(office.app.store.count_queue(office.now()).await.unwrap().oldest, None);
    office.enqueue("waiting", &[office.inbox("a.example"), office.inbox("b.example")]).await;
    let scraped = office.app.store.count_queue(office.now()).await.unwrap();
    assert_eq!((scraped.waiting, scraped.settled.len()), (2, 0));
    assert!(scraped.oldest.unwrap() > office.now() - TimeDelta::hours(1), "what is settled is not the oldest");
    let shown = office.app.store.queue_figures(office.now()).await.unwrap();
    assert_eq!((shown.waiting, shown.settled), (2, vec![(DeliveryState::Delivered, 1)]));
}
