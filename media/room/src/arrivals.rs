//! Whom the platform has been told to be in a room.

use crate::io::RoomEvent;
use livekit_protocol::ParticipantInfo;
use livekit_protocol::participant_info::State;
use std::collections::{BTreeMap, HashMap};

/// Participants whose arrival was told and whose departure was not, by the sids of room and participant. Kept beside the
/// rooms, so that nobody stays for ever when a room fails half-way through a departure.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(HashMap<String, BTreeMap<String, ParticipantInfo>>);

impl Arrivals {
    /// An event is about to be told.
    pub(crate) fn note(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::ParticipantJoined { room, participant: p, .. } => {
                let brief = ParticipantInfo {
                    sid: p.sid.clone(),
                    identity: p.identity.clone(),
                    name: p.name.clone(),
                    kind: p.kind,
                    joined_at: p.joined_at,
                    joined_at_ms: p.joined_at_ms,
                    state: State::Disconnected as i32,
                    ..ParticipantInfo::default()
                };
                self.0.entry(room.sid.clone()).or_default().insert(p.sid.clone(), brief);
            }
            RoomEvent::ParticipantLeft { room, participant, .. } => {
                if let Some(present) = self.0.get_mut(&room.sid) {
                    present.remove(&participant.sid);
                }
            }
            RoomEvent::RoomFinished { room, .. } => drop(self.0.remove(&room.sid)),
            _ => {}
        }
    }

    /// Those of a room that is gone.
    pub(crate) fn take(&mut self, room_sid: &str) -> impl Iterator<Item = ParticipantInfo> + use<> {
        self.0.remove(room_sid).unwrap_or_default().into_values()
    }
}
