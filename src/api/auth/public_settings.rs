//! What anybody may know of the server.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{
    api::{AppState, error::ApiResult},
    domain::effective::{self, Effective},
};

/// Public settings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the contract")]
pub(super) struct SettingsBody {
    server_name: String,
    registration_enabled: bool,
    token_registration_only: bool,
    guest_login_enabled: bool,
    passkeys_enabled: bool,
    oauth_providers: Vec<&'static str>,
    require_email_verification: bool,
    chat_max_message_count: i64,
    #[serde(rename = "chatMessageTTLHours")]
    chat_message_ttl_hours: i64,
    chat_upload_max_bytes: i64,
    chat_upload_max_dimension: i64,
    recordings_enabled: bool,
    rnnoise_enabled: bool,
    krisp_enabled: bool,
    webxdc: WebxdcBody,
}

/// Mini-apps, which this server does not run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WebxdcBody {
    enabled: bool,
    experimental: bool,
    base_domain: &'static str,
}

pub(super) async fn get(State(state): State<AppState>) -> ApiResult<Json<SettingsBody>> {
    let settings = state.settings.clone();
    let effective = state.store.read(move |c| effective::load(c, &settings)).await?;
    let Effective { server_name, registration, limits, recordings_enabled, rnnoise_enabled, krisp_enabled } =
        effective;
    Ok(Json(SettingsBody {
        server_name,
        registration_enabled: registration.registration_enabled,
        token_registration_only: registration.token_registration_only,
        guest_login_enabled: registration.guest_login_enabled,
        passkeys_enabled: registration.passkeys_enabled,
        oauth_providers: Vec::new(),
        require_email_verification: state.settings.auth.require_email_verification,
        chat_max_message_count: limits.chat_max_message_count,
        chat_message_ttl_hours: limits.chat_message_ttl_hours,
        chat_upload_max_bytes: limits.chat_upload_max_bytes,
        chat_upload_max_dimension: limits.chat_upload_max_dimension,
        recordings_enabled,
        rnnoise_enabled,
        krisp_enabled,
        webxdc: WebxdcBody { enabled: false, experimental: true, base_domain: "" },
    }))
}
