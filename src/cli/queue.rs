//! `everpost queue …`.

use super::{JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::delivery::{HostFigures, QueueFigures, Standing};
use crate::startup::Started;
use crate::store::deliveries::Chosen;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// How much waits, and what became of the rest
    Status(JsonFlag),
    /// The hosts for which something waits, and those that do not answer
    Hosts {
        /// Every host that something was ever sent to
        #[arg(long)]
        all: bool,
        /// How many
        #[arg(long, default_value = "100", value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Try what waits now, at hosts that are paused or parked too
    Retry {
        /// Only what waits for this host, as `queue hosts` names it
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
    },
    /// Do not send what waits for a host
    Drop {
        /// The host, as `queue hosts` names it
        #[arg(long, value_name = "HOST")]
        host: String,
    },
    /// Send nothing until `queue resume`, in every process
    Pause,
    /// Send again what `queue pause` had wait
    Resume,
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let store = &started.app.store;
        let now = Utc::now();
        match self {
            Command::Status(flag) => {
                let figures = store.queue_figures(now).await?;
                match flag.json {
                    true => return output::json(&status(&figures)),
                    false => print_status(&figures),
                }
            }
            Command::Hosts { all, limit, json } => {
                let chosen = if all { Chosen::All } else { Chosen::Notable };
                let hosts = store.list_delivery_hosts(chosen, limit).await?;
                if json.json {
                    return output::json(&hosts.iter().map(host).collect());
                }
                if hosts.is_empty() {
                    println!("Nothing waits for any host, and all that were asked answered.");
                }
                hosts.iter().for_each(|host| print_host(host, now));
            }
            Command::Retry { host } => {
                let host = host.map(|host| host.to_ascii_lowercase());
                if let Some(host) = &host {
                    known(started, host).await?;
                }
                let retried = store.retry_deliveries(host.as_deref(), now).await?;
                let place = host.map(|host| format!(" for {host}")).unwrap_or_default();
                println!("Everything that waits{place} is due now; {retried} {} put off before.", were(retried));
            }
            Command::Drop { host } => {
                let host = host.to_ascii_lowercase();
                known(started, &host).await?;
                let dropped = store.drop_deliveries(&host, now).await?;
                println!(
                    "{dropped} {} for {host} {} not sent.",
                    deliveries(dropped),
                    if dropped == 1 { "is" } else { "are" }
                );
            }
            Command::Pause => match store.pause_deliveries(now).await? {
                true => println!("Nothing is sent from now on. `everpost queue resume` ends that."),
                false => println!("Nothing is sent already. `everpost queue resume` ends that."),
            },
            Command::Resume => match store.resume_deliveries().await? {
                true => println!("Deliveries go on."),
                false => println!("Deliveries were not paused."),
            },
        }
        Ok(())
    }
}

/// Fail where a host is none of the queue's: it may be misspelled.
async fn known(started: &Started, host: &str) -> anyhow::Result<()> {
    match started.app.store.knows_delivery_host(host).await? {
        true => Ok(()),
        false => anyhow::bail!("nothing was ever sent to {host}; `everpost queue hosts --all` shows the hosts"),
    }
}

/// The status's fixed shape: fields may be added, never renamed.
fn status(figures: &QueueFigures) -> Value {
    let settled = figures.settled.iter().map(|(state, number)| (state.as_str().to_owned(), Value::from(*number)));
    let number = |standing: Standing| {
        let found = figures.hosts.iter().find(|(known, _)| *known == standing);
        (standing.as_str().to_owned(), Value::from(found.map_or(0, |(_, number)| *number)))
    };
    json!({
        "paused": figures.paused.map(timestamp),
        "waiting": figures.waiting,
        "due": figures.due,
        "leased": figures.leased,
        "oldest": figures.oldest.map(timestamp),
        "settled": Map::from_iter(settled),
        "hosts": Map::from_iter(Standing::ALL.map(number)),
        "parked_inboxes": figures.parked_inboxes,
    })
}

fn print_status(figures: &QueueFigures) {
    if let Some(since) = figures.paused {
        println!("Paused since {}. `everpost queue resume` ends that.", timestamp(since));
    }
    println!("waiting         {}", figures.waiting);
    println!("  due now       {}", figures.due);
    println!("  being sent    {}", figures.leased);
    if let Some(oldest) = figures.oldest {
        println!("  oldest        {}", timestamp(oldest));
    }
    for (state, number) in &figures.settled {
        println!("{:<15} {number}", state.as_str());
    }
    for (standing, number) in &figures.hosts {
        println!("hosts, {:<8} {number}", standing.as_str());
    }
    if figures.parked_inboxes > 0 {
        println!(
            "inboxes away    {}  (404 or 410; whether their followers are gone is being asked)",
            figures.parked_inboxes
        );
    }
}

/// A host's fixed shape.
fn host(figures: &HostFigures) -> Value {
    let HostFigures { host, waiting, next } = figures;
    json!({
        "host": host.host,
        "standing": host.standing.as_str(),
        "waiting": waiting,
        "failures": host.failures,
        "failing_since": host.failing_since.map(timestamp),
        "paused_until": host.paused_until.map(timestamp),
        "reason": (!host.reason.is_empty()).then_some(&host.reason),
        "answered": host.answered.map(timestamp),
        "next": next.map(timestamp),
    })
}

fn print_host(figures: &HostFigures, now: DateTime<Utc>) {
    let HostFigures { host, waiting, .. } = figures;
    let mut line = format!("{:<40} {:<8} {waiting:>7} waiting", host.host, host.standing.as_str());
    if let Some(since) = host.failing_since {
        line += &format!("  failing since {} ({} times): {}", timestamp(since), host.failures, host.reason);
    }
    if let Some(until) = host.paused_until.filter(|until| *until > now) {
        line += &format!("  paused until {}", timestamp(until));
    }
    println!("{line}");
}

fn deliveries(number: u64) -> &'static str {
    if number == 1 { "delivery" } else { "deliveries" }
}

fn were(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}
