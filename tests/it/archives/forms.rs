//! The forms that an archive comes in: all give the same, and content decides which one it is.

use super::{create, note, open, open_as, outbox, plain, posts, read_all, skipped};
use crate::support::packing::{self, below, files_of, gzip, put, tar, zip, zstd};
use crate::support::{Bundle, fixture};
use everpost::domain::source::{Format, SourcePost};
use everpost::domain::told::SourceKind;
use serde_json::json;
use std::io::Read;
use std::path::Path;

const FIXTURES: [&str; 6] =
    ["mastodon-3.5", "mastodon-4.1", "mastodon-4.3", "mastodon-4.6", "mastodon-2026", "akkoma-3.10"];

fn media(path: &Path, reference: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut reader = open(path).media(reference).map_err(|error| error.to_string())?;
    reader.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The posts of an archive, each with its path in the file as its place.
fn read_posts(path: &Path) -> Vec<SourcePost> {
    let place = |post: &SourcePost| post.at.split_once('$').unwrap().1.to_owned();
    posts(read_all(path)).into_iter().map(|post| SourcePost { at: place(&post), ..post }).collect()
}

#[test]
fn every_form_of_an_archive_gives_the_same_posts_profile_and_media() {
    let folder = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let unpacked = fixture(name);
        let (files, expected) = (files_of(&unpacked), read_posts(&unpacked));
        assert!(expected.len() >= 5, "{name}");
        let profile = open(&unpacked).profile();
        let forms = [
            ("a", zip(&files)),
            ("b", tar(&files)),
            ("c", gzip(&tar(&files))),
            ("d", zstd(&tar(&files))),
            ("e", zip(&below("archive-2026", &files))),
            ("f", gzip(&tar(&below("./archive-2026", &files)))),
            ("g", gzip(&tar(&files.iter().rev().cloned().collect()))),
        ];
        for (form, bytes) in forms {
            let path = put(folder.path(), form, &bytes);
            assert!(read_posts(&path) == expected, "{name} as {form}");
            assert_eq!(open(&path).profile(), profile, "{name} as {form}");
            for post in &expected {
                for item in &post.media {
                    assert_eq!(media(&path, &item.reference), media(&unpacked, &item.reference), "{name} as {form}");
                }
            }
        }
        let inner = folder.path().join("unpacked into a folder of its own");
        for (file, bytes) in below("archive", &files) {
            put(&inner, &file, &bytes);
        }
        assert!(read_posts(&inner) == expected, "{name} one folder down");
        std::fs::remove_dir_all(&inner).unwrap();
    }
}

#[test]
fn media_are_found_under_each_of_the_paths_that_servers_write() {
    let png = |file: &str| std::fs::read(fixture(file)).unwrap();
    let slash = "media_attachments/files/108/240/001/original/0a1b2c3d4e5f6071.png";
    let expected = png(&format!("mastodon-3.5/{slash}"));
    for reference in
        [slash.to_owned(), format!("/{slash}"), format!("/some-bucket/{slash}"), format!("bucket/x/{slash}")]
    {
        assert_eq!(media(&fixture("mastodon-3.5"), &reference).unwrap(), expected, "{reference}");
    }
    let spaced = "/lantern-bucket/media_attachments/files/112/900/003/original/with%20space.png";
    assert_eq!(
        media(&fixture("mastodon-4.3"), spaced).unwrap(),
        png("mastodon-4.3/media_attachments/files/112/900/003/original/with space.png")
    );
    assert_eq!(media(&fixture("mastodon-3.5"), "avatar.png").unwrap(), png("mastodon-3.5/avatar.png"));
    for (reference, reason) in [
        ("/media_attachments/files/gone.png", "is not in the archive"),
        ("https://files.example/media_attachments/files/a.png", "is a link, not a file in the archive"),
        ("//files.example/media_attachments/files/a.png", "is a link, not a file in the archive"),
        ("media_attachments/../../mastodon-4.1/avatar.png", "leads out of the archive"),
        ("media_attachments/%2e%2e/%2e%2e/mastodon-4.1/avatar.png", "leads out of the archive"),
        ("media_attachments", "is not a file"),
    ] {
        assert_eq!(media(&fixture("mastodon-3.5"), reference).unwrap_err(), format!("{reference}: {reason}"));
    }
}

#[test]
fn a_bare_outbox_is_read_whatever_it_is_called_and_names_its_author_itself() {
    let folder = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let bytes = std::fs::read(fixture(name).join("outbox.json")).unwrap();
        let path = put(folder.path(), &format!("{name}/what.txt"), &bytes);
        let (read, expected) = (posts(read_all(&path)), read_posts(&fixture(name)));
        assert_eq!(open(&path).profile(), None);
        assert_eq!(read.len(), expected.len());
        for (read, expected) in read.iter().zip(&expected) {
            let author = |post: &SourcePost| post.author.as_ref().map(|a| (a.host.clone(), a.user.to_lowercase()));
            assert_eq!(author(read), author(expected), "{name}");
            assert_eq!((&read.key, &read.told, &read.bytes), (&expected.key, &expected.told, &expected.bytes));
        }
    }
}

#[test]
fn an_outbox_with_its_actor_beside_it_is_read_as_the_folder_is() {
    let path = fixture("mastodon-2026/outbox.json");
    assert_eq!(open(&path).profile(), open(&fixture("mastodon-2026")).profile());
    assert_eq!(read_all(&path).len(), read_all(&fixture("mastodon-2026")).len());
}

#[test]
fn foreign_files_beside_an_archive_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    for (file, bytes) in files_of(&fixture("mastodon-4.1")) {
        put(folder.path(), &file, &bytes);
    }
    put(folder.path(), "notes/shopping.md", b"# Bread");
    put(folder.path(), "following_accounts.csv", b"Account address\nann@m.example\n");
    put(folder.path(), "old/outbox.json", b"{}");
    assert!(read_posts(folder.path()) == read_posts(&fixture("mastodon-4.1")));
}

#[test]
fn a_hugo_site_stays_a_hugo_site() {
    let folder = tempfile::tempdir().unwrap();
    Bundle::new().post("2024-01-01T10:00:00Z", "<p>Hello</p>").write(folder.path());
    put(folder.path(), "static/outbox.json", &outbox(&[create(note(1, json!({})))]));
    put(folder.path(), "outbox.json", b"{\"orderedItems\": [\"https://m.example/1\"]}");
    let items = posts(read_all(folder.path()));
    assert_eq!((items.len(), items[0].format), (1, Format::HugoBundle));
    let error = open_as(folder.path(), Some(Format::Mastodon)).err().unwrap().to_string();
    assert!(error.ends_with("its outbox.json is no collection of activities"), "{error}");
}

#[test]
fn a_format_that_is_asked_for_is_taken() {
    let path = fixture("mastodon-4.1");
    let format = |only| open_as(&path, only).unwrap().next().map(|item| item.unwrap().format);
    assert_eq!(format(None), Some(Format::Mastodon));
    assert_eq!(format(Some(Format::Pleroma)), Some(Format::Pleroma));
    assert_eq!(format(Some(Format::HugoBundle)), None, "there is no page in it");
    assert_eq!(posts(read_all(&fixture("akkoma-3.10")))[0].format, Format::Pleroma);
}

#[test]
fn lists_of_likes_and_bookmarks_are_counted_and_never_read_as_posts() {
    assert_eq!(open(&fixture("mastodon-3.5")).profile().unwrap().private_lists, (2, 1));
    assert_eq!(open(&fixture("akkoma-3.10")).profile().unwrap().private_lists, (1, 0));
    assert_eq!(read_all(&fixture("mastodon-3.5/likes.json")).len(), 0);
}

#[test]
fn the_number_of_items_and_their_place_in_the_file_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let item = create(note(1, json!({}))).to_string();
    let spaced = item.replace(',', "\r\n\t , \n");
    let collections = [
        format!("\u{feff}{{\"orderedItems\":[{item}],\"type\":\"OrderedCollection\",\"totalItems\":99}}"),
        format!(
            " \n{{\"totalItems\" : \"many\" , \"x\":{{\"orderedItems\":[1,[2]]}}, \"orderedItems\"\t:\n[ {spaced}\n]\r\n}} trailing"
        ),
        format!("{{\"ordered\\u0049tems\": {item}}}"),
        format!("{{\"s\":\"\\\\\\\"]}}[{{\",\"n\":-1.5e3,\"t\":true,\"orderedItems\":[{item},]}}"),
    ];
    for (index, text) in collections.iter().enumerate() {
        let path = put(folder.path(), "box", text.as_bytes());
        let items = read_all(&path);
        assert_eq!(items.len(), 1, "{index}: {items:?}");
        assert_eq!(items[0].as_ref().unwrap().html, "<p>Number 1</p>", "{index}");
    }
}

#[test]
fn a_page_and_its_object_are_one_post_whichever_archive_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = read_posts(&fixture("mastodon-3.5"));
    let notes: Vec<&SourcePost> =
        archive.iter().filter(|post| !matches!(post.told.kind, SourceKind::Boost(_))).collect();
    let mut bundle = Bundle { user: "ilse", host: "tide.example", ..Bundle::new() };
    for note in &notes {
        bundle.posts.push((note.status.unwrap(), note.html.clone(), String::new()));
    }
    bundle.write(folder.path());
    let hugo = posts(read_all(folder.path()));
    assert_eq!(hugo.len(), notes.len());
    for (hugo, note) in hugo.iter().zip(notes) {
        let identity = |post: &SourcePost| (post.key.clone(), post.author.clone(), post.status, post.published);
        assert_eq!(identity(hugo), identity(note));
        assert_eq!((&hugo.object_id, &hugo.canonical_url), (&note.object_id, &note.canonical_url));
    }
}

#[test]
fn ten_thousand_posts_come_in_order_from_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let files = plain(10_000);
    for (name, bytes) in [("zip", zip(&files)), ("tgz", gzip(&tar(&files))), ("bare", files[0].1.clone())] {
        let path = packing::put(folder.path(), name, &bytes);
        let statuses: Vec<i64> = posts(read_all(&path)).iter().filter_map(|post| post.status).collect();
        assert!(statuses.into_iter().eq(1..=10_000), "{name}");
    }
    assert_eq!(skipped(&read_all(folder.path())), [] as [&str; 0], "a folder of archives is no archive");
}
