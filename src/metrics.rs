//! Figures for Prometheus: counted where things happen, written out where somebody asks.
//!
//! [`Metrics`] is a handle that is passed to whoever counts; nothing is global. Every label comes from a closed set, so
//! that no stranger can make the figures grow. Must never know who asks, or hold a name of a host or a person.

use crate::domain::delivery::{QueueFigures, Standing};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::time::Duration;

/// One label with a value from a closed set.
type Label = [(&'static str, &'static str); 1];

/// Bounds of durations of answers, in seconds: what is cached takes microseconds.
const ANSWERS: [f64; 10] = [0.000_25, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];
/// Bounds of durations of deliveries, in seconds.
const DELIVERIES: [f64; 9] = [0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// The classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Types of activities that are counted by their names; others are `other`.
const TYPES: [&str; 14] = [
    "Accept",
    "Add",
    "Announce",
    "Block",
    "Create",
    "Delete",
    "EmojiReact",
    "Flag",
    "Follow",
    "Like",
    "Move",
    "Reject",
    "Undo",
    "Update",
];

/// The figures of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: [Counter; 5],
    answers: Histogram,
    deliveries: Family<Label, Counter>,
    delivery_durations: Histogram,
    received: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    fetched: Family<Label, Counter>,
    backfilled: Family<Label, Counter>,
    counted: Family<Label, Counter>,
    queue: Family<Label, Gauge>,
    hosts: Family<Label, Gauge>,
    parked_inboxes: Gauge,
    paused: Gauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("everpost");
        let requests = Family::<Label, Counter>::default();
        let classes = CLASSES.map(|class| requests.get_or_create_owned(&[("class", class)]));
        let answers = Histogram::new(ANSWERS);
        let (deliveries, delivery_durations) = (Family::default(), Histogram::new(DELIVERIES));
        let (received, refused, fetched) = (Family::default(), Family::default(), Family::default());
        let (backfilled, counted) = (Family::<Label, Counter>::default(), Family::<Label, Counter>::default());
        let (queue, hosts) = (Family::default(), Family::default());
        let (parked_inboxes, paused) = (Gauge::default(), Gauge::default());
        registry.register("http_requests", "Requests that were answered, by class of status code", requests);
        registry.register_with_unit("http_answer", "Time until an answer began", Unit::Seconds, answers.clone());
        registry.register(
            "deliveries",
            "Deliveries that this process tried or settled, by what came of it",
            deliveries.clone(),
        );
        let text = "Time until an inbox answered";
        registry.register_with_unit("delivery", text, Unit::Seconds, delivery_durations.clone());
        registry.register("inbox_received", "Activities that were taken in, by type", received.clone());
        registry.register("inbox_refused", "Messages that were not taken in, by reason", refused.clone());
        registry.register(
            "fetches",
            "Documents that other servers were asked for, by what came of it",
            fetched.clone(),
        );
        registry.register("backfill", "Old posts that servers were offered, by what happened", backfilled.clone());
        let text = "Signed fetches of posts that were looked at, by what came of it";
        registry.register("post_fetches", text, counted.clone());
        registry.register("queue_deliveries", "Deliveries that wait, by what they wait for", queue.clone());
        registry.register("queue_hosts", "Hosts that something was sent to, by how they answer", hosts.clone());
        registry.register(
            "queue_parked_inboxes",
            "Inboxes that answered that they are gone or not there",
            parked_inboxes.clone(),
        );
        registry.register("queue_paused", "1 while the owner has everything wait", paused.clone());
        Metrics(Arc::new(Inner {
            registry,
            requests: classes,
            answers,
            deliveries,
            delivery_durations,
            received,
            refused,
            fetched,
            backfilled,
            counted,
            queue,
            hosts,
            parked_inboxes,
            paused,
        }))
    }
}

impl Metrics {
    /// A request was answered with this status code; `took` is the time until the answer began.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.0.requests.get(class) {
            counter.inc();
        }
        self.0.answers.observe(took.as_secs_f64());
    }

    /// An attempt at a delivery ended, `took` after it began; `outcome` comes from a closed set.
    pub fn delivered(&self, outcome: &'static str, took: Option<Duration>) {
        self.0.deliveries.get_or_create(&[("outcome", outcome)]).inc();
        if let Some(took) = took {
            self.0.delivery_durations.observe(took.as_secs_f64());
        }
    }

    /// An activity of this type was taken in.
    pub fn received(&self, kind: &str) {
        let kind = TYPES.into_iter().find(|known| *known == kind).unwrap_or("other");
        self.0.received.get_or_create(&[("type", kind)]).inc();
    }

    /// A message was not taken in; `reason` comes from a closed set.
    pub fn refused(&self, reason: &'static str) {
        self.0.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// Another server was asked for something; `outcome` comes from a closed set.
    pub fn fetched(&self, outcome: &'static str) {
        self.0.fetched.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Something happened to an old post that a server was offered; `event` comes from a closed set.
    pub fn backfilled(&self, event: &'static str) {
        self.0.backfilled.get_or_create(&[("event", event)]).inc();
    }

    /// Somebody fetched a post with a signature, and it was looked whose that is; `outcome` comes from a closed set.
    pub fn counted(&self, outcome: &'static str) {
        self.0.counted.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Everything in the text form of OpenMetrics. `queue` is how the queue stands now, where that is known.
    pub fn render(&self, queue: Option<&QueueFigures>) -> String {
        self.0.queue.clear();
        self.0.hosts.clear();
        if let Some(figures) = queue {
            let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            for (state, number) in [("waiting", figures.waiting), ("due", figures.due), ("leased", figures.leased)] {
                self.0.queue.get_or_create(&[("state", state)]).set(gauge(number));
            }
            for standing in Standing::ALL {
                let number =
                    figures.hosts.iter().find(|(known, _)| *known == standing).map_or(0, |(_, number)| *number);
                self.0.hosts.get_or_create(&[("standing", standing.as_str())]).set(gauge(number));
            }
            self.0.parked_inboxes.set(gauge(figures.parked_inboxes));
            self.0.paused.set(i64::from(figures.paused.is_some()));
        }
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_written_out() {
        let metrics = Metrics::default();
        metrics.answered(202, Duration::from_millis(2));
        metrics.clone().answered(999, Duration::ZERO);
        metrics.delivered("delivered", Some(Duration::from_millis(300)));
        metrics.received("Follow");
        metrics.received("<script>");
        metrics.refused("blocked");
        metrics.fetched("found");
        let figures = QueueFigures { waiting: 7, hosts: vec![(Standing::Parked, 2)], ..QueueFigures::default() };
        let text = metrics.render(Some(&figures));
        for line in [
            "everpost_http_requests_total{class=\"2xx\"} 1\n",
            "everpost_http_answer_seconds_bucket{le=\"0.0025\"} 2\n",
            "everpost_deliveries_total{outcome=\"delivered\"} 1\n",
            "everpost_delivery_seconds_bucket{le=\"0.5\"} 1\n",
            "everpost_inbox_received_total{type=\"Follow\"} 1\n",
            "everpost_inbox_received_total{type=\"other\"} 1\n",
            "everpost_inbox_refused_total{reason=\"blocked\"} 1\n",
            "everpost_fetches_total{outcome=\"found\"} 1\n",
            "everpost_queue_deliveries{state=\"waiting\"} 7\n",
            "everpost_queue_hosts{standing=\"parked\"} 2\n",
            "everpost_queue_hosts{standing=\"good\"} 0\n",
            "everpost_queue_paused 0\n",
        ] {
            assert!(text.contains(line), "{line} {text}");
        }
        assert!(!metrics.render(None).contains("everpost_queue_deliveries{"), "nothing is told that is not known");
        assert!(text.ends_with("# EOF\n") && !text.contains("script"));
    }
}
