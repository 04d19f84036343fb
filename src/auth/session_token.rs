//! The JWTs of a sign-in: a short-lived access token and the refresh token it is renewed with.
//!
//! Both name the session (`sid`) they belong to and die with it. The refresh token carries a `purpose`, so that it never
//! passes for an access token.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::{
    auth::secret::Secret,
    db::{Moment, users::User},
};

/// `iss` and `aud` of every token.
const ISSUER: &str = "bedrud";
/// `purpose` of a refresh token.
const REFRESH: &str = "refresh";
/// Longest token looked at, in bytes.
const MAX_BYTES: usize = 8192;

/// Claims of both kinds. Clients read `userId`, `provider`, `accesses` and `exp` without verifying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionClaims {
    /// Whose.
    pub user_id: String,
    /// Address at the time of signing.
    pub email: String,
    /// Name at the time of signing.
    pub name: String,
    /// How the account was made.
    pub provider: String,
    /// Levels at the time of signing. For clients; the server asks the database.
    pub accesses: Vec<String>,
    /// When the address was verified, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email_verified_at: Option<String>,
    /// Absent in access tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<String>,
    /// The session.
    pub sid: String,
    /// `bedrud`.
    pub iss: String,
    /// As `userId`.
    pub sub: String,
    /// `bedrud`.
    pub aud: Vec<String>,
    /// Seconds since the epoch.
    pub iat: u64,
    /// Seconds since the epoch.
    pub exp: u64,
    /// Seconds since the epoch; not in tokens of ours, but whoever signs one may mean it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nbf: Option<u64>,
    /// Fingerprint of the device that signed in, in refresh tokens of browsers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dev: Option<String>,
    /// Makes refresh tokens of the same second differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jti: Option<String>,
}

/// Which of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Opens the API.
    Access,
    /// Is exchanged for a new pair.
    Refresh {
        /// Its unique id.
        jti: String,
        /// Fingerprint of the device.
        device: Option<String>,
    },
}

/// The token is not one of ours, or its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid token")]
pub struct InvalidToken;

/// Signs a token.
///
/// # Errors
/// Only when the secret cannot be used as a key.
pub fn sign(
    user: &User,
    sid: &str,
    kind: Kind,
    now: Moment,
    expires_at: Moment,
    secret: &Secret,
) -> Result<String, jsonwebtoken::errors::Error> {
    let (purpose, jti, dev) = match kind {
        Kind::Access => (None, None, None),
        Kind::Refresh { jti, device } => (Some(REFRESH.to_owned()), Some(jti), device),
    };
    let claims = SessionClaims {
        user_id: user.id.clone(),
        email: user.email.clone(),
        name: user.name.clone(),
        provider: user.provider.clone(),
        accesses: user.accesses.0.clone(),
        email_verified_at: user.email_verified_at.map(|at| at.to_string()),
        purpose,
        sid: sid.to_owned(),
        iss: ISSUER.into(),
        sub: user.id.clone(),
        aud: vec![ISSUER.into()],
        iat: now.unix(),
        exp: expires_at.unix(),
        nbf: None,
        dev,
        jti,
    };
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
}

/// Checks an access token at `now`.
///
/// # Errors
/// [`InvalidToken`], whatever is wrong: a refusal must not teach.
pub fn verify_access(token: &str, now: Moment, secret: &Secret) -> Result<SessionClaims, InvalidToken> {
    let claims = verify(token, now, secret)?;
    if claims.purpose.is_none() { Ok(claims) } else { Err(InvalidToken) }
}

/// Checks a refresh token at `now`.
///
/// # Errors
/// [`InvalidToken`].
pub fn verify_refresh(token: &str, now: Moment, secret: &Secret) -> Result<SessionClaims, InvalidToken> {
    let claims = verify(token, now, secret)?;
    if claims.purpose.as_deref() == Some(REFRESH) { Ok(claims) } else { Err(InvalidToken) }
}

fn verify(token: &str, now: Moment, secret: &Secret) -> Result<SessionClaims, InvalidToken> {
    if token.len() > MAX_BYTES {
        return Err(InvalidToken);
    }
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[ISSUER]);
    // The expiry is judged against the caller's clock.
    validation.validate_exp = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let claims =
        jsonwebtoken::decode::<SessionClaims>(token, &key, &validation).map_err(|_| InvalidToken)?.claims;
    let begun = claims.nbf.is_none_or(|nbf| nbf <= now.unix());
    if begun && claims.exp > now.unix() { Ok(claims) } else { Err(InvalidToken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::users::tests::sample;
    use proptest::prelude::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn at(secs: i64) -> Moment {
        Moment::from_secs(secs)
    }

    fn token(kind: Kind) -> String {
        sign(&sample("a"), "s", kind, at(1000), at(2000), &SECRET.into()).unwrap()
    }

    #[test]
    fn an_access_token_verifies_until_it_runs_out() {
        let token = token(Kind::Access);
        let claims = verify_access(&token, at(1999), &SECRET.into()).unwrap();
        assert_eq!((claims.user_id.as_str(), claims.sid.as_str(), claims.exp), ("a", "s", 2000));
        assert_eq!(verify_access(&token, at(2000), &SECRET.into()), Err(InvalidToken));
        assert_eq!(verify_access(&token, at(1000), &"another secret".into()), Err(InvalidToken));
    }

    #[test]
    fn the_two_kinds_do_not_stand_in_for_each_other() {
        assert_eq!(verify_refresh(&token(Kind::Access), at(1000), &SECRET.into()), Err(InvalidToken));
        let refresh = token(Kind::Refresh { jti: "j".into(), device: None });
        assert_eq!(verify_access(&refresh, at(1000), &SECRET.into()), Err(InvalidToken));
        assert!(verify_refresh(&refresh, at(1000), &SECRET.into()).is_ok());
    }

    fn forged(change: impl FnOnce(&mut serde_json::Value), algorithm: Algorithm) -> String {
        let good = verify_access(&token(Kind::Access), at(1000), &SECRET.into()).unwrap();
        let mut claims = serde_json::to_value(good).unwrap();
        change(&mut claims);
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap()
    }

    #[test]
    fn foreign_claims_are_refused() {
        let refused =
            |token: &str| assert_eq!(verify_access(token, at(1000), &SECRET.into()), Err(InvalidToken));
        refused(&forged(|c| c["iss"] = "other".into(), Algorithm::HS256));
        refused(&forged(|c| c["aud"] = serde_json::json!(["other"]), Algorithm::HS256));
        refused(&forged(|c| c["purpose"] = "email_verify".into(), Algorithm::HS256));
        refused(&forged(|_| (), Algorithm::HS512));
        for missing in ["iss", "aud", "exp", "sid", "userId"] {
            refused(&forged(|c| drop(c.as_object_mut().unwrap().remove(missing)), Algorithm::HS256));
        }
        refused(&"x".repeat(MAX_BYTES + 1));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,200}") {
            prop_assert_eq!(verify_access(&text, at(1000), &SECRET.into()), Err(InvalidToken));
        }

        #[test]
        fn a_changed_token_is_refused(position in 0usize..400, byte in proptest::char::range('A', 'z')) {
            let good = token(Kind::Access);
            let mut changed: Vec<char> = good.chars().collect();
            let position = position % changed.len();
            changed[position] = byte;
            let changed: String = changed.into_iter().collect();
            let same = jsonwebtoken_bits(&changed) == jsonwebtoken_bits(&good);
            prop_assert_eq!(verify_access(&changed, at(1000), &SECRET.into()).is_ok(), same);
        }
    }

    /// The bytes a token stands for: the last character of a part has bits that count for nothing.
    fn jsonwebtoken_bits(token: &str) -> Vec<Option<Vec<u8>>> {
        use base64::Engine as _;
        token
            .split('.')
            .map(|part| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok())
            .collect()
    }
}
