//! Codec parameters (`a=fmtp`) and what they mean for matching: unknown parameters never matter.

use crate::payload::{CodecSpec, H264Profile};
use crate::session::{MediaSection, PayloadFormat};
use bedrud_rtp::{Codec, Pt};

/// `key=value` pairs; a parameter without `=` has an empty value.
pub(crate) fn parameters(fmtp: &str) -> impl Iterator<Item = (&str, &str)> {
    fmtp.split(';').filter_map(|part| {
        let part = part.trim();
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (!key.is_empty()).then(|| (key.trim(), value.trim()))
    })
}

/// Value of a parameter, its name compared without case.
pub(crate) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    parameters(fmtp).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn number(fmtp: Option<&str>, name: &str, default: u32) -> Option<u32> {
    match fmtp.and_then(|f| parameter(f, name)) {
        Some(text) => text.parse().ok(),
        None => Some(default),
    }
}

/// What a codec's parameters identify, `None` when they are not understood.
pub(crate) fn spec(codec: Codec, fmtp: Option<&str>) -> Option<CodecSpec> {
    let variant = match codec {
        Codec::H264 => {
            // RFC 6184 section 8.1 defaults.
            let profile = fmtp.and_then(|f| parameter(f, "profile-level-id")).unwrap_or("420010");
            let mode = number(fmtp, "packetization-mode", 0).filter(|mode| *mode < 2)?;
            return Some(CodecSpec::h264(H264Profile::from_profile_level_id(profile)?, mode == 1));
        }
        Codec::Vp9 => number(fmtp, "profile-id", 0)?,
        Codec::H265 => number(fmtp, "profile-id", 1)?,
        Codec::Av1 => number(fmtp, "profile", 0)?,
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::Vp8 => 0,
    };
    Some(CodecSpec { codec, variant })
}

/// Codec of an offered payload type, `None` for what an SFU does not forward: RTX, FEC, DTMF, comfort noise, red for
/// video, RED that does not carry the section's Opus.
pub(crate) fn identify(section: &MediaSection, format: &PayloadFormat) -> Option<CodecSpec> {
    let codec = Codec::from_name(&format.name).filter(|c| c.name().eq_ignore_ascii_case(&format.name))?;
    let channels = match codec {
        Codec::Opus | Codec::Red => 2,
        _ => 1,
    };
    if format.clock_rate != codec.clock_rate() || format.channels.unwrap_or(1) != channels {
        return None;
    }
    if codec == Codec::Red && red_primary(section, format).is_none() {
        return None;
    }
    spec(codec, format.fmtp.as_deref())
}

/// The Opus payload type a RED payload type carries (RFC 2198: `111/111`).
fn red_primary(section: &MediaSection, red: &PayloadFormat) -> Option<Pt> {
    let mut blocks = red.fmtp.as_deref()?.split('/').map(|b| b.trim().parse::<Pt>());
    let primary = blocks.next()?.ok()?;
    if !blocks.all(|block| block == Ok(primary)) {
        return None;
    }
    section.payload(primary).filter(|p| p.name.eq_ignore_ascii_case("opus")).map(|p| p.pt)
}

/// RTX payload type repairing `pt` (RFC 4588).
pub(crate) fn rtx_of(section: &MediaSection, pt: Pt) -> Option<Pt> {
    let repairs = |p: &&PayloadFormat| {
        p.name.eq_ignore_ascii_case("rtx")
            && p.fmtp.as_deref().and_then(|f| parameter(f, "apt")).and_then(|apt| apt.parse().ok())
                == Some(pt)
    };
    section.payloads.iter().find(repairs).map(|p| p.pt)
}

/// `fmtp` without the named parameters, with `extra` appended; `None` when nothing is left.
pub(crate) fn rewrite(fmtp: Option<&str>, without: &[&str], extra: &[&str]) -> Option<String> {
    let kept = parameters(fmtp.unwrap_or(""))
        .filter(|(key, _)| !without.iter().any(|w| w.eq_ignore_ascii_case(key)));
    let mut out: Vec<String> = kept
        .map(|(key, value)| if value.is_empty() { key.to_owned() } else { format!("{key}={value}") })
        .collect();
    out.extend(extra.iter().map(|e| (*e).to_owned()));
    (!out.is_empty()).then(|| out.join(";"))
}
