//! Figures for Prometheus. Names beginning with `livekit_` mean what they mean in LiveKit's server; the others are ours.
//!
//! Nothing is gathered until somebody asks, except counters that cost an addition where the thing happens.

mod calls;
mod media;
mod process;
pub mod rooms;
#[cfg(test)]
mod tests;
pub mod text;
mod webhooks;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bedrud_media::Sfu;

use crate::webhooks::Stats;

pub use calls::Calls;
use rooms::Listing;
use text::{Kind, Text};

/// Content type of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the figures come from. Cloning is cheap.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    sfu: Sfu,
    calls: Calls,
    webhooks: OnceLock<Arc<Stats>>,
    rooms: Mutex<Listing>,
}

impl Metrics {
    /// Figures of a media server; at most `rooms` rooms have series of their own.
    #[must_use]
    pub fn new(sfu: Sfu, rooms: usize) -> Self {
        Self(Arc::new(Inner {
            sfu,
            calls: Calls::default(),
            webhooks: OnceLock::new(),
            rooms: Mutex::new(Listing::new(rooms)),
        }))
    }

    /// Adds the figures of webhooks.
    pub fn watch_webhooks(&self, stats: Arc<Stats>) {
        // A second caller would be a second set of webhooks, which there is not.
        let _ = self.0.webhooks.set(stats);
    }

    /// Counts of calls of the server API.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// All figures; `None` when the media server has ended.
    pub async fn render(&self) -> Option<String> {
        let media = self.0.sfu.metrics().await?;
        let series = self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner).update(&media.hub.rooms);
        let mut text = Text::default();
        text.family("bedrud_build_info", Kind::Gauge, "Version of this server.");
        text.sample("bedrud_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        media::write(&mut text, &media);
        rooms::write(&mut text, &series);
        self.0.calls.write(&mut text);
        if let Some(stats) = self.0.webhooks.get() {
            webhooks::write(&mut text, stats);
        }
        process::write(&mut text);
        Some(text.finish())
    }
}
