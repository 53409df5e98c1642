//! A server of others with documents that can be given to whoever signs, and be gone.

use crate::support::{Heard, Peer, Reply};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// The server; it takes everything that is sent to it.
pub struct Stranger {
    peer: Peer,
    documents: Arc<Mutex<HashMap<String, Document>>>,
}

struct Document {
    text: String,
    /// Whether who does not sign is answered 401.
    signed: bool,
    gone: bool,
}

/// A key that all actors of a test share: making one takes a while.
pub fn shared_key() -> PKey<Private> {
    static PEM: OnceLock<Vec<u8>> = OnceLock::new();
    let pem = PEM.get_or_init(|| {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        key.private_key_to_pem_pkcs8().unwrap()
    });
    PKey::private_key_from_pem(pem).unwrap()
}

impl Stranger {
    pub fn start() -> Stranger {
        let documents: Arc<Mutex<HashMap<String, Document>>> = Arc::default();
        let known = documents.clone();
        let peer = Peer::start(move |heard: &Heard| {
            let empty = |status| Reply::new(status, "text/plain", "");
            match known.lock().unwrap().get(&heard.target) {
                _ if heard.method == "POST" => empty(202),
                Some(document) if document.gone => empty(410),
                Some(document) if document.signed && heard.header("signature").is_empty() => empty(401),
                Some(document) => Reply::new(200, "application/activity+json", &document.text),
                None => empty(404),
            }
        });
        Stranger { peer, documents }
    }

    /// Where it is for others.
    pub fn base(&self) -> String {
        self.peer.url("")
    }

    /// What a configuration allows with which it is reached: a host with its port.
    pub fn host(&self) -> String {
        self.peer.authority()
    }

    /// Serve a document at a path, to everybody or to whoever signs.
    pub fn serve(&self, target: &str, text: &str, signed: bool) {
        let document = Document { text: text.to_owned(), signed, gone: false };
        self.documents.lock().unwrap().insert(target.to_owned(), document);
    }

    /// From now on 410 is answered there.
    pub fn remove(&self, target: &str) {
        self.documents.lock().unwrap().get_mut(target).expect("it was served").gone = true;
    }

    /// What was sent to its inboxes so far.
    pub fn deliveries(&self) -> Vec<Value> {
        let posts = self.peer.heard().into_iter().filter(|heard| heard.method == "POST");
        posts.map(|heard| serde_json::from_slice(&heard.body).unwrap()).collect()
    }
}
