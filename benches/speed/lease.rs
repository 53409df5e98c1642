//! How long a worker takes to find its next work: in a queue of a million deliveries, against one of two thousand.
//!
//! 500 hosts that answer have something due in both. In the long queue they have 1,000 deliveries each, and 5,000 hosts
//! that do not answer have 100 each. What was leased is settled, and as much is enqueued again, so that both stay as long.

use crate::Wanted;
use crate::figure::{Figure, Limit, median};
use crate::place::Place;
use chrono::{TimeDelta, Utc};
use everpost::domain::delivery::{DeliveryState, Outgoing, Recipients, Settlement, Standing};
use everpost::domain::ids::AccountId;
use everpost::store::Store;
use everpost::store::deliveries::Lanes;
use std::process::Stdio;
use std::time::Instant;

const HOSTS: usize = 500;
/// Leases of a round from each queue.
const LEASES: usize = 50;
/// Deliveries of a lease, and of one host in it: what a worker with nothing under way asks for.
const TOTAL: usize = 128;
const EACH: usize = 4;

pub async fn run(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!("\n== lease: {LEASES} leases of {TOTAL} deliveries a round from each of two queues");
    let mut short = Queue::fill(place, "short", EACH, 0);
    let mut long = Queue::fill(place, "long", 1000, 5000);
    let mut ratios = Vec::new();
    for round in 0..=wanted.rounds {
        let (mut least, mut most) = (Vec::new(), Vec::new());
        for _ in 0..LEASES {
            least.push(short.turn().await);
            most.push(long.turn().await);
        }
        let (least, most) = (median(&least), median(&most));
        if round > 0 {
            println!(
                "{} waiting {least:.2} ms, {} waiting {most:.2} ms: {:.3}",
                short.waiting().await,
                long.waiting().await,
                most / least
            );
            ratios.push(most / least);
        }
    }
    vec![Figure::new("lease among 1,000,000 waiting / among 2,000, time", "", ratios, Limit::AtMost(1.5))]
}

/// A queue in a database of its own.
struct Queue {
    store: Store,
    account: AccountId,
    /// Activities that were enqueued after it was filled.
    enqueued: usize,
}

impl Queue {
    /// With so many deliveries for each host that answers, and so many hosts that do not.
    fn fill(place: &Place, database: &str, each: usize, dead: usize) -> Queue {
        let (url, begun) = (place.create(database), Instant::now());
        let data = place.path(database);
        let settings = [("DATABASE_URL", url.as_str()), ("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap())];
        let created =
            place.command(&settings).args(["account", "create", "ann"]).stdout(Stdio::null()).status().unwrap();
        assert!(created.success(), "no account");
        // What is due came by the hour; a dead host is asked later.
        place.sql(
            database,
            &format!(
                "INSERT INTO activities (account_id, uri, kind, object_uri, body, created_at)
                     SELECT accounts.id, 'http://localhost/a/' || n, 'Announce', 'http://localhost/o/' || n,
                         '{{\"id\": \"http://localhost/a/' || n || '\", \"filler\": \"' || repeat('x', 1000) || '\"}}',
                         now() - interval '1 hour'
                     FROM accounts, generate_series(1, {activities}) AS n;
                 INSERT INTO deliveries (activity_id, inbox, host, line, state, due_at)
                     SELECT a.id, 'https://' || host || '/inbox', host,
                         hashtextextended('https://' || host || '/inbox ' || object_uri, 0), 'waiting', now() + due
                     FROM (SELECT id, object_uri, row_number() OVER (ORDER BY id) AS n FROM activities) AS a
                     JOIN (SELECT 'h' || h || '.example' AS host, {each} AS most, interval '-1 hour' AS due
                               FROM generate_series(1, {HOSTS}) AS h
                           UNION ALL SELECT 'dead' || h || '.example', 100, interval '1 day' FROM generate_series(1, {dead}) AS h)
                         AS hosts ON a.n <= most
                     ORDER BY a.id, host;
                 INSERT INTO delivery_hosts (host, standing, failures, look_at)
                     SELECT host, CASE WHEN due > now() THEN 'failing' ELSE 'good' END,
                         CASE WHEN due > now() THEN 9 ELSE 0 END, due
                     FROM (SELECT host, min(due_at) AS due FROM deliveries GROUP BY host) AS hosts",
                activities = each.max(100 * usize::from(dead > 0)),
            ),
        );
        place.sql(database, "VACUUM ANALYZE");
        println!("the {database} queue was filled in {:.1} s", begun.elapsed().as_secs_f64());
        let account = place.texts(database, "SELECT id FROM accounts")[0].parse().unwrap();
        Queue { store: Store::connect(&url, 1).unwrap(), account: AccountId(account), enqueued: 0 }
    }

    async fn waiting(&self) -> u64 {
        self.store.count_queue(Utc::now()).await.unwrap().waiting
    }

    /// One lease; how long it took, in milliseconds. What it gave is settled and enqueued anew.
    async fn turn(&mut self) -> f64 {
        let free =
            [(Standing::New, TOTAL / 8), (Standing::Good, TOTAL), (Standing::Failing, 32), (Standing::Parked, 32)];
        let lanes = Lanes { free, total: TOTAL, each: EACH };
        let (now, begun) = (Utc::now(), Instant::now());
        let look = self.store.lease(1, &lanes, now, now + TimeDelta::seconds(15)).await.unwrap();
        let took = begun.elapsed().as_secs_f64() * 1e3;
        assert_eq!(look.leased.len(), TOTAL, "the same work in both");
        let delivered = |id| Settlement {
            id,
            state: DeliveryState::Delivered,
            due: None,
            status: Some(202),
            answer: String::new(),
        };
        let settlements: Vec<_> = look.leased.iter().map(|leased| delivered(leased.id)).collect();
        let mut hosts: Vec<&str> = look.leased.iter().map(|leased| leased.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        self.store.settle(1, &settlements, &hosts, |_| {}, &[], Utc::now()).await.unwrap();
        // Each host got the same number of deliveries, so it gets as many again.
        assert_eq!(hosts.len(), TOTAL / EACH);
        let inboxes: Vec<String> = hosts.iter().map(|host| format!("https://{host}/inbox")).collect();
        for _ in 0..EACH {
            self.enqueued += 1;
            let number = self.enqueued;
            let (uri, object) = (format!("http://localhost/b/{number}"), format!("http://localhost/p/{number}"));
            let body = format!(r#"{{"id": "{uri}", "filler": "{}"}}"#, "x".repeat(1000));
            let to = Recipients::Inboxes(inboxes.clone());
            let outgoing = Outgoing { uri, kind: "Announce", object, body, to, expires_at: None };
            assert!(self.store.enqueue(self.account, &outgoing, Utc::now()).await.unwrap());
        }
        took
    }
}
