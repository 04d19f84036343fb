//! Rooms by their routes.

mod links;
mod rights;

use std::time::Duration;

use axum::http::{Method, header};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::{
    api::testing::{App, MockUser, claims, without_tokens},
    db::{self, DbError},
    domain::{
        live::{self, Change},
        names::room_name,
        rooms,
    },
};

fn den() -> Value {
    json!({"name": " Den-1 ", "maxParticipants": 20, "isPublic": true, "settings": {"allowChat": true, "allowAudio": true}})
}

async fn create(app: &App, user: &MockUser, body: Value) -> Value {
    app.post("/api/room/create", &body).by(user).send().await.ok()
}

/// The room that a name means now.
async fn id_of(app: &App, name: &str) -> String {
    let name = name.to_owned();
    app.state.store.read(move |c| db::rooms::by_name(c, &name)).await.unwrap().unwrap().id
}

async fn connected(app: &App, name: &str, user: &str) {
    let (room, identity) = (id_of(app, name).await, user.into());
    let change = Change::Connected { room, identity, sid: format!("PA_{user}") };
    live::store(&app.state, &change).await;
}

async fn left(app: &App, name: &str, user: &str) {
    let (room, identity) = (id_of(app, name).await, user.into());
    let change = Change::Disconnected { room, identity, sid: format!("PA_{user}") };
    live::store(&app.state, &change).await;
}

/// Shows a media token, as a connecting client does.
async fn connect(
    app: &App,
    token: &Value,
    rehearsal: bool,
) -> Result<Option<rooms::Admitted>, rooms::ConnectError> {
    let claims = claims(token.as_str().unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let shown = rooms::Shown {
        room: text(&claims["video"]["room"]),
        room_id: text(&claims["roomId"]),
        identity: text(&claims["sub"]),
        session_id: text(&claims["sessionId"]),
        rehearsal,
    };
    rooms::connect(&app.state, shown).await
}

/// Changes a participant's row as moderation will.
async fn ban(app: &App, room: &str, user: &str) {
    use crate::db::schema::room_participants as rows;
    use diesel::prelude::*;
    let (room, user) = (room.to_owned(), user.to_owned());
    let set = move |c: &mut db::Db| {
        let target = rows::table.filter(rows::room_id.eq(room)).filter(rows::user_id.eq(user));
        diesel::update(target).set(rows::is_banned.eq(true)).execute(c).map_err(DbError::from)
    };
    assert_eq!(app.state.store.write(set).await.unwrap(), 1);
}

#[tokio::test]
async fn making_a_room() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let answer =
        app.post("/api/room/create", &den()).by(&user).header(header::HOST, "meet.example:8090").send().await;
    assert_eq!(answer.status, 200);
    assert_json_snapshot!("create", answer.json());
    let list = app.get("/api/room/list").by(&user).send().await.ok();
    assert_json_snapshot!("list", list);
    let again = app.post("/api/room/create", &den()).by(&user).send().await;
    again.refused(409, "a room with this name already exists");
}

#[tokio::test]
async fn a_room_without_a_name_gets_one() {
    let app = App::new().await;
    let user = app.user("ann").await;
    for body in [json!({}), json!({"name": null}), json!({"name": "  "})] {
        let name = create(&app, &user, body).await["name"].as_str().unwrap().to_owned();
        assert_eq!(room_name(&name), Ok(name.clone()));
        assert_eq!(name.split('-').map(str::len).collect::<Vec<_>>(), [3, 4, 3]);
    }
}

#[tokio::test]
async fn each_rule_of_making_has_its_text() {
    let app = App::with(|settings| settings.limits.max_rooms_per_user = 1).await;
    let user = app.user("ann").await;
    let post = |body: Value| {
        let (app, user) = (&app, &user);
        async move { app.post("/api/room/create", &body).by(user).send().await }
    };
    post(json!({"name": "ab"})).await.refused(400, "room name must be at least 3 characters");
    post(json!({"name": "a".repeat(64)})).await.refused(400, "room name must be at most 63 characters");
    let letters = "room name must contain only lowercase letters, numbers, and hyphens";
    post(json!({"name": "a--b"})).await.refused(400, letters);
    post(json!({"maxParticipants": 1001})).await.refused(400, "maxParticipants must be at most 1000");
    post(json!({"mode": "party"})).await.refused(400, "Invalid room mode");
    post(json!({"isPublic": "yes"})).await.refused(400, "Invalid request body");
    assert_eq!(post(json!({"maxParticipants": -5})).await.ok()["maxParticipants"], 0);
    post(json!({})).await.refused(403, "Room limit reached (max 1 active rooms)");
    let guest = app.guest("Gus").await;
    let refused = app.post("/api/room/create", &json!({})).by(&guest).send().await;
    refused.refused(403, "Guests cannot create or manage rooms");
    app.get("/api/room/list").by(&guest).send().await.refused(403, "Guests cannot create or manage rooms");
    app.post("/api/room/create", &json!({})).send().await.refused(401, "Missing authorization");
}

#[tokio::test]
async fn only_a_superadmin_makes_a_room_persistent() {
    let app = App::new().await;
    let (user, admin) = (app.user("ann").await, app.admin().await);
    let body = json!({"settings": {"isPersistent": true}});
    assert_eq!(create(&app, &user, body.clone()).await["settings"]["isPersistent"], false);
    assert_eq!(create(&app, &admin, body).await["settings"]["isPersistent"], true);
}

#[tokio::test]
async fn joining_a_room() {
    let app = App::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    create(&app, &ann, den()).await;
    let call = app.post("/api/room/join", &json!({"roomName": "DEN-1"})).by(&bob);
    let answer =
        call.header(header::ORIGIN, "https://meet.example").header(header::HOST, "meet.example").send().await;
    let body = answer.ok();
    assert_json_snapshot!("media_claims", claims(body["token"].as_str().unwrap()));
    assert_json_snapshot!("join", without_tokens(body));
    app.post("/api/room/join", &json!({"roomName": "nowhere"}))
        .by(&bob)
        .send()
        .await
        .refused(404, "Room not found");
    app.post("/api/room/join", &json!({})).by(&bob).send().await.refused(404, "Room not found");
}

#[tokio::test]
async fn the_media_token_verifies_with_the_configured_key() {
    use crate::auth::media_token::{ApiKeys, verify};
    let app = App::new().await;
    let ann = app.user("ann").await;
    create(&app, &ann, den()).await;
    let token =
        app.post("/api/room/join", &json!({"roomName": "den-1"})).by(&ann).send().await.ok()["token"].clone();
    let keys = ApiKeys::one("devkey", "media secret");
    let claims = verify(token.as_str().unwrap(), &keys, app.state.now().secs()).unwrap();
    assert_eq!(claims.identity(), ann.id);
    assert_eq!(claims.video.unwrap().room, "den-1");
}

#[tokio::test]
async fn a_private_room_takes_its_creator_and_who_was_inside() {
    let app = App::new().await;
    let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
    let room = create(&app, &ann, den()).await;
    let join = |user: &MockUser| app.post("/api/room/join", &json!({"roomName": "den-1"})).by(user);
    join(&bob).send().await.ok();
    let path = format!("/api/room/{}/settings", room["id"].as_str().unwrap());
    app.put(&path, &json!({"isPublic": false})).by(&ann).send().await.ok();
    join(&ann).send().await.ok();
    join(&bob).send().await.ok();
    join(&eve).send().await.refused(403, "This room is private");
    app.put(&path, &json!({"settings": {"requireApproval": true}})).by(&ann).send().await.ok();
    join(&eve).send().await.refused(403, "This room requires approval to join");
    let token = app.post("/api/room/refresh-token", &json!({"roomName": "den-1"})).by(&eve);
    token.send().await.refused(403, "This room requires approval to join");
    let guest = app.post("/api/room/guest-join", &json!({"roomName": "den-1", "guestName": "Gus"}));
    guest.send().await.refused(403, "This room is private");
    app.get("/api/room/check/den-1").send().await.refused(403, "This room is private");
}

#[tokio::test]
async fn a_full_room_takes_nobody_but_those_inside() {
    let app = App::new().await;
    let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
    create(&app, &ann, json!({"name": "den", "maxParticipants": 1, "isPublic": true})).await;
    let join = |user: &MockUser| app.post("/api/room/join", &json!({"roomName": "den"})).by(user);
    join(&bob).send().await.ok();
    join(&eve).send().await.refused(403, "room is full");
    join(&ann).send().await.refused(403, "room is full");
    app.get("/api/room/check/den").send().await.refused(403, "room is full");
    join(&bob).send().await.ok();
    connected(&app, "den", &bob.id).await;
    app.advance(Duration::from_secs(3600));
    join(&eve).send().await.refused(403, "room is full");
    join(&bob).send().await.ok();
    left(&app, "den", &bob.id).await;
    join(&eve).send().await.ok();
    app.advance(Duration::from_secs(61));
    join(&ann).send().await.ok();
}

#[tokio::test]
async fn the_last_place_goes_to_one_of_many() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    create(&app, &ann, json!({"name": "den", "maxParticipants": 1, "isPublic": true})).await;
    let mut users = Vec::new();
    for n in 0..6 {
        users.push(app.guest(&format!("guest {n}")).await);
    }
    let body = json!({"roomName": "den"});
    let calls = users.iter().map(|user| app.post("/api/room/join", &body).by(user).send());
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 1);
}

#[tokio::test]
async fn who_is_banned_stays_outside_by_every_way() {
    let app = App::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let room = create(&app, &ann, den()).await;
    let id = room["id"].as_str().unwrap();
    let body = json!({"roomName": "den-1"});
    let token = app.post("/api/room/join", &body).by(&bob).send().await.ok()["token"].clone();
    ban(&app, id, &bob.id).await;
    let text = "you are banned from this room";
    app.post("/api/room/join", &body).by(&bob).send().await.refused(403, text);
    app.post("/api/room/refresh-token", &body).by(&bob).send().await.refused(403, text);
    assert_eq!(connect(&app, &token, false).await, Err(rooms::Refusal::Banned.into()));
    let guest = |cookie: &str| {
        let call = app.post("/api/room/guest-join", &json!({"roomName": "den-1", "guestName": "Gus"}));
        call.header(header::COOKIE, &format!("bedrud_guest_id={cookie}"))
    };
    let first = guest("").send().await;
    let cookie = first.cookie("bedrud_guest_id").unwrap();
    let identity = cookie.split('.').next().unwrap();
    ban(&app, id, identity).await;
    guest(cookie).send().await.refused(403, text);
}

#[tokio::test]
async fn a_guest_by_link_keeps_the_identity() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    create(&app, &ann, den()).await;
    let join = |name: &str, cookie: Option<&str>| {
        let call = app.post("/api/room/guest-join", &json!({"roomName": "Den-1", "guestName": name}));
        call.header(header::HOST, "meet.example")
            .header(header::COOKIE, &format!("bedrud_guest_id={}", cookie.unwrap_or("")))
    };
    let first = join("<Gus>", None).send().await;
    let body = first.ok();
    assert_json_snapshot!("guest_media_claims", claims(body["token"].as_str().unwrap()));
    assert_json_snapshot!("guest_join", without_tokens(body.clone()));
    assert_eq!(first.cookies().len(), 1, "no cookies of a session");
    assert!(first.cookies()[0].ends_with("Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"));
    let cookie = first.cookie("bedrud_guest_id").unwrap();
    let second = join("Gustav", Some(cookie)).send().await;
    let again = second.ok();
    assert_eq!(second.cookies(), [""; 0]);
    let of = |body: &Value| claims(body["token"].as_str().unwrap());
    assert_eq!(of(&body)["sub"], of(&again)["sub"]);
    assert_eq!(of(&again)["name"], "Gustav");
    let other = join("Eve", Some(&format!("{cookie}0"))).send().await.ok();
    assert_ne!(of(&body)["sub"], of(&other)["sub"]);
    let access = again["accessToken"].as_str().unwrap();
    let me = app.get("/api/auth/me").header(header::AUTHORIZATION, access).send().await.ok();
    assert_eq!((&me["name"], &me["provider"]), (&json!("Gustav"), &json!("guest")));
    join("", None).send().await.refused(400, "Guest name is required");
    join(&"g".repeat(51), None).send().await.refused(400, "Guest name too long (max 50 characters)");
    let lost = app.post("/api/room/guest-join", &json!({"roomName": "nowhere", "guestName": "Gus"}));
    lost.send().await.refused(404, "Room not found");
}

#[tokio::test]
async fn looking_a_name_up() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    create(&app, &ann, json!({"name": "den", "isPublic": true})).await;
    let check = |name: &str| app.get(&format!("/api/room/check/{name}"));
    assert_eq!(check("DEN").send().await.ok(), json!({"exists": true, "name": "den"}));
    check("no").send().await.refused(400, "room name must be at least 3 characters");
    check("nowhere").send().await.refused(404, "Room not found");
}

#[tokio::test]
async fn a_media_token_is_renewed_without_taking_a_place() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    create(&app, &ann, den()).await;
    let renew = |body: Value| {
        let (app, ann) = (&app, &ann);
        async move { app.post("/api/room/refresh-token", &body).by(ann).send().await }
    };
    let body = renew(json!({"roomName": "den-1"})).await.ok();
    assert_eq!(claims(body["token"].as_str().unwrap())["sub"], ann.id.as_str());
    assert_eq!(body.as_object().unwrap().len(), 1);
    renew(json!({})).await.refused(400, "roomName required");
    renew(json!({"roomName": "nowhere"})).await.refused(404, "Room not found");
}

#[tokio::test]
async fn settings_change_by_the_owner_alone() {
    let app = App::new().await;
    let (ann, bob, admin) = (app.user("ann").await, app.user("bob").await, app.admin().await);
    let room = create(&app, &ann, den()).await;
    let path = format!("/api/room/{}/settings", room["id"].as_str().unwrap());
    let put = |user: &MockUser, body: Value| {
        let (app, path, user) = (&app, &path, user.clone());
        async move { app.put(path, &body).by(&user).send().await }
    };
    app.advance(Duration::from_millis(1500));
    let body = json!({"isPublic": false, "maxParticipants": 0, "settings": {"allowVideo": true, "isPersistent": true}});
    assert_json_snapshot!("update", put(&ann, body).await.ok());
    let flat = put(&ann, json!({"allowChat": true, "e2ee": true})).await.ok();
    assert_eq!((&flat["settings"]["allowChat"], &flat["settings"]["e2ee"]), (&json!(true), &json!(true)));
    assert_eq!(flat["settings"]["allowVideo"], false);
    put(&admin, json!({"isPublic": true})).await.ok();
    put(&bob, json!({"isPublic": true})).await.refused(403, "Insufficient permissions");
    put(&ann, json!({"maxParticipants": -1}))
        .await
        .refused(400, "maxParticipants must be between 0 and 1000");
    app.put("/api/room/nowhere/settings", &json!({})).by(&ann).send().await.refused(404, "Room not found");
}

#[tokio::test]
async fn ending_a_room_tells_everybody_and_frees_the_name() {
    let app = App::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let room = create(&app, &ann, den()).await;
    let token =
        app.post("/api/room/join", &json!({"roomName": "den-1"})).by(&ann).send().await.ok()["token"].clone();
    connected(&app, "den-1", &ann.id).await;
    let id = room["id"].as_str().unwrap();
    let path = format!("/api/room/{id}");
    let delete = |user: &MockUser| app.request(Method::DELETE, &path).by(user);
    delete(&bob).send().await.refused(403, "Only the room creator can delete this room");
    let done = delete(&ann).send().await;
    assert_eq!((done.status.as_u16(), done.json()), (202, json!({"message": "Room deletion queued"})));
    let message =
        r#"{"event":"room_ended","message":"The meeting has been ended by the creator","type":"system"}"#;
    assert_eq!(app.media.calls(), [format!("send {id} {message}"), format!("delete {id}")]);
    delete(&ann).send().await.refused(404, "Room not found");
    assert_eq!(app.get("/api/room/list").by(&ann).send().await.ok(), json!([]));
    let over = app.post("/api/room/join", &json!({"roomName": "den-1"})).by(&ann).send().await.ok();
    assert_json_snapshot!("over", over);
    let body = json!({"roomName": "den-1"});
    app.post("/api/room/join", &body).by(&bob).send().await.refused(410, "room is no longer active");
    app.post("/api/room/refresh-token", &body).by(&ann).send().await.refused(410, "room is no longer active");
    app.get("/api/room/check/den-1").send().await.refused(410, "room is no longer active");
    let guest = app.post("/api/room/guest-join", &json!({"roomName": "den-1", "guestName": "Gus"}));
    guest.send().await.refused(410, "room is no longer active");
    assert_eq!(connect(&app, &token, false).await, Err(rooms::Refusal::Inactive.into()));
    let archived = app.get("/api/room/archived?limit=5").by(&ann).send().await.ok();
    assert_json_snapshot!("archived", archived);
    create(&app, &ann, den()).await;
    app.post("/api/room/join", &body).by(&bob).send().await.ok();
}

#[tokio::test]
async fn presence_is_what_the_media_server_says() {
    let app = App::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let room = create(&app, &ann, den()).await;
    let path = format!("/api/room/{}/presence", room["id"].as_str().unwrap());
    let count = || app.get(&format!("{path}?countOnly=1"));
    app.post("/api/room/join", &json!({"roomName": "den-1"})).by(&bob).send().await.ok();
    assert_eq!(count().send().await.ok(), json!({"count": 0}));
    connected(&app, "den-1", &bob.id).await;
    assert_eq!(count().send().await.ok(), json!({"count": 1}));
    let list = app.get(&path).by(&ann).send().await.ok();
    assert_eq!(list, json!({"participants": [{"identity": bob.id, "name": "bob", "avatarUrl": ""}]}));
    app.get(&path).send().await.refused(401, "Unauthorized");
    app.get("/api/room/nowhere/presence").by(&ann).send().await.refused(404, "Room not found");
    live::reset(&app.state).await.unwrap();
    assert_eq!(count().send().await.ok(), json!({"count": 0}));
    connected(&app, "den-1", &bob.id).await;
    app.put(&path.replace("presence", "settings"), &json!({"isPublic": false})).by(&ann).send().await.ok();
    assert_eq!(app.get(&path).by(&ann).send().await.ok(), json!({"participants": []}));
    count().send().await.refused(404, "Room not found");
}
