//! What leaves for other servers, and what is given to those that ask with a signature.

mod actors;
mod authorized;
mod courier;
mod errands;
mod fetch;
mod guard;
mod nodeinfo;
mod proofs;

use crate::support::Reply;
use everpost::federation::client::{Client, Lookup, Options};
use everpost::federation::courier::{Courier, Sender};
use everpost::federation::signature::PublicKey;
use everpost::metrics::Metrics;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub const ACTIVITY_JSON: &str = "application/activity+json";

/// A client that may ask 127.0.0.2 and nothing else of this machine, over http under any name of `.example`.
fn guarded(hosts: &[&str], lookup: Lookup) -> Options {
    Options {
        contact: "https://kept.example".to_owned(),
        allow_addresses: vec!["127.0.0.2/32".parse().unwrap()],
        allow_http: hosts.iter().map(|host| format!("{host}:0")).collect(),
        lookup,
        ..Options::default()
    }
}

/// A resolver that gives these answers one after the other, the last one for ever; and how often it was asked.
fn resolver(answers: &[&[&str]]) -> (Lookup, Arc<Mutex<usize>>) {
    let parse = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<IpAddr>>();
    let answers: Vec<Vec<IpAddr>> = answers.iter().map(parse).collect();
    let asked = Arc::new(Mutex::new(0));
    let counted = asked.clone();
    let lookup = Lookup::new(move |_| {
        let mut count = counted.lock().unwrap();
        let answer = answers[(*count).min(answers.len() - 1)].clone();
        *count += 1;
        Box::pin(async move { Ok(answer) })
    });
    (lookup, asked)
}

/// A courier that may ask this machine as `localhost`.
fn courier() -> Courier {
    let options = Options {
        contact: "https://kept.example".to_owned(),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        allow_http: vec!["localhost:0".to_owned()],
        ..Options::default()
    };
    Courier::new(Client::new(&options).unwrap(), Metrics::default())
}

fn sender() -> (Sender, PublicKey) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let public = PublicKey::from_pem(std::str::from_utf8(&key.public_key_to_pem().unwrap()).unwrap()).unwrap();
    (Sender { key_id: "https://kept.example/actor#main-key".to_owned(), key }, public)
}

/// An answer in ActivityPub's type.
fn activity(value: &Value) -> Reply {
    Reply::new(200, ACTIVITY_JSON, &value.to_string())
}

fn nothing(status: u16) -> Reply {
    Reply::new(status, "text/plain", "")
}

/// An RSA key as PEM, made anew.
fn pem() -> String {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    String::from_utf8(key.public_key_to_pem().unwrap()).unwrap()
}

/// An actor with a key in its document.
fn actor(id: &str, key_id: &str, pem: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        "id": id, "type": "Person", "preferredUsername": "ann", "inbox": format!("{id}/inbox"),
        "publicKey": { "id": key_id, "owner": id, "publicKeyPem": pem },
    })
}
