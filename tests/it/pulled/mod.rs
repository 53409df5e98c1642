//! What followers on another server see of an account, from the real program to a simulated Mastodon (`tests/it/mastodon`)
//! over https and back: posts at their own dates, and feeds that nobody floods.

mod backfilled;
mod followed;
mod resurfaced;
mod sent;

pub use sent::enqueue;

use crate::mastodon::Mastodon;
use crate::support::{Authority, Bundle, Program, Serving, status_id};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};

/// The public name of the server.
const HOST: &str = "kept.example";
/// The account's handle for others, and its actor.
const HANDLE: &str = "ann@kept.example";
const ANN: &str = "https://kept.example/users/ann";

/// A server with the account `ann`, a worker beside it, and another server of the fediverse.
struct World {
    program: Program,
    serving: Serving,
    mastodon: Mastodon,
    archive: tempfile::TempDir,
    /// What stands in the archive: each thread by the date of its first post, with dates and texts.
    threads: BTreeMap<String, Vec<(String, String)>>,
    _worker: Worker,
}

/// `everpost worker`. Ends with this value.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl World {
    /// With so many posts that answer nothing, one a month, and a thread of eight.
    fn start(posts: u32) -> World {
        let authority = Authority::new();
        let mut program = Program::new();
        let believed = authority.write(program.scratch());
        let (cert, key) = authority.issue(HOST).write(program.scratch(), "everpost");
        let mastodon = Mastodon::start_as("4.5.3", Some(std::fs::read(believed).unwrap()));
        for (name, value) in [
            ("SERVER__PUBLIC_URL", format!("https://{HOST}")),
            ("SERVER__TLS_CERT", cert.to_str().unwrap().to_owned()),
            ("SERVER__TLS_KEY", key.to_str().unwrap().to_owned()),
            ("FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128".to_owned()),
            ("FEDERATION__ALLOW_HTTP", mastodon.host()),
        ] {
            program.set(&format!("EVERPOST_{name}"), &value);
        }
        let mut threads = BTreeMap::new();
        for number in 0..posts {
            let at = single(number);
            threads.insert(at.clone(), vec![(at, format!("Month {number}."))]);
        }
        threads.insert(link(0), (0..8).map(|number| (link(number), format!("Part {number}."))).collect());
        let archive = tempfile::tempdir().unwrap();
        write(&threads, archive.path());
        program.ok(&["import", archive.path().to_str().unwrap()]);
        program.ok(&["account", "publish", "ann"]);
        let serving = Serving::start(&program);
        mastodon.reach(HOST, serving.address);
        let quiet = || Stdio::null();
        let worker = Worker(program.command().arg("worker").stdout(quiet()).stderr(quiet()).spawn().unwrap());
        World { program, serving, mastodon, archive, threads, _worker: worker }
    }

    /// Change the text of a post in the archive and import it again.
    fn edit(&mut self, at: &str, text: &str) {
        for posts in self.threads.values_mut() {
            for (_, said) in posts.iter_mut().filter(|(date, _)| date == at) {
                text.clone_into(said);
            }
        }
        write(&self.threads, self.archive.path());
        self.program.ok(&["import", self.archive.path().to_str().unwrap()]);
    }

    /// What the other server shows of the account: the dates of its posts, the newest first by their places.
    fn shown(&self) -> Vec<String> {
        self.mastodon.posts(ANN).into_iter().map(|(_, at)| date(at)).collect()
    }

    /// Wait until something is so over there; what both said helps when it does not come to that.
    fn wait(&self, what: &str, holds: impl FnMut(&Mastodon) -> bool) {
        self.mastodon.wait(what, holds);
        self.mastodon.settle();
    }

    /// Nothing was put on top of any feed, nobody was told of anything, and nothing was sent that was lost.
    fn assert_silent(&self) {
        let mastodon = &self.mastodon;
        let log = self.serving.log();
        assert_eq!((mastodon.insertions(), mastodon.notifications()), (vec![], vec![]), "{log}");
        assert_eq!((mastodon.dropped(), mastodon.refused()), (vec![], vec![]), "{log}");
    }

    /// The types of all that came to the other server, in order.
    fn came(&self) -> Vec<String> {
        let kind = |activity: &serde_json::Value| activity["type"].as_str().unwrap().to_owned();
        self.mastodon.received().iter().map(kind).collect()
    }
}

fn write(threads: &BTreeMap<String, Vec<(String, String)>>, folder: &std::path::Path) {
    for posts in threads.values() {
        let add = |bundle: Bundle, (at, text): &(String, String)| bundle.post(at, &format!("<p>{text}</p>"));
        posts.iter().fold(Bundle::new(), add).write(folder);
    }
}

/// When the post of that number was written: in that month from January 2020.
fn single(number: u32) -> String {
    format!("{}-{:02}-03T10:00:00Z", 2020 + number / 12, 1 + number % 12)
}

/// When that part of the thread was written: one a minute in 2018.
fn link(number: u32) -> String {
    let first: DateTime<Utc> = "2018-05-01T10:00:00Z".parse().unwrap();
    date(first + TimeDelta::minutes(i64::from(number)))
}

fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The id of the post that was written then.
fn note(at: &str) -> String {
    format!("{ANN}/statuses/{}", status_id(at))
}

/// The moment that an id over there tells, to the second.
fn place(id: i64) -> String {
    date(DateTime::from_timestamp_millis(id >> 16).unwrap())
}
