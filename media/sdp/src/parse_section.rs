//! Reading one `m=` section.

use crate::error::SdpError;
use crate::names::{RidToken, read_mid, read_rid};
use crate::parse::{PartialIce, transport_attribute};
use crate::session::{
    Direction, ExtMap, MediaSection, Msid, PayloadFormat, SectionKind, SimulcastStream, SsrcAttributes,
    SsrcGroup,
};
use crate::work;
use bedrud_rtp::{MediaKind, Pt};

/// Lines of one section.
const MAX_LINES: usize = 2_048;
/// Distinct SSRCs, and groups of them.
const MAX_SSRCS: usize = 64;
/// Members of one SSRC group.
const MAX_GROUP: usize = 16;
/// `a=extmap` lines.
const MAX_EXTMAP: usize = 64;
/// Rids and simulcast streams per direction.
const MAX_RIDS: usize = 8;
/// `a=msid` lines.
const MAX_MSIDS: usize = 8;
/// Candidates kept; later ones are ignored.
const MAX_CANDIDATES: usize = 64;
/// Payload types of an `m=` line, or its formats when it is neither audio nor video.
const MAX_FORMATS: usize = 128;
/// Feedback values per payload type.
const MAX_FEEDBACK: usize = 16;
/// Feedback values for all payload types.
const MAX_WILDCARDS: usize = 8;
/// Bytes of one payload type's parameters.
const MAX_FMTP: usize = 1_024;

pub(crate) struct SectionParser {
    section: MediaSection,
    /// Position in the payloads, by payload type.
    positions: [Option<u8>; 128],
    ice: PartialIce,
    lines: usize,
    wildcard_feedback: Vec<String>,
}

impl SectionParser {
    /// Starts a section from the value of its `m=` line.
    pub(crate) fn new(value: &str, line: usize) -> Result<Self, SdpError> {
        let formats = value.split_ascii_whitespace().skip(3).take(MAX_FORMATS.saturating_add(1)).count();
        if formats > MAX_FORMATS {
            return Err(SdpError::TooMany { what: "formats in a media section", limit: MAX_FORMATS });
        }
        Self::of_line(value).ok_or(SdpError::Malformed { line, reason: "bad m= line" })
    }

    fn of_line(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let media = words.next()?;
        // The number of ports after a slash has no use here (RFC 8866 section 5.14).
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let protocol = words.next()?;
        let kind = match media {
            "audio" => SectionKind::Media(MediaKind::Audio),
            "video" => SectionKind::Media(MediaKind::Video),
            "application" => SectionKind::Application,
            _ => SectionKind::Other,
        };
        let mut section = MediaSection::new(kind);
        section.media = media.to_owned();
        section.port = port;
        section.protocol = protocol.to_owned();
        let mut positions = [None; 128];
        for word in words {
            work::step();
            if matches!(kind, SectionKind::Media(_)) {
                let pt: Pt = word.parse().ok()?;
                let position = positions.get_mut(usize::from(pt))?;
                if position.is_none() {
                    *position = u8::try_from(section.payloads.len()).ok();
                    section.payloads.push(static_format(pt));
                }
            } else {
                section.formats.push(word.to_owned());
            }
        }
        let (ice, wildcard_feedback) = (PartialIce::default(), Vec::new());
        Some(Self { section, positions, ice, lines: 0, wildcard_feedback })
    }

    /// The payload type an attribute begins with: an error when there is none, nothing when the `m=` line lacks it.
    fn payload(&mut self, pt: &str) -> Option<Option<&mut PayloadFormat>> {
        work::step();
        let pt: Pt = pt.parse().ok()?;
        let position = self.positions.get(usize::from(pt)).copied().flatten();
        Some(position.and_then(|p| self.section.payloads.get_mut(usize::from(p))))
    }

    /// Takes one line below the `m=` line.
    pub(crate) fn line(&mut self, key: &str, value: &str, number: usize) -> Result<(), SdpError> {
        self.lines = self.lines.saturating_add(1);
        if self.lines > MAX_LINES {
            return Err(SdpError::TooMany { what: "lines in a media section", limit: MAX_LINES });
        }
        if key != "a" {
            return Ok(());
        }
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        let malformed = |reason| SdpError::Malformed { line: number, reason };
        let s = &mut self.section;
        match name {
            "mid" => {
                let (mid, long) = read_mid(value).ok_or(malformed("bad mid"))?;
                s.mid = Some(mid);
                s.long_mid = long;
            }
            // Firefox writes one below the data channel section, where it means nothing.
            "sendrecv" | "sendonly" | "recvonly" | "inactive" if s.kind == SectionKind::Application => {}
            "sendrecv" | "sendonly" | "recvonly" | "inactive" => {
                s.direction = Direction::from_str(name).unwrap_or_default();
            }
            "rtpmap" => self.rtpmap(value).ok_or(malformed("bad rtpmap"))?,
            "fmtp" => self.fmtp(value).ok_or(malformed("bad fmtp"))?,
            "rtcp-fb" => self.feedback(value).ok_or(malformed("bad rtcp-fb"))?,
            "extmap" => {
                let map = extmap(value).ok_or(malformed("bad extmap"))?;
                push_bounded(&mut s.extmap, map, MAX_EXTMAP, "header extensions in a media section")?;
            }
            "extmap-allow-mixed" => s.extmap_allow_mixed = true,
            "msid" => {
                let msid = msid(value).ok_or(malformed("bad msid"))?;
                push_bounded(&mut s.msids, msid, MAX_MSIDS, "msid lines in a media section")?;
            }
            "ssrc" => ssrc(s, value, number)?,
            "ssrc-group" => {
                let group = ssrc_group(value).ok_or(malformed("bad ssrc-group"))?;
                push_bounded(&mut s.ssrc_groups, group, MAX_SSRCS, "ssrc groups in a media section")?;
            }
            "rid" => rid(s, value).ok_or(malformed("bad rid"))?,
            "simulcast" => simulcast(s, value).ok_or(malformed("bad simulcast"))?,
            "rtcp-mux" => s.rtcp_mux = true,
            "rtcp-rsize" => s.rtcp_rsize = true,
            "bundle-only" => s.bundle_only = true,
            "sctp-port" => s.sctp_port = Some(value.parse().map_err(|_| malformed("bad sctp-port"))?),
            "max-message-size" => {
                s.max_message_size = Some(value.parse().map_err(|_| malformed("bad max-message-size"))?);
            }
            "candidate" if s.candidates.len() < MAX_CANDIDATES => {
                s.candidates.push(format!("candidate:{value}"));
            }
            "end-of-candidates" => s.end_of_candidates = true,
            _ => transport_attribute(&mut s.transport, &mut self.ice, name, value, number)?,
        }
        Ok(())
    }

    /// Completes the section.
    pub(crate) fn finish(self) -> MediaSection {
        let mut s = self.section;
        s.transport.ice = self.ice.complete();
        // What has no name is of no use.
        for payload in s.payloads.iter_mut().filter(|p| !p.name.is_empty()) {
            for value in &self.wildcard_feedback {
                work::step();
                if !payload.has_feedback(value) && payload.feedback.len() < MAX_FEEDBACK {
                    payload.feedback.push(value.clone());
                }
            }
        }
        if s.msids.is_empty() {
            s.msids.extend(s.ssrcs.iter().find_map(|x| x.msid.clone()));
        }
        s
    }

    fn feedback(&mut self, value: &str) -> Option<()> {
        let (target, value) = value.split_once(' ')?;
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if value.is_empty() {
            return None;
        }
        let (list, limit) = if target == "*" {
            (&mut self.wildcard_feedback, MAX_WILDCARDS)
        } else if let Some(payload) = self.payload(target)? {
            (&mut payload.feedback, MAX_FEEDBACK)
        } else {
            return Some(());
        };
        if list.len() < limit && !list.contains(&value) {
            list.push(value);
        }
        Some(())
    }

    fn rtpmap(&mut self, value: &str) -> Option<()> {
        let (pt, encoding) = value.split_once(' ')?;
        let mut parts = encoding.trim().split('/');
        let name = parts.next().filter(|n| !n.is_empty() && !n.contains(' '))?;
        let clock_rate = parts.next()?.parse().ok()?;
        let channels = parts.next().map(str::parse).transpose().ok()?;
        if let Some(payload) = self.payload(pt)? {
            payload.name = name.to_owned();
            payload.clock_rate = clock_rate;
            payload.channels = channels;
        }
        Some(())
    }

    fn fmtp(&mut self, value: &str) -> Option<()> {
        let (pt, parameters) = value.split_once(' ').unwrap_or((value, ""));
        let parameters = parameters.trim();
        if parameters.len() > MAX_FMTP {
            return None;
        }
        if let Some(payload) = self.payload(pt)?
            && !parameters.is_empty()
        {
            let known = payload.fmtp.get_or_insert_default();
            if known.len().saturating_add(parameters.len()) < MAX_FMTP || known.is_empty() {
                if !known.is_empty() && !known.ends_with(';') {
                    known.push(';');
                }
                known.push_str(parameters);
            }
        }
        Some(())
    }
}

pub(crate) fn push_bounded<T>(
    list: &mut Vec<T>,
    item: T,
    limit: usize,
    what: &'static str,
) -> Result<(), SdpError> {
    if list.len() >= limit {
        return Err(SdpError::TooMany { what, limit });
    }
    list.push(item);
    Ok(())
}

/// Payload types that need no `a=rtpmap` (RFC 3551).
fn static_format(pt: Pt) -> PayloadFormat {
    let name = match pt {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        _ => "",
    };
    let clock_rate = if name.is_empty() { 0 } else { 8_000 };
    PayloadFormat { pt, name: name.into(), clock_rate, channels: None, fmtp: None, feedback: Vec::new() }
}

fn extmap(value: &str) -> Option<ExtMap> {
    let mut words = value.split_ascii_whitespace();
    let (id, direction) = match words.next()?.split_once('/') {
        Some((id, direction)) => (id, Some(Direction::from_str(direction)?)),
        None => (value.split_ascii_whitespace().next()?, None),
    };
    // 4096 and above are placeholders for later assignment (RFC 8285 section 5): they cannot be used.
    let id: u16 = id.parse().ok()?;
    let uri = words.next()?.to_owned();
    Some(ExtMap { id: u8::try_from(id).unwrap_or(0), direction, uri })
}

fn msid(value: &str) -> Option<Msid> {
    let mut words = value.split_ascii_whitespace();
    Some(Msid { stream: words.next()?.to_owned(), track: words.next().map(str::to_owned) })
}

fn ssrc(s: &mut MediaSection, value: &str, line: usize) -> Result<(), SdpError> {
    let (number, attribute) = value.split_once(' ').unwrap_or((value, ""));
    let ssrc = number.parse().map_err(|_| SdpError::Malformed { line, reason: "bad ssrc" })?;
    let index = match s.ssrcs.iter().position(|x| x.ssrc == ssrc) {
        Some(index) => index,
        None => {
            let fresh = SsrcAttributes { ssrc, cname: None, msid: None };
            push_bounded(&mut s.ssrcs, fresh, MAX_SSRCS, "ssrcs in a media section")?;
            s.ssrcs.len().saturating_sub(1)
        }
    };
    if let (Some(entry), Some((name, value))) = (s.ssrcs.get_mut(index), attribute.split_once(':')) {
        match name {
            "cname" if !value.is_empty() => entry.cname = Some(value.to_owned()),
            "msid" => entry.msid = msid(value),
            _ => {}
        }
    }
    Ok(())
}

fn ssrc_group(value: &str) -> Option<SsrcGroup> {
    let mut words = value.split_ascii_whitespace();
    let semantics = words.next()?.to_owned();
    let ssrcs = words.map(str::parse).collect::<Result<Vec<_>, _>>().ok()?;
    (ssrcs.len() <= MAX_GROUP).then_some(SsrcGroup { semantics, ssrcs })
}

fn rid(s: &mut MediaSection, value: &str) -> Option<()> {
    let mut words = value.split_ascii_whitespace();
    let rid = read_rid(words.next()?)?;
    let list = match words.next()? {
        "send" => &mut s.rids_send,
        "recv" => &mut s.rids_recv,
        _ => return None,
    };
    let RidToken::Usable(rid) = rid else {
        s.long_rids = true;
        return Some(());
    };
    if !list.contains(&rid) {
        if list.len() >= MAX_RIDS {
            return None;
        }
        list.push(rid);
    }
    Some(())
}

fn simulcast(s: &mut MediaSection, value: &str) -> Option<()> {
    let mut words = value.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let list = match word {
            "send" => &mut s.simulcast_send,
            "recv" => &mut s.simulcast_recv,
            _ => return None,
        };
        list.clear();
        // An early draft wrote `send rid=a;b`.
        let streams = words.next()?;
        for stream in streams.trim_start_matches("rid=").split(';') {
            let first = stream.split(',').next()?;
            let RidToken::Usable(rid) = read_rid(first.trim_start_matches('~'))? else { continue };
            if list.len() >= MAX_RIDS {
                return None;
            }
            list.push(SimulcastStream { rid, paused: first.starts_with('~') });
        }
    }
    Some(())
}
