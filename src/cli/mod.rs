//! The command line: one file per command.

mod config;
mod livekit;
mod output;
mod run;
mod version;
mod webhooks;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
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
    /// Run Bedrud: web app, API, accounts, rooms and media in this process.
    #[command(alias = "server")]
    Run(run::RunArgs),
    /// Run the media server alone, as livekit-server is run.
    Livekit(Box<livekit::LiveKitArgs>),
    /// Check, show or explain the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Look at webhooks that were given up, and send them again.
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Print the version.
    Version,
}

/// Parses the command line and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(modern(std::env::args_os()));
    let json = cli.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error, json);
            ExitCode::FAILURE
        }
    }
}

/// Turns the flags that older units and scripts use into commands: `--run`, `--livekit`, `-v`.
fn modern(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    let legacy = [("--run", "run"), ("--livekit", "livekit"), ("-v", "version")];
    for (flag, command) in legacy {
        if let Some(at) = args.iter().position(|a| a == flag)
            && !args.iter().skip(1).any(|a| Command::has_subcommand(&a.to_string_lossy()))
        {
            args.remove(at);
            args.insert(1, command.into());
            break;
        }
    }
    args
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let context = Context { config: cli.config, json: cli.json };
    match cli.command {
        Command::Run(args) => run::run(&args, &context),
        Command::Livekit(args) => livekit::run(&args, &context),
        Command::Config(command) => config::run(&command, &context),
        Command::Webhooks(command) => webhooks::run(&command, &context),
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

/// Data folder of commands that read no configuration of the platform.
fn data_folder(flag: Option<&Path>) -> PathBuf {
    let named = || env("BEDRUD_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    flag.map(Path::to_path_buf).or_else(named).unwrap_or_else(|| PathBuf::from("data"))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_older_units_still_work() {
        let modern = |line: &str| {
            let args = super::modern(line.split(' ').map(OsString::from));
            args.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(modern("bedrud --run --config /etc/x.yaml"), "bedrud run --config /etc/x.yaml");
        assert_eq!(modern("bedrud --config x --livekit"), "bedrud livekit --config x");
        assert_eq!(modern("bedrud -v"), "bedrud version");
        assert_eq!(modern("bedrud run --port 1"), "bedrud run --port 1");
    }
}
