//! Notes and outbox pages against a bare actix handler that gives the same bytes; both under wrk, in turns.

use crate::Wanted;
use crate::figure::{Figure, Limit};
use crate::place::{Place, Served, Server, free_port};
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Threads and connections of wrk.
const WRK: [&str; 4] = ["-t", "2", "-c", "32"];

/// The cache that the issue allows, in MiB.
const CACHE: &str = "8";

pub fn run(place: &Place, served: &Served, wanted: &Wanted) -> Vec<Figure> {
    println!(
        "\n== http: everpost with cache.size_mib = {CACHE}; wrk {} for {} s a round",
        WRK.join(" "),
        wanted.seconds
    );
    let server = served.serve(place, CACHE);
    let note = served.notes[served.notes.len() / 2].clone();
    let page = "/users/ann/outbox?page=true".to_owned();
    let mut figures = Vec::new();
    for (name, path) in [("GET of one Note / bare handler", note), ("GET of one outbox page / bare handler", page)] {
        let bare = bare(place, &server, &path);
        let script = place.path("one.lua");
        std::fs::write(&script, lua(&format!("path = '{path}'"), "")).unwrap();
        figures.push(compare(name, Limit::AtLeast(0.6), &server, &bare, &script, wanted));
    }
    let list = place.path("notes.txt");
    std::fs::write(
        &list,
        served.notes.iter().take(100_000).fold(String::new(), |mut all, note| {
            writeln!(all, "{note}").unwrap();
            all
        }),
    )
    .unwrap();
    let script = place.path("walk.lua");
    let read = format!(
        "local paths = {{}}\nfor line in io.lines('{}') do paths[#paths + 1] = line end\n\
         local seed = tonumber(tostring(paths):match('0x(%x+)'), 16)\nmath.randomseed(seed)",
        list.display()
    );
    std::fs::write(&script, lua(&read, "path = paths[math.random(#paths)]")).unwrap();
    let bare = bare(place, &server, &served.notes[0]);
    let walk = "random walk over 100,000 Notes / bare handler";
    figures.push(compare(walk, Limit::AtLeast(0.2), &server, &bare, &script, wanted));
    // Where the time of a Note goes that has to be made: one more round, by the clocks of the processes.
    let taken = || (bare.processor(), server.processor(), place.backends("served"));
    let before = taken();
    let theirs = wrk(&bare, &script, wanted) * f64::from(wanted.seconds);
    let ours = wrk(&server, &script, wanted) * f64::from(wanted.seconds);
    let after = taken();
    println!(
        "processor time for a Note of the walk: bare handler {:.0} µs; everpost {:.0} µs and Postgres {:.0} µs",
        (after.0 - before.0) / theirs * 1e6,
        (after.1 - before.1) / ours * 1e6,
        (after.2 - before.2) / ours * 1e6
    );
    println!("memory of the server after it: {:.1} MiB", server.memory("VmRSS") / 1024.0);
    figures
}

/// A script for wrk: `once` when a thread starts, `each` before each request; `path` is what is asked for.
fn lua(once: &str, each: &str) -> String {
    format!(
        "local path\n{once}\n\
         local headers = {{ ['Accept'] = 'application/activity+json', ['Host'] = os.getenv('BENCH_HOST') }}\n\
         request = function()\n{each}\nreturn wrk.format('GET', path, headers)\nend\n\
         done = function(summary)\n\
         io.write('REQUESTS ', summary.requests * 1000000 / summary.duration, '\\n')\n\
         local e = summary.errors\n\
         io.write('ERRORS ', e.connect + e.read + e.write + e.timeout + e.status, '\\n')\nend\n"
    )
}

/// The bare handler with what the server answers at a path.
fn bare(place: &Place, server: &Server, path: &str) -> Server {
    // The answer as it is once it is kept: its Last-Modified is given from the second after the change on.
    let (status, headers, body) = server.get(path).unwrap();
    assert_eq!(status, 200, "{path}");
    let kept = |header: &&String| !header.starts_with("content-length") && !header.starts_with("date");
    let headers: String = headers.iter().filter(kept).map(|header| format!("{header}\n")).collect();
    let (body_file, headers_file) = (place.path("bare.body"), place.path("bare.headers"));
    std::fs::write(&body_file, &body).unwrap();
    std::fs::write(&headers_file, headers).unwrap();
    let port = free_port();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["bare", &port.to_string()])
        .args([body_file, headers_file])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let bare = Server::of(child, port);
    let begun = Instant::now();
    let answer = loop {
        match bare.get(path) {
            Some(answer) => break answer,
            None => assert!(begun.elapsed() < Duration::from_secs(10), "the bare handler does not start"),
        }
    };
    assert_eq!(answer.2, body, "the same bytes");
    bare
}

fn compare(
    name: &'static str,
    limit: Limit,
    server: &Server,
    bare: &Server,
    script: &std::path::Path,
    wanted: &Wanted,
) -> Figure {
    let mut ratios = Vec::new();
    for round in 0..=wanted.rounds {
        let (theirs, ours) = (wrk(bare, script, wanted), wrk(server, script, wanted));
        // The first round only warms up.
        if round > 0 {
            println!("{name}: {ours:.0} / {theirs:.0} requests a second = {:.3}", ours / theirs);
            ratios.push(ours / theirs);
        }
    }
    Figure::new(name, "", ratios, limit)
}

/// Requests a second.
fn wrk(server: &Server, script: &std::path::Path, wanted: &Wanted) -> f64 {
    let output = Command::new("wrk")
        .args(WRK)
        .args(["-d", &format!("{}s", wanted.seconds), "-s"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{}/", server.port))
        .env("BENCH_HOST", format!("localhost:{}", server.port))
        .output()
        .expect("wrk is not installed: script/bootstrap --bench");
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse::<f64>().ok()).unwrap_or_else(|| panic!("wrk said: {text}"))
    };
    assert!(number("ERRORS") == 0.0, "some requests failed: {text}");
    number("REQUESTS")
}
