//! SDP parsing, building and LiveKit-compatible negotiation, as pure functions.
