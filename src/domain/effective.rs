//! The settings that count now: what an administrator stored, else what the configuration says.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    db::{self, Db, DbResult},
    domain::settings::{Limits, RegistrationSettings, Settings},
};

/// Settings that can change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Name shown to people.
    pub server_name: String,
    /// Who may come in.
    pub registration: RegistrationSettings,
    /// Upper bounds.
    pub limits: Limits,
    /// Recordings are offered.
    pub recordings_enabled: bool,
    /// RNNoise is offered.
    pub rnnoise_enabled: bool,
    /// Krisp is offered.
    pub krisp_enabled: bool,
}

/// Reads the stored settings and lays them over the configuration.
///
/// # Errors
/// The database's.
pub fn load(c: &mut Db, settings: &Settings) -> DbResult<Effective> {
    Ok(overlay(&db::settings::all(c)?, settings))
}

fn overlay(stored: &BTreeMap<String, Value>, settings: &Settings) -> Effective {
    let flag = |key: &str, default: bool| stored.get(key).and_then(Value::as_bool).unwrap_or(default);
    let number = |key: &str, default: i64| {
        stored.get(key).and_then(Value::as_i64).filter(|value| *value >= 0).unwrap_or(default)
    };
    let name = stored.get("serverName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let (registration, limits) = (settings.registration, settings.limits);
    Effective {
        server_name: name.unwrap_or(&settings.server_name).to_owned(),
        registration: RegistrationSettings {
            registration_enabled: flag("registrationEnabled", registration.registration_enabled),
            token_registration_only: flag("tokenRegistrationOnly", registration.token_registration_only),
            guest_login_enabled: flag("guestLoginEnabled", registration.guest_login_enabled),
            passkeys_enabled: flag("passkeysEnabled", registration.passkeys_enabled),
        },
        limits: Limits {
            max_participants: number("maxParticipantsLimit", limits.max_participants),
            max_rooms_per_user: number("maxRoomsPerUser", limits.max_rooms_per_user),
            chat_max_message_count: number("chatMaxMessageCount", limits.chat_max_message_count),
            chat_message_ttl_hours: number("chatMessageTTLHours", limits.chat_message_ttl_hours),
            chat_upload_max_bytes: number("chatUploadMaxBytes", limits.chat_upload_max_bytes),
            chat_upload_max_dimension: number("chatUploadMaxDimension", limits.chat_upload_max_dimension),
            ..limits
        },
        recordings_enabled: flag("recordingsEnabled", false),
        rnnoise_enabled: flag("rnnoiseEnabled", false),
        krisp_enabled: flag("krispEnabled", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stored_values_win_even_when_they_switch_off() {
        let settings = Settings::new("j", "s", "k", "v");
        let plain = overlay(&BTreeMap::new(), &settings);
        assert_eq!(plain.registration, settings.registration);
        assert_eq!(plain.limits, settings.limits);
        let stored = BTreeMap::from([
            ("registrationEnabled".to_owned(), json!(false)),
            ("maxRoomsPerUser".to_owned(), json!(0)),
            ("maxParticipantsLimit".to_owned(), json!(-1)),
            ("serverName".to_owned(), json!("")),
            ("krispEnabled".to_owned(), json!("yes")),
        ]);
        let changed = overlay(&stored, &settings);
        assert!(!changed.registration.registration_enabled);
        assert_eq!(changed.limits.max_rooms_per_user, 0);
        assert_eq!(changed.limits.max_participants, 1000);
        assert_eq!(changed.server_name, "Bedrud");
        assert!(!changed.krisp_enabled);
    }
}
