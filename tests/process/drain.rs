//! The first signal lets meetings end by themselves, a second one ends them.

use crate::server::{Server, bedrud, free_port};
use crate::signalling::{Client, path, token};
use bedrud::auth::media_token::{ApiKeys, Claims, VideoGrant, sign};
use futures_util::StreamExt as _;
use livekit_protocol::{SignalResponse, signal_response};
use prost::Message as _;
use tokio_tungstenite::tungstenite::{Error, Message};

const DRAIN: [&str; 2] = ["--config-body", "drain_timeout: 3600"];

/// Joins, or the status of the refusal.
async fn join(port: u16, room: &str) -> Result<(), u16> {
    let url = format!("ws://127.0.0.1:{port}{}", path(&token("probe", room, |_| {})));
    match tokio_tungstenite::connect_async(url).await {
        Ok(_) => Ok(()),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Signals arrive when they like: waits until no new room opens.
async fn until_it_empties(port: u16) {
    for n in 0.. {
        if join(port, &format!("room-{n}")).await == Err(503) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn first_signal_lets_meetings_go_on_until_a_second_one() {
    let server = Server::livekit_with(&DRAIN);
    let port = server.port;
    let mut ada = Client::join(&server, "ada").await.socket;
    server.signal("-TERM");
    until_it_empties(port).await;
    let _bob = Client::join(&server, "bob").await;
    assert_eq!(join(port, "other").await, Err(503));
    let ending = tokio::task::spawn_blocking(move || server.end("-TERM"));
    let mut said_goodbye = false;
    while let Some(Ok(message)) = ada.next().await {
        if let Message::Binary(bytes) = message {
            let message = SignalResponse::decode(bytes).unwrap().message.unwrap();
            said_goodbye |= matches!(message, signal_response::Message::Leave(_));
        }
    }
    assert!(said_goodbye);
    assert_eq!(ending.await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn server_that_empties_ends_when_the_last_one_has_left() {
    let server = Server::livekit_with(&DRAIN);
    let ada = Client::join(&server, "ada").await;
    server.signal("-INT");
    until_it_empties(server.port).await;
    drop(ada);
    let ended = tokio::task::spawn_blocking(move || server.ended());
    assert_eq!(ended.await.unwrap().code(), Some(0));
}

#[test]
fn large_tokens_fit_into_the_request_and_flags_of_livekit_server_start_it() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let port = free_port();
    let port_text = port.to_string();
    let mut command = bedrud(&["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &port_text]);
    command.args(["--redis-host", "redis:6379", "--disable-strict-config"]);
    let mut server = Server::spawn_logged(&mut command, port, log.path());
    server.announced();
    let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let claims = Claims {
        sub: "ada".into(),
        exp: Some(4_000_000_000),
        video: Some(video),
        metadata: "m".repeat(500_000),
        ..Claims::default()
    };
    let large = sign(&claims, "devkey", &ApiKeys::one("devkey", "secret")).unwrap();
    let bearer = format!("Bearer {large}");
    let (status, _, body) = server.request("GET", "/rtc/validate", &[("authorization", bearer.as_str())], "");
    assert_eq!((status, body.as_str()), (200, "success"));
    assert_eq!(server.end("-TERM").code(), Some(0));
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("--redis-host") && log.contains("there is one node"), "{log}");
}
