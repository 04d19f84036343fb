//! A running media server in which something fails: one room, one shard, one thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod peer;

use bedrud_media::protocol::{self, SignalRequest, leave_request::Action, signal_request, signal_response};
use bedrud_media::{Session, SessionOutput, Sfu, SfuConfig, SfuEvent};
use peer::join_params;
use std::sync::mpsc;
use std::time::Duration;

/// Longer than any machine needs; a test that waits so long has failed.
const FOREVER: Duration = Duration::from_secs(120);

fn start(shards: u16) -> Sfu {
    start_with(shards, 8192)
}

/// With room for so many commands in the queue of each shard.
fn start_with(shards: u16, queue: usize) -> Sfu {
    let mut config = SfuConfig::bound_to("127.0.0.1:0".parse().unwrap());
    config.net.shards = shards;
    config.net.queue = queue;
    Sfu::start(config).unwrap()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(FOREVER, future).await else { panic!("{what} does not happen") };
    value
}

async fn message(session: &mut Session) -> Option<signal_response::Message> {
    loop {
        match soon("an answer", session.recv()).await {
            Some(SessionOutput::Message(m)) => return m.message.clone(),
            Some(SessionOutput::Close { .. }) | None => return None,
            Some(_) => {}
        }
    }
}

async fn ping(session: &mut Session) -> bool {
    let message_ = Some(signal_request::Message::Ping(1));
    session.send(SignalRequest { message: message_ }).await.unwrap();
    loop {
        match message(session).await {
            Some(signal_response::Message::Pong(_)) => return true,
            Some(_) => {}
            None => return false,
        }
    }
}

/// Keeps a shard busy until the sender is dropped; returns when it is.
fn occupy(sfu: &Sfu, shard: u16) -> mpsc::Sender<()> {
    let (begun, begins) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    sfu.occupy_shard(
        shard,
        Box::new(move || {
            begun.send(()).unwrap();
            let _ = released.recv();
            Ok(())
        }),
    );
    begins.recv_timeout(FOREVER).unwrap();
    release
}

#[tokio::test]
async fn a_room_that_fails_ends_alone_and_opens_again() {
    let sfu = start(2);
    let mut events = sfu.events();
    let mut alice = sfu.join(join_params("one", "alice")).await.unwrap();
    let mut bob = sfu.join(join_params("one", "bob")).await.unwrap();
    let mut carol = sfu.join(join_params("two", "carol")).await.unwrap();
    assert!(ping(&mut alice).await && ping(&mut bob).await && ping(&mut carol).await);

    sfu.fail_next(&alice).await;
    let message_ = Some(signal_request::Message::Ping(1));
    alice.send(SignalRequest { message: message_ }).await.unwrap();
    for session in [&mut alice, &mut bob] {
        let mut told = None;
        while let Some(m) = message(session).await {
            if let signal_response::Message::Leave(leave) = m {
                told = Some(leave.action);
            }
        }
        assert_eq!(told, Some(Action::Reconnect as i32), "a client is not told to come back");
    }
    assert!(ping(&mut carol).await, "another room ended");
    let finished = async {
        loop {
            if let Some(SfuEvent::Room(event)) = events.recv().await
                && let bedrud_media::RoomEvent::RoomFinished { room, .. } = *event
            {
                return room.name;
            }
        }
    };
    assert_eq!(soon("the end of the room", finished).await, "one");

    let mut again = sfu.join(join_params("one", "alice")).await.unwrap();
    assert!(ping(&mut again).await);
    let metrics = sfu.metrics().await.unwrap();
    assert_eq!((metrics.hub.counters.failures, metrics.hub.counters.rooms_failed), (1, 1));
    assert_eq!((metrics.stats.hub.rooms, metrics.stats.hub.participants), (2, 2));
    assert_eq!(sfu.health(FOREVER), Ok(()));
    sfu.shutdown(Duration::from_secs(5)).await;
}

/// Figures, signalling and commands while one shard does nothing at all.
#[tokio::test]
async fn a_stuck_shard_holds_up_neither_figures_nor_signalling_and_is_seen() {
    let sfu = start_with(2, 16);
    // Rooms take the shards by turns.
    let mut zero = sfu.join(join_params("zero", "alice")).await.unwrap();
    let mut one = sfu.join(join_params("one", "bob")).await.unwrap();
    assert!(ping(&mut zero).await && ping(&mut one).await);
    let before = soon("figures", sfu.stats()).await.unwrap();
    let held = occupy(&sfu, 1);

    // Every answer here comes while the shard is still stuck: it is let go afterwards.
    let answers = async {
        for _ in 0..3 {
            let stats = sfu.stats().await.unwrap();
            assert_eq!(stats.shards.len(), 2);
            assert_eq!(stats.shards[1].shard.transports, before.shards[1].shard.transports);
        }
    };
    let talk = async {
        for _ in 0..100 {
            assert!(ping(&mut zero).await && ping(&mut one).await);
        }
    };
    // Far more commands than its queue holds.
    let joins = async {
        let mut guests = Vec::new();
        for n in 0..50 {
            let mut session = sfu.join(join_params("one", &format!("guest {n}"))).await.unwrap();
            assert!(ping(&mut session).await);
            guests.push(session);
        }
        guests
    };
    let ((), (), guests) =
        soon("work beside a stuck shard", async { tokio::join!(answers, talk, joins) }).await;
    let age = Duration::from_millis(1500);
    let seen = async {
        while sfu.health(age).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("notice of the stuck shard", seen).await;
    let beats = sfu.heartbeats();
    assert_eq!((beats.len(), beats[2].0.as_str()), (3, "media thread 1"));

    drop(held);
    let recovered = async {
        while sfu.health(age).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("recovery", recovered).await;
    // Every command has reached it, in the end.
    assert_eq!(guests.len(), 50);
    let agreed = async {
        loop {
            let stats = sfu.stats().await.unwrap();
            if stats.transports() == stats.hub.transports && stats.hub.transports >= 50 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("agreement of shards and control plane", agreed).await;
    assert!(tokio::time::timeout(Duration::from_millis(10), sfu.failed()).await.is_err(), "it only was busy");
    sfu.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_shard_that_cannot_go_on_is_reported_and_does_not_hold_up_the_end() {
    let sfu = start(2);
    assert_eq!(sfu.health(FOREVER), Ok(()));
    sfu.occupy_shard(0, Box::new(|| Err(std::io::Error::other("broken"))));
    let why = soon("the failure", sfu.failed()).await;
    assert!(why.starts_with("media thread 0 cannot go on: waiting for its sockets failed"), "{why}");
    assert_eq!(sfu.health(FOREVER).unwrap_err().to_string(), why);
    // The rest goes on until somebody ends it.
    let mut session = sfu.join(join_params("room", "alice")).await.unwrap();
    assert!(ping(&mut session).await);
    assert!(soon("figures", sfu.metrics()).await.is_some());
    soon("the end", sfu.shutdown(Duration::from_secs(1))).await;
}

/// The process must end even if a thread of it does not.
#[tokio::test]
async fn a_stuck_shard_does_not_keep_the_server_from_ending() {
    let sfu = start(1);
    let held = occupy(&sfu, 0);
    soon("the end", sfu.shutdown(Duration::ZERO)).await;
    drop(held);
    drop(sfu);
}

#[tokio::test]
async fn leaving_requests_reach_a_room_that_failed_before() {
    let sfu = start(1);
    let session = sfu.join(join_params("room", "alice")).await.unwrap();
    sfu.fail_next(&session).await;
    let message = Some(signal_request::Message::Leave(protocol::LeaveRequest::default()));
    session.send(SignalRequest { message }).await.unwrap();
    drop(session);
    let empty = async {
        while sfu.stats().await.unwrap().hub.participants > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("an empty server", empty).await;
    assert_eq!(sfu.stats().await.unwrap().sessions, 0);
}
