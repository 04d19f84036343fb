//! Which worker runs which agent where: a state machine without sockets, clock or randomness of its own.
//!
//! A *dispatch* says that agents of a name belong into a room. A *worker* registers for rooms, participants or
//! publishers under a name. Where both meet, a *job* is made: a worker is asked, and when it is willing it gets the job
//! with a token for the room. Workers that say no, stay silent or vanish are passed over for the next one; a job that
//! finds none waits until one registers or has room again.

mod api;
mod io;
mod jobs;
mod messages;
mod news;
mod rooms;
mod stats;
mod timers;
mod workers;

#[cfg(test)]
mod tests;

pub(crate) use io::{Conn, DispatchError, Limits, News, Now, Output, Snapshot};
pub(crate) use stats::DispatchStats;
pub(crate) use workers::check_deployment;

use crate::auth::entropy::LEGIBLE;
use jobs::{Job, Phase};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rooms::RoomState;
use stats::JobCounters;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;
use timers::{Timer, Timers};
use workers::Worker;

/// Workers, rooms, dispatches and jobs of one server.
pub(crate) struct Dispatcher {
    limits: Limits,
    /// Told to workers.
    server: proto::ServerInfo,
    rng: StdRng,
    out: VecDeque<Output>,
    timers: Timers,
    workers: BTreeMap<Conn, Worker>,
    /// By sid.
    rooms: HashMap<String, RoomState>,
    /// Sid of the newest room of a name.
    names: HashMap<String, String>,
    /// Jobs that are not over, by id.
    jobs: BTreeMap<String, Job>,
    /// Those of them that look for a worker.
    waiting: BTreeSet<String>,
    /// Numbers requests and departures, so that late timers hit nothing else.
    count: u64,
    counters: JobCounters,
}

impl Dispatcher {
    /// An empty dispatcher. The seed decides ids and choices.
    pub(crate) fn new(limits: Limits, server: proto::ServerInfo, seed: [u8; 32]) -> Self {
        Self {
            limits,
            server,
            rng: StdRng::from_seed(seed),
            out: VecDeque::new(),
            timers: Timers::default(),
            workers: BTreeMap::new(),
            rooms: HashMap::new(),
            names: HashMap::new(),
            jobs: BTreeMap::new(),
            waiting: BTreeSet::new(),
            count: 0,
            counters: JobCounters::default(),
        }
    }

    /// A worker's socket is open; `api_key` signed its token.
    pub(crate) fn open(&mut self, now: Now, conn: Conn, api_key: String) {
        if self.workers.len() >= self.limits.workers {
            self.out.push_back(Output::Close { conn, reason: "too many workers" });
            return;
        }
        let worker = Worker::new(id(&mut self.rng, "AW_"), api_key);
        self.workers.insert(conn, worker);
        self.timers.set(now.mono + self.limits.register, Timer::Register(conn));
    }

    /// A worker's socket is gone. What it was asked goes to others; what it runs waits for its return as long as the
    /// agent is in the room, else for [`Limits::return_`].
    pub(crate) fn closed(&mut self, now: Now, conn: Conn) {
        let Some(worker) = self.workers.remove(&conn) else { return };
        for job in worker.asked {
            self.search(now, &job);
        }
        let runs = |job: &Job| matches!(job.phase, Phase::Running { conn: Some(c), .. } if c == conn);
        let orphans: Vec<String> =
            self.jobs.iter().filter(|(_, job)| runs(job)).map(|(id, _)| id.clone()).collect();
        for job in orphans {
            self.orphan(now, &job);
        }
    }

    /// [`Dispatcher::deadline`] has passed (harmless at any time).
    pub(crate) fn timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Register(conn) => {
                    if self.workers.get(&conn).is_some_and(|w| w.registration.is_none()) {
                        self.expel(now, conn, "no registration in time");
                    }
                }
                Timer::Answer(job, number) => self.unanswered(now, &job, number),
                Timer::Return(job, number) => self.not_returned(now, &job, number),
                Timer::Leave(room, identity, number) => self.not_left(&room, &identity, number),
                Timer::Forget(room, identity, number) => {
                    if let Some(room) = self.rooms.get_mut(&room)
                        && room.leaving.get(&identity).is_some_and(|l| l.number == number)
                    {
                        room.leaving.remove(&identity);
                    }
                }
            }
        }
    }

    /// When [`Dispatcher::timeout`] is due, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// Next thing to do, until `None`.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn send(&mut self, conn: Conn, message: Message) {
        self.out.push_back(Output::Send { conn, message: Box::new(message) });
    }

    /// Ends a socket from here.
    fn expel(&mut self, now: Now, conn: Conn, reason: &'static str) {
        self.out.push_back(Output::Close { conn, reason });
        self.closed(now, conn);
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// A prefix and twelve random characters, as all ids of the protocol.
fn id(rng: &mut StdRng, prefix: &str) -> String {
    let pick = |rng: &mut StdRng| LEGIBLE.get(rng.random_range(0..LEGIBLE.len())).copied().unwrap_or(b'2');
    let random = (0..12).map(|_| char::from(pick(rng)));
    let random: String = random.collect();
    format!("{prefix}{random}")
}
