//! A timeline's entries as the templates show them: posts with their media, polls and quotes, and boosts.

use super::echoes::{self, ReplyView};
use super::images::{HALF_ROW, ImageView, ROW};
use super::paths::Paths;
use super::views::{Byline, grouped, human};
use crate::activitystreams::render::{is_web_address, timestamp};
use crate::domain::account::Account;
use crate::domain::echo::Reply;
use crate::domain::post::{Boost, Post};
use crate::domain::source::MediaKind;
use crate::domain::told::{Poll, Totals};

/// A hashtag with its page.
pub struct TagView {
    pub(super) name: String,
    pub(super) url: String,
}

/// A picture, film or sound.
pub struct MediaView {
    pub(super) kind: &'static str,
    pub(super) url: String,
    pub(super) alt: Option<String>,
    pub(super) media_type: String,
    pub(super) image: ImageView,
}

/// A link to a post that is not on the page.
pub struct LinkView {
    pub(super) url: String,
    pub(super) shown: String,
}

/// A poll that takes no more votes.
pub struct PollView {
    pub(super) options: Vec<OptionView>,
    pub(super) facts: String,
}

/// An option of a poll, with its share of all votes in per cent.
pub struct OptionView {
    pub(super) name: String,
    pub(super) votes: Option<String>,
    pub(super) share: u64,
}

/// One entry of a timeline.
pub enum EntryView {
    /// A post.
    Post(Box<PostView>),
    /// A post passed on.
    Boost(BoostView),
}

impl EntryView {
    fn published_iso(&self) -> &str {
        match self {
            EntryView::Post(post) => &post.published_iso,
            EntryView::Boost(boost) => &boost.published_iso,
        }
    }

    /// The year that it stands in.
    pub fn year(&self) -> &str {
        self.published_iso().get(..4).unwrap_or_default()
    }
}

impl From<PostView> for EntryView {
    fn from(post: PostView) -> EntryView {
        EntryView::Post(Box::new(post))
    }
}

impl From<BoostView> for EntryView {
    fn from(boost: BoostView) -> EntryView {
        EntryView::Boost(boost)
    }
}

/// A post passed on: nothing of it is here but where it stands.
pub struct BoostView {
    pub(super) id_attr: String,
    pub(super) published_iso: String,
    pub(super) published_human: String,
    /// `None` where its id is no address.
    pub(super) url: Option<String>,
    pub(super) shown: String,
    pub(super) ours: bool,
}

impl BoostView {
    /// A boost of an account.
    pub fn new(boost: &Boost, account: &Account, paths: &Paths) -> BoostView {
        let ours = boost.ours.map(|id| paths.page(&format!("/@{}/{id}", account.handle)));
        let LinkView { url, shown } = LinkView::new(&boost.object);
        BoostView {
            id_attr: format!("p{}", boost.id),
            published_iso: timestamp(boost.published),
            published_human: human(boost.published),
            ours: ours.is_some(),
            url: ours.or_else(|| Some(url).filter(|url| is_web_address(url))),
            shown,
        }
    }
}

impl LinkView {
    pub(super) fn new(url: &str) -> LinkView {
        LinkView { url: url.to_owned(), shown: url.strip_prefix("https://").unwrap_or(url).to_owned() }
    }
}

impl PollView {
    pub(super) fn new(poll: &Poll) -> PollView {
        let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
        let votes: u64 = poll.options.iter().filter_map(|option| option.votes).fold(0, u64::saturating_add);
        // Of a poll with several choices the shares are of those who voted, where that is known.
        let whole = poll.voters.filter(|voters| poll.multiple && *voters > 0).unwrap_or(votes);
        let options = poll.options.iter().map(|option| OptionView {
            name: option.name.clone(),
            votes: option.votes.map(count),
            share: option.votes.unwrap_or(0).saturating_mul(100).checked_div(whole).unwrap_or(0).min(100),
        });
        let mut facts = vec![match poll.closed {
            Some(closed) => format!("Poll, closed {}", human(closed)),
            None => "Poll, closed".to_owned(),
        }];
        if let Some(voters) = poll.voters {
            facts.push(format!("{} {}", count(voters), if voters == 1 { "voter" } else { "voters" }));
        }
        if poll.multiple {
            facts.push("several choices".to_owned());
        }
        PollView { options: options.collect(), facts: facts.join(", ") }
    }
}

/// `3 likes, 1 boost`, of what others did at the origin; `None` if nobody did anything or nobody told.
fn reactions(totals: &Totals) -> Option<String> {
    let counted =
        [(totals.likes, "like", "likes"), (totals.boosts, "boost", "boosts"), (totals.replies, "reply", "replies")];
    let told = counted.into_iter().filter_map(|(total, one, many)| {
        let total = total.filter(|total| *total > 0)?;
        let number = grouped(i64::try_from(total).unwrap_or(i64::MAX));
        Some(format!("{number} {}", if total == 1 { one } else { many }))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then_some(told)
}

/// One post.
pub struct PostView {
    pub(super) id_attr: String,
    pub(super) permalink: String,
    pub(super) published_iso: String,
    pub(super) published_human: String,
    pub(super) date_estimated: bool,
    pub(super) edited_human: Option<String>,
    pub(super) edited_iso: Option<String>,
    pub(super) title: Option<String>,
    /// What it answers, where that is not here.
    pub(super) answers: Option<LinkView>,
    pub(super) content_html: String,
    pub(super) poll: Option<PollView>,
    /// What it quotes, and whether that is here.
    pub(super) quotes: Option<(LinkView, bool)>,
    /// What others did at the origin.
    pub(super) reactions: Option<String>,
    /// What others did with it here.
    pub(super) echo: Option<String>,
    /// What people on other servers answered, where that is shown.
    pub(super) replies: Vec<ReplyView>,
    pub(super) lang: Option<String>,
    pub(super) warning: Option<String>,
    pub(super) sensitive: bool,
    pub(super) attachments: Vec<MediaView>,
    pub(super) tags: Vec<TagView>,
    pub(super) canonical_url: Option<String>,
    pub(super) canonical_host: Option<String>,
    pub(super) focused: bool,
    pub(super) is_reply: bool,
    pub(super) thread_size: i64,
    pub(super) thread_url: String,
    pub(super) author_name: String,
    pub(super) author_handle: String,
    pub(super) author_url: String,
    pub(super) author_avatar: Option<String>,
    pub(super) show_author: bool,
}

impl PostView {
    /// A post of an account in a conversation of `thread_size` posts.
    pub fn new(post: &Post, account: &Account, thread_size: i64, paths: &Paths) -> PostView {
        let urls = account.urls();
        let byline = Byline::of(account, paths);
        let page = paths.page(&format!("/@{}/{}", account.handle, post.id));
        let files: Vec<_> = post.attachments.iter().filter_map(|a| Some((a, a.file.as_ref()?))).collect();
        let visual = files.iter().filter(|(attachment, _)| attachment.kind != MediaKind::Audio).count();
        let media = files.iter().enumerate().map(|(at, (attachment, file))| MediaView {
            kind: attachment.kind.name(),
            url: paths.file(&format!("/media/{}", file.file_name())),
            alt: attachment.alt.clone(),
            media_type: file.media_type.clone(),
            // Two in a row; the last of an odd number has a row of its own.
            image: match visual {
                1 => ImageView::alone(file, paths),
                _ => ImageView::new(file, if visual % 2 == 1 && at + 1 == visual { ROW } else { HALF_ROW }, paths),
            },
        });
        let elsewhere = |url: &Option<String>, is_here: bool| {
            url.as_deref().filter(|url| !is_here && is_web_address(url)).map(LinkView::new)
        };
        let tag = |name: &String| TagView { name: format!("#{name}"), url: paths.tag(urls.domain(), name) };
        PostView {
            id_attr: format!("p{}", post.id),
            published_iso: timestamp(post.published),
            published_human: human(post.published),
            date_estimated: post.date_estimated,
            edited_human: post.updated.map(human),
            edited_iso: post.updated.map(timestamp),
            title: post.details.title.clone(),
            answers: elsewhere(&post.details.answers, post.reply_to.is_some()),
            content_html: post.content.as_str().to_owned(),
            poll: post.details.poll.as_ref().map(PollView::new),
            quotes: match post.quoted {
                Some(id) => {
                    let url = paths.page(&format!("/@{}/{id}", account.handle));
                    Some((LinkView { shown: urls.page(id), url }, true))
                }
                None => elsewhere(&post.details.quote, false).map(|link| (link, false)),
            },
            reactions: reactions(&post.details.totals),
            echo: echoes::told(&post.echo),
            replies: Vec::new(),
            lang: post.language.clone(),
            warning: post.warning.clone(),
            sensitive: post.sensitive,
            attachments: media.collect(),
            tags: post.tags.iter().map(tag).collect(),
            canonical_host: post.canonical_url.as_deref().and_then(host),
            canonical_url: post.canonical_url.clone(),
            focused: false,
            is_reply: post.reply_to.is_some(),
            thread_size,
            thread_url: page.clone(),
            permalink: page,
            author_name: byline.name,
            author_handle: byline.handle_full,
            author_url: byline.profile_url,
            author_avatar: byline.avatar_url,
            show_author: false,
        }
    }

    /// The same, marked as the one that was asked for.
    pub fn focused(self, focused: bool) -> PostView {
        PostView { focused, ..self }
    }

    /// The same with those of these replies that stand below it.
    pub fn with_replies(self, post: &Post, replies: &[Reply]) -> PostView {
        let its = replies.iter().filter(|reply| reply.post == post.id);
        PostView { replies: its.map(ReplyView::new).collect(), ..self }
    }

    /// The same with its author, for pages of several accounts.
    pub fn with_author(self) -> PostView {
        PostView { show_author: true, ..self }
    }
}

pub(super) fn host(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_owned)
}
