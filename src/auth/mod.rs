//! Proof of who is asking: passwords, sessions and the tokens that carry them.
//!
//! Nothing here reads a clock or the system's randomness: both come in as values.

pub(crate) mod authorization;
pub mod digest;
pub mod entropy;
pub mod guessable;
pub mod media_token;
pub mod password;
pub mod secret;
pub mod session_token;
