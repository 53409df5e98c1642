//! What the pages of a site are read as, layout by layout: small invented sites, and the posts that come out of them.

mod corpus;
mod day;
mod page;
mod status;
mod traps;

use everpost::domain::source::{Format, Skipped, SourcePost};
use everpost::import;
use everpost::import::Only;
use everpost::import::limits::Limits;
use std::path::Path;

/// A status id of 2024-04-05T00:39:47.731Z.
const ID: i64 = 112_215_823_989_566_555;
/// When everything here is read.
const NOW: &str = "2026-11-24T12:00:00Z";

/// The status id of so many seconds after [`ID`].
fn id(after: i64) -> i64 {
    ID + ((after * 1000) << 16)
}

fn time(text: &str) -> chrono::DateTime<chrono::Utc> {
    text.parse().unwrap()
}

/// An invented site in a folder of its own.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Site {
        Site(tempfile::tempdir().unwrap())
    }

    /// A site of one page.
    fn of(path: &str, content: impl AsRef<[u8]>) -> Site {
        Site::new().with(path, content)
    }

    fn with(self, path: &str, content: impl AsRef<[u8]>) -> Site {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Everything that comes out, with the site's folder cut from the places.
    fn read(&self) -> Vec<Result<SourcePost, Skipped>> {
        self.read_only(None)
    }

    fn read_only(&self, only: Option<Format>) -> Vec<Result<SourcePost, Skipped>> {
        read(self.path(), only)
    }

    /// The posts of a site that must have nothing wrong with it.
    fn posts(&self) -> Vec<SourcePost> {
        self.read().into_iter().map(Result::unwrap).collect()
    }

    /// The one post of a site.
    fn post(&self) -> SourcePost {
        let mut posts = self.posts();
        assert_eq!(posts.len(), 1, "{posts:?}");
        posts.remove(0)
    }

    /// The one thing that is wrong with a site, as `place reason`.
    fn wrong(&self) -> String {
        let skipped: Vec<_> = self.read().into_iter().filter_map(Result::err).collect();
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        format!("{} {}", skipped[0].at, skipped[0].reason)
    }
}

fn read(path: &Path, only: Option<Format>) -> Vec<Result<SourcePost, Skipped>> {
    let only = only.map_or(Only::Everything, Only::Format);
    let mut reader = import::open(path, only, &Limits::default(), time(NOW)).unwrap();
    let prefix = format!("{}/", path.display());
    let near = |at: String| at.replace(&prefix, "");
    std::iter::from_fn(|| reader.next())
        .map(|item| match item {
            Ok(mut post) => {
                post.at = near(post.at);
                for remark in &mut post.remarks {
                    remark.at = near(std::mem::take(&mut remark.at));
                }
                Ok(post)
            }
            Err(skipped) => Err(Skipped { at: near(skipped.at), ..skipped }),
        })
        .collect()
}

/// The media of a post as `kind reference alt`.
fn media(post: &SourcePost) -> Vec<String> {
    let told = |m: &everpost::domain::source::SourceMedia| {
        format!("{} {} {}", m.kind.name(), m.reference, m.alt.as_deref().unwrap_or("-"))
    };
    post.media.iter().map(told).collect()
}

/// The remarks of a post as `place note`.
fn remarks(post: &SourcePost) -> Vec<String> {
    post.remarks.iter().map(|remark| format!("{} {}", remark.at, remark.note)).collect()
}
