//! Stopping in order: refuse new work, let open work finish, within a time.

use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Tells everybody to stop and knows when they have.
#[derive(Debug)]
pub struct Shutdown {
    stop: watch::Sender<bool>,
    alive: mpsc::Sender<()>,
    gone: mpsc::Receiver<()>,
}

/// Held by everything that should finish before the process ends.
#[derive(Debug, Clone)]
pub struct Guard {
    stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let (alive, gone) = mpsc::channel(1);
        Self { stop: watch::Sender::new(false), alive, gone }
    }
}

impl Shutdown {
    /// A guard for one task; clones count too.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard { stop: self.stop.subscribe(), _alive: self.alive.clone() }
    }

    /// Asks all holders of guards to stop.
    pub fn begin(&self) {
        self.stop.send_replace(true);
    }

    /// Asks all to stop and waits until every guard is dropped. False when the time ran out first.
    pub async fn finish(self, limit: Duration) -> bool {
        self.begin();
        let Self { alive, mut gone, .. } = self;
        drop(alive);
        tokio::time::timeout(limit, gone.recv()).await.is_ok()
    }
}

impl Guard {
    /// Returns when stopping has begun.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that the owner is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// True when stopping has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

/// Returns at SIGTERM, SIGINT or SIGQUIT.
///
/// # Errors
/// When the signals cannot be caught.
pub async fn signal() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = quit.recv() => "SIGQUIT",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_guards_and_no_longer_than_allowed() {
        let shutdown = Shutdown::default();
        let guard = shutdown.guard();
        let task = tokio::spawn(async move {
            guard.stopped().await;
            assert!(guard.is_stopping());
        });
        assert!(shutdown.finish(Duration::from_secs(5)).await);
        task.await.unwrap();

        let shutdown = Shutdown::default();
        let _stubborn = shutdown.guard();
        assert!(!shutdown.finish(Duration::from_millis(10)).await);
    }
}
