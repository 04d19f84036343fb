//! Codec parameters (`a=fmtp`) and what they mean for matching: unknown parameters never matter.

use crate::payload::{CodecSpec, H264Profile};
use crate::session::{MediaSection, PayloadFormat};
use crate::work;
use bedrud_rtp::{Codec, Pt};
use std::collections::HashMap;

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

/// RTX payload types by the payload type they repair (RFC 4588); of several the first.
pub(crate) fn repairs(section: &MediaSection) -> HashMap<Pt, Pt> {
    let mut out = HashMap::new();
    for rtx in section.payloads.iter().filter(|p| p.name.eq_ignore_ascii_case("rtx")) {
        work::step();
        let apt = rtx.fmtp.as_deref().and_then(|f| parameter(f, "apt")).and_then(|apt| apt.parse().ok());
        if let Some(apt) = apt {
            out.entry(apt).or_insert(rtx.pt);
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_profiles_are_told_apart_and_levels_ignored() {
        let profile = |id: &str| H264Profile::from_profile_level_id(id);
        for (id, expected) in [
            ("42e01f", H264Profile::ConstrainedBaseline),
            ("42E034", H264Profile::ConstrainedBaseline),
            ("42c00b", H264Profile::ConstrainedBaseline),
            ("42001f", H264Profile::Baseline),
            ("4d001f", H264Profile::Main),
            ("640c1f", H264Profile::ConstrainedHigh),
            ("640032", H264Profile::High),
        ] {
            assert_eq!(profile(id), Some(expected), "{id}");
        }
        for id in ["", "42e0", "42e01f00", "zzzzzz", "f4001f", "+2e01f", "é2e01"] {
            assert_eq!(profile(id), None, "{id}");
        }
    }

    #[test]
    fn defaults_apply_when_parameters_are_absent() {
        let h264 = |mode| Some(CodecSpec::h264(H264Profile::Baseline, mode));
        assert_eq!(spec(Codec::H264, None), h264(false));
        assert_eq!(spec(Codec::H264, Some("packetization-mode=1")), h264(true));
        assert_eq!(spec(Codec::H264, Some("packetization-mode=2")), None);
        assert_eq!(spec(Codec::Vp9, Some("max-fs=12288")), Some(CodecSpec { codec: Codec::Vp9, variant: 0 }));
        assert_eq!(spec(Codec::Vp9, Some("profile-id=2")), Some(CodecSpec { codec: Codec::Vp9, variant: 2 }));
        assert_eq!(spec(Codec::H265, None), Some(CodecSpec { codec: Codec::H265, variant: 1 }));
        assert_eq!(spec(Codec::Av1, Some("level-idx=5;tier=0")), Some(CodecSpec::plain(Codec::Av1)));
        assert_eq!(spec(Codec::Vp9, Some("profile-id=x")), None);
    }

    #[test]
    fn parameters_are_found_whatever_their_case_and_spacing() {
        let line = " minptime=10 ; UseInbandFEC=1;stereo;=x;";
        assert_eq!(parameter(line, "useinbandfec"), Some("1"));
        assert_eq!(parameter(line, "stereo"), Some(""));
        assert_eq!(parameters(line).count(), 3);
        assert_eq!(
            rewrite(Some(line), &["STEREO"], &["usedtx=1"]).as_deref(),
            Some("minptime=10;UseInbandFEC=1;usedtx=1")
        );
        assert_eq!(rewrite(None, &[], &[]), None);
    }

    #[test]
    fn red_is_recognised_only_over_the_sections_opus() {
        let text = "v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 64 65 66\na=rtpmap:111 opus/48000/2\n\
            a=rtpmap:63 red/48000/2\na=fmtp:63 111/111\na=rtpmap:64 red/48000/2\na=rtpmap:65 red/48000/2\n\
            a=fmtp:65 0/0\na=rtpmap:66 red/8000\na=fmtp:66 111/111\n";
        let sdp = crate::SessionDescription::parse(text).unwrap();
        let section = sdp.media.first().unwrap();
        let known: Vec<Pt> =
            section.payloads.iter().filter(|p| identify(section, p).is_some()).map(|p| p.pt).collect();
        assert_eq!(known, [111, 63]);
    }
}
