//! The parsed form of a description.

use crate::error::SdpError;

/// A parsed session description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionDescription {}

impl SessionDescription {
    /// Parses an offer or answer.
    ///
    /// # Errors
    /// [`SdpError`] when a limit is exceeded, a line is malformed, or a required line is absent.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.starts_with("v=0") {
            Ok(Self {})
        } else {
            Err(SdpError::Malformed { line: 1, reason: "expected v=0" })
        }
    }
}
