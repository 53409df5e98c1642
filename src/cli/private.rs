//! `everpost post list|show|withdraw --private`: for who has the key file, and for nobody else.
//!
//! Everything is opened before anything is printed, so that a failure shows nothing.

use super::output;
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::domain::private::{PrivateId, PrivateMedia, PrivatePost};
use crate::domain::source::SourceKey;
use crate::operations::App;
use crate::operations::private::{self, Which};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A number is a number here, everything else a key at the source.
pub fn which(text: &str) -> Which {
    text.parse().map_or_else(|_| Which::Key(SourceKey(text.to_owned())), |id| Which::Number(PrivateId(id)))
}

/// List private posts, those that came last first.
pub async fn list(app: &App, account: &Account, before: Option<i64>, limit: i64, json: bool) -> anyhow::Result<()> {
    let posts = private::list(app, account, before.map(PrivateId), limit).await?;
    if json {
        return output::json(&Value::from_iter(posts.iter().map(|(id, post)| object(*id, post))));
    }
    for (id, post) in posts {
        let words = match &post.boost_of {
            Some(of) => format!("boost of {of}"),
            None => post.content.excerpt(60),
        };
        println!("{id}  {}  {}", timestamp(post.published), plain(&words));
    }
    Ok(())
}

/// Show one, and open its media into a folder if one is given.
pub async fn show(app: &App, account: &Account, id: &str, media: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let (id, post) = private::show(app, account, &which(id)).await?;
    let paths = match media {
        Some(folder) => private::open_media(app, account, &post, folder).await?,
        None => Vec::new(),
    };
    if json {
        return output::json(&object(id, &post));
    }
    print(id, &post, &paths);
    Ok(())
}

/// Remove private posts for good.
pub async fn withdraw(app: &App, account: &Account, ids: &[String]) -> anyhow::Result<()> {
    for id in ids {
        let number = private::forget(app, account, &which(id)).await?;
        println!(
            "Removed: private post {number}, and the files that no other one needs. An import with --include-private \
             takes it in again."
        );
    }
    Ok(())
}

fn print(id: PrivateId, post: &PrivatePost, paths: &[PathBuf]) {
    let line = |name: &str, value: &str| println!("{name:<12} {}", plain(value));
    line("id", &id.to_string());
    line("key", &post.key.0);
    line("audience", "not public");
    let estimated = if post.date_estimated { " (estimated)" } else { "" };
    line("published", &format!("{}{estimated}", timestamp(post.published)));
    let edited = post.edited.map(timestamp);
    let texts = [
        ("author", &post.author),
        ("edited", &edited),
        ("canonical", &post.canonical_url),
        ("boost of", &post.boost_of),
        ("warning", &post.warning),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            line(name, value);
        }
    }
    if !post.mentions.is_empty() {
        line("mentions", &post.mentions.join(" "));
    }
    if let Some(parent) = &post.reply_to {
        line("answers", &parent.0);
    }
    for media in &post.media {
        let what = media.file.as_ref().map_or("missing", |file| file.media_type.as_str());
        line("media", &format!("{} ({what}) {}", media.source_url, media.alt.as_deref().unwrap_or_default()));
    }
    for path in paths {
        line("opened", &path.display().to_string());
    }
    println!("\n{}", plain(&post.content.to_plain()));
}

/// Without control characters: an archived text must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

fn object(id: PrivateId, post: &PrivatePost) -> Value {
    json!({
        "id": id.to_string(),
        "state": "private",
        "key": post.key.to_string(),
        "author": post.author,
        "canonical": post.canonical_url,
        "source_object": post.object_id,
        "published": timestamp(post.published),
        "date_estimated": post.date_estimated,
        "updated": post.edited.map(timestamp),
        "language": post.language,
        "warning": post.warning,
        "sensitive": post.sensitive,
        "tags": post.tags,
        "mentions": post.mentions,
        "reply_to": post.reply_to.as_ref().map(ToString::to_string),
        "boost_of": post.boost_of,
        "content": post.content.as_str(),
        "attachments": post.media.iter().map(attachment).collect::<Vec<_>>(),
        "format": post.format.name(),
        "source": String::from_utf8_lossy(&post.source),
    })
}

fn attachment(media: &PrivateMedia) -> Value {
    json!({
        "media_type": media.file.as_ref().map(|file| &file.media_type),
        "bytes": media.file.as_ref().map(|file| file.bytes),
        "kind": media.kind.name(),
        "alt": media.alt,
        "source": media.source_url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_does_not_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\r\u{9b}"), "a[2Jb\nc");
    }

    #[test]
    fn digits_are_a_number_and_the_rest_is_a_key() {
        assert_eq!(which("12"), Which::Number(PrivateId(12)));
        assert_eq!(which("mastodon:a.example:12"), Which::Key(SourceKey("mastodon:a.example:12".to_owned())));
    }
}
