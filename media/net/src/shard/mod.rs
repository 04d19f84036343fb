//! Shard threads.

mod inbox;
pub(crate) mod route;
mod thread;

pub(crate) use inbox::{Letter, Outbox};
pub(crate) use thread::ShardThread;
