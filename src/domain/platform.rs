//! What the functions of the domain share.

use std::sync::Arc;

use bedrud_media::Restrictions;

use crate::{
    auth::{entropy::Entropy, password::Passwords},
    db::{Moment, Store},
    domain::{accounts::Throttle, settings::Settings},
};

/// The current time as the server tells it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

/// What the platform asks of the media server. Calls return at once; failures are the media server's to log.
pub trait MediaControl: Send + Sync {
    /// Ends the room of this id: its participants are told that it was deleted.
    fn delete_room(&self, room_id: &str);
    /// Sends a reliable data packet of topic `system` from the server to everybody in the room of this id.
    fn send_system(&self, room_id: &str, payload: Vec<u8>);
    /// Changes what those may not do who are in the room of this id.
    fn restrict_room(&self, room_id: &str, restrictions: Restrictions);
}

/// No media server: rooms exist in the database only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMedia;

impl MediaControl for NoMedia {
    fn delete_room(&self, _: &str) {}
    fn send_system(&self, _: &str, _: Vec<u8>) {}
    fn restrict_room(&self, _: &str, _: Restrictions) {}
}

/// Data, configuration, time, randomness and the media server.
pub struct Platform {
    /// The database.
    pub store: Store,
    /// The configuration.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Password hashing.
    pub passwords: Passwords,
    /// Failed sign-ins per account.
    pub throttle: Throttle,
    /// The media server.
    pub media: Arc<dyn MediaControl>,
}

impl Platform {
    /// The current time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }
}
