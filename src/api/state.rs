//! What handlers share.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use crate::{
    auth::{
        entropy::Entropy,
        password::{PasswordError, Passwords},
    },
    db::Store,
    domain::{Clock, MediaControl, Platform, accounts::Throttle, settings::Settings},
};

/// Where a request came from. The server puts it into the request's extensions, after it judged forwarding headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr {
    /// The client's address.
    pub ip: IpAddr,
    /// The client spoke https, to us or to a trusted proxy.
    pub https: bool,
}

/// Everything the platform is made of.
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
pub struct AppState(Arc<Platform>);

impl AppState {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`PasswordError`] when the configured password cost is outside what Argon2 allows.
    pub fn new(parts: AppParts) -> Result<Self, PasswordError> {
        let AppParts { store, settings, clock, entropy, media } = parts;
        let throttle = Throttle::default();
        let passwords = Passwords::new(settings.auth.password_cost, settings.auth.password_threads)?;
        Ok(Self(Arc::new(Platform { store, settings, clock, entropy, passwords, throttle, media })))
    }

    /// The platform itself, for what works without HTTP: setup, live state, housekeeping.
    #[must_use]
    pub fn platform(&self) -> &Arc<Platform> {
        &self.0
    }
}

impl Deref for AppState {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.0
    }
}
