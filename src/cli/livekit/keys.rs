//! `bedrud livekit generate-keys`.

use crate::cli::{Context, output};
use crate::server::secrets::random_bytes;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Prints a new key and its secret. Nothing keeps them: they go into the configuration.
pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let name: [u8; 9] = random_bytes()?;
    let secret: [u8; 36] = random_bytes()?;
    let (key, secret) = (format!("API{}", URL_SAFE_NO_PAD.encode(name)), URL_SAFE_NO_PAD.encode(secret));
    let text =
        format!("API Key: {key}\nAPI Secret: {secret}\n\nIn the configuration:\nkeys:\n  {key}: {secret}");
    let data = serde_json::json!({ "key": key, "secret": secret });
    output::success(if context.json { "" } else { &text }, Some(data), context.json);
    Ok(())
}
