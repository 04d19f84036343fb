//! How long an answer may take, which a handler can extend once it knows what it was asked.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Belongs to one request, as an extension. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    extra_ms: Arc<AtomicU64>,
}

impl Patience {
    /// Gives the answer this much more time than others have. The larger of two extensions counts.
    pub fn extend(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.extra_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// By how much it has been extended.
    #[cfg(test)]
    pub(crate) fn extra(&self) -> Duration {
        Duration::from_millis(self.extra_ms.load(Ordering::Relaxed))
    }

    /// Waits for an answer, as long as it may take; `None` when that was too long.
    pub(super) async fn wait<T>(&self, limit: Duration, answer: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let mut answer = std::pin::pin!(answer);
        loop {
            let extra = self.extra_ms.load(Ordering::Relaxed);
            let deadline = start.checked_add(limit.saturating_add(Duration::from_millis(extra)));
            let Some(deadline) = deadline else { return Some(answer.await) };
            match timeout_at(deadline, answer.as_mut()).await {
                Ok(answer) => return Some(answer),
                Err(_) if self.extra_ms.load(Ordering::Relaxed) > extra => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const LIMIT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn answers_have_the_common_limit_unless_their_handler_extends_it() {
        let patience = Patience::default();
        assert_eq!(patience.wait(LIMIT, async { 7 }).await, Some(7));
        assert_eq!(patience.wait(LIMIT, std::future::pending::<()>()).await, None);
        let handler = async {
            patience.extend(Duration::from_secs(600));
            sleep(LIMIT * 4).await;
        };
        assert_eq!(patience.wait(LIMIT, handler).await, Some(()));
        let endless = Patience::default();
        endless.extend(Duration::MAX);
        assert_eq!(endless.wait(Duration::MAX, async { 7 }).await, Some(7));
    }
}
