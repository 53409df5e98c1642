//! Items as activities, for the formats whose posts are ActivityStreams: `mastodon`, `fep-6fcd`, `jsonl`.
//!
//! What is not public goes out as the item of an archive that it came from, with its own audience, or for nobody.

use super::{Error, Ids, Item, Media, PublicBoost, PublicPost, Reference, Subject, Unpacker};
use crate::activitystreams::archived::{self, Manner, Names, NotPublic, Refers};
use crate::domain::post::MediaFile;
use crate::domain::private::{PrivateMedia, PrivatePost};
use serde_json::Value;

/// Where the files of an archive are.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In the archive, under this path for each.
    Inside(fn(&str, &str) -> String),
    /// Where this server has them. Those of posts that are not public are nowhere, and go by what their source called them.
    Links,
}

/// Makes activities of items.
pub struct Wire {
    names: Names,
    place: Place,
    subject: Subject,
    unpacker: Unpacker,
}

impl Wire {
    /// For this export, with its files in this place.
    pub fn new(subject: &Subject, place: Place) -> Wire {
        let names = match subject.options.ids {
            Ids::Origin => Names::of_origin(&subject.account),
            Ids::Mirror => Names::of_mirror(&subject.account),
        };
        Wire { names, place, subject: subject.clone(), unpacker: Unpacker::default() }
    }

    /// The names that account and posts go by.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The activity of an item.
    pub fn activity(&mut self, item: &Item) -> Result<Value, Error> {
        let mut bytes = Vec::new();
        self.write(item, None, &mut bytes)?;
        Ok(serde_json::from_slice(&bytes).map_err(std::io::Error::from)?)
    }

    /// Write the activity of an item as JSON; with a context, if it is to stand by itself.
    pub fn write(&mut self, item: &Item, context: Option<&'static str>, out: &mut Vec<u8>) -> Result<(), Error> {
        let written = match item {
            Item::Post(post) => self.post(post, context, out),
            Item::Boost(boost) => self.boost(boost, context, out),
            Item::Private(post) => {
                let mut activity = self.private(post)?;
                if let (Some(context), None) = (context, activity.get("@context")) {
                    activity["@context"] = context.into();
                }
                serde_json::to_writer(out, &activity)
            }
        };
        Ok(written.map_err(std::io::Error::from)?)
    }

    /// Where the archive has a file.
    pub fn path(&self, media: &Media) -> String {
        match (self.place, media) {
            (Place::Inside(path), Media::Public(file) | Media::Thumbnail(file, _)) => {
                path(&file.sha256, &file.extension)
            }
            (Place::Inside(path), Media::Private(file)) => path(&file.name, &file.extension),
            (Place::Links, Media::Public(file) | Media::Thumbnail(file, _)) => self.link(file),
            (Place::Links, Media::Private(file)) => file.name.clone(),
        }
    }

    fn link(&self, file: &MediaFile) -> String {
        self.subject.account.urls().domain().media(&file.file_name())
    }

    fn name_of(&self, other: &Reference) -> String {
        self.names.post(other.id, other.object_id.as_deref(), other.canonical_url.as_deref()).id
    }

    fn post(&mut self, item: &PublicPost, context: Option<&'static str>, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let refers = Refers {
            parent: item.parent.as_ref().map(|parent| self.name_of(parent)),
            quoted: item.quoted.as_ref().map(|quoted| self.name_of(quoted)),
        };
        let source = item.source.as_ref().filter(|source| source.format.is_activities());
        let source = source.and_then(|source| source.unpacked(&mut self.unpacker));
        let media = |file: &MediaFile| match self.place {
            Place::Inside(path) => path(&file.sha256, &file.extension),
            Place::Links => self.link(file),
        };
        let manner = Manner { names: &self.names, media: &media, context };
        archived::create(&item.post, &refers, source.as_deref(), manner, out)
    }

    fn boost(&self, item: &PublicBoost, context: Option<&'static str>, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let ours = item.of.as_ref().filter(|_| self.subject.options.ids == Ids::Mirror);
        let object = ours.map_or_else(|| item.boost.object.clone(), |of| self.name_of(of));
        let manner = Manner { names: &self.names, media: &|_| String::new(), context };
        archived::announce(&item.boost, item.object_id.as_deref(), &object, manner, out)
    }

    fn private(&self, post: &PrivatePost) -> Result<Value, Error> {
        let path_of = |media: &PrivateMedia| match (&media.file, self.place) {
            (Some(file), Place::Inside(path)) => Some(path(&file.name, &file.extension)),
            _ => None,
        };
        if post.format.is_activities() {
            // No word of it in the message: errors end in logs.
            let reason =
                || "the source of a post that is not public is no JSON; `everpost verify` tells more".to_owned();
            let mut activity = serde_json::from_slice(&post.source)
                .map_err(|_| Error::Damaged { file: "a private post".to_owned(), reason: reason() })?;
            let address = |url: &str| post.media.iter().find(|media| media.source_url == url).and_then(path_of);
            archived::readdress(&mut activity, &address);
            return Ok(activity);
        }
        let page = NotPublic {
            id: post.object_id.as_deref().or(post.canonical_url.as_deref()).unwrap_or(&post.key.0),
            url: post.canonical_url.as_deref(),
            published: post.published,
            edited: post.edited,
            html: post.content.as_str(),
            warning: post.warning.as_deref(),
            sensitive: post.sensitive,
            language: post.language.as_deref(),
            tags: &post.tags,
        };
        let media = post.media.iter().map(|media| {
            let url = path_of(media).unwrap_or_else(|| media.source_url.clone());
            let media_type = media.file.as_ref().map(|file| file.media_type.as_str());
            archived::plain_document(media_type, media.kind, &url, media.alt.as_deref())
        });
        Ok(archived::for_nobody(&page, &self.names, media.collect()))
    }
}
