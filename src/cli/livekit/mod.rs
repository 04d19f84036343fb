//! `bedrud livekit`: the media server alone, and what its operator asks of it.

mod keys;
mod nodes;
mod ports;
mod token;
mod verbose;

use super::{Context, env, output};
use crate::config::media::{self, MediaConfig};
use crate::config::secrecy::{self, close_to_others, has_secrets_of_file};
use crate::config::{Loaded, LogFormat, LogLevel, Logger};
use crate::observe;
use crate::server::media_only;
use crate::server::signals::{Reapplied, Reread};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Flags of the media server; `--config` is LiveKit's YAML here.
#[derive(Debug, Clone, Args)]
pub struct LiveKitArgs {
    /// Development mode: key `devkey`, secret `secret`, loopback addresses.
    #[arg(long, global = true)]
    dev: bool,
    /// Address to listen on; may be repeated.
    #[arg(long, global = true, value_name = "IP")]
    bind: Vec<String>,
    /// Port of HTTP, WebSocket and ICE over TCP; media over UDP uses the same number.
    #[arg(long, global = true, value_name = "PORT")]
    port: Option<u16>,
    /// Another port for media over UDP.
    #[arg(long, global = true, value_name = "PORT")]
    udp_port: Option<u16>,
    /// API keys, `key: secret`, one pair a line. Also: LIVEKIT_KEYS.
    #[arg(long, global = true, value_name = "PAIRS")]
    keys: Option<String>,
    /// File with API keys. Also: LIVEKIT_KEY_FILE.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The configuration itself instead of a file. Also: LIVEKIT_CONFIG.
    #[arg(long, global = true, value_name = "YAML")]
    config_body: Option<String>,
    /// Address told to clients. Also: NODE_IP.
    #[arg(long, global = true, value_name = "IP")]
    node_ip: Option<String>,
    /// Region told to clients. Also: LIVEKIT_REGION.
    #[arg(long, global = true, value_name = "NAME")]
    region: Option<String>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// Folder for the outbox of webhooks, which is all that is ever written. Also: BEDRUD_DATA. Default: ./data
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Something else than running it.
    #[command(subcommand)]
    command: Option<LiveKitCommand>,
}

/// Flags of livekit-server that mean nothing here, accepted so that existing commands start.
#[derive(Debug, Clone, Args)]
struct Elsewhere {
    #[arg(long, global = true, hide = true, value_name = "HOST")]
    redis_host: Option<String>,
    #[arg(long, global = true, hide = true, value_name = "PASSWORD")]
    redis_password: Option<String>,
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    turn_cert: Option<PathBuf>,
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    turn_key: Option<PathBuf>,
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    cpuprofile: Option<PathBuf>,
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    memprofile: Option<PathBuf>,
    #[arg(long, global = true, hide = true)]
    disable_strict_config: bool,
}

impl Elsewhere {
    /// Those that were given, with why they have no effect.
    fn given(&self) -> Vec<(&'static str, &'static str)> {
        let one_node = "there is one node and nothing to share";
        let no_turn = "there is no TURN server here, name others in rtc.turn_servers";
        let no_profile = "profiles are not written";
        let strict = "keys that livekit-server does not know are refused all the same";
        [
            ("--redis-host", self.redis_host.is_some(), one_node),
            ("--redis-password", self.redis_password.is_some(), one_node),
            ("--turn-cert", self.turn_cert.is_some(), no_turn),
            ("--turn-key", self.turn_key.is_some(), no_turn),
            ("--cpuprofile", self.cpuprofile.is_some(), no_profile),
            ("--memprofile", self.memprofile.is_some(), no_profile),
            ("--disable-strict-config", self.disable_strict_config, strict),
        ]
        .into_iter()
        .filter_map(|(flag, given, why)| given.then_some((flag, why)))
        .collect()
    }
}

/// What can be asked instead of running the server. All read the same configuration and flags.
#[derive(Debug, Clone, Subcommand)]
enum LiveKitCommand {
    /// Sign a token that lets somebody into a room.
    CreateJoinToken(token::TokenArgs),
    /// Make an API key and its secret.
    GenerateKeys,
    /// Show the running server and what it carries.
    #[command(alias = "status")]
    ListNodes,
    /// Show the ports to open in a firewall.
    Ports,
    /// Show every key of the configuration with its default and environment variable.
    HelpVerbose,
}

pub(super) fn run(args: &LiveKitArgs, context: &Context) -> anyhow::Result<()> {
    let (name, loaded) = match &args.command {
        Some(LiveKitCommand::GenerateKeys) => return keys::run(context),
        Some(LiveKitCommand::HelpVerbose) => {
            verbose::run();
            return Ok(());
        }
        _ => load(args, context)?,
    };
    let settings = loaded.config;
    match &args.command {
        Some(LiveKitCommand::CreateJoinToken(token)) => return token::run(token, settings, context),
        Some(LiveKitCommand::ListNodes) => return nodes::run(settings, context),
        Some(LiveKitCommand::Ports) => {
            ports::run(&settings, context);
            return Ok(());
        }
        _ => {}
    }
    let logger = logger(&settings)?;
    observe::init(&logger, env(observe::FILTER_VARIABLE).as_deref())?;
    crate::server::media::warn_inert(&name, &loaded.inert);
    for (flag, why) in args.elsewhere.given() {
        tracing::warn!(flag, "flag without effect: {why}");
    }
    let json = context.json;
    let banner = banner(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let data = crate::cli::data_folder(args.data.as_deref());
    let reread = reread(settings.clone(), args.clone(), Context { config: context.config.clone(), json });
    runtime.block_on(media_only::run(settings, &data, reread, |addresses, urls| {
        started(addresses, urls, &banner, json);
    }))
}

/// What SIGHUP does with the configuration: the log level applies, other changes wait.
fn reread(mut running: MediaConfig, args: LiveKitArgs, context: Context) -> Reread {
    Box::new(move || {
        let (_, loaded) = load(&args, &context)?;
        let (mut new, mut done) = (loaded.config, Reapplied::default());
        let (before, after) = (logger(&running)?, logger(&new)?);
        if before.level != after.level {
            observe::set_level(after.level)?;
            running.logging.level.clone_from(&new.logging.level);
            running.log_level.clone_from(&new.log_level);
            done.applied.push("logging.level".into());
        }
        done.waiting = secrecy::changed(&mut running, &mut new);
        Ok(done)
    })
}

/// The configuration and where it came from.
fn load(args: &LiveKitArgs, context: &Context) -> anyhow::Result<(String, Loaded<MediaConfig>)> {
    let body = args.config_body.clone().or_else(|| env("LIVEKIT_CONFIG").filter(|v| !v.is_empty()));
    let (name, text) = match (&context.config, body) {
        (Some(path), _) => (path.display().to_string(), Some(crate::config::read_file(path)?)),
        (None, Some(body)) => ("--config-body".to_owned(), Some(body)),
        (None, None) => (String::new(), None),
    };
    let file = text.as_deref().map(|text| (name.as_str(), text));
    let mut loaded = media::read(file, &env, Some("LIVEKIT"), &flags(args))?;
    if let Some(path) = &context.config
        && !loaded.config.development
        && has_secrets_of_file(&mut loaded)
    {
        // Files of livekit-server are readable by all as often as not, so this one is put right where that is possible.
        close_to_others(path)?;
    }
    Ok((name, loaded))
}

fn flags(args: &LiveKitArgs) -> Vec<(&'static str, String, String)> {
    let mut flags = Vec::new();
    let mut set = |flag, path: &str, value: Option<String>| {
        if let Some(value) = value {
            flags.push((flag, path.to_owned(), value));
        }
    };
    set("--dev", "development", args.dev.then(|| "true".to_owned()));
    set("--bind", "bind_addresses", (!args.bind.is_empty()).then(|| args.bind.join(",")));
    set("--port", "port", args.port.map(|p| p.to_string()));
    set("--udp-port", "rtc.udp_port", args.udp_port.map(|p| p.to_string()));
    set("--keys", "keys", args.keys.clone());
    set("--key-file", "key_file", args.key_file.as_ref().map(|p| p.display().to_string()));
    set("--node-ip", "rtc.node_ip", args.node_ip.clone());
    set("--region", "region", args.region.clone());
    flags
}

fn logger(settings: &MediaConfig) -> anyhow::Result<Logger> {
    use crate::config::setting::Scalar as _;
    let mut level = LogLevel::Info;
    let words = [&settings.logging.level, &settings.log_level];
    if let Some(word) = words.into_iter().find(|w| !w.is_empty()) {
        level.set_text(word).map_err(anyhow::Error::msg).context("logging.level")?;
    }
    let format = if settings.logging.json { LogFormat::Json } else { LogFormat::Text };
    Ok(Logger { level, format, ..Logger::default() })
}

fn banner(settings: &MediaConfig) -> String {
    let mut text = format!("Bedrud {} media server", env!("CARGO_PKG_VERSION"));
    if settings.development && settings.keys.0.is_empty() {
        let (key, secret) = media_only::DEV_KEYS;
        let _ = write!(text, "\n  development mode: API key {key}, API secret {secret}");
    }
    text
}

fn started(addresses: &[SocketAddr], urls: &[String], banner: &str, json: bool) {
    if json {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        output::success("listening", Some(serde_json::json!({ "addresses": list, "urls": urls })), true);
        return;
    }
    let mut text = banner.to_owned();
    for address in addresses {
        let _ = write!(text, "\n  listening on {address}");
    }
    for url in urls {
        let _ = write!(text, "\n  {url}");
    }
    output::plain(&text);
}
