//! The platform's token code.
#![allow(dead_code)]

#[path = "../../../src/auth/media_token.rs"]
pub mod media_token;
#[path = "../../../src/auth/secret.rs"]
pub mod secret;
