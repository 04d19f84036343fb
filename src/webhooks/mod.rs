//! Webhooks: tells receivers over HTTP what happens in rooms, as LiveKit does, and does not lose it.
//!
//! Every event goes into the outbox (a table) before it is sent, once per receiver, and leaves it when the receiver
//! answered 2xx. So an event may arrive twice when the process dies between the two; its id tells. [`plan`] decides what
//! is sent when; [`deliver`] carries that out.

pub mod client;
pub mod deliver;
pub mod endpoint;
pub mod event;
pub mod plan;
pub mod sign;
mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bedrud_media::EventReceiver;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    auth::secret::Secret,
    db::{DbError, Store},
    domain::Clock,
};

pub use endpoint::Endpoint;
pub use event::Filter;
pub use plan::Limits;
pub use stats::Stats;

/// Who is told what, and how it is signed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Receivers.
    pub endpoints: Vec<Endpoint>,
    /// API key that signs; receivers look its secret up.
    pub key: String,
    /// Its secret.
    pub secret: Secret,
    /// Which events are sent.
    pub filter: Filter,
    /// Events of tracks carry the whole room.
    pub full_room: bool,
    /// Bounds of queues and retries.
    pub limits: Limits,
    /// Longest attempt.
    pub timeout: Duration,
    /// PEM file with the certificates that `https` receivers are checked against.
    pub roots: Option<PathBuf>,
}

/// Webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The outbox.
    #[error("cannot read the outbox of webhooks: {0}")]
    Db(#[from] DbError),
    /// The root certificates.
    #[error("cannot use the root certificates for webhooks: {0}")]
    Roots(String),
}

/// Running webhooks. Dropping it ends them at once; what was not delivered stays in the outbox.
#[derive(Debug)]
pub struct Webhooks {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    stats: Arc<Stats>,
}

impl Webhooks {
    /// Takes up what an earlier run left in the outbox, then follows the events.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        settings: Settings,
        store: Store,
        events: EventReceiver,
        clock: Clock,
        seed: [u8; 32],
    ) -> Result<Self, StartError> {
        let stats = Arc::new(Stats::default());
        let actor = deliver::Actor::new(settings, store, clock, seed, Arc::clone(&stats)).await?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(actor.run(events, stopped));
        Ok(Self { stop: Some(stop), task, stats })
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Stores the events that have happened, goes on delivering what is due for up to `grace`, and ends.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.take();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            tracing::info!("webhooks that were not delivered stay in the outbox for the next start");
        }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}
