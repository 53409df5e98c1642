//! How long a start takes on a private cluster that is there, and how much memory a server takes that has little to do.

use crate::Wanted;
use crate::figure::{Figure, Limit};
use crate::place::{Client, Place};
use std::process::Stdio;

/// Requests after which memory is looked at again.
const REQUESTS: usize = 1000;

pub fn run(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!("\n== idle: everpost serve with its private cluster, default settings");
    let archive = place.path("small");
    crate::archive::write(&archive, 500);
    let data = place.path("idle");
    let settings = [("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap())];
    // The cluster is made here, and has posts.
    let imported = place.command(&settings).arg("import").arg(&archive).stdout(Stdio::null()).status().unwrap();
    assert!(imported.success());
    let (mut seconds, mut idle, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=wanted.rounds {
        let (server, took) = place.serve(&settings);
        if round > 0 {
            seconds.push(took.as_secs_f64());
            idle.push(server.memory("VmRSS") / 1024.0);
        }
        let mut client = Client::open(server.port).unwrap();
        let (_, _, body) = client.get("/users/ann/outbox?page=true").unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let notes: Vec<String> = body["orderedItems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let id = item["object"]["id"].as_str().unwrap();
                id[id.find("/users").unwrap()..].to_owned()
            })
            .collect();
        let others = ["/users/ann", "/users/ann/outbox?page=true", "/@ann"].map(str::to_owned);
        let all: Vec<&String> = notes.iter().chain(&others).collect();
        for n in 0..REQUESTS {
            assert_eq!(client.get(all[n % all.len()]).unwrap().0, 200);
        }
        if round > 0 {
            used.push(server.memory("VmRSS") / 1024.0);
        }
    }
    vec![
        Figure::new("cold start to ready, existing private cluster", "s", seconds, Limit::AtMost(1.0)),
        Figure::new("memory after the start (VmRSS)", "MiB", idle, Limit::AtMost(40.0)),
        Figure::new("memory after 1,000 requests (VmRSS)", "MiB", used, Limit::AtMost(40.0)),
    ]
}
