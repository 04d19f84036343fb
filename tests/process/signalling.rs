//! Bare signalling clients: those who join, and those who do as they please.

use crate::server::Server;
use bedrud::auth::media_token::{ApiKeys, Claims, VideoGrant, sign};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::{SessionDescription, SignalRequest, SignalResponse, signal_request, signal_response};
use prost::Message as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Time for anything that should happen soon, generous because tests share the machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn token(identity: &str, room: &str, adjust: impl FnOnce(&mut VideoGrant)) -> String {
    let mut video = VideoGrant { room_join: true, room: room.into(), ..VideoGrant::default() };
    adjust(&mut video);
    let exp = Some(4_000_000_000);
    let claims = Claims { sub: identity.into(), exp, video: Some(video), ..Claims::default() };
    sign(&claims, "devkey", &ApiKeys::one("devkey", "secret")).unwrap()
}

/// Signs with the keys that `bedrud run` keeps in its data folder.
pub(crate) fn signer(data: &Path) -> impl Fn(&str, VideoGrant) -> String {
    let kept = std::fs::read_to_string(data.join("secrets.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let key = kept["livekitApiKey"].as_str().unwrap().to_owned();
    let keys = ApiKeys::one(&key, kept["livekitApiSecret"].as_str().unwrap());
    move |sub, video| {
        let exp = Some(4_000_000_000);
        let claims = Claims { sub: sub.into(), exp, video: Some(video), ..Claims::default() };
        sign(&claims, &key, &keys).unwrap()
    }
}

/// Address of a signalling socket of the room `den`, unless the token says otherwise.
pub(crate) fn path(token: &str) -> String {
    format!("/rtc?protocol=16&sdk=rust&access_token={token}")
}

/// What a client answers that never connects.
fn answer(offer: &SessionDescription) -> SessionDescription {
    let line = |line: &str| match line.split_once(':').map_or(line, |(name, _)| name) {
        "a=setup" => Some("a=setup:active".to_owned()),
        "a=ice-ufrag" => Some("a=ice-ufrag:bare".to_owned()),
        "a=ice-pwd" => Some(format!("a=ice-pwd:{}", "p".repeat(24))),
        "a=fingerprint" => Some(format!("a=fingerprint:sha-256 {}AA", "AA:".repeat(31))),
        "a=sendonly" => Some("a=recvonly".to_owned()),
        "a=ice-lite" | "a=candidate" | "a=end-of-candidates" => None,
        _ => Some(line.to_owned()),
    };
    let sdp = offer.sdp.lines().filter_map(line).map(|l| l + "\r\n").collect();
    SessionDescription { r#type: "answer".into(), sdp, ..offer.clone() }
}

/// A client that has joined.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) joined: livekit_protocol::JoinResponse,
}

impl Client {
    pub(crate) async fn join(server: &Server, identity: &str) -> Self {
        Self::enter(server, &path(&token(identity, "den", |_| {}))).await
    }

    pub(crate) async fn enter(server: &Server, path: &str) -> Self {
        let url = format!("ws://127.0.0.1:{}{path}", server.port);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut client = Self { socket, joined: Default::default() };
        let first = client.read().await;
        let signal_response::Message::Join(joined) = first else { panic!("first message: {first:?}") };
        client.joined = joined;
        client
    }

    pub(crate) async fn send(&mut self, message: signal_request::Message) {
        let bytes = SignalRequest { message: Some(message) }.encode_to_vec();
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// The next message in protobuf. Offers are answered: who leaves one open is sent away after a while.
    pub(crate) async fn read(&mut self) -> signal_response::Message {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a message in time");
            if let Message::Binary(bytes) = message.unwrap().unwrap() {
                let message = SignalResponse::decode(bytes).unwrap().message.unwrap();
                if let signal_response::Message::Offer(offer) = &message {
                    self.send(signal_request::Message::Answer(answer(offer))).await;
                }
                return message;
            }
        }
    }

    /// The server still answers this client.
    pub(crate) async fn is_served(&mut self) {
        self.send(signal_request::Message::Ping(7)).await;
        while !matches!(self.read().await, signal_response::Message::Pong(_)) {}
    }
}

/// A signalling socket on bare TCP: it has joined and sends any bytes.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    /// `receive_buffer` is the size asked of the kernel, bytes.
    pub(crate) async fn join(server: &Server, identity: &str, receive_buffer: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(receive_buffer).unwrap();
        let mut stream = socket.connect(([127, 0, 0, 1], server.port).into()).await.unwrap();
        let head = upgrade(&path(&token(identity, "den", |_| {})));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time").unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        Self { stream }
    }

    /// Sends what the server takes of it: it may have hung up already.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server reads or hangs up")
    }

    /// Reads to the end of the connection: the code and reason of the close frame, if there was one.
    pub(crate) async fn closed(&mut self) -> Option<(u16, String)> {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("the server hangs up");
        let mut rest = bytes.as_slice();
        while let [first, second, tail @ ..] = rest {
            let (length, tail) = match second {
                126 => (usize::from(u16::from_be_bytes([tail[0], tail[1]])), &tail[2..]),
                127 => (u64::from_be_bytes(tail[..8].try_into().unwrap()) as usize, &tail[8..]),
                small => (usize::from(*small), tail),
            };
            if *first == 0x88 {
                let [high, low, reason @ ..] = &tail[..length] else { return None };
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                return Some((u16::from_be_bytes([*high, *low]), reason));
            }
            rest = tail.get(length..)?;
        }
        None
    }
}

/// The head of a request for a signalling socket.
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
        sec-websocket-extensions: permessage-deflate\r\n\r\n"
    )
}

/// A masked frame: its first byte, and what it carries. The mask is zero, so the payload stays as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}
