//! Accounts by their routes.

use std::time::Duration;

use axum::http::{Method, header};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::{
    api::testing::{App, MockUser, PASSWORD, claims, without_tokens},
    db::{self, DbError, Moment},
};

const COMMON: &str = "This password is too easy to guess, please choose another one";

async fn store_setting(app: &App, key: &'static str, value: Value) {
    let put = move |c: &mut db::Db| db::settings::put(c, key, &value, Moment::EPOCH);
    app.state.store.write::<_, DbError>(put).await.unwrap();
}

fn ann() -> Value {
    json!({"email": " Ann@Example.ORG ", "password": PASSWORD, "name": "<Ann>"})
}

#[tokio::test]
async fn registering_signs_in() {
    let app = App::new().await;
    let answer = app.post("/api/auth/register", &ann()).send().await;
    assert_json_snapshot!("register", without_tokens(answer.ok()));
    let user = MockUser::from(answer.json());
    assert_eq!(answer.cookie("access_token"), Some(user.access.as_str()));
    assert_eq!(answer.cookie("refresh_token"), Some(user.refresh.as_str()));
    let ages: Vec<bool> = ["Max-Age=86400; HttpOnly; SameSite=Lax", "Max-Age=604800; HttpOnly; SameSite=Lax"]
        .iter()
        .zip(answer.cookies())
        .map(|(end, cookie)| cookie.ends_with(end))
        .collect();
    assert_eq!(ages, [true, true], "{:?}", answer.cookies());
    assert_json_snapshot!("access_claims", claims(&user.access));
    assert_json_snapshot!("me", app.get("/api/auth/me").by(&user).send().await.ok());
}

#[tokio::test]
async fn keys_match_in_any_case_and_extra_ones_are_ignored() {
    let app = App::new().await;
    let body = json!({"Email": "a@b.c", "PASSWORD": PASSWORD, "name": "Ann", "accesses": ["superadmin"], "isActive": false, "id": "x"});
    let user = app.post("/api/auth/register", &body).send().await.ok();
    assert_eq!(user["user"]["accesses"], json!(["user"]));
    assert_eq!(user["user"]["isActive"], true);
    assert_ne!(user["user"]["id"], "x");
}

#[tokio::test]
async fn each_rule_of_the_form_has_its_text() {
    let app = App::new().await;
    let with = |key: &str, value: &str| {
        let mut body = ann();
        body[key] = value.into();
        body
    };
    for (body, text) in [
        (with("email", "nobody"), "Invalid email format"),
        (with("name", "<A>"), "Name must be at least 2 characters"),
        (with("name", &"a".repeat(256)), "Name must be at most 255 characters"),
        (with("password", "elevenchars"), "Password must be at least 12 characters"),
        (with("password", &"\u{1f600}".repeat(11)), "Password must be at least 12 characters"),
        (with("password", &"a".repeat(1025)), "Password must be at most 1024 bytes"),
        (with("password", &"a".repeat(10 * 1024)), "Password must be at most 1024 bytes"),
        (with("password", &"a".repeat(15)), COMMON),
        (with("password", "password1234567"), COMMON),
        (with("password", "ann@example.org"), COMMON),
        (json!({"email": 7}), "Invalid input"),
        (json!([]), "Invalid input"),
    ] {
        app.post("/api/auth/register", &body).send().await.refused(400, text);
    }
}

#[tokio::test]
async fn an_address_is_taken_once_whatever_its_spelling() {
    let app = App::new().await;
    app.post("/api/auth/register", &ann()).send().await.ok();
    let again = json!({"email": "ANN@example.org", "password": PASSWORD, "name": "Ann"});
    let answer = app.post("/api/auth/register", &again).send().await;
    answer.refused(400, "Unable to register with the provided details");
    assert_eq!(answer.cookies(), [""; 0]);
}

#[tokio::test]
async fn many_registrations_of_one_address_make_one_account() {
    let app = App::new().await;
    let calls = (0..8).map(|_| app.post("/api/auth/register", &ann()).send());
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 1);
}

#[tokio::test]
async fn registration_can_be_switched_off() {
    let app = App::new().await;
    store_setting(&app, "registrationEnabled", json!(false)).await;
    app.post("/api/auth/register", &ann()).send().await.refused(403, "Registration is currently disabled");
    let guest = app.post("/api/auth/guest-login", &json!({"name": "Gus"})).send().await;
    guest.refused(403, "Registration is currently disabled");
}

#[tokio::test]
async fn registration_by_invite_uses_the_invite_up() {
    let app = App::with(|settings| settings.registration.token_registration_only = true).await;
    let invite = db::invites::Invite {
        id: "i".into(),
        token: "inv".into(),
        email: String::new(),
        created_by: None,
        expires_at: app.state.now().plus(Duration::from_secs(60)),
        used_at: None,
        used_by: None,
        created_at: app.state.now(),
    };
    app.state.store.write::<_, DbError>(move |c| db::invites::insert(c, &invite)).await.unwrap();
    let body = |address: &str, token: &str| json!({"email": address, "password": PASSWORD, "name": "Ann", "inviteToken": token});
    let register = |body: Value| app.post("/api/auth/register", &body).send();
    register(body("a@b.c", "")).await.refused(403, "An invite token is required to register");
    register(body("a@b.c", "no")).await.refused(403, "Invalid or expired invite token");
    register(body("wrong", "inv")).await.refused(400, "Invalid email format");
    register(body("a@b.c", "inv")).await.ok();
    register(body("b@b.c", "inv")).await.refused(403, "Invalid or expired invite token");
}

#[tokio::test]
async fn signing_in_needs_the_right_password() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let login = |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let app = &app;
        async move { app.post("/api/auth/login", &body).send().await }
    };
    let answer = login("ANN@example.org", PASSWORD).await;
    assert_json_snapshot!("login", without_tokens(answer.ok()));
    assert_eq!(answer.json()["user"]["id"], user.id.as_str());
    assert_eq!(answer.cookies().len(), 3);
    login("ann@example.org", "wrong password").await.refused(401, "Invalid credentials");
    login("bob@example.org", PASSWORD).await.refused(401, "Invalid credentials");
    login("no address", PASSWORD).await.refused(401, "Invalid credentials");
    login("", PASSWORD).await.refused(400, "Email and password are required");
    login("ann@example.org", "").await.refused(400, "Email and password are required");
    login("ann@example.org", &"x".repeat(1025)).await.refused(400, "Password must be at most 1024 bytes");
}

#[tokio::test]
async fn a_deactivated_account_is_shut_out_at_once() {
    use diesel::prelude::*;
    let app = App::new().await;
    let user = app.user("ann").await;
    let id = user.id.clone();
    let ban = move |c: &mut db::Db| {
        use crate::db::schema::users;
        diesel::update(users::table.find(id))
            .set(users::is_active.eq(false))
            .execute(c)
            .map_err(DbError::from)
    };
    app.state.store.write(ban).await.unwrap();
    app.get("/api/auth/me").by(&user).send().await.refused(403, "Account is deactivated");
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    app.post("/api/auth/login", &body).send().await.refused(401, "Invalid credentials");
    let body = json!({"refresh_token": user.refresh});
    app.post("/api/auth/refresh", &body).send().await.refused(403, "Account is deactivated");
}

#[tokio::test]
async fn verification_comes_first_where_it_is_required() {
    let app = App::with(|settings| settings.auth.require_email_verification = true).await;
    let answer = app.post("/api/auth/register", &ann()).send().await;
    assert_json_snapshot!("register_unverified", answer.ok());
    assert_eq!(answer.cookies(), [""; 0]);
    let login =
        app.post("/api/auth/login", &json!({"email": "ann@example.org", "password": PASSWORD})).send().await;
    assert_eq!(login.status, 403);
    assert_json_snapshot!("login_unverified", login.json());
    let guest = app.guest("Gus").await;
    app.get("/api/auth/me").by(&guest).send().await.ok();
}

#[tokio::test]
async fn a_guest_needs_only_a_name() {
    let app = App::new().await;
    let answer = app.post("/api/auth/guest-login", &json!({"name": "Gus"})).send().await;
    assert_json_snapshot!("guest_login", without_tokens(answer.ok()));
    assert_eq!(answer.cookies().len(), 3);
    let guest = |name: &str| app.post("/api/auth/guest-login", &json!({"name": name}));
    guest(" <> ").send().await.refused(400, "Name is required");
    guest("G").send().await.refused(400, "Name must be between 2 and 50 characters");
    guest(&"g".repeat(51)).send().await.refused(400, "Name must be between 2 and 50 characters");
    store_setting(&app, "guestLoginEnabled", json!(false)).await;
    guest("Gus").send().await.refused(403, "Guest login is currently disabled");
}

#[tokio::test]
async fn the_cookie_reads_but_never_writes() {
    let app = App::new().await;
    let user = app.user("ann").await;
    app.get("/api/auth/me").cookies_of(&user).send().await.ok();
    let needs_header = "Authorization header required for state-changing requests";
    app.post("/api/room/create", &json!({})).cookies_of(&user).send().await.refused(401, needs_header);
    app.post("/api/auth/logout", &json!({})).cookies_of(&user).send().await.refused(401, needs_header);
    app.put("/api/auth/me", &json!({"name": "Eve"}))
        .cookies_of(&user)
        .send()
        .await
        .refused(401, needs_header);
    let bare = app.post("/api/room/create", &json!({})).header(header::AUTHORIZATION, &user.access);
    bare.send().await.refused(401, needs_header);
    app.get("/api/auth/me").header(header::AUTHORIZATION, &user.access).send().await.ok();
    app.get("/api/auth/me")
        .header(header::AUTHORIZATION, &format!("bEaReR {}", user.access))
        .send()
        .await
        .ok();
}

#[tokio::test]
async fn a_token_that_is_not_ours_opens_nothing() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let me = |token: &str| app.get("/api/auth/me").header(header::AUTHORIZATION, &format!("Bearer {token}"));
    app.get("/api/auth/me").send().await.refused(401, "Missing authorization");
    me("nonsense").send().await.refused(401, "Invalid token");
    me(&user.refresh).send().await.refused(401, "Invalid token");
    me(&"x".repeat(100_000)).send().await.refused(401, "Invalid token");
    let other = App::with(|settings| settings.auth.jwt_secret = "another".into()).await;
    other.get("/api/auth/me").by(&user).send().await.refused(401, "Invalid token");
    app.advance(Duration::from_secs(24 * 3600));
    app.get("/api/auth/me").by(&user).send().await.refused(401, "Invalid token");
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_from_body_or_cookie() {
    let app = App::new().await;
    let user = app.user("ann").await;
    app.request(Method::POST, "/api/auth/refresh").send().await.refused(400, "No refresh token provided");
    let answer = app.request(Method::POST, "/api/auth/refresh").cookies_of(&user).send().await;
    assert_json_snapshot!("refresh", without_tokens(answer.ok()));
    assert_eq!(answer.cookies().len(), 2);
    let second = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(answer.cookie("refresh_token"), Some(second.as_str()));
    assert_ne!(second, user.refresh);
    let third = app.post("/api/auth/refresh", &json!({"refresh_token": second})).send().await.ok();
    let access = third["access_token"].as_str().unwrap();
    app.get("/api/auth/me").header(header::AUTHORIZATION, access).send().await.ok();
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_both_sessions_at_once() {
    let app = App::new().await;
    let refresh = |token: &str| app.post("/api/auth/refresh", &json!({"refresh_token": token}));
    // One of the two is a thief, whoever came first; the second comes within the old grace, or long after.
    for pause in [Duration::from_millis(1), Duration::from_secs(2), Duration::from_secs(3600)] {
        let email = format!("ann{}@example.org", pause.as_millis());
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann"});
        let user = MockUser::from(app.post("/api/auth/register", &body).send().await.ok());
        let first = refresh(&user.refresh).send().await.ok();
        app.advance(pause);
        refresh(&user.refresh).send().await.refused(401, "Invalid or expired refresh token");
        let newest = first["refresh_token"].as_str().unwrap();
        refresh(newest).send().await.refused(401, "Invalid or expired refresh token");
        for access in [user.access.as_str(), first["access_token"].as_str().unwrap()] {
            let me = app.get("/api/auth/me").header(header::AUTHORIZATION, &format!("Bearer {access}"));
            me.send().await.refused(401, "Invalid token");
        }
    }
}

#[tokio::test]
async fn the_slower_of_two_tabs_is_told_and_a_thief_without_its_cookie_is_not() {
    let app = App::new().await;
    let answer = app.post("/api/auth/register", &ann()).send().await;
    let device = format!("bedrud_device={}", answer.cookie("bedrud_device").unwrap());
    let user = MockUser::from(answer.ok());
    let refresh = |token: &str, cookie: &str| {
        app.post("/api/auth/refresh", &json!({"refresh_token": token})).header(header::COOKIE, cookie)
    };
    let rotated = "Refresh token has already been rotated";
    let first = refresh(&user.refresh, &device).send().await.ok();
    app.advance(Duration::from_millis(700));
    refresh(&user.refresh, &device).send().await.refused(409, rotated);
    app.get("/api/auth/me").by(&user).send().await.ok();
    // The device stays known over the exchange, and one step back only.
    let second = refresh(first["refresh_token"].as_str().unwrap(), &device).send().await.ok();
    app.advance(Duration::from_millis(700));
    refresh(first["refresh_token"].as_str().unwrap(), &device).send().await.refused(409, rotated);
    app.get("/api/auth/me").by(&user).send().await.ok();
    let other = app.post("/api/auth/guest-login", &json!({"name": "Gus"})).send().await;
    let foreign = format!("bedrud_device={}", other.cookie("bedrud_device").unwrap());
    let invalid = "Invalid or expired refresh token";
    refresh(first["refresh_token"].as_str().unwrap(), &foreign).send().await.refused(401, invalid);
    refresh(second["refresh_token"].as_str().unwrap(), &device).send().await.refused(401, invalid);
    app.get("/api/auth/me").by(&user).send().await.refused(401, "Invalid token");
}

#[tokio::test]
async fn many_exchanges_at_once_have_one_winner() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let body = json!({"refresh_token": user.refresh});
    let answers =
        futures_util::future::join_all((0..8).map(|_| app.post("/api/auth/refresh", &body).send())).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_second_device_leaves_the_first_alone() {
    let app = App::new().await;
    let first = app.user("ann").await;
    let login =
        app.post("/api/auth/login", &json!({"email": "ann@example.org", "password": PASSWORD})).send().await;
    let second = MockUser::from(login.ok());
    app.post("/api/auth/refresh", &json!({"refresh_token": first.refresh})).send().await.ok();
    app.request(Method::POST, "/api/auth/logout").by(&second).send().await.ok();
    app.get("/api/auth/me").by(&first).send().await.ok();
    app.get("/api/auth/me").by(&second).send().await.refused(401, "Invalid token");
}

#[tokio::test]
async fn signing_out_ends_both_tokens() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let answer = app.request(Method::POST, "/api/auth/logout").by(&user).send().await;
    assert_eq!(answer.ok(), json!({"message": "Successfully logged out"}));
    let gone = "Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(answer.cookies(), [format!("access_token=; {gone}"), format!("refresh_token=; {gone}")]);
    app.get("/api/auth/me").by(&user).send().await.refused(401, "Invalid token");
    let refresh = app.post("/api/auth/refresh", &json!({"refresh_token": user.refresh})).send().await;
    refresh.refused(401, "Invalid or expired refresh token");
}

#[tokio::test]
async fn a_refresh_token_runs_out() {
    let app = App::new().await;
    let user = app.user("ann").await;
    app.advance(Duration::from_secs(7 * 24 * 3600));
    let refresh = app.post("/api/auth/refresh", &json!({"refresh_token": user.refresh})).send().await;
    refresh.refused(401, "Invalid or expired refresh token");
}

#[tokio::test]
async fn the_profile_changes_its_name() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let put = |body: Value| {
        let (app, user) = (&app, &user);
        async move { app.put("/api/auth/me", &body).by(user).send().await }
    };
    assert_json_snapshot!("profile", put(json!({"name": "Ann B", "email": "ann@EXAMPLE.org"})).await.ok());
    assert_eq!(app.get("/api/auth/me").by(&user).send().await.ok()["name"], "Ann B");
    put(json!({})).await.refused(400, "Name must be at least 2 characters");
    put(json!({"name": "Ann", "email": "eve@example.org"}))
        .await
        .refused(400, "Changing the email address is not available on this server");
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let change = |current: &str, new: &str| {
        app.put("/api/auth/password", &json!({"currentPassword": current, "newPassword": new})).by(&user)
    };
    change("wrong", "another password of mine").send().await.refused(400, "current password is incorrect");
    change(PASSWORD, "short").send().await.refused(400, "New password must be at least 12 characters");
    change(PASSWORD, &"x".repeat(1025)).send().await.refused(400, "New password must be at most 1024 bytes");
    change(PASSWORD, "annannannannann").send().await.refused(400, COMMON);
    let done = change(PASSWORD, "another password of mine").send().await.ok();
    assert_eq!(done, json!({"message": "Password updated successfully"}));
    app.get("/api/auth/me").by(&user).send().await.refused(401, "Invalid token");
    let login = |password: &str| {
        app.post("/api/auth/login", &json!({"email": "ann@example.org", "password": password}))
    };
    login(PASSWORD).send().await.refused(401, "Invalid credentials");
    let user = MockUser::from(login("another password of mine").send().await.ok());
    assert_ne!(app.get("/api/auth/me").by(&user).send().await.ok()["passwordChangedAt"], Value::Null);
    let guest = app.guest("Gus").await;
    let change =
        app.put("/api/auth/password", &json!({"newPassword": "another password of mine"})).by(&guest);
    change.send().await.refused(400, "password change is only available for local accounts");
}

#[tokio::test]
async fn preferences_are_an_object_of_bounded_size() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let get = || app.get("/api/auth/preferences").by(&user);
    let put = |json: &str| app.put("/api/auth/preferences", &json!({"preferencesJson": json})).by(&user);
    assert_eq!(get().send().await.ok(), json!({"preferencesJson": "{}"}));
    assert_eq!(put(r#"{"audio":{}}"#).send().await.ok(), json!({"message": "Preferences updated"}));
    assert_eq!(get().send().await.ok(), json!({"preferencesJson": r#"{"audio":{}}"#}));
    put("[]").send().await.refused(400, "preferencesJson must be a JSON object");
    put("{").send().await.refused(400, "preferencesJson must be valid JSON");
    let huge = format!(r#"{{"a":"{}"}}"#, "x".repeat(4096));
    put(&huge).send().await.refused(413, "preferencesJson too large (max 4 KB)");
}

#[tokio::test]
async fn public_settings_follow_what_is_stored() {
    let app = App::new().await;
    assert_json_snapshot!("settings", app.get("/api/auth/settings").send().await.ok());
    store_setting(&app, "passkeysEnabled", json!(false)).await;
    store_setting(&app, "serverName", json!("Ours")).await;
    let settings = app.get("/api/auth/settings").send().await.ok();
    assert_eq!((&settings["passkeysEnabled"], &settings["serverName"]), (&json!(false), &json!("Ours")));
}
