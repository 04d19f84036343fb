//! Every combination of a participant's rights against everything it can do: what happens follows from one rule each.

use crate::client::add_track;
use crate::world::{World, join};
use bedrud_room::{ServiceRequest, ServiceResponse, VideoGrant};
use bedrud_sfu::DataChannel;
use livekit_protocol::data_packet::Value;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, DataPacket, ListParticipantsRequest, ListRoomsRequest, MetricsBatch,
    PublishDataTrackRequest, TrackSource, TrackType, Transcription, UpdateParticipantMetadata, UserPacket,
};
use prost::Message as _;

/// Named bits, for readable failures.
const BITS: [&str; 8] =
    ["publish", "subscribe", "only camera", "own metadata", "hidden", "recorder", "agent", "metrics"];

fn grant(bits: usize, data: Option<bool>) -> VideoGrant {
    let has = |i: usize| bits & 1 << i != 0;
    VideoGrant {
        room_join: true,
        room: "room".into(),
        can_publish: Some(has(0)),
        can_subscribe: Some(has(1)),
        can_publish_data: data,
        can_publish_sources: if has(2) { vec!["camera".into()] } else { vec![] },
        can_update_own_metadata: Some(has(3)),
        hidden: has(4),
        recorder: has(5),
        agent: has(6),
        can_subscribe_metrics: Some(has(7)),
        ..VideoGrant::default()
    }
}

/// What the grant lets its holder do.
#[derive(Debug, PartialEq, Eq)]
struct Powers {
    camera: bool,
    microphone: bool,
    screen: bool,
    receives_media: bool,
    sends_data: bool,
    signs_data: bool,
    publishes_data_track: bool,
    transcribes: bool,
    receives_metrics: bool,
    renames_itself: bool,
    seen: bool,
    counted: bool,
    recording: bool,
}

fn expected(g: &VideoGrant) -> Powers {
    let publish = g.can_publish != Some(false);
    let subscribe = g.can_subscribe != Some(false);
    let data = g.can_publish_data.unwrap_or(publish);
    let source = |name: &str| {
        publish && (g.can_publish_sources.is_empty() || g.can_publish_sources.iter().any(|s| s == name))
    };
    Powers {
        camera: source("camera"),
        microphone: source("microphone"),
        screen: source("screen_share"),
        receives_media: subscribe,
        sends_data: data,
        signs_data: data && !g.hidden,
        publishes_data_track: data,
        transcribes: data && g.agent,
        receives_metrics: subscribe && g.can_subscribe_metrics == Some(true),
        renames_itself: g.can_update_own_metadata == Some(true),
        seen: !g.hidden,
        counted: !g.hidden && !g.recorder && !g.agent,
        recording: g.recorder,
    }
}

fn packet(value: Value) -> Vec<u8> {
    DataPacket { value: Some(value), ..DataPacket::default() }.encode_to_vec()
}

/// Packets a client has received.
fn received(w: &mut World, name: &str) -> Vec<DataPacket> {
    let ids = [w.client(name).subscriber, w.client(name).publisher];
    let all = ids.into_iter().flatten().flat_map(|id| w.sent_to(id, DataChannel::Reliable));
    all.map(|p| DataPacket::decode(p.as_slice()).unwrap()).collect()
}

fn may_publish(w: &mut World, cid: &str, source: TrackSource, kind: TrackType) -> bool {
    let request = AddTrackRequest {
        source: source as i32,
        r#type: kind as i32,
        ..add_track(cid, kind == TrackType::Video)
    };
    w.send("subject", Request::AddTrack(request));
    let accepted = w.client("subject").confirmed(cid).is_some();
    let refused = w.client("subject").find(|m| match m {
        Message::RequestResponse(r) if r.reason == Reason::NotAllowed as i32 => Some(()),
        _ => None,
    });
    assert!(accepted || refused.is_some(), "every request is answered");
    accepted
}

fn observed(g: VideoGrant) -> Powers {
    let mut w = World::new();
    w.join("peer", join(false).grant(|p| p.can_subscribe_metrics = Some(true)));
    w.publish("peer", "cam", false);
    w.join("subject", join(false).grant(|own| *own = g));
    let offer = w.client("subject").offer();
    w.send("subject", offer);
    w.settle();

    let camera = may_publish(&mut w, "c", TrackSource::Camera, TrackType::Video);
    let microphone = may_publish(&mut w, "m", TrackSource::Microphone, TrackType::Audio);
    let screen = may_publish(&mut w, "s", TrackSource::ScreenShare, TrackType::Video);

    let subject = [w.client("subject").subscriber, w.client("subject").publisher];
    let receives_media = w.shard.downs.values().any(|d| subject.contains(&Some(d.transport)));

    w.data("subject", DataChannel::Reliable, packet(Value::User(UserPacket::default())));
    let heard = received(&mut w, "peer");
    let user = heard.iter().find(|p| matches!(p.value, Some(Value::User(_))));
    let (sends_data, signs_data) =
        (user.is_some(), user.is_some_and(|p| p.participant_identity == "subject"));
    w.data("subject", DataChannel::Reliable, packet(Value::Transcription(Transcription::default())));
    let heard = received(&mut w, "peer");
    let transcribes = heard.iter().any(|p| matches!(p.value, Some(Value::Transcription(_))));
    w.data("peer", DataChannel::Reliable, packet(Value::Metrics(MetricsBatch::default())));
    let heard = received(&mut w, "subject");
    let receives_metrics = heard.iter().any(|p| matches!(p.value, Some(Value::Metrics(_))));

    let request = PublishDataTrackRequest { pub_handle: 1, name: "d".into(), ..Default::default() };
    w.send("subject", Request::PublishDataTrackRequest(request));
    let publishes_data_track = w
        .client("subject")
        .find(|m| matches!(m, Message::PublishDataTrackResponse(_)).then_some(()))
        .is_some();

    let update = UpdateParticipantMetadata { name: "new".into(), request_id: 9, ..Default::default() };
    w.send("subject", Request::UpdateMetadata(update));
    let reason = w.client("subject").find(|m| match m {
        Message::RequestResponse(r) if r.request_id == 9 => Some(r.reason),
        _ => None,
    });

    let list = ServiceRequest::ListParticipants(ListParticipantsRequest { room: "room".into() });
    let Ok(ServiceResponse::Participants(listed)) = w.service(list) else { panic!("list") };
    let listed = listed.iter().any(|p| p.identity == "subject");
    let seen = w.client("peer").sees("subject").is_some();
    assert_eq!(listed, seen, "the API shows what clients see");
    let Ok(ServiceResponse::Rooms(rooms)) = w.service(ServiceRequest::ListRooms(ListRoomsRequest::default()))
    else {
        panic!("rooms")
    };
    Powers {
        camera,
        microphone,
        screen,
        receives_media,
        sends_data,
        signs_data,
        publishes_data_track,
        transcribes,
        receives_metrics,
        renames_itself: reason == Some(Reason::Ok as i32),
        seen,
        counted: rooms[0].num_participants == 2,
        recording: rooms[0].active_recording,
    }
}

#[test]
fn every_combination_of_rights_allows_exactly_what_it_says() {
    for bits in 0..1usize << BITS.len() {
        for data in [None, Some(true), Some(false)] {
            let g = grant(bits, data);
            let names: Vec<&str> =
                BITS.iter().enumerate().filter(|(i, _)| bits & 1 << i != 0).map(|(_, n)| *n).collect();
            assert_eq!(observed(g.clone()), expected(&g), "{names:?}, data {data:?}");
        }
    }
}

#[test]
fn nothing_opens_without_the_right_to_join() {
    for bits in 0..1usize << BITS.len() {
        let mut w = World::new();
        w.join(
            "subject",
            join(false).grant(|own| *own = VideoGrant { room_join: false, ..grant(bits, None) }),
        );
        assert_eq!(w.client("subject").refused.as_ref().unwrap().status, 401);
        assert_eq!(w.hub.stats().rooms, 0);
    }
}
