//! What a media token opens, and what it does not.

use super::*;
use crate::{
    api::testing::PASSWORD,
    domain::rooms::{ConnectError, Refusal, connect as show},
};
use bedrud_media::{Restrictions, protocol::TrackSource};

async fn join(app: &App, user: &MockUser, name: &str) -> Value {
    app.post("/api/room/join", &json!({"roomName": name})).by(user).send().await.ok()["token"].clone()
}

async fn renew(app: &App, user: &MockUser, name: &str) -> crate::api::testing::Answer {
    app.post("/api/room/refresh-token", &json!({"roomName": name})).by(user).send().await
}

async fn end(app: &App, user: &MockUser, room: &Value) {
    let path = format!("/api/room/{}", room["id"].as_str().unwrap());
    app.request(Method::DELETE, &path).by(user).send().await.ok();
}

/// A room with one place.
async fn narrow(app: &App, owner: &MockUser) {
    create(app, owner, json!({"name": "den", "maxParticipants": 1, "isPublic": true})).await;
}

#[tokio::test]
async fn a_token_of_an_ended_room_does_not_open_the_next_one_of_its_name() {
    let app = App::new().await;
    let (ann, eve) = (app.user("ann").await, app.user("eve").await);
    let first = create(&app, &ann, json!({"name": "standup", "isPublic": true})).await;
    let token = join(&app, &eve, "standup").await;
    let admitted = connect(&app, &token, false).await.unwrap().unwrap();
    assert_eq!(admitted.room_id, first["id"]);
    connected(&app, "standup", &eve.id).await;
    end(&app, &ann, &first).await;
    create(&app, &ann, json!({"name": "standup", "isPublic": false})).await;
    assert_eq!(connect(&app, &token, false).await, Err(Refusal::Inactive.into()));
    let inside = join(&app, &ann, "standup").await;
    assert!(connect(&app, &inside, false).await.is_ok());
    // Nor does a late word of the first room's end concern the people in the second.
    connected(&app, "standup", &ann.id).await;
    let late = Change::Finished { room: first["id"].as_str().unwrap().into() };
    live::store(&app.state, &late).await;
    let second = id_of(&app, "standup").await;
    assert_eq!(app.state.store.read(move |c| db::participants::count_present(c, &second)).await, Ok(1));
}

#[tokio::test]
async fn a_token_for_a_room_that_has_become_private_opens_it_for_members_alone() {
    let app = App::new().await;
    let (ann, eve) = (app.user("ann").await, app.user("eve").await);
    create(&app, &ann, json!({"name": "den", "isPublic": true})).await;
    let renewed = renew(&app, &eve, "den").await.ok()["token"].clone();
    let path = format!("/api/room/{}/settings", id_of(&app, "den").await);
    app.put(&path, &json!({"isPublic": false})).by(&ann).send().await.ok();
    assert_eq!(connect(&app, &renewed, false).await, Err(Refusal::Private.into()));
    let asked = |identity: &str| rooms::Shown {
        room: "den".into(),
        identity: identity.into(),
        ..rooms::Shown::default()
    };
    // An operator's own token for somebody with an account counts as that person, one for an agent does not.
    assert_eq!(show(&app.state, asked(&eve.id)).await, Err(Refusal::Private.into()));
    let agent = show(&app.state, asked("agent-7")).await.unwrap().unwrap();
    assert_eq!((agent.member, agent.room_id), (None, id_of(&app, "den").await));
    let elsewhere = rooms::Shown { room: "elsewhere".into(), ..asked("agent-7") };
    assert_eq!(show(&app.state, elsewhere).await, Ok(None));
}

#[tokio::test]
async fn no_way_in_leads_past_the_number_of_places() {
    let app = App::new().await;
    let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
    narrow(&app, &ann).await;
    // Two tokens that took no place, from a time when there was one.
    let renewed = renew(&app, &eve, "den").await.ok()["token"].clone();
    let bobs = renew(&app, &bob, "den").await.ok()["token"].clone();
    assert!(connect(&app, &renewed, true).await.is_ok(), "a rehearsal takes no place");
    assert!(connect(&app, &bobs, false).await.is_ok());
    for rehearsal in [true, false] {
        assert_eq!(connect(&app, &renewed, rehearsal).await, Err(Refusal::Full.into()));
    }
    let refused = renew(&app, &eve, "den").await;
    refused.refused(403, "room is full");
    assert_eq!(refused.json()["code"], "room_full");
    // Whoever is inside comes back, even when there are fewer places now.
    connected(&app, "den", &bob.id).await;
    app.advance(Duration::from_secs(600));
    renew(&app, &bob, "den").await.ok();
    assert!(connect(&app, &bobs, false).await.is_ok());
    assert_eq!(connect(&app, &renewed, false).await, Err(Refusal::Full.into()));
    left(&app, "den", &bob.id).await;
    assert!(connect(&app, &renewed, false).await.is_ok());
    assert_eq!(connect(&app, &bobs, false).await, Err(Refusal::Full.into()));
}

#[tokio::test]
async fn the_last_place_goes_to_one_of_many_who_connect() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    narrow(&app, &ann).await;
    let mut tokens = Vec::new();
    for n in 0..6 {
        let guest = app.guest(&format!("guest {n}")).await;
        tokens.push(renew(&app, &guest, "den").await.ok()["token"].clone());
    }
    let all = tokens.iter().map(|token| connect(&app, token, false));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_token_ends_with_the_sign_in_that_asked_for_it() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    create(&app, &ann, den()).await;
    let login = || async {
        let body = json!({"email": "ann@example.org", "password": PASSWORD});
        MockUser::from(app.post("/api/auth/login", &body).send().await.ok())
    };
    let (phone, desk) = (login().await, login().await);
    let (on_phone, at_desk) = (join(&app, &phone, "den-1").await, join(&app, &desk, "den-1").await);
    app.post("/api/auth/logout", &json!({})).by(&phone).send().await.ok();
    assert_eq!(connect(&app, &on_phone, false).await, Err(ConnectError::SessionEnded));
    assert_eq!(connect(&app, &on_phone, true).await, Err(ConnectError::SessionEnded));
    assert!(connect(&app, &at_desk, false).await.is_ok(), "the other device stays");
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another long password"});
    app.put("/api/auth/password", &change).by(&desk).send().await.ok();
    assert_eq!(connect(&app, &at_desk, false).await, Err(ConnectError::SessionEnded));
}

#[tokio::test]
async fn a_token_of_an_account_that_was_switched_off_or_removed_opens_nothing() {
    use crate::db::schema::users;
    use diesel::prelude::*;
    let app = App::new().await;
    let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
    create(&app, &ann, den()).await;
    let (bobs, eves) = (join(&app, &bob, "den-1").await, join(&app, &eve, "den-1").await);
    let (off, gone) = (bob.id.clone(), eve.id.clone());
    let change = move |c: &mut db::Db| {
        diesel::update(users::table.find(off)).set(users::is_active.eq(false)).execute(c)?;
        diesel::delete(users::table.find(gone)).execute(c).map_err(DbError::from)
    };
    app.state.store.write(change).await.unwrap();
    for token in [bobs, eves] {
        assert_eq!(connect(&app, &token, false).await, Err(ConnectError::SessionEnded));
    }
    let shown = rooms::Shown { room: "den-1".into(), identity: bob.id.clone(), ..rooms::Shown::default() };
    assert_eq!(show(&app.state, shown).await, Err(ConnectError::Deactivated));
}

#[tokio::test]
async fn a_switch_reaches_the_token_the_media_server_and_the_answers() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    let settings = json!({"allowChat": false, "allowVideo": false, "allowAudio": true});
    let room = create(&app, &ann, json!({"name": "den", "isPublic": true, "settings": settings})).await;
    let joined =
        app.post("/api/room/guest-join", &json!({"roomName": "den", "guestName": "Gus"})).send().await.ok();
    assert_eq!(joined["settings"], room["settings"], "a guest's page knows what not to offer");
    let sources = json!(["microphone", "screen_share", "screen_share_audio"]);
    assert_eq!(claims(joined["token"].as_str().unwrap())["video"]["canPublishSources"], sources);
    let member = connect(&app, &joined["token"], false).await.unwrap().unwrap().member.unwrap();
    assert_eq!(member.restrictions.sources, [TrackSource::Camera]);
    assert!(member.restrictions.topics.iter().any(|topic| topic == "chat"));
    // Those inside lose and get back what is switched.
    let id = room["id"].as_str().unwrap();
    let open = json!({"settings": {"allowChat": true, "allowVideo": true, "allowAudio": true}});
    app.put(&format!("/api/room/{id}/settings"), &open).by(&ann).send().await.ok();
    let told = r#"{"event":"room_settings","settings":{"allowAudio":true,"allowChat":true,"allowVideo":true},"type":"system"}"#;
    let calls = [format!("restrict {id} {:?}", Restrictions::default()), format!("send {id} {told}")];
    assert_eq!(app.media.calls(), calls);
    let free = join(&app, &ann, "den").await;
    assert_eq!(claims(free.as_str().unwrap())["video"].get("canPublishSources"), None);
}

#[tokio::test]
async fn a_room_made_without_settings_is_open_for_sound_picture_and_chat() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    let room = create(&app, &ann, json!({"name": "den"})).await;
    for key in ["allowChat", "allowVideo", "allowAudio"] {
        assert_eq!(room["settings"][key], true, "{key}");
    }
    assert_eq!(room["settings"]["requireApproval"], false);
}

#[tokio::test]
async fn a_room_that_wants_approval_takes_those_who_run_it() {
    let app = App::new().await;
    let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
    let settings = json!({"requireApproval": true, "allowAudio": true});
    create(&app, &ann, json!({"name": "den", "isPublic": true, "settings": settings})).await;
    join(&app, &ann, "den").await;
    let text = "This room requires approval to join";
    let guest =
        app.post("/api/room/guest-join", &json!({"roomName": "den", "guestName": "Gus"})).send().await;
    guest.refused(403, text);
    assert_eq!(guest.json()["code"], "room_needs_approval");
    app.post("/api/room/join", &json!({"roomName": "den"})).by(&eve).send().await.refused(403, text);
    renew(&app, &eve, "den").await.refused(403, text);
    app.get("/api/room/check/den").send().await.refused(403, text);
    // A moderator is let in before anybody has approved of them.
    let room = id_of(&app, "den").await;
    let row = db::participants::Participant {
        is_moderator: true,
        is_approved: false,
        ..db::participants::tests::sample("p", &room, &bob.id)
    };
    let insert = move |c: &mut db::Db| {
        use crate::db::schema::room_participants as rows;
        use diesel::prelude::*;
        diesel::insert_into(rows::table).values(&row).execute(c).map_err(DbError::from)
    };
    app.state.store.write(insert).await.unwrap();
    let token = join(&app, &bob, "den").await;
    let member = connect(&app, &token, false).await.unwrap().unwrap().member.unwrap();
    assert_eq!(member.metadata["accesses"], json!(["user", "moderator"]));
}
