//! Agents in the platform.

use crate::server::Server;
use crate::signalling::signer;
use bedrud::auth::media_token::VideoGrant;
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message as Told;
use livekit_protocol::worker_message::Message as Said;
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;

fn said(message: Said) -> Message {
    Message::Binary(proto::WorkerMessage { message: Some(message) }.encode_to_vec().into())
}

/// With the keys of the data folder a worker serves private rooms too, and no room that is over.
#[tokio::test]
async fn an_agent_gets_into_a_private_room_until_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let signed = signer(dir.path());

    let post = |path: &str, bearer: &str, body: &str| server.post(path, bearer, body);
    let access = &server.account();
    let room = post("/api/room/create", access, r#"{"name":"private-den","isPublic":false}"#);

    let worker = signed("", VideoGrant { agent: true, ..VideoGrant::default() });
    let url = format!("ws://127.0.0.1:{}/livekit/agent?access_token={worker}", server.port);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let register = proto::RegisterWorkerRequest { agent_name: "helper".into(), ..Default::default() };
    socket.send(said(Said::Register(register))).await.unwrap();
    let admin = VideoGrant { room_admin: true, room: "private-den".into(), ..VideoGrant::default() };
    let dispatch = r#"{"room":"private-den","agentName":"helper"}"#;
    post("/livekit/twirp/livekit.AgentDispatchService/CreateDispatch", &signed("", admin), dispatch);
    let token = loop {
        let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() else { continue };
        match proto::ServerMessage::decode(bytes).unwrap().message.unwrap() {
            Told::Availability(request) => {
                let job_id = request.job.unwrap().id;
                let answer = proto::AvailabilityResponse { job_id, available: true, ..Default::default() };
                socket.send(said(Said::Availability(answer))).await.unwrap();
            }
            Told::Assignment(assignment) => break assignment.token,
            _ => {}
        }
    };

    let validate = |token: &str| server.get(&format!("/livekit/rtc/validate?access_token={token}"));
    assert_eq!(validate(&token), (200, "success".to_owned()));
    let bearer = format!("Bearer {access}");
    let room = format!("/api/room/{}", room["id"].as_str().unwrap());
    let (status, _, _) = server.request("DELETE", &room, &[("authorization", &bearer)], "");
    assert_eq!(status, 202);
    assert_eq!(validate(&token), (404, "requested room does not exist".to_owned()));
}
