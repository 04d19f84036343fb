//! Data blobs: small named values of a participant, such as schemas of its data tracks, that others can ask for.

use super::Room;
use crate::context::Cx;
use crate::ids::Pid;
use livekit_protocol::data_blob_key::Key;
use livekit_protocol::data_track_schema_encoding::Value as Encoding;
use livekit_protocol::request_response::Reason;
use livekit_protocol::{
    DataBlob, DataBlobKey, GetDataBlobRequest, GetDataBlobResponse, StoreDataBlobRequest,
    StoreDataBlobResponse, signal_response,
};
use prost::Message as _;
use std::collections::BTreeMap;

/// Name of an encoding, bytes.
const MAX_ENCODING: usize = 32;

/// Blobs of one participant, by their encoded key.
#[derive(Debug, Default)]
pub(crate) struct Blobs {
    by_key: BTreeMap<Vec<u8>, DataBlob>,
    /// Bytes of all keys and contents.
    bytes: usize,
}

impl Room {
    pub(crate) fn store_blob(&mut self, cx: &mut Cx<'_>, pid: Pid, request: StoreDataBlobRequest) {
        let id = request.request_id;
        match self.keep_blob(cx, pid, request) {
            Ok(key) => {
                let Some(p) = self.get(pid) else { return };
                let response = StoreDataBlobResponse { request_id: id, key: Some(key) };
                p.send(cx, signal_response::Message::StoreDataBlobResponse(response));
            }
            Err((reason, text)) => self.respond_id(cx, pid, reason, text, id, None),
        }
    }

    fn keep_blob(
        &mut self,
        cx: &Cx<'_>,
        pid: Pid,
        request: StoreDataBlobRequest,
    ) -> Result<DataBlobKey, (Reason, &'static str)> {
        if !cx.config.data_blobs {
            return Err((Reason::NotAllowed, "data blob not enabled"));
        }
        let invalid = (Reason::InvalidRequest, "data blob is invalid");
        let limits = &cx.config.limits;
        let blob = request.blob.ok_or(invalid)?;
        let key = blob.key.clone().ok_or(invalid)?;
        let name = key.encode_to_vec();
        if !is_named(&key) || limits.data_blob_key != 0 && name.len() > limits.data_blob_key {
            return Err(invalid);
        }
        if let Some(Key::SchemaId(schema)) = &key.key
            && let Some(Encoding::Custom(custom)) = schema.encoding.as_ref().and_then(|e| e.value.as_ref())
            && (custom.is_empty() || custom.len() > MAX_ENCODING)
        {
            let text = "encoding identifier is empty or exceeds the maximum length";
            return Err((Reason::InvalidRequest, text));
        }
        if blob.contents.is_empty() {
            return Err((Reason::InvalidRequest, "data blob is empty"));
        }
        let p = self.get_mut(pid).ok_or(invalid)?;
        let old = p.blobs.by_key.get(&name).map_or(0, |b| name.len() + b.contents.len());
        let own = name.len().saturating_add(blob.contents.len());
        let total = p.blobs.bytes.saturating_sub(old).saturating_add(own);
        if limits.data_blobs != 0 && total > limits.data_blobs {
            return Err((Reason::LimitExceeded, "data blobs exceed the size limit"));
        }
        p.blobs.bytes = total;
        p.blobs.by_key.insert(name, blob);
        Ok(key)
    }

    pub(crate) fn get_blob(&mut self, cx: &mut Cx<'_>, pid: Pid, request: GetDataBlobRequest) {
        let id = request.request_id;
        let Some(key) = request.key else {
            self.respond_id(cx, pid, Reason::InvalidRequest, "data blob key is required", id, None);
            return;
        };
        let owner = self.by_identity(&request.participant_identity).filter(|o| o.pid == pid || !o.hidden());
        let Some(owner) = owner else {
            self.respond_id(cx, pid, Reason::NotFound, "participant not found", id, None);
            return;
        };
        let Some(blob) = owner.blobs.by_key.get(&key.encode_to_vec()).cloned() else {
            self.respond_id(cx, pid, Reason::NotFound, "data blob not found", id, None);
            return;
        };
        let Some(p) = self.get(pid) else { return };
        let response = GetDataBlobResponse { request_id: id, blob: Some(blob) };
        p.send(cx, signal_response::Message::GetDataBlobResponse(response));
    }
}

fn is_named(key: &DataBlobKey) -> bool {
    match &key.key {
        Some(Key::Generic(name)) => !name.is_empty(),
        Some(Key::SchemaId(schema)) => !schema.name.is_empty(),
        None => false,
    }
}
