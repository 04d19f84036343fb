//! `room.enabled_codecs`.

use crate::config::node::{Node, Value};
use crate::config::setting::Scalar;
use bedrud_media::Codec;

/// Codecs by preference; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codecs(pub Vec<Codec>);

impl Scalar for Codecs {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let Value::List(items) = &node.value else { return Err("must be a list of `mime: …`".into()) };
        let mut codecs = Vec::new();
        for item in items {
            let Value::Map(entries) = &item.value else { return Err("each codec is `mime: …`".into()) };
            for (key, _, value) in entries {
                let Value::Text(mime) = &value.value else { return Err("mime must be text".into()) };
                if key != "mime" || mime.to_ascii_lowercase().ends_with("/rtx") {
                    continue;
                }
                let codec = Codec::from_name(mime)
                    .ok_or_else(|| "knows opus, red, PCMU, PCMA, VP8, VP9, H264, H265 and AV1".to_owned())?;
                codecs.push(codec);
            }
        }
        self.0 = codecs;
        Ok(())
    }

    fn set_text(&mut self, _: &str) -> Result<(), String> {
        Err("can only be set in the file".into())
    }

    fn show(&self) -> String {
        String::new()
    }
}
