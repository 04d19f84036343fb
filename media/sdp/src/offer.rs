//! What a client's offer says.

use crate::payload::NegotiatedPayload;
use crate::session::MediaSection;
use crate::transport::RemoteTransport;
use crate::work;
use bedrud_rtp::{ExtensionMap, MediaKind, Mid, Rid, Ssrc};
use std::collections::{HashMap, HashSet};

/// What a client's offer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its side of the transport.
    pub transport: RemoteTransport,
    /// The remote ufrag differs from the previous offer's: answer with new local credentials.
    pub ice_restart: bool,
    /// Header extension ids, only of extensions the answer will accept.
    pub extensions: ExtensionMap,
    /// Audio and video sections in order. A mid published before that is absent or no longer `sends` is unpublished.
    pub sections: Vec<OfferedSection>,
}

/// One audio or video section of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedSection {
    /// `a=mid`.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// Common payload types in the client's order.
    pub payloads: Vec<NegotiatedPayload>,
    /// What the client sends on it; `None` when it is receive-only, inactive or stopped.
    pub sends: Option<OfferedStream>,
    /// `sends` is new: the section is new, did not send before, or carries another track id.
    pub started: bool,
    /// The client can receive on it.
    pub receives: bool,
    /// Track we have bound to it.
    pub assigned: Option<String>,
}

/// What a client sends on a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedStream {
    /// First token of `a=msid`; `None` when absent or `-`.
    pub stream_id: Option<String>,
    /// Second token of `a=msid`, or the only one: the `cid` of `AddTrackRequest`, unless the stack changed it.
    pub track_id: Option<String>,
    /// Simulcast layers in the order of `a=simulcast:send`; empty when the section is not simulcast.
    pub layers: Vec<OfferedLayer>,
    /// Declared media SSRCs, each with its RTX SSRC, in order; empty when only the mid and rid extensions identify
    /// streams. Firefox declares them beside rids, in the order of the rids.
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
}

/// A simulcast layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedLayer {
    /// `a=rid`.
    pub rid: Rid,
    /// Written with `~`: not sent at the start. Accepted all the same.
    pub paused: bool,
}

impl OfferedStream {
    pub(crate) fn of(section: &MediaSection) -> Self {
        let (stream_id, track_id) = match section.msids.first() {
            Some(msid) => {
                let stream = Some(msid.stream.clone()).filter(|s| s != "-");
                let track = msid.track.clone().or_else(|| stream.clone());
                (stream, track)
            }
            None => (None, None),
        };
        let mut layers: Vec<OfferedLayer> = Vec::new();
        for stream in &section.simulcast_send {
            if section.rids_send.contains(&stream.rid) && !layers.iter().any(|l| l.rid == stream.rid) {
                layers.push(OfferedLayer { rid: stream.rid, paused: stream.paused });
            }
        }
        // A single rid comes without a=simulcast; it still marks the packets.
        if section.simulcast_send.is_empty() {
            layers.extend(section.rids_send.iter().map(|rid| OfferedLayer { rid: *rid, paused: false }));
        }
        Self { stream_id, track_id, layers, ssrcs: media_ssrcs(section) }
    }
}

/// The SSRCs of a section that are not those of repair or protection streams, each with its RTX SSRC.
fn media_ssrcs(section: &MediaSection) -> Vec<(Ssrc, Option<Ssrc>)> {
    let mut repairs = HashMap::new();
    let mut secondary = HashSet::new();
    for group in &section.ssrc_groups {
        work::step();
        let fid = group.semantics == "FID";
        if let (true, [media, repair, ..]) = (fid, group.ssrcs.as_slice()) {
            repairs.entry(*media).or_insert(*repair);
        }
        if fid || group.semantics == "FEC-FR" {
            secondary.extend(group.ssrcs.iter().skip(1).copied());
        }
    }
    let declared = section.ssrcs.iter().map(|s| s.ssrc).filter(|ssrc| !secondary.contains(ssrc));
    declared.map(|ssrc| (ssrc, repairs.get(&ssrc).copied())).collect()
}
