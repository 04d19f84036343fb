//! A receiver on loopback, a media server that makes events, and an outbox.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bedrud_media::{ServiceRequest, Sfu, SfuConfig, protocol as proto};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Endpoint, Filter, Limits, Settings, Webhooks};
use crate::db::{Db, Store, webhooks as outbox};
use crate::server::clock;

pub(super) const KEY: &str = "devkey";
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Time for what should happen soon; a test that passes never waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What arrived at a receiver.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Hit {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// `room event`
    pub(super) fn what(&self) -> String {
        let json = self.json();
        format!("{} {}", json["room"]["name"].as_str().unwrap(), json["event"].as_str().unwrap())
    }

    /// The claims, when the signature is right: by hand, not by the code under test.
    pub(super) fn claims(&self) -> Option<Value> {
        let token = self.headers.get("authorization")?.to_str().ok()?;
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::verify(&key, signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        (claims["sha256"] == STANDARD.encode(Sha256::digest(&self.body))).then_some(claims)
    }
}

/// Decides what a receiver answers to the n-th request; `None`: nothing, ever.
type Script = Box<dyn Fn(usize, &Hit) -> Option<Response> + Send + Sync>;

struct Shared {
    script: Script,
    count: Mutex<usize>,
    hits: mpsc::UnboundedSender<Hit>,
}

pub(super) struct Receiver {
    pub(super) url: String,
    hits: mpsc::UnboundedReceiver<Hit>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start(
        script: impl Fn(usize, &Hit) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    pub(super) fn on(
        listener: TcpListener,
        script: impl Fn(usize, &Hit) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}/hook?token=hunter2", listener.local_addr().unwrap());
        let (sender, hits) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { script: Box::new(script), count: Mutex::default(), hits: sender });
        let routes = Router::new().route("/hook", post(take)).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, hits, server }
    }

    pub(super) async fn hit(&mut self) -> Hit {
        tokio::time::timeout(PATIENCE, self.hits.recv()).await.unwrap().unwrap()
    }

    pub(super) async fn hits(&mut self, count: usize) -> Vec<String> {
        let mut hits = Vec::new();
        for _ in 0..count {
            hits.push(self.hit().await.what());
        }
        hits
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        self.hits.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let hit = Hit { headers, body };
    let number = {
        let mut count = shared.count.lock().unwrap();
        *count += 1;
        *count
    };
    let answer = (shared.script)(number, &hit);
    let _ = shared.hits.send(hit);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

pub(super) fn ok() -> Option<Response> {
    Some(StatusCode::OK.into_response())
}

pub(super) fn status(code: u16) -> Option<Response> {
    Some(StatusCode::from_u16(code).unwrap().into_response())
}

pub(super) fn settings(urls: &[&str]) -> Settings {
    let limits = Limits {
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(20),
        ..Limits::default()
    };
    Settings {
        endpoints: urls.iter().map(|url| Endpoint::parse(url).unwrap()).collect(),
        key: KEY.into(),
        secret: SECRET.into(),
        filter: Filter::default(),
        full_room: false,
        limits,
        timeout: PATIENCE,
        roots: None,
    }
}

pub(super) fn sfu() -> Sfu {
    Sfu::start(SfuConfig::bound_to("127.0.0.1:0".parse().unwrap())).unwrap()
}

pub(super) async fn start(settings: Settings, store: &Store, sfu: &Sfu) -> Webhooks {
    Webhooks::start(settings, store.clone(), sfu.events(), clock::system(), [7; 32]).await.unwrap()
}

/// Opens a room and closes it: `room_started`, `room_finished`.
pub(super) async fn room(sfu: &Sfu, name: &str) {
    open(sfu, name).await;
    let request = proto::DeleteRoomRequest { room: name.to_owned() };
    sfu.service(ServiceRequest::DeleteRoom(request)).await.unwrap();
}

pub(super) async fn open(sfu: &Sfu, name: &str) {
    let request = proto::CreateRoomRequest { name: name.to_owned(), ..Default::default() };
    sfu.service(ServiceRequest::CreateRoom(Box::new(request))).await.unwrap();
}

pub(super) async fn waiting(store: &Store) -> usize {
    store.read(|c: &mut Db| outbox::waiting(c, 0, 1000)).await.unwrap().len()
}

pub(super) async fn dead(store: &Store) -> Vec<outbox::Dead> {
    store.read(|c: &mut Db| outbox::dead(c, None, 1000)).await.unwrap()
}

/// Looks again and again.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, mut probe: impl FnMut() -> F) {
    let looking = async {
        while !probe().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looking).await.is_ok(), "gave up waiting until {what}");
}
