//! Answers of WHIP and WHEP.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bedrud_media::protocol::IceServer;
use bedrud_media::{JoinError, OneShotOpened};

pub(super) const SDP: &str = "application/sdp";
pub(super) const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
pub(super) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
pub(super) const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// A refusal: a status, and JSON that says why.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    text: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = axum::Json(serde_json::json!({ "error": self.text }));
        let mut response = (self.status, body).into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// 201: the session lives at its participant's sid, below the address that was posted to.
pub(super) fn created(location: &str, opened: &OneShotOpened) -> Response {
    let mut response = (StatusCode::CREATED, opened.answer.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(SDP_FRAGMENT));
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(header::LOCATION, location);
    }
    headers.extend(entity_tag(&opened.ice_session).map(|tag| (header::ETAG, tag)));
    for link in opened.ice_servers.iter().flat_map(links) {
        headers.append(header::LINK, link);
    }
    response
}

/// 200: our side of a restarted ICE session.
pub(super) fn restarted(fragment: String, ice_session: &str) -> Response {
    let mut response = (StatusCode::OK, fragment).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP_FRAGMENT));
    headers.extend(entity_tag(ice_session).map(|tag| (header::ETAG, tag)));
    response
}

pub(super) fn empty(status: StatusCode) -> Response {
    status.into_response()
}

fn entity_tag(ice_session: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{ice_session}\"")).ok()
}

/// RFC 9725 section 4.6: one `Link` for each address of a server.
fn links(server: &IceServer) -> Vec<HeaderValue> {
    let quoted = |name: &str, value: &str| match value {
        "" => String::new(),
        _ => format!("; {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    let credential_type = if server.credential.is_empty() { "" } else { "password" };
    let parameters = [
        quoted("username", &server.username),
        quoted("credential", &server.credential),
        quoted("credential-type", credential_type),
    ]
    .concat();
    let link = |url: &String| HeaderValue::from_str(&format!("<{url}>; rel=\"ice-server\"{parameters}")).ok();
    server.urls.iter().filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ice_servers_become_links() {
        let turn = IceServer {
            urls: vec!["turn:turn.example:3478?transport=udp".into(), "turns:turn.example".into()],
            username: "user".into(),
            credential: "pa\"ss".into(),
        };
        let all = links(&turn);
        assert_eq!(
            all[0],
            "<turn:turn.example:3478?transport=udp>; rel=\"ice-server\"; username=\"user\"; \
             credential=\"pa\\\"ss\"; credential-type=\"password\""
        );
        assert_eq!(all.len(), 2);
        let stun = IceServer { urls: vec!["stun:stun.example".into()], ..IceServer::default() };
        assert_eq!(links(&stun)[0], "<stun:stun.example>; rel=\"ice-server\"");
    }
}
