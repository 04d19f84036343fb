//! Our transport attributes in a description.

use crate::session::{Origin, SectionKind, SessionDescription, Setup};
use crate::transport::LocalTransport;

/// Adds ICE, DTLS and candidates to every live section and names them in the BUNDLE group. Candidates go with the tag.
pub(crate) fn write_transport(
    out: &mut SessionDescription,
    local: &LocalTransport,
    setup: Setup,
    origin: Origin,
) {
    out.origin = origin;
    out.ice_lite = local.ice_lite;
    out.transport.fingerprints = vec![local.fingerprint.clone()];
    let tag = out.bundle.first().copied();
    for section in out.media.iter_mut().filter(|s| !s.is_rejected() && s.kind != SectionKind::Other) {
        section.transport.ice = Some(local.ice.clone());
        section.transport.setup = Some(setup);
        if section.mid == tag || tag.is_none() {
            section.candidates = local.candidates.iter().enumerate().map(|(i, c)| c.to_text(i)).collect();
            section.end_of_candidates = true;
        }
    }
}
