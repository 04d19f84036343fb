use crate::client::add_track;
use crate::world::{World, join};
use bedrud_sfu::{DataChannel, Event};
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::simulate_scenario::Scenario;
use livekit_protocol::{
    DataPacket, DisconnectReason, MuteTrackRequest, SimulateScenario, SyncState, TrackInfo,
    TrackPublishedResponse,
};
use prost::Message as _;
use std::time::Duration;

fn kinds(messages: &[Message]) -> Vec<&'static str> {
    let name = |m: &Message| match m {
        Message::Reconnect(_) => "reconnect",
        Message::Update(_) => "update",
        Message::RoomUpdate(_) => "room_update",
        Message::Offer(_) => "offer",
        Message::Answer(_) => "answer",
        Message::Leave(_) => "leave",
        _ => "",
    };
    messages.iter().map(name).filter(|n| !n.is_empty()).collect()
}

#[test]
fn resume_sends_snapshot_and_restarts_ice_in_the_documented_order() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("carol", join(false));
    w.publish("bob", "cam", true);
    let id = w.client("alice").subscriber.unwrap();
    w.drop_socket("alice");
    w.advance(Duration::from_secs(2));
    w.send("carol", Request::Leave(Default::default()));
    w.client("alice").take();
    w.resume("alice", join(false));
    let got = w.client("alice").take();
    assert_eq!(kinds(&got), ["reconnect", "update", "update", "room_update", "offer"]);
    let Message::Update(missed) = &got[1] else { panic!("departures first") };
    assert_eq!((missed.participants.len(), &*missed.participants[0].identity), (1, "carol"));
    assert_eq!(missed.participants[0].state, State::Disconnected as i32);
    let Message::Update(all) = &got[2] else { panic!("snapshot") };
    let mut names: Vec<_> = all.participants.iter().map(|p| p.identity.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["alice", "bob"]);
    assert_eq!(w.shard.transport(id).ufrags.len(), 2);
    assert_eq!(w.client("alice").tokens.len(), 2);
    assert_eq!(w.shard.downs.len(), 2 - 1, "the subscription goes on");
}

#[test]
fn reconnect_message_tells_the_last_sequence_received() {
    let mut w = World::new();
    w.join("alice", join(true));
    for sequence in 1..=5 {
        let packet = DataPacket { sequence, ..DataPacket::default() };
        w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    }
    w.resume("alice", join(true).with(|p| p.publisher_offer = None));
    let seq = w.client("alice").find(|m| match m {
        Message::Reconnect(r) => Some(r.last_message_seq),
        _ => None,
    });
    assert_eq!(seq, Some(5));
}

#[test]
fn client_ice_restart_on_a_single_connection_is_answered() {
    let mut w = World::new();
    w.join("alice", join(true));
    let id = w.client("alice").publisher.unwrap();
    w.drop_socket("alice");
    let mut how = join(true);
    how.offer = false;
    w.resume("alice", how);
    w.client("alice").ufrag = "fresh".into();
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    assert_eq!(w.client("alice").publisher, Some(id), "same transport");
    assert_eq!(w.shard.transport(id).ufrags.len(), 2);
    let same = w.client("alice").offer();
    w.send("alice", same);
    assert_eq!(w.shard.transport(id).ufrags.len(), 2, "an unchanged ufrag is no restart");
}

#[test]
fn what_a_resuming_client_missed_is_split_at_the_configured_size() {
    for (target, messages) in [(0, 1), (1, 4)] {
        let mut w = World::with(|c| c.update_batch_bytes = target);
        for name in ["alice", "bob", "carol", "dave"] {
            w.join(name, join(false));
        }
        w.drop_socket("alice");
        let before = w.client("alice").log.len();
        w.resume("alice", join(false));
        let log = w.client("alice").log.iter().skip(before);
        assert_eq!(log.filter(|m| matches!(m, Message::Update(_))).count(), messages);
    }
}

#[test]
fn old_socket_is_closed_when_the_new_one_attaches() {
    let mut w = World::new();
    w.join("alice", join(false));
    let old = w.client("alice").conn.unwrap();
    w.resume("alice", join(false));
    assert_eq!(w.hub.stats().connections, 1);
    let sid = w.client("alice").sid();
    let mute = Request::Mute(MuteTrackRequest { sid, muted: true });
    let request = livekit_protocol::SignalRequest { message: Some(mute) };
    w.input(bedrud_room::Input::Signal { conn: old, request });
    assert!(w.client("alice").closed.is_none());
}

#[test]
fn unknown_session_is_told_to_start_over() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.send("alice", Request::Leave(Default::default()));
    w.client("alice").take();
    w.resume("alice", join(false));
    let got = w.client("alice").take();
    assert_eq!(kinds(&got), ["leave"]);
    let leave = w.client("alice").leave().unwrap();
    assert_eq!(
        (leave.reason, leave.action),
        (DisconnectReason::StateMismatch as i32, Action::Reconnect as i32)
    );
    assert_eq!(w.client("alice").closed, Some(true));
    assert_eq!(w.hub.stats().connections, 1);
}

#[test]
fn dead_path_is_revived_by_resuming() {
    let mut w = World::new();
    w.join("alice", join(false));
    let id = w.client("alice").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(6));
    assert_eq!(w.client("alice").leave().unwrap().action, Action::Resume as i32);
    w.advance(Duration::from_secs(3));
    w.resume("alice", join(false));
    w.advance(Duration::from_secs(3));
    w.shard_event(Event::PathChanged {
        id,
        path: bedrud_sfu::SelectedPath { tcp: false, remote: "192.0.2.3:4".parse().unwrap() },
    });
    w.advance(Duration::from_secs(60));
    assert_eq!(w.hub.stats().participants, 1);
    assert!(w.client("alice").closed.is_none());
}

#[test]
fn resumed_client_whose_path_stays_dead_is_removed() {
    let mut w = World::new();
    w.join("alice", join(false));
    let id = w.client("alice").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_secs(6));
    w.resume("alice", join(false));
    w.advance(Duration::from_secs(21));
    assert_eq!(w.hub.stats().participants, 0);
}

fn sync(sids: &[&str]) -> Request {
    let entry = |sid: &&str| TrackPublishedResponse {
        cid: "any".into(),
        track: Some(TrackInfo { sid: (*sid).to_owned(), ..TrackInfo::default() }),
    };
    Request::SyncState(SyncState { publish_tracks: sids.iter().map(entry).collect(), ..SyncState::default() })
}

#[test]
fn sync_state_is_checked_against_what_is_published() {
    let mut w = World::new();
    w.join("alice", join(false));
    let cam = w.publish("alice", "cam", true);
    w.send("alice", Request::AddTrack(add_track("mic", false)));
    let mic = w.client("alice").confirmed("mic").unwrap().sid;
    w.resume("alice", join(false));
    w.send("alice", sync(&[&cam, &mic]));
    assert!(w.client("alice").closed.is_none());
    w.send("alice", sync(&[&cam, "TR_lost"]));
    assert_eq!(w.client("alice").leave().unwrap().action, Action::Reconnect as i32);
    assert_eq!(w.hub.stats().participants, 0);
}

#[test]
fn mute_queued_during_the_outage_lands() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let sid = w.publish("alice", "mic", false);
    w.drop_socket("alice");
    w.resume("alice", join(false));
    w.send("alice", Request::Mute(MuteTrackRequest { sid, muted: true }));
    assert!(w.client("bob").sees("alice").unwrap().tracks[0].muted);
}

#[test]
fn unanswered_offer_is_repeated_after_a_resume() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(false));
    w.client("bob").mute_negotiation = true;
    w.publish("alice", "cam", true);
    w.drop_socket("bob");
    w.advance(Duration::from_secs(20));
    assert_eq!(w.hub.stats().participants, 2, "no answer is expected from a lost socket");
    w.client("bob").mute_negotiation = false;
    w.resume("bob", join(false));
    w.settle();
    assert_eq!(w.shard.downs.len(), 1);
    let id = w.client("bob").subscriber.unwrap();
    assert_eq!(w.shard.transport(id).ufrags.len(), 2, "the restart follows the answer");
}

#[test]
fn scripted_socket_losses_at_resume() {
    let mut w = World::new();
    w.join("alice", join(false));
    let script = |s| Request::Simulate(SimulateScenario { scenario: Some(s) });
    w.send("alice", script(Scenario::DisconnectSignalOnResume(true)));
    w.client("alice").take();
    w.resume("alice", join(false));
    assert_eq!(w.client("alice").closed, Some(false));
    assert_eq!(kinds(&w.client("alice").take()), ["reconnect", "update", "room_update"]);
    w.resume("alice", join(false));
    assert_eq!(w.client("alice").closed, None);
    w.send("alice", script(Scenario::DisconnectSignalOnResumeNoMessages(true)));
    w.client("alice").take();
    for _ in 0..3 {
        w.resume("alice", join(false));
        assert_eq!((w.client("alice").closed, w.client("alice").take().len()), (Some(false), 0));
    }
    w.resume("alice", join(false));
    assert_eq!(w.client("alice").closed, None);
}

#[test]
fn a_client_that_resumes_late_is_not_told_to_resume_again() {
    let mut w = World::new();
    w.join("alice", join(false));
    let id = w.client("alice").subscriber.unwrap();
    w.shard_event(Event::Disconnected { id });
    w.advance(Duration::from_millis(4500));
    w.drop_socket("alice");
    w.resume("alice", join(false));
    w.client("alice").take();
    w.advance(Duration::from_secs(3));
    assert!(w.client("alice").leave().is_none(), "its path has the time of a resume");
    w.shard_event(Event::Reconnected { id });
    w.advance(Duration::from_secs(30));
    assert!(w.client("alice").closed.is_none());
}
