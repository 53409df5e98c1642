//! Every address that a server can answer, and every one that somebody could guess: not one private word or byte.

use super::{Archive, MARK, ONE, THREE, TWO, hidden, keep, picture, public, sealed_files, show, with_media};
use crate::support::{TestApp, status_id};
use std::collections::{BTreeSet, VecDeque};

/// Addresses of this server in a text, as paths.
fn addresses(app: &TestApp, text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || "\"'<>\\)".contains(c);
    let absolute = text.split(app.base.as_str()).skip(1).map(|rest| rest.split(ends).next().unwrap().to_owned());
    let linked = ["href=\"/", "src=\"/", "action=\"/"]
        .into_iter()
        .flat_map(|start| text.split(start).skip(1).map(|rest| format!("/{}", rest.split('"').next().unwrap())));
    let plain = |path: String| path.replace("&amp;", "&").replace("&#38;", "&").split('#').next().unwrap().to_owned();
    absolute.chain(linked).map(plain).filter(|path| path.starts_with('/')).collect()
}

#[tokio::test]
async fn no_address_serves_a_private_word_or_byte() {
    let app = TestApp::start_sealed(7).await;
    let only = format!("{MARK}.png");
    let posts = [
        with_media(public(ONE, "For all. #open"), &["shared.png"]),
        with_media(hidden(TWO), &["shared.png", &only]),
        hidden(THREE),
    ];
    keep(&app.app, &Archive::new(&posts).with_media(&[])).await;
    let (row, _) = show(&app, TWO).await.unwrap();

    let roots = ["/", "/@ann", "/users/ann", "/users/ann/outbox", "/users/ann/followers", "/nodeinfo/2.1", "/actor"];
    let mut waiting: VecDeque<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    waiting.push_back(format!("/.well-known/webfinger?resource={}/users/ann", app.base));
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(path) = waiting.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < 500, "the walk does not end: {seen:?}");
        for answer in [app.get(&path).await, app.page(&path).await] {
            let said = format!("{:?} {}", answer.headers, answer.body);
            for word in [MARK, &status_id(TWO).to_string(), &status_id(THREE).to_string()] {
                assert!(!said.contains(word), "{path}: {word}");
            }
            waiting.extend(addresses(&app, &answer.body));
        }
    }
    assert!(seen.len() > 15 && seen.iter().any(|path| path.starts_with("/media/")), "{seen:?}");

    let sha256 =
        |name: &str| -> String { openssl::sha::sha256(&picture(name)).iter().map(|b| format!("{b:02x}")).collect() };
    let mut guessed = vec![
        format!("/media/{}.png", sha256(&only)),
        format!("/users/ann/private/{row}"),
        format!("/media/../private/1/{row}"),
        format!("/media/%2e%2e/private/1/{row}"),
    ];
    for id in [status_id(TWO), status_id(THREE), row.0] {
        for path in [
            format!("/@ann/{id}"),
            format!("/users/ann/statuses/{id}"),
            format!("/users/ann/statuses/{id}/activity"),
            format!("/users/ann/statuses/{id}/replies"),
            format!("/users/ann/statuses/{id}/likes"),
            format!("/contexts/{id}"),
            format!("/users/ann/contexts/{id}"),
        ] {
            guessed.push(path);
        }
    }
    for file in sealed_files(&app) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        guessed.extend([
            format!("/media/{name}"),
            format!("/media/{name}.png"),
            format!("/private/1/{}/{name}", &name[..2]),
        ]);
    }
    for path in guessed {
        for answer in [app.get(&path).await, app.page(&path).await] {
            assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
            assert!(!answer.body.contains(MARK), "{path}");
        }
    }
    assert_eq!(app.object("/users/ann/outbox").await["totalItems"], 1);
}
