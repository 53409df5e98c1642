//! Hosts that are slow, silent or rude, and workers that are stopped in the middle.

use super::office::{Office, until};
use super::sink::Reply;
use std::io::Read;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_silent_and_rude_hosts_are_tried_again_and_hold_nobody_up() {
    let office = Office::open().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rude = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_port, rude_port) = (silent.local_addr().unwrap().port(), rude.local_addr().unwrap().port());
    std::thread::spawn(move || {
        // Takes the request and closes the connection.
        for stream in rude.incoming() {
            let mut start = [0; 10];
            let _ = stream.unwrap().read(&mut start);
        }
    });
    office.sink.say("slow.example", Reply::after(Duration::from_secs(30)));
    let inboxes = [
        format!("http://silent.example:{silent_port}/inbox"),
        format!("http://closes.example:{rude_port}/inbox"),
        office.inbox("slow.example"),
        office.inbox("a.example"),
    ];
    let worker = office.worker();
    office.enqueue("1", &inboxes).await;
    until("the one that answers", || office.count("delivered") == 1).await;
    let failed = "SELECT count(*) FROM deliveries WHERE state = 'waiting' AND answer IS NOT NULL";
    until("an end with all others", || office.database.number(failed) == 3).await;
    let hosts = "SELECT split_part(host, '.', 1) FROM delivery_hosts WHERE standing = 'failing' ORDER BY 1";
    assert_eq!(office.database.texts(hosts), ["closes", "silent", "slow"]);
    worker.stop().await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_finishes_what_is_under_way_and_leaves_the_rest() {
    let office = Office::open().await;
    office.sink.say("a.example", Reply::after(Duration::from_millis(1500)));
    office.sink.say("slow.example", Reply::after(Duration::from_secs(9)));
    let worker = office.worker();
    office.enqueue("1", &[office.inbox("a.example"), office.inbox("slow.example")]).await;
    until("both are under way", || office.sink.got().len() == 2).await;
    worker.stop().await;
    assert_eq!((office.count("delivered"), office.count("waiting")), (1, 1));
    assert_eq!(office.database.number("SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL"), 0);
    office.sink.say("slow.example", Reply::status(202));
    let next = office.worker();
    until("the next worker does the rest", || office.count("delivered") == 2).await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_database_is_away_nothing_is_lost_or_sent_twice() {
    let office = Office::open().await;
    let workers = [office.worker(), office.worker()];
    let inboxes: Vec<_> =
        (0..300).map(|n| office.inbox_at(&format!("h{}.example", n % 30), &format!("/{n}"))).collect();
    for host in 0..30 {
        office.sink.say(&format!("h{host}.example"), Reply::after(Duration::from_millis(100)));
    }
    office.enqueue("1", &inboxes).await;
    until("it has begun", || office.sink.got().len() > 30).await;
    let name = office.database.texts("SELECT current_database()").remove(0);
    office.database.let_in(false);
    let outside = crate::support::TestDatabase::empty();
    outside.execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    ));
    let sent = office.sink.got().len();
    assert!(sent < 300, "it was cut off in the middle");
    // Everything that was under way ends while nobody can write it down.
    tokio::time::sleep(Duration::from_secs(1)).await;
    office.database.let_in(true);
    until("everything", || office.count("delivered") == 300).await;
    assert_eq!(office.sink.got().len(), 300, "what had ended was remembered until it could be written down");
    for worker in workers {
        worker.stop().await;
    }
}
