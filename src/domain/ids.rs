//! One newtype for each kind of number that names something, so that no two can be mixed up.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A host that we answer for.
    DomainId
);
id!(
    /// An account on this server.
    AccountId
);
id!(
    /// A post, unique on the whole server: 63 bits, positive, the number in the post's URL.
    PostId
);
id!(
    /// A conversation, the number in its URL. Minted once; it goes on answering after a merge.
    ContextId
);
id!(
    /// An import that was run here, in the order in which they began.
    ImportId
);
id!(
    /// An actor of another server.
    RemoteActorId
);
id!(
    /// An activity of ours that is sent.
    ActivityId
);
id!(
    /// An activity on its way to one inbox.
    DeliveryId
);
id!(
    /// A token that lets a program in.
    TokenId
);
id!(
    /// A block of a domain or an actor.
    BlockId
);
