//! Attempts: on their way, and what becomes of them.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::task::{Id, JoinError};

use super::Actor;
use crate::{
    db::{Db, DbResult, Moment, Store, webhooks as outbox},
    domain::Clock,
    webhooks::{
        Settings,
        client::Client,
        plan::{Attempt, Outcome, Verdict},
        sign::sign,
        stats::add,
    },
};

/// Dead deliveries kept.
const DEAD: i64 = 1000;
/// Longest text kept of a failure, characters.
const ERROR_LEN: usize = 300;

/// An attempt's task that ended.
pub(super) type Landing = Result<(Id, Result<(), Failure>), JoinError>;

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    text: String,
    outcome: Outcome,
}

impl Actor {
    /// Starts every attempt that may be made now.
    pub(super) fn launch(&mut self) {
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
    pub(super) async fn land(&mut self, first: Option<Landing>) {
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
