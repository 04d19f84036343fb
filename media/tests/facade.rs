//! The edges of the facade: refusals, slow clients, dropped sessions, the end. One process counts its descriptors, so
//! everything is one test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod peer;

use bedrud_media::protocol::{self, SignalRequest, signal_request, signal_response};
use bedrud_media::{ServiceErrorCode, ServiceRequest, ServiceResponse, SessionOutput, Sfu, SfuConfig};
use peer::join_params;
use std::time::Duration;

fn count(dir: &str) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Waits until `dir` has `wanted` entries, and returns how many it has: the kernel lets a joiner go on before the
/// thread is gone from its lists.
async fn settled(dir: &str, wanted: usize) -> usize {
    for _ in 0..1000 {
        if count(dir) == wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    count(dir)
}

fn config() -> SfuConfig {
    let mut config = SfuConfig::bound_to("127.0.0.1:0".parse().unwrap());
    config.net.shards = 2;
    config
}

async fn first_message(session: &mut bedrud_media::Session) -> signal_response::Message {
    loop {
        match session.recv().await {
            Some(SessionOutput::Message(m)) => return m.into_response().message.unwrap(),
            Some(SessionOutput::RefreshToken(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn ping() -> SignalRequest {
    SignalRequest { message: Some(signal_request::Message::Ping(1)) }
}

async fn joins_and_refusals() {
    let sfu = Sfu::start(config()).unwrap();
    let mut refused = join_params("room", "nobody");
    refused.claims.video = None;
    let error = sfu.join(refused.clone()).await.unwrap_err();
    assert_eq!(error.status, 401);
    assert_eq!(sfu.validate(refused).await.unwrap_err(), error);
    sfu.validate(join_params("room", "alice")).await.unwrap();

    let mut alice = sfu.join(join_params("room", "alice")).await.unwrap();
    assert!(matches!(first_message(&mut alice).await, signal_response::Message::Join(_)));
    let list = ServiceRequest::ListRooms(protocol::ListRoomsRequest::default());
    let ServiceResponse::Rooms(rooms) = sfu.service(list).await.unwrap() else { panic!("rooms expected") };
    assert_eq!(rooms.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["room"]);
    let unknown =
        protocol::RoomParticipantIdentity { room: "room".into(), identity: "x".into(), ..Default::default() };
    let error = sfu.service(ServiceRequest::GetParticipant(unknown)).await.unwrap_err();
    assert_eq!(error.code, ServiceErrorCode::NotFound);

    // The shutdown tells everyone, and what comes later is refused.
    sfu.shutdown(Duration::from_secs(2)).await;
    let mut told = false;
    while let Some(output) = alice.recv().await {
        if let SessionOutput::Message(m) = output {
            told |= matches!(m.message, Some(signal_response::Message::Leave(_)));
        }
    }
    assert!(told, "no leave before the end");
    assert!(alice.send(ping()).await.is_err());
    assert_eq!(sfu.join(join_params("room", "bob")).await.unwrap_err().status, 503);
}

/// Many messages and no reader: that client is cut off, the other one does not notice.
async fn a_slow_client_is_cut_off_alone() {
    let mut config = config();
    config.session_queue = 64;
    let sfu = Sfu::start(config).unwrap();
    let mut slow = sfu.join(join_params("room", "slow")).await.unwrap();
    let mut other = sfu.join(join_params("room", "other")).await.unwrap();
    first_message(&mut other).await;
    for _ in 0..100 {
        slow.send(ping()).await.unwrap();
        let request = protocol::UpdateParticipantMetadata { name: "n".into(), ..Default::default() };
        let message = Some(signal_request::Message::UpdateMetadata(request));
        let _ = slow.send(SignalRequest { message }).await;
    }
    while sfu.stats().await.unwrap().sessions != 1 {}
    let mut got = 0;
    while let Some(output) = slow.recv().await {
        assert!(matches!(output, SessionOutput::Message(_) | SessionOutput::RefreshToken(_)));
        got += 1;
    }
    assert_eq!(got, 64);
    other.send(ping()).await.unwrap();
    loop {
        if matches!(first_message(&mut other).await, signal_response::Message::Pong(_)) {
            break;
        }
    }
}

/// Messages sent before a drop are handled before the drop.
async fn a_leave_before_the_drop_counts() {
    let sfu = Sfu::start(config()).unwrap();
    for n in 0..50 {
        let session = sfu.join(join_params("room", &format!("p{n}"))).await.unwrap();
        let message = Some(signal_request::Message::Leave(protocol::LeaveRequest::default()));
        session.send(SignalRequest { message }).await.unwrap();
        drop(session);
    }
    // A participant that left is gone at once; one that only lost its socket would stay for a resume.
    while sfu.stats().await.unwrap().sessions != 0 {}
    assert_eq!(sfu.stats().await.unwrap().hub.participants, 0);
    assert_eq!(sfu.stats().await.unwrap().transports(), 0);
}

#[tokio::test]
async fn nothing_is_left_behind() {
    // The runtime's own descriptors exist by now.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    joins_and_refusals().await;
    a_slow_client_is_cut_off_alone().await;
    a_leave_before_the_drop_counts().await;
    assert_eq!(
        settled("/proc/self/task", threads).await,
        threads,
        "dropping the last handle stops the threads"
    );
    assert_eq!(settled("/proc/self/fd", descriptors).await, descriptors);
}
