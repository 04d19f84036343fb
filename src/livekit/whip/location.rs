//! `Location` of a session, as a client that posted to the endpoint can reach it.

use crate::server::client_ip::ForwardedPrefix;
use axum::http::{HeaderMap, header};

/// A reference to the session `sid` for who posted to `path`. A proxy may have stripped a prefix of the client's path: one
/// that says so gets its prefix back, and otherwise a reference relative to the client's own URL (RFC 3986 section 5.2)
/// survives. Encoders that put the value in the place of the whole path get all of it.
pub(super) fn reference(
    path: &str,
    sid: &str,
    prefix: Option<&ForwardedPrefix>,
    headers: &HeaderMap,
) -> String {
    let endpoint = path.trim_end_matches('/');
    match prefix {
        Some(ForwardedPrefix(prefix)) => format!("{prefix}{endpoint}/{sid}"),
        None if replaces_path(headers) => format!("{endpoint}/{sid}"),
        None => match path.rsplit('/').next() {
            Some(last) if !last.is_empty() => format!("{last}/{sid}"),
            _ => sid.to_owned(),
        },
    }
}

/// OBS Studio, and GStreamer's elements, which name no agent: neither resolves a relative reference.
fn replaces_path(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    agent.is_empty() || ["OBS-Studio", "GStreamer", "libdatachannel"].iter().any(|name| agent.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(agent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !agent.is_empty() {
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
        }
        headers
    }

    #[test]
    fn clients_that_resolve_references_get_one_that_survives_a_stripped_prefix() {
        for agent in ["Lavf/62.3.100", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140", "node", "curl/8.5"] {
            assert_eq!(reference("/whip/v1", "PA_1", None, &of(agent)), "v1/PA_1");
            assert_eq!(reference("/whip/v1/", "PA_1", None, &of(agent)), "PA_1");
        }
        for agent in ["", "Mozilla/5.0 (OBS-Studio/31.0; Linux x86_64; en-US)"] {
            assert_eq!(reference("/livekit/whep/v1/", "PA_1", None, &of(agent)), "/livekit/whep/v1/PA_1");
        }
        let prefix = ForwardedPrefix("/media".into());
        for agent in ["", "node"] {
            assert_eq!(reference("/whip/v1", "PA_1", Some(&prefix), &of(agent)), "/media/whip/v1/PA_1");
        }
    }
}
