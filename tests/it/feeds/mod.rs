//! Feeds, read by libraries that are not ours: what stands in them, and the whole history behind them (RFC 5005).

mod entries;
mod history;
mod valid;

use crate::activitypub::post;
use crate::support::{Answer, TestApp};
use everpost::domain::post::NewPost;
use feed_rs::model::Feed;

/// The name and the content type of each format.
const FORMATS: [(&str, &str); 3] =
    [("atom", "application/atom+xml"), ("rss", "application/rss+xml"), ("json", "application/feed+json")];

/// A feed as its readers ask for it: 200, with its content type.
async fn get(app: &TestApp, address: &str) -> Answer {
    let answer = app.get_with(address, &[("accept", "*/*")]).await;
    assert_eq!(answer.status, 200, "{address}: {}", answer.body);
    let path = address.split('?').next().unwrap();
    let (_, content_type) = FORMATS.iter().find(|(format, _)| path.ends_with(format)).unwrap();
    assert_eq!(answer.header("content-type"), format!("{content_type}; charset=utf-8"), "{address}");
    answer
}

async fn read(app: &TestApp, address: &str) -> Feed {
    let answer = get(app, address).await;
    feed_rs::parser::parse(answer.body.as_bytes()).unwrap_or_else(|error| panic!("{address}: {error}: {}", answer.body))
}

/// The address in a document's link of some relation; in JSON Feed the next page is the one before.
fn link(answer: &Answer, relation: &str) -> Option<String> {
    if answer.header("content-type").contains("json") {
        let name = match relation {
            "prev-archive" => "next_url",
            "current" => "feed_url",
            _ => return None,
        };
        return answer.json()[name].as_str().map(str::to_owned);
    }
    let after = answer.body.split("<item>").next()?.split("<entry>").next()?;
    let after = after.split_once(&format!("rel=\"{relation}\""))?.1;
    let address = after.split_once("href=\"")?.1.split_once('"')?.0;
    assert!(!address.contains('&'), "an address that would have to be decoded: {address}");
    Some(address.to_owned())
}

/// A post of every day from the first of a year on.
fn days(year: i32, count: u32) -> Vec<NewPost> {
    let first = chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    let day = |n| first.checked_add_days(chrono::Days::new(u64::from(n))).unwrap();
    (0..count).map(|n| post(&format!("{}T12:00:00Z", day(n)))).collect()
}
