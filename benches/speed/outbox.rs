//! Page 1,000 of the outbox against its first page, without a cache.

use crate::Wanted;
use crate::figure::{Figure, Limit, median};
use crate::place::{Client, Place, Served};
use std::time::Instant;

/// The page that is compared with the first.
const PAGE: usize = 1000;
/// Requests for each page in a round, in turns.
const REQUESTS: usize = 200;

pub fn run(place: &Place, served: &Served, wanted: &Wanted) -> Vec<Figure> {
    println!("\n== outbox: everpost with cache.size_mib = 0; {REQUESTS} requests for each page a round, in turns");
    let server = served.serve(place, "0");
    let mut client = Client::open(server.port).unwrap();
    let first = "/users/ann/outbox?page=true".to_owned();
    let mut path = first.clone();
    let mut page = 1;
    while page < PAGE {
        let (_, _, body) = client.get(&path).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let Some(next) = body["next"].as_str() else { break };
        path = next[next.find("/users").unwrap()..].to_owned();
        page += 1;
    }
    println!("page {page} is {path}");
    let mut ratios = Vec::new();
    for round in 0..=wanted.rounds {
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for _ in 0..REQUESTS {
            for (path, times) in [(&first, &mut near), (&path, &mut far)] {
                let begun = Instant::now();
                let (status, ..) = client.get(path).unwrap();
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                assert_eq!(status, 200);
            }
        }
        if round > 0 {
            let (near, far) = (median(&near), median(&far));
            println!("first {near:.3} ms, page {page} {far:.3} ms: {:.3}", far / near);
            ratios.push(far / near);
        }
    }
    vec![Figure::new("outbox page 1,000 / first page, time", "", ratios, Limit::AtMost(1.5))]
}
