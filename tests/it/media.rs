//! Media from an archive to a browser: what is kept, how it is served, and to whom.

use crate::activitypub::{account, post, store};
use crate::support::{Answer, Bundle, Program, TestApp, status_id};
use chrono::Utc;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Attachment, MediaFile, NewPost};
use everpost::domain::source::MediaKind;
use everpost::domain::told::MediaTold;
use everpost::import::Only;
use everpost::operations::posts;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use scraper::{Html, Selector};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::Path;

const ONE: &str = "2024-01-01T10:00:00Z";
const PLACE: &[u8] = b"59 deg 54 min north";

/// A picture with enough grain to be worth a thumbnail.
pub fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixel = |x: u32, y: u32| Rgb([x, y, x ^ y].map(|n| n.wrapping_mul(37).to_le_bytes()[0]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG that lies on its side and tells a place.
fn telling(width: u32, height: u32) -> Vec<u8> {
    let plain = picture(width, height, ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    exif.extend(PLACE);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&plain[..2], &[0xFF, 0xE1], &length, &exif, &plain[2..]].concat()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// An application whose account `ann` shows one file.
async fn showing(bytes: &[u8]) -> (TestApp, MediaFile) {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let file = app.app.media.keep(&mut &bytes[..]).unwrap();
    let kind = MediaKind::of_type(&file.media_type).unwrap();
    let attachment = Attachment {
        file: Some(file.clone()),
        kind,
        alt: None,
        source_url: "a".to_owned(),
        told: MediaTold::default(),
    };
    store(&app, "ann", &[NewPost { attachments: vec![attachment], ..post(ONE) }]).await;
    (app, file)
}

fn path(file: &MediaFile) -> String {
    format!("/media/{}", file.file_name())
}

/// Status, headers and bytes.
async fn fetch(app: &TestApp, method: Method, path: &str, headers: &[(&str, &str)]) -> (Answer, Vec<u8>) {
    let request =
        headers.iter().fold(app.request(method, path), |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap().to_vec();
    (Answer { status, headers, body: String::new() }, bytes)
}

/// Import one post with these files, each `(name, bytes)`; the report and the application.
async fn imported(files: &[(&str, &[u8])]) -> (TestApp, everpost::operations::ingest::Report, tempfile::TempDir) {
    let app = TestApp::start().await;
    let archive = tempfile::tempdir().unwrap();
    write_archive(archive.path(), files);
    let report = app.import(archive.path()).await;
    (app, report, archive)
}

fn write_archive(folder: &Path, files: &[(&str, &[u8])]) {
    let lines: Vec<String> = files.iter().map(|(name, _)| format!("![What {name} shows.]({name})")).collect();
    let bundle = Bundle::new().post_with(ONE, "<p>Look.</p>", &lines.join("\n\n")).write(folder);
    for (name, bytes) in files {
        std::fs::write(bundle.join(name), bytes).unwrap();
    }
}

async fn attachments(app: &TestApp) -> Vec<Value> {
    let note = app.object(&format!("/users/ann/statuses/{}", status_id(ONE))).await;
    note["attachment"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_file_is_served_whole_with_headers_that_let_it_be_kept_for_ever_and_do_nothing() {
    let bytes = picture(900, 600, ImageFormat::Png);
    let (app, file) = showing(&bytes).await;
    let thumbnail = std::fs::read(app.app.media.path(&file).with_file_name(file.thumbnail_name(600))).unwrap();
    let small = format!("/media/{}", file.thumbnail_name(600));
    for (path, expected, media_type) in [(path(&file), &bytes, "image/png"), (small, &thumbnail, "image/webp")] {
        for method in [Method::GET, Method::HEAD] {
            let (answer, body) = fetch(&app, method.clone(), &path, &[]).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{method} {path}");
            assert_eq!(answer.header("content-length"), expected.len().to_string(), "{method} {path}");
            assert!(body == if method == Method::GET { expected.as_slice() } else { &[] }, "{method} {path}");
            for (name, value) in [
                ("cache-control", "public, max-age=31536000, immutable"),
                ("content-security-policy", "default-src 'none'; sandbox"),
                ("x-content-type-options", "nosniff"),
                ("content-disposition", "inline"),
                ("accept-ranges", "bytes"),
                ("access-control-allow-origin", "*"),
            ] {
                assert_eq!(answer.header(name), value, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_served_to_who_asks_for_it() {
    let mut film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    film.extend((0..400_000_u32).flat_map(u32::to_le_bytes));
    let (app, file) = showing(&film).await;
    let (path, length) = (path(&file), film.len());
    let etag = fetch(&app, Method::HEAD, &path, &[]).await.0.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", file.sha256));
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=10-299999", 10..300_000),
        ("bytes=300000-", 300_000..length),
        ("bytes=-500", length - 500..length),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let (answer, body) = fetch(&app, method.clone(), &path, &[("range", range), ("if-range", &etag)]).await;
            let shown = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            assert_eq!((answer.status, answer.header("content-range")), (206, shown.as_str()), "{range}");
            assert_eq!(answer.header("content-length"), part.len().to_string(), "{range}");
            assert!(body == if method == Method::GET { &film[part.clone()] } else { &[] }, "{range}");
        }
    }
    let (answer, _) = fetch(&app, Method::GET, &path, &[("range", "bytes=99999999-")]).await;
    let shown = format!("bytes */{length}");
    assert_eq!((answer.status, answer.header("content-range")), (416, shown.as_str()));
    for headers in [
        &[("range", "bytes=0-1,4-5")][..],
        &[("range", "lines=0-1")],
        &[("range", "bytes=0-1"), ("if-range", "\"another\"")],
        &[("range", "bytes=0-1"), ("if-range", "Wed, 01 May 2024 10:00:00 GMT")],
    ] {
        let (answer, body) = fetch(&app, Method::GET, &path, headers).await;
        assert_eq!((answer.status, body.len()), (200, length), "{headers:?}");
    }
}

#[tokio::test]
async fn who_has_a_file_already_gets_304() {
    let (app, file) = showing(&picture(900, 600, ImageFormat::Jpeg)).await;
    for path in [path(&file), format!("/media/{}", file.thumbnail_name(600))] {
        let etag = fetch(&app, Method::HEAD, &path, &[]).await.0.header("etag").to_owned();
        let lists = [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()];
        for list in &lists {
            let headers = [("if-none-match", list.as_str()), ("range", "bytes=0-1")];
            let (answer, body) = fetch(&app, Method::GET, &path, &headers).await;
            assert_eq!((answer.status, answer.header("etag"), body.len()), (304, etag.as_str(), 0), "{list}");
            assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        }
        assert_eq!(fetch(&app, Method::GET, &path, &[("if-none-match", "\"x\"")]).await.0.status, 200);
    }
}

#[tokio::test]
async fn only_what_a_shown_post_refers_to_is_served_and_its_thumbnails_neither_sooner_nor_later() {
    let (app, file) = showing(&picture(900, 600, ImageFormat::Jpeg)).await;
    let thumbnail = format!("/media/{}", file.thumbnail_name(600));
    let status = async |path: &str| fetch(&app, Method::GET, path, &[]).await.0.status;
    assert_eq!((status(&path(&file)).await, status(&thumbnail).await), (200, 200));
    for wrong in [
        format!("/media/{}.png", file.sha256),
        format!("/media/{}", file.sha256),
        format!("/media/{}.601.webp", file.sha256),
        format!("/media/{}.1200.jpg", file.sha256),
        format!("/media/{}.600.webp.jpg", file.sha256),
        format!("/media/..%2F{}", file.file_name()),
    ] {
        assert_eq!(status(&wrong).await, 404, "{wrong}");
    }
    let loose = app.app.media.keep(&mut &picture(901, 600, ImageFormat::Jpeg)[..]).unwrap();
    assert!(app.app.media.path(&loose).exists());
    for path in [path(&loose), format!("/media/{}", loose.thumbnail_name(600))] {
        assert_eq!(status(&path).await, 404, "bytes that nothing refers to: {path}");
    }
    app.database.execute("UPDATE accounts SET state = 'draft'");
    assert_eq!((status(&path(&file)).await, status(&thumbnail).await), (404, 404), "a draft's");
    app.database.execute("UPDATE accounts SET state = 'live'");
    let held = app.app.store.hold_media().await.unwrap();
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    assert!(app.app.media.path(&file).exists(), "the bytes are still there");
    assert_eq!((status(&path(&file)).await, status(&thumbnail).await), (404, 404), "a withdrawn post's");
    held.release().await.unwrap();
    posts::withdraw(&app.app, &app.account("ann").await, PostId(status_id(ONE)), Utc::now()).await.unwrap();
    let folder = app.app.media.path(&file).parent().unwrap().to_owned();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "file and thumbnails are gone");
}

#[tokio::test]
async fn a_pictures_type_comes_from_its_bytes_and_what_can_run_stays_out() {
    let jpeg = picture(40, 30, ImageFormat::Jpeg);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let (app, report, _archive) = imported(&[("a.png", &jpeg), ("b.png", svg), ("c.jpg", b"<!DOCTYPE html><p>")]).await;
    assert_eq!((report.media_stored, report.media_missing), (1, 2));
    let shown = attachments(&app).await;
    assert_eq!((shown.len(), &shown[0]["mediaType"]), (1, &json!("image/jpeg")));
    let url = shown[0]["url"].as_str().unwrap();
    assert!(url.ends_with(".jpg"), "{url}");
    let (answer, body) = fetch(&app, Method::GET, url, &[]).await;
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert!(body == jpeg);
}

#[tokio::test]
async fn a_picture_with_too_many_pixels_is_left_out_and_its_post_comes_in() {
    let mut bomb = picture(1, 1, ImageFormat::Gif);
    bomb[6..10].copy_from_slice(&[0x30, 0x75, 0x30, 0x75]);
    let (app, report, archive) = imported(&[("bomb.gif", &bomb), ("fine.png", &picture(9, 9, ImageFormat::Png))]).await;
    assert_eq!((report.created, report.media_stored, report.media_missing), (1, 1, 1));
    assert_eq!(attachments(&app).await.len(), 1);
    let dry = everpost::operations::ingest::Request {
        paths: vec![archive.path().to_owned()],
        account: None,
        adopt: false,
        only: Only::Everything,
        dry_run: true,
        include_private: false,
        limits: everpost::import::limits::Limits::default(),
    };
    let other = TestApp::start().await;
    let would = everpost::operations::ingest::ingest(&other.app, &dry, Utc::now(), &|_, _| {}).await.unwrap();
    assert_eq!((would.media_stored, would.media_missing), (1, 1), "a dry run says the same");
}

#[tokio::test]
async fn a_place_in_a_picture_is_gone_when_it_is_served_and_importing_again_changes_nothing() {
    let bytes = telling(900, 300);
    assert!(holds(&bytes, PLACE));
    let (app, _, archive) = imported(&[("a.jpg", &bytes)]).await;
    let shown = attachments(&app).await;
    assert_eq!((&shown[0]["width"], &shown[0]["height"]), (&json!(300), &json!(900)), "it stands upright");
    let (_, served) = fetch(&app, Method::GET, shown[0]["url"].as_str().unwrap(), &[]).await;
    assert!(!holds(&served, PLACE) && served.len() < bytes.len());
    let rows = "SELECT to_jsonb(media) FROM media";
    let (before, files) = (app.database.texts(rows), count_files(&app));
    let again = app.import(archive.path()).await;
    assert_eq!((again.unchanged, again.updated, again.created, again.media_stored), (1, 0, 0, 0));
    // A source that changed reads its media again.
    let page = archive.path().join(format!("content/mastodon/{}/index.md", status_id(ONE)));
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::write(&page, text.replace("Look.", "Look again.")).unwrap();
    assert_eq!(app.import(archive.path()).await.updated, 1);
    assert_eq!((app.database.texts(rows), count_files(&app)), (before, files));
}

fn count_files(app: &TestApp) -> usize {
    let sha256 = &app.database.texts("SELECT sha256 FROM media")[0];
    let file = MediaFile {
        sha256: sha256.clone(),
        extension: "jpg".to_owned(),
        media_type: "image/jpeg".to_owned(),
        bytes: 1,
        picture: None,
    };
    std::fs::read_dir(app.app.media.path(&file).parent().unwrap()).unwrap().count()
}

#[tokio::test]
async fn attachments_say_how_large_a_picture_is_and_what_it_looks_like() {
    let (app, report, _archive) = imported(&[("a.jpg", &picture(1300, 900, ImageFormat::Jpeg))]).await;
    assert_eq!(report.media_stored, 1);
    let shown = attachments(&app).await;
    assert_eq!((&shown[0]["width"], &shown[0]["height"]), (&json!(1300), &json!(900)));
    assert_eq!((&shown[0]["type"], &shown[0]["name"]), (&json!("Document"), &json!("What a.jpg shows.")));
    let hash = shown[0]["blurhash"].as_str().unwrap();
    assert_eq!(blurhash::decode(hash, 8, 6, 1.0).unwrap().len(), 8 * 6 * 4);
    assert_eq!(hash.len(), 28, "four by three components");
    let note = app.object(&format!("/users/ann/statuses/{}", status_id(ONE))).await;
    assert_eq!(note["@context"][1]["blurhash"], "toot:blurhash");
    // Pixelfed refuses a whole post for one number above 5000.
    app.database.execute("UPDATE media SET width = 5001");
    let shown = attachments(&app).await;
    assert!(shown[0].get("width").is_none() && shown[0].get("height").is_none(), "{shown:?}");
    assert_eq!(shown[0]["blurhash"], hash);
}

#[tokio::test]
async fn an_actors_pictures_say_how_large_they_are() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    let folder = tempfile::tempdir().unwrap();
    let picture_path = folder.path().join("me.png");
    std::fs::write(&picture_path, picture(700, 500, ImageFormat::Png)).unwrap();
    app.set("ann", &[&format!("avatar={}", picture_path.display()), &format!("header={}", picture_path.display())])
        .await;
    let actor = app.object("/users/ann").await;
    for picture in ["icon", "image"] {
        let picture = &actor[picture];
        assert_eq!((&picture["width"], &picture["height"]), (&json!(700), &json!(500)), "{picture}");
        assert!(picture["url"].as_str().unwrap().ends_with(".png"), "other servers get the original: {picture}");
    }
    let page = app.page("/@ann").await.body;
    assert!(page.contains(".600.webp"), "{page}");
}

#[tokio::test]
async fn pages_keep_a_pictures_place_and_load_the_smallest_file_that_will_do() {
    let files = [("a.jpg", picture(2400, 1600, ImageFormat::Jpeg)), ("b.png", picture(300, 200, ImageFormat::Png))];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let (app, _, _archive) = imported(&files).await;
    let page = Html::parse_document(&app.page(&format!("/@ann/{}", status_id(ONE))).await.body);
    let pictures: Vec<_> = page.select(&Selector::parse("article a.media-link").unwrap()).collect();
    assert_eq!(pictures.len(), 2);
    let shown = attachments(&app).await;
    for (link, attachment) in pictures.iter().zip(&shown) {
        let original = attachment["url"].as_str().unwrap().strip_prefix(&app.base).unwrap();
        assert_eq!(link.attr("href").unwrap(), original, "it leads to the original");
        let img = link.select(&Selector::parse("img").unwrap()).next().unwrap();
        assert_eq!(img.attr("width").unwrap(), attachment["width"].to_string());
        assert_eq!(img.attr("height").unwrap(), attachment["height"].to_string());
        assert_eq!(img.attr("sizes").is_some(), img.attr("srcset").is_some());
        assert_eq!((img.attr("loading"), img.attr("alt")), (Some("lazy"), attachment["name"].as_str()));
        let files = img.attr("srcset").unwrap_or_default().split(", ").filter_map(|item| item.split(' ').next());
        for path in files.chain(img.attr("src")).filter(|path| !path.is_empty()) {
            let (answer, bytes) = fetch(&app, Method::GET, path, &[]).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(image::load_from_memory(&bytes).is_ok(), "{path}");
        }
    }
    let large = pictures[0].select(&Selector::parse("img").unwrap()).next().unwrap();
    let widths: Vec<&str> = large.attr("srcset").unwrap().split(' ').filter(|word| word.contains("w")).collect();
    assert!(widths.iter().any(|word| word.starts_with("600w")), "{widths:?}");
    assert!(large.attr("src").unwrap().ends_with(".1200.webp") && large.attr("sizes").is_some());
}

#[test]
fn what_an_earlier_version_stored_is_measured_on_request_once() {
    let program = Program::new();
    let archive = program.scratch().join("archive");
    write_archive(
        &archive,
        &[("a.jpg", &picture(900, 600, ImageFormat::Jpeg)), ("b.png", &picture(30, 20, ImageFormat::Png))],
    );
    program.ok(&["import", archive.to_str().unwrap()]);
    let database = program.database();
    let rows =
        "SELECT concat_ws(' ', sha256, width, height, blurhash, thumbnails, figures_version) FROM media ORDER BY 1";
    let before = database.texts(rows);
    let nothing = json!({ "looked_at": 0, "measured": 0, "without": 0, "unreadable": [] });
    assert_eq!(program.json(&["media", "refresh", "--json"]), nothing);
    let forget =
        "UPDATE media SET width = NULL, height = NULL, blurhash = NULL, thumbnails = '{}', figures_version = 0";
    database.execute(forget);
    let thumbnails = || -> Vec<std::path::PathBuf> {
        let files = database.texts("SELECT sha256 FROM media").into_iter().map(|sha256| {
            let folder = program.data_dir().join("media").join(&sha256[..2]).join(&sha256[2..4]);
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
        });
        let mut found: Vec<_> = files.flatten().filter(|path| path.to_string_lossy().ends_with("00.webp")).collect();
        found.sort();
        found
    };
    let made = thumbnails();
    assert!(!made.is_empty());
    made.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let changed = "SELECT changed_at FROM accounts";
    let changed_before = database.texts(changed);
    let report = program.json(&["media", "refresh", "--json"]);
    assert_eq!(report, json!({ "looked_at": 2, "measured": 2, "without": 0, "unreadable": [] }));
    assert_eq!((database.texts(rows), thumbnails()), (before.clone(), made));
    assert_ne!(database.texts(changed), changed_before, "what shows them has changed");
    assert_eq!(program.ok(&["media", "refresh"]), "Every stored file has its figures.\n");

    // A file that is not there any more does not hold up the others, and is tried again.
    database.execute(forget);
    let sha256 = before[0].split(' ').next().unwrap();
    let folder = program.data_dir().join("media").join(&sha256[..2]).join(&sha256[2..4]);
    let moved = program.scratch().join("moved");
    std::fs::rename(&folder, &moved).unwrap();
    let outcome = program.run(&["media", "refresh"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("unreadable {sha256}")), "{outcome:?}");
    std::fs::rename(&moved, &folder).unwrap();
    assert_eq!(program.json(&["media", "refresh", "--json"])["measured"], 1);
    assert_eq!(database.texts(rows), before);
}

#[test]
fn media_can_lie_in_another_folder_and_nowhere_else_yet() {
    let mut program = Program::new();
    let archive = program.scratch().join("archive");
    write_archive(&archive, &[("a.png", &picture(30, 20, ImageFormat::Png))]);
    let elsewhere = program.scratch().join("else where");
    let url = url::Url::from_file_path(&elsewhere).unwrap();
    program.set("EVERPOST_STORAGE__MEDIA", url.as_str());
    program.ok(&["import", archive.to_str().unwrap()]);
    assert!(elsewhere.is_dir() && !program.data_dir().join("media").exists());
    for wrong in ["s3://bucket/media", "disk", "", "file://"] {
        program.set("EVERPOST_STORAGE__MEDIA", wrong);
        let outcome = program.run(&["account", "list"]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(
            outcome.stderr.contains("EVERPOST_STORAGE__MEDIA") && outcome.stderr.contains("file:///path"),
            "{outcome:?}"
        );
    }
}
