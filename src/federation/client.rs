//! The one way in which a request leaves for another server.
//!
//! https only unless told otherwise, bounded in time and size, no redirects followed by itself, no proxies from the environment,
//! and a User-Agent that says who asks. Must never know what an answer means. Start with [`Client::get`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence while an answer comes in.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for a whole answer.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest body, in bytes: no server of the fediverse reads more.
const MAX_BODY: usize = 1 << 20;

/// How a client is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where whoever is asked can read who asks: the base URL of this server. GoToSocial answers 418 to nobody.
    pub contact: String,
    /// Certificate authorities in a PEM file that are believed besides the system's (`federation.extra_ca`).
    pub extra_ca: Option<PathBuf>,
    /// Whether plain http is spoken too.
    pub allow_http: bool,
    /// A host that is reached at this address and port, whatever DNS says.
    pub connect: Option<(String, SocketAddr)>,
}

/// Why there is no answer, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client itself cannot be made.
    #[error("{0}")]
    Setup(String),
    /// The address is none that this client asks.
    #[error("{0} is not an https address")]
    Refused(String),
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
    allow_http: bool,
}

impl Client {
    /// A client with these options; fails when the file of authorities cannot be used.
    pub fn new(options: &Options) -> Result<Client, Error> {
        let agent = format!("Everpost/{} (+{}/)", env!("CARGO_PKG_VERSION"), options.contact);
        let mut builder = reqwest::Client::builder()
            .user_agent(agent)
            .https_only(!options.allow_http)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .timeout(TOTAL_TIMEOUT);
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
        Ok(Client { inner, allow_http: options.allow_http })
    }

    /// GET with these headers. Answers of every status are answers; redirects are not followed.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Error> {
        let parsed = url::Url::parse(url).map_err(|_| Error::Refused(url.to_owned()))?;
        let allowed = parsed.scheme() == "https" || (parsed.scheme() == "http" && self.allow_http);
        if !allowed || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(Error::Refused(url.to_owned()));
        }
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let request =
            headers.iter().fold(self.inner.get(parsed), |request, (name, value)| request.header(*name, *value));
        let mut response = request.send().await.map_err(|error| read_error(&error, &host))?;
        let mut answer = Answer { status: response.status().as_u16(), headers: Vec::new(), body: Vec::new() };
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
}

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

    fn options() -> Options {
        Options { contact: "https://kept.example".to_owned(), allow_http: true, ..Options::default() }
    }

    #[tokio::test]
    async fn it_says_who_asks_follows_no_redirect_and_reaches_the_host_that_it_is_told() {
        let (address, asked) =
            server(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let client =
            Client::new(&Options { connect: Some(("kept.example".to_owned(), address)), ..options() }).unwrap();
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
        let client = Client::new(&Options { allow_http: false, ..options() }).unwrap();
        for url in ["http://kept.example/", "https://u:p@kept.example/", "file:///etc/passwd", "nothing"] {
            assert!(matches!(client.get(url, &[]).await, Err(Error::Refused(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
        let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        answer.resize(answer.len() + MAX_BODY + 1, b'x');
        let (address, _) = server(answer).await;
        let found = Client::new(&options()).unwrap().get(&format!("http://{address}/"), &[]).await;
        assert!(matches!(found, Err(Error::TooLarge)), "{found:?}");
    }

    #[tokio::test]
    async fn each_failure_has_its_own_name() {
        let client = Client::new(&options()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(client.get(&format!("http://{closed}/"), &[]).await, Err(Error::Connect(_))));
        assert!(matches!(client.get("http://nowhere.invalid/", &[]).await, Err(Error::Resolve { .. })));
        assert!(matches!(resolve("nowhere.invalid").await, Err(Error::Resolve { .. })));
        let (address, _) = server(b"SSH-2.0-nothing\r\n".to_vec()).await;
        assert!(matches!(client.get(&format!("http://{address}/"), &[]).await, Err(Error::Broken(_))));
        let missing = Options { extra_ca: Some("/nowhere.pem".into()), ..options() };
        assert!(Client::new(&missing).unwrap_err().to_string().contains("federation.extra_ca /nowhere.pem"));
    }
}
