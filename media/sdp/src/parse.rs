//! Reading a description: strict about size and structure, tolerant of attributes it does not know.

use crate::error::SdpError;
use crate::names::read_mid;
use crate::parse_section::{SectionParser, push_bounded};
use crate::session::{Origin, SessionDescription, Setup, TransportAttributes};
use crate::transport::IceCredentials;
use crate::work;
use bedrud_rtp::Mid;
use std::collections::HashSet;

/// Bytes of one description. A browser writes about 6 KiB per video section.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// `m=` sections.
const MAX_SECTIONS: usize = 512;
/// Lines before the first section.
const MAX_SESSION_LINES: usize = 1_024;
/// `a=fingerprint` and `a=ice-options` values kept.
const MAX_TRANSPORT_VALUES: usize = 8;

impl SessionDescription {
    /// Parses an offer or answer.
    ///
    /// # Errors
    /// [`SdpError::TooLarge`] and [`SdpError::TooMany`] when a limit is exceeded, [`SdpError::Malformed`] when a line
    /// that matters cannot be understood. Unknown attributes are ignored.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_BYTES {
            return Err(SdpError::TooLarge { size: text.len(), limit: MAX_BYTES });
        }
        let mut out = Self::default();
        let mut ice = PartialIce::default();
        let mut section: Option<SectionParser> = None;
        let mut started = false;
        let mut mids = HashSet::new();
        for (index, raw) in text.split('\n').enumerate() {
            work::step();
            let number = index.saturating_add(1);
            let malformed = |reason| SdpError::Malformed { line: number, reason };
            let line = raw.strip_suffix('\r').unwrap_or(raw).trim_end_matches(' ');
            if line.is_empty() {
                continue;
            }
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(malformed("control character"));
            }
            let (key, value) = line.split_once('=').ok_or(malformed("expected <type>=<value>"))?;
            if !started {
                if line != "v=0" {
                    return Err(malformed("expected v=0"));
                }
                started = true;
                continue;
            }
            if key == "m" {
                if out.media.len() >= MAX_SECTIONS.saturating_sub(usize::from(section.is_some())) {
                    return Err(SdpError::TooMany { what: "media sections", limit: MAX_SECTIONS });
                }
                if let Some(done) = section.take() {
                    finish_section(&mut out, &mut mids, done, number)?;
                }
                section = Some(SectionParser::new(value, number)?);
                continue;
            }
            match &mut section {
                Some(current) => current.line(key, value, number)?,
                None if number > MAX_SESSION_LINES => {
                    return Err(SdpError::TooMany { what: "session lines", limit: MAX_SESSION_LINES });
                }
                None => session_line(&mut out, &mut ice, key, value, number)?,
            }
        }
        if let Some(done) = section.take() {
            finish_section(&mut out, &mut mids, done, text.lines().count())?;
        }
        if !started {
            return Err(SdpError::Missing("v="));
        }
        out.transport.ice = ice.complete();
        mark_bundled(&mut out);
        Ok(out)
    }
}

/// Notes which sections take part in the bundled transport: every section but the only one has to be in the group.
fn mark_bundled(description: &mut SessionDescription) {
    let group: HashSet<Mid> = description.bundle.iter().copied().collect();
    let only = description.media.len() == 1;
    for section in &mut description.media {
        section.bundled = section.mid.is_some_and(|mid| only || group.contains(&mid));
        work::step();
    }
}

fn finish_section(
    out: &mut SessionDescription,
    mids: &mut HashSet<Mid>,
    section: SectionParser,
    line: usize,
) -> Result<(), SdpError> {
    let section = section.finish();
    if let Some(mid) = section.mid
        && !mids.insert(mid)
    {
        return Err(SdpError::Malformed { line, reason: "duplicate mid" });
    }
    out.media.push(section);
    Ok(())
}

fn session_line(
    out: &mut SessionDescription,
    ice: &mut PartialIce,
    key: &str,
    value: &str,
    line: usize,
) -> Result<(), SdpError> {
    match key {
        "o" => {
            let mut words = value.split(' ');
            let username = words.next().unwrap_or("-").to_owned();
            let mut number = || words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
            out.origin = Origin { username, session_id: number(), version: number() };
        }
        "a" => {
            let (name, value) = value.split_once(':').unwrap_or((value, ""));
            match name {
                "ice-lite" => out.ice_lite = true,
                "extmap-allow-mixed" => out.extmap_allow_mixed = true,
                "group" if out.bundle.is_empty() => {
                    let mut words = value.split_ascii_whitespace();
                    if words.next() == Some("BUNDLE") {
                        for word in words {
                            let mid = read_mid(word);
                            let (mid, _) =
                                mid.ok_or(SdpError::Malformed { line, reason: "bad mid in BUNDLE group" })?;
                            push_bounded(&mut out.bundle, mid, MAX_SECTIONS, "bundled sections")?;
                        }
                    }
                }
                _ => transport_attribute(&mut out.transport, ice, name, value, line)?,
            }
        }
        _ => {}
    }
    Ok(())
}

/// ICE credentials whose halves arrive on separate lines.
#[derive(Debug, Default)]
pub(crate) struct PartialIce {
    ufrag: Option<String>,
    pwd: Option<String>,
}

impl PartialIce {
    pub(crate) fn complete(self) -> Option<IceCredentials> {
        Some(IceCredentials { ufrag: self.ufrag?, pwd: self.pwd? })
    }
}

/// Reads an ICE or DTLS attribute; other attributes are ignored.
pub(crate) fn transport_attribute(
    out: &mut TransportAttributes,
    ice: &mut PartialIce,
    name: &str,
    value: &str,
    line: usize,
) -> Result<(), SdpError> {
    let malformed = |reason| SdpError::Malformed { line, reason };
    let ice_token = |min: usize| {
        let ok = (min..=256).contains(&value.len())
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='));
        if ok { Ok(value.to_owned()) } else { Err(malformed("bad ICE credential")) }
    };
    match name {
        "ice-ufrag" => ice.ufrag = Some(ice_token(4)?),
        "ice-pwd" => ice.pwd = Some(ice_token(22)?),
        "ice-options" => {
            let room = MAX_TRANSPORT_VALUES.saturating_sub(out.ice_options.len());
            out.ice_options.extend(value.split_ascii_whitespace().take(room).map(str::to_owned));
        }
        "fingerprint" if out.fingerprints.len() < MAX_TRANSPORT_VALUES => {
            out.fingerprints.push(fingerprint(value).ok_or(malformed("bad fingerprint"))?);
        }
        "setup" => {
            out.setup = Some(match value {
                "active" => Setup::Active,
                "passive" => Setup::Passive,
                "actpass" => Setup::ActPass,
                _ => return Err(malformed("bad setup")),
            });
        }
        _ => {}
    }
    Ok(())
}

/// `sha-256 ab:cd` with the algorithm in lower and the digits in upper case.
fn fingerprint(value: &str) -> Option<String> {
    let (algorithm, digits) = value.split_once(' ')?;
    let digits = digits.trim();
    let length = match algorithm.to_ascii_lowercase().as_str() {
        "sha-1" => 20,
        "sha-224" => 28,
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => 0,
    };
    let mut count = 0_usize;
    for pair in digits.split(':') {
        if pair.len() != 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        count = count.saturating_add(1);
    }
    let token = algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && algorithm.len() <= 16;
    if !token || count > 64 || (length != 0 && count != length) {
        return None;
    }
    Some(format!("{} {}", algorithm.to_ascii_lowercase(), digits.to_ascii_uppercase()))
}
