//! What another server runs: asked at the server itself, two requests, each of them bounded.
//!
//! Must never believe what a server says about another host. Start with [`software`].

use super::courier::{Courier, Sender};
use super::fetch::{self, Error, accepted, json, unanswered, wrong};
use crate::activitystreams::read::nodeinfo;
use crate::domain::remote::{host_of, same_host};
use crate::domain::software::Software;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// What the documents are asked for as.
const ACCEPT: &str = "application/json";

/// What the server at `host` (with its port where there is one) says that it runs.
///
/// The links are those of that host, the document is on it, and neither redirects to another one.
pub async fn software(
    courier: &Courier,
    sender: &Sender,
    host: &str,
    now: DateTime<Utc>,
) -> Result<Software, fetch::Error> {
    let scheme = courier.client().scheme(host);
    let links_url = format!("{scheme}://{host}/.well-known/nodeinfo");
    if host_of(&links_url).as_deref() != Some(host) {
        return Err(wrong(&links_url, "it is no host"));
    }
    let links = document(courier, sender, &links_url, now).await?;
    let url = nodeinfo::document(&links).ok_or_else(|| wrong(&links_url, "it names no NodeInfo that we read"))?;
    if !same_host(&url, &links_url) {
        return Err(wrong(&links_url, "it names a document on another host"));
    }
    let told = document(courier, sender, &url, now).await?;
    nodeinfo::software(&told).ok_or_else(|| wrong(&url, "it names no software"))
}

/// A document of JSON from a URL, which redirects to no other host.
async fn document(courier: &Courier, sender: &Sender, url: &str, now: DateTime<Utc>) -> Result<Value, Error> {
    let answer = courier.get(sender, url, ACCEPT, now).await.map_err(|error| unanswered(url, error))?;
    let answer = accepted(url, answer)?;
    if !same_host(&answer.url, url) {
        return Err(wrong(url, "it redirects to another host"));
    }
    json(url, &answer)
}
