//! What commands print: text for people, or one JSON object.

use std::io::Write as _;

/// A result, on standard output. A closed pipe is not an error.
pub(super) fn success(message: &str, data: Option<serde_json::Value>, json: bool) {
    let text = if json {
        let mut object = serde_json::json!({ "ok": true });
        if !message.is_empty() {
            object["message"] = message.into();
        }
        if let Some(data) = data {
            object["data"] = data;
        }
        serde_json::to_string_pretty(&object).unwrap_or_default()
    } else {
        message.to_owned()
    };
    plain(&text);
}

/// Text as it is, on standard output.
pub(super) fn plain(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// A failure, on standard error.
pub(super) fn failure(error: &anyhow::Error, json: bool) {
    let message = format!("{error:#}");
    let text = if json {
        serde_json::to_string_pretty(&serde_json::json!({ "ok": false, "message": message }))
            .unwrap_or_default()
    } else {
        format!("Error: {message}")
    };
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
