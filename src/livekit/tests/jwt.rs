//! Tokens that somebody made up, at every door of the media server: 401, whatever is wrong with them.

use super::{Fixture, fixture, upgrade};
use crate::server::health::unix_seconds;
use aws_lc_rs::hmac;
use axum::http::Request;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

/// A token with these very bytes, signed with HMAC-SHA256 and this key.
fn forge(header: &Value, payload: &str, key: &[u8]) -> String {
    let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(payload));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    format!("{text}.{}", B64.encode(tag))
}

fn hs256() -> Value {
    json!({ "alg": "HS256", "typ": "JWT" })
}

/// Claims that open every door.
fn claims() -> Value {
    let now = unix_seconds();
    json!({
        "iss": "devkey", "sub": "ada", "nbf": now - 5, "exp": now + 600,
        "video": {
            "roomJoin": true, "room": "den", "roomAdmin": true, "roomList": true, "roomCreate": true, "agent": true,
        },
    })
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut value = claims();
    change(&mut value);
    value.to_string()
}

fn without(name: &str) -> String {
    with(|v| drop(v.as_object_mut().unwrap().remove(name)))
}

fn attacks() -> Vec<(&'static str, String)> {
    const SECRET: &[u8] = b"secret";
    let now = unix_seconds();
    let good = forge(&hs256(), &claims().to_string(), SECRET);
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = |alg: &str| {
        let header = B64.encode(json!({ "alg": alg }).to_string());
        format!("{header}.{}.", B64.encode(claims().to_string()))
    };
    let signed = |payload: String| forge(&hs256(), &payload, SECRET);
    let headed = |header: Value| forge(&header, &claims().to_string(), SECRET);
    let mut all = vec![
        ("no algorithm", unsigned("none")),
        ("no algorithm, other case", unsigned("nOnE")),
        ("no algorithm, but a signature", headed(json!({ "alg": "none" }))),
        ("no header field", headed(json!({ "typ": "JWT" }))),
        ("HMAC under the name of RSA", headed(json!({ "alg": "RS256" }))),
        ("HMAC under the name of ECDSA", headed(json!({ "alg": "ES256" }))),
        ("HMAC under the name of EdDSA", headed(json!({ "alg": "EdDSA" }))),
        ("another HMAC", headed(json!({ "alg": "HS512" }))),
        ("algorithm of no type", headed(json!({ "alg": ["HS256"] }))),
        ("signature stripped", format!("{}.{}.", parts[0], parts[1])),
        ("signature missing", format!("{}.{}", parts[0], parts[1])),
        (
            "signature of another token",
            format!("{}.{}.{}", parts[0], B64.encode(with(|v| v["sub"] = json!("bob"))), parts[2]),
        ),
        ("signature with another key", forge(&hs256(), &claims().to_string(), b"wrong")),
        ("signature with no key", forge(&hs256(), &claims().to_string(), b"")),
        ("signature with the name of the key", forge(&hs256(), &claims().to_string(), b"devkey")),
        ("five parts", format!("{good}.e30.e30")),
        ("padding", format!("{good}==")),
        ("unknown issuer", signed(with(|v| v["iss"] = json!("nobody")))),
        ("empty issuer", signed(with(|v| v["iss"] = json!("")))),
        ("issuer of another type", signed(with(|v| v["iss"] = json!(["devkey"])))),
        ("no issuer", signed(without("iss"))),
        ("expired", signed(with(|v| v["exp"] = json!(now - 61)))),
        ("expired long ago", signed(with(|v| v["exp"] = json!(i64::MIN)))),
        ("not valid yet", signed(with(|v| v["nbf"] = json!(now + 120)))),
        ("never valid", signed(with(|v| v["nbf"] = json!(i64::MAX)))),
        ("no expiry", signed(without("exp"))),
        ("expiry as text", signed(with(|v| v["exp"] = json!("never")))),
        ("expiry null", signed(with(|v| v["exp"] = Value::Null))),
        ("no claims", signed("{}".into())),
        ("claims of no type", signed("[]".into())),
        ("claims that are no JSON", signed("{".into())),
        ("grant of no type", signed(with(|v| v["video"] = json!("all")))),
        ("deep nesting", signed(format!("{{\"iss\":\"devkey\",\"video\":{}", "[".repeat(10_000)))),
        ("four megabytes", signed(with(|v| v["metadata"] = json!("x".repeat(4 << 20))))),
        ("four megabytes of nothing", "a".repeat(4 << 20)),
    ];
    // What a server might load a key from.
    for kid in ["/dev/null", "../../../../dev/null", "' UNION SELECT '' --", "devkey", "http://127.0.0.1/key"]
    {
        let jwk = json!({ "kty": "oct", "k": B64.encode("") });
        let header =
            json!({ "alg": "HS256", "kid": kid, "jku": "http://127.0.0.1/", "jwk": jwk, "x5u": kid });
        all.push(("key injection", forge(&header, &claims().to_string(), b"")));
    }
    all
}

async fn doors(f: &Fixture, token: &str) -> Vec<(&'static str, u16)> {
    let bearer = format!("Bearer {token}");
    let mut out = Vec::new();
    let query = |path: &str| format!("{path}?access_token={token}");
    // The largest ones do not fit into an address.
    if token.len() < 60_000 {
        for path in ["/rtc/validate", "/livekit/rtc/validate", "/rtc/v1/validate"] {
            out.push((path, f.get(&query(path)).await.0));
        }
        for path in ["/rtc", "/rtc/v1", "/agent"] {
            out.push((path, f.send(upgrade(&query(path)), "").await.0.as_u16()));
        }
        for path in ["/whip/v1", "/whep/v1"] {
            let request = Request::post(query(path)).header("content-type", "application/sdp");
            out.push((path, f.send(request, "v=0\r\n").await.0.as_u16()));
        }
    }
    for path in ["/rtc/validate", "/rtc/v1/validate"] {
        let request = Request::get(path).header("authorization", &bearer);
        out.push((path, f.send(request, "").await.0.as_u16()));
    }
    for path in ["/rtc", "/rtc/v1", "/livekit/rtc", "/agent", "/livekit/agent"] {
        let request = upgrade(path).header("authorization", &bearer);
        out.push((path, f.send(request, "").await.0.as_u16()));
    }
    for (method, path, kind) in [
        ("POST", "/whip/v1", "application/sdp"),
        ("POST", "/livekit/whip/v1", "application/sdp"),
        ("POST", "/whep/v1", "application/sdp"),
        ("PATCH", "/whip/v1/PA_none", "application/trickle-ice-sdpfrag"),
        ("PATCH", "/whep/v1/PA_none", "application/trickle-ice-sdpfrag"),
        ("DELETE", "/whip/v1/PA_none", ""),
        ("DELETE", "/whep/v1/PA_none", ""),
    ] {
        let request = Request::builder().method(method).uri(path).header("authorization", &bearer);
        let request = request.header("content-type", kind).header("if-match", "*");
        out.push((path, f.send(request, "v=0\r\n").await.0.as_u16()));
    }
    for (path, body) in [
        ("livekit.RoomService/ListRooms", "{}"),
        ("livekit.RoomService/ListParticipants", r#"{"room":"den"}"#),
        ("livekit.AgentDispatchService/ListDispatch", r#"{"room":"den"}"#),
    ] {
        out.push((path, f.twirp(path, token, body).await.0));
    }
    out
}

#[tokio::test]
async fn forged_tokens_open_no_door() {
    let f = fixture(|_| {});
    for (name, token) in attacks() {
        for (door, status) in doors(&f, &token).await {
            assert_eq!(status, 401, "{name} at {door}");
        }
    }
}

#[tokio::test]
async fn the_token_they_were_made_from_opens_all() {
    let f = fixture(|_| {});
    let token = forge(&hs256(), &claims().to_string(), b"secret");
    for (door, status) in doors(&f, &token).await {
        // Past the token: the request itself is incomplete, or no real connection stands behind it.
        assert!(matches!(status, 101 | 200 | 400 | 404), "{status} at {door}");
    }
    // Clocks may be a minute apart.
    let late = with(|v| v["exp"] = json!(unix_seconds() - 30));
    let early = with(|v| v["nbf"] = json!(unix_seconds() + 30));
    for payload in [late, early] {
        let token = forge(&hs256(), &payload, b"secret");
        assert_eq!(f.get(&format!("/rtc/validate?access_token={token}")).await.0, 200);
    }
}
