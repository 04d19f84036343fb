//! A WHIP offer is taken whole or not at all: an answer that rejects one of its sections would let an encoder say "live"
//! while nobody sees its picture (RFC 9725 section 4.4.3).

use bedrud_rtp::{Codec, MediaKind};
use bedrud_sdp::{MediaSection, Offer, PayloadFormat, SectionKind, SessionDescription};

/// Payload types named in a refusal.
const MAX_NAMED: usize = 6;
/// Characters of one of them: they come from the client.
const MAX_NAME: usize = 80;

/// Why a section that the client sends on would be rejected; `None` when all can be taken.
pub(super) fn refusal(description: &SessionDescription, offer: &Offer, enabled: &[Codec]) -> Option<String> {
    description.media.iter().enumerate().find_map(|(index, section)| {
        let what = match section.kind {
            SectionKind::Application => return None,
            _ if section.is_rejected() || !section.direction.sends() => return None,
            SectionKind::Media(MediaKind::Audio) => "audio",
            SectionKind::Media(MediaKind::Video) => "video",
            SectionKind::Other => return Some(format!("media section {index} is neither audio nor video")),
        };
        let taken = offer.sections.iter().find(|s| Some(s.mid) == section.mid);
        match taken {
            Some(taken) if taken.sends.is_some() && !taken.payloads.is_empty() => None,
            Some(_) => Some(no_codec(what, index, section, enabled)),
            None => Some(format!("{what} section {index} {}", unusable(description, section))),
        }
    })
}

fn unusable(description: &SessionDescription, section: &MediaSection) -> &'static str {
    let grouped =
        description.media.len() == 1 || section.mid.is_some_and(|m| description.bundle.contains(&m));
    if !section.rtcp_mux {
        "lacks a=rtcp-mux"
    } else if !section.protocol.ends_with("/SAVPF") {
        "does not use DTLS-SRTP with feedback (UDP/TLS/RTP/SAVPF)"
    } else if !grouped {
        "is not in a=group:BUNDLE"
    } else {
        "cannot be received"
    }
}

fn no_codec(what: &str, index: usize, section: &MediaSection, enabled: &[Codec]) -> String {
    let media = |p: &&PayloadFormat| !["rtx", "red", "ulpfec", "flexfec-03"].contains(&&*p.name);
    let mut offered: Vec<String> = section.payloads.iter().filter(media).take(MAX_NAMED).map(name).collect();
    if offered.is_empty() {
        offered.push("nothing".to_owned());
    }
    let takes = enabled.iter().filter(|c| SectionKind::Media(c.kind()) == section.kind);
    let takes: Vec<&str> = takes.map(|c| c.name()).collect();
    format!(
        "{what} section {index} offers {}, which nobody here could be sent; enabled are {}",
        offered.join(", "),
        if takes.is_empty() { "none".to_owned() } else { takes.join(", ") }
    )
}

fn name(format: &PayloadFormat) -> String {
    let mut text = match (format.name.as_str(), format.fmtp.as_deref()) {
        ("", _) => format!("payload type {}", format.pt),
        (name, None) => name.to_owned(),
        (name, Some(parameters)) => format!("{name} ({parameters})"),
    };
    if let Some((end, _)) = text.char_indices().nth(MAX_NAME) {
        text.truncate(end);
        text.push('…');
    }
    text
}
