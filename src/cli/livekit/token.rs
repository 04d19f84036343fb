//! `bedrud livekit create-join-token`.

use crate::auth::media_token::{self, Claims, VideoGrant};
use crate::cli::{Context, output};
use crate::config::media::MediaConfig;
use crate::server::health::unix_seconds;
use crate::server::media_only;
use anyhow::{Context as _, bail};
use clap::Args;

/// Shortest and longest life of a token, seconds: a minute and a year.
const TTL: std::ops::RangeInclusive<i64> = 60..=31_536_000;

/// Who may do what, where, for how long.
#[derive(Debug, Clone, Args)]
pub(super) struct TokenArgs {
    /// Name of the room.
    #[arg(long, value_name = "ROOM")]
    room: String,
    /// Identity of the participant, unique in the room.
    #[arg(long, value_name = "IDENTITY")]
    identity: String,
    /// Name shown to others.
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    /// How long the token opens the room: seconds, or a number with m, h or d.
    #[arg(long, value_name = "TIME", default_value = "6h")]
    ttl: String,
    /// A hidden participant that can only subscribe.
    #[arg(long)]
    recorder: bool,
    /// Cannot be seen by others.
    #[arg(long)]
    hidden: bool,
    /// May not publish tracks or data.
    #[arg(long)]
    no_publish: bool,
    /// May moderate this room through the server API.
    #[arg(long)]
    admin: bool,
    /// Sign with this key of the configuration instead of the first.
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
}

pub(super) fn run(args: &TokenArgs, mut settings: MediaConfig, context: &Context) -> anyhow::Result<()> {
    if args.room.is_empty() || args.identity.is_empty() {
        bail!("--room and --identity must not be empty");
    }
    let ttl = seconds(&args.ttl).filter(|s| TTL.contains(s));
    let ttl = ttl.context("--ttl: give a time from 60 seconds to 365 days, e.g. 90m, 6h, 7d")?;
    let keys = media_only::keys(&mut settings)?;
    let first = keys.iter().next().map(|(key, _)| key.to_owned());
    let key = args.api_key.clone().or(first).unwrap_or_default();
    let now = unix_seconds();
    let claims = Claims { nbf: Some(now), exp: Some(now.saturating_add(ttl)), ..claims(args) };
    let token = media_token::sign(&claims, &key, &keys)
        .with_context(|| format!("cannot sign with the key \"{key}\""))?;
    let data = serde_json::json!({ "token": token, "expiresAt": claims.exp });
    output::success(&format!("Token: {token}"), Some(data), context.json);
    Ok(())
}

fn claims(args: &TokenArgs) -> Claims {
    let silent = (args.no_publish || args.recorder).then_some(false);
    let video = VideoGrant {
        room_join: true,
        room: args.room.clone(),
        room_admin: args.admin,
        can_publish: silent,
        can_publish_data: silent,
        hidden: args.hidden || args.recorder,
        recorder: args.recorder,
        ..VideoGrant::default()
    };
    Claims { sub: args.identity.clone(), name: args.name.clone(), video: Some(video), ..Claims::default() }
}

fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = match text.chars().last()? {
        's' => (text.strip_suffix('s')?, 1),
        'm' => (text.strip_suffix('m')?, 60),
        'h' => (text.strip_suffix('h')?, 3_600),
        'd' => (text.strip_suffix('d')?, 86_400),
        _ => (text, 1),
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in
            [("90", Some(90)), ("2m", Some(120)), ("6h", Some(21_600)), ("1d", Some(86_400))]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for text in ["", "h", "1w", "-", "9223372036854775807d", "1.5h", "é"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
