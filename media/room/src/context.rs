//! What the state machines share: settings, time, randomness, routing tables and the output queue.

use crate::accounts::{AccountKey, Ledger, price};
use crate::arrivals::Arrivals;
use crate::config::HubConfig;
use crate::ids::{Ids, Pid, RoomKey, Sid, sid};
use crate::io::{ConnId, Now, Output, RoomEvent, ShardId};
use crate::message::ServerMessage;
use crate::one_shot::ClosedSessions;
use crate::revoked::Revocations;
use crate::room::DataCounters;
use crate::timers::{Timer, TimerKey, Timers};
use bedrud_sdp::{CodecSetting, CodecTable};
use bedrud_sfu::{Command, DownTrackId, TransportId, UpTrackId};
use livekit_protocol::{Codec as WireCodec, ServerInfo, signal_response};
use rand::rngs::StdRng;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Highest protocol version this server speaks.
pub(crate) const PROTOCOL_VERSION: i32 = 17;

/// Who is behind an id.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) conns: HashMap<ConnId, (RoomKey, Pid)>,
    pub(crate) transports: HashMap<TransportId, (RoomKey, Pid)>,
    pub(crate) ups: HashMap<UpTrackId, (RoomKey, Pid, Sid)>,
    pub(crate) downs: HashMap<DownTrackId, (RoomKey, Pid, Sid)>,
}

/// Everything but the rooms.
pub(crate) struct Core {
    pub(crate) config: HubConfig,
    pub(crate) codecs: Arc<CodecTable>,
    pub(crate) rng: StdRng,
    pub(crate) out: VecDeque<Output>,
    pub(crate) timers: Timers,
    pub(crate) routes: Routes,
    pub(crate) ids: Ids,
    pub(crate) participants: usize,
    pub(crate) revoked: Revocations,
    pub(crate) demand_moved: bool,
    pub(crate) arrivals: Arrivals,
    /// Fail after so many effects.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fault: Option<usize>,
    pub(crate) data: DataCounters,
    pub(crate) closed_sessions: ClosedSessions,
    pub(crate) ledger: Ledger,
    /// Work since the start, see [`crate::accounts`].
    pub(crate) work: u64,
}

impl Core {
    pub(crate) fn new(mut config: HubConfig, mut rng: StdRng) -> Self {
        if config.node_id.is_empty() {
            config.node_id = sid(&mut rng, "ND_").to_string();
        }
        let setting = |mime: &str| CodecSetting { mime: mime.to_owned(), fmtp: None };
        let mut settings: Vec<_> = config.codecs.iter().map(|c| setting(c.mime_type())).collect();
        settings.push(setting("video/rtx"));
        let codecs = Arc::new(CodecTable::new(&settings).unwrap_or_default());
        Self {
            config,
            codecs,
            rng,
            out: VecDeque::new(),
            timers: Timers::default(),
            routes: Routes::default(),
            ids: Ids::default(),
            participants: 0,
            revoked: Revocations::default(),
            demand_moved: false,
            arrivals: Arrivals::default(),
            #[cfg(any(test, feature = "test-util"))]
            fault: None,
            data: DataCounters::default(),
            closed_sessions: ClosedSessions::default(),
            ledger: Ledger::default(),
            work: 0,
        }
    }

    /// The context of one input.
    pub(crate) fn at(&mut self, now: Now) -> Cx<'_> {
        Cx {
            now,
            config: &self.config,
            codecs: &self.codecs,
            rng: &mut self.rng,
            out: &mut self.out,
            timers: &mut self.timers,
            routes: &mut self.routes,
            ids: &mut self.ids,
            participants: &mut self.participants,
            revoked: &mut self.revoked,
            demand_moved: &mut self.demand_moved,
            arrivals: &mut self.arrivals,
            #[cfg(any(test, feature = "test-util"))]
            fault: &mut self.fault,
            data: &mut self.data,
            closed_sessions: &mut self.closed_sessions,
            ledger: &mut self.ledger,
            work: &mut self.work,
        }
    }
}

/// [`Core`] at one moment.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a HubConfig,
    pub(crate) codecs: &'a Arc<CodecTable>,
    pub(crate) rng: &'a mut StdRng,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) timers: &'a mut Timers,
    pub(crate) routes: &'a mut Routes,
    pub(crate) ids: &'a mut Ids,
    /// Participants of all rooms.
    pub(crate) participants: &'a mut usize,
    /// Tokens that are refused.
    pub(crate) revoked: &'a mut Revocations,
    /// Somebody watches a forwarded track differently: its publisher's room must hear of it.
    pub(crate) demand_moved: &'a mut bool,
    pub(crate) arrivals: &'a mut Arrivals,
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fault: &'a mut Option<usize>,
    /// Counts of data messages.
    pub(crate) data: &'a mut DataCounters,
    /// What participants have used up.
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) closed_sessions: &'a mut ClosedSessions,
    work: &'a mut u64,
}

impl Now {
    /// Seconds since the epoch.
    pub(crate) fn unix_secs(&self) -> i64 {
        i64::try_from(self.unix_ms / 1000).unwrap_or(i64::MAX)
    }
}

impl Cx<'_> {
    /// Where a test lets the hub fail.
    #[cfg(any(test, feature = "test-util"))]
    fn effect(&mut self) {
        match self.fault {
            Some(0) => {
                *self.fault = None;
                // Without the hook, which would print a backtrace.
                std::panic::resume_unwind(Box::new("injected"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
    }

    #[cfg(not(any(test, feature = "test-util")))]
    #[inline]
    fn effect(&mut self) {}

    /// Sends to a client, if it has a socket now.
    pub(crate) fn signal(&mut self, conn: Option<ConnId>, message: signal_response::Message) {
        self.effect();
        if let Some(conn) = conn {
            let response = Arc::new(ServerMessage::from(message));
            self.spend(price::DELIVERY + price::made(response.size()));
            self.out.push_back(Output::Signal { conn, response });
        }
    }

    /// Sends one message to many clients.
    pub(crate) fn broadcast(&mut self, conns: Vec<ConnId>, message: signal_response::Message) {
        self.effect();
        if !conns.is_empty() {
            let response = Arc::new(ServerMessage::from(message));
            self.spend(price::DELIVERY * conns.len() as u64 + price::made(response.size()));
            self.out.push_back(Output::Broadcast { conns, response });
        }
    }

    /// Closes a socket and forgets it.
    pub(crate) fn close_signal(&mut self, conn: ConnId, clean: bool) {
        self.effect();
        self.routes.conns.remove(&conn);
        self.out.push_back(Output::CloseSignal { conn, clean });
    }

    pub(crate) fn command(&mut self, shard: u16, command: Command) {
        self.effect();
        self.spend(price::COMMAND);
        self.out.push_back(Output::Command { shard: ShardId(shard), command });
    }

    pub(crate) fn event(&mut self, event: RoomEvent) {
        self.effect();
        self.arrivals.note(&event);
        self.spend(price::EVENT);
        self.out.push_back(Output::Event(Box::new(event)));
    }

    /// Counts work, in units of [`price`].
    pub(crate) fn spend(&mut self, units: u64) {
        *self.work = self.work.saturating_add(units);
    }

    /// Work since the start.
    pub(crate) fn work(&self) -> u64 {
        *self.work
    }

    /// Charges what was done since `before` to the one who caused it.
    pub(crate) fn charge(&mut self, account: &AccountKey, before: u64) {
        let spent = self.work.saturating_sub(before);
        self.ledger.charge(account, self.now.mono, &self.config.limits, spent);
    }

    pub(crate) fn after(&self, delay: Duration) -> Instant {
        self.now.mono + delay
    }

    pub(crate) fn set_timer(&mut self, room: RoomKey, pid: Option<Pid>, timer: Timer, delay: Duration) {
        self.effect();
        let at = self.after(delay);
        self.timers.set(TimerKey { room, pid, timer }, at);
    }

    pub(crate) fn arm_timer(&mut self, room: RoomKey, pid: Option<Pid>, timer: Timer, delay: Duration) {
        self.effect();
        let at = self.after(delay);
        self.timers.arm(TimerKey { room, pid, timer }, at);
    }

    pub(crate) fn cancel_timer(&mut self, room: RoomKey, pid: Option<Pid>, timer: Timer) {
        self.effect();
        self.timers.cancel(&TimerKey { room, pid, timer });
    }

    pub(crate) fn server_info(&self) -> ServerInfo {
        self.config.server_info()
    }

    /// Every enabled codec, as shown in the description of a room.
    pub(crate) fn wire_codecs(&self) -> Vec<WireCodec> {
        wire_codecs(&self.codecs.enabled_publish_codecs(&bedrud_sdp::ClientQuirks::default()))
    }
}

/// Codecs as clients expect them listed.
pub(crate) fn wire_codecs(codecs: &[bedrud_rtp::Codec]) -> Vec<WireCodec> {
    let one = |c: &bedrud_rtp::Codec| WireCodec { mime: c.mime_type().to_owned(), fmtp_line: String::new() };
    codecs.iter().map(one).collect()
}
