//! `everpost resurface …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::account::{Account, AccountState};
use crate::domain::post::Post;
use crate::domain::resurface::{MOST_A_DAY, Mode, Resurfacing};
use crate::operations::resurface;
use crate::startup::Started;
use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boost old posts of an account to its followers: one at each time of the day
    Set {
        /// Which posts
        mode: ModeArgument,
        /// A time of the day, as 09:30; up to three times, each for one post
        #[arg(long, required = true, value_name = "HH:MM", value_parser = read_time)]
        at: Vec<NaiveTime>,
        /// The time zone of these times and of the posts' days, by its IANA name, as Europe/Berlin
        #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = read_zone)]
        time_zone: Tz,
        /// Posts with a content warning or sensitive media too
        #[arg(long)]
        allow_warned: bool,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// Show how it is set, and what was shown last
    Show {
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Show which post is next, and when
    Next {
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Boost no more of them
    Off {
        #[command(flatten)]
        account: AccountFlag,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ModeArgument {
    /// Posts of the same day in earlier years
    OnThisDay,
    /// All posts, each once, the oldest first
    Drip,
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let app = &started.app;
        let now = Utc::now();
        match self {
            Command::Set { mode, mut at, time_zone, allow_warned, account } => {
                let account = account.find(app).await?;
                at.sort();
                at.dedup();
                let mode = match mode {
                    ModeArgument::OnThisDay => Mode::OnThisDay,
                    ModeArgument::Drip => Mode::Drip,
                };
                let set = Resurfacing { mode, times: at, zone: time_zone, allow_warned, since: now, last: None };
                resurface::set(app, &account, &set).await?;
                println!("{} shows old posts again: {}.", account.handle, described(&set));
                if account.state == AccountState::Draft {
                    println!("It is a draft: that begins once `everpost account publish {}` was run.", account.handle);
                }
                tell_next(started, &account, now).await
            }
            Command::Show { account, json } => {
                let account = account.find(app).await?;
                let set = app.store.find_resurfacing(account.id).await?;
                let last = app.store.find_last_resurfaced(account.id).await?;
                let left = match &set {
                    Some(set) if set.mode == Mode::Drip => {
                        Some(app.store.count_resurfaceable(account.id, set, set.next(now).unwrap_or(now)).await?)
                    }
                    _ => None,
                };
                if json.json {
                    let last = last.map(|last| json!({ "id": last.post.to_string(), "at": timestamp(last.at) }));
                    return output::json(&match set {
                        Some(set) => json!({
                            "mode": set.mode.as_str(),
                            "at": times(&set),
                            "time_zone": set.zone.name(),
                            "allow_warned": set.allow_warned,
                            "next": set.next(now).map(timestamp),
                            "left": left,
                            "last": last,
                        }),
                        None => json!({ "mode": Value::Null, "last": last }),
                    });
                }
                match set {
                    Some(set) => println!("{} shows old posts again: {}.", account.handle, described(&set)),
                    None => {
                        println!("{} shows no old posts again: `everpost resurface set` changes that.", account.handle)
                    }
                }
                if let Some(left) = left {
                    println!("{left} {} not been shown yet.", if left == 1 { "post has" } else { "posts have" });
                }
                if let Some(last) = last {
                    println!("Last shown: {} on {}.", last.post, timestamp(last.at));
                }
                Ok(())
            }
            Command::Next { account, json } => {
                let account = account.find(app).await?;
                if !json.json {
                    return tell_next(started, &account, now).await;
                }
                let next = match app.store.find_resurfacing(account.id).await? {
                    Some(set) => resurface::next(app, &account, &set, now).await?,
                    None => None,
                };
                output::json(&match next {
                    Some((at, post)) => {
                        json!({ "at": timestamp(at), "post": post.map(|post| output::post(&post, &account)) })
                    }
                    None => Value::Null,
                })
            }
            Command::Off { account } => {
                let account = account.find(app).await?;
                match app.store.stop_resurfacing(account.id).await? {
                    true => println!("{} shows no more old posts again. What was shown stays noted.", account.handle),
                    false => println!("{} showed none before.", account.handle),
                }
                Ok(())
            }
        }
    }
}

/// Say which post is next.
async fn tell_next(started: &Started, account: &Account, now: DateTime<Utc>) -> anyhow::Result<()> {
    let app = &started.app;
    let Some(set) = app.store.find_resurfacing(account.id).await? else {
        println!("{} shows no old posts again: `everpost resurface set` changes that.", account.handle);
        return Ok(());
    };
    let Some((at, post)) = resurface::next(app, account, &set, now).await? else { return Ok(()) };
    let day = at.with_timezone(&set.zone).format("%Y-%m-%d %H:%M %Z");
    match post {
        Some(post) => println!("Next, {day}: {}", line(&post)),
        None if set.mode == Mode::Drip => println!("Next, {day}: nothing, for every post was shown."),
        None => println!("Next, {day}: nothing, for there is no post of that day that has not been shown lately."),
    }
    Ok(())
}

fn line(post: &Post) -> String {
    format!("{}  {}  {}", post.id, timestamp(post.published), post.content.excerpt(60))
}

/// `drip, at 09:30 and 18:00 (Europe/Berlin), without posts that have a warning`.
fn described(set: &Resurfacing) -> String {
    let times = times(set);
    let at = match times.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    };
    let warned = if set.allow_warned { "with" } else { "without" };
    format!("{}, at {at} ({}), {warned} posts that have a warning", set.mode.as_str(), set.zone.name())
}

fn times(set: &Resurfacing) -> Vec<String> {
    set.times.iter().map(|time| time.format("%H:%M").to_string()).collect()
}

fn read_time(text: &str) -> Result<NaiveTime, String> {
    let time = NaiveTime::parse_from_str(text, "%H:%M");
    time.map_err(|_| format!("it takes a time of the day, as 09:30, up to {MOST_A_DAY} times"))
}

fn read_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "it takes a name of the IANA list, as Europe/Berlin, America/New_York or UTC".to_owned())
}
