//! The server API over Twirp: `POST /twirp/livekit.<Service>/<Method>`.

pub mod codec;
pub mod error;
pub mod fields;
pub mod grants;
