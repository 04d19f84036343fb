//! Hub, shard and clients on one virtual clock.

use crate::client::{Client, add_track};
use crate::shard::{Shard, report};
use bedrud_room::{
    Claims, ConnId, Hub, HubConfig, Input, JoinParams, Now, OneShotRequest, OneShotResult, Output, Reconnect,
    RoomEvent, ServiceError, ServiceId, ServiceRequest, ServiceResponse, VideoGrant,
};
use bedrud_sfu::{DataChannel, Event, TransportId};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, ClientInfo, SessionDescription, SignalRequest, VideoLayer, client_info::Sdk,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

pub struct World {
    pub hub: Hub,
    pub now: Instant,
    start: Instant,
    pub shard: Shard,
    pub clients: BTreeMap<&'static str, Client>,
    pub events: Vec<RoomEvent>,
    pub replies: Vec<Result<ServiceResponse, ServiceError>>,
    one_shots: Vec<OneShotResult>,
    inputs: VecDeque<Input>,
    next_conn: u64,
    /// Time spent in the hub.
    pub busy: Duration,
}

/// How a client joins.
#[derive(Clone)]
pub struct Join {
    pub lacks: &'static [&'static str],
    pub grant: VideoGrant,
    pub params: JoinParams,
    pub offer: bool,
}

/// A client of the newest protocol on one connection (`single`) or two.
pub fn join(single: bool) -> Join {
    let client_info = ClientInfo {
        sdk: Sdk::Js as i32,
        protocol: 17,
        version: "2.21.0".into(),
        client_protocol: 2,
        capabilities: vec![2],
        ..ClientInfo::default()
    };
    let params = JoinParams { single_pc: single, auto_subscribe: true, client_info, ..JoinParams::default() };
    let grant = VideoGrant { room_join: true, room: "room".into(), ..VideoGrant::default() };
    Join { lacks: &[], grant, params, offer: single }
}

impl Join {
    pub fn grant(mut self, change: impl FnOnce(&mut VideoGrant)) -> Self {
        change(&mut self.grant);
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut JoinParams)) -> Self {
        change(&mut self.params);
        self
    }

    pub fn lacking(mut self, codecs: &'static [&'static str]) -> Self {
        self.lacks = codecs;
        self
    }

    pub fn protocol(self, version: i32) -> Self {
        self.with(|p| p.client_info.protocol = version)
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut HubConfig)) -> Self {
        let mut config = HubConfig::new(
            vec!["192.0.2.1:8090".parse().unwrap()],
            vec!["192.0.2.1:8090".parse().unwrap()],
            crate::sdp::FINGERPRINT,
        );
        change(&mut config);
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let start = Instant::now();
        Self {
            hub: Hub::new(config, [7; 32]),
            now: start,
            start,
            shard: Shard::new(),
            clients: BTreeMap::new(),
            events: Vec::new(),
            replies: Vec::new(),
            one_shots: Vec::new(),
            inputs: VecDeque::new(),
            next_conn: 0,
            busy: Duration::ZERO,
        }
    }

    pub fn unix_ms(&self) -> u64 {
        1_700_000_000_000 + u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    pub fn new_conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }

    /// Joins and runs until quiet.
    pub fn join(&mut self, name: &'static str, how: Join) -> &mut Client {
        let conn = self.new_conn();
        let mut client = Client {
            conn: Some(conn),
            single_pc: how.params.single_pc,
            ufrag: format!("u{name}1"),
            lacks: how.lacks,
            ..Client::default()
        };
        let mut params = how.params;
        params.claims.video = Some(how.grant);
        if params.claims.sub.is_empty() {
            params.claims.sub = name.into();
        }
        if how.offer {
            for _ in 0..3 {
                client.add_receiving(false);
                client.add_receiving(true);
            }
            if let Request::Offer(offer) = client.offer() {
                params.publisher_offer = Some(offer);
            }
        }
        self.clients.insert(name, client);
        self.inputs.push_back(Input::Join { conn, params: Box::new(params) });
        self.run();
        self.client(name)
    }

    pub fn rejoin(&mut self, name: &'static str, as_name: &'static str, how: Join) -> &mut Client {
        self.join(as_name, how.with(|p| p.claims = Claims { sub: name.into(), ..Claims::default() }))
    }

    /// Opens a new socket for a session.
    pub fn resume(&mut self, name: &'static str, how: Join) -> ConnId {
        let conn = self.new_conn();
        let client = self.client(name);
        let sid = client.sid();
        client.conn = Some(conn);
        client.closed = None;
        let mut params = how.params;
        params.claims = Claims { sub: name.into(), video: Some(how.grant), ..Claims::default() };
        params.reconnect = Some(Reconnect { sid, reason: Default::default() });
        self.inputs.push_back(Input::Join { conn, params: Box::new(params) });
        self.run();
        conn
    }

    pub fn client(&mut self, name: &str) -> &mut Client {
        self.clients.get_mut(name).expect("client")
    }

    pub fn send(&mut self, name: &str, message: Request) {
        let conn = self.client(name).conn.expect("connected");
        self.inputs.push_back(Input::Signal { conn, request: SignalRequest { message: Some(message) } });
        self.run();
    }

    pub fn drop_socket(&mut self, name: &str) {
        let conn = self.client(name).conn.take().expect("connected");
        self.input(Input::SignalClosed { conn });
    }

    pub fn input(&mut self, input: Input) {
        self.inputs.push_back(input);
        self.run();
    }

    pub fn shard_event(&mut self, event: Event) {
        self.input(report(event));
    }

    pub fn service(&mut self, request: ServiceRequest) -> Result<ServiceResponse, ServiceError> {
        self.input(Input::Service { id: ServiceId(1), request });
        self.replies.pop().expect("answered at once")
    }

    pub fn one_shot(&mut self, request: OneShotRequest) -> OneShotResult {
        self.input(Input::OneShot { id: ServiceId(2), request });
        self.one_shots.pop().expect("answered at once")
    }

    /// A call that is answered later; see [`World::replies`].
    pub fn start_service(&mut self, id: u64, request: ServiceRequest) {
        self.input(Input::Service { id: ServiceId(id), request });
    }

    /// Announces and negotiates a track.
    pub fn publish(&mut self, name: &str, cid: &str, video: bool) -> String {
        let mut request = add_track(cid, video);
        if video {
            request.width = 1280;
            request.height = 720;
            request.layers = layers();
        }
        self.publish_as(name, request, video)
    }

    pub fn publish_as(&mut self, name: &str, request: AddTrackRequest, simulcast: bool) -> String {
        let cid = request.cid.clone();
        let video = request.r#type == 1;
        self.send(name, Request::AddTrack(request));
        self.client(name).add_sending(&cid, video, simulcast);
        let offer = self.client(name).offer();
        self.send(name, offer);
        self.settle();
        self.client(name).confirmed(&cid).expect("confirmed").sid
    }

    pub fn unpublish(&mut self, name: &str, cid: &str) {
        self.client(name).stop_sending(cid);
        let offer = self.client(name).offer();
        self.send(name, offer);
        self.settle();
    }

    /// A message arrives on the client's publisher connection.
    pub fn data(&mut self, name: &str, channel: DataChannel, payload: Vec<u8>) {
        let id = self.client(name).publisher.expect("publisher connection");
        self.shard_event(Event::Data { id, channel, payload: payload.into() });
    }

    /// Messages sent to a transport on a channel.
    pub fn sent_to(&self, id: TransportId, channel: DataChannel) -> Vec<Vec<u8>> {
        let mine = self.shard.sent.iter().filter(|(t, c, _)| (*t, *c) == (id, channel));
        mine.map(|(_, _, p)| p.to_vec()).collect()
    }

    /// Negotiation debounces pass.
    pub fn settle(&mut self) {
        self.advance(Duration::from_millis(500));
    }

    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.hub.poll_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.input(Input::Timeout);
            assert!(
                self.hub.poll_deadline().is_none_or(|next| next > self.now),
                "timers that are due have fired"
            );
        }
        self.now = end;
    }

    /// Hands everything to and fro until nobody has anything to say.
    pub fn run(&mut self) {
        let mut rounds = 0;
        while let Some(input) = self.inputs.pop_front() {
            rounds += 1;
            assert!(rounds < 100_000, "endless conversation");
            let now = Now { mono: self.now, unix_ms: self.unix_ms() };
            #[allow(clippy::disallowed_methods, reason = "tests measure")]
            let begin = Instant::now();
            self.hub.handle(now, input);
            self.busy += begin.elapsed();
            while let Some(output) = self.hub.poll() {
                self.dispatch(output);
            }
            for client in self.clients.values_mut() {
                if let Some(conn) = client.conn {
                    let requests = client.outbox.drain(..);
                    self.inputs.extend(requests.map(|message| Input::Signal {
                        conn,
                        request: SignalRequest { message: Some(message) },
                    }));
                }
            }
        }
    }

    fn by_conn(&mut self, conn: ConnId) -> Option<&mut Client> {
        self.clients.values_mut().find(|c| c.conn == Some(conn))
    }

    fn hand_over(&mut self, conn: ConnId, message: livekit_protocol::signal_response::Message) {
        if let Some(c) = self.by_conn(conn) {
            assert!(c.closed.is_none(), "nothing is sent on a closed socket: {message:?}");
            c.receive(message);
        }
    }

    fn dispatch(&mut self, output: Output) {
        match output {
            Output::Signal { conn, response } => {
                self.hand_over(conn, response.message.clone().expect("a message"));
            }
            Output::Broadcast { conns, response } => {
                assert!(!conns.is_empty());
                for conn in conns {
                    self.hand_over(conn, response.message.clone().expect("a message"));
                }
            }
            Output::CloseSignal { conn, clean } => {
                if let Some(c) = self.by_conn(conn) {
                    c.closed = Some(clean);
                    c.outbox.clear();
                }
            }
            Output::Refuse { conn, error } => {
                if let Some(c) = self.by_conn(conn) {
                    c.refused = Some(error);
                }
            }
            Output::RefreshToken { conn, claims } => {
                if let Some(c) = self.by_conn(conn) {
                    c.tokens.push(*claims);
                }
            }
            Output::Moved { conn, response, claims } => {
                if let Some(c) = self.by_conn(conn) {
                    assert!(response.token.is_empty() && c.closed.is_none());
                    c.tokens.push(*claims);
                    c.receive(Message::RoomMoved(*response));
                }
            }
            Output::Command { command, .. } => {
                let events = self.shard.obey(command);
                self.inputs.extend(events.into_iter().map(report));
            }
            Output::Event(event) => self.events.push(*event),
            Output::ServiceReply { result, .. } => self.replies.push(result),
            Output::OneShotReply { result, .. } => self.one_shots.push(result),
            Output::Validated { result, .. } => panic!("unexpected {result:?}"),
        }
    }
}

pub fn layers() -> Vec<VideoLayer> {
    let layer = |quality, width, height| VideoLayer { quality, width, height, ..VideoLayer::default() };
    vec![layer(0, 320, 180), layer(1, 640, 360), layer(2, 1280, 720)]
}

pub fn description(sdp: &str) -> SessionDescription {
    SessionDescription { r#type: "offer".into(), sdp: sdp.into(), id: 1, ..SessionDescription::default() }
}
