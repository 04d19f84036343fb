use crate::client::Client;
use crate::whip;
use crate::world::{World, join};
use bedrud_room::{OneShotRole, ServiceRequest};
use bedrud_sfu::{DataChannel, Event, TransportId};
use livekit_protocol::data_packet::Value;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    ChatMessage, DataPacket, EncryptedPacket, PublishDataTrackRequest, SendDataRequest, Transcription,
    UnpublishDataTrackRequest, UpdateDataSubscription, UserPacket, update_data_subscription::Update,
};
use prost::Message as _;

fn user(payload: &[u8], to: &[&str]) -> DataPacket {
    let user = UserPacket { payload: payload.to_vec(), ..UserPacket::default() };
    DataPacket {
        destination_identities: to.iter().map(|s| (*s).to_owned()).collect(),
        value: Some(Value::User(user)),
        ..DataPacket::default()
    }
}

/// Everybody, with a publisher connection.
fn room() -> World {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("bob", join(false));
    w.join("carol", join(true));
    for name in ["alice", "bob"] {
        let offer = w.client(name).offer();
        w.send(name, offer);
    }
    w
}

fn downstream(c: &Client) -> TransportId {
    if c.single_pc { c.publisher.unwrap() } else { c.subscriber.unwrap() }
}

fn received(w: &mut World, name: &str, channel: DataChannel) -> Vec<DataPacket> {
    let id = downstream(w.client(name));
    w.sent_to(id, channel).iter().map(|p| DataPacket::decode(p.as_slice()).unwrap()).collect()
}

/// A client that has opened none of the labelled channels.
fn without_labels(w: &mut World, id: TransportId) {
    for channel in DataChannel::ALL {
        w.shard_event(Event::ChannelClosed { id, channel });
    }
}

#[test]
fn bytes_on_a_channel_with_another_label_are_user_packets_for_the_others() {
    let mut w = room();
    let sound = [whip::section("0", false, "sendonly", false)];
    let opened = whip::open(&mut w, "camera", OneShotRole::Publish, &sound, |_| {}).unwrap();
    let id = whip::transport(&opened);
    without_labels(&mut w, id);
    w.data("alice", DataChannel::Reliable, user(b"early", &[]).encode_to_vec());
    w.shard_event(Event::ChannelOpen { id, channel: DataChannel::Unlabelled });
    w.shard_event(Event::Data { id, channel: DataChannel::Unlabelled, payload: b"raw".to_vec().into() });
    for name in ["bob", "carol"] {
        let got = received(&mut w, name, DataChannel::Reliable).pop().unwrap();
        assert_eq!((got.participant_identity.as_str(), &got.participant_sid), ("camera", &opened.sid));
        let Some(Value::User(u)) = &got.value else { panic!("user packet") };
        assert_eq!((u.payload.as_slice(), u.participant_identity.as_str()), (&b"raw"[..], "camera"));
    }
    w.data("alice", DataChannel::Lossy, user(b"psst", &["camera"]).encode_to_vec());
    let chat =
        DataPacket { value: Some(Value::ChatMessage(ChatMessage::default())), ..DataPacket::default() };
    w.data("alice", DataChannel::Reliable, chat.encode_to_vec());
    assert_eq!(w.sent_to(id, DataChannel::Unlabelled), [b"early".to_vec(), b"psst".to_vec()]);
}

/// A page that opens a channel beside those of its SDK.
#[test]
fn a_channel_of_its_own_takes_nothing_from_an_sdk() {
    let mut w = room();
    let id = w.client("carol").publisher.unwrap();
    without_labels(&mut w, id);
    w.shard_event(Event::ChannelOpen { id, channel: DataChannel::Unlabelled });
    w.data("alice", DataChannel::Reliable, user(b"early", &[]).encode_to_vec());
    assert!(w.sent_to(id, DataChannel::Unlabelled).is_empty());
    w.shard_event(Event::ChannelOpen { id, channel: DataChannel::Reliable });
    assert_eq!(received(&mut w, "carol", DataChannel::Reliable).len(), 1, "kept until its channel was open");
    w.data("carol", DataChannel::Unlabelled, b"beside".to_vec());
    assert_eq!(received(&mut w, "bob", DataChannel::Reliable).len(), 2);
}

#[test]
fn packet_reaches_everyone_else_with_its_true_sender() {
    let mut w = room();
    let mut forged = user(b"hi", &[]);
    forged.participant_identity = "carol".into();
    w.data("alice", DataChannel::Reliable, forged.encode_to_vec());
    let sid = w.client("alice").sid();
    for name in ["bob", "carol"] {
        let got = received(&mut w, name, DataChannel::Reliable);
        assert_eq!(got.len(), 1, "{name}");
        assert_eq!((got[0].participant_identity.as_str(), &got[0].participant_sid), ("alice", &sid));
        let Some(Value::User(u)) = &got[0].value else { panic!("user packet") };
        assert_eq!((u.payload.as_slice(), u.participant_identity.as_str()), (&b"hi"[..], "alice"));
    }
    assert!(received(&mut w, "alice", DataChannel::Reliable).is_empty());
}

#[test]
fn destinations_are_respected_and_lossy_stays_lossy() {
    let mut w = room();
    w.data("alice", DataChannel::Lossy, user(b"psst", &["carol"]).encode_to_vec());
    assert_eq!(received(&mut w, "carol", DataChannel::Lossy)[0].kind, 1);
    assert!(received(&mut w, "bob", DataChannel::Lossy).is_empty());
    w.data("alice", DataChannel::Reliable, user(b"psst", &["nobody"]).encode_to_vec());
    assert!(received(&mut w, "carol", DataChannel::Reliable).is_empty());
    let to_sid = UserPacket { destination_sids: vec![w.client("bob").sid()], ..UserPacket::default() };
    let packet = DataPacket { value: Some(Value::User(to_sid)), ..DataPacket::default() };
    w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    assert_eq!(received(&mut w, "bob", DataChannel::Reliable).len(), 1);
    assert!(received(&mut w, "carol", DataChannel::Reliable).is_empty());
}

#[test]
fn repeated_sequence_numbers_and_nonces_are_dropped() {
    let mut w = room();
    for sequence in [1, 2, 2, 1, 3] {
        let packet = DataPacket { sequence, ..user(b"x", &[]) };
        w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    }
    let got: Vec<u32> = received(&mut w, "bob", DataChannel::Reliable).iter().map(|p| p.sequence).collect();
    assert_eq!(got, [1, 2, 3]);
    for _ in 0..2 {
        let u = UserPacket { nonce: vec![9; 16], ..UserPacket::default() };
        let packet = DataPacket { value: Some(Value::User(u)), ..DataPacket::default() };
        w.data("alice", DataChannel::Lossy, packet.encode_to_vec());
    }
    assert_eq!(received(&mut w, "bob", DataChannel::Lossy).len(), 1);
}

#[test]
fn sender_without_the_right_is_not_heard() {
    let mut w = World::new();
    w.join("alice", join(true).grant(|g| g.can_publish_data = Some(false)));
    w.join("bob", join(false));
    w.data("alice", DataChannel::Reliable, user(b"x", &[]).encode_to_vec());
    assert!(received(&mut w, "bob", DataChannel::Reliable).is_empty());
}

#[test]
fn hidden_sender_stays_anonymous() {
    let mut w = World::new();
    w.join("ghost", join(true).grant(|g| g.hidden = true));
    w.join("bob", join(false));
    w.data("ghost", DataChannel::Reliable, user(b"boo", &[]).encode_to_vec());
    let got = received(&mut w, "bob", DataChannel::Reliable);
    assert_eq!((got[0].participant_identity.as_str(), got[0].participant_sid.as_str()), ("", ""));
    assert!(w.client("bob").sees("ghost").is_none());
}

#[test]
fn only_agents_transcribe_and_speak_for_others() {
    let mut w = room();
    w.join("agent", join(true).grant(|g| g.agent = true));
    let transcription =
        DataPacket { value: Some(Value::Transcription(Transcription::default())), ..Default::default() };
    w.data("alice", DataChannel::Reliable, transcription.encode_to_vec());
    assert!(received(&mut w, "bob", DataChannel::Reliable).is_empty());
    w.data("agent", DataChannel::Reliable, transcription.encode_to_vec());
    assert_eq!(received(&mut w, "bob", DataChannel::Reliable).len(), 1);
    let chat = DataPacket {
        participant_identity: "carol".into(),
        value: Some(Value::ChatMessage(ChatMessage { message: "as told".into(), ..ChatMessage::default() })),
        ..DataPacket::default()
    };
    w.data("alice", DataChannel::Reliable, chat.encode_to_vec());
    w.data("agent", DataChannel::Reliable, chat.encode_to_vec());
    let got = received(&mut w, "bob", DataChannel::Reliable);
    assert_eq!(got[1].participant_identity, "alice");
    assert_eq!(got[2].participant_identity, "carol");
    assert!(matches!(&got[2].value, Some(Value::ChatMessage(c)) if c.generated));
}

#[test]
fn encrypted_packets_pass_unchanged() {
    let mut w = room();
    let secret =
        EncryptedPacket { encrypted_value: vec![1, 2, 3], iv: vec![4], key_index: 5, ..Default::default() };
    let packet =
        DataPacket { sequence: 1, value: Some(Value::EncryptedPacket(secret.clone())), ..Default::default() };
    w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    let got = received(&mut w, "bob", DataChannel::Reliable).remove(0);
    assert_eq!(got.value, Some(Value::EncryptedPacket(secret)));
}

#[test]
fn reliable_data_waits_for_a_joiner_and_lossy_data_does_not() {
    let mut w = room();
    w.shard.reachable = false;
    w.join("late", join(false));
    for i in 1..=3u8 {
        let packet = DataPacket { sequence: i.into(), ..user(&[i], &[]) };
        w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
        w.data("alice", DataChannel::Lossy, user(&[i], &[]).encode_to_vec());
    }
    let id = w.client("late").subscriber.unwrap();
    assert!(w.sent_to(id, DataChannel::Reliable).is_empty());
    let path = bedrud_sfu::SelectedPath { tcp: false, remote: "192.0.2.9:1".parse().unwrap() };
    w.shard_event(Event::Connected { id, path });
    for channel in DataChannel::ALL {
        w.shard_event(Event::ChannelOpen { id, channel });
    }
    let got: Vec<u32> = received(&mut w, "late", DataChannel::Reliable).iter().map(|p| p.sequence).collect();
    assert_eq!(got, [1, 2, 3]);
    assert!(w.sent_to(id, DataChannel::Lossy).is_empty());
}

#[test]
fn early_data_is_bounded() {
    let mut w = room();
    w.shard.reachable = false;
    w.join("late", join(false));
    for sequence in 1..=30 {
        let packet = DataPacket { sequence, ..user(&[0; 10_000], &[]) };
        w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    }
    let id = w.client("late").subscriber.unwrap();
    w.shard_event(Event::ChannelOpen { id, channel: DataChannel::Reliable });
    let got = received(&mut w, "late", DataChannel::Reliable);
    assert!(got.len() < 10 && got.last().unwrap().sequence == 30, "the newest 100 000 bytes are kept");
}

#[test]
fn server_api_data_has_no_sender() {
    let mut w = room();
    let request = SendDataRequest {
        room: "room".into(),
        data: b"news".to_vec(),
        destination_identities: vec!["bob".into()],
        topic: Some("t".into()),
        ..SendDataRequest::default()
    };
    w.service(ServiceRequest::SendData(request)).unwrap();
    let got = received(&mut w, "bob", DataChannel::Reliable).remove(0);
    assert_eq!(got.participant_identity, "");
    assert!(
        matches!(got.value, Some(Value::User(u)) if u.payload == b"news" && u.topic.as_deref() == Some("t"))
    );
    assert!(received(&mut w, "alice", DataChannel::Reliable).is_empty());
}

fn data_track(handle: u32, name: &str) -> PublishDataTrackRequest {
    PublishDataTrackRequest { pub_handle: handle, name: name.into(), ..PublishDataTrackRequest::default() }
}

#[test]
fn data_track_packets_are_forwarded_with_the_subscribers_handle() {
    let mut w = room();
    w.send("alice", Request::PublishDataTrackRequest(data_track(7, "imu")));
    let info = w.client("alice").find(|m| match m {
        Message::PublishDataTrackResponse(r) => r.info.clone(),
        _ => None,
    });
    let info = info.unwrap();
    assert!(info.sid.starts_with("DTR_"));
    assert_eq!(w.client("bob").sees("alice").unwrap().data_tracks[0], info);
    let update = Update { track_sid: info.sid.clone(), subscribe: true, options: None };
    w.send("bob", Request::UpdateDataSubscription(UpdateDataSubscription { updates: vec![update] }));
    let handles = |w: &mut World| {
        w.client("bob").find(|m| match m {
            Message::DataTrackSubscriberHandles(h) => Some(h.sub_handles.clone()),
            _ => None,
        })
    };
    let map = handles(&mut w).unwrap();
    let (handle, track) = map.iter().next().unwrap();
    assert_eq!((track.track_sid.as_str(), track.publisher_identity.as_str()), (info.sid.as_str(), "alice"));
    let packet = [&[0x18, 0, 0, 7, 0, 1, 0, 2, 0, 0, 0, 3][..], b"payload"].concat();
    w.data("alice", DataChannel::DataTrack, packet.clone());
    let id = w.client("bob").subscriber.unwrap();
    let got = w.sent_to(id, DataChannel::DataTrack).remove(0);
    assert_eq!(u32::from(u16::from_be_bytes([got[2], got[3]])), *handle);
    assert_eq!((&got[..2], &got[4..]), (&packet[..2], &packet[4..]));
    let carol = w.client("carol").publisher.unwrap();
    assert!(w.sent_to(carol, DataChannel::DataTrack).is_empty());
    w.send("alice", Request::UnpublishDataTrackRequest(UnpublishDataTrackRequest { pub_handle: 7 }));
    assert!(handles(&mut w).unwrap().is_empty());
    assert!(w.client("bob").sees("alice").unwrap().data_tracks.is_empty());
}

#[test]
fn data_tracks_can_be_switched_off() {
    let mut w = World::with(|c| c.data_tracks = false);
    w.join("alice", join(true));
    w.send("alice", Request::PublishDataTrackRequest(data_track(7, "imu")));
    let refused = w.client("alice").find(|m| match m {
        Message::RequestResponse(r) => Some((r.reason, r.message.clone())),
        _ => None,
    });
    assert_eq!(refused, Some((Reason::NotAllowed as i32, "data tracks are disabled".to_owned())));
}

#[test]
fn wrong_data_track_requests_are_answered_with_their_reason() {
    let mut w = room();
    w.join("mute", join(true).grant(|g| g.can_publish_data = Some(false)));
    w.send("alice", Request::PublishDataTrackRequest(data_track(1, "a")));
    let long = "x".repeat(257);
    let cases = [
        ("alice", data_track(0, "b"), Reason::InvalidHandle),
        ("alice", data_track(65_536, "b"), Reason::InvalidHandle),
        ("alice", data_track(2, ""), Reason::InvalidName),
        ("alice", data_track(2, &long), Reason::InvalidName),
        ("alice", data_track(1, "b"), Reason::DuplicateHandle),
        ("alice", data_track(2, "a"), Reason::DuplicateName),
        ("mute", data_track(2, "b"), Reason::NotAllowed),
    ];
    for (name, request, reason) in cases {
        w.send(name, Request::PublishDataTrackRequest(request.clone()));
        let got = w.client(name).find(|m| match m {
            Message::RequestResponse(r) => Some(r.reason),
            _ => None,
        });
        assert_eq!(got, Some(reason as i32), "{request:?}");
    }
}

#[test]
fn garbage_on_data_channels_is_ignored() {
    let mut w = room();
    for channel in DataChannel::ALL {
        for len in [0, 1, 3, 11, 12, 500] {
            w.data("alice", channel, vec![0xff; len]);
        }
    }
    assert!(w.shard.sent.is_empty() && w.client("alice").closed.is_none());
}
