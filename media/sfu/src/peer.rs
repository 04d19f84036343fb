//! One transport with its media state.

use crate::arena::Key;
use crate::config::ShardConfig;
use crate::downtrack::{DownTrack, Filled, Queued, Retired};
use crate::egress::Egress;
use crate::feedback::RtcpQueue;
use crate::hash::Seeded;
use crate::ids::TransportId;
use crate::path::{Path, Proto};
use crate::upstream::clock::SourceClock;
use bedrud_rtp::receive::TwccRecorder;
use bedrud_rtp::{ExtensionMap, SrtpReceiver, SrtpSender, Ssrc};
use bedrud_transport::Transport;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// As long as the agent waits for a check.
const CONSENT: Duration = Duration::from_secs(15);

/// SSRCs of ended down tracks whose numbers are remembered; beyond it new tracks are refused such an SSRC.
pub(crate) const MAX_RETIRED: usize = 65_536;

/// A subscription that ended, and what it still sends.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What it was known by.
    pub(crate) key: Key,
    pub(crate) down: DownTrack,
    /// Waits for the flush.
    pub(crate) filled: Option<Filled>,
}

/// SRTP contexts of both directions.
#[derive(Debug)]
pub(crate) struct Srtp {
    pub(crate) sender: SrtpSender,
    pub(crate) receiver: SrtpReceiver,
}

/// What an SSRC of a publisher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SsrcUse {
    pub(crate) up: Key,
    /// Position in the track's layers.
    pub(crate) layer: usize,
    pub(crate) rtx: bool,
}

/// One transport.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: TransportId,
    pub(crate) transport: Transport,
    /// Closed when no remote description came by then.
    pub(crate) connect_by: Option<Instant>,
    pub(crate) srtp: Option<Srtp>,
    /// Where media goes.
    pub(crate) path: Option<Path>,
    /// Addresses learned.
    pub(crate) addresses: Vec<(Proto, SocketAddr)>,
    /// Our address on the path last used by the client.
    pub(crate) last_local: Option<SocketAddr>,
    pub(crate) extensions: ExtensionMap,
    /// Sender SSRC of our feedback.
    pub(crate) feedback_ssrc: Ssrc,

    // Publishing side.
    pub(crate) ups: Vec<Key>,
    pub(crate) ssrcs: HashMap<Ssrc, SsrcUse, Seeded>,
    /// SSRCs of no track, bounded.
    pub(crate) unknown: Vec<Ssrc>,
    pub(crate) twcc: TwccRecorder,
    pub(crate) twcc_due: Option<Instant>,
    pub(crate) nack_due: Option<Instant>,
    pub(crate) key_frame_due: Option<Instant>,
    pub(crate) last_report: Option<Instant>,
    pub(crate) clock: SourceClock,

    // Subscribing side.
    pub(crate) downs: Vec<Key>,
    pub(crate) down_ssrcs: HashMap<Ssrc, Key, Seeded>,
    pub(crate) egress: Egress,
    pub(crate) tcp_congested: bool,
    /// Checks have stopped.
    pub(crate) checks_lost: bool,
    /// Last authenticated RTCP, which says as well that somebody is there: not every client goes on with checks.
    pub(crate) last_rtcp: Option<Instant>,
    /// Neither for so long that consent to be sent media is over (RFC 7675); the next of them gives it again.
    pub(crate) silent: bool,
    /// The other end is a shard of this process: nothing to negotiate, and no network to spare.
    pub(crate) relay: bool,
    /// A subscription gets packets of our own.
    pub(crate) fill_due: Option<Instant>,
    /// Subscriptions that ended, and send a last second of nothing.
    pub(crate) endings: Vec<Ending>,
    /// Streams that ended, by their SSRC.
    pub(crate) retired: HashMap<Ssrc, Retired, Seeded>,

    pub(crate) rtt: Option<Duration>,
    /// Media moves: the regular step runs.
    pub(crate) tick_due: Option<Instant>,
    pub(crate) last_media: Option<Instant>,

    // Output.
    pub(crate) rtcp: RtcpQueue,
    pub(crate) queue: Vec<Queued>,
    pub(crate) fills: Vec<Filled>,
    pub(crate) outbox: Vec<(Path, Vec<u8>)>,
    pub(crate) dirty: bool,
    /// Messages wait for the next flush.
    pub(crate) unsent: bool,
    /// Earliest entry in the timers.
    pub(crate) armed: Option<Instant>,
}

impl Peer {
    pub(crate) fn new(
        now: Instant,
        id: TransportId,
        transport: Transport,
        feedback_ssrc: Ssrc,
        hash: Seeded,
        config: &ShardConfig,
    ) -> Self {
        Self {
            id,
            transport,
            connect_by: Some(now + config.connect_timeout),
            srtp: None,
            path: None,
            addresses: Vec::new(),
            last_local: None,
            extensions: ExtensionMap::default(),
            feedback_ssrc,
            ups: Vec::new(),
            ssrcs: HashMap::with_hasher(hash),
            unknown: Vec::new(),
            twcc: TwccRecorder::new(),
            twcc_due: None,
            nack_due: None,
            key_frame_due: None,
            last_report: None,
            clock: SourceClock::default(),
            downs: Vec::new(),
            down_ssrcs: HashMap::with_hasher(hash),
            egress: Egress::new(now, config),
            tcp_congested: false,
            checks_lost: false,
            last_rtcp: None,
            silent: false,
            relay: false,
            fill_due: None,
            endings: Vec::new(),
            retired: HashMap::with_hasher(hash),
            rtt: None,
            tick_due: None,
            last_media: None,
            rtcp: RtcpQueue::default(),
            queue: Vec::new(),
            fills: Vec::new(),
            outbox: Vec::new(),
            dirty: false,
            unsent: false,
            armed: None,
        }
    }

    /// Remembers the numbers of a subscription that is over.
    pub(crate) fn retire(&mut self, down: &DownTrack) {
        let (media, rtx) = down.retire();
        if let Some(media) = media {
            self.retired.insert(down.ssrc, media);
        }
        if let Some(ssrc) = down.rtx_ssrc {
            self.retired.insert(ssrc, rtx);
        }
    }

    /// Ends the endings that use these SSRCs: a new subscription takes them over.
    pub(crate) fn cut_endings(&mut self, ssrc: Ssrc, rtx: Option<Ssrc>) {
        let mine = [Some(ssrc), rtx];
        self.finish_endings(|e| {
            mine.contains(&Some(e.ssrc)) || e.rtx_ssrc.is_some() && mine.contains(&e.rtx_ssrc)
        });
    }

    /// Ends the endings that are `over`.
    pub(crate) fn finish_endings(&mut self, over: impl Fn(&DownTrack) -> bool) {
        for ending in self.endings.extract_if(.., |e| over(&e.down)).collect::<Vec<_>>() {
            self.retire(&ending.down);
        }
    }

    /// Whether the peer is there as far as checks and RTCP tell.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        let heard = self.last_rtcp.is_some_and(|t| now.saturating_duration_since(t) < CONSENT);
        self.checks_lost && !heard
    }

    /// Keys and a destination exist, and somebody is there.
    pub(crate) fn can_send(&self) -> bool {
        self.srtp.is_some() && self.path.is_some() && !self.silent
    }

    /// When the shard must look at this transport.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [
            self.transport.poll_deadline().filter(|_| !self.relay),
            self.connect_by,
            self.twcc_due,
            self.nack_due,
            self.key_frame_due,
            self.fill_due,
            self.tick_due,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
