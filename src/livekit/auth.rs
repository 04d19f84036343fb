//! Who asks: the access token of a request to the media server.

use crate::auth::authorization;
use crate::auth::media_token::{self, ApiKeys, Claims};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

/// A token that was shown and refused: always 401, with the text clients and SDKs know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unauthorized(pub(super) String);

impl IntoResponse for Unauthorized {
    fn into_response(self) -> Response {
        (StatusCode::UNAUTHORIZED, self.0).into_response()
    }
}

/// A short name for the token of a request, which says nothing about the token itself; empty without any.
pub(super) fn digest(headers: &HeaderMap, access_token: Option<&str>) -> String {
    let token = authorization::bearer(headers).or(access_token).filter(|t| !t.is_empty());
    token.map(|t| format!("{:x}", Sha256::digest(t))).unwrap_or_default()
}

/// Reads the token from `Authorization`, else from `access_token`. Without any, the handler decides.
///
/// # Errors
/// A header that is not `Bearer `, or a token that does not hold.
pub(super) fn authenticate(
    headers: &HeaderMap,
    access_token: Option<&str>,
    keys: &ApiKeys,
    unix_now: i64,
) -> Result<Option<Claims>, Unauthorized> {
    let token = match authorization::bearer(headers) {
        Some(token) => token,
        None if headers.contains_key(header::AUTHORIZATION) => {
            return Err(Unauthorized("invalid authorization header. Must start with Bearer ".to_owned()));
        }
        None => match access_token.filter(|t| !t.is_empty()) {
            Some(token) => token,
            None => return Ok(None),
        },
    };
    media_token::verify(token, keys, unix_now).map(Some).map_err(|e| Unauthorized(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn keys() -> ApiKeys {
        ApiKeys::one("devkey", "secret")
    }

    fn token(exp: i64) -> String {
        let claims = Claims { sub: "alice".into(), exp: Some(exp), ..Claims::default() };
        media_token::sign(&claims, "devkey", &keys()).unwrap()
    }

    fn bearer(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn header_wins_over_the_query() {
        let good = token(NOW + 60);
        let ask = |headers: &HeaderMap, query| authenticate(headers, query, &keys(), NOW);
        assert_eq!(ask(&HeaderMap::new(), None), Ok(None));
        assert_eq!(ask(&HeaderMap::new(), Some("")), Ok(None));
        assert_eq!(ask(&HeaderMap::new(), Some(&good)).unwrap().unwrap().sub, "alice");
        assert_eq!(ask(&bearer(&format!("Bearer {good}")), Some("junk")).unwrap().unwrap().sub, "alice");
        assert_eq!(ask(&bearer(&format!("bearer {good}")), Some("junk")).unwrap().unwrap().sub, "alice");
        assert_eq!(digest(&bearer(&format!("BEARER {good}")), None), digest(&HeaderMap::new(), Some(&good)));
        let error = ask(&bearer(&format!("Token {good}")), Some(&good)).unwrap_err();
        assert_eq!(error.0, "invalid authorization header. Must start with Bearer ");
    }

    #[test]
    fn refused_tokens_say_why() {
        let ask =
            |t: &str, keys: &ApiKeys| authenticate(&HeaderMap::new(), Some(t), keys, NOW).unwrap_err().0;
        assert_eq!(ask("junk", &keys()), "invalid authorization token");
        assert_eq!(ask(&token(NOW + 60), &ApiKeys::one("other", "secret")), "invalid API key");
        let forged = ask(&token(NOW + 60), &ApiKeys::one("devkey", "wrong"));
        assert!(forged.starts_with("invalid authorization token: "), "{forged}");
        assert!(ask(&token(NOW - 120), &keys()).contains("expired"));
    }
}
