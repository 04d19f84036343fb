//! The command line: one file per command.

mod config;
mod output;
mod version;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A meeting platform in one process: web app, API, accounts and media server.
#[derive(Debug, Parser)]
#[command(name = "bedrud", version, propagate_version = false, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file. Also: BEDRUD_CONFIG, CONFIG_PATH.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer with one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check, show or explain the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the version.
    Version,
}

/// Parses the command line and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error, json);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let context = Context { config: cli.config, json: cli.json };
    match cli.command {
        Command::Config(command) => config::run(&command, &context),
        Command::Version => version::run(&context),
    }
}

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--json`.
    pub json: bool,
}

impl Context {
    /// The configuration file, if any.
    #[must_use]
    pub fn config_path(&self) -> Option<PathBuf> {
        crate::config::path(self.config.as_deref(), &env)
    }

    /// Reads the configuration with the given flags on top.
    ///
    /// # Errors
    /// An unreadable file or refused values.
    pub fn load(
        &self,
        flags: &[(&str, String, String)],
    ) -> anyhow::Result<crate::config::Loaded<crate::config::Config>> {
        crate::config::load(self.config_path().as_deref(), &env, flags)
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
