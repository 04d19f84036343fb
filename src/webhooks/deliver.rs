//! Carries out the plan: events into the outbox, attempts on their way, their ends into the outbox.

mod flights;
mod intake;
mod restart;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bedrud_media::EventReceiver;
use tokio::{
    sync::oneshot,
    task::{Id, JoinSet},
    time::MissedTickBehavior,
};

use super::{
    Settings, StartError, Stats,
    client::Client,
    plan::{Attempt, Plan},
};
use crate::{
    auth::entropy::Entropy,
    db::{DbError, DbResult, Store},
    domain::Clock,
};
use flights::Failure;

/// How often dead deliveries that should be sent again are looked for.
const REVIVAL: Duration = Duration::from_secs(5);
/// Pause before the outbox is tried again when it does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Owner of the plan.
pub(super) struct Actor {
    settings: Arc<Settings>,
    store: Store,
    clock: Clock,
    entropy: Entropy,
    plan: Plan,
    client: Arc<Client>,
    flights: JoinSet<Result<(), Failure>>,
    aloft: HashMap<Id, Attempt>,
    stats: Arc<Stats>,
}

impl Actor {
    /// Reads what an earlier run left.
    pub(super) async fn new(
        settings: Settings,
        store: Store,
        clock: Clock,
        seed: [u8; 32],
        stats: Arc<Stats>,
    ) -> Result<Self, StartError> {
        let client = Client::new(settings.roots.as_deref(), settings.timeout).map_err(StartError::Roots)?;
        let entropy = Entropy::from_seed(seed);
        let spread = u64::from_be_bytes(entropy.bytes());
        let mut actor = Self {
            plan: Plan::new(settings.limits.clone(), settings.endpoints.len(), spread),
            settings: Arc::new(settings),
            store,
            clock,
            entropy,
            client: Arc::new(client),
            flights: JoinSet::new(),
            aloft: HashMap::new(),
            stats,
        };
        actor.load().await?;
        Ok(actor)
    }

    /// Runs until told to stop and everything that is due has been sent.
    pub(super) async fn run(mut self, mut events: EventReceiver, mut stop: oneshot::Receiver<()>) {
        let mut revival = tokio::time::interval(REVIVAL);
        revival.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        loop {
            self.launch();
            self.stats.pending.store(self.plan.pending() as u64, Relaxed);
            if stopping && self.flights.is_empty() {
                return;
            }
            let wake = self.plan.deadline().map(|at| at.since(self.clock.now()));
            let timer = async {
                match wake {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                event = events.recv(), if !stopping => match event {
                    Some(event) => {
                        self.intake(event, &mut events).await;
                        self.land(None).await;
                    }
                    None => stopping = true,
                },
                Some(end) = self.flights.join_next_with_id() => self.land(Some(end)).await,
                _ = &mut stop, if !stopping => {
                    if let Some(event) = events.try_recv() {
                        self.intake(event, &mut events).await;
                    }
                    stopping = true;
                }
                _ = revival.tick(), if !stopping => self.revive().await,
                () = timer, if !stopping => {}
            }
        }
    }

    /// Asks the outbox until it answers. Only what can never succeed is an error.
    async fn patiently<T, F>(&self, ask: impl Fn(Store) -> F) -> DbResult<T>
    where
        F: Future<Output = DbResult<T>>,
    {
        loop {
            match ask(self.store.clone()).await {
                Err(error @ (DbError::Busy | DbError::Unavailable(_))) => {
                    tracing::warn!(%error, "the outbox of webhooks does not answer, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }
}
