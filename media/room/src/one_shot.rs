//! WHIP and WHEP as the hub sees them: sessions whose signalling is one offer, one answer, and little after that.

use crate::ids::Sid;
use crate::io::JoinError;
use crate::join_params::JoinParams;
use livekit_protocol::IceServer;
use std::collections::VecDeque;

/// What the client does with its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneShotRole {
    /// It publishes what its offer sends (WHIP, RFC 9725).
    Publish,
    /// It receives tracks of the room on the sections its offer receives on (WHEP).
    Play(PlayWish),
}

/// Which tracks a player wants; empty lists do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlayWish {
    /// Only tracks of participants with these identities.
    pub participants: Vec<String>,
    /// Only tracks with these sids.
    pub tracks: Vec<String>,
}

/// A session as its client names it: by the resource's address and the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneShotSession {
    /// Room of the token.
    pub room: String,
    /// [`crate::Claims::room_id`] of the token.
    pub room_id: String,
    /// Identity of the token.
    pub identity: String,
    /// Participant sid in the resource's address.
    pub sid: String,
}

/// Sessions whose client closed its connection and has not ended them yet (RFC 9725, section 4.2). Encoders close first and
/// send DELETE then; either may arrive first, and both are the same goodbye.
#[derive(Debug, Default)]
pub(crate) struct ClosedSessions(VecDeque<(Sid, String)>);

impl ClosedSessions {
    /// Sessions remembered; the oldest gives way.
    const MAX: usize = 1024;

    pub(crate) fn note(&mut self, sid: Sid, identity: String) {
        if self.0.len() >= Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back((sid, identity));
    }

    /// True once for a session that was noted.
    pub(crate) fn take(&mut self, session: &OneShotSession) -> bool {
        let found =
            self.0.iter().position(|(sid, identity)| **sid == *session.sid && *identity == session.identity);
        found.and_then(|at| self.0.remove(at)).is_some()
    }
}

/// A request of WHIP or WHEP.
#[derive(Debug, Clone, PartialEq)]
pub enum OneShotRequest {
    /// The client's offer: joins and negotiates in one step.
    Open {
        /// Who joins. Only claims and client are looked at.
        params: Box<JoinParams>,
        /// What for.
        role: OneShotRole,
        /// SDP.
        offer: String,
    },
    /// Trickled candidates or an ICE restart.
    Patch {
        /// Which session.
        session: OneShotSession,
        /// `If-Match`.
        if_match: String,
        /// `application/trickle-ice-sdpfrag`.
        fragment: String,
    },
    /// The client is done.
    Close {
        /// Which session.
        session: OneShotSession,
    },
}

/// A session that began.
#[derive(Debug, Clone, PartialEq)]
pub struct OneShotOpened {
    /// Participant sid.
    pub sid: String,
    /// SDP with all candidates.
    pub answer: String,
    /// Names the ICE session: changes with each restart. Without quotes.
    pub ice_session: String,
    /// STUN and TURN servers the client may use.
    pub ice_servers: Vec<IceServer>,
}

/// What became of a [`OneShotRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum OneShotReply {
    /// `Open` succeeded.
    Opened(Box<OneShotOpened>),
    /// Candidates were taken note of.
    Trickled,
    /// ICE restarted.
    Restarted {
        /// Our new side as a fragment.
        fragment: String,
        /// As [`OneShotOpened::ice_session`].
        ice_session: String,
    },
    /// The session is over.
    Closed,
}

/// Answer to a [`OneShotRequest`]; the error carries the HTTP status.
pub type OneShotResult = Result<OneShotReply, JoinError>;
