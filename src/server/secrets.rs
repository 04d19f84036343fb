//! Secrets that nobody has to choose: made at first start, kept in the data folder.

use super::data_dir::{read_optional, write_private};
use crate::config::{Config, Secret};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// File in the data folder.
pub const FILE: &str = "secrets.json";

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    jwt_secret: String,
    session_secret: String,
    livekit_api_key: String,
    livekit_api_secret: String,
}

/// Fills the secrets that the configuration leaves empty from the data folder, making missing ones.
///
/// # Errors
/// An unreadable or damaged file: it is never replaced silently, because that would end every session.
pub fn complete(config: &mut Config, data_dir: &Path) -> anyhow::Result<()> {
    let path = data_dir.join(FILE);
    let mut stored: Stored = match read_optional(&path)? {
        Some(text) => serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged (restore it, or delete it: everybody must then sign in again)",
                path.display()
            )
        })?,
        None => Stored::default(),
    };
    let mut changed = false;
    let mut need = |wanted: bool, slot: &mut String, make: fn() -> anyhow::Result<String>| {
        if wanted && slot.is_empty() {
            *slot = make()?;
            changed = true;
        }
        anyhow::Ok(())
    };
    let own_pair = config.livekit.api_key.is_empty();
    need(config.auth.jwt_secret.is_empty(), &mut stored.jwt_secret, random_secret)?;
    need(config.auth.session_secret.is_empty(), &mut stored.session_secret, random_secret)?;
    need(own_pair, &mut stored.livekit_api_key, random_key)?;
    need(own_pair, &mut stored.livekit_api_secret, random_secret)?;
    if changed {
        write_private(&path, &serde_json::to_vec_pretty(&stored)?)?;
    }
    if config.auth.jwt_secret.is_empty() {
        config.auth.jwt_secret = Secret::new(stored.jwt_secret);
    }
    if config.auth.session_secret.is_empty() {
        config.auth.session_secret = Secret::new(stored.session_secret);
    }
    if own_pair {
        config.livekit.api_key = stored.livekit_api_key;
        config.livekit.api_secret = Secret::new(stored.livekit_api_secret);
    }
    Ok(())
}

/// Random bytes of the operating system.
///
/// # Errors
/// When the system has none.
pub fn random_bytes<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn random_secret() -> anyhow::Result<String> {
    Ok(hex(&random_bytes::<32>()?))
}

fn random_key() -> anyhow::Result<String> {
    Ok(format!("API{}", hex(&random_bytes::<6>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(dir: &Path, mut config: Config) -> Config {
        complete(&mut config, dir).unwrap();
        config
    }

    #[test]
    fn secrets_are_strong_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        let first = completed(dir.path(), Config::default());
        assert_eq!(first.auth.jwt_secret.reveal().len(), 64);
        assert_ne!(first.auth.jwt_secret, first.auth.session_secret);
        assert_eq!(completed(dir.path(), Config::default()), first);
    }

    #[test]
    fn configured_secrets_win_and_are_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.auth.jwt_secret = Secret::new("x".repeat(40));
        config.livekit.api_key = "key".into();
        config.livekit.api_secret = Secret::new("y".repeat(40));
        let done = completed(dir.path(), config.clone());
        assert_eq!(done.auth.jwt_secret, config.auth.jwt_secret);
        assert_eq!(done.livekit, config.livekit);
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!text.contains("xxxx") && !text.contains("yyyy"));
    }

    #[test]
    fn a_damaged_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(complete(&mut Config::default(), dir.path()).is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join(FILE)).unwrap(), "{");
    }
}
