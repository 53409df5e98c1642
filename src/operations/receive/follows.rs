//! Follows, and what is answered to them.

use super::{Message, Outcome, carry_out_again, find_account};
use crate::activitystreams::outgoing;
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::Outgoing;
use crate::domain::follower::FollowState;
use crate::federation::keys;
use crate::operations::{App, Error};
use crate::store::followers::Follow;
use crate::store::received::Effect;
use chrono::{DateTime, Utc};
use serde_json::json;

/// Longest Follow that is kept and sent back as it came, in bytes. They have some hundred.
const LONGEST: usize = 16 * 1024;

/// Somebody wants to follow.
///
/// Accepted at once, or kept until the owner decides; refused by an account that has moved and to whom its owner
/// blocks. A draft does not exist for others, and an account that is gone has no key left to say anything with: its own
/// 410 says it.
///
/// Misskey gives every Follow of the same two actors the same id, so whoever follows again after an Undo sends nothing new
/// but another signature.
pub(super) async fn follow(app: &App, message: &Message, object: &str, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let actor = &message.actor;
    let Some(account) = find_account(app, object).await?.filter(|account| account.state == AccountState::Live) else {
        return Ok(Outcome::Ignored("it follows nobody who is here"));
    };
    let json = kept(message, object);
    if account.moved_to.is_some() || app.store.is_blocked(Some(account.id), &actor.told.uri).await? {
        let answer = answer(app, outgoing::reject, &account, message, &json, now).await?;
        return carry_out_again(app, message, &Effect::Refuse { account: account.id, answer: &answer }, now).await;
    }
    let decided = match account.settings.manually_approves_followers {
        true => {
            app.store.find_follower(account.id, actor.id).await?.map_or(FollowState::Requested, |known| known.state)
        }
        false => FollowState::Accepted,
    };
    let answer = match decided {
        FollowState::Accepted => Some(answer(app, outgoing::accept, &account, message, &json, now).await?),
        FollowState::Requested => None,
    };
    let uri = message.incoming.id.as_deref().unwrap_or_default();
    let follow = Follow { account: account.id, actor: actor.id, uri, json: &json };
    carry_out_again(app, message, &Effect::Follow { follow, state: decided, answer: answer.as_ref() }, now).await
}

type Say = fn(&Account, &str, &crate::domain::remote::RemoteActor, &str) -> Outgoing;

async fn answer(
    app: &App,
    say: Say,
    account: &Account,
    message: &Message,
    json: &str,
    now: DateTime<Utc>,
) -> Result<Outgoing, Error> {
    let said = say(account, json, &message.actor.told, &keys::token()?);
    app.prove_outgoing(account, said, now).await
}

/// The Follow as it came, or what matters of one that carries more than any does.
fn kept(message: &Message, object: &str) -> String {
    if message.text.len() <= LONGEST {
        return message.text.clone();
    }
    let mut short = json!({ "type": "Follow", "actor": message.actor.told.uri, "object": object });
    if let Some(id) = &message.incoming.id {
        short["id"] = json!(id);
    }
    short.to_string()
}
