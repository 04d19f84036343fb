//! No core dumps: the memory of this process holds the keys of its users' sessions and calls.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps for good, whatever the shell or the service manager allow.
pub fn forbid() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps could not be forbidden");
    }
}
