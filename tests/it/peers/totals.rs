//! An account of ours in the real program, and what others have left with it, as it is served.

use super::stranger::Stranger;
use crate::support::{PATIENCE, Program, Serving, fixture};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

/// The public name of the server.
pub const HOST: &str = "kept.example";

/// The post that others talk about.
pub const POST: &str = "/users/juno/statuses/112219765417328195";

/// A running program with an imported account.
pub struct Account {
    pub program: Program,
    pub serving: Serving,
    /// The path of the post's page.
    pub page: String,
}

impl Account {
    /// An account that may speak plain http with these servers.
    pub fn new(strangers: &[&Stranger]) -> Account {
        let hosts: Vec<String> = strangers.iter().map(|stranger| stranger.host()).collect();
        let mut program = Program::new();
        program.set("EVERPOST_SERVER__PUBLIC_URL", &format!("https://{HOST}"));
        program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128");
        program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &hosts.join(","));
        program.ok(&["import", fixture("hugo-mastodon-to-hugo-v1").to_str().unwrap()]);
        program.ok(&["account", "publish", "juno"]);
        let serving = Serving::start(&program);
        Account { program, serving, page: "/@juno/112219765417328195".to_owned() }
    }

    /// GET as a proxy passes it on.
    pub fn get(&self, target: &str, accept: &str) -> (u16, String) {
        let target = target.strip_prefix(&format!("https://{HOST}")).unwrap_or(target);
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
        let (status, answer) = super::wire::send(self.serving.address, request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        (status, body)
    }

    pub fn json(&self, target: &str) -> Value {
        let (status, body) = self.get(target, "application/activity+json");
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{target}: {e}: {body}"))
    }

    /// What is there: totals of collections, and reports.
    pub fn totals(&self) -> BTreeMap<String, i64> {
        let note = self.json(POST);
        let total =
            |url: &Value| self.json(url["id"].as_str().or(url.as_str()).unwrap())["totalItems"].as_i64().unwrap();
        let replies = self.members(note["replies"]["id"].as_str().unwrap());
        let foreign = replies.iter().filter(|id| !id.starts_with(&format!("https://{HOST}/"))).count();
        let found = [
            ("followers", total(&self.json("/users/juno")["followers"])),
            ("likes", total(&note["likes"])),
            ("shares", total(&note["shares"])),
            ("replies", i64::try_from(foreign).unwrap()),
            ("emoji", self.program.database().number("SELECT coalesce(sum(emoji), 0) FROM echoes")),
            ("reports", self.program.database().number("SELECT count(*) FROM reports")),
        ];
        found.into_iter().filter(|(_, count)| *count != 0).map(|(name, count)| (name.to_owned(), count)).collect()
    }

    /// The ids in a collection, page by page.
    fn members(&self, url: &str) -> Vec<String> {
        let root = self.json(url);
        let mut page = match &root["first"] {
            Value::String(url) => self.json(url),
            Value::Null => root,
            page => page.clone(),
        };
        let mut found = Vec::new();
        loop {
            let items = page.get("items").or(page.get("orderedItems")).and_then(Value::as_array);
            let id = |item: &Value| item["id"].as_str().or(item.as_str()).unwrap().to_owned();
            found.extend(items.into_iter().flatten().map(id));
            let Some(next) = page["next"].as_str() else { return found };
            page = self.json(next);
        }
    }

    /// Wait until the page of the post shows a text: a page that is kept may be some seconds old.
    pub fn wait_for_page(&self, text: &str, at: &str) {
        let begun = Instant::now();
        loop {
            let (status, page) = self.get(&self.page, "text/html");
            if status == 200 && page.contains(text) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{at}: {text:?} is not shown: {status} {page}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Wait until it has come to this.
    pub fn become_like(&self, wanted: &BTreeMap<String, i64>, at: &str) {
        let begun = Instant::now();
        loop {
            let found = self.totals();
            if found == *wanted {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{at}: there are {found:?} instead of {wanted:?}\n{}",
                self.serving.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// The content of a chunked body.
fn unchunk(body: &str) -> String {
    let (mut rest, mut whole) = (body.as_bytes(), Vec::new());
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return String::from_utf8(whole).unwrap();
        }
        whole.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
}
