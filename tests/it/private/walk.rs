//! A thousand posts in every audience, and every address that the server can answer or somebody could guess: not one private
//! word or byte. Nor in the log, the report, the database or the data folder.

use super::thousand::{self, POSTS, TAG};
use super::{MARK, files};
use crate::private_postgres::Place;
use crate::support::status_id;
use futures::StreamExt;
use reqwest::header::{ACCEPT, HOST};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// As another server asks, and as a browser does.
const FORMS: [&str; 2] = ["application/activity+json", "text/html"];
/// Requests under way at the same time.
const AT_ONCE: usize = 4;

struct Walk<'a> {
    place: &'a Place,
    client: Client,
    /// Numbers of private posts.
    numbers: BTreeSet<String>,
}

/// What came back.
struct Said {
    path: String,
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Said {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

impl Walk<'_> {
    fn host(&self) -> String {
        format!("localhost:{}", self.place.port)
    }

    async fn ask(&self, method: Method, path: &str, form: &str, host: &str) -> Said {
        let url = format!("http://127.0.0.1:{}{path}", self.place.port);
        let answer = self.client.request(method, url).header(HOST, host).header(ACCEPT, form).send().await.unwrap();
        let (status, head) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        let said = Said { path: path.to_owned(), status, head, body: answer.bytes().await.unwrap().to_vec() };
        self.check(&said);
        said
    }

    /// No private word, and no number of a private post but one that was asked for.
    fn check(&self, said: &Said) {
        let Said { path, head, body, .. } = said;
        assert!(!head.contains(MARK) && !holds(body, MARK), "{path}: {head}\n{}", said.text());
        let text = format!("{head}\n{}", said.text()).replace(path.as_str(), "");
        for digits in text.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() > 15) {
            assert!(!self.numbers.contains(digits) || path.contains(digits), "{path} tells of {digits}: {text}");
        }
    }

    /// Ask for these in both forms.
    async fn ask_all(&self, paths: Vec<String>) -> Vec<Said> {
        let asked = paths.iter().flat_map(|path| FORMS.map(|form| (path, form)));
        let host = self.host();
        let answers = asked.map(|(path, form)| self.ask(Method::GET, path, form, &host));
        futures::stream::iter(answers.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await
    }

    /// Follow every address from what everybody knows; what was found.
    async fn follow(&self) -> BTreeSet<String> {
        let roots =
            ["/", "/@ann", "/users/ann", "/actor", "/tags/open", "/.well-known/nodeinfo", "/.well-known/host-meta"];
        let mut waiting: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
        waiting.push(format!("/.well-known/webfinger?resource=acct:ann@{}", self.host()));
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while !waiting.is_empty() {
            seen.extend(waiting.iter().cloned());
            assert!(seen.len() < 20_000, "the walk does not end");
            let answers = self.ask_all(std::mem::take(&mut waiting)).await;
            let mut found: BTreeSet<String> = answers.iter().flat_map(|said| self.addresses(&said.text())).collect();
            found.retain(|path| !seen.contains(path));
            waiting.extend(found);
        }
        seen
    }

    /// Addresses of this server in a text, as paths.
    fn addresses(&self, text: &str) -> Vec<String> {
        let base = format!("http://{}", self.host());
        let ends = |c: char| c.is_whitespace() || "\"'<>\\),".contains(c);
        let absolute = text.split(&base).skip(1).map(|rest| rest.split(ends).next().unwrap().to_owned());
        let linked = ["href=\"/", "src=\"/", "action=\"/"]
            .into_iter()
            .flat_map(|start| text.split(start).skip(1).map(|rest| format!("/{}", rest.split('"').next().unwrap())));
        let plain =
            |path: String| path.replace("&amp;", "&").replace("&#38;", "&").split('#').next().unwrap().to_owned();
        absolute.chain(linked).map(plain).filter(|path| path.starts_with('/')).collect()
    }

    /// Addresses that lead to nothing, for who knows or guesses a number, a hash or a name on the disk.
    fn guesses(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (at, id) in self.numbers.iter().enumerate() {
            let post = format!("/users/ann/statuses/{id}");
            paths.extend([format!("/@ann/{id}"), post.clone()]);
            if at % 10 == 0 {
                paths.extend(
                    ["activity", "replies", "likes", "shares", "quotes"].map(|below| format!("{post}/{below}")),
                );
                paths.extend([
                    format!("/users/ann/contexts/{id}"),
                    format!("/private/{id}"),
                    format!("/@ann/{id}/embed"),
                ]);
            }
        }
        let mut names: Vec<String> = Vec::new();
        for picture in thousand::private_pictures() {
            names.push(openssl::sha::sha256(&picture).iter().map(|byte| format!("{byte:02x}")).collect());
            names.push(self.kept_as(&picture));
        }
        for file in files(&self.place.dir.join("private")) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let below = file.strip_prefix(&self.place.dir).unwrap().display().to_string();
            paths.extend([format!("/{below}"), format!("/media/{name}"), format!("/media/../{below}")]);
            paths.push(format!("/media/%2e%2e/{below}"));
            names.push(name);
        }
        for name in names {
            paths.extend(["png", "600.webp", "1200.webp"].map(|end| format!("/media/{name}.{end}")));
        }
        paths
    }

    /// The hash under which the public store would have a picture.
    fn kept_as(&self, picture: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = everpost::media::MediaStore::in_folder(folder.path(), everpost::media::Limits::default()).unwrap();
        store.inspect(&mut &picture[..]).unwrap().sha256
    }

    /// What is no plain reading of what is there.
    async fn odd_requests(&self) {
        let id = self.numbers.first().unwrap();
        let host = self.host();
        for path in [
            format!("/users/ann/outbox?page=true&max_id={id}&min_id={id}&before={id}&after={id}"),
            format!("/.well-known/webfinger?resource=http://{host}/users/ann/statuses/{id}"),
            "/.well-known/webfinger?resource=acct:bob@other.example".to_owned(),
            "/users/ann/outbox?page=-1&cursor=x".to_owned(),
            "/healthz".to_owned(),
            "/readyz".to_owned(),
        ] {
            for form in FORMS {
                self.ask(Method::GET, &path, form, &host).await;
            }
        }
        for form in FORMS {
            assert_eq!(self.ask(Method::GET, &format!("/@ann/{id}"), form, "elsewhere.example").await.status, 421);
            self.ask(Method::HEAD, &format!("/users/ann/statuses/{id}"), form, &host).await;
            self.ask(Method::POST, "/users/ann/inbox", form, &host).await;
            self.ask(Method::DELETE, &format!("/users/ann/statuses/{id}"), form, &host).await;
            let tag = self.ask(Method::GET, &format!("/tags/{TAG}"), form, &host).await;
            assert!(!tag.text().contains("/@ann/"), "nothing has that tag: {}", tag.text());
        }
    }
}

/// Every row of every table as text, and the sources of posts unpacked.
fn dump(place: &Place) -> String {
    let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'";
    let rows = |table: String| place.texts(&format!("SELECT t::text FROM \"{table}\" t")).unwrap();
    let mut dump: Vec<String> = place.texts(tables).unwrap().into_iter().flat_map(rows).collect();
    for packed in place.texts("SELECT encode(bytes, 'hex') FROM post_sources").unwrap() {
        let digits = |at: usize| u8::from_str_radix(&packed[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..packed.len()).step_by(2).map(digits).collect();
        dump.push(String::from_utf8(zstd::stream::decode_all(bytes.as_slice()).unwrap()).unwrap());
    }
    dump.join("\n")
}

async fn walk(include: bool) {
    let mut place = Place::new();
    let key = place.program.scratch().join("everpost.key");
    std::fs::write(&key, [7; 32]).unwrap();
    for (name, value) in [
        ("EVERPOST_SECRETS__KEY_FILE", key.to_str().unwrap()),
        ("EVERPOST_LOG", "debug"),
        ("EVERPOST_LOG__REQUESTS", "all"),
    ] {
        place.program.set(name, value);
    }
    let mut server = place.serve();
    let archive = thousand::write(place.program.scratch());
    let mut arguments = vec!["import", archive.to_str().unwrap(), "--json", "--strict"];
    arguments.extend(include.then_some("--include-private"));
    let outcome = place.run(&arguments);
    assert!(!outcome.stdout.contains(MARK) && !outcome.stderr.contains(MARK), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let open = (0..POSTS).filter(|n| thousand::is_open(*n)).count();
    let hidden = usize::try_from(POSTS).unwrap() - open;
    let (stored, left_out) = if include { (hidden, 0) } else { (0, hidden) };
    let private =
        json!({ "stored": stored, "unchanged": 0, "left_out": left_out, "made_public": 0, "still_public": [] });
    assert_eq!((&report["created"], &report["private"], &report["skipped"]), (&json!(open), &private, &json!([])));
    assert_eq!(outcome.code, 0, "nothing is lost");
    // As much as there is is shown.
    for setting in ["publish.replies=true", "publish.boosts=true", "archived_counts=true", "hashtags=on"] {
        place.ok(&["account", "set", "ann", setting]);
    }

    let hidden_numbers = (0..POSTS).filter(|n| !thousand::is_open(*n)).map(|n| status_id(&thousand::at(n)).to_string());
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let walk = Walk { place: &place, client, numbers: hidden_numbers.collect() };
    let seen = walk.follow().await;
    for n in (0..POSTS).filter(|n| thousand::is_open(*n)) {
        let id = status_id(&thousand::at(n));
        for path in [format!("/@ann/{id}"), format!("/users/ann/statuses/{id}")] {
            assert!(seen.contains(&path), "the walk comes to every public post: {path}");
        }
    }
    let media = seen.iter().filter(|path| path.starts_with("/media/")).count();
    assert!(media >= 10, "and to the pictures: {media}");
    for said in walk.ask_all(walk.guesses()).await {
        assert!([400, 404].contains(&said.status), "{}: {} {}", said.path, said.status, said.text());
    }
    walk.odd_requests().await;

    let dump = dump(&place);
    assert!(dump.contains("for all"), "the dump shows what is public");
    let mark: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dump.contains(MARK) && !dump.contains(TAG) && !dump.contains(&mark));
    assert!(walk.numbers.iter().all(|number| !dump.contains(number)), "not even their numbers");
    let base = place.base();
    assert_eq!(server.end("TERM"), 0);
    let log = server.said();
    assert!(log.contains("DEBUG") && log.contains("/@ann") && !log.contains(MARK));
    place.empty_within(10.0);
    // With the database's own files, its log and what it would restore from.
    let (everything, sealed) = (files(&place.dir).into_iter().chain(files(&base)), files(&place.dir.join("private")));
    for path in everything.collect::<BTreeSet<_>>() {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!holds(&bytes, MARK) && !holds(&bytes, TAG), "{}", path.display());
    }
    assert_eq!(sealed.is_empty(), !include);
}

#[tokio::test]
async fn no_address_no_log_and_no_file_holds_a_private_word_or_byte_when_they_are_left_out() {
    walk(false).await;
}

#[tokio::test]
async fn no_address_no_log_and_no_file_holds_a_private_word_or_byte_when_they_are_sealed() {
    walk(true).await;
}
