//! The one way in which a request leaves for another server.
//!
//! https only unless told otherwise, and only to addresses that may be asked, looked at after the name was resolved and
//! right before it is connected to; bounded in time, size and number for each host; no redirects followed by itself, no
//! proxies from the environment, and a User-Agent that says who asks. Must never know what an answer means.
//! Start with [`Client::send`]; `courier.rs` signs what goes through it.

use super::addresses;
use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::{Host, Url};

/// Longest wait for a connection, its name's resolution included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence while an answer comes in.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for a whole answer.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection is kept for another request. A message to ten thousand hosts leaves as many open that long.
const KEPT: Duration = Duration::from_secs(15);
/// Largest body, in bytes: no server of the fediverse reads more.
const MAX_BODY: usize = 1 << 20;
/// Requests that are under way to one host at the same time; a further one waits. More would be rude to a small server.
const PER_HOST: usize = 8;
/// Longest wait for one of those places.
const PLACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Hosts whose places are kept in mind.
const HOSTS: u64 = 10_000;

/// How a client is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where whoever is asked can read who asks: the base URL of this server. GoToSocial answers 418 to nobody.
    pub contact: String,
    /// Certificate authorities in a PEM file that are believed besides the system's (`federation.extra_ca`).
    pub extra_ca: Option<PathBuf>,
    /// Blocks of addresses that may be asked although they are not public (`federation.allow_addresses`).
    pub allow_addresses: Vec<IpNet>,
    /// Hosts that are spoken to over plain http, as `localhost:8080`; port 0 stands for every port, none for port 80
    /// (`federation.allow_http`).
    pub allow_http: Vec<String>,
    /// A host that is reached at this address and port, whatever DNS says and whatever the address is.
    pub connect: Option<(String, SocketAddr)>,
    /// How names become addresses.
    pub lookup: Lookup,
}

/// Every address that there is: for who asks only names of the owner's own, as the doctor does.
pub fn everywhere() -> Vec<IpNet> {
    vec![IpNet::from(ipnet::Ipv4Net::default()), IpNet::from(ipnet::Ipv6Net::default())]
}

/// How a name becomes addresses: by the system's resolver, unless a test says otherwise.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>);

impl Lookup {
    /// Look names up by this function.
    pub fn new(
        look: impl Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync + 'static,
    ) -> Lookup {
        Lookup(Arc::new(look))
    }
}

impl Default for Lookup {
    fn default() -> Lookup {
        Lookup::new(|host| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) })
        })
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookup")
    }
}

/// Why there is no answer, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client itself cannot be made.
    #[error("{0}")]
    Setup(String),
    /// The URL is none that this client asks.
    #[error("{0} is not an https address")]
    Refused(String),
    /// The host leads to addresses that are not asked.
    #[error("{0} leads to no public address; federation.allow_addresses allows others")]
    Forbidden(String),
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsigned(String),
    /// Too many requests to that host are under way.
    #[error("too many requests to {0} are under way")]
    Busy(String),
    /// It was sent from one address to the next.
    #[error("it redirects too often")]
    Redirects,
    /// The name leads nowhere.
    #[error("the name {host} does not resolve: {cause}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// Nobody answers there, or what answers does not speak TLS that we accept.
    #[error("no connection: {0}")]
    Connect(String),
    /// The answer did not come in time.
    #[error("no answer within {} seconds", TOTAL_TIMEOUT.as_secs())]
    Timeout,
    /// The answer is larger than anybody reads.
    #[error("the answer is larger than {} KiB", MAX_BODY >> 10)]
    TooLarge,
    /// What came is not HTTP.
    #[error("the answer broke off or is no HTTP: {0}")]
    Broken(String),
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The URL that answered: another one than was asked when a redirect was followed.
    pub url: String,
    /// The status code.
    pub status: u16,
    /// Every header, the name in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as it came, not decompressed.
    pub body: Vec<u8>,
}

impl Answer {
    /// The values of a header, joined as one list; empty where it is absent.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.collect::<Vec<_>>().join(", ")
    }
}

/// Asks other servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    options: Arc<Options>,
    places: moka::sync::Cache<String, Arc<Semaphore>>,
}

impl Client {
    /// A client with these options; fails when the file of authorities cannot be used.
    pub fn new(options: &Options) -> Result<Client, Error> {
        let agent = format!("Everpost/{} (+{}/)", env!("CARGO_PKG_VERSION"), options.contact);
        let mut options = options.clone();
        options.allow_http = options.allow_http.iter().map(|authority| with_port(authority)).collect();
        let options = Arc::new(options);
        let mut builder = reqwest::Client::builder()
            .user_agent(agent)
            .https_only(options.allow_http.is_empty())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .pool_idle_timeout(KEPT)
            .dns_resolver(Guard(options.clone()));
        if let Some(path) = &options.extra_ca {
            let fail = |reason: String| Error::Setup(format!("federation.extra_ca {}: {reason}", path.display()));
            let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
            let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fail(error.to_string()))?;
            if found.is_empty() {
                return Err(fail("it holds no certificate in PEM form".to_owned()));
            }
            builder = builder.tls_certs_merge(found);
        }
        if let Some((host, address)) = &options.connect {
            builder = builder.resolve(host, *address);
        }
        let inner = builder.build().map_err(|error| Error::Setup(error.to_string()))?;
        let places = moka::sync::Cache::builder().max_capacity(HOSTS).time_to_idle(10 * TOTAL_TIMEOUT).build();
        Ok(Client { inner, options, places })
    }

    /// GET with these headers. Answers of every status are answers; redirects are not followed.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Error> {
        self.send("GET", url, headers, None).await
    }

    /// One request with these headers and body. Answers of every status are answers; redirects are not followed.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, Error> {
        let parsed = self.check(url)?;
        let host = authority(&parsed);
        let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| Error::Refused(url.to_owned()))?;
        let places = self.places.get_with_by_ref(host.as_str(), || Arc::new(Semaphore::new(PER_HOST)));
        let place = tokio::time::timeout(PLACE_TIMEOUT, places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(Error::Busy(host)) };
        let mut request = self.inner.request(method, parsed);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_vec());
        }
        let mut response = request.send().await.map_err(|error| read_error(&error, &host))?;
        let status = response.status().as_u16();
        let mut answer = Answer { url: url.to_owned(), status, headers: Vec::new(), body: Vec::new() };
        for (name, value) in response.headers() {
            answer.headers.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| read_error(&error, &host))? {
            if answer.body.len() + chunk.len() > MAX_BODY {
                return Err(Error::TooLarge);
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    /// The scheme by which a host (with its port, if there is one) is spoken to: http only where that is allowed.
    pub fn scheme(&self, authority: &str) -> &'static str {
        if self.speaks_http(authority) { "http" } else { "https" }
    }

    fn speaks_http(&self, authority: &str) -> bool {
        let asked = with_port(authority);
        let host = asked.rsplit_once(':').map(|(host, _)| host);
        let allows = |allowed: &String| *allowed == asked || allowed.strip_suffix(":0") == host;
        self.options.allow_http.iter().any(allows)
    }

    /// The URL, if it may be asked as far as it shows by itself.
    ///
    /// A host that is an address is looked at here, for no resolver is asked for it.
    fn check(&self, url: &str) -> Result<Url, Error> {
        let refused = || Error::Refused(url.to_owned());
        let parsed = Url::parse(url).map_err(|_| refused())?;
        let allowed = match parsed.scheme() {
            "https" => true,
            "http" => self.speaks_http(&authority(&parsed)),
            _ => false,
        };
        if !allowed || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refused());
        }
        let address = match parsed.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(parsed),
            None => return Err(refused()),
        };
        let told = self.options.connect.as_ref().is_some_and(|(host, _)| Some(host.as_str()) == parsed.host_str());
        match told || addresses::may_be_asked(address, &self.options.allow_addresses) {
            true => Ok(parsed),
            false => Err(Error::Forbidden(authority(&parsed))),
        }
    }
}

/// What stands in the Host header: the host, with its port unless that is the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An authority in lower case with its port, which is that of plain http where none is said.
fn with_port(authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    match authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => authority,
        _ => format!("{authority}:80"),
    }
}

/// Resolves names and lets through what may be asked. Only what it gives is connected to: there is no second lookup.
struct Guard(Arc<Options>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let options = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let mut found = (options.lookup.0)(host.clone()).await?;
            let any = !found.is_empty();
            found.retain(|address| addresses::may_be_asked(*address, &options.allow_addresses));
            if any && found.is_empty() {
                return Err(NotAsked(host).into());
            }
            // The port is that of the URL.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// A name leads to addresses that are not asked; found again among the causes of the library's error.
#[derive(Debug, thiserror::Error)]
#[error("{0} leads to no public address")]
struct NotAsked(String);

/// The addresses of a host, each once, in the order in which they would be tried.
pub async fn resolve(host: &str) -> Result<Vec<IpAddr>, Error> {
    let fail = |cause: String| Error::Resolve { host: host.to_owned(), cause };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::time::timeout(IDLE_TIMEOUT, tokio::net::lookup_host((bare, 0))).await;
    let found = found.map_err(|_| fail("the resolver does not answer".to_owned()))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map_err(|error| fail(error.to_string()))? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    match addresses.is_empty() {
        true => Err(fail("it has no address".to_owned())),
        false => Ok(addresses),
    }
}

/// What the library says, by what can be done about it.
fn read_error(error: &reqwest::Error, host: &str) -> Error {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(NotAsked(host)) = cause.downcast_ref() {
            return Error::Forbidden(host.clone());
        }
        causes.push(cause.to_string());
        source = cause.source();
    }
    let cause = causes.last().cloned().unwrap_or_else(|| error.to_string());
    match error {
        _ if causes.iter().any(|cause| cause == "dns error") => Error::Resolve { host: host.to_owned(), cause },
        _ if error.is_connect() => Error::Connect(cause),
        _ if error.is_timeout() => Error::Timeout,
        _ => Error::Broken(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that answers every connection with these bytes; what it was asked comes back too.
    async fn server(answer: Vec<u8>) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            // Who has read enough goes away.
            let _ = socket.write_all(&answer).await;
            String::from_utf8(head).unwrap()
        });
        (address, asked)
    }

    /// Everything on this machine, over plain http.
    fn options(authority: &str) -> Options {
        Options {
            contact: "https://kept.example".to_owned(),
            allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
            allow_http: vec![authority.to_owned()],
            ..Options::default()
        }
    }

    async fn ask(authority: &str, options: Options) -> Result<Answer, Error> {
        Client::new(&options).unwrap().get(&format!("http://{authority}/"), &[]).await
    }

    #[tokio::test]
    async fn it_says_who_asks_follows_no_redirect_and_reaches_the_host_that_it_is_told() {
        let (address, asked) =
            server(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let connect = Some(("kept.example".to_owned(), address));
        let client = Client::new(&Options { connect, ..options("kept.example") }).unwrap();
        let answer = client.get("http://kept.example/a", &[("accept", "text/plain")]).await.unwrap();
        assert_eq!((answer.status, answer.header("location").as_str()), (302, "/b"));
        let head = asked.await.unwrap().to_lowercase();
        for part in [
            "get /a ",
            "host: kept.example\r\n",
            "accept: text/plain",
            "user-agent: everpost/",
            "+https://kept.example/",
        ] {
            assert!(head.contains(part), "{part}: {head}");
        }
    }

    #[tokio::test]
    async fn plain_http_and_passwords_are_refused() {
        let client = Client::new(&options("kept.example:8080")).unwrap();
        for url in [
            "http://kept.example/",
            "http://other.example:8080/",
            "https://u:p@kept.example/",
            "file:///etc/passwd",
            "nothing",
        ] {
            assert!(matches!(client.get(url, &[]).await, Err(Error::Refused(_))), "{url}");
        }
    }

    #[test]
    fn plain_http_is_for_the_hosts_and_ports_that_are_listed() {
        let allow_http = ["A.example:8080", "b.example:0", "c.example:80"].map(str::to_owned).to_vec();
        let client = Client::new(&Options { allow_http, ..Options::default() }).unwrap();
        for authority in ["a.example:8080", "b.example", "B.example:1", "c.example", "c.example:80"] {
            assert_eq!(client.scheme(authority), "http", "{authority}");
        }
        for authority in ["a.example", "a.example:80", "a.example:0", "xb.example:1", "c.example:443", "d.example"] {
            assert_eq!(client.scheme(authority), "https", "{authority}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
        let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        answer.resize(answer.len() + MAX_BODY + 1, b'x');
        let (address, _) = server(answer).await;
        let found = ask(&address.to_string(), options(&address.to_string())).await;
        assert!(matches!(found, Err(Error::TooLarge)), "{found:?}");
    }

    #[tokio::test]
    async fn each_failure_has_its_own_name() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert!(matches!(ask(&closed, options(&closed)).await, Err(Error::Connect(_))));
        assert!(matches!(ask("nowhere.invalid", options("nowhere.invalid")).await, Err(Error::Resolve { .. })));
        assert!(matches!(resolve("nowhere.invalid").await, Err(Error::Resolve { .. })));
        let (address, _) = server(b"SSH-2.0-nothing\r\n".to_vec()).await;
        assert!(matches!(ask(&address.to_string(), options(&address.to_string())).await, Err(Error::Broken(_))));
        let missing = Options { extra_ca: Some("/nowhere.pem".into()), ..Options::default() };
        assert!(Client::new(&missing).unwrap_err().to_string().contains("federation.extra_ca /nowhere.pem"));
    }
}
