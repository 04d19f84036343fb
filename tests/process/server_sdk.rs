//! The Rust server SDK against `bedrud livekit`, with a bare signalling client as the participant.

use crate::server::Server;
use crate::signalling::Client;
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
    let server = Server::livekit();
    let url = format!("http://127.0.0.1:{}", server.port);
    let api = RoomClient::with_api_key(&url, "devkey", "secret");
    let options = CreateRoomOptions { metadata: "made".into(), empty_timeout: 60, ..Default::default() };
    let made = api.create_room("den", options).await.unwrap();
    assert!(made.sid.starts_with("RM_") && made.metadata == "made" && made.empty_timeout == 60);
    assert_eq!(api.list_rooms(vec!["den".into()]).await.unwrap()[0].sid, made.sid);
    assert_eq!(api.update_room_metadata("den", "changed").await.unwrap().metadata, "changed");

    let mut socket = Client::join(&server, "ada").await.socket;

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
