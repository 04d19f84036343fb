//! Enum numbers that the protocol does not know harm nobody who reads JSON.

use crate::client::add_track;
use crate::world::{World, join};
use bedrud_room::{Format, ServiceRequest, ServiceResponse, encode_response};
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    DataTrackFrameEncoding, DataTrackSchemaEncoding, DataTrackSchemaId, ListParticipantsRequest,
    ParticipantInfo, ParticipantPermission, ParticipantUpdate, PublishDataTrackRequest, SignalResponse,
    SimulcastCodec, UpdateLocalAudioTrack, UpdateParticipantRequest, VideoLayer, data_track_frame_encoding,
    data_track_schema_encoding,
};

const UNKNOWN: i32 = 7777;

fn in_json(message: Message) -> bool {
    encode_response(Format::Json, &SignalResponse { message: Some(message) }).is_ok()
}

fn listed(w: &mut World) -> Vec<ParticipantInfo> {
    let request = ServiceRequest::ListParticipants(ListParticipantsRequest { room: "room".into() });
    match w.service(request) {
        Ok(ServiceResponse::Participants(list)) => list,
        other => panic!("expected a list, got {other:?}"),
    }
}

#[test]
fn participant_with_unknown_numbers_everywhere_can_be_shown_in_json() {
    let mut w = World::new();
    w.join("bob", join(false));
    w.join(
        "alice",
        join(false).with(|p| {
            p.client_info.capabilities = vec![UNKNOWN, 2, -1];
            p.client_info.sdk = UNKNOWN;
        }),
    );

    let layer = |quality| VideoLayer { quality, width: 320, height: 180, ..VideoLayer::default() };
    let mut video = add_track("cam", true);
    video.layers = vec![layer(UNKNOWN), layer(2), layer(0)];
    video.encryption = UNKNOWN;
    video.backup_codec_policy = UNKNOWN;
    video.audio_features = vec![UNKNOWN];
    video.packet_trailer_features = vec![UNKNOWN, 1];
    video.simulcast_codecs = vec![SimulcastCodec {
        codec: "vp8".into(),
        cid: "cam".into(),
        layers: vec![layer(UNKNOWN), layer(1)],
        video_layer_mode: UNKNOWN,
    }];
    w.publish_as("alice", video, false);
    let mic = w.publish("alice", "mic", false);
    let update = UpdateLocalAudioTrack { track_sid: mic, features: vec![UNKNOWN, 1] };
    w.send("alice", Request::UpdateAudioTrack(update));
    let schema_encoding = data_track_schema_encoding::Value::WellKnown(UNKNOWN);
    let data = PublishDataTrackRequest {
        pub_handle: 1,
        name: "pose".into(),
        encryption: UNKNOWN,
        frame_encoding: Some(DataTrackFrameEncoding {
            value: Some(data_track_frame_encoding::Value::WellKnown(UNKNOWN)),
        }),
        schema: Some(DataTrackSchemaId {
            name: "pose".into(),
            encoding: Some(DataTrackSchemaEncoding { value: Some(schema_encoding) }),
        }),
    };
    w.send("alice", Request::PublishDataTrackRequest(data));
    let permission = ParticipantPermission {
        can_publish: true,
        can_subscribe: true,
        can_publish_data: true,
        can_publish_sources: vec![UNKNOWN],
        ..ParticipantPermission::default()
    };
    let update = UpdateParticipantRequest {
        room: "room".into(),
        identity: "alice".into(),
        permission: Some(permission),
        ..UpdateParticipantRequest::default()
    };

    let before = listed(&mut w).into_iter().find(|p| p.identity == "alice").unwrap();
    assert_eq!(before.capabilities, [2]);
    let camera = before.tracks.iter().find(|t| t.r#type == 1).unwrap();
    assert_eq!(camera.layers.iter().map(|l| l.quality).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(camera.encryption, 2, "whatever it is, it is encrypted");
    assert_eq!((camera.backup_codec_policy, &*camera.packet_trailer_features), (0, &[1][..]));
    let mic = before.tracks.iter().find(|t| t.r#type == 0).unwrap();
    assert_eq!(mic.audio_features, [1]);
    assert_eq!(before.data_tracks.len(), 1);

    w.service(ServiceRequest::UpdateParticipant(Box::new(update))).unwrap();
    let after = listed(&mut w);
    assert!(in_json(Message::Update(ParticipantUpdate { participants: vec![before] })));
    let alice = after.iter().find(|p| p.identity == "alice").unwrap();
    assert_eq!(alice.permission.as_ref().unwrap().can_publish_sources, [0], "not: everything");
    assert!(alice.tracks.is_empty(), "it may not publish them any more");
    assert!(in_json(Message::Update(ParticipantUpdate { participants: after })));
    for name in ["alice", "bob"] {
        for message in std::mem::take(&mut w.client(name).log) {
            assert!(in_json(message.clone()), "{name}: {message:?}");
        }
    }
}
