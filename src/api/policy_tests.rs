//! Who may call what. Every route has a line here, and every line is tried with the ids of somebody else by everybody who is
//! not that person. A route without a line fails the test.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::api::testing::{App, MockUser, PASSWORD};

/// What a stranger to the thing gets: nobody signed in, a guest, another user.
type Refusals = [u16; 3];

enum Policy {
    /// Anybody may call it, and nothing in it belongs to somebody.
    Open,
    /// About the caller alone: whoever is named in the request, the answer and the effect are the caller's own.
    Own,
    /// About something of somebody's: these are the answers to strangers.
    Of(Refusals),
}

/// (method, path, policy, body). `{id}` and `{name}` are a private room of Ann's.
fn table() -> Vec<(Method, &'static str, Policy, Value)> {
    use Policy::{Of, Open, Own};
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let room = json!({"roomName": "den-of-ann"});
    let guest = json!({"roomName": "den-of-ann", "guestName": "Gus"});
    let settings = json!({"isPublic": true, "maxParticipants": 1, "settings": {}});
    vec![
        (post.clone(), "/api/auth/register", Open, json!({})),
        (post.clone(), "/api/auth/login", Open, json!({})),
        (post.clone(), "/api/auth/guest-login", Open, json!({})),
        (post.clone(), "/api/auth/refresh", Open, json!({})),
        (get.clone(), "/api/auth/settings", Open, json!({})),
        (get.clone(), "/api/setup", Open, json!({})),
        (post.clone(), "/api/setup", Open, json!({})),
        (post.clone(), "/api/auth/logout", Own, json!({})),
        (get.clone(), "/api/auth/me", Own, json!({})),
        (put.clone(), "/api/auth/me", Own, json!({"name": "Eve"})),
        (
            put.clone(),
            "/api/auth/password",
            Own,
            json!({"currentPassword": "x", "newPassword": "another password of mine"}),
        ),
        (get.clone(), "/api/auth/preferences", Own, json!({})),
        (put.clone(), "/api/auth/preferences", Own, json!({"preferencesJson": "{\"eve\":1}"})),
        (post.clone(), "/api/room/create", Own, json!({"name": "den-of-eve"})),
        (get.clone(), "/api/room/list", Own, json!({})),
        (get.clone(), "/api/room/archived", Own, json!({})),
        (post.clone(), "/api/room/join", Of([401, 403, 403]), room.clone()),
        (post.clone(), "/api/room/guest-join", Of([403; 3]), guest),
        (get.clone(), "/api/room/check/{name}", Of([403; 3]), json!({})),
        (post, "/api/room/refresh-token", Of([401, 403, 403]), room),
        (put, "/api/room/{id}/settings", Of([401, 403, 403]), settings),
        (delete, "/api/room/{id}", Of([401, 403, 403]), json!({})),
        (Method::POST, "/api/room/{id}/reopen", Of([401, 403, 403]), json!({})),
        // A private room shows nobody, whoever asks.
        (get, "/api/room/{id}/presence", Of([401, 200, 200]), json!({})),
    ]
}

async fn routes(app: &App) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for path in app.paths() {
        let concrete = path.replace("{id}", "none").replace("{name}", "none");
        assert!(!concrete.contains('{'), "{path}: parameters are {{id}} and {{name}}");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = app.request(method.clone(), &concrete).send().await;
            if answer.status != 405 && !(answer.status == 404 && answer.text.contains("Not Found")) {
                routes.insert((method.to_string(), path.clone()));
            }
        }
    }
    routes
}

#[tokio::test]
async fn every_route_has_a_policy() {
    let app = App::new().await;
    let found = routes(&app).await;
    assert!(found.len() > 20, "the routes are found: {found:?}");
    let table: BTreeSet<_> =
        table().iter().map(|(m, path, ..)| (m.to_string(), (*path).to_owned())).collect();
    let missing: Vec<_> = found.difference(&table).collect();
    let stale: Vec<_> = table.difference(&found).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "without a policy: {missing:?}; without a route: {stale:?}"
    );
}

#[tokio::test]
async fn nobody_reaches_what_is_somebody_elses() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    let wish = json!({"name": "den-of-ann", "isPublic": false, "settings": {"allowChat": true}});
    let room = app.post("/api/room/create", &wish).by(&ann).send().await.ok();
    let id = room["id"].as_str().unwrap();
    let state = || async {
        let mut all = Vec::new();
        for path in ["/api/auth/me", "/api/auth/preferences", "/api/room/list", "/api/room/archived"] {
            all.push(app.get(path).by(&ann).send().await.ok());
        }
        all
    };
    let before = state().await;
    for (method, path, policy, body) in table() {
        let concrete = path.replace("{id}", id).replace("{name}", "den-of-ann");
        // Everybody comes as somebody new, so that one call does not spoil the next.
        let guest = app.guest("Gus").await;
        let eve = MockUser::from(
            app.post("/api/auth/register", &json!({"email": format!("eve{}@example.org", app.unique()), "password": PASSWORD, "name": "Eve"}))
                .send()
                .await
                .ok(),
        );
        let mut body = body;
        // Ids of hers wherever a careless handler might take one from.
        for key in ["id", "userId", "user_id", "identity", "createdBy", "adminId", "roomId"] {
            let value = if key == "roomId" { id } else { ann.id.as_str() };
            body[key] = value.into();
        }
        let query = format!("{concrete}?userId={}&id={}&identity={}", ann.id, ann.id, ann.id);
        for (n, who) in [None, Some(&guest), Some(&eve)].into_iter().enumerate() {
            let call = app.request(method.clone(), &query).json(&body);
            let call = match who {
                Some(user) => call.by(user),
                None => call,
            };
            let answer = call.send().await;
            let text = format!(
                "{method} {path} by {}: {} {}",
                ["nobody", "a guest", "a user"][n],
                answer.status,
                answer.text
            );
            match &policy {
                Policy::Open => assert!(answer.status.as_u16() < 500, "{text}"),
                Policy::Own if n == 0 => assert_eq!(answer.status, 401, "{text}"),
                Policy::Own => assert!(answer.status.as_u16() < 500, "{text}"),
                Policy::Of(statuses) => assert_eq!(answer.status, statuses[n], "{text}"),
            }
            for hers in [ann.id.as_str(), "ann@example.org", id, "den-of-ann"] {
                let named_by_caller = path.contains("{name}") || path.contains("{id}");
                assert!(named_by_caller || !answer.text.contains(hers), "{hers} in {text}");
            }
            assert!(!answer.text.contains("ann@example.org"), "{text}");
        }
    }
    assert_eq!(state().await, before, "nothing of Ann's has changed");
}

#[tokio::test]
async fn an_administrator_may_and_a_deactivated_one_may_not() {
    let app = App::new().await;
    let (ann, root) = (app.user("ann").await, app.admin().await);
    let room = app.post("/api/room/create", &json!({"name": "den-of-ann"})).by(&ann).send().await.ok();
    let path = format!("/api/room/{}", room["id"].as_str().unwrap());
    let change = json!({"maxParticipants": 3});
    app.put(&format!("{path}/settings"), &change).by(&root).send().await.ok();
    let id = root.id.clone();
    let switch_off = move |c: &mut crate::db::Db| {
        use crate::db::schema::users;
        use diesel::prelude::*;
        let off = diesel::update(users::table.find(id)).set(users::is_active.eq(false));
        off.execute(c).map_err(crate::db::DbError::from)
    };
    app.state.store.write(switch_off).await.unwrap();
    app.put(&format!("{path}/settings"), &change)
        .by(&root)
        .send()
        .await
        .refused(403, "Account is deactivated");
    app.request(Method::DELETE, &path).by(&root).send().await.refused(403, "Account is deactivated");
}
