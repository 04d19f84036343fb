//! One room with a thousand people who only listen to signalling.

use crate::server::Server;
use crate::signalling::{Client, path, token};
use futures_util::StreamExt as _;
use livekit_protocol::{UpdateParticipantMetadata, signal_request, signal_response};
use std::time::Duration;

const PEOPLE: usize = 1000;
/// Who joins at the same time.
const AT_ONCE: usize = 50;
const CHANGES: u32 = 50;
/// More than this for one that only listens would be a leak or a copy of the room for each.
const MAX_KIB_EACH: u64 = 600;

async fn join(server: &Server, identity: &str) -> Client {
    let token = token(identity, "hall", |v| {
        v.can_publish = Some(false);
        v.can_update_own_metadata = Some(true);
    });
    Client::enter(server, &path(&token)).await
}

/// Reads until the speaker's attribute has its last value; returns how often it was seen to change.
async fn listen(mut client: Client) -> u32 {
    let mut seen = 0;
    loop {
        let signal_response::Message::Update(update) = client.read().await else { continue };
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
    let server = Server::livekit();
    let (empty_kib, _) = server.usage();
    let mut listeners = Vec::new();
    // They never connect, so the server gives them a minute: many join at a time.
    for batch in 0..PEOPLE / AT_ONCE {
        let names = (0..AT_ONCE).map(|i| format!("listener-{}", batch * AT_ONCE + i));
        let joins = names.map(|name| {
            let server = &server;
            async move { join(server, &name).await }
        });
        let joined = futures_util::future::join_all(joins).await;
        listeners.extend(joined.into_iter().map(|client| tokio::spawn(listen(client))));
    }
    // Last, so that it has little to read before it begins.
    let mut speaker = join(&server, "speaker").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (full_kib, cpu_before) = server.usage();

    let drain = tokio::spawn(async move {
        for n in 1..=CHANGES {
            let attributes = [("n".to_owned(), n.to_string())].into();
            let update = UpdateParticipantMetadata { attributes, request_id: n, ..Default::default() };
            speaker.send(signal_request::Message::UpdateMetadata(update)).await;
            let next = tokio::time::sleep(Duration::from_millis(100));
            tokio::pin!(next);
            loop {
                tokio::select! {
                    () = &mut next => break,
                    message = speaker.socket.next() => assert!(message.unwrap().is_ok()),
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
