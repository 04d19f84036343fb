//! An embeddable LiveKit-compatible media server.
