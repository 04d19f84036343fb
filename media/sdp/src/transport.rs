//! ICE and DTLS parameters as SDP carries them.

use std::fmt;
use std::net::SocketAddr;

/// ICE credentials of one side (RFC 8445).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`
    pub ufrag: String,
    /// `a=ice-pwd`
    pub pwd: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// The client's side of the bundled transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTransport {
    /// ICE credentials.
    pub ice: IceCredentials,
    /// `a=fingerprint`, e.g. `sha-256 AB:CD:…`, hexadecimal digits in upper case.
    pub fingerprint: String,
    /// True when there is a live application section, so SCTP must run.
    pub sctp: bool,
    /// `a=max-message-size` of the application section, bytes; 65 536 when absent (RFC 8841), 0 means no limit.
    pub max_message_size: u64,
    /// The client took the part of the DTLS server (`a=setup:passive`), as full ICE agents of some SDKs do towards a lite
    /// one: we are the DTLS client. Says nothing once DTLS has started.
    pub dtls_server: bool,
}

/// Our side of the bundled transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTransport {
    /// ICE credentials. New ones are an ICE restart.
    pub ice: IceCredentials,
    /// `a=fingerprint`, e.g. `sha-256 AB:CD:…`.
    pub fingerprint: String,
    /// Host candidates, best first.
    pub candidates: Vec<HostCandidate>,
    /// Writes `a=ice-lite`.
    pub ice_lite: bool,
}

/// A host candidate of ours (RFC 8839, RFC 6544).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCandidate {
    /// Address clients reach.
    pub addr: SocketAddr,
    /// ICE/TCP, always passive.
    pub tcp: bool,
}

impl HostCandidate {
    /// Candidate text as in trickle JSON and, behind `a=`, in SDP: `candidate:… typ host`. `index` is the position in
    /// [`LocalTransport::candidates`]: it makes foundations and priorities distinct.
    #[must_use]
    pub fn to_text(&self, index: usize) -> String {
        // RFC 8445 section 5.1.2: type preference 126 for host; TCP below every UDP candidate of ours.
        let local = 65_535_u32.saturating_sub(u32::try_from(index).unwrap_or(u32::MAX).min(8_000));
        let type_preference: u32 = if self.tcp { 99 } else { 126 };
        let priority = (type_preference << 24) | (local << 8) | 255;
        let foundation = index.saturating_add(1);
        let (ip, port) = (self.addr.ip(), self.addr.port());
        if self.tcp {
            format!("candidate:{foundation} 1 tcp {priority} {ip} {port} typ host tcptype passive")
        } else {
            format!("candidate:{foundation} 1 udp {priority} {ip} {port} typ host")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_rank_udp_first_and_keep_their_order() {
        let udp = HostCandidate { addr: "192.0.2.1:7000".parse().unwrap(), tcp: false };
        let tcp = HostCandidate { addr: "[2001:db8::1]:7000".parse().unwrap(), tcp: true };
        assert_eq!(udp.to_text(0), "candidate:1 1 udp 2130706431 192.0.2.1 7000 typ host");
        assert_eq!(tcp.to_text(1), "candidate:2 1 tcp 1677721343 2001:db8::1 7000 typ host tcptype passive");
    }
}
