//! PerformRpc: the server API calls a method that a participant has registered, over its reliable channel. The caller
//! appears to the participant under the id of the call, so the answer finds its way back.

use super::Room;
use crate::context::Cx;
use crate::ids::Pid;
use crate::io::{Output, ServiceError, ServiceErrorCode, ServiceId, ServiceResponse};
use crate::timers::Timer;
use bedrud_sfu::DataChannel;
use bytes::Bytes;
use livekit_protocol::data_packet::{Kind, Value};
use livekit_protocol::rpc_response::Value as Outcome;
use livekit_protocol::{DataPacket, PerformRpcRequest, RpcError, RpcRequest};
use prost::Message as _;
use rand::Rng as _;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Largest payload in either direction, and largest error data, bytes.
const MAX_PAYLOAD: usize = 15_360;
/// Longest error message, bytes.
const MAX_MESSAGE: usize = 256;
/// Longest method name, bytes.
const MAX_METHOD: usize = 256;
/// A participant that has not confirmed a call by then is not reachable.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the answer when the caller names none.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time a caller may ask for.
const MAX_RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);
/// Calls in progress, per participant and per room.
const MAX_PER_PARTICIPANT: usize = 64;
const MAX_PER_ROOM: usize = 1024;

/// How long a call waits for its answer.
#[must_use]
pub fn rpc_timeout(request: &PerformRpcRequest) -> Duration {
    match request.response_timeout_ms {
        0 => RESPONSE_TIMEOUT,
        ms => Duration::from_millis(u64::from(ms)).min(MAX_RESPONSE_TIMEOUT),
    }
}

/// Calls in progress, by their id.
#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<String, Call>);

#[derive(Debug)]
struct Call {
    service: ServiceId,
    pid: Pid,
    /// Until the participant has confirmed the call.
    confirm_by: Option<Instant>,
    answer_by: Instant,
}

impl Call {
    fn due(&self) -> Instant {
        self.confirm_by.map_or(self.answer_by, |at| at.min(self.answer_by))
    }
}

impl Calls {
    /// Whether an answer of this participant is expected.
    pub(super) fn await_answer_of(&self, pid: Pid) -> bool {
        self.0.values().any(|c| c.pid == pid)
    }
}

/// Outcomes that the protocol has numbers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    UnsupportedVersion,
    RequestTooLarge,
    ConnectionTimeout,
    ResponseTimeout,
    RecipientDisconnected,
    ResponseTooLarge,
}

impl Failure {
    fn error(self) -> ServiceError {
        let (code, text) = match self {
            Self::RequestTooLarge => (1402, "Request payload too large"),
            Self::UnsupportedVersion => (1404, "Unsupported RPC version"),
            Self::ConnectionTimeout => (1501, "Connection timeout"),
            Self::ResponseTimeout => (1502, "Response timeout"),
            Self::RecipientDisconnected => (1503, "Recipient disconnected"),
            Self::ResponseTooLarge => (1504, "Response payload too large"),
        };
        rpc_error(code, text, "")
    }
}

impl Room {
    /// Sends the call. `None`: the answer comes later.
    pub(crate) fn perform_rpc(
        &mut self,
        cx: &mut Cx<'_>,
        service: ServiceId,
        r: PerformRpcRequest,
    ) -> Option<ServiceError> {
        let refused = |code, text: &str| Some(ServiceError::new(code, text));
        if r.payload.len() > MAX_PAYLOAD {
            return Some(Failure::RequestTooLarge.error());
        }
        if r.method.is_empty() || r.method.len() > MAX_METHOD {
            let text = "method must have between 1 and 256 bytes";
            return refused(ServiceErrorCode::InvalidArgument, text);
        }
        let Some(pid) =
            self.by_identity(&r.destination_identity).filter(|p| !p.is_forwarded()).map(|p| p.pid)
        else {
            return refused(ServiceErrorCode::NotFound, "participant does not exist");
        };
        let theirs = self.calls.0.values().filter(|c| c.pid == pid).count();
        if theirs >= MAX_PER_PARTICIPANT || self.calls.0.len() >= MAX_PER_ROOM {
            return refused(ServiceErrorCode::ResourceExhausted, "too many calls in progress");
        }
        let timeout = rpc_timeout(&r);
        let id = uuid(cx.rng);
        let request = RpcRequest {
            id: id.clone(),
            method: r.method,
            payload: r.payload,
            response_timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            version: 1,
            ..RpcRequest::default()
        };
        let packet = DataPacket {
            kind: Kind::Reliable as i32,
            participant_identity: id.clone(),
            value: Some(Value::RpcRequest(request)),
            ..DataPacket::default()
        };
        let call =
            Call { service, pid, confirm_by: Some(cx.after(ACK_TIMEOUT)), answer_by: cx.after(timeout) };
        self.calls.0.insert(id, call);
        self.deliver(cx, pid, DataChannel::Reliable, &Bytes::from(packet.encode_to_vec()));
        self.watch_calls(cx);
        None
    }

    /// Takes a confirmation or an answer. False when it belongs to a call of another participant.
    pub(super) fn on_rpc_reply(&mut self, cx: &mut Cx<'_>, pid: Pid, packet: &DataPacket) -> bool {
        let id = match &packet.value {
            Some(Value::RpcAck(ack)) => &ack.request_id,
            Some(Value::RpcResponse(response)) => &response.request_id,
            _ => return false,
        };
        let Some(call) = self.calls.0.get_mut(id).filter(|c| c.pid == pid) else { return false };
        if let Some(Value::RpcResponse(response)) = &packet.value {
            let service = call.service;
            self.calls.0.remove(id);
            let result = outcome(response.value.as_ref());
            cx.out.push_back(Output::ServiceReply { id: service, result });
        } else {
            call.confirm_by = None;
        }
        self.watch_calls(cx);
        true
    }

    /// The participant is gone, and its calls with it.
    pub(super) fn end_calls(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        self.fail_calls(cx, |c| (c.pid == pid).then_some(Failure::RecipientDisconnected));
    }

    pub(super) fn on_calls_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        self.fail_calls(cx, |c| {
            let unconfirmed = c.confirm_by.is_some_and(|at| at <= now);
            let late = c.answer_by <= now;
            match (unconfirmed, late) {
                (true, _) => Some(Failure::ConnectionTimeout),
                (_, true) => Some(Failure::ResponseTimeout),
                _ => None,
            }
        });
    }

    fn fail_calls(&mut self, cx: &mut Cx<'_>, judge: impl Fn(&Call) -> Option<Failure>) {
        self.calls.0.retain(|_, call| {
            let Some(failure) = judge(call) else { return true };
            cx.out.push_back(Output::ServiceReply { id: call.service, result: Err(failure.error()) });
            false
        });
        self.watch_calls(cx);
    }

    fn watch_calls(&self, cx: &mut Cx<'_>) {
        match self.calls.0.values().map(Call::due).min() {
            Some(at) => {
                let wait = at.saturating_duration_since(cx.now.mono);
                cx.set_timer(self.key, None, Timer::Calls, wait);
            }
            None => cx.cancel_timer(self.key, None, Timer::Calls),
        }
    }
}

fn outcome(value: Option<&Outcome>) -> Result<ServiceResponse, ServiceError> {
    match value {
        Some(Outcome::Payload(payload)) if payload.len() > MAX_PAYLOAD => {
            Err(Failure::ResponseTooLarge.error())
        }
        Some(Outcome::Payload(payload)) => Ok(ServiceResponse::RpcPayload(payload.clone())),
        Some(Outcome::Error(RpcError { code, message, data })) => Err(rpc_error(*code, message, data)),
        // Compressed answers belong to a newer version than the one that was asked for.
        Some(Outcome::CompressedPayload(_)) => Err(Failure::UnsupportedVersion.error()),
        None => Ok(ServiceResponse::RpcPayload(String::new())),
    }
}

/// An RPC error in the form of the reference server: its number in the text, its kind as a Twirp code.
fn rpc_error(code: u32, message: &str, data: &str) -> ServiceError {
    let kind = match code {
        1400 => ServiceErrorCode::InvalidArgument,
        1401 => ServiceErrorCode::NotFound,
        1402 | 1504 => ServiceErrorCode::Malformed,
        1403 | 1404 => ServiceErrorCode::Unimplemented,
        1501 | 1502 => ServiceErrorCode::Canceled,
        1503 => ServiceErrorCode::Unavailable,
        _ => ServiceErrorCode::Internal,
    };
    let mut text = format!("RpcError {code}: {}", clip(message, MAX_MESSAGE));
    if !data.is_empty() {
        text.push_str(": ");
        text.push_str(clip(data, MAX_PAYLOAD));
    }
    ServiceError::new(kind, text)
}

fn clip(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// RFC 9562, version 4.
fn uuid(rng: &mut StdRng) -> String {
    let bits = rng.random::<u128>() & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn ids_are_version_4_uuids() {
        let mut rng = StdRng::from_seed([3; 32]);
        for _ in 0..20 {
            let id = uuid(&mut rng);
            assert_eq!((id.len(), id.as_bytes()[14], id.matches('-').count()), (36, b'4', 4), "{id}");
            assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        }
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let error = rpc_error(7, &"é".repeat(200), "");
        assert_eq!(error.message, format!("RpcError 7: {}", "é".repeat(128)));
    }
}
