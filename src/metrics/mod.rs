//! Figures for Prometheus. Names beginning with `livekit_` mean what they mean in LiveKit's server; the others are ours.
//!
//! Nothing is gathered until somebody asks, except counters that cost an addition where the thing happens.

mod agents;
mod calls;
mod joins;
mod media;
mod process;
pub mod rooms;
#[cfg(test)]
mod tests;
pub mod text;
mod timings;
mod webhooks;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bedrud_media::Sfu;

use crate::livekit::AgentFigures;
use crate::webhooks::Stats;

pub use calls::Calls;
pub use joins::Joins;
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
    joins: Joins,
    agents: OnceLock<AgentFigures>,
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
            joins: Joins::default(),
            agents: OnceLock::new(),
            webhooks: OnceLock::new(),
            rooms: Mutex::new(Listing::new(rooms)),
        }))
    }

    /// Adds the figures of webhooks.
    pub fn watch_webhooks(&self, stats: Arc<Stats>) {
        // A second caller would be a second set of webhooks, which there is not.
        let _ = self.0.webhooks.set(stats);
    }

    /// Adds the figures of agents.
    pub(crate) fn watch_agents(&self, figures: AgentFigures) {
        let _ = self.0.agents.set(figures);
    }

    /// How long joins took.
    #[must_use]
    pub fn joins(&self) -> &Joins {
        &self.0.joins
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
        let agents = match self.0.agents.get() {
            Some(figures) => figures.read().await,
            None => None,
        };
        let mut text = Text::of_node(&self.0.sfu.server_info().node_id);
        text.family("bedrud_build_info", Kind::Gauge, "Version of this server.");
        text.sample("bedrud_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        media::write(&mut text, &media);
        rooms::write(&mut text, &series);
        timings::write(&mut text, &media.hub.timings);
        self.0.joins.write(&mut text);
        self.0.calls.write(&mut text);
        if let Some(stats) = &agents {
            agents::write(&mut text, stats);
        }
        if let Some(stats) = self.0.webhooks.get() {
            webhooks::write(&mut text, stats);
        }
        process::write(&mut text);
        Some(text.finish())
    }
}
