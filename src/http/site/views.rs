//! The pages that only a static site has: a year, the list of hashtags, the search.

use super::super::entries::EntryView;
use super::super::files::STYLE_VERSION;
use super::super::paths::Paths;
use super::super::views::{Byline, Lists, TagPage};
use super::grouped;
use super::lists::Run;
use crate::domain::account::Account;
use askama::Template;

/// A list of posts, with how many are in it.
pub struct Count {
    /// Its path from the root, with a slash before.
    pub path: String,
    /// Its name.
    pub name: String,
    /// How many posts.
    pub count: u64,
}

impl Count {
    /// As a page links to it.
    pub fn link(self, paths: &Paths) -> Lists {
        Lists { url: paths.page(&self.path), name: self.name, count: grouped(self.count) }
    }
}

/// A page of a year.
#[derive(Template)]
#[template(path = "year.html")]
pub struct YearPage<'a> {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    account: Byline,
    year: &'a str,
    posts: &'a [EntryView],
    newer_url: Option<String>,
    older_url: Option<String>,
    robots_noindex: bool,
}

impl<'a> YearPage<'a> {
    /// The page of an account.
    pub fn new(account: &Account, run: &'a Run) -> YearPage<'a> {
        let paths = run.paths();
        let (newer_url, older_url) = run.around();
        YearPage {
            style_version: &STYLE_VERSION,
            instance_host: account.urls().domain().authority().to_owned(),
            account: Byline::of(account, &paths),
            year: run.name(),
            posts: &run.entries,
            newer_url,
            older_url,
            robots_noindex: !account.settings.indexable,
            paths,
        }
    }
}

/// A page of a hashtag, as the server has it.
pub fn tag_page<'a>(account: &Account, tag: &str, run: &'a Run) -> TagPage<'a> {
    TagPage::new(account.urls().domain(), tag, &run.entries, run.around(), &run.paths())
}

/// Every hashtag.
#[derive(Template)]
#[template(path = "tags.html")]
pub struct TagsPage {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    tags: Vec<Lists>,
}

impl TagsPage {
    /// The hashtags of an account.
    pub fn new(account: &Account, tags: Vec<Count>, paths: &Paths) -> TagsPage {
        TagsPage {
            style_version: &STYLE_VERSION,
            instance_host: account.urls().domain().authority().to_owned(),
            tags: tags.into_iter().map(|tag| tag.link(paths)).collect(),
            paths: paths.clone(),
        }
    }
}

/// The search.
#[derive(Template)]
#[template(path = "search.html")]
pub struct SearchPage {
    paths: Paths,
    style_version: &'static str,
    instance_host: String,
    language: String,
    /// The names of the indexes, which lie beside the page.
    indexes: String,
}

impl SearchPage {
    /// The page that searches so many indexes. `language` is that by whose rules the words were cut.
    pub fn new(account: &Account, language: &str, indexes: usize) -> SearchPage {
        let names: Vec<String> = (1..=indexes).map(|number| number.to_string()).collect();
        SearchPage {
            paths: Paths::of_site(1),
            style_version: &STYLE_VERSION,
            instance_host: account.urls().domain().authority().to_owned(),
            language: language.to_owned(),
            indexes: names.join(" "),
        }
    }
}
