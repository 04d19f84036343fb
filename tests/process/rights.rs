//! What the tokens of the platform open, over the signalling socket.

use crate::server::Server;
use crate::signalling::{Client, path};
use bedrud::db::schema::users;
use bedrud::db::{Db, DbResult, Store};
use diesel::prelude::*;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use livekit_protocol::{
    AddTrackRequest, DisconnectReason, ParticipantInfo, TrackSource, TrackType, UpdateParticipantMetadata,
};
use serde_json::{Value, json};
use std::time::Duration;

const ACCOUNT: &str = r#"{"email":"ada@example.org","password":"correct horse battery","name":"Ada"}"#;

/// A call that answers with the status.
fn call(server: &Server, method: &str, path: &str, bearer: &str, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {bearer}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let (status, _, answer) = server.request(method, path, &headers, &body.to_string());
    (status, serde_json::from_str(&answer).unwrap_or_default())
}

fn guest(server: &Server, room: &str, name: &str) -> (u16, Value) {
    call(server, "POST", "/api/room/guest-join", "", &json!({"roomName": room, "guestName": name}))
}

fn token(answer: &Value) -> String {
    answer["token"].as_str().unwrap().to_owned()
}

fn validate(server: &Server, token: &str) -> (u16, String) {
    server.get(&format!("/rtc/validate?access_token={token}"))
}

async fn is_refused(server: &Server, token: &str) -> bool {
    let url = format!("ws://127.0.0.1:{}{}", server.port, path(token));
    tokio_tungstenite::connect_async(url).await.is_err()
}

/// Reads until the server says goodbye.
async fn removed(client: &mut Client) -> i32 {
    loop {
        if let Response::Leave(leave) = client.read().await {
            return leave.reason;
        }
    }
}

#[tokio::test]
async fn a_token_of_an_ended_room_opens_no_other_room_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let access = server.account();
    let first = server.post("/api/room/create", &access, r#"{"name":"standup","isPublic":true}"#);
    let old = token(&guest(&server, "standup", "Eve").1);
    assert_eq!(validate(&server, &old), (200, "success".to_owned()));
    let room = format!("/api/room/{}", first["id"].as_str().unwrap());
    assert_eq!(call(&server, "DELETE", &room, &access, &json!({})).0, 202);
    server.post("/api/room/create", &access, r#"{"name":"standup","isPublic":false}"#);
    let own = token(&server.post("/api/room/join", &access, r#"{"roomName":"standup"}"#));
    let mut ada = Client::enter(&server, &path(&own)).await;
    assert_eq!(ada.joined.room.as_ref().unwrap().name, "standup", "clients still see the name");

    assert_eq!(validate(&server, &old), (404, "requested room does not exist".to_owned()));
    assert!(is_refused(&server, &old).await);
    let whip = format!("/whip/v1?access_token={old}");
    assert_eq!(server.request("POST", &whip, &[("content-type", "application/sdp")], "v=0\r\n").0, 404);
    ada.is_served().await;
}

#[tokio::test]
async fn signing_out_and_a_new_password_end_the_meeting_and_its_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    server.post("/api/auth/register", "", ACCOUNT);
    let login =
        || server.post("/api/auth/login", "", ACCOUNT)["tokens"]["accessToken"].as_str().unwrap().to_owned();
    let (phone, desk) = (login(), login());
    server.post("/api/room/create", &desk, r#"{"name":"den-of-ada","isPublic":true}"#);
    server.post("/api/room/create", &desk, r#"{"name":"hall-of-ada","isPublic":true}"#);
    let join = |access: &str, room: &str| {
        token(&server.post("/api/room/join", access, &json!({"roomName": room}).to_string()))
    };
    let (on_phone, at_desk) = (join(&phone, "den-of-ada"), join(&desk, "hall-of-ada"));
    let mut phone_call = Client::enter(&server, &path(&on_phone)).await;
    let mut desk_call = Client::enter(&server, &path(&at_desk)).await;
    let bystander = token(&guest(&server, "hall-of-ada", "Ben").1);
    let mut ben = Client::enter(&server, &path(&bystander)).await;

    server.post("/api/auth/logout", &phone, "{}");
    // A second is promised; the machine may be busy.
    let reason = tokio::time::timeout(Duration::from_secs(20), removed(&mut phone_call)).await;
    assert_eq!(reason, Ok(DisconnectReason::ParticipantRemoved as i32));
    assert_eq!(validate(&server, &on_phone).0, 401);
    assert!(is_refused(&server, &on_phone).await);
    desk_call.is_served().await;

    let change = json!({"currentPassword": "correct horse battery", "newPassword": "another long password"});
    assert_eq!(call(&server, "PUT", "/api/auth/password", &desk, &change).0, 200);
    assert_eq!(removed(&mut desk_call).await, DisconnectReason::ParticipantRemoved as i32);
    assert_eq!(validate(&server, &at_desk).0, 401);
    ben.is_served().await;

    // Whatever process switches an account off.
    let store = Store::open_sqlite(dir.path().join("bedrud.db")).await.unwrap();
    let identity = ben.joined.participant.clone().unwrap().identity;
    let switch_off = move |c: &mut Db| -> DbResult<usize> {
        Ok(diesel::update(users::table.find(identity)).set(users::is_active.eq(false)).execute(c)?)
    };
    assert_eq!(store.write(switch_off).await.unwrap(), 1);
    assert_eq!(removed(&mut ben).await, DisconnectReason::ParticipantRemoved as i32);
    assert!(is_refused(&server, &bystander).await);
}

#[tokio::test]
async fn nobody_gets_past_the_number_of_places_by_an_older_token() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let access = server.account();
    server.post("/api/room/create", &access, r#"{"name":"narrow","isPublic":true,"maxParticipants":1}"#);
    let renewed = token(&server.post("/api/room/refresh-token", &access, r#"{"roomName":"narrow"}"#));
    let (_, first) = guest(&server, "narrow", "Ben");
    let mut ben = Client::enter(&server, &path(&token(&first))).await;
    assert_eq!(validate(&server, &renewed), (403, "room is full".to_owned()));
    assert!(is_refused(&server, &renewed).await);
    let (status, _) =
        call(&server, "POST", "/api/room/refresh-token", &access, &json!({"roomName": "narrow"}));
    assert_eq!(status, 403);
    ben.is_served().await;
}

#[tokio::test]
async fn a_guest_can_neither_show_what_is_switched_off_nor_pose_as_an_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let access = server.account();
    let wish =
        json!({"name": "quiet", "isPublic": true, "settings": {"allowAudio": true, "allowChat": true}});
    let room = server.post("/api/room/create", &access, &wish.to_string());
    let mut eve = Client::enter(&server, &path(&token(&guest(&server, "quiet", "Eve").1))).await;
    let mut ben = Client::enter(&server, &path(&token(&guest(&server, "quiet", "Ben").1))).await;
    let camera = AddTrackRequest {
        cid: "cam".into(),
        r#type: TrackType::Video as i32,
        source: TrackSource::Camera as i32,
        width: 1280,
        height: 720,
        ..AddTrackRequest::default()
    };
    eve.send(Request::AddTrack(camera.clone())).await;
    assert_eq!(answer(&mut eve).await, Some(Reason::NotAllowed as i32));
    // Switched on, it works at once for who is inside.
    let settings = json!({"settings": {"allowAudio": true, "allowChat": true, "allowVideo": true}});
    let path = format!("/api/room/{}/settings", room["id"].as_str().unwrap());
    assert_eq!(call(&server, "PUT", &path, &access, &settings).0, 200);
    let everything =
        |p: &ParticipantInfo| p.permission.as_ref().is_some_and(|p| p.can_publish_sources.is_empty());
    let own = eve.joined.participant.clone().unwrap().identity;
    told(&mut eve, &own, everything).await;
    eve.send(Request::AddTrack(camera)).await;
    assert_eq!(answer(&mut eve).await, None, "published");

    let metadata = r#"{"accesses":["superadmin"],"avatarUrl":"/a.png"}"#.to_owned();
    eve.send(Request::UpdateMetadata(UpdateParticipantMetadata { metadata, ..Default::default() })).await;
    let seen = told(&mut ben, &own, |p| p.metadata.contains("avatarUrl")).await;
    assert_eq!(serde_json::from_str::<Value>(&seen.metadata).unwrap(), json!({"avatarUrl": "/a.png"}));
}

/// What became of a track that was announced: the reason for which it was refused, if it was.
async fn answer(client: &mut Client) -> Option<i32> {
    loop {
        match client.read().await {
            Response::RequestResponse(r) => return Some(r.reason),
            Response::TrackPublished(_) => return None,
            _ => {}
        }
    }
}

/// The next news of somebody that shows it.
async fn told(
    client: &mut Client,
    identity: &str,
    shows: impl Fn(&ParticipantInfo) -> bool,
) -> ParticipantInfo {
    loop {
        if let Response::Update(update) = client.read().await
            && let Some(found) = update.participants.into_iter().find(|p| p.identity == identity && shows(p))
        {
            return found;
        }
    }
}
