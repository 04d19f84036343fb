//! Log output: standard error, for people or as JSON. Nothing secret, and at the default level nothing personal.

pub mod journal;

use crate::config::{LogFormat, LogLevel, Logger};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Environment variable with per-module filters, e.g. `info,bedrud_room=debug`. Beats the configured level.
pub const FILTER_VARIABLE: &str = "BEDRUD_LOG";

/// Crates that say more than an operator wants at the same level as ours.
const QUIETER: [&str; 5] = ["hyper", "hyper_util", "rustls", "tokio_postgres", "tungstenite"];

/// Crates that warn about single packets of a peer, as often as it likes: our own lines are limited.
const ERRORS_ONLY: [&str; 2] = ["str0m", "sctp_proto"];

/// The filter for a level: our own crates at that level, libraries no lower than warnings unless tracing.
#[must_use]
pub fn directives(level: LogLevel) -> String {
    match level {
        LogLevel::Disabled => "off".to_owned(),
        LogLevel::Trace | LogLevel::Error => level.as_str().to_owned(),
        _ => {
            let warn = QUIETER.iter().map(|name| format!("{name}=warn"));
            let error = ERRORS_ONLY.iter().map(|name| format!("{name}=error"));
            let quiet: Vec<String> = warn.chain(error).collect();
            format!("{},{}", level.as_str(), quiet.join(","))
        }
    }
}

type Change = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// Changes the filter of the running process; not set when `BEDRUD_LOG` decides.
static CHANGE: OnceLock<Change> = OnceLock::new();

/// Logs at another level from now on.
///
/// # Errors
/// When the level is not the configuration's to say.
pub fn set_level(level: LogLevel) -> anyhow::Result<()> {
    let Some(change) = CHANGE.get() else {
        anyhow::bail!(
            "{FILTER_VARIABLE} sets the filter of the log, and it can be changed by a restart only"
        );
    };
    if !change(EnvFilter::try_new(directives(level))?) {
        anyhow::bail!("the log does not take another filter");
    }
    Ok(())
}

/// Starts logging for the whole process. A second call changes nothing.
///
/// # Errors
/// When `BEDRUD_LOG` is not a filter.
pub fn init(logger: &Logger, filter: Option<&str>) -> anyhow::Result<()> {
    let own = filter.filter(|f| !f.trim().is_empty());
    let text = own.map_or_else(|| directives(logger.level), str::to_owned);
    let filter = EnvFilter::try_new(&text).map_err(|e| {
        anyhow::anyhow!(
            "{FILTER_VARIABLE} is not a log filter: {e} (write a level or module=level, with commas)"
        )
    })?;
    // A closed terminal or pipe must not end the server: complaints about failed writes would go the same way, and panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (change, already): (Change, bool) = match logger.format {
        LogFormat::Text => {
            let builder = builder.with_ansi(color).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(move |filter| handle.reload(filter).is_ok()), builder.finish().try_init().is_err())
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(move |filter| handle.reload(filter).is_ok()), builder.finish().try_init().is_err())
        }
    };
    if !already && own.is_none() {
        let _ = CHANGE.set(change);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_valid_filter() {
        for level in [
            LogLevel::Trace,
            LogLevel::Debug,
            LogLevel::Info,
            LogLevel::Warn,
            LogLevel::Error,
            LogLevel::Disabled,
        ] {
            EnvFilter::try_new(directives(level)).unwrap();
        }
        assert!(init(&Logger::default(), Some("bedrud=nonsense=x")).is_err());
    }
}
