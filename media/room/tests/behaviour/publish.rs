use crate::client::add_track;
use crate::world::{World, join, layers};
use bedrud_room::RoomEvent;
use bedrud_rtp::Codec;
use bedrud_sfu::{Event, SelectedPath};
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, AudioTrackFeature, MuteTrackRequest, SimulcastCodec, UpdateLocalVideoTrack,
};

fn reason(m: &Message) -> Option<i32> {
    match m {
        Message::RequestResponse(r) => Some(r.reason),
        _ => None,
    }
}

#[test]
fn track_is_confirmed_before_media_and_announced_after_negotiation() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.send("alice", Request::AddTrack(add_track("cam", true)));
    let confirmed = w.client("alice").confirmed("cam").unwrap();
    assert!(confirmed.sid.starts_with("TR_VC"));
    assert!(w.client("bob").sees("alice").unwrap().tracks.is_empty());
    w.client("alice").add_sending("cam", true, true);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    let seen = w.client("bob").sees("alice").unwrap();
    assert!(seen.is_publisher);
    assert_eq!(seen.tracks[0].sid, confirmed.sid);
    assert_eq!((seen.tracks[0].mime_type.as_str(), seen.tracks[0].mid.as_str()), ("video/VP8", "0"));
    assert_eq!(seen.tracks[0].stream, "camera");
    assert!(
        w.events
            .iter()
            .any(|e| matches!(e, RoomEvent::TrackPublished { track, .. } if track.sid == confirmed.sid))
    );
    let own =
        |m: &Message| matches!(m, Message::Update(u) if u.participants.iter().any(|p| p.identity == "alice"));
    assert!(!w.client("alice").log.iter().any(own), "the publisher is not told about its own track");
}

#[test]
fn platform_hears_of_tracks_only_when_their_connection_is_up() {
    let told = |w: &World| -> Vec<&'static str> {
        let name = |e: &RoomEvent| match e {
            RoomEvent::ParticipantJoined { .. } => Some("joined"),
            RoomEvent::TrackPublished { .. } => Some("published"),
            RoomEvent::TrackUnpublished { .. } => Some("unpublished"),
            RoomEvent::ParticipantConnectionAborted { .. } => Some("aborted"),
            _ => None,
        };
        w.events.iter().filter_map(name).collect()
    };
    let mut w = World::new();
    w.shard.reachable = false;
    w.join("alice", join(true));
    w.publish("alice", "cam", true);
    assert_eq!(told(&w), [] as [&str; 0]);
    let (id, remote) = (w.client("alice").publisher.unwrap(), "192.0.2.7:5000".parse().unwrap());
    let path = SelectedPath { tcp: false, remote };
    w.shard_event(Event::Connected { id, path });
    assert_eq!(told(&w), ["joined", "published"]);
    w.unpublish("alice", "cam");
    w.publish("alice", "cam2", true);
    assert_eq!(told(&w)[2..], ["unpublished", "published"]);

    let mut w = World::new();
    w.shard.reachable = false;
    w.join("bob", join(true));
    w.publish("bob", "cam", true);
    w.send("bob", Request::Leave(Default::default()));
    assert_eq!(told(&w), ["aborted"], "what nobody was told of does not end");
}

#[test]
fn simulcast_layers_reach_shard_and_track_info() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    let up = w.shard.ups.values().next().unwrap();
    let rids: Vec<_> = up.layers.iter().map(|l| l.rid.unwrap().to_string()).collect();
    assert_eq!(rids, ["q", "h", "f"]);
    assert!(up.payload_types.iter().any(|p| p.codec == Codec::Vp8 && p.rtx == Some(97) && p.nack));
    let info = &w.client("bob").sees("alice").unwrap().tracks[0];
    let rids: Vec<_> = info.layers.iter().map(|l| (l.rid.as_str(), l.spatial_layer)).collect();
    assert_eq!(rids, [("q", 0), ("h", 1), ("f", 2)]);
    assert!(info.simulcast && info.codecs[0].mid == "0");
}

#[test]
fn offer_may_come_before_add_track() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.client("alice").add_sending("mic", false, false);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    assert!(w.shard.ups.is_empty());
    w.send("alice", Request::AddTrack(add_track("mic", false)));
    assert_eq!(w.shard.ups.len(), 1);
    assert_eq!(w.client("bob").sees("alice").unwrap().tracks.len(), 1);
}

#[test]
fn track_ids_changed_by_the_stack_are_matched_by_kind() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.send("alice", Request::AddTrack(add_track("cid-v", true)));
    w.send("alice", Request::AddTrack(add_track("cid-a", false)));
    w.client("alice").add_sending("other-a", false, false);
    w.client("alice").add_sending("other-v", true, false);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    let tracks = w.client("bob").sees("alice").unwrap().tracks;
    assert_eq!(tracks.len(), 2);
    for t in tracks {
        let wanted = if t.r#type == 1 { ("cid-v", "other-v") } else { ("cid-a", "other-a") };
        assert_eq!((t.codecs[0].cid.as_str(), t.codecs[0].sdp_cid.as_str()), wanted);
    }
}

#[test]
fn exact_names_win_over_kinds() {
    let mut w = World::new();
    w.join("alice", join(false));
    for cid in ["one", "two"] {
        w.send("alice", Request::AddTrack(add_track(cid, true)));
    }
    for cid in ["two", "one"] {
        w.client("alice").add_sending(cid, true, false);
    }
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    let two = w.client("alice").confirmed("two").unwrap().sid;
    w.join("bob", join(false));
    let tracks = &w.client("bob").join_response().other_participants[0].tracks;
    assert_eq!(tracks.iter().find(|t| t.sid == two).unwrap().mid, "0");
}

#[test]
fn inactive_section_unpublishes() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let sid = w.publish("alice", "cam", true);
    assert_eq!(w.shard.downs.len(), 1);
    w.unpublish("alice", "cam");
    assert!(w.shard.ups.is_empty() && w.shard.downs.is_empty());
    let seen = w.client("bob").sees("alice").unwrap();
    assert!(seen.tracks.is_empty() && seen.is_publisher);
    assert!(w.client("bob").receiving.is_empty());
    assert!(
        w.events.iter().any(|e| matches!(e, RoomEvent::TrackUnpublished { track, .. } if track.sid == sid))
    );
    w.publish("alice", "again", true);
    assert_eq!(w.shard.downs.len(), 1);
}

#[test]
fn reused_section_with_another_track_id_is_another_track() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let first = w.publish("alice", "cam", true);
    w.send("alice", Request::AddTrack(add_track("screen", true)));
    w.client("alice").sections[0].track = Some("screen".into());
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    let tracks = w.client("bob").sees("alice").unwrap().tracks;
    assert_eq!(tracks.len(), 1);
    assert_ne!(tracks[0].sid, first);
}

#[test]
fn mute_is_seen_by_everyone_and_pauses_forwarding() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let sid = w.publish("alice", "mic", false);
    w.send("alice", Request::Mute(MuteTrackRequest { sid: sid.clone(), muted: true }));
    for name in ["alice", "bob"] {
        assert!(w.client(name).sees("alice").unwrap().tracks[0].muted, "{name}");
    }
    assert_eq!(w.shard.muted.len(), 1);
    w.send("alice", Request::Mute(MuteTrackRequest { sid, muted: false }));
    assert!(!w.client("bob").sees("alice").unwrap().tracks[0].muted);
    assert!(w.shard.muted.is_empty());
}

#[test]
fn track_muted_before_its_media_exists_starts_muted() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.send("alice", Request::AddTrack(add_track("mic", false)));
    let sid = w.client("alice").confirmed("mic").unwrap().sid;
    w.send("alice", Request::Mute(MuteTrackRequest { sid, muted: true }));
    w.client("alice").add_sending("mic", false, false);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    assert!(w.client("bob").sees("alice").unwrap().tracks[0].muted);
    assert_eq!(w.shard.muted.len(), 1);
}

#[test]
fn muting_an_unknown_track_is_answered_not_found() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.send("alice", Request::Mute(MuteTrackRequest { sid: "TR_none".into(), muted: true }));
    assert_eq!(w.client("alice").find(reason), Some(Reason::NotFound as i32));
}

#[test]
fn same_client_id_waits_for_the_older_track_to_end() {
    let mut w = World::new();
    w.join("alice", join(false));
    let first = w.publish("alice", "cam", true);
    w.send("alice", Request::AddTrack(add_track("cam", true)));
    assert_eq!(w.client("alice").find(reason), Some(Reason::Queued as i32));
    assert_eq!(w.client("alice").confirmed("cam").unwrap().sid, first);
    w.unpublish("alice", "cam");
    assert_ne!(w.client("alice").confirmed("cam").unwrap().sid, first);
}

#[test]
fn pending_tracks_are_limited() {
    let mut w = World::new();
    w.join("alice", join(false));
    for i in 0..20 {
        w.send("alice", Request::AddTrack(add_track(&format!("c{i}"), false)));
    }
    assert!(w.client("alice").find(reason).is_none());
    w.send("alice", Request::AddTrack(add_track("one-too-many", false)));
    assert_eq!(w.client("alice").find(reason), Some(Reason::LimitExceeded as i32));
}

#[test]
fn audio_options_shape_the_answer() {
    let mut w = World::new();
    w.join("alice", join(false));
    let request =
        AddTrackRequest { stereo: true, disable_red: true, disable_dtx: true, ..add_track("mic", false) };
    w.publish_as("alice", request, false);
    let info = w.client("alice").confirmed("mic").unwrap();
    assert_eq!(info.audio_features, [AudioTrackFeature::TfStereo as i32, AudioTrackFeature::TfNoDtx as i32]);
    let sdp = w.client("alice").last_server_sdp.clone();
    assert!(sdp.contains("stereo=1") && !sdp.contains("usedtx=1"));
    let audio = sdp.lines().find(|l| l.starts_with("m=audio")).unwrap();
    assert!(audio.contains(" 111"), "{audio}");
    assert_eq!(w.shard.ups.values().next().unwrap().payload_types[0].codec, Codec::Opus);
}

#[test]
fn preferred_codec_comes_first_in_the_answer() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let codecs =
        vec![SimulcastCodec { codec: "h264".into(), cid: "cam".into(), ..SimulcastCodec::default() }];
    let request = AddTrackRequest { simulcast_codecs: codecs, layers: layers(), ..add_track("cam", true) };
    w.publish_as("alice", request, true);
    assert_eq!(w.client("bob").sees("alice").unwrap().tracks[0].mime_type, "video/H264");
    let down = w.shard.downs.values().next().unwrap();
    assert!(down.payload_types.iter().all(|p| p.codec == Codec::H264));
}

#[test]
fn unknown_codec_falls_back_to_an_enabled_one() {
    let mut w = World::new();
    w.join("alice", join(false));
    let codecs =
        vec![SimulcastCodec { codec: "theora".into(), cid: "cam".into(), ..SimulcastCodec::default() }];
    w.send(
        "alice",
        Request::AddTrack(AddTrackRequest { simulcast_codecs: codecs, ..add_track("cam", true) }),
    );
    let info = w.client("alice").confirmed("cam").unwrap();
    assert_eq!((info.codecs.len(), info.codecs[0].mime_type.as_str()), (1, "video/VP8"));
}

#[test]
fn codec_seen_on_the_wire_corrects_what_sdp_suggested() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    let track = *w.shard.ups.keys().next().unwrap();
    w.shard_event(Event::UpLayerStarted { track, spatial: 0, ssrc: 99, codec: Codec::H264 });
    w.settle();
    assert_eq!(w.client("bob").sees("alice").unwrap().tracks[0].mime_type, "video/H264");
    let codecs: Vec<_> = w.shard.downs.values().map(|d| d.payload_types[0].codec).collect();
    assert_eq!(codecs, [Codec::H264]);
}

#[test]
fn changed_video_size_is_announced() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    let track_sid = w.publish("alice", "cam", true);
    w.send("alice", Request::UpdateVideoTrack(UpdateLocalVideoTrack { track_sid, width: 640, height: 480 }));
    let t = w.client("bob").sees("alice").unwrap().tracks.remove(0);
    assert_eq!((t.width, t.height), (640, 480));
    let unknown = UpdateLocalVideoTrack { track_sid: "TR_x".into(), width: 1, height: 1 };
    w.send("alice", Request::UpdateVideoTrack(unknown));
    assert_eq!(w.client("alice").find(reason), Some(Reason::NotFound as i32));
}

#[test]
fn publishing_works_on_a_single_connection_beside_receiving() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(true));
    w.publish("alice", "cam", true);
    w.publish("bob", "cam", true);
    assert_eq!(w.shard.ups.len(), 2);
    assert_eq!(w.shard.downs.len(), 2);
    w.unpublish("alice", "cam");
    assert_eq!((w.shard.ups.len(), w.shard.downs.len()), (1, 1));
}

#[test]
fn red_and_opus_of_one_stream_are_no_codec_change() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "mic", false);
    assert_eq!(w.client("bob").sees("alice").unwrap().tracks[0].mime_type, "audio/red");
    let offered = w.shard.downs.values().next().unwrap().clone();
    assert_eq!(offered.payload_types.iter().map(|p| p.codec).collect::<Vec<_>>(), [Codec::Red, Codec::Opus]);
    let track = *w.shard.ups.keys().next().unwrap();
    for codec in [Codec::Opus, Codec::Red, Codec::Opus] {
        w.shard_event(Event::UpLayerStarted { track, spatial: 0, ssrc: 9, codec });
        w.settle();
    }
    assert_eq!(w.client("bob").sees("alice").unwrap().tracks[0].mime_type, "audio/opus");
    assert_eq!(w.shard.downs.values().next(), Some(&offered), "nothing was negotiated again");
}

#[test]
fn a_track_published_again_before_its_end_was_negotiated_takes_its_place() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.publish("alice", "cam", true);
    // The same client id, added before the offer that ends the first one; the offer does both.
    w.send("alice", Request::AddTrack(add_track("cam", true)));
    w.client("alice").stop_sending("cam");
    w.client("alice").add_sending("cam", true, true);
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    w.settle();
    let seen = w.client("bob").sees("alice").unwrap();
    assert_eq!(seen.tracks.len(), 1);
    assert_eq!(w.shard.ups.len(), 1);
    assert_eq!(w.client("bob").receiving.values().collect::<Vec<_>>(), [&seen.tracks[0].sid]);
}
