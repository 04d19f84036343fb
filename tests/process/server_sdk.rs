//! The Rust server SDK against `bedrud livekit`, with a bare signalling client as the participant.

use crate::server::{Server, bedrud, free_port};
use bedrud::auth::media_token::{ApiKeys, Claims, VideoGrant, sign};
use futures_util::StreamExt as _;
use livekit_api::services::ServiceError;
use livekit_api::services::room::{CreateRoomOptions, RoomClient, SendDataOptions, UpdateParticipantOptions};
use tokio_tungstenite::tungstenite::Message;

fn not_found<T: std::fmt::Debug>(result: Result<T, ServiceError>) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains("not_found") || error.contains("NotFound"), "{error}");
}

#[tokio::test]
async fn the_rust_server_sdk_calls_every_verb() {
    let port = free_port();
    let text = port.to_string();
    let mut server = Server::spawn(
        &mut bedrud(&["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &text]),
        port,
    );
    server.announced();
    let api = RoomClient::with_api_key(&format!("http://127.0.0.1:{port}"), "devkey", "secret");
    let options = CreateRoomOptions { metadata: "made".into(), empty_timeout: 60, ..Default::default() };
    let made = api.create_room("den", options).await.unwrap();
    assert!(made.sid.starts_with("RM_") && made.metadata == "made" && made.empty_timeout == 60);
    assert_eq!(api.list_rooms(vec!["den".into()]).await.unwrap()[0].sid, made.sid);
    assert_eq!(api.update_room_metadata("den", "changed").await.unwrap().metadata, "changed");

    let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let exp = Some(4_000_000_000);
    let claims = Claims { sub: "ada".into(), exp, video: Some(video), ..Claims::default() };
    let token = sign(&claims, "devkey", &ApiKeys::one("devkey", "secret")).unwrap();
    let url = format!("ws://127.0.0.1:{port}/rtc?protocol=16&sdk=rust&access_token={token}");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Binary(_)));

    assert_eq!(api.list_participants("den").await.unwrap()[0].identity, "ada");
    assert!(api.get_participant("den", "ada").await.unwrap().sid.starts_with("PA_"));
    not_found(api.get_participant("den", "nobody").await);
    let options =
        UpdateParticipantOptions { metadata: "md".into(), name: "Ada L.".into(), ..Default::default() };
    let updated = api.update_participant("den", "ada", options).await.unwrap();
    assert_eq!((updated.metadata.as_str(), updated.name.as_str()), ("md", "Ada L."));
    api.update_subscriptions("den", "ada", vec![], true).await.unwrap();
    api.send_data("den", b"hi".to_vec(), SendDataOptions::default()).await.unwrap();
    api.remove_participant("den", "ada").await.unwrap();
    not_found(api.remove_participant("den", "ada").await);
    while let Some(Ok(message)) = socket.next().await {
        assert!(!matches!(message, Message::Ping(_)), "the socket should have ended with the removal");
    }
    api.delete_room("den").await.unwrap();
    not_found(api.delete_room("den").await);
    assert!(api.list_rooms(vec![]).await.unwrap().is_empty());
}
