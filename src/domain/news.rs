//! Which posts are new enough to be pushed to followers: their servers show what is pushed as of now, whatever its date.

use super::post::Post;
use chrono::{DateTime, TimeDelta, Utc};

/// How far ahead of our clock a post's date may lie and still mean now: the clock of its source may be wrong by that.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// How long a post is news after its own date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News(TimeDelta);

impl Default for News {
    /// As long as Mastodon takes a post for one of now.
    fn default() -> News {
        News(TimeDelta::hours(6))
    }
}

impl News {
    /// The longest: whatever is older is not news to anybody.
    pub const MOST: TimeDelta = TimeDelta::days(1);

    /// For so long, at most [`News::MOST`]; with zero nothing is ever news.
    pub fn lasting(age: TimeDelta) -> News {
        News(age.clamp(TimeDelta::zero(), News::MOST))
    }

    /// The date after which a post has to be published to be news at `now`.
    pub fn since(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.0
    }

    /// Until when a post is news; `None` where it is none at `now`.
    ///
    /// Its own date decides. One that lies ahead is no news, and does not become any later: the post is here and shown from
    /// the start, and nothing happens at its date. An estimated date says nothing, and a reply to others is not for followers.
    pub fn until(self, post: &Post, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = post.published + self.0;
        let fresh = !self.0.is_zero() && post.published <= now + AHEAD && now < until;
        (fresh && post.listed && !post.to_others && !post.date_estimated).then_some(until)
    }
}
