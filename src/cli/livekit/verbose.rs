//! `bedrud livekit help-verbose`.

use crate::cli::{Cli, output};
use crate::config::{example, media::MediaConfig};
use clap::CommandFactory as _;

/// Prints the flags, then every key of the configuration.
pub(super) fn run() {
    let mut command = Cli::command();
    command.build();
    let flags = command.find_subcommand_mut("livekit").map(|c| c.render_long_help().to_string());
    let keys = example::keys(&mut MediaConfig::default(), Some("LIVEKIT"));
    output::plain(&format!(
        "{}\nKeys of the configuration (--config, --config-body, LIVEKIT_CONFIG), with their defaults:\n\n{keys}",
        flags.unwrap_or_default()
    ));
}
