//! PerformRpc: the server calls a participant.

use crate::world::{World, join};
use bedrud_room::{ServiceError, ServiceErrorCode, ServiceRequest, ServiceResponse};
use bedrud_sfu::DataChannel;
use livekit_protocol::data_packet::Value;
use livekit_protocol::rpc_response::Value as Outcome;
use livekit_protocol::{
    DataPacket, DeleteRoomRequest, PerformRpcRequest, RoomParticipantIdentity, RpcAck, RpcError, RpcRequest,
    RpcResponse,
};
use prost::Message as _;
use std::time::Duration;

fn call(to: &str, payload: &str) -> ServiceRequest {
    ServiceRequest::PerformRpc(PerformRpcRequest {
        room: "room".into(),
        destination_identity: to.into(),
        method: "greet".into(),
        payload: payload.into(),
        response_timeout_ms: 5000,
    })
}

fn room() -> World {
    let mut w = World::new();
    for name in ["alice", "bob"] {
        w.join(name, join(false));
        let offer = w.client(name).offer();
        w.send(name, offer);
    }
    w
}

/// The requests a client has received.
fn requests(w: &mut World, name: &str) -> Vec<(DataPacket, RpcRequest)> {
    let id = w.client(name).subscriber.unwrap();
    let packets = w.sent_to(id, DataChannel::Reliable);
    let packets = packets.iter().map(|p| DataPacket::decode(p.as_slice()).unwrap());
    packets
        .filter_map(|p| match p.value.clone() {
            Some(Value::RpcRequest(r)) => Some((p, r)),
            _ => None,
        })
        .collect()
}

fn begin(w: &mut World, id: u64) -> String {
    w.start_service(id, call("alice", "hello"));
    requests(w, "alice").last().unwrap().1.id.clone()
}

fn reply(w: &mut World, from: &str, value: Value) {
    let packet = DataPacket { value: Some(value), ..DataPacket::default() };
    w.data(from, DataChannel::Reliable, packet.encode_to_vec());
}

fn ack(w: &mut World, from: &str, id: &str) {
    reply(w, from, Value::RpcAck(RpcAck { request_id: id.into() }));
}

fn answer(w: &mut World, from: &str, id: &str, value: Outcome) {
    reply(w, from, Value::RpcResponse(RpcResponse { request_id: id.into(), value: Some(value) }));
}

fn outcome(w: &mut World) -> Result<ServiceResponse, ServiceError> {
    assert_eq!(w.replies.len(), 1, "exactly one answer");
    w.replies.pop().unwrap()
}

fn failure(w: &mut World) -> (ServiceErrorCode, String) {
    let error = outcome(w).unwrap_err();
    (error.code, error.message)
}

#[test]
fn participant_is_asked_and_its_answer_comes_back() {
    let mut w = room();
    w.start_service(7, call("alice", "hello"));
    assert!(w.replies.is_empty());
    let (packet, request) = requests(&mut w, "alice").pop().unwrap();
    assert_eq!((request.method.as_str(), request.payload.as_str(), request.version), ("greet", "hello", 1));
    assert_eq!(request.response_timeout_ms, 5000);
    assert_eq!(packet.participant_identity, request.id, "the caller appears under the id of the call");
    ack(&mut w, "alice", &request.id);
    w.advance(Duration::from_secs(4));
    answer(&mut w, "alice", &request.id, Outcome::Payload("hi".into()));
    assert_eq!(outcome(&mut w), Ok(ServiceResponse::RpcPayload("hi".into())));
    assert!(requests(&mut w, "bob").is_empty());
    let id = w.client("bob").subscriber.unwrap();
    assert!(w.sent_to(id, DataChannel::Reliable).is_empty(), "nobody else sees the answer");
    w.advance(Duration::from_secs(20));
    assert!(w.replies.is_empty());
}

#[test]
fn unconfirmed_call_times_out_sooner_than_an_unanswered_one() {
    let mut w = room();
    begin(&mut w, 1);
    w.advance(Duration::from_millis(1999));
    assert!(w.replies.is_empty());
    w.advance(Duration::from_millis(1));
    assert_eq!(failure(&mut w), (ServiceErrorCode::Canceled, "RpcError 1501: Connection timeout".into()));
    let id = begin(&mut w, 2);
    ack(&mut w, "alice", &id);
    w.advance(Duration::from_millis(4999));
    assert!(w.replies.is_empty());
    w.advance(Duration::from_millis(1));
    assert_eq!(failure(&mut w), (ServiceErrorCode::Canceled, "RpcError 1502: Response timeout".into()));
    answer(&mut w, "alice", &id, Outcome::Payload("late".into()));
    assert!(w.replies.is_empty());
}

#[test]
fn each_error_of_the_recipient_has_its_code() {
    use ServiceErrorCode as C;
    let mut w = room();
    for (code, kind) in [
        (1400, C::InvalidArgument),
        (1401, C::NotFound),
        (1402, C::Malformed),
        (1403, C::Unimplemented),
        (1404, C::Unimplemented),
        (1500, C::Internal),
        (1501, C::Canceled),
        (1502, C::Canceled),
        (1503, C::Unavailable),
        (1504, C::Malformed),
        (1505, C::Internal),
        (42, C::Internal),
    ] {
        let id = begin(&mut w, 1);
        let error = RpcError { code, message: "why".into(), data: "more".into() };
        answer(&mut w, "alice", &id, Outcome::Error(error));
        assert_eq!(failure(&mut w), (kind, format!("RpcError {code}: why: more")));
    }
    let id = begin(&mut w, 1);
    answer(&mut w, "alice", &id, Outcome::Payload("x".repeat(15_361)));
    assert_eq!(failure(&mut w).1, "RpcError 1504: Response payload too large");
    let id = begin(&mut w, 1);
    answer(&mut w, "alice", &id, Outcome::CompressedPayload(vec![1]));
    assert_eq!(failure(&mut w).1, "RpcError 1404: Unsupported RPC version");
}

#[test]
fn only_the_one_who_was_asked_can_answer() {
    let mut w = room();
    let id = begin(&mut w, 1);
    answer(&mut w, "bob", &id, Outcome::Payload("forged".into()));
    assert!(w.replies.is_empty());
    answer(&mut w, "alice", &id, Outcome::Payload("true".into()));
    assert_eq!(outcome(&mut w), Ok(ServiceResponse::RpcPayload("true".into())));
}

#[test]
fn recipient_without_data_right_still_answers() {
    let mut w = World::new();
    w.join("alice", join(false).grant(|g| g.can_publish_data = Some(false)));
    let offer = w.client("alice").offer();
    w.send("alice", offer);
    let id = begin(&mut w, 1);
    answer(&mut w, "alice", &id, Outcome::Payload("yes".into()));
    assert_eq!(outcome(&mut w), Ok(ServiceResponse::RpcPayload("yes".into())));
}

#[test]
fn departure_ends_calls() {
    for way in 0..3 {
        let mut w = room();
        begin(&mut w, 1);
        match way {
            0 => {
                let (room, identity) = ("room".into(), "alice".into());
                let r = RoomParticipantIdentity { room, identity, ..Default::default() };
                w.start_service(2, ServiceRequest::RemoveParticipant(r));
            }
            1 => w.start_service(2, ServiceRequest::DeleteRoom(DeleteRoomRequest { room: "room".into() })),
            _ => drop(w.join("alice2", join(false).with(|p| p.claims.sub = "alice".into()))),
        }
        let gone = w.replies.iter().find_map(|r| r.as_ref().err()).unwrap();
        assert_eq!(
            (gone.code, gone.message.as_str()),
            (ServiceErrorCode::Unavailable, "RpcError 1503: Recipient disconnected")
        );
    }
}

#[test]
fn impossible_calls_are_refused_at_once() {
    let mut w = room();
    let refused = |w: &mut World, r| {
        w.start_service(1, r);
        failure(w)
    };
    assert_eq!(
        refused(&mut w, call("alice", &"x".repeat(15_361))),
        (ServiceErrorCode::Malformed, "RpcError 1402: Request payload too large".into())
    );
    assert_eq!(
        refused(&mut w, call("nobody", "")),
        (ServiceErrorCode::NotFound, "participant does not exist".into())
    );
    let elsewhere = PerformRpcRequest { room: "none".into(), ..PerformRpcRequest::default() };
    assert_eq!(
        refused(&mut w, ServiceRequest::PerformRpc(elsewhere)),
        (ServiceErrorCode::NotFound, "requested room does not exist".into())
    );
    for i in 0..64 {
        w.start_service(i, call("alice", ""));
    }
    assert!(w.replies.is_empty());
    assert_eq!(refused(&mut w, call("alice", "")).0, ServiceErrorCode::ResourceExhausted);
    w.start_service(99, call("bob", ""));
    assert!(w.replies.is_empty());
}
