//! `bedrud config`: check, show, example, path.

use super::{Context, output};
use crate::config::example;
use clap::Subcommand;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the file, environment and defaults, and say what is wrong.
    #[command(alias = "validate")]
    Check,
    /// Print the effective values and where they come from; secrets are hidden.
    Show,
    /// Print an example file with every key.
    Example,
    /// Print the path of the file in use.
    Path,
}

pub(super) fn run(command: &ConfigCommand, context: &Context) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check => {
            let loaded = context.load(&[])?;
            let mut message = "The configuration is valid.".to_owned();
            for key in &loaded.inert {
                message.push_str(&format!("\n{key}: accepted, without effect in this version"));
            }
            let path = context.config_path().map(|p| p.display().to_string());
            let data = serde_json::json!({ "path": path, "problems": [], "withoutEffect": loaded.inert });
            output::success(&message, Some(data), context.json);
        }
        ConfigCommand::Show => {
            let mut loaded = context.load(&[])?;
            output::plain(&example::show(&mut loaded.config, &loaded.origins));
        }
        ConfigCommand::Example => output::plain(&example::example()),
        ConfigCommand::Path => {
            let path = context.config_path().map_or_else(|| "none".to_owned(), |p| p.display().to_string());
            output::success(&path, Some(serde_json::json!({ "path": path })), context.json);
        }
    }
    Ok(())
}
