//! Agents: workers, and the jobs they have.

use super::text::{Kind, Text};
use crate::livekit::DispatchStats;

/// Writes the families.
pub(super) fn write(text: &mut Text, stats: &DispatchStats) {
    let name = "bedrud_agent_workers";
    text.family(name, Kind::Gauge, "Agent workers that are connected.");
    for (state, count) in [
        ("available", stats.workers_available),
        ("full", stats.workers_full),
        ("unregistered", stats.workers_unregistered),
    ] {
        text.sample(name, &[("state", state)], count);
    }
    let name = "bedrud_agent_jobs";
    text.family(name, Kind::Gauge, "Agent jobs that are not over.");
    for (state, count) in [
        ("waiting", stats.jobs_waiting),
        ("offered", stats.jobs_offered),
        ("running", stats.jobs_running),
        ("orphaned", stats.jobs_orphaned),
    ] {
        text.sample(name, &[("state", state)], count);
    }
    let name = "bedrud_agent_jobs_total";
    text.family(name, Kind::Counter, "Agent jobs that began, and how jobs ended.");
    for (state, count) in [
        ("assigned", stats.jobs.assigned),
        ("success", stats.jobs.succeeded),
        ("failed", stats.jobs.failed),
        ("room_closed", stats.jobs.room_closed),
        ("given_up", stats.jobs.given_up),
    ] {
        text.sample(name, &[("state", state)], count);
    }
    text.single("bedrud_agent_dispatches", Kind::Gauge, "Agent dispatches of open rooms.", stats.dispatches);
}
