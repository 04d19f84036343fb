//! Sections of our offers.

use crate::answer::{data_section as data, write_track};
use crate::codecs::{ClientQuirks, CodecTable, Use, offer_extension_id};
use crate::fmtp;
use crate::payload::CodecSpec;
use crate::session::{Direction, ExtMap, MediaSection, PayloadFormat, SectionKind};
use crate::track::SendTrack;
use bedrud_rtp::{Codec, MediaKind, Mid};

/// The data channel section.
pub(crate) fn data_section(mid: Mid) -> MediaSection {
    data(mid, "UDP/DTLS/SCTP")
}

/// A section that carries a track.
pub(crate) fn send_section(
    mid: Mid,
    track: &SendTrack,
    table: &CodecTable,
    quirks: &ClientQuirks,
) -> MediaSection {
    let usable = |spec: &&CodecSpec| table.allows(**spec, Use::Subscribe, quirks);
    let codecs: Vec<CodecSpec> = track.codecs.iter().filter(usable).copied().collect();
    let mut out = base(mid, track.kind, &codecs, table, track.stereo);
    out.direction = Direction::SendOnly;
    let rtx = out.payloads.iter().any(|p| p.name == "rtx");
    write_track(&mut out, track, rtx);
    out
}

/// A section kept for a later track.
pub(crate) fn inactive_section(
    mid: Mid,
    kind: MediaKind,
    codecs: &[CodecSpec],
    table: &CodecTable,
) -> MediaSection {
    let mut out = base(mid, kind, codecs, table, false);
    out.direction = Direction::Inactive;
    out
}

/// A section at its end.
pub(crate) fn stopped_section(
    mid: Mid,
    kind: MediaKind,
    codecs: &[CodecSpec],
    table: &CodecTable,
) -> MediaSection {
    let mut out = MediaSection::new(SectionKind::Media(kind));
    out.mid = Some(mid);
    out.port = 0;
    out.direction = Direction::Inactive;
    let mut formats = base(mid, kind, codecs, table, false).payloads.into_iter();
    out.payloads.extend(formats.next());
    out
}

fn base(mid: Mid, kind: MediaKind, codecs: &[CodecSpec], table: &CodecTable, stereo: bool) -> MediaSection {
    let mut out = MediaSection::new(SectionKind::Media(kind));
    out.mid = Some(mid);
    out.rtcp_mux = true;
    out.rtcp_rsize = true;
    for extension in table.extensions(kind, Use::Subscribe, false) {
        let id = offer_extension_id(extension);
        out.extmap.push(ExtMap { id, direction: None, uri: extension.uri().into() });
    }
    let red = codecs.iter().any(|c| c.codec == Codec::Red);
    for spec in codecs {
        push_payloads(&mut out, *spec, table, stereo, red);
    }
    // RED names the Opus payload type, which has to be there even when we never send it bare.
    let opus = CodecSpec::plain(Codec::Opus);
    if red && !codecs.contains(&opus) {
        push_payloads(&mut out, opus, table, stereo, red);
    }
    // An m= line needs a format even when nothing can be sent (RFC 8866).
    if out.payloads.is_empty() {
        let fallback = CodecSpec::plain(if kind == MediaKind::Audio { Codec::Pcmu } else { Codec::Vp8 });
        out.payloads.push(format_of(fallback, if kind == MediaKind::Audio { 0 } else { 96 }, None));
    }
    out
}

fn format_of(spec: CodecSpec, pt: u8, fmtp: Option<String>) -> PayloadFormat {
    let channels = matches!(spec.codec, Codec::Opus | Codec::Red).then_some(2);
    PayloadFormat {
        pt,
        name: spec.codec.name().into(),
        clock_rate: spec.codec.clock_rate(),
        channels,
        fmtp,
        feedback: Vec::new(),
    }
}

fn push_payloads(out: &mut MediaSection, spec: CodecSpec, table: &CodecTable, stereo: bool, red: bool) {
    let Some(entry) = table.entry(spec) else { return };
    if spec.is_h264_high() || out.payload(entry.pt).is_some() {
        return;
    }
    let parameters = match spec.codec {
        Codec::Opus if stereo => fmtp::rewrite(entry.fmtp, &[], &["sprop-stereo=1"]),
        _ => entry.fmtp.map(str::to_owned),
    };
    let mut format = format_of(spec, entry.pt, parameters);
    format.feedback = match spec.codec {
        // Redundancy replaces retransmission.
        Codec::Red => Vec::new(),
        Codec::Opus if red => Vec::new(),
        codec if codec.kind() == MediaKind::Audio => vec!["nack".into()],
        _ => table.video_feedback(Use::Subscribe, false).iter().map(|f| (*f).to_owned()).collect(),
    };
    out.payloads.push(format);
    if let Some(rtx) = entry.rtx.filter(|_| table.rtx_enabled()) {
        out.payloads.push(PayloadFormat {
            pt: rtx,
            name: "rtx".into(),
            clock_rate: 90_000,
            channels: None,
            fmtp: Some(format!("apt={}", entry.pt)),
            feedback: Vec::new(),
        });
    }
}
