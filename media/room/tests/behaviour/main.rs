//! The control plane as clients see it: a hub, a shard that says yes to everything, and clients that speak the
//! signalling protocol, all on a virtual clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, missing_docs, reason = "tests")]
#![allow(deprecated, reason = "deprecated fields are part of what older clients read")]

mod again;
mod backup;
mod chaos;
mod client;
mod codecs;
mod crowd;
mod data;
mod devices;
mod enums;
mod failures;
mod flow;
mod grants;
mod hardening;
mod hostile;
mod join;
mod leave;
mod limits;
mod members;
mod metrics;
mod node;
mod pace;
mod permissions;
mod price;
mod publish;
mod quality;
mod resume;
mod reuse;
mod revoked;
mod rooms;
mod rpc;
mod sdp;
mod service;
mod shard;
mod subscribe;
mod transfer;
mod versions;
mod visibility;
mod whep;
mod whip;
mod world;
