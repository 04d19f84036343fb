//! A thousand idle participants, one of whom keeps changing an attribute.

use crate::sdp::FINGERPRINT;
use bedrud_room::{
    Claims, ConnId, Format, Frame, Hub, HubConfig, Input, JoinParams, Now, Output, VideoGrant,
};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{ClientInfo, SignalRequest, UpdateParticipantMetadata, client_info::Sdk};
use std::time::{Duration, Instant};

struct Crowd {
    hub: Hub,
    now: Instant,
}

/// What one input led to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    /// Messages put on sockets.
    messages: usize,
    /// Messages made and encoded.
    encoded: usize,
    bytes: usize,
}

impl Crowd {
    fn of(size: u64) -> Self {
        Self::with(size, "")
    }

    fn with(size: u64, metadata: &str) -> Self {
        #[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
        let now = Instant::now();
        let config = HubConfig::new(vec!["192.0.2.1:8090".parse().unwrap()], vec![], FINGERPRINT);
        let mut out = Self { hub: Hub::new(config, [3; 32]), now };
        for n in 1..=size {
            let video = VideoGrant {
                room_join: true,
                room: "crowd".into(),
                can_update_own_metadata: Some(true),
                ..VideoGrant::default()
            };
            let claims = Claims {
                sub: format!("participant-{n}"),
                name: format!("Participant {n}"),
                metadata: metadata.to_owned(),
                attributes: [("role".to_owned(), "viewer".to_owned())].into(),
                video: Some(video),
                ..Claims::default()
            };
            let client_info = ClientInfo { sdk: Sdk::Js as i32, protocol: 17, ..ClientInfo::default() };
            let params = JoinParams {
                single_pc: true,
                auto_subscribe: true,
                client_info,
                claims,
                ..JoinParams::default()
            };
            out.input(Input::Join { conn: ConnId(n), params: Box::new(params) });
        }
        out
    }

    fn input(&mut self, input: Input) -> Cost {
        self.hub.handle(Now { mono: self.now, unix_ms: 1_700_000_000_000 }, input);
        let mut cost = Cost::default();
        while let Some(output) = self.hub.poll() {
            let (receivers, response) = match output {
                Output::Signal { response, .. } => (1, response),
                Output::Broadcast { conns, response } => (conns.len(), response),
                _ => continue,
            };
            cost.messages += receivers;
            cost.encoded += 1;
            // As the sockets do.
            for _ in 0..receivers {
                if let Ok(Frame::Binary(bytes)) = response.frame(Format::Protobuf) {
                    cost.bytes += bytes.len();
                }
            }
        }
        cost
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.input(Input::Timeout);
    }

    fn change(&mut self, value: u32) -> Cost {
        let update = UpdateParticipantMetadata {
            attributes: [("hand".to_owned(), value.to_string())].into(),
            ..UpdateParticipantMetadata::default()
        };
        let request = SignalRequest { message: Some(Request::UpdateMetadata(update)) };
        self.input(Input::Signal { conn: ConnId(1), request })
    }
}

#[test]
fn a_change_in_a_crowd_is_made_once_and_sent_to_everyone() {
    let mut crowd = Crowd::of(200);
    crowd.pass(Duration::from_secs(10));
    let cost = crowd.change(1);
    // The change to itself and the answer to the request, and one message for all the others.
    assert_eq!((cost.messages, cost.encoded), (199 + 2, 3));
}

#[test]
fn joins_of_a_crowd_reach_everyone_in_a_few_messages() {
    let mut crowd = Crowd::of(200);
    crowd.now += Duration::from_secs(3);
    let cost = crowd.input(Input::Timeout);
    assert_eq!(cost.messages, 200 * cost.encoded, "the same for everyone");
    assert_eq!(cost.encoded, 1, "two hundred small participants fit into one message");
}

#[test]
fn large_batches_are_split() {
    let mut crowd = Crowd::with(40, &"x".repeat(10_000));
    crowd.now += Duration::from_secs(3);
    let cost = crowd.input(Input::Timeout);
    // 24 of them were announced in the batch, 13 of which fill a message.
    assert_eq!((cost.messages, cost.encoded), (80, 2));
    assert!(cost.bytes < 40 * 24 * 11_000);
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

/// Figures of the control plane alone: `cargo test -p bedrud-room --test behaviour -- --ignored --nocapture crowd`.
#[test]
#[ignore = "measures"]
#[allow(clippy::disallowed_methods, clippy::print_stderr, reason = "measures")]
fn figures_of_a_thousand_idle_participants() {
    let before = resident_kib();
    let start = Instant::now();
    let mut crowd = Crowd::of(1000);
    let joined = start.elapsed();
    let batch = Instant::now();
    crowd.pass(Duration::from_secs(10));
    let batched = batch.elapsed();
    let memory = resident_kib().saturating_sub(before);
    let start = Instant::now();
    let mut cost = Cost::default();
    for n in 0..100 {
        cost = crowd.change(n);
    }
    eprintln!("1000 joins {joined:?}, batches {batched:?}, {memory} KiB in all");
    eprintln!("one change {:?}, {cost:?}", start.elapsed() / 100);
    let start = Instant::now();
    for n in 2..=1000 {
        crowd.input(Input::SignalClosed { conn: ConnId(n) });
    }
    eprintln!("999 departures {:?}", start.elapsed());
}
