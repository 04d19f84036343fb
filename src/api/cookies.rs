//! Cookies, read and written.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::domain::{accounts::SignedIn, settings::Settings};

/// Access token.
pub(super) const ACCESS: &str = "access_token";
/// Refresh token.
pub(super) const REFRESH: &str = "refresh_token";
/// Sealed id of a guest by link.
pub(super) const GUEST_ID: &str = "bedrud_guest_id";

/// Sealed id of a device that signed in.
pub(super) const DEVICE: &str = "bedrud_device";

/// Life of the device id. Browsers keep none for longer.
const DEVICE_LIFETIME: Duration = Duration::from_secs(400 * 24 * 3600);
/// Life of the guest id.
const GUEST_ID_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The first non-empty cookie of that name.
pub(super) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value).next()
}

/// Sets both tokens of a sign-in, and the device id if it is a new sign-in.
pub(super) fn sign_in(headers: &mut HeaderMap, signed_in: &SignedIn, settings: &Settings) {
    set(headers, &token(ACCESS, &signed_in.access_token, settings.auth.access_ttl, settings));
    set(headers, &token(REFRESH, &signed_in.refresh_token, settings.auth.refresh_ttl, settings));
    if let Some(device) = &signed_in.device {
        set(headers, &token(DEVICE, device, DEVICE_LIFETIME, settings));
    }
}

/// Clears both tokens.
pub(super) fn sign_out(headers: &mut HeaderMap, settings: &Settings) {
    for name in [ACCESS, REFRESH] {
        set(
            headers,
            &format!("{}; Expires=Thu, 01 Jan 1970 00:00:00 GMT", token(name, "", Duration::ZERO, settings)),
        );
    }
}

/// Sets the id of a guest by link.
pub(super) fn guest_id(headers: &mut HeaderMap, value: &str, settings: &Settings) {
    let secure = if settings.cookies.secure { "; Secure" } else { "" };
    let age = GUEST_ID_LIFETIME.as_secs();
    set(headers, &format!("{GUEST_ID}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"));
}

fn token(name: &str, value: &str, lifetime: Duration, settings: &Settings) -> String {
    let same_site = if settings.cookies.secure { "None; Secure" } else { "Lax" };
    let domain = settings.cookies.domain.as_deref().filter(|domain| !domain.is_empty());
    let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    format!("{name}={value}; Path=/{domain}; Max-Age={}; HttpOnly; SameSite={same_site}", lifetime.as_secs())
}

fn set(headers: &mut HeaderMap, cookie: &str) {
    // Our own values are ASCII; a domain from the configuration that is not drops the cookie, not the answer.
    match HeaderValue::from_str(cookie) {
        Ok(value) => drop(headers.append(header::SET_COOKIE, value)),
        Err(error) => tracing::error!(%error, "cookie could not be set"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; access_token=; x"));
        headers.append(header::COOKIE, HeaderValue::from_static("access_token=t=2; access_token=u"));
        assert_eq!(read(&headers, ACCESS), Some("t=2"));
        assert_eq!(read(&headers, "b"), None);
    }

    #[test]
    fn attributes_depend_on_tls_and_domain() {
        let mut settings = Settings::new("j", "s", "k", "v");
        let minute = Duration::from_secs(60);
        assert_eq!(token("n", "v", minute, &settings), "n=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        settings.cookies.secure = true;
        settings.cookies.domain = Some("example.org".into());
        assert_eq!(
            token("n", "v", minute, &settings),
            "n=v; Path=/; Domain=example.org; Max-Age=60; HttpOnly; SameSite=None; Secure"
        );
    }
}
