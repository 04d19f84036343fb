//! One participant: who it is, what it may do, its connections, tracks and subscriptions.

use super::audience::Rules;
use super::blobs::Blobs;
use super::data::DataState;
use super::data_tracks::DataTracks;
use super::link::{Link, Publisher, Subscriber};
use super::metrics::ClientClock;
use super::subscriptions::Subscription;
use super::track::{Pending, Published, Unmatched, key};
use crate::accounts::{AccountKey, account_key};
use crate::context::{Cx, PROTOCOL_VERSION};
use crate::device::Device;
use crate::grants::Claims;
use crate::ids::{Pid, RoomKey, Sid};
use crate::io::ConnId;
use crate::join_params::JoinParams;
use crate::member::Member;
use crate::session::{Backlog, OneShot};
use bedrud_rtp::{Codec, Mid};
use bedrud_sdp::{ClientQuirks, CodecTable};
use bedrud_sfu::DataChannel;
use livekit_protocol::{
    AddTrackRequest, ClientInfo, DisconnectReason, ParticipantInfo, ParticipantPermission,
    SessionDescription, TrackSource, UpdateTrackSettings, client_info, client_info::Sdk, participant_info,
    signal_response,
};
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Tokens remembered per session.
const MAX_TOKENS: usize = 16;

/// Software of a client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) info: ClientInfo,
    pub(crate) protocol: i32,
    pub(crate) sdk: Sdk,
}

impl Client {
    pub(crate) fn new(info: ClientInfo) -> Self {
        let protocol = info.protocol.clamp(0, PROTOCOL_VERSION);
        let sdk = Sdk::try_from(info.sdk).unwrap_or(Sdk::Unknown);
        Self { info, protocol, sdk }
    }

    fn is_firefox(&self) -> bool {
        self.info.browser.to_ascii_lowercase().starts_with("firefox")
    }

    fn is_safari(&self) -> bool {
        self.info.browser.eq_ignore_ascii_case("safari")
    }

    pub(crate) fn quirks(&self) -> ClientQuirks {
        let os = self.info.os.to_ascii_lowercase();
        let firefox = self.is_firefox();
        let device = self.device();
        ClientQuirks {
            no_red: firefox || self.is_safari(),
            no_h264_high: firefox,
            refused: device.refused,
            refused_publish: device.refused_publish,
            single_video_codec: firefox && (os.contains("linux") || os.contains("android")),
            reuse_sections: self.protocol >= 4 && !self.is_safari() && !self.has_rust_core(),
            // Of other stacks it is not known what they make of it.
            recycle_sections: matches!(self.sdk, Sdk::Js | Sdk::Node | Sdk::Python | Sdk::Rust)
                && !self.is_safari(),
        }
    }

    /// SDKs on the Rust core. On two connections it never again announces a stream on a section that carried the same
    /// stream before, so that each track has to come on a section with a new mid.
    const fn has_rust_core(&self) -> bool {
        matches!(
            self.sdk,
            Sdk::Rust | Sdk::Python | Sdk::Node | Sdk::Cpp | Sdk::Unity | Sdk::Dotnet | Sdk::Unreal
        )
    }

    /// What its device cannot do.
    pub(crate) fn device(&self) -> Device {
        Device::of(&self.info)
    }

    /// Codecs it may publish, as told in `join`.
    pub(crate) fn publish_codecs(&self, codecs: &CodecTable) -> Vec<Codec> {
        codecs.enabled_publish_codecs(&self.quirks())
    }

    /// Media streams named after the publisher's stream instead of the track, so that its camera and microphone play in
    /// sync (a setting of the room).
    pub(crate) fn syncs_streams(&self) -> bool {
        self.protocol >= 10 && !self.is_firefox()
    }

    /// Parses the metadata publishers append to frames.
    pub(crate) fn reads_trailers(&self) -> bool {
        self.info.capabilities.contains(&(client_info::Capability::CapPacketTrailer as i32))
    }

    /// Rust cores before protocol 10 cannot decode `track_subscribed` and `request_response`.
    pub(crate) fn knows_new_messages(&self) -> bool {
        self.sdk != Sdk::Rust || self.protocol >= 10
    }

    /// Go reads our messages before it has set the offer of its join as its local description: an answer that comes at
    /// once fails there.
    pub(crate) fn is_late_with_its_offer(&self) -> bool {
        self.sdk == Sdk::Go
    }

    /// Clients on stacks that show a stream only once a packet of it came: pion, and what is not known to be libwebrtc.
    pub(crate) fn learns_streams_by_packet(&self) -> bool {
        matches!(self.sdk, Sdk::Go | Sdk::Esp32 | Sdk::Unknown)
    }

    /// JS before 1.6.3 takes a `reconnect` message for an error.
    pub(crate) fn knows_reconnect(&self) -> bool {
        if self.sdk != Sdk::Js {
            return true;
        }
        let mut parts = self.info.version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        version >= (1, 6, 3)
    }
}

#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) pid: Pid,
    pub(crate) sid: Sid,
    /// Sid it had in the room it was moved from.
    pub(crate) earlier_sid: Option<Sid>,
    /// Where it really is, when it is only shown here.
    pub(crate) origin: Option<(RoomKey, Pid)>,
    /// Digests of the tokens it has shown.
    pub(crate) tokens: Vec<String>,
    /// Kept up to date, so that refreshed tokens carry what was changed.
    pub(crate) claims: Claims,
    pub(crate) permission: ParticipantPermission,
    /// What the embedder says about it, if it knows it.
    pub(crate) member: Option<Member>,
    pub(crate) client: Client,
    pub(crate) state: participant_info::State,
    /// When its media connection came up.
    pub(crate) active_at: Option<Instant>,
    pub(crate) version: u32,
    pub(crate) is_publisher: bool,
    pub(crate) joined_at_ms: u64,
    pub(crate) auto_subscribe: bool,
    pub(crate) auto_subscribe_data: bool,
    pub(crate) adaptive_stream: bool,
    /// Congestion may stop its video altogether.
    pub(crate) may_pause: bool,
    pub(crate) single_pc: bool,
    pub(crate) subscriber_primary: bool,

    pub(crate) conn: Option<ConnId>,
    /// Last time it said something.
    pub(crate) heard_at: Instant,
    pub(crate) tcp_only: bool,
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Option<Subscriber>,

    pub(crate) tracks: BTreeMap<Sid, Published>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) queued: VecDeque<AddTrackRequest>,
    pub(crate) unmatched: BTreeMap<Mid, Unmatched>,
    pub(crate) subscriptions: BTreeMap<Sid, Subscription>,
    /// Tracks it unsubscribed from: what subscribes it to everything leaves them out.
    pub(crate) declined: BTreeSet<Sid>,
    /// `track_setting` by track sid, also of tracks that do not exist yet.
    pub(crate) settings: HashMap<Sid, UpdateTrackSettings>,
    /// Of these, the ones that changed and are not applied yet.
    pub(super) changed_settings: BTreeSet<Sid>,
    ssrcs: BTreeSet<u32>,
    /// Who may subscribe; `None` is everyone.
    pub(super) audience: Option<Arc<Rules>>,
    pub(crate) data: DataState,
    pub(super) blobs: Blobs,
    pub(super) clock: ClientClock,
    /// What it has used up.
    pub(crate) account: AccountKey,
    /// Messages that wait for its budget.
    pub(crate) backlog: Backlog,
    /// Bytes of its description that were counted last.
    pub(super) size: usize,
    pub(crate) data_tracks: DataTracks,
    /// Speaker entry others saw last: level in eighths, 0 when silent.
    pub(crate) speaking: u8,
    /// Simulated speaking.
    pub(crate) simulated_speech: bool,
    /// Quality others saw last.
    pub(crate) quality: Option<livekit_protocol::ConnectionQuality>,
    pub(crate) resume_script: ResumeScript,
    /// Offer of the join that waits for [`Timer::EarlyOffer`](crate::timers::Timer::EarlyOffer).
    pub(crate) early_offer: Option<SessionDescription>,
    /// Set when it has no signalling socket and never will (WHIP, WHEP).
    pub(crate) one_shot: Option<Box<OneShot>>,
}

/// What `simulate` asked to happen at the next resume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResumeScript {
    pub(crate) close_after: Option<Instant>,
    pub(crate) close_before: Option<(Instant, u8)>,
}

impl Participant {
    pub(crate) fn new(
        cx: &mut Cx<'_>,
        sid: Sid,
        conn: Option<ConnId>,
        params: &JoinParams,
        client: Client,
        publisher: Publisher,
        tcp_only: bool,
    ) -> Self {
        let permission = params.claims.permission();
        let account = account_key(&params.claims);
        let subscriber_primary = !params.single_pc && permission.can_subscribe && client.protocol > 2;
        Self {
            pid: cx.ids.participant(),
            sid,
            earlier_sid: None,
            origin: None,
            tokens: vec![params.token.clone()],
            claims: params.claims.clone(),
            permission,
            member: params.member.clone(),
            client,
            state: participant_info::State::Joining,
            active_at: None,
            version: 1,
            is_publisher: false,
            joined_at_ms: cx.now.unix_ms,
            auto_subscribe: params.auto_subscribe,
            auto_subscribe_data: params.auto_subscribe_data_track,
            adaptive_stream: params.adaptive_stream,
            may_pause: params.subscriber_allow_pause.unwrap_or(cx.config.allow_pause),
            single_pc: params.single_pc,
            subscriber_primary,
            conn,
            heard_at: cx.now.mono,
            tcp_only,
            publisher,
            subscriber: None,
            tracks: BTreeMap::new(),
            pending: Vec::new(),
            queued: VecDeque::new(),
            unmatched: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            declined: BTreeSet::new(),
            settings: HashMap::new(),
            changed_settings: BTreeSet::new(),
            ssrcs: BTreeSet::new(),
            audience: None,
            data: DataState::default(),
            blobs: Blobs::default(),
            clock: ClientClock::default(),
            account,
            backlog: Backlog::default(),
            size: 0,
            data_tracks: DataTracks::default(),
            speaking: 0,
            simulated_speech: false,
            quality: None,
            resume_script: ResumeScript::default(),
            early_offer: None,
            one_shot: None,
        }
    }

    pub(crate) fn identity(&self) -> &str {
        self.claims.identity()
    }

    /// A participant of another room whose tracks are shown here.
    pub(crate) fn is_forwarded(&self) -> bool {
        self.origin.is_some()
    }

    /// Claims of a token for coming back. `jti` names the session, so that its tokens can be refused after a removal.
    pub(crate) fn reconnect_claims(&self) -> Claims {
        Claims { jti: Some(self.sid.to_string()), ..self.claims.clone() }
    }

    /// Another token was shown for this session.
    pub(crate) fn remember_token(&mut self, token: &str) {
        if self.tokens.len() < MAX_TOKENS && self.tokens.iter().all(|t| t != token) {
            self.tokens.push(token.to_owned());
        }
    }

    pub(crate) fn hidden(&self) -> bool {
        self.permission.hidden
    }

    pub(crate) fn is_agent(&self) -> bool {
        self.permission.agent || self.kind() == participant_info::Kind::Agent
    }

    pub(crate) fn is_recorder(&self) -> bool {
        self.permission.recorder || self.kind() == participant_info::Kind::Egress
    }

    /// Does not keep a room open and is not counted.
    pub(crate) fn is_dependent(&self) -> bool {
        self.is_agent() || self.is_recorder()
    }

    pub(crate) fn kind(&self) -> participant_info::Kind {
        self.claims.participant_kind()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.state == participant_info::State::Active
    }

    /// The next update is newer than the last.
    pub(crate) fn touch(&mut self) {
        self.version = self.version.wrapping_add(1);
    }

    pub(crate) fn info(&self, region: &str) -> ParticipantInfo {
        ParticipantInfo {
            sid: self.sid.to_string(),
            identity: self.identity().to_owned(),
            state: self.state as i32,
            tracks: self.tracks.values().map(|t| t.info.clone()).collect(),
            metadata: self.claims.metadata.clone(),
            joined_at: i64::try_from(self.joined_at_ms / 1000).unwrap_or(i64::MAX),
            joined_at_ms: i64::try_from(self.joined_at_ms).unwrap_or(i64::MAX),
            name: self.claims.name.clone(),
            version: self.version,
            permission: Some(self.permission.clone()),
            region: region.to_owned(),
            is_publisher: self.is_publisher,
            kind: self.kind() as i32,
            attributes: self.claims.attributes.clone(),
            disconnect_reason: DisconnectReason::UnknownReason as i32,
            kind_details: self.claims.participant_kind_details(),
            data_tracks: self.data_tracks.infos(),
            client_protocol: self.client.info.client_protocol,
            capabilities: self.client.info.capabilities.clone(),
        }
    }

    pub(crate) fn send(&self, cx: &mut Cx<'_>, message: signal_response::Message) {
        cx.signal(self.conn, message);
    }

    /// The connection whose state is the participant's.
    pub(crate) fn primary(&self) -> Option<&Link> {
        if self.subscriber_primary {
            self.subscriber.as_ref().map(|s| &s.link)
        } else {
            self.publisher.link.as_ref()
        }
    }

    /// The connection that carries subscriptions.
    pub(crate) fn media_link(&mut self) -> Option<&mut Link> {
        if self.single_pc {
            self.publisher.link.as_mut()
        } else {
            self.subscriber.as_mut().map(|s| &mut s.link)
        }
    }

    pub(crate) fn links(&mut self) -> impl Iterator<Item = &mut Link> {
        self.publisher.link.iter_mut().chain(self.subscriber.iter_mut().map(|s| &mut s.link))
    }

    pub(crate) fn link_mut(&mut self, id: bedrud_sfu::TransportId) -> Option<&mut Link> {
        self.links().find(|l| l.id == id)
    }

    pub(crate) fn primary_has(&self, channel: DataChannel) -> bool {
        self.primary().is_some_and(|l| l.has_channel(channel))
    }

    pub(crate) fn may_publish(&self, source: i32) -> bool {
        let sources = &self.permission.can_publish_sources;
        let known = TrackSource::try_from(source).is_ok();
        self.permission.can_publish && known && (sources.is_empty() || sources.contains(&source))
    }

    pub(crate) fn track_on(&self, mid: Mid) -> Option<Sid> {
        self.tracks.values().find(|t| t.feeds().any(|f| f.config.mid == mid)).map(|t| key(t.sid()))
    }

    /// An SSRC no other stream towards this participant has.
    pub(crate) fn take_ssrc(&mut self, cx: &mut Cx<'_>) -> u32 {
        loop {
            let ssrc = cx.rng.random_range(1..=u32::MAX);
            if self.ssrcs.insert(ssrc) {
                return ssrc;
            }
        }
    }

    pub(crate) fn give_ssrcs(&mut self, send: &bedrud_sdp::SendTrack) {
        self.ssrcs.remove(&send.ssrc);
        if let Some(rtx) = send.rtx_ssrc {
            self.ssrcs.remove(&rtx);
        }
    }
}
