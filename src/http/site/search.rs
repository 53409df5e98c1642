//! The search of a site: words of posts, cut and indexed by pagefind, in files that a browser reads as it needs them.
//!
//! A new index begins after so many posts, because one is made in memory; the page searches them all together.

use super::files::Files;
use super::views::SearchPage;
use super::{Error, iso};
use crate::domain::account::Account;
use crate::domain::post::Post;
use pagefind::api::PagefindIndex;
use pagefind::options::PagefindServiceConfig;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Posts in one index: it takes about 50 KiB of memory for each.
const MOST: usize = 5_000;
/// What the library adds and our page does not use.
const UNUSED: [&str; 7] = [
    "pagefind-component-ui.css",
    "pagefind-component-ui.js",
    "pagefind-highlight.js",
    "pagefind-modular-ui.css",
    "pagefind-modular-ui.js",
    "pagefind-ui.css",
    "pagefind-ui.js",
];
/// Characters of what a result is called.
const TITLE: usize = 70;

/// An index, or several, being made.
pub struct Search {
    root: PathBuf,
    /// The one that takes posts.
    index: Option<PagefindIndex>,
    posts: usize,
    /// Indexes that are on the disk.
    done: usize,
    /// By the rules of which language words are cut.
    language: String,
}

impl Search {
    /// Below that folder, for words that are mostly of that language.
    pub fn new(root: &Path, language: String) -> Search {
        Search { root: root.to_owned(), index: None, posts: 0, done: 0, language }
    }

    /// Take in a post, which stands at `path`. Of one behind a warning nothing is found but the warning.
    pub async fn add(&mut self, post: &Post, path: &str) -> Result<(), Error> {
        let index = match &mut self.index {
            Some(index) => index,
            None => {
                let options = PagefindServiceConfig::builder().force_language(self.language.clone()).build();
                self.index.insert(PagefindIndex::new(Some(options)).map_err(failed)?)
            }
        };
        let mut words = Vec::new();
        let title = match &post.warning {
            Some(warning) => format!("Content warning: {warning}"),
            None => {
                words.extend(post.details.title.clone());
                words.push(post.content.to_plain());
                words.extend(post.attachments.iter().filter_map(|attachment| attachment.alt.clone()));
                post.details.title.clone().unwrap_or_else(|| post.content.excerpt(TITLE))
            }
        };
        let said = words.join("\n").to_lowercase();
        let tags = post.tags.iter().map(|tag| format!("#{tag}"));
        words.extend(tags.filter(|tag| !said.contains(tag.as_str())));
        words.extend(post.warning.clone());
        let meta = BTreeMap::from([("title".to_owned(), title), ("date".to_owned(), iso(post.published))]);
        let (url, words) = (path.to_owned(), words.join("\n"));
        index.add_custom_record(url, words, self.language.clone(), Some(meta), None, None).await.map_err(failed)?;
        self.posts += 1;
        if self.posts.is_multiple_of(MOST) { self.flush().await } else { Ok(()) }
    }

    /// Write what is left, and the page.
    pub async fn finish(&mut self, account: &Account, files: &mut Files) -> Result<(), Error> {
        self.flush().await?;
        files.put("search/index.html", &SearchPage::new(account, &self.language, self.done))
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let Some(mut index) = self.index.take() else { return Ok(()) };
        self.done += 1;
        let folder = self.root.join(self.done.to_string());
        index.write_files(Some(folder.to_string_lossy().into_owned())).await.map_err(failed)?;
        for name in UNUSED {
            let path = folder.join(name);
            std::fs::remove_file(&path).map_err(|cause| Error::Io { path, cause })?;
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Search(error.to_string())
}
