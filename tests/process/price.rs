//! What people in another room notice while somebody sends the most expensive messages there are.

use crate::server::Server;
use crate::signalling::{Client, path, token};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::{
    AddTrackRequest, SessionDescription, SignalRequest, SignalResponse, SubscriptionPermission,
    TrackPermission, TrackSource, UpdateParticipantMetadata, request_response, signal_request,
    signal_response,
};
use prost::Message as _;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

const LISTENERS: usize = 60;
const TRACKS: usize = 3;
const RULES: usize = 200;

/// What a browser would offer that sends so many voices.
fn offer(tracks: usize) -> SessionDescription {
    let mids: String = (0..tracks).map(|n| format!(" {n}")).collect();
    let mut sdp = format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n");
    for n in 0..tracks {
        let fingerprint = format!("{}AA", "AA:".repeat(31));
        sdp += &format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
             a=ice-ufrag:eve0\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n\
             a=mid:{n}\r\na=sendonly\r\na=msid:stream voice-{n}\r\n",
            "p".repeat(24),
        );
    }
    SessionDescription { r#type: "offer".into(), sdp, id: 1, ..SessionDescription::default() }
}

fn rules(number: usize) -> signal_request::Message {
    let entry = |i: usize| TrackPermission {
        participant_identity: format!("nobody-{number}-{i}"),
        all_tracks: true,
        ..TrackPermission::default()
    };
    signal_request::Message::SubscriptionPermission(SubscriptionPermission {
        all_participants: false,
        track_permissions: (0..4096).map(entry).collect(),
    })
}

/// A listener, with what its server says read away.
async fn listen(server: &Server, identity: &str) -> tokio::task::JoinHandle<()> {
    let mut client = Client::enter(server, &path(&token(identity, "den", |_| {}))).await;
    tokio::spawn(async move {
        loop {
            client.read().await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_thousands_of_entries_are_not_felt_in_another_room() {
    let server = Server::livekit();
    let own = path(&token("eve", "den", |v| v.can_update_own_metadata = Some(true)));
    let mut eve = Client::enter(&server, &own).await;
    for n in 0..TRACKS {
        let track = AddTrackRequest {
            cid: format!("voice-{n}"),
            source: TrackSource::Microphone as i32,
            ..AddTrackRequest::default()
        };
        eve.send(signal_request::Message::AddTrack(track)).await;
    }
    eve.send(signal_request::Message::Offer(offer(TRACKS))).await;
    while !matches!(eve.read().await, signal_response::Message::Answer(_)) {}
    let mut listeners = Vec::new();
    for n in 0..LISTENERS {
        listeners.push(listen(&server, &format!("listener-{n}")).await);
    }
    let mut bob = Client::enter(&server, &path(&token("bob", "yard", |_| {}))).await;
    bob.is_served().await;

    let (mut sink, mut stream) = eve.socket.split();
    let frames: Vec<Vec<u8>> =
        (0..RULES).map(|n| SignalRequest { message: Some(rules(n)) }.encode_to_vec()).collect();
    let (_, before) = server.usage();
    let sending = tokio::spawn(async move {
        for frame in frames {
            if sink.send(Message::Binary(frame.into())).await.is_err() {
                break;
            }
        }
        let ping = SignalRequest { message: Some(signal_request::Message::Ping(1)) }.encode_to_vec();
        let _ = sink.send(Message::Binary(ping.into())).await;
        sink
    });
    // Until all has been taken, or she has been sent away with the reason.
    let ended = tokio::spawn(async move {
        let mut reason = None;
        while let Some(Ok(message)) = stream.next().await {
            let Message::Binary(bytes) = message else { continue };
            match SignalResponse::decode(bytes).unwrap().message.unwrap() {
                signal_response::Message::Pong(_) => return (true, reason),
                signal_response::Message::RequestResponse(r) => reason = Some(r.reason),
                _ => {}
            }
        }
        (false, reason)
    });
    let (mut slowest, mut turns) = (Duration::ZERO, 0);
    while !ended.is_finished() {
        #[allow(clippy::disallowed_methods, reason = "how long a bystander waits")]
        let begin = Instant::now();
        bob.is_served().await;
        if turns % 5 == 0 {
            let guest = token(&format!("guest-{turns}"), "yard", |_| {});
            let _ = Client::enter(&server, &path(&guest)).await;
        }
        slowest = slowest.max(begin.elapsed());
        turns += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (served, reason) = ended.await.unwrap();
    let (_, after) = server.usage();
    println!("{:.2} s of CPU, slowest answer and join of {turns} {slowest:?}", after - before);
    assert!(served || reason == Some(request_response::Reason::LimitExceeded as i32), "{reason:?}");
    // Eight seconds each at least, where every listener is looked up in every list.
    assert!(after - before < 5.0, "{:.2} s of CPU", after - before);
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    drop(sending.await);
    listeners.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomers_enter_a_room_full_of_large_metadata() {
    let server = Server::livekit();
    let mut heavy = Vec::new();
    for n in 0..12 {
        let own = path(&token(&format!("eve-{n}"), "den", |v| v.can_update_own_metadata = Some(true)));
        let mut eve = Client::enter(&server, &own).await;
        let metadata = format!("{n} {}", "m".repeat(500 << 10));
        let update = UpdateParticipantMetadata { metadata, request_id: 7, ..Default::default() };
        eve.send(signal_request::Message::UpdateMetadata(update)).await;
        let answered = |m: &signal_response::Message| match m {
            signal_response::Message::RequestResponse(r) => Some(r.reason),
            _ => None,
        };
        let reason = loop {
            if let Some(reason) = answered(&eve.read().await) {
                break reason;
            }
        };
        // The room has space for some of them; the others are told.
        let full = request_response::Reason::LimitExceeded as i32;
        assert!(reason == 0 || n > 2 && reason == full, "{n}: {reason}");
        heavy.push(tokio::spawn(async move {
            loop {
                eve.read().await;
            }
        }));
    }
    for n in 0..3 {
        let mut newcomer = Client::join(&server, &format!("newcomer-{n}")).await;
        assert!(newcomer.joined.encoded_len() < 1 << 20);
        let mut seen: Vec<String> =
            newcomer.joined.other_participants.iter().map(|p| p.identity.clone()).collect();
        while (0..12).any(|n| !seen.contains(&format!("eve-{n}"))) {
            if let signal_response::Message::Update(update) = newcomer.read().await {
                seen.extend(update.participants.into_iter().map(|p| p.identity));
            }
        }
        newcomer.is_served().await;
    }
    heavy.iter().for_each(tokio::task::JoinHandle::abort);
}
