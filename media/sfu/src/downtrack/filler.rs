//! Packets of the server's own in place of media that does not flow.
//!
//! Silence after a mute lets the decoder end its last sound cleanly instead of stretching it; a black picture keeps the
//! last frame of a track that ended from staying on a screen. Padding shows a stream to clients that learn of it by its
//! first packet, and wakes those that wait for the next one.

use super::black::black_frame;
use super::write::Outlet;
use super::{DownTrack, Filled};
use bedrud_rtp::{AudioLevelValue, Codec, OutExtensions, OutHeader, Pt};
use std::time::{Duration, Instant};

/// Distance and number of silent frames.
const SILENCE: (Duration, u32) = (Duration::from_millis(20), 50);
/// Number of silent frames when the subscription ends.
const LAST_SILENCE: u32 = 10;
/// Distance and number of black pictures, when the subscription ends.
const BLACK: (Duration, u32) = (Duration::from_millis(33), 6);
/// Distance and number of padding packets.
const PADDING: (Duration, u32) = (Duration::from_millis(100), 50);
/// A connection that is not ready is looked at again after this time.
const NOT_READY: Duration = Duration::from_millis(100);
/// A connection that is not ready after this time gets nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same, of a subscription that ended.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// Length of a padding packet's payload.
const PADDING_LEN: u8 = 4;
/// 20 ms of silence in Opus (RFC 6716): one CELT frame, full band, that holds nothing.
const OPUS: &[u8] = &[0xf8, 0xff, 0xfe];
/// The same in G.711 mu-law and A-law.
const PCMU: &[u8] = &[0xff; 160];
const PCMA: &[u8] = &[0xd5; 160];

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Frames of silence.
    Silence,
    /// Packets without media.
    Padding,
    /// Key frames without a picture.
    Black,
}

/// A run of packets of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filler {
    fill: Fill,
    left: u32,
    due: Instant,
    give_up: Instant,
}

impl Filler {
    /// The run for a subscription whose source was muted (`fresh`: before anything of it was sent).
    pub(crate) fn on_mute(now: Instant, down: &DownTrack, fresh: bool) -> Option<Self> {
        if fresh && !down.announce {
            return None;
        }
        let fill = if !down.video && silence(down).is_some() {
            Fill::Silence
        } else if down.announce {
            Fill::Padding
        } else {
            return None;
        };
        let (distance, left) = fill.run();
        Some(Self { fill, left, due: now + distance, give_up: now + PATIENCE })
    }

    /// The run that ends a subscription of which something was sent.
    pub(crate) fn on_end(now: Instant, down: &DownTrack) -> Option<Self> {
        if down.settings.paused || down.forwarder.last_sent().is_none() {
            return None;
        }
        let (fill, left) = if down.video {
            black_frame(down.sends()?.1, 0)?;
            (Fill::Black, BLACK.1)
        } else {
            silence(down)?;
            (Fill::Silence, LAST_SILENCE)
        };
        Some(Self { fill, left, due: now, give_up: now + LAST_PATIENCE })
    }

    /// When to look at it again; `None` when it is over.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.due)
    }

    /// What to send now. `ready` is whether the connection can send.
    pub(crate) fn poll(&mut self, now: Instant, ready: bool) -> Option<Fill> {
        if self.left == 0 || self.due > now {
            return None;
        }
        if !ready {
            self.due = now + NOT_READY;
            if now >= self.give_up {
                self.left = 0;
            }
            return None;
        }
        let (distance, _) = self.fill.run();
        self.left -= 1;
        // A late timer does not make a burst.
        self.due = (self.due + distance).max(now + distance / 2);
        Some(self.fill)
    }
}

impl Fill {
    fn run(self) -> (Duration, u32) {
        match self {
            Self::Silence => SILENCE,
            Self::Padding => PADDING,
            Self::Black => BLACK,
        }
    }
}

/// Payload type and payload of a silent frame the subscriber can decode.
fn silence(down: &DownTrack) -> Option<(Pt, &'static [u8])> {
    down.payload_types.iter().find_map(|p| match p.codec {
        Codec::Opus => Some((p.pt, OPUS)),
        Codec::Pcmu => Some((p.pt, PCMU)),
        Codec::Pcma => Some((p.pt, PCMA)),
        _ => None,
    })
}

/// Appends one sealed packet to `arena`. Returns its payload length; `None` leaves the arena as it was.
pub(crate) fn write_fill(
    arena: &mut Vec<u8>,
    outlet: &Outlet<'_>,
    down: &DownTrack,
    filled: &Filled,
) -> Option<usize> {
    let start = arena.len();
    let (pt, payload) = match filled.fill {
        Fill::Silence => silence(down)?,
        Fill::Padding => (down.payload_types.first()?.pt, &[][..]),
        Fill::Black => {
            let (pt, codec) = down.sends()?;
            (pt, black_frame(codec, filled.seq)?)
        }
    };
    let padding = filled.fill == Fill::Padding;
    let extensions = OutExtensions {
        mid: down.introduces(filled.seq).then_some(down.mid),
        audio_level: (filled.fill == Fill::Silence).then_some(AudioLevelValue { level: 127, voice: false }),
        transport_cc: outlet.stamps.transport_cc,
        abs_send_time: outlet.stamps.abs_send_time,
        ..OutExtensions::default()
    };
    let header = OutHeader {
        // One packet is the whole picture.
        marker: filled.fill == Fill::Black,
        pt,
        seq: filled.seq as u16,
        timestamp: filled.timestamp,
        ssrc: down.ssrc,
        padding,
        extensions,
    };
    let written = header.write(arena, outlet.map);
    let body = arena.len();
    if padding {
        arena.extend_from_slice(&[0; PADDING_LEN as usize - 1]);
        arena.push(PADDING_LEN);
    } else {
        arena.extend_from_slice(payload);
        arena.extend_from_slice(&down.frame_trailer);
    }
    let len = arena.len() - body;
    outlet.srtp.seal_rtp(arena, start, written.header_len, filled.seq).ok()?;
    Some(len)
}
