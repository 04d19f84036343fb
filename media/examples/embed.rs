//! The media server alone: no accounts, no HTTP. A room is made, someone joins, and the messages a WebSocket would
//! carry are printed.
//!
//! `cargo run -p bedrud-media --example embed`

#![allow(clippy::print_stdout, reason = "an example")]

use bedrud_media::protocol::{CreateRoomRequest, signal_response::Message};
use bedrud_media::{
    Claims, ClientContext, JoinParams, ServiceRequest, SessionOutput, Sfu, SfuConfig, SignalPath, VideoGrant,
};
use std::error::Error;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sfu = Sfu::start(SfuConfig::bound_to("127.0.0.1:0".parse()?))?;
    println!("media port {}, candidates {:?}", sfu.local_addr(), sfu.local_candidates().0);
    let mut events = sfu.events();

    let request = CreateRoomRequest { name: "lobby".to_owned(), ..CreateRoomRequest::default() };
    sfu.service(ServiceRequest::CreateRoom(Box::new(request))).await?;

    // An embedder takes these from a verified token and from the query of the WebSocket request.
    let video = VideoGrant { room_join: true, room: "lobby".to_owned(), ..VideoGrant::default() };
    let claims = Claims { sub: "alice".to_owned(), video: Some(video), ..Claims::default() };
    let query = [("auto_subscribe", "1"), ("protocol", "16")];
    let params = JoinParams::from_query(SignalPath::V0, query, claims, &ClientContext::default())?;

    let mut session = sfu.join(params).await?;
    while let Ok(Some(output)) = tokio::time::timeout(Duration::from_millis(300), session.recv()).await {
        match output {
            SessionOutput::Message(response) => match response.into_response().message {
                Some(Message::Join(join)) => println!("joined, server {}", join.server_version),
                Some(Message::Offer(offer)) => println!("offer:\n{}", offer.sdp),
                other => println!("{other:?}"),
            },
            SessionOutput::RefreshToken(claims) => println!("a new token is due for {}", claims.sub),
            SessionOutput::Moved { response, .. } => println!("moved to {:?}", response.room),
            SessionOutput::Close { clean } => println!("close, clean: {clean}"),
        }
    }
    drop(session);
    while let Some(event) = events.try_recv() {
        println!("{event:?}");
    }
    sfu.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
