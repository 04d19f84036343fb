//! What is compared.

mod bare;
mod rtc;
mod shard;

pub(crate) use bare::Bare;
pub(crate) use rtc::RtcForwarder;
pub(crate) use shard::ShardForwarder;

use std::time::Duration;

/// Payload bytes of the forwarded packet: about 1200 with its header.
pub(crate) const PAYLOAD: usize = 1176;

/// A way to send one packet to several receivers.
pub(crate) trait Side {
    /// Name in the tables.
    fn name(&self) -> String;

    /// Receivers.
    fn fanout(&self) -> usize;

    /// Sends `packets` packets to all receivers; returns the time it took, without the preparation of the packets.
    ///
    /// Panics when a packet did not go out to everybody: a broken side must not look fast.
    fn run(&mut self, packets: u64) -> Duration;
}

/// Runs a side once for its assertions.
pub(crate) fn check(side: &mut dyn Side, packets: u64) {
    println!("{}: {:?}", side.name(), side.run(packets));
}

/// A VP8 payload: extended descriptor with 15-bit picture id, base layer index, temporal layer and key index.
pub(crate) fn vp8_payload(picture: u16, key_frame: bool) -> Vec<u8> {
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let mut payload = vec![0x90, 0xf0, high, low, picture as u8, 0x00, if key_frame { 0x10 } else { 0x11 }];
    payload.resize(PAYLOAD, 0xa5);
    payload
}
