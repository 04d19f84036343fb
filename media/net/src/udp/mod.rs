//! The media port: one non-blocking UDP socket, batched both ways.

mod address;
mod control;
mod receive;
mod send;
mod socket;

pub(crate) use receive::Receiver;
pub(crate) use send::Sender;
pub(crate) use socket::{UdpPort, bind};

#[cfg(test)]
mod tests;
