//! Webhooks of a running server: from the configuration to a running outbox.

use crate::auth::media_token::ApiKeys;
use crate::config::media::MediaConfig;
use crate::config::{self, Config};
use crate::db::Store;
use crate::server::{clock, data_dir::DataDir, platform, secrets, settings};
use crate::webhooks::{Endpoint, Filter, Limits, Settings, Webhooks, client, event};
use anyhow::{Context as _, bail};
use bedrud_media::Sfu;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Outbox of the media server without the platform, in the data folder.
pub const FILE: &str = "livekit.db";
/// How long the last events may take to leave at a stop. What is left then goes out at the next start.
pub const GRACE: Duration = Duration::from_secs(3);

/// What the media server's configuration asks for; `None` without receivers.
///
/// # Errors
/// Receivers without a key that this server knows, or without root certificates for `https`.
pub fn of_media(config: &MediaConfig, keys: &ApiKeys) -> anyhow::Result<Option<Settings>> {
    let webhook = &config.webhook;
    if webhook.urls.is_empty() {
        return Ok(None);
    }
    let Some(secret) = keys.secret(&webhook.api_key) else {
        bail!("webhook.api_key must be one of the API keys of this server: it signs what receivers get");
    };
    let filter = Filter {
        include: webhook.filter_params.include_events.clone(),
        exclude: webhook.filter_params.exclude_events.clone(),
    };
    build(config, &webhook.urls, &webhook.api_key, secret.clone(), filter).map(Some)
}

/// As [`of_media`] for the platform: receivers of both files, signed with the platform's key.
///
/// # Errors
/// `https` receivers without root certificates.
pub fn of_platform(config: &Config, media: &MediaConfig) -> anyhow::Result<Option<Settings>> {
    let own: &config::Webhook = &config.livekit.webhook;
    let mut urls = own.urls.clone();
    urls.extend(media.webhook.urls.iter().filter(|url| !own.urls.contains(url)).cloned());
    if urls.is_empty() {
        return Ok(None);
    }
    let key = &config.livekit.api_key;
    if !media.webhook.api_key.is_empty() && media.webhook.api_key != *key {
        tracing::warn!("webhooks are signed with livekit.apiKey; webhook.api_key does not count here");
    }
    let given = |own: &[String], media: &[String]| if own.is_empty() { media.to_vec() } else { own.to_vec() };
    let params = &media.webhook.filter_params;
    let filter = Filter {
        include: given(&own.include_events, &params.include_events),
        exclude: given(&own.exclude_events, &params.exclude_events),
    };
    let secret = config.livekit.api_secret.reveal().into();
    build(media, &urls, key, secret, filter).map(Some)
}

fn build(
    config: &MediaConfig,
    urls: &[String],
    key: &str,
    secret: crate::auth::secret::Secret,
    filter: Filter,
) -> anyhow::Result<Settings> {
    let parse = |url: &String| Endpoint::parse(url).map_err(|e| anyhow::anyhow!("webhook.urls: {e}"));
    let mut endpoints: Vec<Endpoint> = urls.iter().map(parse).collect::<Result<_, _>>()?;
    let mut seen = std::collections::HashSet::new();
    endpoints.retain(|endpoint| seen.insert(endpoint.url().to_owned()));
    for name in filter.include.iter().chain(&filter.exclude) {
        if !event::NAMES.contains(&name.as_str()) {
            tracing::warn!(event = name, "a filter of webhooks names an unknown event");
        }
    }
    let https = endpoints.iter().any(Endpoint::https);
    let roots = if https { roots() } else { None };
    if https && roots.is_none() {
        bail!("https webhooks need root certificates (install ca-certificates, or set SSL_CERT_FILE)");
    }
    let defaults = Limits::default();
    let queue = &config.webhook.resource_url_notifier;
    let at_least_one = |n: u32| usize::try_from(n.max(1)).unwrap_or(usize::MAX);
    let limits = Limits {
        workers: at_least_one(config.webhook.url_notifier.num_workers),
        depth: at_least_one(queue.max_depth),
        age: queue.max_age.0.unwrap_or(defaults.age),
        ..defaults
    };
    Ok(Settings {
        endpoints,
        key: key.to_owned(),
        secret,
        filter,
        full_room: config.room.enable_full_room_in_webhooks,
        limits,
        timeout: client::TIMEOUT,
        roots,
    })
}

/// The file that `SSL_CERT_FILE` names, else the system's bundle.
fn roots() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(settings::system_roots)
}

/// Starts them. To be called before anybody is let in, so that no event is missed.
///
/// # Errors
/// The outbox cannot be read.
pub async fn start(settings: Settings, store: Store, sfu: &Sfu) -> anyhow::Result<Webhooks> {
    for endpoint in &settings.endpoints {
        tracing::info!(url = endpoint.shown(), "webhooks");
    }
    let seed = secrets::random_bytes()?;
    Webhooks::start(settings, store, sfu.events(), clock::system(), seed)
        .await
        .context("webhooks cannot be sent")
}

/// The outbox of the media server without the platform, and the lock that keeps others off it.
pub struct Outbox {
    /// The database.
    pub store: Store,
    _data: DataDir,
}

impl Outbox {
    /// Opens the outbox in a data folder.
    ///
    /// # Errors
    /// No permission, or another process uses the folder.
    pub async fn open(data: &Path) -> anyhow::Result<Self> {
        let data = DataDir::open(data)?;
        let path = data.path().join(FILE);
        let failed = || format!("cannot open the outbox of webhooks {}", path.display());
        platform::create_private(&path).with_context(failed)?;
        let store = Store::open_sqlite(&path).await.with_context(failed)?;
        Ok(Self { store, _data: data })
    }
}
