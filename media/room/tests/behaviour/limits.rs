//! Subscriptions that wait, fail or are too many; small values kept for others.

use crate::client::subscribe;
use crate::world::{World, join};
use bedrud_sfu::DataChannel;
use livekit_protocol::data_blob_key::Key;
use livekit_protocol::data_packet::Value;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    DataBlob, DataBlobKey, DataPacket, GetDataBlobRequest, MetricSample, MetricsBatch, StoreDataBlobRequest,
    SubscriptionError, TimeSeriesMetric,
};
use prost::Message as _;
use std::time::Duration;

fn subscription_error(w: &mut World, name: &str) -> Option<i32> {
    w.client(name).find(|m| match m {
        Message::SubscriptionResponse(r) => Some(r.err),
        _ => None,
    })
}

#[test]
fn a_subscription_that_does_not_begin_is_reported_after_fifteen_seconds() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.join("bob", join(true));
    w.client("bob").mute_negotiation = true;
    for n in 0..5 {
        // More than the sections it came with.
        w.publish("alice", &format!("cam{n}"), true);
    }
    w.advance(Duration::from_secs(11));
    assert_eq!(subscription_error(&mut w, "bob"), None);
    w.advance(Duration::from_secs(20));
    assert_eq!(subscription_error(&mut w, "bob"), Some(SubscriptionError::SeUnknown as i32));
    let told = w.client("bob").log.iter().filter(|m| matches!(m, Message::SubscriptionResponse(_))).count();
    w.advance(Duration::from_secs(60));
    let later = w.client("bob").log.iter().filter(|m| matches!(m, Message::SubscriptionResponse(_))).count();
    assert_eq!(told, later, "once each");
    // They are still wanted: the client need only offer.
    w.client("bob").mute_negotiation = false;
    for _ in 0..5 {
        w.client("bob").add_receiving(true);
    }
    let offer = w.client("bob").offer();
    w.send("bob", offer);
    w.settle();
    assert_eq!(w.client("bob").receiving.len(), 5);
}

#[test]
fn subscriptions_beyond_the_limit_wait_for_a_place() {
    let mut w = World::with(|c| {
        c.limits.subscriptions_video = 2;
        c.limits.subscriptions_audio = 1;
    });
    w.join("alice", join(false));
    w.join("bob", join(false));
    let mut cams = Vec::new();
    for n in 0..4 {
        cams.push(w.publish("alice", &format!("cam{n}"), true));
        w.advance(Duration::from_secs(1));
    }
    w.publish("alice", "mic0", false);
    w.publish("alice", "mic1", false);
    let carried = |w: &mut World| {
        w.settle();
        let mut all: Vec<String> = w.client("bob").receiving.values().cloned().collect();
        all.sort();
        all
    };
    assert_eq!(carried(&mut w).len(), 3);
    assert!(subscription_error(&mut w, "bob").is_none(), "waiting is no error");
    w.send("bob", subscribe(&cams[0], false));
    let now = carried(&mut w);
    assert!(now.contains(&cams[1]) && now.contains(&cams[2]) && now.len() == 3, "the oldest wish is next");
    w.unpublish("alice", "cam1");
    let now = carried(&mut w);
    assert!(now.contains(&cams[2]) && now.contains(&cams[3]) && now.len() == 3);
    w.unpublish("alice", "mic0");
    assert_eq!(carried(&mut w).len(), 3);
}

fn key(name: &str) -> Option<DataBlobKey> {
    Some(DataBlobKey { key: Some(Key::Generic(name.into())) })
}

fn store(name: &str, contents: &[u8]) -> Request {
    let blob = DataBlob { key: key(name), contents: contents.to_vec() };
    Request::StoreDataBlobRequest(StoreDataBlobRequest { request_id: 7, blob: Some(blob) })
}

fn get(identity: &str, name: &str) -> Request {
    let participant_identity = identity.into();
    Request::GetDataBlobRequest(GetDataBlobRequest { request_id: 8, participant_identity, key: key(name) })
}

/// Refusal or contents of the last answer, with its request id.
fn answered(w: &mut World, name: &str) -> Option<(u32, Result<Vec<u8>, i32>)> {
    w.client(name).find(|m| match m {
        Message::RequestResponse(r) => Some((r.request_id, Err(r.reason))),
        Message::StoreDataBlobResponse(r) => Some((r.request_id, Ok(Vec::new()))),
        Message::GetDataBlobResponse(r) => Some((r.request_id, Ok(r.blob.clone()?.contents))),
        _ => None,
    })
}

#[test]
fn blobs_are_kept_within_limits_and_given_to_who_asks() {
    let mut w = World::with(|c| c.data_blobs = true);
    w.join("alice", join(true));
    w.join("bob", join(true));
    let mut ask = |name: &str, request: Request| {
        w.send(name, request);
        answered(&mut w, name)
    };
    assert_eq!(ask("alice", store("schema", b"one")), Some((7, Ok(vec![]))));
    assert_eq!(ask("bob", get("alice", "schema")), Some((8, Ok(b"one".to_vec()))));
    assert_eq!(ask("alice", store("schema", b"two")), Some((7, Ok(vec![]))));
    assert_eq!(ask("bob", get("alice", "schema")), Some((8, Ok(b"two".to_vec()))));
    let refused = |reason: Reason, id| Some((id, Err(reason as i32)));
    assert_eq!(ask("bob", get("alice", "other")), refused(Reason::NotFound, 8));
    assert_eq!(ask("bob", get("nobody", "schema")), refused(Reason::NotFound, 8));
    assert_eq!(ask("alice", store("", b"x")), refused(Reason::InvalidRequest, 7));
    assert_eq!(ask("alice", store(&"k".repeat(300), b"x")), refused(Reason::InvalidRequest, 7));
    assert_eq!(ask("alice", store("empty", b"")), refused(Reason::InvalidRequest, 7));
    assert_eq!(ask("alice", store("large", &[0; 64_000])), refused(Reason::LimitExceeded, 7));
    assert_eq!(ask("alice", store("schema", &[0; 60_000])), Some((7, Ok(vec![]))), "replaces its own bytes");
    assert_eq!(ask("alice", store("more", &[0; 5_000])), refused(Reason::LimitExceeded, 7));
}

#[test]
fn blobs_are_off_unless_enabled() {
    let mut w = World::new();
    w.join("alice", join(true));
    w.send("alice", store("schema", b"one"));
    assert_eq!(answered(&mut w, "alice"), Some((7, Err(Reason::NotAllowed as i32))));
}

#[test]
fn metrics_go_with_our_times_to_those_who_may_have_them() {
    let mut w = World::new();
    let reader = || join(true).grant(|g| g.can_subscribe_metrics = Some(true));
    w.join("alice", join(true));
    w.join("agent", reader());
    w.join("stranger", reader().with(|p| p.auto_subscribe = false));
    w.join("bob", join(true));
    w.publish("alice", "mic", false);
    let clock = i64::try_from(w.unix_ms()).unwrap() - 3_600_000;
    let sample = MetricSample { timestamp_ms: clock - 500, value: 1.5, ..MetricSample::default() };
    let batch = MetricsBatch {
        timestamp_ms: clock,
        str_data: vec!["label".into()],
        time_series: vec![TimeSeriesMetric { samples: vec![sample], ..TimeSeriesMetric::default() }],
        ..MetricsBatch::default()
    };
    let packet = DataPacket { value: Some(Value::Metrics(batch)), ..DataPacket::default() };
    w.data("alice", DataChannel::Reliable, packet.encode_to_vec());
    let mut got = |name: &str| {
        let id = w.client(name).publisher.unwrap();
        let packets = w.sent_to(id, DataChannel::Reliable);
        packets.iter().map(|p| DataPacket::decode(p.as_slice()).unwrap()).collect::<Vec<_>>()
    };
    for name in ["alice", "stranger", "bob"] {
        assert!(got(name).is_empty(), "{name}");
    }
    let packets = got("agent");
    assert_eq!((packets.len(), packets[0].participant_identity.as_str()), (1, "alice"));
    let Some(Value::Metrics(batch)) = &packets[0].value else { panic!("metrics") };
    let millis = |t: &Option<_>| {
        let t: &livekit_protocol::MetricsBatch =
            &MetricsBatch { normalized_timestamp: *t, ..Default::default() };
        let t = t.normalized_timestamp.as_ref().unwrap();
        t.seconds * 1000 + i64::from(t.nanos) / 1_000_000
    };
    let now = i64::try_from(w.unix_ms()).unwrap();
    assert!((millis(&batch.normalized_timestamp) - now).abs() <= 1000);
    let sample = &batch.time_series[0].samples[0];
    assert_eq!(millis(&batch.normalized_timestamp) - millis(&sample.normalized_timestamp), 500);
    assert_eq!(batch.str_data, ["label"]);
}
