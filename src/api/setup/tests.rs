//! The first administrator by its routes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    api::testing::{App, PASSWORD},
    domain::setup,
};

fn form(token: &str, name: &str) -> Value {
    json!({"token": token, "email": format!("{name}@example.org"), "password": PASSWORD, "name": name})
}

#[tokio::test]
async fn the_link_makes_one_administrator() {
    let app = App::new().await;
    assert_eq!(app.get("/api/setup").send().await.ok(), json!({"required": true}));
    app.user("ann").await;
    let token = setup::new_token(&app.state).await.unwrap().unwrap().text;
    app.post("/api/setup", &form("guess", "eve")).send().await.refused(403, "Invalid or expired setup link");
    app.post("/api/setup", &form("", "eve")).send().await.refused(403, "Invalid or expired setup link");
    let answer = app.post("/api/setup", &form(&token, "root")).send().await;
    let body = answer.ok();
    assert_eq!(body["user"]["accesses"], json!(["superadmin", "user"]));
    assert_eq!(body["user"]["isAdmin"], true);
    assert_eq!(answer.cookies().len(), 3);
    app.post("/api/setup", &form(&token, "eve")).send().await.refused(409, "Setup is already complete");
    assert_eq!(app.get("/api/setup").send().await.ok(), json!({"required": false}));
    assert_eq!(setup::new_token(&app.state).await.unwrap(), None);
}

#[tokio::test]
async fn a_rush_makes_one_administrator_too() {
    let app = App::new().await;
    let token = setup::new_token(&app.state).await.unwrap().unwrap().text;
    let calls = (0..10).map(|n| {
        let body = form(&token, &format!("root{n}"));
        let app = &app;
        async move { app.post("/api/setup", &body).send().await }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 1);
}

#[tokio::test]
async fn a_mistake_in_the_form_does_not_use_the_link_up() {
    let app = App::new().await;
    let token = setup::new_token(&app.state).await.unwrap().unwrap().text;
    let mut body = form(&token, "root");
    body["password"] = "short".into();
    app.post("/api/setup", &body).send().await.refused(400, "Password must be at least 12 characters");
    app.post("/api/setup", &form(&token, "root")).send().await.ok();
}

#[tokio::test]
async fn a_link_runs_out_and_a_newer_one_replaces_it() {
    let app = App::new().await;
    let old = setup::new_token(&app.state).await.unwrap().unwrap().text;
    let new = setup::new_token(&app.state).await.unwrap().unwrap().text;
    app.post("/api/setup", &form(&old, "root")).send().await.refused(403, "Invalid or expired setup link");
    app.advance(Duration::from_secs(24 * 3600));
    app.post("/api/setup", &form(&new, "root")).send().await.refused(403, "Invalid or expired setup link");
}
