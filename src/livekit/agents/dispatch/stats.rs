//! Figures of the dispatcher.

use super::Dispatcher;
use super::jobs::Phase;

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JobCounters {
    /// Jobs that a worker took.
    pub(crate) assigned: u64,
    /// Jobs that ended well.
    pub(crate) succeeded: u64,
    /// Jobs that failed.
    pub(crate) failed: u64,
    /// Jobs that ended with their room.
    pub(crate) room_closed: u64,
    /// Jobs that no worker took.
    pub(crate) given_up: u64,
}

/// What a [`Dispatcher`] holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DispatchStats {
    /// Workers that take jobs.
    pub(crate) workers_available: usize,
    /// Workers that take none now.
    pub(crate) workers_full: usize,
    /// Sockets that have not registered yet.
    pub(crate) workers_unregistered: usize,
    /// Jobs without a worker to ask.
    pub(crate) jobs_waiting: usize,
    /// Jobs that a worker was asked about.
    pub(crate) jobs_offered: usize,
    /// Jobs that run.
    pub(crate) jobs_running: usize,
    /// Running jobs whose worker lost its connection.
    pub(crate) jobs_orphaned: usize,
    /// Dispatches of all rooms.
    pub(crate) dispatches: usize,
    /// Since the start.
    pub(crate) jobs: JobCounters,
}

impl Dispatcher {
    /// Figures as of now.
    pub(crate) fn stats(&self) -> DispatchStats {
        let mut stats = DispatchStats {
            dispatches: self.rooms.values().map(|r| r.dispatches.len()).sum(),
            jobs: self.counters,
            ..DispatchStats::default()
        };
        for worker in self.workers.values() {
            *match (&worker.registration, worker.available) {
                (None, _) => &mut stats.workers_unregistered,
                (Some(_), true) => &mut stats.workers_available,
                (Some(_), false) => &mut stats.workers_full,
            } += 1;
        }
        for job in self.jobs.values() {
            *match job.phase {
                Phase::Waiting => &mut stats.jobs_waiting,
                Phase::Asking { .. } => &mut stats.jobs_offered,
                Phase::Running { conn: Some(_), .. } => &mut stats.jobs_running,
                Phase::Running { conn: None, .. } => &mut stats.jobs_orphaned,
            } += 1;
        }
        stats
    }
}
