//! The files of a site: pages, objects, media with their thumbnails, styles.

use super::super::files::{ICON, STYLE};
use super::{Error, Site, Written};
use crate::activitystreams::render::Replies;
use crate::activitystreams::vocabulary::Collection;
use crate::activitystreams::{context, discovery, render};
use crate::domain::post::{MediaFile, Post};
use crate::http::collections;
use crate::operations::App;
use crate::operations::announcements::public_keys;
use crate::store::keys::KeyOwner;
use askama::Template;
use futures::TryStreamExt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The script of the search page.
const SEARCH: &str = include_str!("../assets/search.js");

/// Writes files below a folder.
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Below that folder.
    pub fn new(root: &Path) -> Files {
        Files { root: root.to_owned() }
    }

    /// A page.
    pub fn put(&self, path: &str, page: &impl Template) -> Result<(), Error> {
        self.put_text(path, &page.render()?)
    }

    /// A file.
    pub fn put_text(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.made(path)?;
        std::fs::write(&path, text).map_err(|cause| Error::Io { path, cause })
    }

    /// Where a file goes, with the folders above it.
    fn made(&self, path: &str) -> Result<PathBuf, Error> {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|cause| Error::Io { path: folder.to_owned(), cause })?;
        }
        Ok(path)
    }

    /// A media file with its thumbnails; whether it is a new one. One whose bytes are gone is left out.
    pub async fn media(&self, app: &App, file: &MediaFile) -> Result<bool, Error> {
        let original = format!("media/{}", file.file_name());
        if self.root.join(&original).exists() {
            return Ok(false);
        }
        let thumbnails = file.picture.iter().flat_map(|picture| &picture.thumbnails);
        let forms = thumbnails.map(|slot| (Some(*slot), format!("media/{}", file.thumbnail_name(*slot))));
        for (slot, name) in forms.chain([(None, original)]) {
            let Some(length) = app.media.length(file, slot).await? else {
                tracing::warn!(media.sha256 = file.sha256, "a media file is not in the media store and left out");
                continue;
            };
            let path = self.made(&name)?;
            let failed = |cause| Error::Io { path: path.clone(), cause };
            let mut out = std::fs::File::create(&path).map_err(failed)?;
            let mut bytes = app.media.read(file, slot, 0..length).await?;
            while let Some(chunk) = bytes.try_next().await.map_err(failed)? {
                out.write_all(&chunk).map_err(failed)?;
            }
        }
        Ok(true)
    }

    /// What every page loads.
    pub fn assets(&self) -> Result<(), Error> {
        self.put_text("assets/style.css", STYLE)?;
        self.put_text("assets/icon.svg", ICON)?;
        self.put_text("search/search.js", SEARCH)
    }
}

impl Site<'_> {
    /// A post's Note as the server answers with it, proof included.
    pub(super) async fn object(&self, post: &Post) -> Result<String, Error> {
        let places = self.app.store.list_places(post.context).await?;
        let below = collections::below(self.app, self.account, post, &places).await?;
        let (direct, more) = below.first();
        let mut note = render::note(post, self.account, Replies::Inline { direct, more }, self.wanted.now);
        note.context_terms = Some(context::note());
        let mut object = serde_json::to_value(&note).unwrap_or_default();
        self.prover.prove(&mut object, post.changed);
        Ok(object.to_string())
    }

    /// The account's objects: actor, outbox, what WebFinger answers; and the pictures of the profile.
    pub(super) async fn objects(&mut self) -> Result<(), Error> {
        let (app, account) = (self.app, self.account);
        let owner = KeyOwner::Account(account.id);
        let keys = public_keys(&app.store.list_keys(owner).await?, &app.store.list_earlier_keys(owner).await?);
        let folder = format!("@{}", account.handle);
        let actor = serde_json::to_string(&render::actor(account, &keys)).unwrap_or_default();
        self.files.put_text(&format!("{folder}/index.json"), &actor)?;
        let Written { posts, boosts, .. } = self.written;
        let outbox = Collection {
            context_terms: Some(context::plain()),
            id: account.urls().under("outbox"),
            kind: "OrderedCollection",
            total_items: Some(i64::try_from(posts + boosts).unwrap_or(i64::MAX)),
            ..Collection::default()
        };
        self.files.put_text(&format!("{folder}/outbox.json"), &serde_json::to_string(&outbox).unwrap_or_default())?;
        self.files.put_text(".well-known/webfinger", &discovery::account_jrd(account, &[]).to_string())?;
        for file in [&account.profile.avatar, &account.profile.header].into_iter().flatten() {
            self.written.media += u64::from(self.files.media(app, file).await?);
        }
        Ok(())
    }
}
