//! `bedrud run`: the whole platform.

use super::{Context, env, output};
use crate::config::{Config, secrecy};
use crate::observe;
use crate::server::platform::{self, Started};
use crate::server::signals::{Reapplied, Reread};
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Flags beat environment and file.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Main port, TCP and UDP.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Address to bind.
    #[arg(long, value_name = "IP")]
    host: Option<String>,
    /// Folder for database, secrets and uploads. Also: BEDRUD_DATA.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Any other key of the configuration; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Accepted for older scripts; migrations are always applied.
    #[arg(long, hide = true)]
    skip_migrate: bool,
}

pub(super) fn run(args: &RunArgs, context: &Context) -> anyhow::Result<()> {
    let loaded = context.load(&flags(args)?)?;
    observe::init(&loaded.config.logger, env(observe::FILTER_VARIABLE).as_deref())?;
    if !loaded.inert.is_empty() {
        tracing::warn!(keys = loaded.inert.join(", "), "settings without effect in this version");
    }
    if args.skip_migrate || env("BEDRUD_SKIP_MIGRATE").is_some() {
        tracing::warn!("migrations are always applied; they cannot be skipped");
    }
    let json = context.json;
    let reread =
        reread(loaded.config.clone(), flags(args)?, Context { config: context.config.clone(), json });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(platform::run(loaded.config, reread, |started| announce(started, json)))
}

fn flags(args: &RunArgs) -> anyhow::Result<Vec<(&'static str, String, String)>> {
    let mut flags = Vec::new();
    let mut set = |flag, path: &str, value: Option<String>| {
        if let Some(value) = value {
            flags.push((flag, path.to_owned(), value));
        }
    };
    set("--port", "server.port", args.port.map(|p| p.to_string()));
    set("--host", "server.host", args.host.clone());
    set("--data", "server.dataDir", args.data.as_ref().map(|p| p.display().to_string()));
    for pair in &args.set {
        let Some((path, value)) = pair.split_once('=') else {
            anyhow::bail!("--set needs KEY=VALUE, e.g. --set server.port=8090");
        };
        set("--set", path.trim(), Some(value.to_owned()));
    }
    Ok(flags)
}

/// What SIGHUP does with the configuration: the log level applies, other changes wait.
fn reread(mut running: Config, flags: Vec<(&'static str, String, String)>, context: Context) -> Reread {
    Box::new(move || {
        let mut new = context.load(&flags)?.config;
        let mut done = Reapplied::default();
        if new.logger.level != running.logger.level {
            observe::set_level(new.logger.level)?;
            running.logger.level = new.logger.level;
            done.applied.push("logger.level".into());
        }
        done.waiting = secrecy::changed(&mut running, &mut new);
        Ok(done)
    })
}

/// Tells the operator where to go. The link is a secret: it goes to standard output and never to the log.
fn announce(started: &Started, json: bool) {
    let urls = started.urls.join(" ");
    tracing::info!(address = %started.address, urls, data = %started.data_dir.display(), "ready");
    if started.setup_replaced {
        tracing::warn!("the setup link that was printed before is void: this start printed a new one");
    }
    if json {
        let data = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "address": started.address.to_string(),
            "urls": started.urls,
            "setupLink": started.setup_link,
            "setupLinkReplaced": started.setup_replaced,
            "dataDir": started.data_dir,
        });
        output::success("ready", Some(data), true);
        return;
    }
    let mut text = format!("Bedrud {} is ready", env!("CARGO_PKG_VERSION"));
    for url in &started.urls {
        let _ = write!(text, "\n  {url}");
    }
    if started.address.ip().is_loopback() {
        text.push_str("\n\nOnly this machine can open it (server.host).");
    } else if started.urls.iter().any(|u| u.starts_with("http://")) {
        text.push_str("\n\nBrowsers give camera and microphone only to https and localhost; for other devices set server.enableTLS.");
    }
    if started.self_signed {
        text.push_str("\n\nThe certificate is self-signed: browsers will ask before they open the page.");
    }
    if let Some(link) = &started.setup_link {
        let _ = write!(
            text,
            "\n\nThere is no administrator yet. Open this link to become the first one (once, within 24 hours):\n  {link}"
        );
        // The first address may be this machine's name for itself; a browser elsewhere takes the next.
        for url in started.urls.iter().skip(1) {
            if let Some((_, rest)) = link.split_once("/setup?") {
                let _ = write!(text, "\n  {url}/setup?{rest}");
            }
        }
        if started.setup_replaced {
            text.push_str("\nThe link that was printed before is void.");
        }
    }
    let _ = write!(text, "\n\nData is kept in {}. Stop with Ctrl-C.\n", started.data_dir.display());
    output::plain(&text);
}
