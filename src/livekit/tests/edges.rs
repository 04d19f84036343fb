//! Health, time limits, and JSON of requests.

use super::*;
use crate::server::patience::Patience;
use std::time::Duration;

#[tokio::test]
async fn root_says_ok_only_while_the_media_server_answers() {
    let f = fixture(|_| {});
    for path in ["/", "/livekit", "/livekit/"] {
        assert_eq!(f.get(path).await, (200, "OK".to_owned()), "{path}");
    }
    f._livekit.sfu().shutdown(Duration::ZERO).await;
    for path in ["/", "/livekit", "/livekit/"] {
        assert_eq!(f.get(path).await, (406, "Not Ready: media server unavailable".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn only_calls_to_participants_may_take_longer_than_other_requests() {
    let f = fixture(|_| {});
    let admin = f.token(|_, v| v.room_admin = true);
    let body = r#"{"room":"den","destination_identity":"a","method":"m","response_timeout_ms":900000}"#;
    for (method, token, seconds) in
        [("PerformRpc", admin.as_str(), 600), ("PerformRpc", "", 0), ("ListParticipants", admin.as_str(), 0)]
    {
        let patience = Patience::default();
        let mut request = Request::post(format!("/twirp/livekit.RoomService/{method}"))
            .header("content-type", "application/json")
            .extension(patience.clone());
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        f.send(request, body).await;
        assert_eq!(patience.extra(), Duration::from_secs(seconds), "{method}");
    }
}

#[tokio::test]
async fn json_of_every_sdk_is_read() {
    let f = fixture(|_| {});
    let admin = f.token(|_, v| v.room_create = true);
    let body =
        r#"{"name":"den","metadata":null,"agents":[{"agent_name":"a","restart_policy":"JRP_FUTURE"}]}"#;
    let (status, room) = f.twirp("livekit.RoomService/CreateRoom", &admin, body).await;
    assert_eq!((status, &room["metadata"]), (200, &"".into()), "{room}");
}
