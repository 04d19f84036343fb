//! Sockets, batches and shard threads: the only crate of the media plane with system calls.
//!
//! [`MediaNet::start`] opens the media port and runs one thread per shard. A thread owns its socket, its ICE/TCP
//! connections and its [`bedrud_sfu::Shard`], and shares nothing: commands, adopted streams and datagrams of other
//! shards arrive over bounded queues, events leave through a callback. Linux only (`epoll`, `sendmmsg`, `UDP_SEGMENT`).

#![allow(unsafe_code, reason = "batched socket calls have no safe interface in the standard library")]
#![allow(clippy::disallowed_methods, reason = "the edge is where the clock is read")]

mod config;
mod error;
mod heartbeat;
mod interfaces;
mod ip_network;
mod media_net;
pub mod memory;
mod poller;
mod report;
mod shard;
mod sniff;
mod tcp;
mod udp;

pub use config::{NetConfig, TcpLimits, UdpMode};
pub use error::{AdoptError, NetError};
pub use heartbeat::{HEARTBEAT_INTERVAL, Heartbeat};
pub use interfaces::{LocalAddress, candidate_ips, local_addresses, local_ips};
pub use ip_network::IpNetwork;
pub use media_net::{EventSink, FailureSink, MediaNet};
pub use report::{NetCounters, ReportSink, ShardReport};
pub use sniff::{SNIFF_BYTES, Sniff, sniff};
pub use tcp::{FrameError, FrameReader, MAX_FRAME, SSL_CLIENT_HELLO, SSL_SERVER_HELLO, write_frame};
