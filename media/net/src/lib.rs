//! Sockets, batches and shard threads: the only crate with system calls.
