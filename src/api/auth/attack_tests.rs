//! What somebody tries who wants into an account of another, or who makes tokens up.

use std::time::Duration;

use axum::http::{Method, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::api::testing::{Answer, App, MockUser, PASSWORD, claims};

async fn login(app: &App, email: &str, password: &str, ip: &str, cookie: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    app.post("/api/auth/login", &body).ip(ip).header(header::COOKIE, cookie).send().await
}

#[tokio::test]
async fn three_hundred_guesses_from_as_many_addresses_are_answered_with_waits() {
    let app = App::new().await;
    let registered = app
        .post("/api/auth/register", &json!({"email": "ann@example.org", "password": PASSWORD, "name": "Ann"}))
        .ip("192.0.2.1")
        .send()
        .await;
    let device = format!("bedrud_device={}", registered.cookie("bedrud_device").unwrap());
    let mut statuses = Vec::new();
    for n in 0..300 {
        let answer =
            login(&app, "ann@example.org", "guess", &format!("198.51.{}.{}", n / 250, n % 250), "").await;
        if answer.status == 429 {
            let wait: u64 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
            assert!(wait >= 1);
            assert_eq!(
                answer.json()["error"],
                format!("Too many failed attempts, please try again in {wait} s")
            );
        }
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|s| **s == 401).count(), 5, "looked at");
    assert_eq!(statuses.iter().filter(|s| **s == 429).count(), 295, "told to wait");
    // Not even the right password opens it for a stranger now, and that tells the guesser nothing.
    assert_eq!(login(&app, "ann@example.org", PASSWORD, "198.51.100.1", "").await.status, 429);
    // The owner does not notice: not on a device of hers, wherever, and not at home with another one.
    login(&app, "ann@example.org", PASSWORD, "203.0.113.5", &device).await.ok();
    login(&app, "ann@example.org", PASSWORD, "192.0.2.1", "").await.ok();
    // Nor does anybody else.
    assert_eq!(login(&app, "bob@example.org", "guess", "198.51.0.1", "").await.status, 401);
}

#[tokio::test]
async fn a_known_device_is_no_way_around_the_limit() {
    let app = App::new().await;
    let registered = app
        .post("/api/auth/register", &json!({"email": "eve@example.org", "password": PASSWORD, "name": "Eve"}))
        .send()
        .await;
    app.user("ann").await;
    let device = format!("bedrud_device={}", registered.cookie("bedrud_device").unwrap());
    let mut looked_at = 0;
    for n in 0..50 {
        let ip = format!("198.51.100.{n}");
        looked_at += usize::from(login(&app, "ann@example.org", "guess", &ip, &device).await.status == 401);
    }
    assert_eq!(looked_at, 5, "a device of Eve's is a stranger's at Ann's account");
    let own = {
        let mut own = 0;
        for _ in 0..50 {
            own += usize::from(
                login(&app, "eve@example.org", "guess", "198.51.100.1", &device).await.status == 401,
            );
        }
        own
    };
    assert_eq!(own, 5);
}

#[tokio::test]
async fn nobody_learns_which_accounts_exist() {
    let app = App::new().await;
    app.user("ann").await;
    let shape = |answer: &Answer| {
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        (answer.status, answer.text.clone(), names, answer.headers.get(header::RETRY_AFTER).cloned())
    };
    for n in 0..12 {
        let ip = format!("198.51.100.{n}");
        let known = login(&app, "ann@example.org", "wrong password", &ip, "").await;
        for other in ["bob@example.org", "not an address", "guest_x@bedrud.guest"] {
            assert_eq!(
                shape(&login(&app, other, "wrong password", &ip, "").await),
                shape(&known),
                "{other} {n}"
            );
        }
        app.advance(Duration::from_millis(100));
    }
}

#[tokio::test]
async fn an_open_browser_does_not_give_the_password_away() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let change = |current: String| {
        let body = json!({"currentPassword": current, "newPassword": "another password of mine"});
        app.put("/api/auth/password", &body).by(&user)
    };
    let mut statuses = Vec::new();
    for n in 0..20 {
        statuses.push(change(format!("guess number {n}")).send().await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|s| **s == 400).count(), 5);
    assert_eq!(statuses.iter().filter(|s| **s == 429).count(), 15);
    app.advance(Duration::from_secs(1));
    change(PASSWORD.into()).send().await.ok();
}

#[tokio::test]
async fn long_passwords_and_pictographs_are_taken() {
    let app = App::new().await;
    for (n, password) in
        ["\u{1f600}".repeat(64), "walrus teapot orbit ".repeat(40), "ж\u{435}лтый дом у р\u{435}ки".into()]
            .into_iter()
            .enumerate()
    {
        let email = format!("ann{n}@example.org");
        let body = json!({"email": email, "password": password, "name": "Ann"});
        app.post("/api/auth/register", &body).send().await.ok();
        login(&app, &email, &password, "192.0.2.1", "").await.ok();
    }
}

/// A token with these very parts, signed with HMAC-SHA256 and this key.
fn forge(head: &Value, payload: &str, key: &[u8]) -> String {
    let text = format!("{}.{}", B64.encode(head.to_string()), B64.encode(payload));
    let tag =
        aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key), text.as_bytes());
    format!("{text}.{}", B64.encode(tag))
}

#[tokio::test]
async fn made_up_session_tokens_open_no_route() {
    const SECRET: &[u8] = b"jwt secret of the tests";
    let app = App::new().await;
    let user = app.user("ann").await;
    let good = claims(&user.access);
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        value.to_string()
    };
    let headed = |head: Value| forge(&head, &good.to_string(), SECRET);
    let signed = |payload: String| forge(&hs256, &payload, SECRET);
    let parts: Vec<&str> = user.access.split('.').collect();
    let mut attacks = vec![
        ("no algorithm", format!("{}.{}.", B64.encode(json!({"alg": "none"}).to_string()), parts[1])),
        ("no algorithm, but a signature", headed(json!({"alg": "none"}))),
        ("no header field", headed(json!({"typ": "JWT"}))),
        ("HMAC under the name of RSA", headed(json!({"alg": "RS256"}))),
        ("another HMAC", headed(json!({"alg": "HS512"}))),
        ("signature stripped", format!("{}.{}.", parts[0], parts[1])),
        ("signature with another key", forge(&hs256, &good.to_string(), b"wrong")),
        ("signature with no key", forge(&hs256, &good.to_string(), b"")),
        ("wrong issuer", signed(with(&|v| v["iss"] = json!("other")))),
        ("wrong audience", signed(with(&|v| v["aud"] = json!(["other"])))),
        ("another session", signed(with(&|v| v["sid"] = json!("00000000-0000-4000-8000-000000000000")))),
        (
            "session of another user",
            signed(with(&|v| v["userId"] = json!("00000000-0000-4000-8000-000000000000"))),
        ),
        ("expired", signed(with(&|v| v["exp"] = json!(crate::api::testing::START - 1)))),
        ("expiry below zero", signed(with(&|v| v["exp"] = json!(-1)))),
        ("a purpose", signed(with(&|v| v["purpose"] = json!("refresh")))),
        ("not valid yet", signed(with(&|v| v["nbf"] = json!(crate::api::testing::START + 3600)))),
        ("no claims", signed("{}".into())),
        ("claims that are no JSON", signed("{".into())),
        ("a megabyte", signed(with(&|v| v["name"] = json!("x".repeat(1 << 20))))),
        ("a megabyte of nothing", "a".repeat(1 << 20)),
        (
            "a key of its own",
            forge(
                &json!({"alg": "HS256", "kid": "/dev/null", "jwk": {"kty": "oct", "k": ""}}),
                &good.to_string(),
                b"",
            ),
        ),
    ];
    for missing in ["iss", "aud", "exp", "sid", "userId"] {
        attacks.push((missing, signed(with(&|v| drop(v.as_object_mut().unwrap().remove(missing))))));
    }
    for (name, token) in attacks {
        let bearer = format!("Bearer {token}");
        for (method, path) in [
            (Method::GET, "/api/auth/me"),
            (Method::GET, "/api/room/list"),
            (Method::POST, "/api/room/create"),
        ] {
            let answer = app
                .request(method, path)
                .json(&json!({}))
                .header(header::AUTHORIZATION, &bearer)
                .send()
                .await;
            assert_eq!(answer.status, 401, "{name} at {path}: {}", answer.text);
        }
        let body = json!({"refresh_token": token});
        let answer = app.post("/api/auth/refresh", &body).send().await;
        assert!(matches!(answer.status.as_u16(), 401 | 413), "{name} to refresh: {}", answer.text);
    }
    let bearer = format!("Bearer {}", signed(good.to_string()));
    app.get("/api/auth/me").header(header::AUTHORIZATION, &bearer).send().await.ok();
}

#[tokio::test]
async fn no_form_makes_anybody_more_than_a_user() {
    let app = App::new().await;
    let more = json!({
        "role": "superadmin", "accesses": ["superadmin"], "isAdmin": true, "is_admin": true, "provider": "local",
        "isActive": true, "id": "00000000-0000-4000-8000-000000000000", "emailVerifiedAt": "2026-01-01T00:00:00Z",
        "createdBy": "x", "adminId": "x", "user": {"accesses": ["superadmin"]},
    });
    let with = |body: Value| {
        let mut all = more.clone();
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        all
    };
    let form =
        with(json!({"email": "eve@example.org", "password": PASSWORD, "name": "Eve", "inviteToken": ""}));
    let user = MockUser::from(app.post("/api/auth/register", &form).send().await.ok());
    let guest =
        MockUser::from(app.post("/api/auth/guest-login", &with(json!({"name": "Gus"}))).send().await.ok());
    let room = app
        .post("/api/room/create", &with(json!({"name": "den-of-eve", "isPublic": true})))
        .by(&user)
        .send()
        .await
        .ok();
    let id = room["id"].as_str().unwrap().to_owned();
    assert_eq!(room["createdBy"], user.id.as_str());
    let calls = [
        (Method::PUT, "/api/auth/me".to_owned(), json!({"name": "Eve"})),
        (Method::PUT, "/api/auth/preferences".to_owned(), json!({"preferencesJson": "{}"})),
        (Method::PUT, format!("/api/room/{id}/settings"), json!({"maxParticipants": 3})),
        (Method::POST, "/api/room/join".to_owned(), json!({"roomName": "den-of-eve"})),
        (
            Method::POST,
            "/api/room/guest-join".to_owned(),
            json!({"roomName": "den-of-eve", "guestName": "Gus"}),
        ),
        (Method::POST, "/api/room/refresh-token".to_owned(), json!({"roomName": "den-of-eve"})),
        (
            Method::POST,
            "/api/auth/login".to_owned(),
            json!({"email": "eve@example.org", "password": PASSWORD}),
        ),
        (Method::POST, "/api/auth/refresh".to_owned(), json!({"refresh_token": user.refresh})),
        (
            Method::POST,
            "/api/setup".to_owned(),
            json!({"token": "x", "email": "r@example.org", "password": PASSWORD, "name": "R"}),
        ),
    ];
    for (method, path, body) in calls {
        for who in [&user, &guest] {
            let answer = app.request(method.clone(), &path).json(&with(body.clone())).by(who).send().await;
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
        }
    }
    let me = app.get("/api/auth/me").by(&user).send().await.ok();
    assert_eq!(
        (&me["accesses"], &me["provider"], &me["isAdmin"]),
        (&json!(["user"]), &json!("local"), &json!(false))
    );
    assert_eq!(me["emailVerifiedAt"], Value::Null);
    let me = app.get("/api/auth/me").by(&guest).send().await.ok();
    assert_eq!((&me["accesses"], &me["provider"]), (&json!(["guest"]), &json!("guest")));
    let admins = |c: &mut crate::db::Db| crate::db::users::anyone_with_access(c, "superadmin");
    assert!(!app.state.store.read(admins).await.unwrap());
}

#[tokio::test]
async fn guests_and_sessions_that_are_over_are_forgotten() {
    let app = App::new().await;
    let user = app.user("ann").await;
    let guest = app.guest("Gus").await;
    let there = |id: &str| {
        let (app, id) = (&app, id.to_owned());
        async move {
            let find = move |c: &mut crate::db::Db| crate::db::users::by_id(c, &id);
            app.state.store.read(find).await.unwrap().is_some()
        }
    };
    crate::domain::housekeeping::run(&app.state).await.unwrap();
    assert!(there(&guest.id).await);
    app.advance(Duration::from_secs(8 * 24 * 3600));
    crate::domain::housekeeping::run(&app.state).await.unwrap();
    assert!(!there(&guest.id).await, "nobody can sign in as this guest any more");
    assert!(there(&user.id).await);
}

#[tokio::test]
async fn fifty_at_once_on_an_empty_database_make_one_administrator() {
    let app = App::new().await;
    let token = crate::domain::setup::new_token(&app.state).await.unwrap().unwrap().text;
    let register = (0..50).map(|n| {
        let body = json!({"email": format!("u{n}@example.org"), "password": PASSWORD, "name": "Somebody"});
        let app = &app;
        async move { app.post("/api/auth/register", &body).send().await }
    });
    let setup = (0..50).map(|n| {
        let body = json!({"token": token, "email": format!("r{n}@example.org"), "password": PASSWORD, "name": "Root"});
        let app = &app;
        async move { app.post("/api/setup", &body).send().await }
    });
    let (users, admins) =
        tokio::join!(futures_util::future::join_all(register), futures_util::future::join_all(setup));
    assert!(users.iter().all(|answer| answer.ok()["user"]["accesses"] == json!(["user"])));
    assert_eq!(admins.iter().filter(|answer| answer.status.is_success()).count(), 1);
    use diesel::prelude::*;
    let count = |c: &mut crate::db::Db| {
        use crate::db::schema::users;
        let admins = users::table.filter(users::accesses.like("%superadmin%"));
        Ok::<i64, crate::db::DbError>(admins.count().get_result(c)?)
    };
    assert_eq!(app.state.store.read(count).await.unwrap(), 1);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_use_the_cookie() {
    let app =
        App::with(|settings| settings.cookies.foreign_origins = vec!["https://app.example.org".into()]).await;
    let user = app.user("ann").await;
    let refresh = |site: &str, origin: &str| {
        app.request(Method::POST, "/api/auth/refresh")
            .cookies_of(&user)
            .header("sec-fetch-site", site)
            .header("origin", origin)
    };
    let refused = "Cross-site requests cannot use the cookie";
    refresh("cross-site", "https://evil.example").send().await.refused(403, refused);
    refresh("cross-site", "null").send().await.refused(403, refused);
    app.get("/api/auth/me").by(&user).send().await.ok();
    let answer = refresh("cross-site", "https://app.example.org").send().await;
    let user =
        MockUser { refresh: answer.ok()["refresh_token"].as_str().unwrap().to_owned(), ..user.clone() };
    let own = app.request(Method::POST, "/api/auth/refresh").cookies_of(&user);
    own.header("sec-fetch-site", "same-origin").send().await.ok();
}
