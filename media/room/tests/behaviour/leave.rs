use crate::world::{World, join};
use bedrud_room::RoomEvent;
use bedrud_sfu::{CloseReason, Event, SctpViolation};
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::simulate_scenario::Scenario;
use livekit_protocol::{DisconnectReason, LeaveRequest, SimulateScenario};
use std::time::Duration;

#[test]
fn leaving_ends_everything_of_a_participant_at_once() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    w.publish("bob", "cam", true);
    w.send("alice", Request::Leave(LeaveRequest { reason: 1, ..LeaveRequest::default() }));
    w.settle();
    assert_eq!(w.client("alice").closed, Some(true));
    assert!(w.client("alice").leave().is_none());
    let seen = w.client("bob").sees("alice").unwrap();
    assert_eq!(seen.state, State::Disconnected as i32);
    assert_eq!(seen.disconnect_reason, DisconnectReason::ClientInitiated as i32);
    assert!(w.client("bob").receiving.is_empty());
    let stats = w.hub.stats();
    assert_eq!((stats.participants, stats.connections, stats.transports), (1, 1, 2));
    assert_eq!((stats.tracks, stats.subscriptions), (1, 0));
    assert_eq!(w.shard.transports.len(), 2);
    assert!(w.events.iter().any(
        |e| matches!(e, RoomEvent::ParticipantLeft { participant, .. } if participant.identity == "alice")
    ));
}

#[test]
fn reason_of_an_agent_is_kept() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let reason = DisconnectReason::AgentError as i32;
    w.send("bob", Request::Leave(LeaveRequest { reason, ..LeaveRequest::default() }));
    assert_eq!(w.client("alice").sees("bob").unwrap().disconnect_reason, reason);
}

#[test]
fn socket_lost_before_media_is_the_end() {
    let mut w = World::new();
    w.join("bob", join(false));
    w.shard.reachable = false;
    w.join("alice", join(false));
    w.drop_socket("alice");
    let seen = w.client("bob").sees("alice").unwrap();
    assert_eq!(seen.disconnect_reason, DisconnectReason::SignalClose as i32);
    assert_eq!(w.hub.stats().participants, 1);
}

#[test]
fn socket_lost_during_a_call_is_not_the_end() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.drop_socket("alice");
    w.advance(Duration::from_secs(120));
    assert_eq!(w.client("bob").sees("alice").unwrap().state, State::Active as i32);
    let id = w.client("alice").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(11));
    let seen = w.client("bob").sees("alice").unwrap();
    assert_eq!(seen.disconnect_reason, DisconnectReason::ConnectionTimeout as i32);
}

#[test]
fn closed_page_disappears_soon_although_it_said_nothing() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(false));
    let id = w.client("alice").publisher.unwrap();
    w.shard.transports.remove(&id);
    w.shard_event(Event::Closed { id, reason: CloseReason::ClosedByPeer });
    w.drop_socket("alice");
    w.advance(Duration::from_secs(6));
    assert_eq!(w.client("bob").sees("alice").unwrap().state, State::Disconnected as i32);
}

#[test]
fn dead_path_asks_the_client_to_resume_and_then_gives_up() {
    let mut w = World::new();
    w.join("alice", join(false));
    let id = w.client("alice").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(4));
    assert!(w.client("alice").closed.is_none());
    w.advance(Duration::from_secs(2));
    let leave = w.client("alice").leave().unwrap();
    assert_eq!(
        (leave.action, leave.reason),
        (Action::Resume as i32, DisconnectReason::ConnectionTimeout as i32)
    );
    assert_eq!(w.client("alice").closed, Some(false), "a clean close would keep JS waiting");
    assert_eq!(w.hub.stats().participants, 1);
    w.advance(Duration::from_secs(5));
    assert_eq!(w.hub.stats().participants, 0);
}

#[test]
fn path_that_comes_back_changes_nothing() {
    let mut w = World::new();
    w.join("alice", join(false));
    let id = w.client("alice").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(3));
    w.shard_event(Event::Reconnected { id });
    w.advance(Duration::from_secs(30));
    assert!(w.client("alice").closed.is_none());
}

#[test]
fn transport_given_up_by_the_shard_means_starting_over() {
    for reason in [CloseReason::TimedOut, CloseReason::ProtocolError, CloseReason::SlowConsumer] {
        let mut w = World::new();
        w.join("alice", join(false));
        let id = w.client("alice").subscriber.unwrap();
        w.shard.transports.remove(&id);
        w.shard_event(Event::Closed { id, reason });
        assert_eq!(w.client("alice").leave().unwrap().action, Action::Reconnect as i32);
        assert_eq!(w.hub.stats().participants, 0);
    }
}

/// It would do the same again: it is sent away, with a reason, and who else is there learns it.
#[test]
fn a_client_that_floods_its_data_connection_is_sent_away() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("mallory", join(false));
    let id = w.client("mallory").subscriber.unwrap();
    w.shard.transports.remove(&id);
    w.shard_event(Event::Closed { id, reason: CloseReason::Sctp(SctpViolation::TooManyStreams) });
    let leave = w.client("mallory").leave().unwrap();
    assert_eq!(leave.action, Action::Disconnect as i32);
    assert_eq!(leave.reason, DisconnectReason::MediaFailure as i32);
    assert_eq!(w.hub.stats().participants, 1);
}

#[test]
fn leave_is_worded_for_the_clients_protocol() {
    let mut w = World::new();
    w.join("old", join(false).protocol(12));
    let id = w.client("old").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(6));
    assert!(w.client("old").leave().is_none(), "older clients resume when the socket just ends");
    assert_eq!(w.client("old").closed, Some(false));
    w.join("older", join(false).protocol(12));
    w.client("older").mute_negotiation = true;
    w.join("alice", join(false));
    w.publish("alice", "cam", true);
    w.advance(Duration::from_secs(16));
    let leave = w.client("older").leave().unwrap();
    assert!(leave.can_reconnect && leave.action == 0);
}

fn simulate(w: &mut World, name: &str, scenario: Scenario) {
    w.send(name, Request::Simulate(SimulateScenario { scenario: Some(scenario) }));
}

#[test]
fn scenarios_do_what_sdk_tests_expect() {
    let mut w = World::new();
    w.join("watcher", join(false));
    w.join("a", join(false));
    simulate(&mut w, "a", Scenario::NodeFailure(true));
    assert_eq!((w.client("a").closed, w.client("a").leave()), (Some(false), None));
    assert_eq!(w.client("watcher").sees("a").unwrap().state, State::Disconnected as i32);
    w.resume("a", join(false));
    assert_eq!(w.client("a").leave().unwrap().action, Action::Reconnect as i32);

    w.join("b", join(false));
    simulate(&mut w, "b", Scenario::ServerLeave(true));
    let leave = w.client("b").leave().unwrap();
    assert_eq!((leave.reason, leave.action), (DisconnectReason::ServerShutdown as i32, 0));

    w.join("c", join(false));
    simulate(&mut w, "c", Scenario::SpeakerUpdate(2));
    let level = |w: &mut World| {
        w.client("c").find(|m| match m {
            Message::SpeakersChanged(s) => Some((s.speakers[0].active, s.speakers[0].level > 0.5)),
            _ => None,
        })
    };
    assert_eq!(level(&mut w), Some((true, true)));
    w.advance(Duration::from_secs(3));
    assert_eq!(level(&mut w), Some((false, false)));

    simulate(&mut w, "c", Scenario::SubscriberBandwidth(100_000));
    let id = w.client("c").subscriber.unwrap();
    assert_eq!(w.shard.transport(id).cap, Some(100_000));
    simulate(&mut w, "c", Scenario::SubscriberBandwidth(0));
    assert_eq!(w.shard.transport(id).cap, None);
}

#[test]
fn switching_to_tcp_offers_no_udp_candidates_now_and_at_the_next_join() {
    let mut w = World::new();
    w.join("alice", join(false));
    simulate(&mut w, "alice", Scenario::SwitchCandidateProtocol(1));
    w.settle();
    let id = w.client("alice").subscriber.unwrap();
    assert!(w.shard.transport(id).tcp_only);
    assert_eq!(w.shard.transport(id).ufrags.len(), 2, "ICE is restarted");
    let tcp_only = |sdp: &str| {
        let mut candidates = sdp.lines().filter(|l| l.starts_with("a=candidate"));
        candidates.clone().count() > 0
            && candidates.all(|l| l.contains(" tcp ") && l.contains("tcptype passive"))
    };
    assert!(tcp_only(&w.client("alice").last_server_sdp));
    w.rejoin("alice", "alice2", join(false));
    assert!(tcp_only(&w.client("alice2").last_server_sdp));
    assert!(!w.client("alice2").join_response().fast_publish);
}

#[test]
fn migration_and_asked_reconnect_make_the_client_start_over() {
    let mut w = World::new();
    w.join("watcher", join(false));
    w.join("mover", join(true));
    simulate(&mut w, "mover", Scenario::Migration(true));
    assert_eq!((w.client("mover").closed, w.client("mover").leave()), (Some(false), None));
    let reason = w.client("watcher").sees("mover").unwrap().disconnect_reason;
    assert_eq!(reason, DisconnectReason::Migration as i32);
    w.join("starter", join(true));
    simulate(&mut w, "starter", Scenario::LeaveRequestFullReconnect(true));
    assert_eq!(w.client("starter").leave().unwrap().action, Action::Reconnect as i32);
    // What is switched off does nothing.
    w.join("stayer", join(true));
    for scenario in [
        Scenario::NodeFailure(false),
        Scenario::Migration(false),
        Scenario::ServerLeave(false),
        Scenario::LeaveRequestFullReconnect(false),
        Scenario::DisconnectSignalOnResume(false),
        Scenario::DisconnectSignalOnResumeNoMessages(false),
        Scenario::SubscriberBandwidth(-1),
        Scenario::SpeakerUpdate(-1),
    ] {
        simulate(&mut w, "stayer", scenario);
    }
    assert!(w.client("stayer").closed.is_none() && w.client("stayer").leave().is_none());
}

#[test]
fn who_comes_back_before_its_departure_was_told_is_there() {
    let mut w = World::new();
    let names: Vec<&'static str> = (0..20).map(|n| &*format!("viewer-{n}").leak()).collect();
    for name in &names {
        w.join(name, join(true));
    }
    w.join("old", join(true).protocol(9));
    w.advance(Duration::from_secs(5));
    let first = w.client("viewer-3").sid();
    w.send("viewer-3", Request::Leave(Default::default()));
    w.advance(Duration::from_secs(1));
    w.rejoin("viewer-3", "again", join(true));
    let second = w.client("again").sid();
    w.publish("again", "mic", false);
    w.advance(Duration::from_secs(5));
    let seen = w.client("viewer-7").sees("viewer-3").unwrap();
    assert_eq!((seen.sid.as_str(), seen.state), (second.as_str(), State::Active as i32));
    // Old clients know participants by sid: they must hear of both.
    let told = w.client("old").log.iter().any(|m| match m {
        Message::Update(u) => {
            u.participants.iter().any(|p| p.sid == first && p.state == State::Disconnected as i32)
        }
        _ => false,
    });
    assert!(told);
}
