//! `bedrud livekit list-nodes`: asks the running server over its own API.

use crate::auth::media_token::{self, ApiKeys, Claims, VideoGrant};
use crate::cli::{Context, output};
use crate::config::media::MediaConfig;
use crate::server::health::unix_seconds;
use crate::server::media_only::{self, Ports};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer read, bytes.
const MAX_ANSWER: usize = 64 << 20;

#[derive(Debug, Deserialize)]
struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Debug, Deserialize)]
struct Room {
    num_participants: u32,
    num_publishers: u32,
}

/// There is one node: the server that this configuration describes. Fails when it does not answer.
pub(super) fn run(mut settings: MediaConfig, context: &Context) -> anyhow::Result<()> {
    let address = reachable(&Ports::of(&settings));
    let keys = media_only::keys(&mut settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async { tokio::time::timeout(PATIENCE, rooms(address, &keys)).await };
    let rooms = runtime.block_on(asked).map_err(|_| anyhow::anyhow!("no answer within 5 seconds"));
    let rooms = rooms.and_then(|answer| answer).with_context(|| format!("the server at {address}"))?;
    let sum = |count: fn(&Room) -> u32| rooms.iter().map(|r| u64::from(count(r))).sum::<u64>();
    let (participants, publishers) = (sum(|r| r.num_participants), sum(|r| r.num_publishers));
    let mut text = String::from("ADDRESS                STATE    ROOMS  PARTICIPANTS  PUBLISHERS  REGION");
    let _ = write!(
        text,
        "\n{:<22} serving {:>6} {participants:>13} {publishers:>11}  {}",
        address.to_string(),
        rooms.len(),
        settings.region,
    );
    let data = serde_json::json!([{
        "address": address.to_string(), "state": "serving", "region": settings.region,
        "rooms": rooms.len(), "participants": participants, "publishers": publishers,
    }]);
    output::success(if context.json { "" } else { &text }, Some(data), context.json);
    Ok(())
}

/// Where to connect for a server that listens like this.
fn reachable(ports: &Ports) -> SocketAddr {
    let ip = match ports.listen.first() {
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(ip) if !ip.is_unspecified() => *ip,
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, ports.http)
}

async fn rooms(address: SocketAddr, keys: &ApiKeys) -> anyhow::Result<Vec<Room>> {
    let Some((key, _)) = keys.iter().next() else { bail!("no API keys") };
    let video = VideoGrant { room_list: true, ..VideoGrant::default() };
    let exp = Some(unix_seconds().saturating_add(60));
    let token = media_token::sign(&Claims { exp, video: Some(video), ..Claims::default() }, key, keys)?;
    let stream = TcpStream::connect(address).await.context("cannot connect (is it running?)")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::post("/twirp/livekit.RoomService/ListRooms")
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from_static(b"{}")))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes();
    driver.abort();
    if !status.is_success() {
        bail!("answered {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(serde_json::from_slice::<Rooms>(&body).context("not an answer of a media server")?.rooms)
}
