//! The entry point: all rooms and connections of one node.

use crate::config::HubConfig;
use crate::io::{ConnId, Input, JoinError, Now, Output, ServiceError, ServiceErrorCode};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::time::Instant;

/// How much a [`Hub`] holds; all zero when everyone has left and the rooms have closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubStats {
    /// Open rooms.
    pub rooms: usize,
    /// Participants.
    pub participants: usize,
    /// Signalling sockets.
    pub connections: usize,
    /// Transports opened on shards.
    pub transports: usize,
    /// Published tracks.
    pub tracks: usize,
    /// Subscriptions carried by a transport.
    pub subscriptions: usize,
}

/// The control plane of one node.
pub struct Hub {
    config: HubConfig,
    #[allow(dead_code, reason = "ids are drawn from it as soon as sessions exist")]
    rng: StdRng,
    out: VecDeque<Output>,
    closing: bool,
}

impl Hub {
    /// An empty hub. The seed must be secret and fresh in production: ICE passwords are drawn from it.
    #[must_use]
    pub fn new(config: HubConfig, seed: [u8; 32]) -> Self {
        Self { config, rng: StdRng::from_seed(seed), out: VecDeque::new(), closing: false }
    }

    /// Takes one input. Drain [`Hub::poll`] afterwards.
    pub fn handle(&mut self, _now: Now, input: Input) {
        match input {
            Input::Join { conn, mut params } => {
                let error = match params.settle(&self.config.limits) {
                    Ok(()) => JoinError::new(503, "media server is not ready"),
                    Err(error) => error,
                };
                self.refuse(conn, error);
            }
            Input::Validate { id, mut params } => {
                let result = params.settle(&self.config.limits);
                self.out.push_back(Output::Validated { id, result });
            }
            Input::Service { id, .. } => {
                let error = ServiceError::new(ServiceErrorCode::Unavailable, "media server is not ready");
                self.out.push_back(Output::ServiceReply { id, result: Err(error) });
            }
            Input::Shutdown => self.closing = true,
            Input::Signal { .. } | Input::SignalClosed { .. } | Input::Shard { .. } | Input::Timeout => {}
        }
    }

    /// Next thing to do, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due, if ever.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        None
    }

    /// What is held.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        HubStats::default()
    }

    fn refuse(&mut self, conn: ConnId, error: JoinError) {
        self.out.push_back(Output::Refuse { conn, error });
    }
}
