//! Writing a description.

use crate::session::{
    ExtMap, MediaSection, Msid, PayloadFormat, SectionKind, SessionDescription, Setup, SimulcastStream,
    TransportAttributes,
};
use bedrud_rtp::Mid;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

impl Display for SessionDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        write!(
            f,
            "v=0\r\no={} {} {} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
            o.username, o.session_id, o.version
        )?;
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        write_transport(f, &self.transport)?;
        if self.extmap_allow_mixed {
            f.write_str("a=extmap-allow-mixed\r\n")?;
        }
        if !self.bundle.is_empty() {
            f.write_str("a=group:BUNDLE")?;
            let long = self.media.iter().filter_map(|s| Some((s.mid?, s.long_mid.as_deref()?)));
            let long: HashMap<Mid, &str> = long.collect();
            for mid in &self.bundle {
                write!(f, " {}", long.get(mid).copied().unwrap_or(mid.as_str()))?;
            }
            f.write_str("\r\n")?;
        }
        f.write_str("a=msid-semantic:WMS *\r\n")?;
        for section in &self.media {
            write_section(f, section)?;
        }
        Ok(())
    }
}

fn write_transport(f: &mut Formatter<'_>, transport: &TransportAttributes) -> fmt::Result {
    if let Some(ice) = &transport.ice {
        write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ufrag, ice.pwd)?;
    }
    if !transport.ice_options.is_empty() {
        write!(f, "a=ice-options:{}\r\n", transport.ice_options.join(" "))?;
    }
    for fingerprint in &transport.fingerprints {
        write!(f, "a=fingerprint:{fingerprint}\r\n")?;
    }
    match transport.setup {
        Some(Setup::Active) => f.write_str("a=setup:active\r\n"),
        Some(Setup::Passive) => f.write_str("a=setup:passive\r\n"),
        Some(Setup::ActPass) => f.write_str("a=setup:actpass\r\n"),
        None => Ok(()),
    }
}

fn write_section(f: &mut Formatter<'_>, s: &MediaSection) -> fmt::Result {
    write!(f, "m={} {} {}", s.media, s.port, s.protocol)?;
    for payload in &s.payloads {
        write!(f, " {}", payload.pt)?;
    }
    for format in &s.formats {
        write!(f, " {format}")?;
    }
    f.write_str("\r\nc=IN IP4 0.0.0.0\r\n")?;
    write_transport(f, &s.transport)?;
    if let Some(mid) = &s.mid {
        write!(f, "a=mid:{}\r\n", s.long_mid.as_deref().unwrap_or(mid.as_str()))?;
    }
    if s.bundle_only {
        f.write_str("a=bundle-only\r\n")?;
    }
    for ExtMap { id, direction, uri } in &s.extmap {
        match direction {
            Some(d) => write!(f, "a=extmap:{id}/{} {uri}\r\n", d.as_str())?,
            None => write!(f, "a=extmap:{id} {uri}\r\n")?,
        }
    }
    if s.extmap_allow_mixed {
        f.write_str("a=extmap-allow-mixed\r\n")?;
    }
    if s.kind != SectionKind::Application {
        write!(f, "a={}\r\n", s.direction.as_str())?;
    }
    for msid in &s.msids {
        f.write_str("a=msid:")?;
        write_msid(f, msid)?;
    }
    if s.rtcp_mux {
        f.write_str("a=rtcp-mux\r\n")?;
    }
    if s.rtcp_rsize {
        f.write_str("a=rtcp-rsize\r\n")?;
    }
    for payload in &s.payloads {
        write_payload(f, payload)?;
    }
    for rid in &s.rids_send {
        write!(f, "a=rid:{rid} send\r\n")?;
    }
    for rid in &s.rids_recv {
        write!(f, "a=rid:{rid} recv\r\n")?;
    }
    write_simulcast(f, &s.simulcast_send, &s.simulcast_recv)?;
    for group in &s.ssrc_groups {
        write!(f, "a=ssrc-group:{}", group.semantics)?;
        for ssrc in &group.ssrcs {
            write!(f, " {ssrc}")?;
        }
        f.write_str("\r\n")?;
    }
    for ssrc in &s.ssrcs {
        if let Some(cname) = &ssrc.cname {
            write!(f, "a=ssrc:{} cname:{cname}\r\n", ssrc.ssrc)?;
        }
        if let Some(msid) = &ssrc.msid {
            write!(f, "a=ssrc:{} msid:", ssrc.ssrc)?;
            write_msid(f, msid)?;
        }
        if ssrc.cname.is_none() && ssrc.msid.is_none() {
            write!(f, "a=ssrc:{}\r\n", ssrc.ssrc)?;
        }
    }
    if let Some(port) = s.sctp_port {
        write!(f, "a=sctp-port:{port}\r\n")?;
    }
    if let Some(size) = s.max_message_size {
        write!(f, "a=max-message-size:{size}\r\n")?;
    }
    for candidate in &s.candidates {
        write!(f, "a={candidate}\r\n")?;
    }
    if s.end_of_candidates {
        f.write_str("a=end-of-candidates\r\n")?;
    }
    Ok(())
}

fn write_msid(f: &mut Formatter<'_>, msid: &Msid) -> fmt::Result {
    match &msid.track {
        Some(track) => write!(f, "{} {track}\r\n", msid.stream),
        None => write!(f, "{}\r\n", msid.stream),
    }
}

fn write_payload(f: &mut Formatter<'_>, p: &PayloadFormat) -> fmt::Result {
    if !p.name.is_empty() {
        match p.channels {
            Some(channels) => write!(f, "a=rtpmap:{} {}/{}/{channels}\r\n", p.pt, p.name, p.clock_rate)?,
            None => write!(f, "a=rtpmap:{} {}/{}\r\n", p.pt, p.name, p.clock_rate)?,
        }
    }
    for feedback in &p.feedback {
        write!(f, "a=rtcp-fb:{} {feedback}\r\n", p.pt)?;
    }
    match &p.fmtp {
        Some(fmtp) => write!(f, "a=fmtp:{} {fmtp}\r\n", p.pt),
        None => Ok(()),
    }
}

fn write_simulcast(f: &mut Formatter<'_>, send: &[SimulcastStream], recv: &[SimulcastStream]) -> fmt::Result {
    if send.is_empty() && recv.is_empty() {
        return Ok(());
    }
    f.write_str("a=simulcast:")?;
    let mut space = "";
    for (word, streams) in [("send", send), ("recv", recv)] {
        if streams.is_empty() {
            continue;
        }
        write!(f, "{space}{word} ")?;
        space = " ";
        for (i, stream) in streams.iter().enumerate() {
            let separator = if i == 0 { "" } else { ";" };
            let paused = if stream.paused { "~" } else { "" };
            write!(f, "{separator}{paused}{}", stream.rid)?;
        }
    }
    f.write_str("\r\n")
}
