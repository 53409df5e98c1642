//! The tables of what comes from other servers and goes to them.

diesel::table! {
    remote_actors (id) {
        id -> Int8,
        uri -> Text,
        host -> Text,
        kind -> Text,
        handle -> Nullable<Text>,
        name -> Text,
        page -> Nullable<Text>,
        inbox -> Text,
        shared_inbox -> Nullable<Text>,
        followers -> Nullable<Text>,
        keys -> Jsonb,
        also_known_as -> Array<Text>,
        moved_to -> Nullable<Text>,
        fetched_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    followers (id) {
        id -> Int8,
        account_id -> Int8,
        actor_id -> Int8,
        state -> Text,
        follow_uri -> Text,
        follow -> Text,
        created_at -> Timestamptz,
        accepted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    activities (id) {
        id -> Int8,
        account_id -> Int8,
        uri -> Text,
        kind -> Text,
        object_uri -> Text,
        body -> Text,
        created_at -> Timestamptz,
        signed_by -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    deliveries (id) {
        id -> Int8,
        activity_id -> Int8,
        inbox -> Text,
        host -> Text,
        state -> Text,
        attempts -> Int4,
        due_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
        status -> Nullable<Int2>,
        answer -> Nullable<Text>,
        settled_at -> Nullable<Timestamptz>,
        line -> Int8,
        leased_by -> Nullable<Int8>,
    }
}

diesel::table! {
    delivery_hosts (host) {
        host -> Text,
        standing -> Text,
        failures -> Int4,
        failing_since -> Nullable<Timestamptz>,
        paused_until -> Nullable<Timestamptz>,
        reason -> Text,
        answered_at -> Nullable<Timestamptz>,
        look_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    delivery_wakes (id) {
        id -> Int8,
        host -> Text,
    }
}

diesel::table! {
    parked_inboxes (inbox) {
        inbox -> Text,
        status -> Int2,
        parked_at -> Timestamptz,
        checks -> Int4,
        check_at -> Timestamptz,
        missing -> Int4,
    }
}

diesel::table! {
    blocks (id) {
        id -> Int8,
        account_id -> Nullable<Int8>,
        kind -> Text,
        target -> Text,
        comment -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    received (hash) {
        hash -> Bytea,
        received_at -> Timestamptz,
    }
}

diesel::table! {
    reactions (id) {
        id -> Int8,
        post_id -> Int8,
        actor_id -> Int8,
        kind -> Text,
        mark -> Text,
        emoji -> Nullable<Text>,
        activity_uri -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    replies (id) {
        id -> Int8,
        post_id -> Int8,
        actor_id -> Int8,
        uri -> Text,
        answers_uri -> Text,
        depth -> Int2,
        page -> Nullable<Text>,
        content_html -> Text,
        warning -> Nullable<Text>,
        language -> Nullable<Text>,
        published_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
        received_at -> Timestamptz,
    }
}

diesel::table! {
    echoes (post_id) {
        post_id -> Int8,
        likes -> Int8,
        boosts -> Int8,
        emoji -> Int8,
        replies -> Int8,
        changed_at -> Timestamptz,
    }
}

diesel::table! {
    reports (id) {
        id -> Int8,
        account_id -> Int8,
        actor_id -> Int8,
        objects -> Array<Text>,
        content -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    unknown_activities (kind) {
        kind -> Text,
        total -> Int8,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    errands (id) {
        id -> Int8,
        kind -> Text,
        url -> Text,
        host -> Text,
        cause -> Text,
        attempts -> Int4,
        due_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    servers (host) {
        host -> Text,
        software -> Nullable<Text>,
        version -> Nullable<Text>,
        told_at -> Nullable<Timestamptz>,
        ask_at -> Timestamptz,
        failure -> Nullable<Text>,
        look_at -> Timestamptz,
        offered_at -> Nullable<Timestamptz>,
        paused_until -> Nullable<Timestamptz>,
        pause_reason -> Nullable<Text>,
    }
}

diesel::table! {
    fetches (post_id, host) {
        post_id -> Int8,
        host -> Text,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
        times -> Int8,
    }
}

diesel::table! {
    offers (id) {
        id -> Int8,
        account_id -> Int8,
        host -> Text,
        post_id -> Int8,
        inbox -> Text,
        state -> Text,
        outcome -> Nullable<Text>,
        tries -> Int4,
        add_uri -> Nullable<Text>,
        remove_uri -> Nullable<Text>,
        offered_at -> Timestamptz,
        fetched_at -> Nullable<Timestamptz>,
        removed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    backfill_stops (account_id, host) {
        account_id -> Int8,
        host -> Text,
        stopped_at -> Timestamptz,
    }
}
