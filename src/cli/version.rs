//! `bedrud version`.

use super::{Context, output};

/// Prints name and version.
///
/// # Errors
/// None.
#[allow(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let data = serde_json::json!({ "name": "bedrud", "version": version });
    output::success(&format!("bedrud {version}"), Some(data), context.json);
    Ok(())
}
