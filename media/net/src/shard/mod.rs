//! Shard threads.

mod inbox;
pub(crate) mod route;
mod thread;

pub(crate) use inbox::{Inbox, Letter, Outbox};
pub(crate) use thread::{Public, ShardThread};
