//! Rules both roles share: common payload types, header extension ids, the remote transport.

use crate::codecs::{ClientQuirks, CodecTable, Use};
use crate::error::SdpError;
use crate::fmtp;
use crate::payload::NegotiatedPayload;
use crate::session::{ExtMap, MediaSection, SectionKind, SessionDescription, Setup};
use crate::transport::RemoteTransport;
use crate::work;
use bedrud_rtp::{Codec, Extension, ExtensionMap, MediaKind};
use std::collections::HashMap;

/// `a=max-message-size` we announce, bytes.
pub(crate) const MAX_MESSAGE_SIZE: u64 = 65_535;
/// Assumed of a peer that announces none (RFC 8841 section 6.1).
const DEFAULT_MESSAGE_SIZE: u64 = 65_536;

/// Payload types of a remote section that the table allows, in the remote order; of several with one meaning the first.
pub(crate) fn common_payloads(
    section: &MediaSection,
    table: &CodecTable,
    quirks: &ClientQuirks,
    usage: Use,
) -> Vec<NegotiatedPayload> {
    let mut out: Vec<NegotiatedPayload> = Vec::new();
    let h264 = |f| {
        fmtp::identify(section, f).is_some_and(|s| s.codec == Codec::H264 && table.allows(s, usage, quirks))
    };
    let tolerant = usage == Use::Publish && !section.payloads.iter().any(h264);
    let repairs = if table.rtx_enabled() { fmtp::repairs(section) } else { HashMap::new() };
    for format in &section.payloads {
        work::step();
        let Some(spec) = fmtp::identify(section, format) else { continue };
        let allowed = table.allows(spec, usage, quirks) || tolerant && table.tolerates(spec, quirks);
        let kind_matches = section.kind == SectionKind::Media(spec.codec.kind());
        if !kind_matches || !allowed || out.iter().any(|p| p.spec() == spec) {
            continue;
        }
        let rtx = repairs.get(&format.pt).copied();
        let nack = format.has_feedback("nack");
        out.push(NegotiatedPayload { pt: format.pt, codec: spec.codec, variant: spec.variant, rtx, nack });
    }
    if !out.iter().any(|p| p.codec == Codec::Opus) {
        out.retain(|p| p.codec != Codec::Red);
    }
    out
}

/// Adds the extensions of a section to the connection's map and returns the ones the section may use. One URI has one
/// id per bundle (RFC 9143 section 9): what contradicts an earlier section is left out, as are duplicates within the
/// section and ids that no header can carry.
pub(crate) fn merge_extensions(
    section: &MediaSection,
    wanted: &[Extension],
    map: &mut ExtensionMap,
) -> Vec<ExtMap> {
    let mut out: Vec<ExtMap> = Vec::new();
    for offered in &section.extmap {
        work::step();
        let Some(extension) = Extension::from_uri(&offered.uri).filter(|e| wanted.contains(e)) else {
            continue;
        };
        if offered.id == 0 || offered.id == 15 || out.iter().any(|e| e.uri == offered.uri) {
            continue;
        }
        match (map.id(extension), map.by_id(offered.id)) {
            (Some(id), _) if id != offered.id => continue,
            (None, Some(_)) => continue,
            (None, None) => map.set(extension, offered.id),
            (Some(_), _) => {}
        }
        let direction = offered.direction.map(crate::session::Direction::reversed);
        out.push(ExtMap { id: offered.id, direction, uri: offered.uri.clone() });
    }
    out
}

/// The remote side of the bundled transport. `role` is the DTLS role the peer must allow.
pub(crate) fn remote_transport(
    description: &SessionDescription,
    role: Setup,
) -> Result<RemoteTransport, SdpError> {
    let live = || {
        description.media.iter().filter(|s| {
            work::step();
            !s.is_rejected() && s.bundled
        })
    };
    if live().next().is_none() && description.media.iter().any(|s| !s.is_rejected()) {
        return Err(SdpError::Missing("a=group:BUNDLE: all media sections must share one transport"));
    }
    // The tagged section carries the transport; bundle-only sections repeat it or leave it out.
    let tag = description.bundle.first().copied();
    let levels = || {
        live()
            .filter(move |s| s.mid == tag)
            .chain(live())
            .map(|s| &s.transport)
            .chain(std::iter::once(&description.transport))
    };
    let ice = levels().find_map(|t| t.ice.clone()).ok_or(SdpError::Missing("ICE credentials"))?;
    let fingerprints = levels().map(|t| &t.fingerprints).find(|f| !f.is_empty());
    let fingerprints = fingerprints.ok_or(SdpError::Missing("a=fingerprint"))?;
    let fingerprint = fingerprints
        .iter()
        .find(|f| f.starts_with("sha-256 "))
        .cloned()
        .ok_or(SdpError::Unsupported("fingerprint other than sha-256"))?;
    let setup = levels().find_map(|t| t.setup).ok_or(SdpError::Missing("a=setup"))?;
    if setup == Setup::ActPass && role == Setup::Active {
        return Err(SdpError::Unsupported("setup:actpass in an answer"));
    }
    let data = live().find(|s| is_data_channel(s));
    Ok(RemoteTransport {
        ice,
        fingerprint,
        sctp: data.is_some(),
        max_message_size: data.and_then(|s| s.max_message_size).unwrap_or(DEFAULT_MESSAGE_SIZE),
        dtls_server: setup == Setup::Passive,
    })
}

/// `UDP/DTLS/SCTP webrtc-datachannel` (RFC 8841).
pub(crate) fn is_data_channel(section: &MediaSection) -> bool {
    section.kind == SectionKind::Application
        && section.protocol.ends_with("DTLS/SCTP")
        && section.formats.first().is_some_and(|f| f == "webrtc-datachannel")
}

/// Audio or video over DTLS-SRTP with multiplexed RTCP: the only kind of media served.
pub(crate) fn media_kind(section: &MediaSection) -> Option<MediaKind> {
    match section.kind {
        SectionKind::Media(kind) if section.rtcp_mux && section.protocol.ends_with("/SAVPF") => Some(kind),
        _ => None,
    }
}
