//! Likes, boosts and emoji, and taking things back.

use super::{Message, Outcome, carry_out, find_account};
use crate::activitystreams::read::incoming::{Deed, Undone, UndoneKind};
use crate::domain::echo::ReactionKind;
use crate::domain::ids::PostId;
use crate::domain::urls::Named;
use crate::operations::{App, Error};
use crate::store::reactions::{NewReaction, Undo};
use crate::store::received::Effect;
use chrono::{DateTime, Utc};

/// Somebody reacts to something. What is not a post of ours that is shown leaves nothing.
pub(super) async fn react(app: &App, message: &Message, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let (object, kind, emoji) = match &message.incoming.deed {
        Deed::Like { object, emoji } => (object, ReactionKind::Like, emoji.as_deref()),
        Deed::EmojiReact { object, emoji } => (object, ReactionKind::Emoji, Some(emoji.as_str())),
        Deed::Announce(object) => (object, ReactionKind::Boost, None),
        _ => return Ok(Outcome::Ignored("it is no reaction")),
    };
    let post = match Named::read(object) {
        Some(named) => app.store.find_shown_post(&named).await?,
        None => None,
    };
    let Some((post, account)) = post else { return Ok(Outcome::Ignored("it is about no post that is here")) };
    if app.store.is_blocked(Some(account), &message.actor.told.uri).await? {
        return Ok(Outcome::Ignored("the owner blocks its actor"));
    }
    let reaction = NewReaction { post, kind, emoji, uri: message.incoming.id.as_deref() };
    carry_out(app, message, &Effect::React(&reaction), now).await
}

/// Somebody takes something back: by its id, or by what it was and what it was about.
pub(super) async fn undo(app: &App, message: &Message, undone: &Undone, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let kind = match undone.kind {
        None | Some(UndoneKind::Follow) => None,
        Some(UndoneKind::Like) => Some(ReactionKind::Like),
        // One without an emoji came in as a like.
        Some(UndoneKind::EmojiReact) if undone.emoji.is_none() => Some(ReactionKind::Like),
        Some(UndoneKind::EmojiReact) => Some(ReactionKind::Emoji),
        Some(UndoneKind::Announce) => Some(ReactionKind::Boost),
        Some(UndoneKind::Block | UndoneKind::Other) => return Ok(Outcome::Ignored("it left nothing to take back")),
    };
    let object = undone.object.as_deref();
    let (account, post) = match (kind, object) {
        (None, Some(object)) if undone.kind.is_some() => (find_account(app, object).await?.map(|found| found.id), None),
        (Some(_), Some(object)) => (None, find_post(app, object).await?),
        _ => (None, None),
    };
    let id = undone.id.as_deref();
    if id.is_none() && account.is_none() && post.is_none() {
        return Ok(Outcome::Ignored("it is about nothing that is here"));
    }
    let undo = Undo { id, kind, account, post, emoji: undone.emoji.as_deref() };
    carry_out(app, message, &Effect::Undo(&undo), now).await
}

async fn find_post(app: &App, url: &str) -> Result<Option<PostId>, Error> {
    let Some(named) = Named::read(url) else { return Ok(None) };
    Ok(app.store.find_shown_post(&named).await?.map(|(post, _)| post))
}
