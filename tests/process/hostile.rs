//! Signalling clients that mean harm: each is refused with the reason, nobody else notices, and memory stays bounded.

use crate::server::Server;
use crate::signalling::{Client, Raw, frame, path, token, upgrade};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use livekit_protocol::{SignalRequest, WrappedJoinRequest, signal_request, signal_response};
use prost::Message as _;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
/// Of the first byte: more fragments follow.
const MORE: u8 = 0x7f;
const CONTINUATION: u8 = 0x00;
const LAST_CONTINUATION: u8 = 0x80;
const MIB: usize = 1 << 20;
/// What the server may keep of a client that has gone or is about to, KiB.
const SLACK_KIB: u64 = 32 * 1024;

/// Half a million empty messages in one megabyte, each of some hundred bytes once decoded.
fn many_parts() -> Vec<u8> {
    let mut out = vec![0x52];
    prost::encoding::encode_varint(1_000_000, &mut out);
    out.extend([0x1a, 0x00].repeat(500_000));
    out
}

#[tokio::test]
async fn frames_that_break_the_rules_end_their_socket_with_the_reason() {
    let server = Server::livekit();
    let mut bob = Client::join(&server, "bob").await;
    let unmasked = |mut f: Vec<u8>| {
        f[1] &= 0x7f;
        f
    };
    let parts = |frames: &[Vec<u8>]| frames.concat();
    let protocol = (1002, "not the WebSocket protocol");
    let size = (1009, "the message is too large");
    let utf8 = (1007, "the text is not UTF-8");
    let meaning = (1007, "not a signalling message");
    let mut large = vec![frame(BINARY & MORE, &[])];
    large.extend((0..33).map(|_| frame(CONTINUATION, &[0; 64 * 1024])));
    let cases: Vec<(&str, Vec<u8>, (u16, &str))> = vec![
        ("not masked", unmasked(frame(TEXT, b"{}")), protocol),
        ("compressed, which was not agreed", frame(TEXT | 0x40, b"\xaa\x56\x00"), protocol),
        ("second reserved bit", frame(BINARY | 0x20, &[]), protocol),
        ("third reserved bit", frame(BINARY | 0x10, &[]), protocol),
        ("unknown kind of data", frame(0x83, &[]), protocol),
        ("unknown kind of control", frame(0x8b, &[]), protocol),
        ("continuation of nothing", frame(LAST_CONTINUATION, b"x"), protocol),
        ("a message within a message", parts(&[frame(TEXT & MORE, b"{"), frame(TEXT, b"{}")]), protocol),
        ("ping in parts", frame(PING & MORE, b"x"), protocol),
        ("ping too long", frame(PING, &[0; 126]), protocol),
        ("close too short", frame(0x88, &[3]), protocol),
        ("text that is none", frame(TEXT, b"{\"ping\":\"\xff\"}"), utf8),
        (
            "text cut in a character",
            parts(&[frame(TEXT & MORE, b"\xe2\x82"), frame(LAST_CONTINUATION, b"x")]),
            utf8,
        ),
        ("a gigabyte announced", [&[BINARY, 0xff][..], &(1_u64 << 30).to_be_bytes(), &[0; 4]].concat(), size),
        ("more than there is", [&[BINARY, 0xff][..], &(u64::MAX >> 1).to_be_bytes(), &[0; 4]].concat(), size),
        ("more than two megabytes in parts", parts(&large), size),
        ("no protobuf", frame(BINARY, &[0xff; 64]), meaning),
        ("protobuf cut short", frame(BINARY, &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x04]), meaning),
        ("no JSON", frame(TEXT, b"{\"ping\":"), meaning),
        ("JSON that never ends to nest", frame(TEXT, &b"{\"offer\":".repeat(10_000)), meaning),
        ("small, but large once read", frame(BINARY, &many_parts()), meaning),
    ];
    let (before, _) = server.usage();
    for (what, bytes, (code, reason)) in cases {
        let mut eve = Raw::join(&server, "eve", 1 << 20).await;
        // It may be refused before it has sent everything.
        let _ = eve.send(&bytes).await;
        assert_eq!(eve.closed().await, Some((code, reason.to_owned())), "{what}");
        bob.is_served().await;
    }
    let (after, _) = server.usage();
    assert!(after < before + SLACK_KIB, "{before} KiB became {after} KiB");
    // Nothing of this keeps anybody from coming back.
    Client::join(&server, "eve").await.is_served().await;
}

#[tokio::test]
async fn a_frame_cut_short_is_no_message_and_leaves_nothing_behind() {
    let server = Server::livekit();
    let mut bob = Client::join(&server, "bob").await;
    let request = SignalRequest { message: Some(signal_request::Message::Ping(7)) };
    let whole = frame(BINARY, &request.encode_to_vec());
    let _ = Client::join(&server, "eve").await;
    let fds = server.open_fds();
    for cut in 1..whole.len() {
        let mut eve = Raw::join(&server, "eve", 1 << 16).await;
        eve.send(&whole[..cut]).await.unwrap();
        eve.stream.shutdown().await.unwrap();
        assert_eq!(eve.closed().await, None, "{cut} of {} bytes", whole.len());
    }
    bob.is_served().await;
    server.until("its sockets are gone", |s| s.open_fds() <= fds).await;
}

#[tokio::test]
async fn a_message_in_endless_parts_costs_its_sender_alone() {
    let server = Server::livekit();
    let mut bob = Client::join(&server, "bob").await;
    let mut eve = Raw::join(&server, "eve", 1 << 20).await;
    let request = SignalRequest { message: Some(signal_request::Message::Ping(7)) };
    let bytes = request.encode_to_vec();
    let (before, _) = server.usage();
    eve.send(&frame(BINARY & MORE, &bytes[..1])).await.unwrap();
    let nothing = frame(CONTINUATION, &[]).repeat(10_000);
    for _ in 0..30 {
        eve.send(&nothing).await.unwrap();
        bob.is_served().await;
    }
    let (after, _) = server.usage();
    assert!(after < before + SLACK_KIB, "{before} KiB became {after} KiB");
    // Allowed as it is, it is a message in the end: the answer to it comes before that to what breaks the rules.
    eve.send(&frame(LAST_CONTINUATION, &bytes[1..])).await.unwrap();
    eve.send(&frame(LAST_CONTINUATION, &[])).await.unwrap();
    assert_eq!(eve.closed().await.map(|(code, _)| code), Some(1002));
}

#[tokio::test]
async fn pings_are_answered_but_not_a_flood_of_them() {
    let server = Server::livekit();
    let mut bob = Client::join(&server, "bob").await;
    let mut eve = Raw::join(&server, "eve", 1 << 20).await;
    eve.send(&frame(PING, b"still there?").repeat(100)).await.unwrap();
    let request = SignalRequest { message: Some(signal_request::Message::Ping(7)) };
    eve.send(&frame(BINARY, &request.encode_to_vec())).await.unwrap();
    bob.is_served().await;
    let _ = eve.send(&frame(PING, &[0; 125]).repeat(200)).await;
    assert_eq!(eve.closed().await, Some((1008, "too many pings".to_owned())));
    bob.is_served().await;
}

#[tokio::test]
async fn pings_of_a_client_that_reads_nothing_do_not_pile_up() {
    let server = Server::livekit();
    let mut bob = Client::join(&server, "bob").await;
    let (before, _) = server.usage();
    let mut silent = Vec::new();
    for i in 0..8 {
        silent.push(Raw::join(&server, &format!("eve-{i}"), 4096).await);
    }
    let flood = frame(PING, &[0; 125]).repeat(1000);
    for eve in &mut silent {
        // Sixteen megabytes of pings, as far as the server takes them.
        for _ in 0..128 {
            if eve.send(&flood).await.is_err() {
                break;
            }
        }
    }
    bob.is_served().await;
    let (after, _) = server.usage();
    assert!(after < before + SLACK_KIB, "{before} KiB became {after} KiB");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_slows_nobody_down() {
    let server = Server::livekit();
    let admin = token("", "den", |v| v.room_admin = true);
    let mut bob = Client::join(&server, "bob").await;
    let (before, _) = server.usage();
    let mut deaf = Raw::join(&server, "deaf", 4096).await;
    let filler = "x".repeat(60_000);
    let mut last = 0;
    for n in 1..=400_u32 {
        // What a participant says of itself is paced; what the server API changes is not.
        let change = format!(r#"{{"room":"den","metadata":"{n} {filler}"}}"#);
        server.post("/twirp/livekit.RoomService/UpdateRoomMetadata", &admin, &change);
        // Bob hears each change in its turn, however many the other has missed.
        while last < n {
            if let signal_response::Message::RoomUpdate(update) = bob.read().await {
                let said = update.room.as_ref().and_then(|r| r.metadata.split(' ').next()?.parse().ok());
                last = said.unwrap_or(last);
            }
        }
    }
    let (after, _) = server.usage();
    assert!(after < before + SLACK_KIB, "{before} KiB became {after} KiB");
    // 24 MB were meant for it.
    let mut got = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut deaf.stream, &mut got);
    let _ = tokio::time::timeout(Duration::from_secs(60), end).await.expect("it was cut off");
    assert!(got.len() < 16 * MIB, "{} bytes", got.len());
    bob.is_served().await;
}

#[tokio::test]
async fn join_requests_that_inflate_without_end_are_refused_before_they_do() {
    let server = Server::livekit();
    let (before, _) = server.usage();
    let gzipped = |data: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let query = |join_request: Vec<u8>| {
        let wrapped = WrappedJoinRequest { compression: 1, join_request }.encode_to_vec();
        format!("access_token={}&join_request={}", token("eve", "den", |_| {}), URL_SAFE.encode(wrapped))
    };
    let zeros = gzipped(&[0; MIB]);
    for (what, body, text) in [
        ("many megabytes of zeros", gzipped(&vec![0; 32 * MIB]), "join request too large"),
        ("many members, of which the first counts", zeros.repeat(20), "cannot unmarshal join request"),
        ("a bomb of tracks", gzipped(&[0x22, 0x00].repeat(500_000)), "join request too large"),
        ("no gzip", vec![1, 2, 3], "cannot decompress join request"),
        ("cut gzip", zeros[..zeros.len() / 2].to_vec(), "cannot decompress join request"),
    ] {
        let query = query(body);
        for path in ["/rtc/v1/validate", "/rtc/validate"] {
            let got = server.get(&format!("{path}?{query}"));
            assert_eq!(got, (400, text.to_owned()), "{what}");
        }
        let url = format!("ws://127.0.0.1:{}/rtc/v1?{query}", server.port);
        let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = refused else { panic!("{refused}") };
        assert_eq!(response.status(), 400, "{what}");
    }
    let (after, _) = server.usage();
    assert!(after < before + SLACK_KIB, "{before} KiB became {after} KiB");
}

#[tokio::test]
async fn clients_that_hang_up_at_any_moment_leave_nothing_behind() {
    let server = Server::livekit();
    let mut bob = Client::join(&server, "bob").await;
    let _ = Client::join(&server, "eve").await;
    let fds = server.open_fds();
    for i in 0..150_usize {
        let head = upgrade(&path(&token("eve", "den", |_| {})));
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        // Cut at any byte of the head, or right behind it, before the answer.
        let cut = if i % 3 == 0 { head.len() } else { head.len() * i / 150 };
        stream.write_all(&head.as_bytes()[..cut]).await.unwrap();
        drop(stream);
    }
    // The same identity again and again, from many tasks at a time.
    let joins = (0..40).map(|_| Raw::join(&server, "eve", 1 << 16));
    drop(futures_util::future::join_all(joins).await);
    bob.is_served().await;
    server.until("its sockets are gone", |s| s.open_fds() <= fds).await;
    let mut eve = Client::join(&server, "eve").await;
    let others: Vec<_> = eve.joined.other_participants.iter().map(|p| p.identity.as_str()).collect();
    assert_eq!(others, ["bob"], "one of each");
    eve.is_served().await;
}
