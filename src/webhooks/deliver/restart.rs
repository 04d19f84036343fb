//! What is in the outbox already: from an earlier run, and what the operator wants to be sent again.

use super::Actor;
use crate::db::{Db, DbError, DbResult, webhooks as outbox};
use crate::webhooks::plan::Entry;

/// Rows of the outbox read at a time.
const PAGE: i64 = 1000;

impl Actor {
    /// Reads what an earlier run left.
    pub(super) async fn load(&mut self) -> DbResult<()> {
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

    /// Takes up dead deliveries that the operator wants to be sent again.
    pub(super) async fn revive(&mut self) {
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
}
