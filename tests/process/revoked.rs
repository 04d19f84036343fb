//! Who was removed stays out, whatever happens to the server.

use crate::server::Server;
use crate::signalling::{Client, signer};
use bedrud::auth::media_token::VideoGrant;
use futures_util::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_removed_participant_stays_out_after_the_server_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let signed = signer(dir.path());
    let access = server.account();
    server.post("/api/room/create", &access, r#"{"name":"den-of-ada","isPublic":true}"#);
    let join = |server: &Server, access: &str| {
        let answer = server.post("/api/room/join", access, r#"{"roomName":"den-of-ada"}"#);
        answer["token"].as_str().unwrap().to_owned()
    };
    // One person by the platform, one by a token of the operator's own for a room the platform does not know.
    let ours = join(&server, &access);
    let video = VideoGrant { room_join: true, room: "elsewhere".into(), ..VideoGrant::default() };
    let theirs = signed("bob", video);
    let admin = |room: &str| {
        let video = VideoGrant { room_admin: true, room: room.to_owned(), ..VideoGrant::default() };
        signed("", video)
    };

    let mut sockets = Vec::new();
    for (room, token) in [("den-of-ada", &ours), ("elsewhere", &theirs)] {
        let url = format!("ws://127.0.0.1:{}/rtc?protocol=16&access_token={token}", server.port);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Binary(_)));
        sockets.push(socket);
        let twirp = |method: &str, body: String| {
            server.post(&format!("/livekit/twirp/livekit.RoomService/{method}"), &admin(room), &body)
        };
        let list = twirp("ListParticipants", format!(r#"{{"room":"{room}"}}"#));
        let identity = list["participants"][0]["identity"].as_str().unwrap().to_owned();
        twirp("RemoveParticipant", format!(r#"{{"room":"{room}","identity":"{identity}"}}"#));
    }
    server.end("-KILL");

    let (server, _) = Server::run(dir.path(), &[]);
    let validate = |token: &str| server.get(&format!("/rtc/validate?access_token={token}"));
    for token in [&ours, &theirs] {
        assert_eq!(validate(token), (401, "token has been revoked".to_owned()));
        let url = format!("ws://127.0.0.1:{}/rtc?protocol=16&access_token={token}", server.port);
        assert!(tokio_tungstenite::connect_async(url).await.is_err());
    }
    let renewed = join(&server, &access);
    assert_eq!(validate(&renewed), (200, "success".to_owned()), "let in anew by the platform");
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_call_of_its_session() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    server.account();
    let form = r#"{"email":"ada@example.org","password":"correct horse battery"}"#;
    let login = server.post("/api/auth/login", "", form);
    let access = login["tokens"]["accessToken"].as_str().unwrap();
    server.post("/api/room/create", access, r#"{"name":"den-of-ada","isPublic":true}"#);
    let joined = server.post("/api/room/join", access, r#"{"roomName":"den-of-ada"}"#);
    let media = joined["token"].as_str().unwrap();
    let mut client = Client::enter(&server, &format!("/rtc?protocol=16&access_token={media}")).await;
    let json = [("content-type", "application/json")];
    let body = serde_json::json!({ "refresh_token": login["refresh_token"] }).to_string();
    let refresh = || server.request("POST", "/api/auth/refresh", &json, &body).0;
    assert_eq!((refresh(), refresh()), (200, 401));
    // The socket ends by itself; the test's own time limit stands for a call that goes on.
    let ended = async { while client.socket.next().await.is_some_and(|message| message.is_ok()) {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("the call ends");
    assert_eq!(server.get(&format!("/rtc/validate?access_token={media}")).0, 401);
}
