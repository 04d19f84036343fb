//! One room with a thousand people who only listen to signalling.

use crate::server::{Server, bedrud, free_port};
use bedrud::auth::media_token::{ApiKeys, Claims, VideoGrant, sign};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::{
    SignalRequest, SignalResponse, UpdateParticipantMetadata, signal_request, signal_response,
};
use prost::Message as _;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PEOPLE: usize = 1000;
const CHANGES: u32 = 50;
/// More than this for one that only listens would be a leak or a copy of the room for each.
const MAX_KIB_EACH: u64 = 600;

async fn join(port: u16, identity: &str) -> Socket {
    let video = VideoGrant {
        room_join: true,
        room: "hall".into(),
        can_publish: Some(false),
        can_update_own_metadata: Some(true),
        ..VideoGrant::default()
    };
    let exp = Some(4_000_000_000);
    let claims = Claims { sub: identity.into(), exp, video: Some(video), ..Claims::default() };
    let token = sign(&claims, "devkey", &ApiKeys::one("devkey", "secret")).unwrap();
    let url = format!("ws://127.0.0.1:{port}/rtc?protocol=16&sdk=rust&access_token={token}");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    assert!(matches!(read(&mut socket).await, signal_response::Message::Join(_)));
    socket
}

async fn read(socket: &mut Socket) -> signal_response::Message {
    loop {
        if let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() {
            return SignalResponse::decode(bytes).unwrap().message.unwrap();
        }
    }
}

/// Reads until the speaker's attribute has its last value; returns how often it was seen to change.
async fn listen(mut socket: Socket) -> u32 {
    let mut seen = 0;
    loop {
        let signal_response::Message::Update(update) = read(&mut socket).await else { continue };
        let speaker = update.participants.iter().find(|p| p.identity == "speaker");
        let Some(n) = speaker.and_then(|p| p.attributes.get("n")?.parse::<u32>().ok()) else { continue };
        seen += 1;
        if n == CHANGES {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_thousand_listeners_hear_every_change_and_cost_little() {
    let port = free_port();
    let text = port.to_string();
    let args = ["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &text];
    let mut server = Server::spawn(&mut bedrud(&args), port);
    server.announced();
    let mut speaker = join(port, "speaker").await;
    let (empty_kib, _) = server.usage();
    let mut listeners = Vec::new();
    for i in 0..PEOPLE {
        listeners.push(tokio::spawn(listen(join(port, &format!("listener-{i}")).await)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (full_kib, cpu_before) = server.usage();

    let drain = tokio::spawn(async move {
        for n in 1..=CHANGES {
            let attributes = [("n".to_owned(), n.to_string())].into();
            let update = UpdateParticipantMetadata { attributes, request_id: n, ..Default::default() };
            let message = Some(signal_request::Message::UpdateMetadata(update));
            let bytes = SignalRequest { message }.encode_to_vec();
            speaker.send(Message::Binary(bytes.into())).await.unwrap();
            let next = tokio::time::sleep(Duration::from_millis(100));
            tokio::pin!(next);
            loop {
                tokio::select! {
                    () = &mut next => break,
                    message = speaker.next() => assert!(message.unwrap().is_ok()),
                }
            }
        }
        speaker
    });
    for listener in listeners {
        let seen = listener.await.unwrap();
        assert!(seen > 0, "the last change was heard");
    }
    let (_, cpu_after) = server.usage();
    drop(drain.await.unwrap());
    let each = full_kib.saturating_sub(empty_kib) / PEOPLE as u64;
    println!(
        "{PEOPLE} listeners: {each} KiB each ({full_kib} KiB in all), {:.2} s of CPU for {CHANGES} changes in {:.0} s",
        cpu_after - cpu_before,
        f64::from(CHANGES) / 10.0,
    );
    assert!(each < MAX_KIB_EACH, "{each} KiB for each listener");
}
