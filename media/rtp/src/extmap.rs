//! Which header extension has which id on one bundled connection (RFC 8285).

/// Header extensions the SFU reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Extension {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464)
    AudioLevel,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01)
    TransportCc,
    /// `abs-send-time`
    AbsSendTime,
    /// `abs-capture-time`
    AbsCaptureTime,
    /// AV1 dependency descriptor
    DependencyDescriptor,
    /// `playout-delay`
    PlayoutDelay,
}

impl Extension {
    /// Every known extension.
    pub const ALL: [Self; 9] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AbsCaptureTime,
        Self::DependencyDescriptor,
        Self::PlayoutDelay,
    ];

    /// URI as written in `a=extmap`.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        }
    }

    /// Finds an extension by its URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.uri() == uri)
    }
}

/// Extension ids of one connection. Id 0 means "not negotiated".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    ids: [u8; 9],
}

impl ExtensionMap {
    /// Id of an extension, 1..=255, if negotiated.
    #[must_use]
    pub fn id(&self, ext: Extension) -> Option<u8> {
        self.ids.get(ext as usize).copied().filter(|id| *id != 0)
    }

    /// Extension behind an id.
    #[must_use]
    pub fn by_id(&self, id: u8) -> Option<Extension> {
        if id == 0 {
            return None;
        }
        Extension::ALL.into_iter().find(|e| self.ids.get(*e as usize) == Some(&id))
    }

    /// Whether an id is negotiated that only the two-byte form can carry.
    #[must_use]
    pub fn needs_two_bytes(&self) -> bool {
        self.ids.iter().any(|id| *id > 14)
    }

    /// Sets the id of an extension; 0 removes it.
    pub fn set(&mut self, ext: Extension, id: u8) {
        if let Some(slot) = self.ids.get_mut(ext as usize) {
            *slot = id;
        }
    }
}
