//! Archives: the invented fixtures, the real samples, and page bundles written for one test.

use std::path::{Path, PathBuf};

/// An invented archive from `tests/fixtures/archives`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archives").join(name)
}

/// A real sample, by `EVERPOST_SAMPLES` or beside the checkout; `None`, with a message, where it is absent.
pub fn samples(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    let folder = std::env::var_os("EVERPOST_SAMPLES").map_or(beside, PathBuf::from).join(name);
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: the sample {name} is not at {}; set EVERPOST_SAMPLES to where it is", folder.display());
    None
}

/// A status id of the second `at` (RFC 3339).
pub fn status_id(at: &str) -> i64 {
    everpost::domain::snowflake::mint(at.parse().unwrap(), 7)
}

/// A page bundle in the first converter's shape, one thread by `@user@host`.
pub struct Bundle {
    pub host: &'static str,
    pub user: &'static str,
    pub tags: Vec<&'static str>,
    /// Status id, HTML, and lines below it (attachments).
    pub posts: Vec<(i64, String, String)>,
}

impl Bundle {
    /// An empty thread by `@ann@origin.example`.
    pub fn new() -> Bundle {
        Bundle { host: "origin.example", user: "ann", tags: Vec::new(), posts: Vec::new() }
    }

    /// With one more post, written at `at`.
    pub fn post(self, at: &str, html: &str) -> Bundle {
        self.post_with(at, html, "")
    }

    /// With one more post and attachment lines.
    pub fn post_with(mut self, at: &str, html: &str, attachments: &str) -> Bundle {
        self.posts.push((status_id(at), html.to_owned(), attachments.to_owned()));
        self
    }

    /// Write it below `folder` as `content/mastodon/<first id>/index.md`; the bundle's folder.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let Bundle { host, user, tags, posts } = self;
        let first = posts[0].0;
        let date = everpost::domain::snowflake::time_of(first).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
        let tags: Vec<String> = tags.iter().chain([&"Social Media"]).map(|tag| format!("\"{tag}\"")).collect();
        let mut page = format!(
            "---\ntitle: \"Mastodon - {date}\"\nsubtitle: \"\"\ncanonical: https://{host}/users/{user}/statuses/{first}\n\
             description:\nimage: \"/images/mastodon.png\"\n\ndate: {date}\nlastmod: {date}\nimage: \"\"\n\
             tags: [{}]\n\ncategories: [\"mastodon\"]\n# generated: 2025-07-21T21:15:38-07:00\n---\n\
             ![Mastodon](/images/mastodon.png)\n",
            tags.join(",")
        );
        for (id, html, attachments) in posts {
            page.push_str(&format!(
                "\n{html}\n\n{attachments}\n\n###### [Mastodon Source 🐘](https://{host}/@{user}/{id})\n\n___\n"
            ));
        }
        let bundle = folder.join("content/mastodon").join(first.to_string());
        std::fs::create_dir_all(&bundle).unwrap();
        std::fs::write(bundle.join("index.md"), page).unwrap();
        bundle
    }
}
