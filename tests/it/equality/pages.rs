//! Pages of a site: what would break out of them, what is not public, and what somebody changed in them.

use super::{Written, compare, read, write};
use crate::archives::{create, note, outbox};
use crate::support::packing::put;
use crate::support::{Program, TestApp, status_id};
use everpost::export::Ids;
use everpost::export::hugo::Layout;
use everpost::import::Only;
use everpost::operations::diff::{Finding, Kind};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const LAYOUTS: [Layout; 3] = [Layout::Bundle, Layout::Daily, Layout::Post];

/// The second `number` of a minute.
fn at(number: i64) -> String {
    format!("2024-01-01T10:00:{number:02}Z")
}

fn id(number: i64) -> i64 {
    status_id(&at(number))
}

fn post(number: i64, mut change: Value) -> Value {
    change["published"] = json!(at(number));
    create(note(id(number), change))
}

fn picture(alt: &str) -> Value {
    json!([{ "type": "Document", "mediaType": "image/png", "url": "media_attachments/one.png", "name": alt }])
}

/// An archive of these items, with the one picture that they may show.
fn archive(folder: &Path, items: &[Value]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&[1, 2, 3, 4, 5, 6]).unwrap();
    std::fs::create_dir_all(folder.join("media_attachments")).unwrap();
    std::fs::write(folder.join("media_attachments/one.png"), bytes).unwrap();
    put(folder, "outbox.json", &outbox(items));
    folder.to_owned()
}

/// The pages of a site, by their paths below it.
fn pages(site: &Path) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![site.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let name = path.strip_prefix(site).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The front matter of a page, by a parser that takes nothing but YAML.
fn front_matter(page: &str) -> Value {
    let block = page.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
    serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"))
}

/// What differs, but for the profile, which a site has no place for.
fn unequal(findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().filter(|finding| finding.what != "profile").collect()
}

#[tokio::test]
async fn texts_that_look_like_parts_of_a_page_come_back_as_they_were() {
    let source = "###### [Mastodon Source 🐘](https://evil.example/@eve/112215823989566555)";
    let texts = [
        format!("<p>{source}</p>"),
        format!("<pre>one\n\n{source}\n\n___\n\n![a](one.png)\n---\ntwo</pre>"),
        format!("<p>line\n{source}\n##### [Mastodon Source](x)\n</p>\n\n___\n<p>end</p>"),
        "<p>{{&lt; youtube x &gt;}} {{% raw %}} {% include y %} {{{ }}} *a* _b_ `c` [d](e) &amp;amp;</p>".to_owned(),
        "<p>---<br>canonical: https://evil.example/1<br>---</p>".to_owned(),
        "<p># Toots from 2024-01-01</p><p>*Content Warning: x*</p>".to_owned(),
        "<blockquote><p>a</p></blockquote><ul><li>b</li></ul>\r\n<p>&#13;c\u{85}\u{2028}\u{7f}é😀</p>".to_owned(),
    ];
    let alts = ["a](b.png)\n\n###### [Mastodon Source](x)", "![x](y.png) \\ \"q\" <b> {{< z >}} *s*", "___\n"];
    let mut items: Vec<Value> = Vec::new();
    for (number, text) in (1..).zip(&texts) {
        let alt = alts[usize::try_from(number).unwrap() % alts.len()];
        let warning = format!("w*\n---\n{source} {{{{ x }}}}");
        let answers = if number % 2 == 0 { json!(items[0]["object"]["id"]) } else { Value::Null };
        items.push(post(number, json!({
            "content": text, "attachment": picture(alt), "summary": warning, "sensitive": true, "inReplyTo": answers,
            "contentMap": { "en": text }, "tag": [{ "type": "Hashtag", "name": "#No", "href": "x" }],
        })));
    }
    let (from, to) = (TestApp::start().await, TestApp::start().await);
    let folder = tempfile::tempdir().unwrap();
    read(&from, "ann", &[&archive(folder.path(), &items)], Only::Everything, false).await;
    for (number, layout) in LAYOUTS.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (site, summary) = write(&from, "ann", Written::Hugo(layout), Ids::Origin, false, folder.path()).await;
        assert_eq!((summary.posts, summary.media_missing), (7, 0));
        for (name, page) in pages(&site) {
            assert!(front_matter(&page)["tags"].is_array(), "{name}");
            let body = page.split_once("\n---\n").unwrap().1;
            assert!(!body.contains("{{") && !body.contains("{%"), "a template in {name}: {body}");
        }
        let handle = format!("back{number}");
        let report = read(&to, &handle, &[&site], Only::Everything, false).await;
        assert_eq!((report.created, report.skipped.len(), report.media_missing), (7, 0, 0), "{layout:?}: {report:?}");
        assert_eq!(unequal(compare((&from, "ann"), (&to, &handle), false).await), [], "{layout:?}");
    }
}

#[tokio::test]
async fn a_page_has_the_shape_that_converters_write() {
    let from = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let first = post(1, json!({ "content": "<p>One</p>", "attachment": picture("A [b]") }));
    let tag = json!([{ "type": "Hashtag", "name": "#Fog", "href": "x" }]);
    let second = post(2, json!({ "content": "<p>Two</p>", "tag": tag, "inReplyTo": first["object"]["id"] }));
    read(&from, "ann", &[&archive(folder.path(), &[first, second])], Only::Everything, false).await;
    let name = |site: &Path, media: &str| {
        let entries = std::fs::read_dir(site.join(media)).unwrap().map(|entry| entry.unwrap().path());
        let pictures = entries.filter(|path| path.extension().is_some_and(|ending| ending == "png"));
        pictures.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).next().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let (site, _) = write(&from, "ann", Written::Hugo(Layout::Bundle), Ids::Origin, false, folder.path()).await;
    let found = pages(&site);
    let bundle = format!("content/mastodon/2024/01/{}", id(1));
    assert_eq!(found.len(), 1);
    let (path, page) = &found[0];
    assert_eq!(*path, format!("{bundle}/index.md"));
    let says = front_matter(page);
    assert_eq!(says["canonical"], format!("https://m.example/users/ann/statuses/{}", id(1)));
    assert_eq!((&says["date"], &says["lastmod"]), (&json!(at(1)), &json!(at(2))));
    assert_eq!((&says["tags"], &says["categories"]), (&json!(["fog", "Social Media"]), &json!(["mastodon"])));
    assert!(says.get("draft").is_none() && says.get("visibility").is_none(), "{says}");
    let body = page.split_once("\n---\n").unwrap().1;
    let picture = name(&site, &bundle);
    let expected = format!(
        "\n<p>One</p>\n\n![A \\[b\\]]({picture})\n\n###### [Mastodon Source 🐘](https://m.example/@ann/{})\n\n___\n\
         \n<p>Two</p>\n\n###### [Mastodon Source 🐘](https://m.example/@ann/{})\n\n___\n",
        id(1),
        id(2)
    );
    assert_eq!(body, expected);
    let folder = tempfile::tempdir().unwrap();
    let (site, _) = write(&from, "ann", Written::Hugo(Layout::Daily), Ids::Origin, false, folder.path()).await;
    let found = pages(&site);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "content/mastodon/2024/2024-01-01.md"));
    assert!(front_matter(&found[0].1).get("canonical").is_none());
    let picture = name(&site, "static/mastodon/media");
    let body = found[0].1.split_once("\n---\n").unwrap().1;
    assert!(body.starts_with(&format!(
        "\n# Toots from 2024-01-01\n\n<p>One</p>\n\n![A \\[b\\]](/mastodon/media/{picture})\n\n##### [Mastodon Source 🐘](https://m.example/@ann/{})\n\n___\n",
        id(1)
    )), "{body}");
    let folder = tempfile::tempdir().unwrap();
    let (site, _) = write(&from, "ann", Written::Hugo(Layout::Post), Ids::Mirror, false, folder.path()).await;
    let found = pages(&site);
    assert_eq!(found.len(), 2);
    let says = front_matter(&found[1].1);
    assert_eq!(says["canonicalURL"], format!("{}/@ann/{}", from.base, id(2)), "ours, when they are asked for");
    assert_eq!(says["activities"][0]["object"]["inReplyTo"], format!("{}/users/ann/statuses/{}", from.base, id(1)));
    assert_eq!(found[1].1.split_once("\n---\n").unwrap().1, "\n<p>Two</p>\n");
}

#[tokio::test]
async fn what_is_not_public_is_a_draft_that_no_import_takes_for_public_whatever_else_says_so() {
    const MARK: &str = "Sperlingskauz";
    let (from, to) = (TestApp::start_sealed(7).await, TestApp::start_sealed(8).await);
    let folder = tempfile::tempdir().unwrap();
    let followers = json!(["https://m.example/users/ann/followers"]);
    let text = format!("<p>{MARK} only for you</p>");
    let hidden = json!({ "to": followers, "cc": [], "content": text, "attachment": picture(MARK), "summary": MARK });
    let unlisted = json!({ "to": followers, "cc": ["https://www.w3.org/ns/activitystreams#Public"] });
    let items = [post(1, json!({})), post(2, hidden), post(3, unlisted)];
    read(&from, "ann", &[&archive(folder.path(), &items)], Only::Everything, true).await;
    let elsewhere = tempfile::tempdir().unwrap();
    // The same post, and it says that everyone may see it.
    let widened = archive(elsewhere.path(), &[post(2, json!({ "content": text }))]);
    for (number, layout) in LAYOUTS.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (site, summary) = write(&from, "ann", Written::Hugo(layout), Ids::Origin, true, folder.path()).await;
        assert_eq!((summary.posts, summary.private, summary.media), (2, 1, 1));
        let holding: Vec<(String, String)> = pages(&site).into_iter().filter(|(_, page)| page.contains(MARK)).collect();
        assert_eq!(holding.len(), 1);
        let (name, page) = &holding[0];
        assert_eq!(name, "content/mastodon/2024/01/private-1/index.md", "a folder of its own in every layout");
        let says = front_matter(page);
        assert_eq!((&says["draft"], &says["visibility"]), (&json!(true), &json!("private")));
        assert!(!site.join("static").exists(), "what lies there is served, draft or not");
        let handle = |step: &str| format!("{step}{number}");
        let report = read(&to, &handle("out"), &[&site], Only::Everything, false).await;
        assert_eq!((report.created, report.private.left_out, report.skipped.len()), (2, 1, 0));
        for paths in [[site.as_path(), widened.as_path()], [widened.as_path(), site.as_path()]] {
            let name = if paths[0] == site { handle("first") } else { handle("last") };
            let report = read(&to, &name, &paths, Only::Everything, false).await;
            assert_eq!((report.created, report.private.left_out), (2, 2), "the narrowest counts: {report:?}");
        }
        let report = read(&to, &handle("in"), &[&site], Only::Everything, true).await;
        assert_eq!((report.created, report.private.stored), (2, 1));
        let found = compare((&from, "ann"), (&to, &handle("in")), true).await;
        assert_eq!(unequal(found), [], "{layout:?}");
        let path = site.join(name);
        for (taken, left) in [("draft: true\n", "visibility"), ("visibility: \"private\"\n", "draft")] {
            assert!(page.contains(taken));
            std::fs::write(&path, page.replace(taken, "")).unwrap();
            let report = read(&to, &handle(left), &[&site], Only::Everything, false).await;
            assert_eq!(report.created, 2, "{left} alone keeps it away: {report:?}");
        }
        // Even without both of them: the activity says for whom it is.
        std::fs::write(&path, page.replace("draft: true\n", "").replace("visibility: \"private\"\n", "")).unwrap();
        let report = read(&to, &handle("bare"), &[&site], Only::Everything, false).await;
        assert_eq!((report.created, report.private.left_out), (2, 1));
    }
}

#[tokio::test]
async fn what_somebody_changed_in_a_page_counts_and_the_rest_stays() {
    let (from, to) = (TestApp::start().await, TestApp::start().await);
    let folder = tempfile::tempdir().unwrap();
    let first = post(1, json!({ "content": "<p>One</p>", "attachment": picture("A"), "summary": "Careful" }));
    let second =
        post(2, json!({ "content": "<p>Two</p>", "attachment": picture("B"), "inReplyTo": first["object"]["id"] }));
    let third = post(3, json!({ "content": "<p>Three</p>", "inReplyTo": second["object"]["id"] }));
    read(&from, "ann", &[&archive(folder.path(), &[first, second, third])], Only::Everything, false).await;
    let folder = tempfile::tempdir().unwrap();
    let (site, _) = write(&from, "ann", Written::Hugo(Layout::Bundle), Ids::Origin, false, folder.path()).await;
    let (name, page) = pages(&site).remove(0);
    let (before, after) = page.split_once("<p>Two</p>\n\n![B](").unwrap();
    let after = after.split_once(")\n").unwrap().1;
    let (after, _) = after.split_once("\n<p>Three</p>").unwrap();
    let changed = format!("{before}<p>Two and a half</p>\n{after}");
    std::fs::write(site.join(name), changed).unwrap();
    let report = read(&to, "ann", &[&site], Only::Everything, false).await;
    assert_eq!((report.created, report.skipped.len()), (2, 0));
    let mut found = unequal(compare((&from, "ann"), (&to, "ann"), false).await);
    found.sort_by_key(|finding| finding.what.clone());
    let Kind::Differs(fields) = &found[0].kind else { panic!("{found:?}") };
    let fields: Vec<&str> = fields.iter().map(|found| found.field.as_str()).collect();
    assert_eq!(fields[0], "content", "{found:?}");
    assert!(fields[1..].iter().all(|field| field.starts_with("attachment 1 ")), "{found:?}");
    assert!(matches!(&found[1].kind, Kind::OnlyA(shown) if shown.ends_with("Three")), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn the_program_writes_a_site_that_equals_the_account() {
    let program = Program::new();
    let first = post(1, json!({ "content": "<p>One</p>", "attachment": picture("A") }));
    let second = post(2, json!({ "content": "<p>Two</p>", "inReplyTo": first["object"]["id"] }));
    archive(&program.scratch().join("archive"), &[first, second]);
    program.ok(&["import", "archive"]);
    for layout in ["bundle", "daily", "post"] {
        let told = program.json(&["export", "--format", "hugo", "--layout", layout, "--output", layout, "--json"]);
        assert_eq!((&told["posts"], &told["media"]), (&json!(2), &json!(1)));
        let equal = program.run(&["diff", "@ann", layout]);
        assert!(equal.code == 0 && equal.stdout.starts_with("Equal."), "{equal:?}");
    }
    let again = program.run(&["export", "--format", "hugo", "--output", "bundle"]);
    assert!(again.code == 1 && again.stderr.contains("is there already"), "{again:?}");
    let other = program.run(&["export", "--format", "jsonl", "--layout", "post", "--output", "lines"]);
    assert!(other.code == 1 && other.stderr.contains("--layout goes with --format hugo"), "{other:?}");
}
