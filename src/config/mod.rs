//! The configuration: one typed tree, defaults < file < environment < flags.
//!
//! Keys and environment names are those of existing Bedrud installations. Unknown keys and bad values are refused
//! with the key, the line and a hint.

pub mod check;
pub mod example;
pub mod load;
pub mod media;
pub mod node;
pub mod problem;
pub mod prometheus;
pub mod room_presets;
pub mod secrecy;
pub mod sections;
pub mod setting;
pub mod value;
pub mod webhook;

pub use load::Loaded;
pub use problem::{Problem, Problems, Source};
pub use sections::*;
pub use value::Secret;

use anyhow::Context as _;
use load::Sources;
use std::path::{Path, PathBuf};

/// Environment variables that name the file, in order.
pub const PATH_VARIABLES: [&str; 2] = ["BEDRUD_CONFIG", "CONFIG_PATH"];

/// The file to read, by the order `--config`, `BEDRUD_CONFIG`, `CONFIG_PATH`. `None`: run without a file.
#[must_use]
pub fn path(flag: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    flag.map(Path::to_path_buf).or_else(|| {
        PATH_VARIABLES.iter().find_map(|name| env(name).filter(|v| !v.is_empty()).map(PathBuf::from))
    })
}

/// Reads and checks the configuration of the whole platform.
///
/// # Errors
/// An unreadable file, or every problem found in any source.
pub fn load(
    file: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    flags: &[(&str, String, String)],
) -> anyhow::Result<Loaded<Config>> {
    let text = match file {
        Some(path) => Some(read_file(path)?),
        None => None,
    };
    let name = file.map(|p| p.display().to_string());
    let sources = Sources { file: name.as_deref().zip(text.as_deref()), env, env_prefix: None, flags };
    let mut loaded = load::read::<Config>(&sources)?;
    let mut problems = check::check(&loaded.config);
    problems.extend(file.and_then(|path| secrecy::check_file(path, &mut loaded)));
    if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems).into()) }
}

/// Reads a configuration file.
///
/// # Errors
/// Missing, unreadable or not UTF-8; the message names the file and says what to do.
pub fn read_file(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the configuration file {} (give its path with --config or BEDRUD_CONFIG; `bedrud config example` prints one to start from)", path.display())
    })
}

#[cfg(test)]
mod tests;
