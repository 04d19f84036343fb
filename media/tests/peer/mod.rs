//! A LiveKit client made of independent parts: str0m with its own SDP, RTP and SRTP, and real sockets.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test bench"
)]

mod link;

use bedrud_media::protocol::{
    self, AddTrackRequest, DataPacket, JoinResponse, LeaveRequest, ParticipantInfo, SessionDescription,
    SignalRequest, SignalTarget, TrackSource, TrackType, TrickleRequest, UserPacket, data_packet,
    signal_request, signal_response,
};
use bedrud_media::{
    Claims, ClientContext, JoinError, JoinParams, Session, SessionOutput, Sfu, SignalPath, VideoGrant,
};
use link::Link;
use prost::Message as _;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::crypto::CryptoProvider;
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::Receive;
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

/// One peer connection.
pub struct Pc {
    pub rtc: Rtc,
    pub link: Link,
    pub connected: bool,
    pub closed: bool,
    pub media: HashMap<Mid, MediaKind>,
    pub received: HashMap<MediaKind, Vec<Vec<u8>>>,
    pub key_frame_requests: usize,
    pub data: Vec<(String, Vec<u8>)>,
    pub channels: HashMap<String, ChannelId>,
    labels: HashMap<ChannelId, String>,
    /// A link of this many bytes per second towards the client; what does not fit waits in the socket, or is lost.
    pub slow: Option<u64>,
    taken: (Option<Instant>, u64),
}

impl Pc {
    fn new(mut link: Link, crypto: Option<Arc<CryptoProvider>>) -> Self {
        let builder = match crypto {
            Some(crypto) => Rtc::builder().set_crypto_provider(crypto),
            None => Rtc::builder(),
        };
        let mut rtc = builder
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .build(Instant::now());
        if let (Some(local), Link::Udp(_)) = (link.local(), &mut link) {
            rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        }
        Self {
            rtc,
            link,
            connected: false,
            closed: false,
            media: HashMap::new(),
            received: HashMap::new(),
            key_frame_requests: 0,
            data: vec![],
            channels: HashMap::new(),
            labels: HashMap::new(),
            slow: None,
            taken: (None, 0),
        }
    }

    /// Whether the link has brought more by now.
    fn may_receive(&mut self, now: Instant) -> bool {
        let Some(rate) = self.slow else { return true };
        let (since, taken) = &mut self.taken;
        let elapsed = now.saturating_duration_since(*since.get_or_insert(now));
        let room = u64::try_from(elapsed.as_micros()).unwrap() * rate / 1_000_000;
        // A link that was idle does not catch up.
        *taken = (*taken).max(room.saturating_sub(rate / 50));
        *taken <= room
    }

    fn add_remote(&mut self, candidate: &str) {
        let Ok(candidate) = Candidate::from_sdp_string(candidate.trim_start_matches("a=")) else { return };
        if candidate.proto() != self.link.protocol() {
            return;
        }
        if let Some(ours) = self.link.reach(candidate.addr()) {
            self.rtc.add_local_candidate(ours);
        }
        self.rtc.add_remote_candidate(candidate);
    }

    /// Takes the candidates out of a description, so that the link decides which are used.
    fn split_candidates(sdp: &str) -> (String, Vec<String>) {
        let (candidates, rest): (Vec<_>, Vec<_>) =
            sdp.lines().partition(|l| l.starts_with("a=candidate:") || l.starts_with("a=end-of-candidates"));
        (rest.join("\r\n") + "\r\n", candidates.into_iter().map(str::to_owned).collect())
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(t)) => return Some(t),
                Ok(Output::Transmit(t)) => self.link.send(t.destination, &t.contents),
                Ok(Output::Event(event)) => self.on_event(event),
                Err(error) => panic!("peer failed: {error}"),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::Closed => self.closed = true,
            Event::MediaAdded(m) => {
                self.media.insert(m.mid, m.kind);
            }
            Event::ChannelOpen(id, label) => {
                self.channels.insert(label.clone(), id);
                self.labels.insert(id, label);
            }
            Event::ChannelData(d) => self.data.push((self.labels[&d.id].clone(), d.data)),
            Event::KeyframeRequest(_) => self.key_frame_requests += 1,
            Event::RtpPacket(p) => {
                let pt = p.header.payload_type;
                let codecs = self.rtc.codec_config().params();
                let audio = codecs.iter().any(|c| c.pt() == pt && c.spec().codec.is_audio());
                let kind = if audio { MediaKind::Audio } else { MediaKind::Video };
                self.received.entry(kind).or_default().push(p.payload.to_vec());
            }
            _ => {}
        }
    }

    /// Everything that is due now.
    fn turn(&mut self) {
        let now = Instant::now();
        while self.may_receive(now)
            && let Some((from, bytes)) = self.link.receive()
        {
            self.taken.1 += bytes.len() as u64;
            let Some(local) = self.link.local() else { break };
            if let Ok(r) = Receive::new(self.link.protocol(), from, local, &bytes) {
                self.rtc.handle_input(Input::Receive(Instant::now(), r)).unwrap();
                self.drain();
            }
        }
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain();
    }

    pub fn payloads(&self, kind: MediaKind) -> usize {
        self.received.get(&kind).map_or(0, Vec::len)
    }

    pub fn write(&mut self, label: &str, bytes: &[u8]) -> bool {
        let Some(id) = self.channels.get(label) else { return false };
        self.rtc.channel(*id).is_some_and(|mut c| c.write(true, bytes).unwrap())
    }
}

struct Sending {
    cid: String,
    mid: Mid,
    kind: MediaKind,
    seq: u64,
    time: u32,
}

/// A client in two-connection mode.
pub struct Peer {
    pub identity: String,
    pub session: Session,
    pub publisher: Pc,
    pub subscriber: Pc,
    pub joined: Option<JoinResponse>,
    pub participants: HashMap<String, ParticipantInfo>,
    pub published: HashMap<String, protocol::TrackInfo>,
    pub left: Option<LeaveRequest>,
    pub closed: bool,
    pub refresh_tokens: usize,
    pending: Option<SdpPendingOffer>,
    sending: Vec<Sending>,
    early: Vec<(bool, String)>,
    next_packet: Instant,
}

pub fn claims(room: &str, identity: &str) -> Claims {
    let video = VideoGrant { room_join: true, room: room.to_owned(), ..VideoGrant::default() };
    Claims { sub: identity.to_owned(), video: Some(video), ..Claims::default() }
}

pub fn join_params(room: &str, identity: &str) -> JoinParams {
    let query = [("auto_subscribe", "1"), ("protocol", "16"), ("sdk", "rust"), ("version", "0.7.0")];
    JoinParams::from_query(SignalPath::V0, query, claims(room, identity), &ClientContext::default()).unwrap()
}

impl Peer {
    pub async fn join(sfu: &Sfu, room: &str, identity: &str, tcp: bool) -> Result<Self, JoinError> {
        Self::join_with(sfu, room, identity, tcp, || None).await
    }

    /// With the crypto provider of the connection that publishes, made right before it.
    pub async fn join_with(
        sfu: &Sfu,
        room: &str,
        identity: &str,
        tcp: bool,
        crypto: impl FnOnce() -> Option<Arc<CryptoProvider>>,
    ) -> Result<Self, JoinError> {
        let session = sfu.join(join_params(room, identity)).await?;
        let link = || if tcp { Link::tcp() } else { Link::udp() };
        Ok(Self {
            identity: identity.to_owned(),
            session,
            publisher: Pc::new(link(), crypto()),
            subscriber: Pc::new(link(), None),
            joined: None,
            participants: HashMap::new(),
            published: HashMap::new(),
            left: None,
            closed: false,
            refresh_tokens: 0,
            pending: None,
            sending: vec![],
            early: vec![],
            next_packet: Instant::now(),
        })
    }

    async fn say(&self, message: signal_request::Message) {
        self.session.send(SignalRequest { message: Some(message) }).await.unwrap();
    }

    pub async fn leave(&self) {
        self.say(signal_request::Message::Leave(LeaveRequest::default())).await;
    }

    /// Announces an audio and a video track and offers them with the data channels.
    pub async fn publish(&mut self) {
        let tracks = [
            ("mic", TrackType::Audio, TrackSource::Microphone, MediaKind::Audio),
            ("cam", TrackType::Video, TrackSource::Camera, MediaKind::Video),
        ];
        for (cid, kind, source, _) in tracks {
            let request = AddTrackRequest {
                cid: cid.to_owned(),
                name: cid.to_owned(),
                r#type: kind as i32,
                source: source as i32,
                width: 640,
                height: 360,
                ..AddTrackRequest::default()
            };
            self.say(signal_request::Message::AddTrack(request)).await;
        }
        let mut change = self.publisher.rtc.sdp_api();
        for (cid, _, _, kind) in tracks {
            let mid =
                change.add_media(kind, Direction::SendOnly, Some("stream".into()), Some(cid.into()), None);
            self.sending.push(Sending { cid: cid.to_owned(), mid, kind, seq: 1000, time: 90_000 });
        }
        for label in ["_reliable", "_lossy", "_data_track"] {
            let reliable = label == "_reliable";
            change.add_channel_with_config(ChannelConfig {
                label: label.to_owned(),
                ordered: reliable,
                reliability: if reliable {
                    Reliability::Reliable
                } else {
                    Reliability::MaxRetransmits { retransmits: 0 }
                },
                negotiated: None,
                protocol: String::new(),
            });
        }
        let (offer, pending) = change.apply().unwrap();
        self.pending = Some(pending);
        let offer = SessionDescription {
            r#type: "offer".to_owned(),
            sdp: offer.to_sdp_string(),
            id: 1,
            ..SessionDescription::default()
        };
        self.say(signal_request::Message::Offer(offer)).await;
    }

    pub fn send_data(&mut self, label: &str, text: &str) -> bool {
        let packet = DataPacket {
            value: Some(data_packet::Value::User(UserPacket {
                payload: text.as_bytes().to_vec(),
                topic: Some("test".to_owned()),
                ..UserPacket::default()
            })),
            ..DataPacket::default()
        };
        self.publisher.write(label, &packet.encode_to_vec())
    }

    /// User payloads received: channel, sender, text.
    pub fn messages(&self) -> Vec<(String, String, String)> {
        let all = self.subscriber.data.iter().chain(&self.publisher.data);
        all.filter_map(|(label, bytes)| {
            let packet = DataPacket::decode(bytes.as_slice()).unwrap();
            match packet.value {
                Some(data_packet::Value::User(user)) => Some((
                    label.clone(),
                    packet.participant_identity,
                    String::from_utf8(user.payload).unwrap(),
                )),
                _ => None,
            }
        })
        .collect()
    }

    async fn on_message(&mut self, message: signal_response::Message) {
        use signal_response::Message;
        match message {
            Message::Join(join) => {
                for p in &join.other_participants {
                    self.participants.insert(p.identity.clone(), p.clone());
                }
                self.joined = Some(join);
            }
            Message::Update(update) => {
                for p in update.participants {
                    self.participants.insert(p.identity.clone(), p);
                }
            }
            Message::TrackPublished(t) => {
                self.published.insert(t.cid, t.track.unwrap());
            }
            Message::Offer(offer) => {
                let (sdp, candidates) = Pc::split_candidates(&offer.sdp);
                let parsed = SdpOffer::from_sdp_string(&sdp).unwrap_or_else(|e| panic!("{e}\n{sdp}"));
                let answer = self
                    .subscriber
                    .rtc
                    .sdp_api()
                    .accept_offer(parsed)
                    .unwrap_or_else(|e| panic!("{e}\n{sdp}"));
                let answer = SessionDescription {
                    r#type: "answer".to_owned(),
                    sdp: answer.to_sdp_string(),
                    id: offer.id,
                    ..SessionDescription::default()
                };
                candidates.iter().for_each(|c| self.subscriber.add_remote(c));
                self.say(signal_request::Message::Answer(answer)).await;
            }
            Message::Answer(answer) => {
                let (sdp, candidates) = Pc::split_candidates(&answer.sdp);
                let parsed = SdpAnswer::from_sdp_string(&sdp).unwrap_or_else(|e| panic!("{e}\n{sdp}"));
                let pending = self.pending.take().unwrap();
                self.publisher
                    .rtc
                    .sdp_api()
                    .accept_answer(pending, parsed)
                    .unwrap_or_else(|e| panic!("{e}\n{sdp}"));
                for s in &self.sending {
                    self.publisher.media.insert(s.mid, s.kind);
                }
                candidates.iter().for_each(|c| self.publisher.add_remote(c));
            }
            Message::Trickle(TrickleRequest { candidate_init, target, .. }) => {
                let Some(at) = candidate_init.find("candidate:") else { return };
                let candidate = candidate_init[at..].split('"').next().unwrap();
                if target == SignalTarget::Publisher as i32 {
                    self.publisher.add_remote(candidate);
                } else {
                    self.subscriber.add_remote(candidate);
                }
            }
            Message::Leave(leave) => self.left = Some(leave),
            _ => {}
        }
    }

    /// One packet of each published track every 20 ms.
    fn send_media(&mut self) {
        let now = Instant::now();
        if !self.publisher.connected || now < self.next_packet {
            return;
        }
        self.next_packet = now + Duration::from_millis(20);
        for s in &mut self.sending {
            let Some(pt) = payload_type(&self.publisher.rtc, s.mid, s.kind) else { continue };
            let payload = match s.kind {
                MediaKind::Audio => format!("opus {}", s.seq).into_bytes(),
                // VP8 descriptor with S and a picture id, then the header of a key frame.
                MediaKind::Video => {
                    let mut p = vec![0x90, 0x80, 0x80 | (s.seq >> 8 & 0x7f) as u8, s.seq as u8];
                    p.extend([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
                    p.extend(format!("vp8 {}", s.seq).as_bytes());
                    p
                }
            };
            let mut api = self.publisher.rtc.direct_api();
            let Some(stream) = api.stream_tx_by_mid(s.mid, None) else { continue };
            stream
                .write_rtp(RtpWrite::new(pt, s.seq.into(), s.time, now, payload).marker(true).nackable(true));
            s.seq += 1;
            s.time = s.time.wrapping_add(if s.kind == MediaKind::Audio { 960 } else { 1800 });
        }
    }

    /// For failures.
    pub fn summary(&self) -> String {
        let pc = |pc: &Pc| {
            let counts = [MediaKind::Audio, MediaKind::Video].map(|k| pc.payloads(k));
            format!(
                "connected {} media {counts:?} data {} asked {}",
                pc.connected,
                pc.data.len(),
                pc.key_frame_requests
            )
        };
        let sent: Vec<_> = self.sending.iter().map(|s| (s.kind, s.seq - 1000)).collect();
        let (publisher, subscriber) = (pc(&self.publisher), pc(&self.subscriber));
        format!("{}: sent {sent:?}, publisher {publisher}, subscriber {subscriber}", self.identity)
    }

    /// A few milliseconds of life.
    pub async fn turn(&mut self) {
        self.publisher.turn();
        self.subscriber.turn();
        self.send_media();
        self.publisher.drain();
        let until = tokio::time::Instant::now() + Duration::from_millis(2);
        while !self.closed {
            match tokio::time::timeout_at(until, self.session.recv()).await {
                Err(_) => return,
                Ok(Some(SessionOutput::Message(response))) => {
                    if let Some(message) = response.into_response().message {
                        self.on_message(message).await;
                    }
                }
                Ok(Some(SessionOutput::RefreshToken(_))) => self.refresh_tokens += 1,
                Ok(Some(SessionOutput::Moved { response, .. })) => {
                    self.on_message(signal_response::Message::RoomMoved(*response)).await;
                }
                Ok(Some(SessionOutput::Close { .. }) | None) => self.closed = true,
            }
        }
        tokio::time::sleep_until(until).await;
    }
}

fn payload_type(rtc: &Rtc, mid: Mid, kind: MediaKind) -> Option<Pt> {
    let wanted: HashSet<Pt> = rtc.media(mid)?.remote_pts().iter().copied().collect();
    rtc.codec_config()
        .params()
        .iter()
        .find(|p| wanted.contains(&p.pt()) && p.spec().codec.is_audio() == (kind == MediaKind::Audio))
        .map(str0m::format::PayloadParams::pt)
}

/// Runs all peers until `done`, at most 20 seconds.
pub async fn run_until(peers: &mut [&mut Peer], what: &str, done: impl Fn(&[&mut Peer]) -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !done(peers) {
        assert!(
            Instant::now() < limit,
            "never: {what}; {:?}",
            peers.iter().map(|p| p.summary()).collect::<Vec<_>>()
        );
        for peer in peers.iter_mut() {
            peer.turn().await;
        }
    }
}
