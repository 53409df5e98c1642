//! Posts that an account shows first, on its page and to other servers.

use super::announcements::Announcer;
use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::pins::Change;
use crate::domain::post::Stored;
use crate::store;
use chrono::{DateTime, Utc};

/// Change an account's pins; followers are told of what is pinned and unpinned. The pins as they are now, and whether that is
/// anything new.
pub async fn change(
    app: &App,
    account: &Account,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(Vec<PostId>, bool), Error> {
    if let Change::Add(id) = change {
        let found = app.store.find_post(account.id, *id).await?;
        let handle = &account.handle;
        let why = match &found {
            Some(Stored::Live(post)) if post.listed => None,
            Some(Stored::Live(_)) => Some(format!(
                "it is kept and not published; `everpost account set {handle} publish.replies=true` does that"
            )),
            Some(Stored::Boost(_)) => Some("it is a boost".to_owned()),
            Some(Stored::Withdrawn(_)) => Some("it was withdrawn".to_owned()),
            None => {
                let numbers = format!("`everpost post list --account {handle}` shows the numbers");
                return Err(Error::NotFound(format!("{handle} has no post {id}; {numbers}")));
            }
        };
        if let Some(why) = why {
            return Err(Error::Refused(format!("post {id} cannot be pinned: {why}")));
        }
    }
    let announcer = Announcer::of(app, account, now).await?;
    let told = |id: PostId, pinned: bool| announcer.pinned(account, id, pinned);
    app.store.change_pins(account.id, change, &told, now).await.map_err(|error| match error {
        store::Error::Conflict(why) => Error::Refused(why),
        other => other.into(),
    })
}
