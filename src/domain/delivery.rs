//! What leaves for inboxes.

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
}

/// Who gets an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Every accepted follower of the account, each distinct shared inbox once.
    Followers,
    /// These inboxes.
    Inboxes(Vec<String>),
}
