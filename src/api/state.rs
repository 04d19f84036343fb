//! What handlers share.

use std::{
    net::IpAddr,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::{
    api::settings::Settings,
    db::{Moment, Store},
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

/// Randomness for ids, tokens and salts: a cryptographic generator that the server seeds from the system.
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// A generator that starts from `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Mutex::new(StdRng::from_seed(seed)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut StdRng) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// A random (version 4) UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// `len` characters drawn evenly from `alphabet`, which must be ASCII.
    #[must_use]
    pub fn text(&self, alphabet: &[u8], len: usize) -> String {
        self.with(|rng| {
            let pick = |_| alphabet.get(rng.random_range(0..alphabet.len().max(1))).map_or('a', |byte| char::from(*byte));
            (0..len).map(pick).collect()
        })
    }
}

/// Where a request came from. The server puts it into the request's extensions, after it judged forwarding headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr {
    /// The client's address.
    pub ip: IpAddr,
    /// The client spoke https, to us or to a trusted proxy.
    pub https: bool,
}

/// What the API asks of the media server. Calls return at once; failures are the media server's to log.
pub trait MediaControl: Send + Sync {
    /// Ends a room: its participants are told that it was deleted.
    fn delete_room(&self, room: &str);
    /// Sends a reliable data packet of topic `system` from the server to a room.
    fn send_system(&self, room: &str, payload: Vec<u8>);
}

/// No media server: rooms exist in the database only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMedia;

impl MediaControl for NoMedia {
    fn delete_room(&self, _: &str) {}
    fn send_system(&self, _: &str, _: Vec<u8>) {}
}

/// Everything handlers need.
pub struct AppParts {
    /// The database.
    pub store: Store,
    /// The configuration.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// The media server.
    pub media: Arc<dyn MediaControl>,
}

/// Shared state of the API. Cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<AppParts>);

impl AppState {
    /// Wraps the parts.
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }
}

impl Deref for AppState {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}
