//! What leaves for inboxes, and how the queue of it stands.

use super::ids::{AccountId, DeliveryId};
use chrono::{DateTime, Utc};

/// An activity of one of our accounts that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id, on our host. The same id is sent once: a second one of it is no news.
    pub uri: String,
    /// Its type, as `Accept`.
    pub kind: &'static str,
    /// The id of what it is about. What is sent to an inbox about one object keeps its order.
    pub object: String,
    /// The JSON as it is sent.
    pub body: String,
    /// Who gets it.
    pub to: Recipients,
    /// From when on it is not sent any more, to whomever it was not sent before; `None`: it is sent however late.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Who gets an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Every accepted follower of the account, each distinct shared inbox once.
    Followers,
    /// These inboxes.
    Inboxes(Vec<String>),
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    /// It is to be sent, or to be sent again.
    Waiting,
    /// The inbox took it.
    Delivered,
    /// The inbox will not take it, whatever happens.
    Refused,
    /// There is no such inbox any more.
    Gone,
    /// It has waited too long, or is no news any more.
    Expired,
    /// We no longer want it to be sent.
    Dropped,
}

impl DeliveryState {
    /// Each, in the order in which they are shown.
    pub const ALL: [DeliveryState; 6] = [
        DeliveryState::Waiting,
        DeliveryState::Delivered,
        DeliveryState::Refused,
        DeliveryState::Gone,
        DeliveryState::Expired,
        DeliveryState::Dropped,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Refused => "refused",
            DeliveryState::Gone => "gone",
            DeliveryState::Expired => "expired",
            DeliveryState::Dropped => "dropped",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<DeliveryState> {
        DeliveryState::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// How a host stands to what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// It answered last.
    Good,
    /// It has not been asked yet.
    New,
    /// It did not answer last.
    Failing,
    /// It has not answered for a week and is asked now and then.
    Parked,
}

impl Standing {
    /// Each, in the order in which workers look for hosts.
    pub const ALL: [Standing; 4] = [Standing::Good, Standing::New, Standing::Failing, Standing::Parked];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Good => "good",
            Standing::New => "new",
            Standing::Failing => "failing",
            Standing::Parked => "parked",
        }
    }

    /// The standing of a word.
    pub fn parse(word: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|standing| standing.as_str() == word)
    }
}

/// A host that something is sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryHost {
    /// Its name in lower case, with its port unless that is the scheme's own.
    pub host: String,
    /// How it stands.
    pub standing: Standing,
    /// How often in a row it did not answer.
    pub failures: u32,
    /// When the first of these failures was.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when nothing is sent to it.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why it stands so; empty where it answers.
    pub reason: String,
    /// When it last answered.
    pub answered: Option<DateTime<Utc>>,
}

impl DeliveryHost {
    /// A host that has not been asked yet.
    pub fn new(host: &str) -> DeliveryHost {
        DeliveryHost {
            host: host.to_owned(),
            standing: Standing::New,
            failures: 0,
            failing_since: None,
            paused_until: None,
            reason: String::new(),
            answered: None,
        }
    }
}

/// A delivery that one worker has for a while, with all that is needed to send it.
#[derive(Clone, Debug, PartialEq)]
pub struct Leased {
    /// Its number.
    pub id: DeliveryId,
    /// Whose activity it is.
    pub account: AccountId,
    /// The activity's type.
    pub kind: String,
    /// The JSON as it is sent. Empty: what it told is withdrawn, and it is not to be sent.
    pub body: String,
    /// The fragment of the key that signs it; `None`: the one in force.
    pub signed_by: Option<String>,
    /// Where it goes.
    pub inbox: String,
    /// The host of that.
    pub host: String,
    /// How the host stood when it was leased.
    pub standing: Standing,
    /// How often it has been tried, this time included.
    pub attempts: u32,
    /// When it was enqueued.
    pub enqueued: DateTime<Utc>,
    /// From when on it is not sent any more.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why it shall not be sent after all.
    pub obstacle: Option<Obstacle>,
}

/// Why something is not sent although it was enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its host, or the actor whose inbox it is, is blocked by now.
    Blocked,
    /// The inbox said that it is gone, and that is not cleared up yet.
    Parked,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// Which.
    pub id: DeliveryId,
    /// Its state from now on.
    pub state: DeliveryState,
    /// When it is due again, where it goes on waiting.
    pub due: Option<DateTime<Utc>>,
    /// The status code of the answer.
    pub status: Option<u16>,
    /// The start of the answer, or why there is none.
    pub answer: String,
}

/// How much there is in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Since when the owner has everything wait.
    pub paused: Option<DateTime<Utc>>,
    /// Deliveries that wait, those that are being sent included.
    pub waiting: u64,
    /// Of these the ones that could be sent now: due, and their host neither paused nor parked.
    pub due: u64,
    /// Of these the ones that are being sent.
    pub leased: u64,
    /// When the oldest of the waiting was enqueued.
    pub oldest: Option<DateTime<Utc>>,
    /// Deliveries that were settled and are still kept, by what became of them.
    pub settled: Vec<(DeliveryState, u64)>,
    /// Hosts by how they stand.
    pub hosts: Vec<(Standing, u64)>,
    /// Inboxes that answered 404 or 410, and are not cleared up yet.
    pub parked_inboxes: u64,
}

/// A host with what waits for it.
#[derive(Clone, Debug, PartialEq)]
pub struct HostFigures {
    /// The host.
    pub host: DeliveryHost,
    /// Deliveries that wait for it.
    pub waiting: u64,
    /// When it is looked at next.
    pub next: Option<DateTime<Utc>>,
}
