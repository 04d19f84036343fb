//! `livekit.AgentDispatchService`: which agents belong into a room.

use super::agent_fields::{DISPATCH, DISPATCHES};
use super::codec::Encoding;
use super::error::{Code, TwirpError};
use super::{grants, no_route};
use crate::auth::media_token::Claims;
use crate::livekit::LiveKit;
use crate::livekit::agents::{CallError, DispatchError, check_deployment};
use axum::response::Response;
use bedrud_media::Limits;
use livekit_protocol as proto;

/// As in the path.
pub(super) const NAME: &str = "livekit.AgentDispatchService";

/// Decodes, checks the grant, asks the dispatcher, encodes.
pub(super) async fn call(
    livekit: &LiveKit,
    method: &str,
    encoding: Encoding,
    claims: Option<&Claims>,
    body: &[u8],
) -> Result<Response, TwirpError> {
    let agents = &livekit.0.agents;
    match method {
        "CreateDispatch" => {
            let request: proto::CreateAgentDispatchRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            check(&request, livekit.sfu().limits())?;
            encoding.encode(&agents.create(request).await?, DISPATCH)
        }
        "DeleteDispatch" => {
            let request: proto::DeleteAgentDispatchRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            encoding.encode(&agents.delete(request).await?, DISPATCH)
        }
        "ListDispatch" => {
            let request: proto::ListAgentDispatchRequest = encoding.decode(body)?;
            grants::admin(claims, &request.room)?;
            let agent_dispatches = agents.list(request).await?;
            encoding.encode(&proto::ListAgentDispatchResponse { agent_dispatches }, DISPATCHES)
        }
        _ => Err(no_route(NAME, method)),
    }
}

fn check(request: &proto::CreateAgentDispatchRequest, limits: &Limits) -> Result<(), TwirpError> {
    let invalid = |text: &str| Err(TwirpError::new(Code::InvalidArgument, text));
    let over = |len: usize, max: usize| max != 0 && len > max;
    if let Err(text) = check_deployment(&request.deployment) {
        return invalid(text);
    }
    if over(request.agent_name.len(), limits.identity) {
        return invalid("agent name exceeds length limit");
    }
    if over(request.metadata.len(), limits.metadata) {
        return invalid("metadata size exceeds limits");
    }
    if over(request.attributes.iter().map(|(k, v)| k.len() + v.len()).sum(), limits.attributes) {
        return invalid("attribute size exceeds limits");
    }
    Ok(())
}

impl From<CallError> for TwirpError {
    fn from(error: CallError) -> Self {
        let code = match error {
            CallError::Room(error) => return error.into(),
            CallError::Dispatch(DispatchError::NoRoom | DispatchError::NoDispatch) => Code::NotFound,
            CallError::Dispatch(DispatchError::TooMany) => Code::ResourceExhausted,
            CallError::Gone => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}
