//! Signals that do not stop the server (those that do: [`super::shutdown::signal`]).
//!
//! SIGHUP comes from a service manager that wants a reload, and from a terminal that was closed: meetings go on. Every other
//! signal that would end the process by default, and that nobody sends for a fault of the process itself, is ignored.

use super::tls::Certificates;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Reads the configuration again and applies what can be applied. Answers what was applied, and the keys that have
/// changed but wait for the next start.
pub type Reread = Box<dyn FnMut() -> anyhow::Result<Reapplied> + Send>;

/// What came of reading the configuration again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reapplied {
    /// Took effect.
    pub applied: Vec<String>,
    /// Takes effect at the next start.
    pub waiting: Vec<String>,
}

/// Ignored signals by number and name. SIGPIPE is ignored by the language's runtime already. Not here: what the kernel
/// sends for faults, what a terminal uses to suspend, and what cannot be caught.
const IGNORED: [(i32, &str); 8] = [
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];

/// SIGHUP, caught but not yet acted on.
#[derive(Debug)]
pub struct Hangups(Signal);

/// From now on these signals end nothing. To be called first in the process.
///
/// # Errors
/// When signals cannot be caught.
pub fn catch() -> anyhow::Result<Hangups> {
    for (number, name) in IGNORED {
        let mut arrivals = signal(SignalKind::from_raw(number))?;
        tokio::spawn(async move {
            if arrivals.recv().await.is_some() {
                tracing::warn!(signal = name, "this signal means nothing here and is ignored");
            }
            while arrivals.recv().await.is_some() {}
        });
    }
    Ok(Hangups(signal(SignalKind::hangup())?))
}

impl Hangups {
    /// Reloads at every SIGHUP from now on.
    pub fn reload_with(self, mut reread: Reread, certificates: Option<Arc<Certificates>>) {
        let mut arrivals = self.0;
        tokio::spawn(async move {
            while arrivals.recv().await.is_some() {
                reload(&mut reread, certificates.as_deref());
            }
        });
    }
}

fn reload(reread: &mut Reread, certificates: Option<&Certificates>) {
    let mut done = Reapplied::default();
    match reread() {
        Ok(reapplied) => done = reapplied,
        Err(error) => tracing::error!("SIGHUP: the configuration stays as it is: {error:#}"),
    }
    match certificates.map(Certificates::reload) {
        Some(Ok(())) => done.applied.push("certificate".into()),
        Some(Err(error)) => tracing::error!("SIGHUP: keeping the old certificate: {error:#}"),
        None => {}
    }
    let text = |list: &[String]| if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
    tracing::info!(
        reloaded = text(&done.applied),
        at_next_start = text(&done.waiting),
        "SIGHUP: still running; the log level and the certificate can be reloaded, all else needs a restart"
    );
}
