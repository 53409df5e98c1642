//! The drill: a backup while imports run and messages come in, and what is restored is one moment of it, whole.

use super::{archive, contents, files, with_key};
use crate::inbox::far::{Far, Person, Sending};
use crate::private_postgres::{Place, until, write_archive};
use crate::support::{Program, TestDatabase};
use everpost::federation::signature::{Head, Signer};
use everpost::postgres::{PrivatePostgres, Settings};
use everpost::store::Store;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Send something signed to the shared inbox; whether it was taken.
fn send(place: &Place, person: &Person, activity: &serde_json::Value) -> bool {
    let sending = Sending::of(activity);
    let authority = format!("localhost:{}", place.port);
    let head = Head {
        method: "POST",
        scheme: "http",
        authority: &authority,
        target: &sending.path,
        headers: vec![("content-type", sending.content_type.as_bytes())],
    };
    let signer = Signer { key_id: &person.key_id, key: &person.key };
    let signed = signer.sign(sending.scheme, &head, Some(sending.body.as_bytes()), sending.at).unwrap();
    let mut request = format!(
        "POST {} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        sending.path,
        sending.content_type,
        sending.body.len()
    );
    for (name, value) in signed {
        if !name.eq_ignore_ascii_case("host") {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let mut socket = TcpStream::connect(("127.0.0.1", place.port)).unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    socket.write_all(format!("{request}\r\n{}", sending.body).as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 202")
}

/// The keys of what is only ever added to in this test.
fn added(texts: impl Fn(&str) -> Vec<String>, table: &str) -> BTreeSet<String> {
    let key = if table == "received" { "encode(hash, 'hex')" } else { "id::text" };
    texts(&format!("SELECT {key} FROM {table}")).into_iter().collect()
}

/// Ends the load when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Hold on to the database of a place, with no server that could change anything in it.
fn hold(place: &Place) -> PrivatePostgres {
    let settings = Settings {
        data_dir: place.dir.clone(),
        exe: env!("CARGO_BIN_EXE_everpost").into(),
        path_var: std::env::var_os("PATH"),
    };
    PrivatePostgres::attach(&settings, &|url| Store::probe(url).map_err(|error| error.to_string())).unwrap()
}

const ADDED: [&str; 6] = ["posts", "imports", "attachments", "followers", "replies", "received"];

#[test]
fn a_backup_under_write_load_is_one_moment_and_comes_back_whole() {
    let mut old = Place::new();
    with_key(&mut old.program);
    let far = Far::start();
    old.program.set("EVERPOST_FEDERATION__ALLOW_HTTP", "localhost:0");
    old.program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128");
    let path = archive(old.program.scratch());
    old.ok(&["import", path.to_str().unwrap(), "--include-private"]);
    let mut server = old.serve();
    let base = format!("http://localhost:{}", old.port);
    let note = format!("{base}/users/ann/statuses/{}", old.texts("SELECT min(id) FROM posts").unwrap()[0]);
    let stop = AtomicBool::new(false);
    let (imported, taken) = (AtomicU32::new(0), AtomicU32::new(0));
    let people: Vec<Person> = (0..2).map(|n| far.person(&format!("person{n}"))).collect();
    let mut before = Vec::new();
    let file = old.program.scratch().join("a");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let folder = old.program.scratch().join(format!("site-{n}"));
                write_archive(&folder, 1 + n, 20);
                old.ok(&["import", folder.to_str().unwrap(), "--account", "ann", "--adopt"]);
                imported.fetch_add(1, Ordering::Relaxed);
            }
        });
        for person in &people {
            let (old, note, base, stop, taken) = (&old, &note, &base, &stop, &taken);
            scope.spawn(move || {
                let follow = person.does("Follow", 1, format!("{base}/users/ann"));
                assert!(send(old, person, &follow));
                for n in 2.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let activity = match n % 3 {
                        0 => person.does("Like", n, note.clone()),
                        1 => person.does("Undo", n, json!(person.does("Like", n - 1, note.clone()))),
                        _ => person.creates(n, person.note(n, note, "<p>Indeed.</p>")),
                    };
                    taken.fetch_add(u32::from(send(old, person, &activity)), Ordering::Relaxed);
                }
            });
        }
        // Also if something fails below: who waits for threads that go on waits for ever.
        let _stop = Stop(&stop);
        let under_load = || imported.load(Ordering::Relaxed) > 0 && taken.load(Ordering::Relaxed) > 20;
        until("the load is there", 60, || under_load().then_some(()));
        before.extend(ADDED.map(|table| added(|query| old.texts(query).unwrap(), table)));
        let (imports, messages) = (imported.load(Ordering::Relaxed), taken.load(Ordering::Relaxed));
        let made = old.run(&["backup", file.to_str().unwrap()]);
        assert_eq!(made.code, 0, "{made:?}");
        assert!(taken.load(Ordering::Relaxed) > messages, "messages came in meanwhile");
        until("an import ended after it", 60, || (imported.load(Ordering::Relaxed) > imports).then_some(()));
    });
    let after = ADDED.map(|table| added(|query| old.texts(query).unwrap(), table));
    let quiet = old.program.scratch().join("b");
    // Now nothing is written any more, and every row can be compared.
    server.end("TERM");
    old.ok(&["backup", quiet.to_str().unwrap()]);

    // The one into another server's database, the other into a private one.
    let restore = |new: &mut Program, file: &Path| {
        new.set("EVERPOST_SERVER__PUBLIC_URL", &base);
        new.ok(&["restore", file.to_str().unwrap()]);
        let key = new.data_dir().join("everpost.key");
        new.set("EVERPOST_SECRETS__KEY_FILE", key.to_str().unwrap());
        let verified = new.ok(&["verify"]);
        assert!(verified.starts_with("Everything is whole."), "{verified}");
    };
    let database = TestDatabase::empty();
    let mut loaded = Program::private();
    loaded.set("EVERPOST_DATABASE__URL", &database.url());
    restore(&mut loaded, &file);
    for ((table, before), after) in ADDED.iter().zip(&before).zip(&after) {
        let here = added(|query| database.texts(query), table);
        assert!(before.is_subset(&here), "{table}: what was there before is there");
        assert!(here.is_subset(after), "{table}: and nothing that never was");
    }
    // One moment: every activity that was received has had its effect, and none twice.
    let likes = "SELECT coalesce(sum(likes), 0)::text || ' ' || (SELECT count(*) FROM reactions WHERE kind = 'like') FROM echoes";
    let counted = database.texts(likes);
    let (told, there) = counted[0].split_once(' ').unwrap();
    assert_eq!(told, there, "what is counted is there");

    let mut same = Place::new();
    restore(&mut same.program, &quiet);
    let _held = (hold(&old), hold(&same));
    let rows = |place: &Place| contents(|query| place.texts(query).unwrap());
    assert_eq!(rows(&same), rows(&old));
    for folder in ["media", "private"] {
        assert_eq!(files(&same.dir.join(folder)), files(&old.dir.join(folder)), "{folder}");
    }
}
