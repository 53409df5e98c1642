//! Workers as processes of their own: killed, stopped, paused, and with a Postgres that is restarted.

use super::office::{activity, public_key, settle_in, until, until_all};
use super::sink::{Reply, Sink};
use crate::private_postgres::Place;
use crate::support::Program;
use chrono::Utc;
use everpost::domain::account::Account;
use everpost::domain::delivery::Recipients;
use everpost::operations::App;
use std::collections::{HashMap, HashSet};
use std::process::{Child, Stdio};
use std::time::Duration;

const INBOXES: usize = 2000;

/// Inboxes on fifty addresses of this machine.
fn inboxes(sink: &Sink) -> Vec<String> {
    (0..INBOXES).map(|n| format!("http://127.0.0.{}:{}/{n}/inbox", 2 + n % 50, sink.port)).collect()
}

/// What lets a program send there.
fn allow(program: &mut Program, sink: &Sink) {
    let hosts: Vec<_> = (2..52).map(|n| format!("127.0.0.{n}:{}", sink.port)).collect();
    program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8");
    program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &hosts.join(","));
}

/// `everpost worker`. Killed with this value.
struct Working(Child);

impl Working {
    fn start(program: &Program) -> Working {
        let quiet = || Stdio::null();
        Working(program.command().arg("worker").stdout(quiet()).stderr(quiet()).spawn().unwrap())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn enqueue(app: &App, account: &Account, id: &str, inboxes: Vec<String>) {
    let outgoing = activity(account, "Update", id, id, Recipients::Inboxes(inboxes));
    assert!(app.store.enqueue(account.id, &outgoing, Utc::now()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_of_two_workers_is_killed_every_inbox_gets_the_activity() {
    let (mut program, sink) = (Program::new(), Sink::start());
    allow(&mut program, &sink);
    for n in 2..52 {
        sink.say(&format!("127.0.0.{n}"), Reply::after(Duration::from_millis(200)));
    }
    let (app, account) = settle_in(&program.database().url(), program.scratch()).await;
    sink.trust(&public_key(&app, &account).await);
    let database = program.database();
    let ready = |workers: i64| {
        let listening = "SELECT count(*) FROM pg_stat_activity \
            WHERE application_name = 'everpost listener' AND datname = current_database()";
        database.number(listening) == workers
    };
    // The first is alone at first, so it is known which number it has.
    let mut killed = Working::start(&program);
    until("one is ready", || ready(1)).await;
    enqueue(&app, &account, "0", vec![inboxes(&sink).remove(0)]).await;
    let numbers = "SELECT leased_by::text FROM deliveries WHERE leased_by IS NOT NULL";
    until("it has something", || !database.texts(numbers).is_empty()).await;
    let number = database.texts(numbers).remove(0);
    let survivor = Working::start(&program);
    until("both are ready", || ready(2)).await;
    enqueue(&app, &account, "1", inboxes(&sink)).await;
    let under_way = || {
        database.texts(&format!(
            "SELECT regexp_replace(inbox, '^http://([^:]+):[0-9]+', '\\1') FROM deliveries WHERE leased_by = {number}"
        ))
    };
    let of_the_other = format!("SELECT count(*) FROM deliveries WHERE leased_by <> {number}");
    let both = || under_way().len() > 20 && database.number(&of_the_other) > 20;
    until("both are at work", || sink.got().len() > 300 && both()).await;
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let lost = under_way();
    assert!(sink.got().len() < INBOXES, "it was killed in the middle");
    let delivered = "SELECT count(*) FROM deliveries WHERE state = 'delivered'";
    until_all("every inbox has it", INBOXES + 1, || database.number(delivered)).await;
    let mut times: HashMap<String, usize> = HashMap::new();
    for got in sink.got().into_iter().filter(|got| !got.id.ends_with("/0")) {
        assert_eq!(got.id, format!("{}/activities/1", account.urls().actor()));
        *times.entry(got.inbox).or_default() += 1;
    }
    assert_eq!(times.len(), INBOXES);
    let repeats: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(!lost.is_empty() && repeats.len() <= lost.len(), "{} repeats of {} lost", repeats.len(), lost.len());
    for (inbox, times) in repeats {
        assert!(
            *times == 2 && lost.contains(inbox),
            "{inbox} got it {times} times, and was not on its way at the kill"
        );
    }
    survivor.signal(rustix::process::Signal::TERM);
    let mut survivor = survivor;
    assert!(survivor.0.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: a worker is killed every two seconds, and each time its leases have to end"]
async fn however_often_workers_are_killed_every_inbox_gets_every_activity() {
    const KILLS: usize = 12;
    let (mut program, sink) = (Program::new(), Sink::start());
    allow(&mut program, &sink);
    for n in 2..52 {
        sink.say(&format!("127.0.0.{n}"), Reply::after(Duration::from_millis(500)));
    }
    let (app, account) = settle_in(&program.database().url(), program.scratch()).await;
    sink.trust(&public_key(&app, &account).await);
    let mut workers = [Working::start(&program), Working::start(&program)];
    let activities = 6;
    for id in 0..activities {
        enqueue(&app, &account, &id.to_string(), inboxes(&sink)).await;
    }
    let all = INBOXES * activities;
    let database = program.database();
    for kill in 0..KILLS {
        let before = sink.got().len();
        until("something was sent since the last kill", || sink.got().len() > before + 100).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        workers[kill % 2] = Working::start(&program);
    }
    assert!(sink.got().len() < all, "they were killed in the middle");
    let delivered = "SELECT count(*) FROM deliveries WHERE state = 'delivered'";
    until_all("every inbox has everything", all, || database.number(delivered)).await;
    let got = sink.got();
    let apart: HashSet<_> = got.iter().map(|got| (&got.inbox, &got.id)).collect();
    assert_eq!(apart.len(), all);
    let most = KILLS * everpost::delivery::Options::default().slots;
    assert!(got.len() - all <= most, "{} repeats, {most} under way at the kills at most", got.len() - all);
    eprintln!("{KILLS} kills, {all} deliveries, {} repeats", got.len() - all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_more_hosts_than_files_may_be_open_by_default_reaches_all_at_the_first_attempt() {
    const HOSTS: usize = 150;
    let (mut program, sink) = (Program::new(), Sink::start());
    let hosts: Vec<_> = (1..=HOSTS).map(|n| format!("127.0.1.{n}:{}", sink.port)).collect();
    program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8");
    program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &hosts.join(","));
    let (app, account) = settle_in(&program.database().url(), program.scratch()).await;
    sink.trust(&public_key(&app, &account).await);
    enqueue(&app, &account, "1", hosts.iter().map(|host| format!("http://{host}/inbox")).collect()).await;
    // Each host's connection is kept for a while.
    let everpost = program.command();
    let mut limited = std::process::Command::new("/bin/sh");
    limited.args(["-c", "ulimit -Sn 100; exec \"$0\" worker"]).arg(everpost.get_program()).env_clear();
    limited.envs(everpost.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let worker = Working(limited.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let database = program.database();
    let tried = "SELECT count(*) FROM deliveries WHERE attempts > 0 AND leased_by IS NULL";
    until("every host was asked", || database.number(tried) == HOSTS as i64).await;
    let at_once = "SELECT count(*) FROM deliveries WHERE state = 'delivered' AND attempts = 1";
    assert_eq!(database.number(at_once), HOSTS as i64);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_postgres_is_restarted_in_the_middle_everything_arrives() {
    let (mut place, sink) = (Place::new(), Sink::start());
    allow(&mut place.program, &sink);
    for n in 2..52 {
        sink.say(&format!("127.0.0.{n}"), Reply::after(Duration::from_millis(200)));
    }
    let mut server = place.serve();
    let url = place.url();
    let (app, account) = {
        let store = everpost::store::Store::connect(&url, 2).unwrap();
        place.ok(&["account", "create", "ann"]);
        let media = everpost::media::MediaStore::in_folder(&place.dir.join("media"), Default::default()).unwrap();
        let vault = everpost::federation::keys::Vault::open(None).unwrap();
        let files = everpost::operations::private::Files::new(&place.dir.join("private"));
        let client = everpost::federation::client::Client::new(&Default::default()).unwrap();
        let app = App::new(store, media, vault, files, client);
        let handle = everpost::domain::account::Handle::parse("ann").unwrap();
        let account = everpost::operations::accounts::find(&app, &handle).await.unwrap();
        (app, account)
    };
    sink.trust(&public_key(&app, &account).await);
    enqueue(&app, &account, "1", inboxes(&sink)).await;
    until("it has begun", || sink.got().len() > 200).await;
    let postmaster = place.postmaster();
    // A fast shutdown: every session is ended. The supervisor starts it again.
    crate::private_postgres::kill(postmaster, "INT");
    assert!(sink.got().len() < INBOXES, "it was restarted in the middle");
    let inboxes = || {
        let mut inboxes: Vec<_> = sink.got().into_iter().map(|got| got.inbox).collect();
        inboxes.sort();
        inboxes.dedup();
        inboxes.len() as i64
    };
    until_all("every inbox has it", INBOXES, inboxes).await;
    assert_ne!(place.postmaster(), postmaster, "it was restarted");
    let left = "SELECT count(*)::text FROM deliveries WHERE state <> 'delivered'";
    until("all is written down", || place.texts(left).is_ok_and(|left| left == ["0"])).await;
    drop(app);
    assert_eq!(server.end("TERM"), 0, "{}", server.said());
}
