//! The tables as diesel knows them; `federation.rs` has those about other servers. A test compares both with a migrated
//! database.

mod federation;

pub(super) use federation::*;

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
