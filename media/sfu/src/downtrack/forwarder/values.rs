//! What goes into the forwarder and what comes out.

use super::super::selector::Dependency;
use crate::upstream::frame::Frame;
use std::time::Instant;

/// What a packet of an up track looks like to the forwarder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    /// Simulcast layer.
    pub(crate) layer: u8,
    /// Generation of the layer's stream: changes with its SSRC.
    pub(crate) generation: u32,
    /// Extended sequence number.
    pub(crate) seq: u64,
    /// RTP timestamp.
    pub(crate) timestamp: u32,
    /// What the payload says.
    pub(crate) frame: Frame,
    /// What the dependency descriptor says, for codecs whose layers are told by it.
    pub(crate) dependency: Option<Dependency<'a>>,
    /// No payload at all.
    pub(crate) empty: bool,
    /// Capture instant on the publisher's NTP clock, once a sender report came.
    pub(crate) capture_ntp: Option<u64>,
}

/// Values that change only at a switch, of streams or of decode targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deltas {
    /// Number of the switch, wrapping.
    pub(crate) id: u8,
    /// Simulcast layer.
    pub(crate) layer: u8,
    /// Generation of the layer's stream.
    pub(crate) generation: u32,
    /// Added to timestamps.
    pub(crate) timestamp: u32,
    /// Added to TL0PICIDX.
    pub(crate) tl0: u8,
    /// Added to KEYIDX.
    pub(crate) key_index: u8,
    /// Added to the frame number of the dependency descriptor.
    pub(crate) frame_number: u16,
    /// Active decode targets to write into the dependency descriptor.
    pub(crate) active_targets: Option<u32>,
}

impl Deltas {
    /// The dependency descriptor leaves with other bytes than it came.
    pub(crate) fn rewrites_dependency(&self) -> bool {
        self.frame_number != 0 || self.active_targets.is_some()
    }
}

/// How a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Extended sequence number.
    pub(crate) seq: u64,
    /// Timestamp.
    pub(crate) timestamp: u32,
    /// Added to the picture id.
    pub(crate) picture: u16,
    /// Deltas in force.
    pub(crate) deltas: Deltas,
    /// The marker bit is set in any case: what is left out ended the picture.
    pub(crate) marker: bool,
    /// The payload is replaced by padding: the packet belongs to a picture that was left out, but its number is taken.
    pub(crate) padding: bool,
}

/// Last values sent, on which the next switch continues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(super) seq: u64,
    pub(super) timestamp: u32,
    /// Source of `timestamp`.
    pub(super) in_timestamp: u32,
    pub(super) layer: u8,
    pub(super) generation: u32,
    pub(super) capture_ntp: Option<u64>,
    pub(super) at: Instant,
    pub(super) picture: Option<u16>,
    pub(super) tl0: Option<u8>,
    pub(super) key_index: Option<u8>,
    pub(super) frame_number: Option<u16>,
}

/// Start values of an outgoing stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartValues {
    /// First sequence number.
    pub(crate) seq: u16,
    /// First timestamp.
    pub(crate) timestamp: u32,
    /// First picture id.
    pub(crate) picture: u16,
}
