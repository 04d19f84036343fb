//! How long things take, seen from the inputs and outputs that pass.

use super::histogram::{Histogram, Snapshot};
use crate::io::{Input, Now, Output, RoomEvent};
use bedrud_rtp::MediaKind;
use bedrud_sfu::{Command, DownTrackId, Event, TransportId};
use livekit_protocol::participant_info::KindDetail;
use livekit_protocol::{ParticipantInfo, TrackInfo, TrackSource, TrackType, signal_response};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Upper bounds until a connection or a track is there, milliseconds.
const STARTS: &[u64] = &[50, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000];
/// Upper bounds of a session, milliseconds.
const SESSIONS: &[u64] =
    &[1000, 5000, 15_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000];
/// Upper bounds of a room's life, seconds.
const ROOMS: &[u64] = &[5, 10, 60, 300, 600, 1800, 3600, 7200, 18_000, 36_000];

/// Beginnings whose end is awaited, of each kind; beyond that the old ones are given up.
const MAX_OPEN: usize = 16_384;
/// A beginning without an end is given up after this, when there are too many.
const GIVE_UP: Duration = Duration::from_secs(60);

/// How long things took, of everything since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubTimings {
    /// From a join to the media connection, milliseconds.
    pub session_start: Snapshot,
    /// From the media connection to the departure, milliseconds.
    pub session: Snapshot,
    /// From the opening of a room to its end, seconds.
    pub room: Snapshot,
    /// From the announcement of a track to its publication, milliseconds, by source and type.
    pub publish: Vec<(TrackSource, TrackType, Snapshot)>,
    /// From a place in the subscriber's connection to the first packet of an audio track, milliseconds.
    pub first_audio: Snapshot,
    /// The same of a video track.
    pub first_video: Snapshot,
}

/// Measures as inputs and outputs pass.
#[derive(Debug)]
pub(super) struct Timings {
    now: Option<Now>,
    /// What happens follows from news of a shard, not from a call.
    by_shard: bool,
    session_start: Histogram,
    session: Histogram,
    room: Histogram,
    publish: BTreeMap<(TrackSource, TrackType), Histogram>,
    first_audio: Histogram,
    first_video: Histogram,
    /// Connected participants, by sid.
    sessions: HashMap<String, Instant>,
    /// Announced tracks, by sid.
    announced: HashMap<String, Instant>,
    /// Subscriptions without a packet yet.
    opened: HashMap<DownTrackId, Opened>,
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    at: Instant,
    kind: MediaKind,
    transport: TransportId,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            now: None,
            by_shard: false,
            session_start: Histogram::new(STARTS),
            session: Histogram::new(SESSIONS),
            room: Histogram::new(ROOMS),
            publish: BTreeMap::new(),
            first_audio: Histogram::new(STARTS),
            first_video: Histogram::new(STARTS),
            sessions: HashMap::new(),
            announced: HashMap::new(),
            opened: HashMap::new(),
        }
    }
}

impl Timings {
    pub(super) fn input(&mut self, now: Now, input: &Input) {
        self.now = Some(now);
        let Input::Shard { event, .. } = input else {
            self.by_shard = false;
            return;
        };
        self.by_shard = true;
        match event {
            Event::DownTrackStarted { track } => {
                if let Some(opened) = self.opened.remove(track) {
                    let histogram = match opened.kind {
                        MediaKind::Audio => &self.first_audio,
                        MediaKind::Video => &self.first_video,
                    };
                    histogram.observe(millis(now.mono.saturating_duration_since(opened.at)));
                }
            }
            Event::Closed { id, .. } => self.opened.retain(|_, o| o.transport != *id),
            _ => {}
        }
    }

    pub(super) fn output(&mut self, output: &Output) {
        let Some(now) = self.now else { return };
        match output {
            Output::Event(event) => self.event(now, event),
            Output::Command { command, .. } => self.command(now, command),
            Output::Signal { response, .. } => {
                if let Some(signal_response::Message::TrackPublished(answer)) = &response.message
                    && let Some(track) = &answer.track
                {
                    begin(&mut self.announced, track.sid.clone(), now.mono, |at| *at, now.mono);
                }
            }
            _ => {}
        }
    }

    fn event(&mut self, now: Now, event: &RoomEvent) {
        match event {
            RoomEvent::RoomFinished { room, .. } => {
                let opened = u64::try_from(room.creation_time_ms).unwrap_or(0);
                self.room.observe(now.unix_ms.saturating_sub(opened) / 1000);
            }
            RoomEvent::ParticipantJoined { participant, .. } if !is_shown(participant) => {
                // Who was moved here has been connected before.
                if self.by_shard {
                    let joined = u64::try_from(participant.joined_at_ms).unwrap_or(0);
                    self.session_start.observe(now.unix_ms.saturating_sub(joined));
                }
                self.sessions.insert(participant.sid.clone(), now.mono);
            }
            RoomEvent::ParticipantLeft { participant, .. } => {
                if let Some(since) = self.sessions.remove(&participant.sid) {
                    self.session.observe(millis(now.mono.saturating_duration_since(since)));
                }
            }
            RoomEvent::TrackPublished { track, .. } => self.published(now, track),
            _ => {}
        }
    }

    fn published(&mut self, now: Now, track: &TrackInfo) {
        let Some(since) = self.announced.remove(&track.sid) else { return };
        // Whatever number a client may have put there.
        let key = (track.source(), track.r#type());
        let histogram = self.publish.entry(key).or_insert_with(|| Histogram::new(STARTS));
        histogram.observe(millis(now.mono.saturating_duration_since(since)));
    }

    fn command(&mut self, now: Now, command: &Command) {
        match command {
            Command::AddDownTrack(config) if !config.settings.paused => {
                let Some(codec) = config.payload_types.first().map(|p| p.codec) else { return };
                let opened = Opened { at: now.mono, kind: codec.kind(), transport: config.transport };
                begin(&mut self.opened, config.id, opened, |o| o.at, now.mono);
            }
            // Its first packet comes when it is wanted again, which says nothing.
            Command::SetDownTrack { id, settings } if settings.paused => drop(self.opened.remove(id)),
            Command::RemoveDownTrack { id } => drop(self.opened.remove(id)),
            Command::CloseTransport { id } => self.opened.retain(|_, o| o.transport != *id),
            _ => {}
        }
    }

    pub(super) fn snapshot(&self) -> HubTimings {
        let publish = self.publish.iter().map(|((source, kind), h)| (*source, *kind, h.snapshot()));
        HubTimings {
            session_start: self.session_start.snapshot(),
            session: self.session.snapshot(),
            room: self.room.snapshot(),
            publish: publish.collect(),
            first_audio: self.first_audio.snapshot(),
            first_video: self.first_video.snapshot(),
        }
    }
}

/// Remembers a beginning, if there is room for it.
fn begin<K: Eq + Hash, V>(
    open: &mut HashMap<K, V>,
    key: K,
    value: V,
    since: fn(&V) -> Instant,
    now: Instant,
) {
    if open.len() >= MAX_OPEN {
        open.retain(|_, v| now.saturating_duration_since(since(v)) < GIVE_UP);
    }
    if open.len() < MAX_OPEN {
        open.insert(key, value);
    }
}

/// A participant of another room that is shown here.
fn is_shown(participant: &ParticipantInfo) -> bool {
    participant.kind_details.contains(&(KindDetail::Forwarded as i32))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_without_an_end_are_bounded() {
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let start = Instant::now();
        let mut open = HashMap::new();
        for n in 0..=MAX_OPEN {
            begin(&mut open, n, start, |at| *at, start);
        }
        assert_eq!(open.len(), MAX_OPEN);
        begin(&mut open, usize::MAX, start + GIVE_UP, |at| *at, start + GIVE_UP);
        assert_eq!(open.len(), 1);
    }
}
