//! The tables as diesel knows them. A test compares this file with a migrated database.

diesel::table! {
    everpost_instance (id) {
        id -> Bool,
        created_at -> Timestamptz,
        deliveries_paused_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    domains (id) {
        id -> Int8,
        base_url -> Text,
        role -> Text,
        created_at -> Timestamptz,
        exposed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    media (sha256) {
        sha256 -> Text,
        extension -> Text,
        media_type -> Text,
        bytes -> Int8,
        created_at -> Timestamptz,
        width -> Nullable<Int4>,
        height -> Nullable<Int4>,
        blurhash -> Nullable<Text>,
        thumbnails -> Array<Int4>,
        figures_version -> Int2,
    }
}

diesel::table! {
    accounts (id) {
        id -> Int8,
        domain_id -> Int8,
        handle -> Text,
        handle_domain -> Text,
        source_host -> Nullable<Text>,
        source_user -> Nullable<Text>,
        source_actor_id -> Nullable<Text>,
        name -> Text,
        summary_html -> Text,
        fields -> Jsonb,
        avatar_sha256 -> Nullable<Text>,
        header_sha256 -> Nullable<Text>,
        settings -> Jsonb,
        state -> Text,
        preview_token -> Text,
        created_at -> Timestamptz,
        changed_at -> Timestamptz,
        exposed_at -> Nullable<Timestamptz>,
        gone_at -> Nullable<Timestamptz>,
        archived_profile -> Nullable<Jsonb>,
        also_known_as -> Array<Text>,
        moved_to -> Nullable<Text>,
        moved_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    keys (id) {
        id -> Int8,
        account_id -> Nullable<Int8>,
        domain_id -> Nullable<Int8>,
        kind -> Text,
        key_id -> Text,
        public_key -> Text,
        private_key -> Bytea,
        sealed -> Bool,
        created_at -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
        shown -> Bool,
    }
}

diesel::table! {
    contexts (id) {
        id -> Int8,
        account_id -> Int8,
        merged_into -> Nullable<Int8>,
        kept -> Bool,
    }
}

diesel::table! {
    posts (id) {
        id -> Int8,
        account_id -> Int8,
        source_key -> Text,
        source_object_id -> Nullable<Text>,
        source_object_id_stated -> Bool,
        canonical_url -> Nullable<Text>,
        visibility -> Text,
        published_at -> Timestamptz,
        date_origin -> Text,
        updated_at -> Nullable<Timestamptz>,
        content_html -> Text,
        warning -> Nullable<Text>,
        sensitive -> Bool,
        language -> Nullable<Text>,
        tags -> Array<Text>,
        reply_to_key -> Nullable<Text>,
        reply_to_id -> Nullable<Int8>,
        to_others -> Bool,
        context_id -> Int8,
        created_at -> Timestamptz,
        changed_at -> Timestamptz,
        exposed_at -> Nullable<Timestamptz>,
        withdrawn_at -> Nullable<Timestamptz>,
        awaited -> Bool,
        details -> Nullable<Jsonb>,
        refers_to -> Nullable<Text>,
        boost_of -> Nullable<Text>,
        listed -> Bool,
        import_id -> Nullable<Int8>,
        touched_by -> Nullable<Int8>,
    }
}

diesel::table! {
    post_sources (post_id) {
        post_id -> Int8,
        format -> Text,
        reader_version -> Int4,
        sha256 -> Bytea,
        bytes -> Bytea,
    }
}

diesel::table! {
    attachments (id) {
        id -> Int8,
        post_id -> Int8,
        position -> Int2,
        kind -> Text,
        media_sha256 -> Nullable<Text>,
        alt -> Nullable<Text>,
        source_url -> Text,
        told -> Nullable<Jsonb>,
    }
}

diesel::table! {
    imports (id) {
        id -> Int8,
        account_id -> Int8,
        paths -> Array<Text>,
        format -> Text,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        counts -> Jsonb,
        undo_counts -> Nullable<Jsonb>,
        undone_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    post_revisions (import_id, post_id) {
        import_id -> Int8,
        post_id -> Int8,
        post -> Jsonb,
        attachments -> Jsonb,
        source -> Nullable<Jsonb>,
        source_bytes -> Nullable<Bytea>,
    }
}

diesel::table! {
    revision_media (import_id, post_id, media_sha256) {
        import_id -> Int8,
        post_id -> Int8,
        media_sha256 -> Text,
    }
}

diesel::table! {
    private_posts (id) {
        id -> Int8,
        account_id -> Int8,
        identity -> Bytea,
        source_name -> Bytea,
        format -> Text,
        reader_version -> Int4,
        key_name -> Bytea,
        files -> Array<Text>,
        files_missing -> Int2,
        sealed -> Bytea,
        created_at -> Timestamptz,
        changed_at -> Timestamptz,
    }
}

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
    tokens (id) {
        id -> Int8,
        account_id -> Nullable<Int8>,
        name -> Text,
        scopes -> Array<Text>,
        sha256 -> Bytea,
        created_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
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

diesel::table! {
    pins (post_id) {
        post_id -> Int8,
        account_id -> Int8,
        position -> Int2,
    }
}

diesel::table! {
    resurfacing (account_id) {
        account_id -> Int8,
        mode -> Text,
        times -> Array<Int2>,
        time_zone -> Text,
        allow_warned -> Bool,
        set_at -> Timestamptz,
        last_slot -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    resurfaced (account_id, slot_at) {
        account_id -> Int8,
        slot_at -> Timestamptz,
        post_id -> Int8,
        undone_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(accounts -> domains (domain_id));
diesel::joinable!(imports -> accounts (account_id));
diesel::joinable!(posts -> accounts (account_id));
diesel::joinable!(post_sources -> posts (post_id));
diesel::joinable!(post_revisions -> posts (post_id));
diesel::joinable!(attachments -> posts (post_id));
diesel::joinable!(attachments -> media (media_sha256));
diesel::joinable!(followers -> accounts (account_id));
diesel::joinable!(followers -> remote_actors (actor_id));
diesel::joinable!(activities -> accounts (account_id));
diesel::joinable!(deliveries -> activities (activity_id));
diesel::joinable!(replies -> remote_actors (actor_id));
diesel::joinable!(reports -> remote_actors (actor_id));
diesel::joinable!(echoes -> posts (post_id));
diesel::allow_tables_to_appear_in_same_query!(
    accounts,
    activities,
    attachments,
    blocks,
    contexts,
    deliveries,
    domains,
    echoes,
    followers,
    imports,
    keys,
    media,
    post_revisions,
    post_sources,
    posts,
    reactions,
    remote_actors,
    replies,
    reports,
    resurfaced,
    resurfacing,
    revision_media
);
