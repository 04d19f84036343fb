//! Log output: standard error, for people or as JSON. Nothing secret, and at the default level nothing personal.

use crate::config::{LogFormat, LogLevel, Logger};
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

/// Starts logging for the whole process. A second call changes nothing.
///
/// # Errors
/// When `BEDRUD_LOG` is not a filter.
pub fn init(logger: &Logger, filter: Option<&str>) -> anyhow::Result<()> {
    let text =
        filter.filter(|f| !f.trim().is_empty()).map_or_else(|| directives(logger.level), str::to_owned);
    let filter = EnvFilter::try_new(&text).map_err(|e| {
        anyhow::anyhow!(
            "{FILTER_VARIABLE} is not a log filter: {e} (write a level or module=level, with commas)"
        )
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _already = match logger.format {
        LogFormat::Text => builder.with_ansi(color).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).finish().try_init(),
    };
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
