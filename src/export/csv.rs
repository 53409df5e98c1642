//! `csv`: a folder of tables for spreadsheets: posts, and followers and blocks in Mastodon's columns.
//!
//! A cell that a spreadsheet would take for a formula has an apostrophe before it: a post is written by anybody.

use super::wire::{Place, Wire};
use super::{ArchiveWriter, Error, Item, List, Media, Open, Subject, Summary, Wants};
use crate::activitystreams::render::timestamp;
use crate::domain::post::Visibility;
use csv::Writer as Table;
use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

/// The columns of posts.
const POSTS: [&str; 17] = [
    "id",
    "type",
    "published",
    "updated",
    "visibility",
    "url",
    "in_reply_to",
    "boost_of",
    "warning",
    "sensitive",
    "language",
    "tags",
    "text",
    "html",
    "media",
    "likes",
    "boosts",
];

/// Writes tables.
pub struct Writer {
    wire: Wire,
    posts: Table<File>,
    followers: Table<File>,
    blocked_accounts: Table<File>,
    blocked_domains: Table<File>,
    summary: Summary,
}

impl Writer {
    /// Write into a folder, which is there.
    pub fn new(folder: &Path, subject: &Subject) -> Result<Writer, Error> {
        let table = |name: &str| {
            let path = folder.join(name);
            let file = File::create_new(&path).map_err(|cause| Error::Io { path, cause })?;
            Ok::<_, Error>(Table::from_writer(file))
        };
        let mut writer = Writer {
            wire: Wire::new(subject, Place::Links),
            posts: table("posts.csv")?,
            followers: table("followers.csv")?,
            // Mastodon writes and reads the lists of blocks without a header.
            blocked_accounts: table("blocked_accounts.csv")?,
            blocked_domains: table("blocked_domains.csv")?,
            summary: Summary::default(),
        };
        writer.posts.write_record(POSTS).map_err(failed)?;
        writer.followers.write_record(["Account address"]).map_err(failed)?;
        Ok(writer)
    }
}

impl ArchiveWriter for Writer {
    fn wants(&self) -> Wants {
        Wants { lists: true, ..Wants::default() }
    }

    fn item(&mut self, item: &Item, _open: &mut Open<'_>) -> Result<(), Error> {
        let row = self.row(item);
        self.posts.write_record(row.iter().map(|cell| harmless(cell).into_owned())).map_err(failed)?;
        self.summary.count(item);
        Ok(())
    }

    fn entry(&mut self, list: List, name: &str) -> Result<(), Error> {
        let table = match list {
            List::Followers => &mut self.followers,
            List::BlockedAccounts => &mut self.blocked_accounts,
            List::BlockedDomains => &mut self.blocked_domains,
        };
        table.write_record([&*harmless(name)]).map_err(failed)
    }

    fn finish(mut self: Box<Self>, _open: &mut Open<'_>) -> Result<Summary, Error> {
        for table in [&mut self.posts, &mut self.followers, &mut self.blocked_accounts, &mut self.blocked_domains] {
            table.flush()?;
        }
        Ok(self.summary)
    }
}

impl Writer {
    fn row(&self, item: &Item) -> Vec<String> {
        let count = |total: Option<u64>| total.map(|total| total.to_string()).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let visible = |visibility: Visibility| visibility.name().to_owned();
        match item {
            Item::Post(item) => {
                let post = &item.post;
                let names = self.wire.names();
                let parent = item.parent.as_ref().map(|parent| {
                    names.post(parent.id, parent.object_id.as_deref(), parent.canonical_url.as_deref()).id
                });
                let media = post.attachments.iter().map(|attachment| match &attachment.file {
                    Some(file) => self.wire.path(&Media::Public(file.clone())),
                    None => attachment.source_url.clone(),
                });
                vec![
                    names.post(post.id, post.object_id.as_deref(), post.canonical_url.as_deref()).id,
                    "post".to_owned(),
                    timestamp(post.published),
                    post.updated.map(timestamp).unwrap_or_default(),
                    visible(post.visibility),
                    text(&post.canonical_url),
                    parent.or_else(|| post.details.answers.clone()).unwrap_or_default(),
                    String::new(),
                    text(&post.warning),
                    post.sensitive.to_string(),
                    text(&post.language),
                    post.tags.join(" "),
                    post.content.to_plain(),
                    post.content.as_str().to_owned(),
                    media.collect::<Vec<_>>().join(" "),
                    count(post.details.totals.likes),
                    count(post.details.totals.boosts),
                ]
            }
            Item::Boost(item) => {
                let mut row = vec![String::new(); POSTS.len()];
                row[0] = self.wire.names().boost(item.boost.id, item.object_id.as_deref());
                row[1] = "boost".to_owned();
                row[2] = timestamp(item.boost.published);
                row[4] = visible(item.boost.visibility);
                row[7] = item.boost.object.clone();
                row
            }
            Item::Private(post) => vec![
                post.object_id.clone().unwrap_or_else(|| post.key.0.clone()),
                if post.boost_of.is_some() { "boost" } else { "post" }.to_owned(),
                timestamp(post.published),
                post.edited.map(timestamp).unwrap_or_default(),
                "not public".to_owned(),
                text(&post.canonical_url),
                post.reply_to.as_ref().map(|key| key.0.clone()).unwrap_or_default(),
                text(&post.boost_of),
                text(&post.warning),
                post.sensitive.to_string(),
                text(&post.language),
                post.tags.join(" "),
                post.content.to_plain(),
                post.content.as_str().to_owned(),
                post.media.iter().map(|media| media.source_url.as_str()).collect::<Vec<_>>().join(" "),
                String::new(),
                String::new(),
            ],
        }
    }
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> Cow<'_, str> {
    match cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || cell.starts_with(['\t', '\r'])
    {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

fn failed(error: csv::Error) -> Error {
    Error::Write(error.into())
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn no_cell_begins_as_a_formula_does() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "a=b", "https://a.example/", "bo@far.example"] {
            assert_eq!(harmless(text), text);
        }
    }
}
