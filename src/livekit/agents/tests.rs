//! Workers and the dispatch API over the real router.

use super::service::bring_up_to_date;
use crate::auth::media_token::{self, ApiKeys, Claims, VideoGrant};
use crate::livekit::{HttpLimits, LiveKit};
use crate::server::health::unix_seconds;
use crate::server::shutdown::Shutdown;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bedrud_media::{ServiceRequest, ServiceResponse, Sfu, SfuConfig};
use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message as Told;
use livekit_protocol::worker_message::Message as Said;
use prost::Message as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tower::ServiceExt as _;

struct Fixture {
    router: Router,
    address: SocketAddr,
    keys: ApiKeys,
    sfu: Sfu,
    shutdown: Shutdown,
}

async fn start(adjust: impl FnOnce(&mut SfuConfig)) -> Fixture {
    start_with(HttpLimits::default(), adjust).await
}

async fn start_with(limits: HttpLimits, adjust: impl FnOnce(&mut SfuConfig)) -> Fixture {
    let mut config = SfuConfig::bound_to(([127, 0, 0, 1], 0).into());
    adjust(&mut config);
    let keys = ApiKeys::one("devkey", "secret");
    let sfu = Sfu::start(config).unwrap();
    let shutdown = Shutdown::default();
    let livekit = LiveKit::new(sfu.clone(), keys.clone(), limits, shutdown.guard());
    let router = livekit.alone();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router.clone();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Fixture { router, address, keys, sfu, shutdown }
}

impl Fixture {
    fn sign(&self, sub: &str, video: VideoGrant, adjust: impl FnOnce(&mut Claims)) -> String {
        let exp = Some(unix_seconds() + 600);
        let mut claims = Claims { sub: sub.into(), exp, video: Some(video), ..Claims::default() };
        adjust(&mut claims);
        media_token::sign(&claims, "devkey", &self.keys).unwrap()
    }

    fn agent_token(&self) -> String {
        self.sign("", VideoGrant { agent: true, ..VideoGrant::default() }, |_| {})
    }

    async fn http(&self, request: axum::http::request::Builder, body: Vec<u8>) -> (u16, Vec<u8>) {
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    /// A call as admin and creator of `den`.
    async fn twirp(&self, method: &str, body: Value) -> (u16, Value) {
        let video =
            VideoGrant { room_admin: true, room_create: true, room: "den".into(), ..VideoGrant::default() };
        let request = Request::post(format!("/twirp/livekit.{method}"))
            .header("authorization", format!("Bearer {}", self.sign("", video, |_| {})))
            .header("content-type", "application/json");
        let (status, body) = self.http(request, body.to_string().into_bytes()).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn connect(&self, path: &str, token: &str) -> Result<Worker, Error> {
        let url = format!("ws://{}{path}?access_token={token}", self.address);
        tokio_tungstenite::connect_async(url).await.map(|(socket, _)| Worker { socket })
    }

    /// A registered worker.
    async fn worker(&self, name: &str) -> Worker {
        let mut worker = self.connect("/agent", &self.agent_token()).await.unwrap();
        worker.register(name).await;
        worker
    }
}

struct Worker {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Worker {
    async fn say(&mut self, message: Said) {
        let message = proto::WorkerMessage { message: Some(message) };
        self.socket.send(Message::Binary(message.encode_to_vec().into())).await.unwrap();
    }

    async fn register(&mut self, name: &str) {
        let request = proto::RegisterWorkerRequest { agent_name: name.into(), ..Default::default() };
        self.say(Said::Register(request)).await;
        let Told::Register(response) = self.told().await else { panic!("not registered") };
        assert!(response.worker_id.starts_with("AW_"));
        assert!(!response.server_info.unwrap().version.is_empty());
    }

    async fn frame(&mut self) -> Message {
        loop {
            match self.socket.next().await.expect("open").expect("readable") {
                Message::Ping(_) | Message::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    async fn told(&mut self) -> Told {
        let Message::Binary(bytes) = self.frame().await else { panic!("not a binary frame") };
        proto::ServerMessage::decode(bytes).unwrap().message.unwrap()
    }

    async fn asked(&mut self) -> proto::Job {
        let Told::Availability(request) = self.told().await else { panic!("not asked") };
        request.job.unwrap()
    }

    async fn accept(&mut self, job: &str, identity: &str) -> proto::JobAssignment {
        let answer = proto::AvailabilityResponse {
            job_id: job.into(),
            available: true,
            participant_identity: identity.into(),
            ..Default::default()
        };
        self.say(Said::Availability(answer)).await;
        let Told::Assignment(assignment) = self.told().await else { panic!("not assigned") };
        assignment
    }
}

#[tokio::test]
async fn sockets_need_an_upgrade_and_the_agent_grant() {
    let f = start(|_| {}).await;
    for path in ["/agent", "/livekit/agent"] {
        assert_eq!(f.http(Request::get(path), Vec::new()).await, (404, Vec::new()));
        let participant = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
        for (token, text) in [
            (String::new(), "permissions denied"),
            ("junk".into(), "invalid authorization token"),
            (f.sign("ada", participant, |_| {}), "permissions denied"),
        ] {
            let Err(Error::Http(refused)) = f.connect(path, &token).await else { panic!("not refused") };
            assert_eq!(refused.status(), 401);
            assert_eq!(refused.body().as_deref(), Some(text.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_worker_gets_the_job_of_a_new_room_with_a_token_that_joins() {
    let f = start(|_| {}).await;
    let mut worker = f.connect("/livekit/agent", &f.agent_token()).await.unwrap();
    worker.register("").await;
    assert_eq!(f.twirp("RoomService/CreateRoom", json!({ "name": "den" })).await.0, 200);
    let job = worker.asked().await;
    assert_eq!(job.room.unwrap().name, "den");
    let assignment = worker.accept(&job.id, "agent-1").await;
    // The worker connects to where it reached us, which works from its machine.
    assert_eq!(assignment.url, None);
    let claims = media_token::verify(&assignment.token, &f.keys, unix_seconds()).unwrap();
    assert_eq!((claims.identity(), claims.kind.as_str()), ("agent-1", "agent"));
    let valid = Request::get(format!("/rtc/validate?access_token={}", assignment.token));
    assert_eq!(f.http(valid, Vec::new()).await, (200, b"success".to_vec()));
    assert_eq!(f.twirp("RoomService/DeleteRoom", json!({ "room": "den" })).await.0, 200);
    let Told::Termination(end) = worker.told().await else { panic!("not terminated") };
    assert_eq!(end.job_id, job.id);
}

#[tokio::test]
async fn agents_named_in_a_room_or_a_token_are_called() {
    let f = start(|_| {}).await;
    let mut nameless = f.worker("").await;
    let mut helper = f.worker("helper").await;
    let room = json!({ "name": "den", "agents": [{ "agent_name": "helper", "metadata": "by call" }] });
    assert_eq!(f.twirp("RoomService/CreateRoom", room).await.0, 200);
    assert_eq!(helper.asked().await.metadata, "by call");
    let agent = proto::RoomAgentDispatch {
        agent_name: "helper".into(),
        metadata: "by token".into(),
        ..Default::default()
    };
    let config = proto::RoomConfiguration { agents: vec![agent], ..proto::RoomConfiguration::default() };
    let video = VideoGrant { room_join: true, room: "hall".into(), ..VideoGrant::default() };
    let token = f.sign("ada", video, |claims| claims.room_config = Some(config));
    let _ada = f.connect("/rtc", &token).await.unwrap();
    let job = helper.asked().await;
    assert_eq!((job.metadata.as_str(), job.room.unwrap().name.as_str()), ("by token", "hall"));
    // Neither room was for agents without a name; the next one is.
    f.sfu
        .service(ServiceRequest::CreateRoom(Box::new(proto::CreateRoomRequest {
            name: "attic".into(),
            ..Default::default()
        })))
        .await
        .unwrap();
    assert_eq!(nameless.asked().await.room.unwrap().name, "attic");
}

#[tokio::test]
async fn json_workers_are_answered_in_json() {
    let f = start(|_| {}).await;
    let mut worker = f.connect("/agent", &f.agent_token()).await.unwrap();
    let text = |value: Value| Message::Text(value.to_string().into());
    let read = |frame: Message| serde_json::from_str::<Value>(frame.to_text().unwrap()).unwrap();
    let register = json!({ "register": { "type": "JT_ROOM", "agentName": "helper", "future": 1 } });
    worker.socket.send(text(register)).await.unwrap();
    assert!(read(worker.frame().await)["register"]["workerId"].is_string());
    worker.socket.send(text(json!({ "ping": { "timestamp": "7" } }))).await.unwrap();
    assert_eq!(read(worker.frame().await)["pong"]["lastTimestamp"], "7");
    let (status, dispatch) =
        f.twirp("AgentDispatchService/CreateDispatch", json!({ "room": "den", "agentName": "helper" })).await;
    assert_eq!(status, 200, "{dispatch}");
    let asked = read(worker.frame().await);
    assert_eq!(asked["availability"]["job"]["dispatchId"], dispatch["id"]);
}

#[tokio::test]
async fn dispatches_are_made_listed_and_deleted() {
    let f = start(|_| {}).await;
    let mut worker = f.worker("helper").await;
    let service = |method: &str| format!("AgentDispatchService/{method}");
    let request =
        json!({ "room": "den", "agent_name": "helper", "metadata": "m", "attributes": { "k": "v" } });
    let (status, made) = f.twirp(&service("CreateDispatch"), request).await;
    assert_eq!(
        (status, &made["agent_name"], &made["metadata"]),
        (200, &json!("helper"), &json!("m")),
        "{made}"
    );
    assert_eq!((&made["attributes"], &made["state"]["jobs"]), (&json!({ "k": "v" }), &json!([])));
    assert!(made["id"].as_str().unwrap().starts_with("AD_"));
    let job = worker.asked().await;
    assert_eq!((job.dispatch_id.as_str(), job.attributes["k"].as_str()), (made["id"].as_str().unwrap(), "v"));
    worker.accept(&job.id, "").await;
    // The room also has its automatic dispatch.
    let (_, all) = f.twirp(&service("ListDispatch"), json!({ "room": "den" })).await;
    assert_eq!(all["agent_dispatches"].as_array().unwrap().len(), 2, "{all}");
    let (_, one) =
        f.twirp(&service("ListDispatch"), json!({ "room": "den", "dispatchId": made["id"] })).await;
    let shown = &one["agent_dispatches"][0]["state"]["jobs"][0];
    assert_eq!((&shown["id"], &shown["state"]["status"]), (&json!(job.id), &json!("JS_RUNNING")), "{one}");
    assert_eq!(shown["state"]["participant_identity"], format!("agent-{}", job.id));
    let delete = json!({ "room": "den", "dispatch_id": made["id"] });
    let (status, deleted) = f.twirp(&service("DeleteDispatch"), delete.clone()).await;
    assert_eq!((status, &deleted["id"]), (200, &made["id"]));
    assert_ne!(deleted["state"]["deleted_at"], "0");
    let Told::Termination(end) = worker.told().await else { panic!("not terminated") };
    assert_eq!(end.job_id, job.id);
    let (status, error) = f.twirp(&service("DeleteDispatch"), delete).await;
    assert_eq!((status, error), (404, json!({ "code": "not_found", "msg": "dispatch ID not found" })));
}

#[tokio::test]
async fn dispatch_calls_that_cannot_be_served_are_clear_errors() {
    let f = start(|c| c.hub.auto_create = false).await;
    let missing = (404, "not_found", "requested room does not exist");
    for (method, body, (status, code, text)) in [
        ("CreateDispatch", json!({ "room": "den" }), missing),
        ("DeleteDispatch", json!({ "room": "den", "dispatch_id": "x" }), missing),
        ("ListDispatch", json!({ "room": "den" }), missing),
        ("CreateDispatch", json!({ "room": "hall" }), (401, "unauthenticated", "permissions denied")),
        ("ListDispatch", json!({}), (401, "unauthenticated", "permissions denied")),
        (
            "CreateDispatch",
            json!({ "room": "den", "deployment": "a_b" }),
            (400, "invalid_argument", "deployment contains the reserved character '_'"),
        ),
        (
            "CreateDispatch",
            json!({ "room": "den", "metadata": "x".repeat(600_000) }),
            (400, "invalid_argument", "metadata size exceeds limits"),
        ),
        (
            "CreateDispatch",
            json!({ "room": "den", "attributes": { "k": "x".repeat(70_000) } }),
            (400, "invalid_argument", "attribute size exceeds limits"),
        ),
        (
            "Dance",
            json!({}),
            (404, "bad_route", "no handler for path \"/twirp/livekit.AgentDispatchService/Dance\""),
        ),
    ] {
        let (got, error) = f.twirp(&format!("AgentDispatchService/{method}"), body).await;
        assert_eq!((got, error), (status, json!({ "code": code, "msg": text })), "{method}");
    }
}

#[tokio::test]
async fn protobuf_calls_are_answered_in_protobuf() {
    let f = start(|_| {}).await;
    let video = VideoGrant { room_admin: true, room: "den".into(), ..VideoGrant::default() };
    let request = Request::post("/twirp/livekit.AgentDispatchService/CreateDispatch")
        .header("authorization", format!("Bearer {}", f.sign("", video, |_| {})))
        .header("content-type", "application/protobuf");
    let body = proto::CreateAgentDispatchRequest {
        room: "den".into(),
        agent_name: "x".into(),
        ..Default::default()
    };
    let (status, body) = f.http(request, body.encode_to_vec()).await;
    let made = proto::AgentDispatch::decode(body.as_slice()).unwrap();
    assert_eq!((status, made.agent_name.as_str(), made.room.as_str()), (200, "x", "den"));
}

#[tokio::test]
async fn a_worker_that_breaks_the_protocol_is_told_why() {
    let f = start(|_| {}).await;
    for (frame, code, reason) in [
        (Message::Binary(vec![0x0a, 0xff, 0xff].into()), CloseCode::Invalid, "the message is not protobuf"),
        (Message::Text("{".into()), CloseCode::Invalid, "the message is not JSON"),
        (Message::Text(r#"{"updateWorker":{}}"#.into()), CloseCode::Policy, "not registered"),
    ] {
        let mut worker = f.connect("/agent", &f.agent_token()).await.unwrap();
        worker.socket.send(frame).await.unwrap();
        let Message::Close(Some(close)) = worker.frame().await else { panic!("not closed") };
        assert_eq!((close.code, close.reason.as_str()), (code, reason));
    }
}

#[tokio::test]
async fn a_worker_that_comes_late_is_told_of_the_room_as_it_is_now() {
    let f = start(|_| {}).await;
    assert_eq!(f.twirp("RoomService/CreateRoom", json!({ "name": "den", "metadata": "old" })).await.0, 200);
    let change = json!({ "room": "den", "metadata": "new" });
    assert_eq!(f.twirp("RoomService/UpdateRoomMetadata", change.clone()).await.0, 200);
    let mut worker = f.worker("").await;
    let job = worker.asked().await;
    assert_eq!(job.room.unwrap().metadata, "new");
    let change = json!({ "room": "den", "metadata": "newest" });
    assert_eq!(f.twirp("RoomService/UpdateRoomMetadata", change).await.0, 200);
    assert_eq!(worker.accept(&job.id, "").await.job.unwrap().room.unwrap().metadata, "newest");
}

#[tokio::test]
async fn a_job_carries_its_participant_as_it_is_when_it_is_sent() {
    let f = start(|_| {}).await;
    let join = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
    let _ada = f.connect("/rtc", &f.sign("ada", join, |_| {})).await.unwrap();
    let who = proto::RoomParticipantIdentity {
        room: "den".into(),
        identity: "ada".into(),
        ..proto::RoomParticipantIdentity::default()
    };
    let get = ServiceRequest::GetParticipant(who);
    let ServiceResponse::Participant(before) = f.sfu.service(get).await.unwrap() else { panic!("ada") };
    let rooms = ServiceRequest::ListRooms(proto::ListRoomsRequest::default());
    let ServiceResponse::Rooms(rooms) = f.sfu.service(rooms).await.unwrap() else { panic!("den") };
    let change = json!({ "room": "den", "identity": "ada", "metadata": "new", "attributes": { "a": "b" } });
    assert_eq!(f.twirp("RoomService/UpdateParticipant", change).await.0, 200);

    let job = |participant: proto::ParticipantInfo| proto::Job {
        room: rooms.first().cloned(),
        participant: Some(participant),
        ..proto::Job::default()
    };
    let mut fresh = job((*before).clone());
    bring_up_to_date(&f.sfu, &mut fresh).await;
    let fresh = fresh.participant.unwrap();
    assert_eq!((fresh.metadata.as_str(), fresh.attributes["a"].as_str()), ("new", "b"));
    assert!(fresh.version > before.version);
    // Another one of the same identity is not the one the job is about.
    let mut gone = job(proto::ParticipantInfo { sid: "PA_earlier".into(), ..*before });
    bring_up_to_date(&f.sfu, &mut gone).await;
    assert_eq!(gone.participant.unwrap().metadata, "");
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_socket_of_a_worker() {
    let f = start_with(HttpLimits { agent_message: 1000, ..HttpLimits::default() }, |_| {}).await;
    let mut worker = f.worker("").await;
    let ping = |padding: usize| {
        Message::Text(
            json!({ "ping": { "timestamp": "7", "padding": "x".repeat(padding) } }).to_string().into(),
        )
    };
    worker.socket.send(ping(900)).await.unwrap();
    assert!(matches!(worker.frame().await, Message::Text(_)), "below it");
    worker.socket.send(ping(1000)).await.unwrap();
    let end = worker.socket.next().await;
    assert!(matches!(end, None | Some(Ok(Message::Close(_)) | Err(_))), "{end:?}");
}

#[tokio::test]
async fn stopping_closes_the_sockets_of_workers() {
    let f = start(|_| {}).await;
    let mut worker = f.worker("").await;
    f.shutdown.begin();
    let Message::Close(Some(close)) = worker.frame().await else { panic!("not closed") };
    assert_eq!(close.code, CloseCode::Restart);
}

/// With room for one event only, some are lost; every room must have its agent all the same.
#[tokio::test]
async fn a_flood_of_rooms_leaves_none_without_its_agent() {
    let f = start(|c| c.event_queue = 1).await;
    let mut worker = f.worker("").await;
    let names: BTreeSet<String> = (0..100).map(|i| format!("room-{i}")).collect();
    let create = |name: &String| {
        let request = proto::CreateRoomRequest { name: name.clone(), ..Default::default() };
        f.sfu.service(ServiceRequest::CreateRoom(Box::new(request)))
    };
    for made in join_all(names.iter().map(create)).await {
        made.unwrap();
    }
    // A last event, in case those before it were the last to be lost.
    let last = proto::CreateRoomRequest { name: "last".into(), ..Default::default() };
    f.sfu.service(ServiceRequest::CreateRoom(Box::new(last))).await.unwrap();
    let mut got = BTreeSet::new();
    while got.len() < names.len() + 1 {
        if let Told::Availability(request) = worker.told().await {
            let job = request.job.unwrap();
            assert!(got.insert(job.room.unwrap().name), "one agent for each room");
            let answer =
                proto::AvailabilityResponse { job_id: job.id, available: true, ..Default::default() };
            worker.say(Said::Availability(answer)).await;
        }
    }
    assert!(got.is_superset(&names));
}
