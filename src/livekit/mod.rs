//! LiveKit's HTTP surface: signalling sockets and the server API, as unmodified SDKs expect them.

pub mod auth;
pub mod twirp;
