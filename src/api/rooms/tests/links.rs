//! How long the link of a room works, and what who follows it is told.

use super::*;
use crate::domain::housekeeping;

const DAY: Duration = Duration::from_secs(86_400);

async fn guest(app: &App, name: &str) -> crate::api::testing::Answer {
    app.post("/api/room/guest-join", &json!({"roomName": name, "guestName": "Gus"})).send().await
}

#[tokio::test]
async fn a_link_works_until_nobody_came_for_the_configured_time() {
    let app = App::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    create(&app, &ann, json!({"name": "left", "isPublic": true})).await;
    create(&app, &ann, json!({"name": "used", "isPublic": true})).await;
    for _ in 0..29 {
        app.advance(DAY);
        housekeeping::run(&app.state).await.unwrap();
    }
    app.get("/api/room/check/left").send().await.ok();
    guest(&app, "used").await.ok();
    connected(&app, "used", &bob.id).await;
    app.advance(2 * DAY);
    housekeeping::run(&app.state).await.unwrap();
    guest(&app, "used").await.ok();
    let closed = guest(&app, "left").await;
    closed.refused(410, "room is not open yet");
    assert_eq!(closed.json()["code"], "room_not_open");
    app.get("/api/room/check/left").send().await.refused(410, "room is not open yet");
}

#[tokio::test]
async fn somebody_inside_keeps_a_room_open_and_a_departure_starts_its_time_over() {
    let app = App::with(|settings| {
        settings.limits.room_idle = DAY;
        (settings.auth.access_ttl, settings.auth.refresh_ttl) = (30 * DAY, 30 * DAY);
    })
    .await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    create(&app, &ann, den()).await;
    app.post("/api/room/join", &json!({"roomName": "den-1"})).by(&bob).send().await.ok();
    connected(&app, "den-1", &bob.id).await;
    app.advance(5 * DAY);
    housekeeping::run(&app.state).await.unwrap();
    left(&app, "den-1", &bob.id).await;
    let room = &app.get("/api/room/list").by(&ann).send().await.ok()[0];
    let until = (app.state.now().plus(DAY)).to_string();
    assert_eq!(room["expiresAt"], until.as_str(), "people are told until when it waits");
    app.advance(DAY / 2);
    housekeeping::run(&app.state).await.unwrap();
    app.get("/api/room/check/den-1").send().await.ok();
    app.advance(DAY);
    housekeeping::run(&app.state).await.unwrap();
    app.get("/api/room/check/den-1").send().await.refused(410, "room is not open yet");
}

#[tokio::test]
async fn a_guest_is_told_which_of_the_three_it_is() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    let unknown = guest(&app, "nowhere").await;
    unknown.refused(404, "Room not found");
    assert_eq!(unknown.json()["code"], "room_unknown");
    let room = create(&app, &ann, den()).await;
    let path = format!("/api/room/{}", room["id"].as_str().unwrap());
    app.request(Method::DELETE, &path).by(&ann).send().await.ok();
    let over = guest(&app, "den-1").await;
    over.refused(410, "room is no longer active");
    assert_eq!(over.json()["code"], "room_over");
}

#[tokio::test]
async fn opening_a_room_again_keeps_everything() {
    let app = App::new().await;
    let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
    let wish = json!({"name": "den", "maxParticipants": 3, "isPublic": false, "mode": "webinar",
        "settings": {"allowChat": false, "allowAudio": true, "requireApproval": true}});
    let room = create(&app, &ann, wish).await;
    let id = room["id"].as_str().unwrap();
    ban_row(&app, id, &bob).await;
    app.request(Method::DELETE, &format!("/api/room/{id}")).by(&ann).send().await.ok();
    let over = app.post("/api/room/join", &json!({"roomName": "den"})).by(&ann).send().await.ok();
    assert_eq!(over["status"], "archived_owned");
    for key in ["id", "name", "isPublic", "maxParticipants", "mode", "settings"] {
        assert_eq!(over[key], room[key], "{key}: enough for a client that makes the room anew");
    }
    let reopen = |user: &MockUser| app.post(&format!("/api/room/{id}/reopen"), &json!({})).by(user);
    reopen(&eve).send().await.refused(403, "Only the room creator can delete this room");
    let again = reopen(&ann).send().await.ok();
    for key in ["id", "name", "isPublic", "maxParticipants", "mode", "settings", "createdBy"] {
        assert_eq!(again[key], room[key], "{key}");
    }
    assert_eq!((&again["isActive"], again.get("deletedAt")), (&json!(true), None));
    let join = |user: &MockUser| app.post("/api/room/join", &json!({"roomName": "den"})).by(user);
    join(&ann).send().await.ok();
    join(&bob).send().await.refused(403, "you are banned from this room");
    join(&eve).send().await.refused(403, "This room requires approval to join");
    reopen(&ann).send().await.ok();

    app.request(Method::DELETE, &format!("/api/room/{id}")).by(&ann).send().await.ok();
    create(&app, &eve, json!({"name": "den"})).await;
    reopen(&ann).send().await.refused(409, "a room with this name already exists");
}

/// A ban of somebody who was never inside.
async fn ban_row(app: &App, room: &str, user: &MockUser) {
    use crate::db::participants::{self, Participant, tests::sample};
    let row = Participant { is_banned: true, is_approved: false, ..sample("ban", room, &user.id) };
    app.state.store.write(move |c| participants::let_in(c, &row)).await.unwrap();
}
