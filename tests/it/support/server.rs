//! A running application: the real routes on a free port, a database of its own, verbs for tests.

use super::TestDatabase;
use chrono::Utc;
use everpost::domain::account::{Account, Handle};
use everpost::federation::client::{Client, Options};
use everpost::federation::keys::Vault;
use everpost::http;
use everpost::import::Only;
use everpost::import::limits::Limits;
use everpost::media::{self, MediaStore};
use everpost::operations::ingest::{Report, Request};
use everpost::operations::private::Files;
use everpost::operations::{App, accounts, domains, ingest};
use everpost::store::Store;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::JoinHandle;

/// A running application. Stops, and drops its database, with this value.
pub struct TestApp {
    pub app: App,
    /// `http://localhost:PORT`, or the name that the test chose.
    pub base: String,
    pub address: SocketAddr,
    pub database: TestDatabase,
    /// What a server has in `storage.data_dir`.
    pub data_dir: tempfile::TempDir,
    pub client: reqwest::Client,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl TestApp {
    /// On localhost.
    pub async fn start() -> TestApp {
        TestApp::start_as(None, http::Settings::default()).await
    }

    /// Under a public name; requests carry it as their Host.
    pub async fn start_at(base: &str) -> TestApp {
        TestApp::start_as(Some(base), http::Settings::default()).await
    }

    /// On localhost, with a key file that holds 32 times that byte.
    pub async fn start_sealed(key: u8) -> TestApp {
        TestApp::start_in(None, http::Settings::default(), vault(key)).await
    }

    pub async fn start_as(base: Option<&str>, settings: http::Settings) -> TestApp {
        TestApp::start_in(base, settings, Vault::open(None).unwrap()).await
    }

    async fn start_in(base: Option<&str>, settings: http::Settings, vault: Vault) -> TestApp {
        let database = TestDatabase::new();
        let data_dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let base = base.map_or_else(|| format!("http://localhost:{}", address.port()), str::to_owned);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let (url, folder, public) = (database.url(), data_dir.path().to_owned(), base.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let store = Store::connect(&url, 5).unwrap();
                let media = MediaStore::in_folder(&folder.join("media"), media::Limits::default()).unwrap();
                let app = App::new(store, media, vault, Files::new(&folder.join("private")), outbound(&public));
                let domain = domains::ensure_first(&app, &public, Utc::now()).await.unwrap();
                ready.send(app.clone()).ok().unwrap();
                let stop = async move { drop(stopped.await) };
                http::serve(app, settings, listener, domain.urls().authority(), stop).await.unwrap();
            });
        });
        let app = is_ready.await.unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        TestApp { app, base, address, database, data_dir, client, stop: Some(stop), thread: Some(thread) }
    }

    /// Stop the server, and wait until it has.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Import everything under a path; fails on a skipped item.
    pub async fn import(&self, path: &Path) -> Report {
        let report = self.try_import(path, None).await.unwrap();
        assert_eq!(report.skipped, [], "nothing may be skipped");
        report
    }

    pub async fn try_import(&self, path: &Path, account: Option<&str>) -> Result<Report, everpost::operations::Error> {
        let account = account.map(|handle| Handle::parse(handle).unwrap());
        let request = Request {
            paths: vec![path.to_owned()],
            account,
            adopt: false,
            only: Only::Everything,
            dry_run: false,
            include_private: false,
            limits: Limits::default(),
        };
        ingest::ingest(&self.app, &request, Utc::now(), &|_, _| {}).await
    }

    pub async fn account(&self, handle: &str) -> Account {
        accounts::find(&self.app, &Handle::parse(handle).unwrap()).await.unwrap()
    }

    /// Change settings or the profile, each `key=value`.
    pub async fn set(&self, handle: &str, changes: &[&str]) {
        let mut account = self.account(handle).await;
        for change in changes {
            let (key, value) = change.split_once('=').unwrap();
            accounts::set(&self.app, &mut account, key, value).await.unwrap();
        }
        accounts::save(&self.app, &account, Utc::now()).await.unwrap();
    }

    /// The whole URL under which the client reaches a path or one of our own URLs.
    pub fn url(&self, path: &str) -> String {
        let path = path.strip_prefix(&self.base).unwrap_or(path);
        format!("http://{}{path}", self.address)
    }

    /// A request with the right Host, to be completed.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let host = self.base.split_once("://").unwrap().1;
        self.client.request(method, self.url(path)).header("host", host)
    }

    /// GET with the given headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers.iter().fold(self.request(reqwest::Method::GET, path), |r, (n, v)| r.header(*n, *v));
        Answer::read(request.send().await.unwrap()).await
    }

    /// GET as another server does.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "application/activity+json")]).await
    }

    /// GET as a browser does.
    pub async fn page(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")]).await
    }

    /// GET as another server does, 200, as JSON.
    pub async fn object(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Every Create of an outbox, page by page, newest first.
    pub async fn walk_outbox(&self, handle: &str) -> Vec<Value> {
        let root = self.object(&format!("/users/{handle}/outbox")).await;
        let mut next = root["first"].as_str().map(str::to_owned);
        let mut items = Vec::new();
        while let Some(url) = next {
            let page = self.object(&url).await;
            assert_eq!(page["id"], url.as_str(), "a page's id is its URL");
            items.extend(page["orderedItems"].as_array().unwrap().iter().cloned());
            next = page["next"].as_str().map(str::to_owned);
            assert!(items.len() < 10_000, "the outbox does not end");
        }
        items
    }
}

/// A client that may ask this machine too, and by the name `localhost` over plain http.
fn outbound(contact: &str) -> Client {
    let options = Options {
        contact: contact.to_owned(),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        allow_http: vec!["localhost:0".to_owned()],
        ..Options::default()
    };
    Client::new(&options).unwrap()
}

/// A vault whose key is 32 times a byte.
pub fn vault(key: u8) -> Vault {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [key; 32]).unwrap();
    Vault::open(Some(file.path())).unwrap()
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

impl Answer {
    pub async fn read(response: reqwest::Response) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// A header's value; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where a redirect leads; empty where it does not.
    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }
}
