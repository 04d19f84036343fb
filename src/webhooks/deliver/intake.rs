//! From what happened to rows of the outbox.

use std::sync::Arc;

use bedrud_media::{EventReceiver, RoomEvent, SfuEvent};

use super::Actor;
use crate::{
    auth::entropy::LEGIBLE,
    db::{Db, DbResult, webhooks as outbox},
    webhooks::{event, plan::Entry, stats::add},
};

/// Events stored in one transaction at most.
const BATCH: usize = 256;
/// Characters of an id after its prefix.
const ID_LEN: usize = 12;

impl Actor {
    /// Puts an event and those right behind it into the outbox.
    pub(super) async fn intake(&mut self, first: SfuEvent, events: &mut EventReceiver) {
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
        message.id = format!("EV_{}", self.entropy.text(LEGIBLE, ID_LEN));
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
}
