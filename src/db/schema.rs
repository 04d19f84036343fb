//! The tables, by hand: one description for both databases. Columns stand in the order of the migrations.
#![allow(missing_docs, reason = "the columns are documented in the migrations")]

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    users (id) {
        id -> Text,
        email -> Text,
        name -> Text,
        provider -> Text,
        avatar_url -> Text,
        password -> Text,
        accesses -> Text,
        is_active -> Bool,
        email_verified_at -> Nullable<Ts>,
        password_changed_at -> Nullable<Ts>,
        created_at -> Ts,
        updated_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    sessions (id) {
        id -> Text,
        user_id -> Text,
        token_hash -> Text,
        created_at -> Ts,
        rotated_at -> Ts,
        expires_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    blocked_refresh_tokens (id) {
        id -> Text,
        token -> Text,
        user_id -> Text,
        session_id -> Nullable<Text>,
        expires_at -> Ts,
        created_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    invite_tokens (id) {
        id -> Text,
        token -> Text,
        email -> Text,
        created_by -> Nullable<Text>,
        expires_at -> Ts,
        used_at -> Nullable<Ts>,
        used_by -> Nullable<Text>,
        created_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    user_preferences (user_id) {
        user_id -> Text,
        preferences_json -> Text,
        updated_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    setup_tokens (id) {
        id -> Text,
        token_hash -> Text,
        expires_at -> Ts,
        created_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    rooms (id) {
        id -> Text,
        name -> Text,
        created_by -> Text,
        is_active -> Bool,
        max_participants -> BigInt,
        created_at -> Ts,
        updated_at -> Ts,
        expires_at -> Ts,
        admin_id -> Text,
        is_public -> Bool,
        settings_allow_chat -> Bool,
        settings_allow_video -> Bool,
        settings_allow_audio -> Bool,
        settings_require_approval -> Bool,
        settings_e2_ee -> Bool,
        settings_is_persistent -> Bool,
        settings_recordings_allowed -> Bool,
        mode -> Text,
        last_activity_at -> Nullable<Ts>,
        deleted_at -> Nullable<Ts>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    room_participants (id) {
        id -> Text,
        room_id -> Text,
        user_id -> Text,
        joined_at -> Ts,
        left_at -> Nullable<Ts>,
        is_active -> Bool,
        is_approved -> Bool,
        is_muted -> Bool,
        is_video_off -> Bool,
        is_chat_blocked -> Bool,
        is_banned -> Bool,
        is_on_stage -> Bool,
        is_moderator -> Bool,
        media_sid -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    settings (key) {
        key -> Text,
        value -> Text,
        updated_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    webhook_deliveries (id) {
        id -> BigInt,
        event_id -> Text,
        event -> Text,
        url -> Text,
        room -> Text,
        body -> Text,
        state -> Text,
        attempts -> BigInt,
        next_at -> Ts,
        last_error -> Text,
        created_at -> Ts,
        updated_at -> Ts,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::Ts;
    revoked_tokens (room, identity, token) {
        room -> Text,
        identity -> Text,
        token -> Text,
        not_before -> BigInt,
        expires_at -> Ts,
    }
}

diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(blocked_refresh_tokens -> users (user_id));
diesel::joinable!(user_preferences -> users (user_id));
diesel::joinable!(room_participants -> rooms (room_id));
diesel::joinable!(room_participants -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    users,
    sessions,
    blocked_refresh_tokens,
    invite_tokens,
    user_preferences,
    setup_tokens,
    rooms,
    room_participants,
    settings,
    webhook_deliveries,
    revoked_tokens,
);
