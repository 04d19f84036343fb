//! `bedrud run`: from a configuration to a running platform.

use super::data_dir::DataDir;
use super::edge::Edge;
use super::health::{Probe, unix_seconds};
use super::media::Place;
use super::signals::{self, Reread};
use super::{
    clock, cores, files, health, http, journal, listen, media, metrics, presence, router, secrets, settings,
    tls, webhooks,
};
use crate::api::{self, AppParts, AppState, Entropy, MediaControl};
use crate::auth::media_token::ApiKeys;
use crate::config::Config;
use crate::db::{DatabaseConfig, Store};
use crate::domain::{Platform, housekeeping, live, revocations, setup};
use crate::livekit::LiveKit;
use crate::metrics::Metrics;
use crate::ui;
use anyhow::Context as _;
use axum::Router;
use axum::extract::Request;
use bedrud_media::{Restrictions, RoomRequest, ServiceRequest, Sfu, protocol as proto};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// How often rooms and sessions that ran out are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// A database that does not answer within this time is not ready.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What the operator is told once everything runs.
#[derive(Debug, Clone)]
pub struct Started {
    /// Address bound.
    pub address: SocketAddr,
    /// Where people open the web app, best first.
    pub urls: Vec<String>,
    /// The link that makes the first administrator, while there is none. A secret.
    pub setup_link: Option<String>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The certificate is our own.
    pub self_signed: bool,
    /// The setup link of an earlier start is void now.
    pub setup_replaced: bool,
}

/// Runs until a signal. `ready` is called when requests are served, `reread` at SIGHUP.
///
/// # Errors
/// What cannot be started; the message says what to do.
pub async fn run(mut config: Config, reread: Reread, ready: impl FnOnce(&Started)) -> anyhow::Result<()> {
    let hangups = signals::catch()?;
    cores::forbid();
    files::raise_limit();
    let data = DataDir::open(&config.server.data_dir)?;
    data.path().clone_into(&mut config.server.data_dir);
    secrets::complete(&mut config, data.path())?;
    let certificate = match config.tls() {
        true => Some(tls::files(&config, data.path(), unix_seconds())?),
        false => None,
    };
    let (acceptor, certificates) = match &certificate {
        Some(files) => {
            let (config, certificates) = tls::server_config(files.clone())?;
            (Some(TlsAcceptor::from(config)), Some(certificates))
        }
        None => (None, None),
    };
    hangups.reload_with(reread, certificates);
    let media_settings = media::of_platform(&config)?;

    // The port first: it is what fails most, and nothing has been touched yet.
    let listener = listen::bind(config.bind_address())?;
    let address = listener.local_addr()?;
    let edge = Edge::new(&config.server, media::needs(&media_settings))?;
    let database = settings::database(&config)?;
    if let DatabaseConfig::Sqlite(path) = &database {
        create_private(path).with_context(|| format!("cannot create the database {}", path.display()))?;
    }
    let store = Store::open(database).await.context(
        "cannot open the database (see database.* in the configuration, and the rights of the data folder)",
    )?;
    let sfu = media::start(&media_settings, Place::beside(&media_settings, address)).await?;
    let platform = platform(&config, store, &sfu)?;
    let app = AppState::new(platform)?;
    live::reset(app.platform()).await?;
    sfu.restore_revocations(revocations::kept(app.platform()).await?).await;
    let (stop_presence, stopped) = oneshot::channel();
    let presence = presence::follow(Arc::clone(app.platform()), sfu.clone(), sfu.events(), stopped);
    let presence = tokio::spawn(presence);
    tokio::spawn(journal::follow(sfu.events()));
    let hooks = match webhooks::of_platform(&config, &media_settings)? {
        Some(settings) => Some(webhooks::start(settings, app.platform().store.clone(), &sfu).await?),
        None => None,
    };
    let figures = Metrics::new(sfu.clone(), config.metrics.rooms as usize);
    if let Some(hooks) = &hooks {
        figures.watch_webhooks(hooks.stats());
    }
    let metrics_route = metrics::serve_platform(&edge, &config, &figures)?.unwrap_or_default();
    let housekeeper = tokio::spawn(keep_house(Arc::clone(app.platform())));
    let watchman = tokio::spawn(presence::part_with_intruders(Arc::clone(app.platform()), sfu.clone()));
    let token = setup::new_token(app.platform()).await?;

    let keys = ApiKeys::one(&config.livekit.api_key, config.livekit.api_secret.reveal());
    let livekit = LiveKit::of_platform(
        sfu.clone(),
        keys,
        media::http_limits(&media_settings.limit),
        edge.shutdown.guard(),
        Arc::clone(app.platform()),
    );
    figures.watch_agents(livekit.agent_figures());
    let cert_path = certificate.as_ref().map(|files| files.cert.clone());
    let routes = router::platform(
        &config,
        api::router(app.clone()),
        health::router(probe(app.platform(), &sfu), cert_path).merge(metrics_route),
        metrics::count_calls(livekit.router(), figures),
        health::alive(health::media_probe(&sfu)),
        ui::router(&settings::connect_sources(&config)),
    );
    drop(livekit);
    if certificate.is_some() {
        redirect_port(&config, &edge, address.port());
    }
    edge.serve(listener, routes, Some(sfu.clone()), acceptor)?;

    let urls = settings::urls(&config, address, &sfu);
    let setup_replaced = token.as_ref().is_some_and(|token| token.replaced);
    let setup_link = token.zip(urls.first()).map(|(token, url)| format!("{url}/setup?token={}", token.text));
    let self_signed = certificate.is_some_and(|files| files.self_signed);
    let data_dir = data.path().to_path_buf();
    ready(&Started { address, urls, setup_link, data_dir, self_signed, setup_replaced });

    let ended = edge.run_until_signal(sfu, None).await;
    housekeeper.abort();
    watchman.abort();
    // The last departures belong into the database before it closes.
    drop(stop_presence);
    if tokio::time::timeout(Duration::from_secs(2), presence).await.is_err() {
        tracing::warn!("the last presence changes were not stored");
    }
    if let Some(hooks) = hooks {
        hooks.stop(webhooks::GRACE).await;
    }
    app.platform().store.close().await;
    ended
}

/// An empty database file that only its owner can read; SQLite gives its other files the same rights.
pub(super) fn create_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn platform(config: &Config, store: Store, sfu: &Sfu) -> anyhow::Result<AppParts> {
    let media = Control { sfu: sfu.clone(), runtime: tokio::runtime::Handle::current() };
    Ok(AppParts {
        store,
        settings: settings::of(config),
        clock: clock::system(),
        entropy: Entropy::from_seed(secrets::random_bytes()?),
        media: Arc::new(media),
    })
}

/// What the platform asks of the media server.
struct Control {
    sfu: Sfu,
    runtime: tokio::runtime::Handle,
}

impl Control {
    fn spawn(&self, what: &'static str, room_id: &str, request: RoomRequest) {
        let (sfu, request) = (self.sfu.clone(), ServiceRequest::OfRoom(room_id.to_owned(), request));
        self.runtime.spawn(async move {
            if let Err(error) = sfu.service(request).await {
                // Mostly: nobody is in that room.
                tracing::debug!(what, %error, "media server");
            }
        });
    }
}

impl MediaControl for Control {
    fn delete_room(&self, room_id: &str) {
        self.spawn("delete room", room_id, RoomRequest::Delete);
    }

    fn send_system(&self, room_id: &str, payload: Vec<u8>) {
        let request = proto::SendDataRequest {
            data: payload,
            kind: proto::data_packet::Kind::Reliable as i32,
            topic: Some("system".to_owned()),
            ..proto::SendDataRequest::default()
        };
        self.spawn("system message", room_id, RoomRequest::SendData(request));
    }

    fn restrict_room(&self, room_id: &str, restrictions: Restrictions) {
        self.spawn("restrict room", room_id, RoomRequest::Restrict(restrictions));
    }
}

async fn keep_house(platform: Arc<Platform>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        if let Err(error) = housekeeping::run(&platform).await {
            tracing::warn!(%error, "housekeeping failed, trying again in a minute");
        }
    }
}

/// Ready when the database answers and the media server runs.
fn probe(platform: &Arc<Platform>, sfu: &Sfu) -> Probe {
    let (platform, media) = (Arc::clone(platform), health::media_probe(sfu));
    Arc::new(move || {
        let (platform, media) = (Arc::clone(&platform), Arc::clone(&media));
        Box::pin(async move {
            match tokio::time::timeout(PING_TIMEOUT, platform.store.ping()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err("database unavailable"),
            }
            media().await
        })
    })
}

/// Plain HTTP beside TLS answers with redirects. Without it everything works but old links, so failure is no end.
fn redirect_port(config: &Config, edge: &Edge, https_port: u16) {
    let mut address = config.bind_address();
    address.set_port(config.server.http_port.unwrap_or(80));
    let routes = Router::new()
        .fallback(move |request: Request| async move { http::redirect_to_https(&request, Some(https_port)) });
    let served = listen::bind(address).and_then(|listener| edge.serve(listener, routes, None, None));
    if let Err(error) = served {
        tracing::warn!("no redirect from plain HTTP: {error:#} (server.httpPort)");
    }
}
