//! An answer, and how its sections are written.

use crate::codecs::{CodecTable, Use};
use crate::fmtp;
use crate::negotiate::MAX_MESSAGE_SIZE;
use crate::offer::OfferedStream;
use crate::payload::NegotiatedPayload;
use crate::session::{
    Direction, ExtMap, MediaSection, Msid, PayloadFormat, SectionKind, SimulcastStream, SsrcAttributes,
    SsrcGroup,
};
use crate::track::SendTrack;
use bedrud_rtp::{Codec, ExtensionMap, MediaKind, Mid};
use std::collections::BTreeMap;

/// How to answer one section the client sends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishChoice {
    /// Codec to put first: of the matched `AddTrackRequest`.
    pub codec: Option<Codec>,
    /// `TF_STEREO`: `stereo=1;maxaveragebitrate=510000`.
    pub stereo: bool,
    /// Not `TF_NO_DTX`: `usedtx=1`.
    pub dtx: bool,
    /// False when the track disables RED.
    pub red: bool,
}

impl Default for PublishChoice {
    fn default() -> Self {
        Self { codec: None, stereo: false, dtx: true, red: true }
    }
}

/// Choices by mid; sections without an entry are answered with the default.
pub type AnswerChoices = BTreeMap<Mid, PublishChoice>;

/// An answer to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// SDP text.
    pub sdp: String,
    /// `SessionDescription.mid_to_track_id`: the sections we send on.
    pub mid_to_track_id: BTreeMap<String, String>,
    /// Header extension ids in force.
    pub extensions: ExtensionMap,
    /// Audio and video sections in order.
    pub sections: Vec<AnsweredSection>,
    /// Tracks for which the client has free sections but no codec: they stay unbound and ask for no sections.
    pub unsupported: Vec<String>,
}

/// One section of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredSection {
    /// `a=mid`.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// The client may send on it: configure an up track when one is published.
    pub receiving: bool,
    /// Track we send on it.
    pub sending: Option<String>,
    /// Negotiated payload types by preference; of a publisher the first is what it sends. Empty when the section is
    /// rejected.
    pub payloads: Vec<NegotiatedPayload>,
}

/// Orders the payload types of a section the client sends on.
pub(crate) fn order_published(
    mut payloads: Vec<NegotiatedPayload>,
    table: &CodecTable,
    choice: &PublishChoice,
    single_video_codec: bool,
) -> Vec<NegotiatedPayload> {
    if !choice.red {
        payloads.retain(|p| p.codec != Codec::Red);
    }
    let offered: Vec<Codec> = payloads.iter().map(|p| p.codec).collect();
    payloads.sort_by_key(|p| {
        let chosen = choice.codec == Some(p.codec);
        let group = match (p.codec, choice.codec) {
            // RED carries Opus: asking for Opus does not mean doing without redundancy.
            (Codec::Red, None | Some(Codec::Opus | Codec::Red)) => 0,
            (Codec::Opus, None) => 1,
            _ if chosen => 1,
            (Codec::Opus, _) => 2,
            _ => 3,
        };
        let position = offered.iter().position(|c| *c == p.codec).unwrap_or(usize::MAX);
        (group, position, table.rank(p.spec()))
    });
    if single_video_codec
        && let Some(first) = payloads.first().map(|p| p.codec).filter(|c| c.kind() == MediaKind::Video)
    {
        payloads.retain(|p| p.codec == first);
    }
    payloads
}

/// Orders and restricts the payload types of a section we send on.
pub(crate) fn order_subscribed(payloads: &[NegotiatedPayload], track: &SendTrack) -> Vec<NegotiatedPayload> {
    track.codecs.iter().filter_map(|spec| payloads.iter().find(|p| p.spec() == *spec)).copied().collect()
}

/// True when a section can carry the track.
pub(crate) fn has_codec_of(payloads: &[NegotiatedPayload], track: &SendTrack) -> bool {
    payloads.iter().any(|p| track.codecs.contains(&p.spec()))
}

/// A section refused: port 0, no transport (RFC 8829 section 5.3.1).
pub(crate) fn rejected(offered: &MediaSection) -> MediaSection {
    let mut out = MediaSection::new(offered.kind);
    out.media.clone_from(&offered.media);
    out.protocol.clone_from(&offered.protocol);
    out.formats.clone_from(&offered.formats);
    out.payloads = offered
        .payloads
        .iter()
        .take(1)
        .map(|p| PayloadFormat { fmtp: None, feedback: Vec::new(), ..p.clone() })
        .collect();
    out.mid = offered.mid;
    out.direction = Direction::Inactive;
    out.port = 0;
    out
}

/// The data channel section.
pub(crate) fn data_section(mid: Mid, protocol: &str) -> MediaSection {
    let mut out = MediaSection::new(SectionKind::Application);
    protocol.clone_into(&mut out.protocol);
    out.formats.push("webrtc-datachannel".into());
    out.mid = Some(mid);
    out.sctp_port = Some(5_000);
    out.max_message_size = Some(MAX_MESSAGE_SIZE);
    out
}

/// An accepted audio or video section before what we send on it.
pub(crate) fn accepted(offered: &MediaSection, direction: Direction, extmap: Vec<ExtMap>) -> MediaSection {
    let mut out = MediaSection::new(offered.kind);
    out.protocol.clone_from(&offered.protocol);
    out.mid = offered.mid;
    out.direction = direction;
    out.extmap = extmap;
    out.extmap_allow_mixed = offered.extmap_allow_mixed;
    out.rtcp_mux = true;
    out.rtcp_rsize = offered.rtcp_rsize;
    out
}

/// Writes the negotiated payload types of an answer with the offer's numbers and parameters.
pub(crate) fn write_payloads(
    out: &mut MediaSection,
    offered: &MediaSection,
    payloads: &[NegotiatedPayload],
    table: &CodecTable,
    (usage, single_connection): (Use, bool),
    choice: &PublishChoice,
) {
    let red_first = payloads.first().is_some_and(|p| p.codec == Codec::Red);
    for payload in payloads {
        let Some(format) = offered.payload(payload.pt) else { continue };
        let mut format = format.clone();
        if payload.codec.kind() == MediaKind::Audio {
            format.feedback = if payload.nack { vec!["nack".into()] } else { Vec::new() };
        } else {
            let allowed = table.video_feedback(usage, single_connection);
            format.feedback.retain(|f| allowed.contains(&f.as_str()));
        }
        if payload.codec == Codec::Opus {
            format.fmtp = opus_parameters(format.fmtp.as_deref(), usage, choice);
            if usage == Use::Subscribe && red_first {
                format.feedback.clear();
            }
        }
        out.payloads.push(format);
        out.payloads.extend(payload.rtx.and_then(|rtx| offered.payload(rtx)).cloned());
    }
    // RED names its Opus payload type, which has to be there even when we never send it bare.
    if red_first && !payloads.iter().any(|p| p.codec == Codec::Opus) {
        let opus = |p: &&PayloadFormat| fmtp::identify(offered, p).is_some_and(|s| s.codec == Codec::Opus);
        let format = offered.payloads.iter().find(opus);
        out.payloads.extend(format.map(|p| PayloadFormat { feedback: Vec::new(), ..p.clone() }));
    }
}

/// RFC 7587: in an answer `usedtx` and `stereo` are what we ask the client to send, so they mean something only when
/// it sends.
fn opus_parameters(fmtp: Option<&str>, usage: Use, choice: &PublishChoice) -> Option<String> {
    if usage == Use::Subscribe {
        return fmtp.map(str::to_owned);
    }
    let mut extra = Vec::new();
    if choice.dtx {
        extra.push("usedtx=1");
    }
    if choice.stereo {
        extra.extend(["stereo=1", "maxaveragebitrate=510000"]);
        fmtp::rewrite(fmtp, &["usedtx", "stereo", "maxaveragebitrate"], &extra)
    } else {
        fmtp::rewrite(fmtp, &["usedtx", "stereo"], &extra)
    }
}

/// Accepts every layer of a published section, paused ones too.
pub(crate) fn write_layers(out: &mut MediaSection, offered: &MediaSection, stream: &OfferedStream) {
    out.rids_recv = stream.layers.iter().map(|l| l.rid).collect();
    if !offered.simulcast_send.is_empty() {
        out.simulcast_recv =
            stream.layers.iter().map(|l| SimulcastStream { rid: l.rid, paused: false }).collect();
    }
}

/// Writes what we send: `a=msid` and the SSRCs.
pub(crate) fn write_track(out: &mut MediaSection, track: &SendTrack, rtx: bool) {
    let msid = Msid { stream: track.stream_id(), track: Some(track.track_sid.clone()) };
    let attributes =
        |ssrc| SsrcAttributes { ssrc, cname: Some(track.cname.clone()), msid: Some(msid.clone()) };
    out.ssrcs.push(attributes(track.ssrc));
    if let Some(repair) = track.rtx_ssrc.filter(|_| rtx) {
        out.ssrc_groups.push(SsrcGroup { semantics: "FID".into(), ssrcs: vec![track.ssrc, repair] });
        out.ssrcs.push(attributes(repair));
    }
    out.msids.push(msid);
}
