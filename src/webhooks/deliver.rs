//! Carries out the plan: events into the outbox, attempts on their way, their ends into the outbox.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::http::StatusCode;
use bedrud_media::{EventReceiver, RoomEvent, SfuEvent};
use tokio::{
    sync::oneshot,
    task::{Id, JoinError, JoinSet},
    time::MissedTickBehavior,
};

use super::{
    Settings, StartError, Stats,
    client::Client,
    event,
    plan::{Attempt, Entry, Outcome, Plan, Verdict},
    sign::sign,
    stats::add,
};
use crate::{
    auth::entropy::Entropy,
    db::{Db, DbError, DbResult, Moment, Store, webhooks as outbox},
    domain::Clock,
};

/// Events stored in one transaction at most.
const BATCH: usize = 256;
/// Rows of the outbox read at a time.
const PAGE: i64 = 1000;
/// Dead deliveries kept.
const DEAD: i64 = 1000;
/// How often dead deliveries that should be sent again are looked for.
const REVIVAL: Duration = Duration::from_secs(5);
/// Pause before the outbox is tried again when it does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// What ids of events are made of: letters and digits that cannot be taken for each other.
const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Characters of an id after its prefix.
const ID_LEN: usize = 12;
/// Longest text kept of a failure, characters.
const ERROR_LEN: usize = 300;

/// An attempt's task that ended.
type Landing = Result<(Id, Result<(), Failure>), JoinError>;

/// Why an attempt did not succeed.
#[derive(Debug)]
struct Failure {
    text: String,
    outcome: Outcome,
}

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

    async fn load(&mut self) -> DbResult<()> {
        let now = self.clock.now();
        let urls: Vec<String> = self.settings.endpoints.iter().map(|e| e.url().to_owned()).collect();
        let prepare = move |c: &mut Db| {
            let buried = outbox::bury_strangers(c, &urls, now)?;
            while !outbox::take_revived(c, PAGE)?.is_empty() {}
            Ok::<_, DbError>(buried)
        };
        let buried = self.store.write(prepare).await?;
        if buried > 0 {
            tracing::warn!(buried, "webhooks to receivers that are not configured any more were given up");
        }
        let mut after = 0;
        loop {
            let rows = self.store.read(move |c| outbox::waiting(c, after, PAGE)).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            self.restore(rows);
        }
        if self.plan.pending() > 0 {
            tracing::info!(pending = self.plan.pending(), "webhooks of an earlier run are delivered first");
        }
        Ok(())
    }

    fn restore(&mut self, rows: Vec<outbox::Waiting>) {
        let now = self.clock.now();
        for row in rows {
            let target = self.settings.endpoints.iter().position(|e| e.url() == row.url);
            let Some(target) = target else { continue };
            let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
            let entry = Entry { id: row.id, attempts, next_at: row.next_at, created_at: row.created_at };
            self.plan.restore(now, target, &row.room, entry);
        }
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

    /// Puts an event and those right behind it into the outbox.
    async fn intake(&mut self, first: SfuEvent, events: &mut EventReceiver) {
        let mut next = Some(first);
        while let Some(event) = next {
            let mut batch = vec![event];
            while batch.len() < BATCH {
                match events.try_recv() {
                    Some(event) => batch.push(event),
                    None => break,
                }
            }
            self.keep(batch).await;
            next = events.try_recv();
        }
    }

    async fn keep(&mut self, batch: Vec<SfuEvent>) {
        let mut rows = Vec::new();
        let mut places = Vec::new();
        for event in batch {
            match event {
                SfuEvent::Room(event) => self.address(&event, &mut rows, &mut places),
                SfuEvent::Missed(count) => {
                    tracing::error!(count, "events came faster than webhooks could be stored; they are lost");
                    add(&self.stats.dropped_missed, count);
                    self.plan.missed(count);
                }
            }
        }
        if rows.is_empty() {
            return;
        }
        let rows = Arc::new(rows);
        let stored = self
            .patiently(|store| {
                let rows = Arc::clone(&rows);
                async move {
                    let insert = move |c: &mut Db| {
                        rows.iter().map(|row| outbox::insert(c, row)).collect::<DbResult<Vec<i64>>>()
                    };
                    store.write(insert).await
                }
            })
            .await;
        let now = self.clock.now();
        match stored {
            Ok(ids) => {
                for ((id, row), target) in ids.into_iter().zip(rows.iter()).zip(places) {
                    let entry = Entry { id, attempts: 0, next_at: row.next_at, created_at: row.created_at };
                    self.plan.add(now, target, &row.room, entry);
                }
            }
            Err(error) => {
                tracing::error!(%error, events = rows.len(), "webhooks could not be stored and are lost");
                add(&self.stats.dropped_storage, rows.len() as u64);
                for (row, target) in rows.iter().zip(places) {
                    self.plan.forget(target, &row.room);
                }
                self.plan.missed(rows.len() as u64);
            }
        }
    }

    /// Writes one row per receiver that wants the event and has room for it.
    fn address(&mut self, event: &RoomEvent, rows: &mut Vec<outbox::NewDelivery>, places: &mut Vec<usize>) {
        let Some(mut message) = event::describe(event, self.settings.full_room) else { return };
        if !self.settings.filter.allows(&message.event) {
            return;
        }
        let now = self.clock.now();
        message.id = format!("EV_{}", self.entropy.text(ALPHABET, ID_LEN));
        message.created_at = now.secs();
        // PostgreSQL has no NUL in text.
        let room = message.room.as_ref().map_or("", |r| r.name.as_str()).replace('\0', "\u{fffd}");
        for (target, endpoint) in self.settings.endpoints.iter().enumerate() {
            let Some(lost) = self.plan.reserve(target, &room) else {
                tracing::warn!(
                    event = message.event,
                    id = message.id,
                    url = endpoint.shown(),
                    "a webhook was dropped: too many wait for this receiver"
                );
                add(&self.stats.dropped_depth, 1);
                continue;
            };
            self.stats.queue_length.observe(self.plan.depth(target, &room) as u64);
            #[allow(
                deprecated,
                reason = "the reference server no longer fills it, its receivers still read it"
            )]
            {
                message.num_dropped = i32::try_from(lost).unwrap_or(i32::MAX);
            }
            let Ok(body) = serde_json::to_string(&message) else {
                tracing::error!(event = message.event, "a webhook cannot be written as JSON");
                self.plan.forget(target, &room);
                continue;
            };
            places.push(target);
            rows.push(outbox::NewDelivery {
                event_id: message.id.clone(),
                event: message.event.clone(),
                url: endpoint.url().to_owned(),
                room: room.clone(),
                body,
                next_at: now,
                created_at: now,
                updated_at: now,
            });
        }
    }

    /// Starts every attempt that may be made now.
    fn launch(&mut self) {
        let now = self.clock.now();
        while let Some(attempt) = self.plan.next(now) {
            let work = send(
                Arc::clone(&self.settings),
                Arc::clone(&self.client),
                self.store.clone(),
                self.clock.clone(),
                attempt.clone(),
            );
            let handle = self.flights.spawn(work);
            self.aloft.insert(handle.id(), attempt);
        }
    }

    /// Takes the ends of attempts: the one given and all others that are there.
    async fn land(&mut self, first: Option<Landing>) {
        let now = self.clock.now();
        let mut ends = Vec::new();
        let mut next = first.or_else(|| self.flights.try_join_next_with_id());
        while let Some(end) = next {
            let (id, result) = match end {
                Ok((id, result)) => (id, result),
                Err(error) => {
                    let text = "the attempt ended abnormally".to_owned();
                    (error.id(), Err(Failure { text, outcome: Outcome::Failed { wait: None } }))
                }
            };
            if let Some(attempt) = self.aloft.remove(&id) {
                ends.push(self.judge(now, &attempt, result));
            }
            next = self.flights.try_join_next_with_id();
        }
        if ends.is_empty() {
            return;
        }
        let ends = Arc::new(ends);
        let written = self
            .patiently(|store| {
                let ends = Arc::clone(&ends);
                async move { store.write(move |c| ends.iter().try_for_each(|end| end.write(c, now))).await }
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%error, "the outbox of webhooks does not follow; events may be sent again after a restart");
        }
    }

    fn judge(&mut self, now: Moment, attempt: &Attempt, result: Result<(), Failure>) -> End {
        let (outcome, error) = match result {
            Ok(()) => (Outcome::Delivered, String::new()),
            Err(failure) => (failure.outcome, failure.text.chars().take(ERROR_LEN).collect()),
        };
        let verdict = self.plan.finish(now, attempt, outcome);
        let url = self.settings.endpoints.get(attempt.target).map_or("", |e| e.shown());
        match verdict {
            Verdict::Done => {
                add(&self.stats.delivered, 1);
                tracing::debug!(row = attempt.id, url, "webhook delivered");
            }
            Verdict::Retry { attempts, at } => {
                add(&self.stats.failed, 1);
                tracing::warn!(row = attempt.id, url, attempts, next = %at, error, "webhook failed, trying again");
            }
            Verdict::Dead { attempts } => {
                add(&self.stats.failed, 1);
                add(&self.stats.dead, 1);
                tracing::error!(
                    row = attempt.id,
                    url,
                    attempts,
                    error,
                    "webhook given up (see `bedrud webhooks dead`)"
                );
            }
        }
        End { id: attempt.id, verdict, error }
    }

    /// Takes up dead deliveries that the operator wants to be sent again.
    async fn revive(&mut self) {
        match self.store.read(outbox::any_revived).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::debug!(%error, "the outbox of webhooks does not answer"),
        }
        match self.store.write(|c| outbox::take_revived(c, PAGE)).await {
            Ok(rows) => self.restore(rows),
            Err(error) => tracing::debug!(%error, "the outbox of webhooks does not answer"),
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

/// An attempt that ended, for the outbox.
struct End {
    id: i64,
    verdict: Verdict,
    error: String,
}

impl End {
    fn write(&self, c: &mut Db, now: Moment) -> DbResult<()> {
        match self.verdict {
            Verdict::Done => outbox::delivered(c, self.id),
            Verdict::Retry { attempts, at } => {
                outbox::failed(c, self.id, attempts.into(), &self.error, now, at)
            }
            Verdict::Dead { attempts } => {
                outbox::bury(c, self.id, attempts.into(), &self.error, now)?;
                outbox::trim_dead(c, DEAD).map(drop)
            }
        }
    }
}

/// One attempt.
async fn send(
    settings: Arc<Settings>,
    client: Arc<Client>,
    store: Store,
    clock: Clock,
    attempt: Attempt,
) -> Result<(), Failure> {
    let later = |text: String| Failure { text, outcome: Outcome::Failed { wait: None } };
    let id = attempt.id;
    let Some(endpoint) = settings.endpoints.get(attempt.target) else { return Ok(()) };
    let body = store.read(move |c| outbox::body(c, id)).await.map_err(|e| later(e.to_string()))?;
    // Somebody emptied the outbox by hand.
    let Some(body) = body else { return Ok(()) };
    let token = sign(body.as_bytes(), &settings.key, &settings.secret, clock.now().secs())
        .ok_or_else(|| later("the event cannot be signed".to_owned()))?;
    let answer = client.post(endpoint, &token, body).await.map_err(later)?;
    if answer.status.is_success() {
        return Ok(());
    }
    let again = answer.status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
            .contains(&answer.status);
    let outcome = if again { Outcome::Failed { wait: answer.wait } } else { Outcome::Refused };
    let mut text = format!("status {}", answer.status);
    if answer.status.is_redirection() {
        text.push_str(": redirects are not followed");
    }
    Err(Failure { text, outcome })
}
