//! `bedrud livekit ports`.

use crate::cli::{Context, output};
use crate::config::media::MediaConfig;
use crate::server::media_only::Ports;
use std::fmt::Write as _;

/// Prints what a firewall must let in.
pub(super) fn run(settings: &MediaConfig, context: &Context) {
    let ports = Ports::of(settings);
    let mut text = String::from("TCP ports");
    let _ = write!(text, "\n  {:<5}  HTTP, WebSocket, WHIP, WHEP and ICE over TCP", ports.http);
    if let Some(tcp) = ports.ice_tcp {
        let _ = write!(text, "\n  {tcp:<5}  ICE over TCP");
    }
    let _ = write!(text, "\nUDP ports\n  {:<5}  media (ICE over UDP)", ports.udp);
    let listen: Vec<String> = ports.listen.iter().map(ToString::to_string).collect();
    let _ = write!(text, "\nListening on {}", listen.join(", "));
    let data = serde_json::json!({
        "http": ports.http, "iceTcp": ports.ice_tcp, "udp": ports.udp, "listen": listen,
    });
    output::success(if context.json { "" } else { &text }, Some(data), context.json);
}
