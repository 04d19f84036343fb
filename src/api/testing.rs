//! The whole API on a database of its own, with a clock and randomness that the test controls.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use bedrud_media::Restrictions;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    api::{AppParts, AppState, ClientAddr, router},
    auth::entropy::Entropy,
    db::{Moment, testing::TestDb},
    domain::{
        Clock, MediaControl,
        settings::{PasswordCost, RateLimit, Settings},
    },
};

/// The time at which tests begin.
pub(super) const START: i64 = 1_800_000_000;
/// A password that passes the form.
pub(super) const PASSWORD: &str = "correct horse battery";

/// What the media server was asked for.
#[derive(Default)]
pub(super) struct MockMedia(Mutex<Vec<String>>);

impl MockMedia {
    pub(super) fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl MediaControl for MockMedia {
    fn delete_room(&self, room: &str) {
        self.0.lock().unwrap().push(format!("delete {room}"));
    }

    fn restrict_room(&self, room: &str, restrictions: Restrictions) {
        self.0.lock().unwrap().push(format!("restrict {room} {restrictions:?}"));
    }

    fn send_system(&self, room: &str, payload: Vec<u8>) {
        self.0.lock().unwrap().push(format!("send {room} {}", String::from_utf8(payload).unwrap()));
    }
}

/// A running API.
pub(super) struct App {
    pub(super) state: AppState,
    pub(super) media: Arc<MockMedia>,
    router: Router,
    clock: Arc<AtomicI64>,
    numbers: AtomicUsize,
    _db: TestDb,
}

impl App {
    pub(super) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// An API with changed settings. Limits of rate are off unless the test sets them.
    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings =
            Settings::new("jwt secret of the tests", "session secret", "devkey", "media secret");
        settings.auth.password_cost = PasswordCost { memory_kib: 8, passes: 1 };
        let off = RateLimit { max: 0, window: Duration::from_secs(60) };
        let limits = &mut settings.rate_limits;
        (limits.auth, limits.resend, limits.guest, limits.api) = (off, off, off, off);
        change(&mut settings);
        let db = TestDb::new();
        let clock = Arc::new(AtomicI64::new(START * 1_000_000));
        let media = Arc::new(MockMedia::default());
        let time = Arc::clone(&clock);
        let parts = AppParts {
            store: db.store().await,
            settings,
            clock: Clock::new(move || Moment::from_micros(time.load(Ordering::Relaxed))),
            entropy: Entropy::from_seed([1; 32]),
            media: Arc::clone(&media) as Arc<dyn MediaControl>,
        };
        let state = AppState::new(parts).unwrap();
        Self { router: router(state.clone()), state, media, clock, numbers: AtomicUsize::new(0), _db: db }
    }

    /// Lets time pass.
    pub(super) fn advance(&self, span: Duration) {
        self.clock.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// Paths of all routes, with their parameters.
    pub(super) fn paths(&self) -> std::collections::BTreeSet<String> {
        // The router shows its paths in its debug form only.
        let text = format!("{:?}", self.router);
        let quoted = text.split('"').skip(1).step_by(2);
        quoted
            .filter(|path| path.starts_with("/api/") && !path.contains("__private__"))
            .map(str::to_owned)
            .collect()
    }

    /// A number that no other call got.
    pub(super) fn unique(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A request by nobody.
    pub(super) fn request(&self, method: Method, path: &str) -> Call<'_> {
        let peer = ClientAddr { ip: IpAddr::from([192, 0, 2, 1]), https: false };
        Call {
            app: self,
            request: Request::builder().method(method).uri(path).extension(peer),
            body: Body::empty(),
        }
    }

    pub(super) fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::POST, path).json(body)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::PUT, path).json(body)
    }

    /// Registers a user by the API.
    pub(super) async fn user(&self, name: &str) -> MockUser {
        let body = json!({"email": format!("{name}@example.org"), "password": PASSWORD, "name": name});
        MockUser::from(self.post("/api/auth/register", &body).send().await.ok())
    }

    /// Signs a guest in by the API.
    pub(super) async fn guest(&self, name: &str) -> MockUser {
        MockUser::from(self.post("/api/auth/guest-login", &json!({"name": name})).send().await.ok())
    }

    /// The first administrator, made by the setup link.
    pub(super) async fn admin(&self) -> MockUser {
        let token = crate::domain::setup::new_token(&self.state).await.unwrap().unwrap().text;
        let body = json!({"token": token, "email": "root@example.org", "password": PASSWORD, "name": "Root"});
        MockUser::from(self.post("/api/setup", &body).send().await.ok())
    }
}

/// A request being put together.
pub(super) struct Call<'a> {
    app: &'a App,
    request: axum::http::request::Builder,
    body: Body,
}

impl Call<'_> {
    pub(super) fn header(mut self, name: impl AsRef<str>, value: &str) -> Self {
        self.request = self.request.header(name.as_ref(), value);
        self
    }

    pub(super) fn ip(mut self, ip: &str) -> Self {
        self.request = self.request.extension(ClientAddr { ip: ip.parse().unwrap(), https: false });
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body(body.to_string()).header(header::CONTENT_TYPE, "application/json")
    }

    pub(super) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Signs the request with the user's token.
    pub(super) fn by(self, user: &MockUser) -> Self {
        let value = format!("Bearer {}", user.access);
        self.header(header::AUTHORIZATION, &value)
    }

    /// Sends the user's cookies, as a foreign page would make a browser do.
    pub(super) fn cookies_of(self, user: &MockUser) -> Self {
        let value = format!("access_token={}; refresh_token={}", user.access, user.refresh);
        self.header(header::COOKIE, &value)
    }

    pub(super) async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json()
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        serde_json::from_str(&self.text).unwrap()
    }

    /// Checks a refusal. A `code` may stand beside the text.
    #[track_caller]
    pub(super) fn refused(&self, status: u16, text: &str) {
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("code");
        let wait = body.as_object_mut().and_then(|body| body.remove("retryAfter"));
        assert_eq!((self.status.as_u16(), body), (status, json!({ "error": text })));
        let header = self.headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(wait.map(|wait| wait.to_string()), header, "body and header say the same");
    }

    pub(super) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The value of a cookie that was set.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}=");
        self.cookies().into_iter().find_map(|cookie| cookie.strip_prefix(&prefix)?.split(';').next())
    }
}

/// A signed-in user.
#[derive(Debug, Clone)]
pub(super) struct MockUser {
    pub(super) id: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

impl From<Value> for MockUser {
    fn from(body: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            id: text(&body["user"]["id"]),
            access: text(&body["tokens"]["accessToken"]),
            refresh: text(&body["tokens"]["refreshToken"]),
        }
    }
}

/// The claims of a JWT, unverified.
pub(super) fn claims(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The value with everything that looks like a JWT replaced, for snapshots.
pub(super) fn without_tokens(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with("eyJ") => *text = "[token]".into(),
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(map) => map.values_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}
