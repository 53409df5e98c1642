//! When an account may move to an actor: the conditions that Mastodon has, so that other servers follow.

use super::account::{Account, AccountState};
use super::remote::RemoteActor;
use chrono::{DateTime, TimeDelta, Utc};

/// How long after a move an account may not move again: what Mastodon asks for; GoToSocial takes no second one for a week.
pub const PAUSE: TimeDelta = TimeDelta::days(30);
/// Most other actors that an account may say it is: GoToSocial reads no more.
pub const MOST_ALIASES: usize = 20;

/// Why an account may not move at all at this moment; a sentence that says what to do.
pub fn obstacle(account: &Account, now: DateTime<Utc>) -> Option<String> {
    let handle = &account.handle;
    if account.state != AccountState::Live {
        return Some(format!(
            "{handle} is a draft, which nobody follows: `everpost account publish {handle}` comes first"
        ));
    }
    if let Some(target) = &account.moved_to {
        return Some(format!("{handle} has moved to {target} already; `everpost account move --undo` takes that back"));
    }
    let free = account.last_move.map(|last| last + PAUSE).filter(|free| *free > now)?;
    Some(format!(
        "{handle} moved less than {} days ago: it may move again on {}, for other servers follow no sooner",
        PAUSE.num_days(),
        free.format("%Y-%m-%d")
    ))
}

/// Why an account may not move to `target`; a sentence that says what to do.
pub fn obstacle_at(account: &Account, target: &RemoteActor) -> Option<String> {
    let (uri, own) = (&target.uri, account.urls().actor());
    if *uri == own {
        return Some(format!("{uri} is the account itself"));
    }
    if let Some(further) = &target.moved_to {
        return Some(format!("{uri} has moved itself, to {further}: other servers follow no chain of moves"));
    }
    if !target.also_known_as.contains(&own) {
        return Some(format!(
            "{uri} does not say that it is {own} too. Add {own} to its aliases there \
             (in Mastodon: Preferences, Account, Moving from a different account) and try again"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn target() -> RemoteActor {
        RemoteActor {
            uri: "https://new.example/users/ann".to_owned(),
            also_known_as: vec!["https://keep.example/users/ann".to_owned()],
            ..RemoteActor::default()
        }
    }

    fn check(obstacle: Option<String>, told: &str) {
        assert!(obstacle.as_ref().is_some_and(|obstacle| obstacle.contains(told)), "{told:?} is not in {obstacle:?}");
    }

    #[test]
    fn a_live_account_may_move_to_who_says_that_it_is_the_same() {
        assert_eq!(obstacle(&Account::untouched(), at("2026-02-01T00:00:00Z")), None);
        assert_eq!(obstacle_at(&Account::untouched(), &target()), None);
    }

    #[test]
    fn a_draft_and_one_that_has_moved_stay_where_they_are() {
        let now = at("2026-02-01T00:00:00Z");
        check(
            obstacle(&Account { state: AccountState::Draft, ..Account::untouched() }, now),
            "everpost account publish ann",
        );
        let moved_to = Some("https://other.example/users/ann".to_owned());
        check(
            obstacle(&Account { moved_to, ..Account::untouched() }, now),
            "has moved to https://other.example/users/ann already",
        );
    }

    #[test]
    fn a_second_move_waits_for_thirty_days_also_after_the_first_was_taken_back() {
        let last_move = Some(at("2026-01-01T12:00:00Z"));
        let account = Account { last_move, ..Account::untouched() };
        check(obstacle(&account, at("2026-01-31T11:59:59Z")), "it may move again on 2026-01-31");
        assert_eq!(obstacle(&account, at("2026-01-31T12:00:00Z")), None);
    }

    #[test]
    fn the_target_has_to_agree_and_to_stay() {
        let own = RemoteActor { uri: "https://keep.example/users/ann".to_owned(), ..target() };
        check(obstacle_at(&Account::untouched(), &own), "is the account itself");
        let moved = RemoteActor { moved_to: Some("https://x.example/u".to_owned()), ..target() };
        check(obstacle_at(&Account::untouched(), &moved), "has moved itself, to https://x.example/u");
        for others in [vec![], vec!["https://keep.example/@ann".to_owned()]] {
            let target = RemoteActor { also_known_as: others, ..target() };
            check(
                obstacle_at(&Account::untouched(), &target),
                "Add https://keep.example/users/ann to its aliases there",
            );
        }
    }
}
