//! What holds for every route.

use axum::http::{Method, header};
use serde_json::json;

use crate::{api::testing::App, domain::settings::RateLimit};
use std::time::Duration;

#[tokio::test]
async fn unknown_paths_and_methods_answer_in_json() {
    let app = App::new().await;
    app.get("/api/nope").send().await.refused(404, "Not Found");
    app.get("/api/auth/nope").send().await.refused(404, "Not Found");
    app.request(Method::PATCH, "/api/room/create").send().await.refused(405, "Method Not Allowed");
}

#[tokio::test]
async fn a_body_without_content_type_is_unreadable() {
    let app = App::new().await;
    let body = json!({"email": "a@example.org", "password": "x"}).to_string();
    let call = |kind: &'static str| {
        app.request(Method::POST, "/api/auth/login").body(body.clone()).header("content-type", kind)
    };
    app.request(Method::POST, "/api/auth/login")
        .body(body.clone())
        .send()
        .await
        .refused(400, "Invalid input");
    call("text/plain").send().await.refused(400, "Invalid input");
    call("application/json; charset=utf-8").send().await.refused(401, "Invalid credentials");
    call("application/json").body("{").send().await.refused(400, "Invalid input");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let app = App::new().await;
    let huge = json!({"email": "a@example.org", "password": "x".repeat(300_000)});
    app.post("/api/auth/login", &huge).send().await.refused(413, "Request Entity Too Large");
    let over = vec![b' '; app.state.settings.limits.body_bytes + 1];
    let call =
        app.request(Method::POST, "/api/auth/login").body(over).header("content-type", "application/json");
    call.send().await.refused(413, "Request Entity Too Large");
}

#[tokio::test]
async fn a_client_that_is_too_fast_is_told_when_to_come_back() {
    let app = App::with(|settings| settings.rate_limits.auth.max = 2).await;
    let login =
        |ip: &'static str| app.post("/api/auth/login", &json!({"email": "a@b.c", "password": "x"})).ip(ip);
    let first = login("192.0.2.1").send().await;
    first.refused(401, "Invalid credentials");
    assert_eq!(first.headers["x-ratelimit-limit"], "2");
    assert_eq!(first.headers["x-ratelimit-remaining"], "1");
    assert_eq!(first.headers["x-ratelimit-reset"], "60");
    login("192.0.2.1").send().await.refused(401, "Invalid credentials");
    app.advance(Duration::from_secs(20));
    let third = login("192.0.2.1").send().await;
    third.refused(429, "too many requests, please try again later");
    assert_eq!(third.headers[header::RETRY_AFTER], "40");
    login("192.0.2.2").send().await.refused(401, "Invalid credentials");
    app.post("/api/auth/guest-login", &json!({"name": "Gus"})).send().await.ok();
    app.advance(Duration::from_secs(40));
    login("192.0.2.1").send().await.refused(401, "Invalid credentials");
}

#[tokio::test]
async fn a_closed_database_is_a_passing_failure() {
    let app = App::new().await;
    let user = app.user("ann").await;
    app.state.store.close().await;
    let answer = app.get("/api/auth/me").by(&user).send().await;
    answer.refused(503, "The server is busy, please try again");
    assert_eq!(answer.headers[header::RETRY_AFTER], "2");
    let answer = app.post("/api/room/create", &json!({})).by(&user).send().await;
    answer.refused(503, "The server is busy, please try again");
}

#[tokio::test]
async fn get_routes_answer_head() {
    let app = App::new().await;
    let answer = app.request(Method::HEAD, "/api/auth/settings").send().await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_class_behind_one_address_gets_in_at_once_and_waits_for_a_room_that_is_not_open() {
    let app = App::with(|settings| {
        settings.rate_limits.guest = RateLimit { max: 5, window: Duration::from_secs(60) };
    })
    .await;
    let owner = app.user("teacher").await;
    let knock = |room: &'static str, n: usize| {
        let body = json!({"roomName": room, "guestName": format!("Pupil {n}")});
        app.post("/api/room/guest-join", &body)
    };
    for n in 0..40 {
        knock("lesson-1", n).send().await.refused(404, "Room not found");
        app.get("/api/room/check/lesson-1").send().await.refused(404, "Room not found");
    }
    app.post("/api/room/create", &json!({"name": "lesson-1", "isPublic": true})).by(&owner).send().await.ok();
    let class = (0..40).map(|n| knock("lesson-1", n).send());
    for answer in futures_util::future::join_all(class).await {
        answer.ok();
    }
    // Names are not for guessing all the same.
    let mut refused = None;
    for room in ["guess-1", "guess-2", "guess-3", "guess-4", "guess-5", "guess-6"] {
        refused = Some(knock(room, 0).send().await);
    }
    let refused = refused.unwrap();
    refused.refused(429, "too many guest join attempts");
    assert_eq!(refused.json()["retryAfter"], 60);
    // Somebody else notices nothing.
    knock("lesson-1", 41).ip("198.51.100.7").send().await.ok();
}
