//! Webhooks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::webhooks::Stats;

use super::text::{Kind, Text};

/// Writes the families.
pub(super) fn write(text: &mut Text, stats: &Stats) {
    let value = |counter: &AtomicU64| counter.load(Relaxed);
    let name = "livekit_webhook_dispatch_total";
    text.family(name, Kind::Counter, "Webhooks by what became of an attempt or of the event.");
    for (status, reason, counter) in [
        ("success", "", &stats.delivered),
        ("failure", "", &stats.failed),
        ("drop", "depth", &stats.dropped_depth),
        ("drop", "missed", &stats.dropped_missed),
        ("drop", "storage", &stats.dropped_storage),
        ("drop", "dead", &stats.dead),
    ] {
        text.sample(name, &[("status", status), ("reason", reason)], value(counter));
    }
    let name = "livekit_webhook_queue_length";
    text.family(name, Kind::Histogram, "Events of its room that waited for a receiver, with the new one.");
    text.histogram(name, &[], &stats.queue_length.snapshot());
    let pending = value(&stats.pending);
    text.single("bedrud_webhook_pending", Kind::Gauge, "Webhooks that wait or are being sent.", pending);
}
