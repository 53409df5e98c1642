//! The figures of docs/benchmarks.md: `script/bench [http|outbox|inbox|delivery|import|archive|export|idle|all] [--bundles N] [--posts N] [--rounds N]`.
//!
//! Each figure is a ratio within one run: what is measured and what it is measured against take turns, round by round.
//! Start with [`main`]; each bench is a file.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on shall fail")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod archive;
mod bare;
mod delivery;
mod export;
mod figure;
mod http;
mod idle;
mod import;
mod inbox;
mod lease;
mod mastodon;
mod outbox;
mod peer;
mod place;
mod sender;
mod sink;

/// What is asked for.
pub struct Wanted {
    /// Leaf bundles in the generated archive.
    pub bundles: u32,
    /// Items in the generated archive of Mastodon.
    pub posts: u32,
    /// Rounds of each comparison.
    pub rounds: usize,
    /// Seconds of each run of wrk.
    pub seconds: u32,
}

fn main() {
    let mut which = Vec::new();
    let mut wanted = Wanted { bundles: 100_000, posts: 1_000_000, rounds: 5, seconds: 5 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u32>().ok()).expect("a number follows");
        match argument.as_str() {
            "--bundles" => wanted.bundles = number(),
            "--posts" => wanted.posts = number(),
            "--rounds" => wanted.rounds = number() as usize,
            "--seconds" => wanted.seconds = number(),
            // What cargo adds.
            "--bench" => {}
            "http" | "outbox" | "inbox" | "delivery" | "import" | "archive" | "export" | "idle" | "all" => {
                which.push(argument)
            }
            // The bare handler, started by `http` as a process of its own.
            "bare" => return bare::serve(&arguments.collect::<Vec<_>>()),
            // The same for `inbox`.
            "bare-inbox" => return bare::serve_inbox(&arguments.collect::<Vec<_>>()),
            // The hosts of `delivery`.
            "sink" => return sink::serve(&arguments.collect::<Vec<_>>()),
            other => {
                panic!(
                    "{other}: it takes http, outbox, inbox, delivery, import, archive, export, idle, all, --bundles N, --posts N, --rounds N, --seconds N"
                )
            }
        }
    }
    let all = which.is_empty() || which.iter().any(|name| name == "all");
    let is_wanted = |name: &str| all || which.iter().any(|wanted| wanted == name);
    println!("machine: {}", place::machine());
    println!("archive: {} leaf bundles, made by benches/speed/archive.rs", wanted.bundles);
    let place = place::Place::new();
    let mut figures = Vec::new();
    if is_wanted("import") {
        figures.extend(import::run(&place, &wanted));
    }
    if is_wanted("archive") || is_wanted("import") {
        figures.extend(import::run_archive(&place, &wanted));
    }
    if is_wanted("export") {
        figures.extend(export::run(&place, &wanted));
    }
    if is_wanted("http") || is_wanted("outbox") {
        let served = place::Served::with_archive(&place, &wanted);
        if is_wanted("http") {
            figures.extend(http::run(&place, &served, &wanted));
        }
        if is_wanted("outbox") {
            figures.extend(outbox::run(&place, &served, &wanted));
        }
    }
    if is_wanted("inbox") {
        figures.extend(inbox::run(&place, &wanted));
    }
    if is_wanted("delivery") {
        figures.extend(delivery::run(&place, &wanted));
    }
    if is_wanted("idle") {
        figures.extend(idle::run(&place, &wanted));
    }
    println!("\n== figures");
    for figure in &figures {
        figure.print();
    }
}
