//! Data packets between participants, and from the server API.

use super::wire::{Stamp, stamp};
use super::{Participant, Room};
use crate::context::Cx;
use crate::ids::Pid;
use bedrud_sfu::{Command, DataChannel};
use bytes::Bytes;
use livekit_protocol::data_packet::{Kind, Value};
use livekit_protocol::data_stream::header::ContentHeader;
use livekit_protocol::{DataPacket, SendDataRequest, UserPacket, participant_info};
use prost::Message as _;
use std::collections::VecDeque;

/// Reliable data kept for a participant whose channel is not open yet, bytes.
const EARLY_BYTES: usize = 100_000;
/// Nonces remembered per room.
const NONCES: usize = 100;

/// Data state of one participant.
#[derive(Debug, Default)]
pub(crate) struct DataState {
    /// Highest sequence number received from it on the reliable channel.
    pub(crate) last_seq: u32,
    /// Reliable messages waiting for its channel to open.
    early: VecDeque<Bytes>,
    early_bytes: usize,
}

/// Recently seen nonces of a room.
#[derive(Debug, Default)]
pub(crate) struct Nonces(VecDeque<Vec<u8>>);

impl Nonces {
    /// False when it was seen before.
    fn is_new(&mut self, nonce: &[u8]) -> bool {
        if nonce.is_empty() || nonce.len() > 64 {
            return true;
        }
        if self.0.iter().any(|n| n == nonce) {
            return false;
        }
        self.0.push_back(nonce.to_vec());
        if self.0.len() > NONCES {
            self.0.pop_front();
        }
        true
    }
}

/// To whom a packet goes; both lists empty means everyone else.
#[derive(Debug, Default)]
struct Destinations {
    identities: Vec<String>,
    sids: Vec<String>,
}

impl Destinations {
    fn include(&self, p: &Participant) -> bool {
        self.identities.is_empty() && self.sids.is_empty()
            || self.identities.iter().any(|i| i == p.identity())
            || self.sids.iter().any(|s| **s == *p.sid)
    }
}

impl Room {
    /// A message arrived on `_reliable` or `_lossy`.
    pub(crate) fn on_data(&mut self, cx: &mut Cx<'_>, pid: Pid, channel: DataChannel, payload: &Bytes) {
        let Some(p) = self.get_mut(pid) else { return };
        let may = p.permission.can_publish_data;
        // Who may not send data may still answer the server.
        if payload.is_empty() || !may && !self.calls.await_answer_of(pid) {
            return;
        }
        let Some(p) = self.get_mut(pid) else { return };
        let Ok(mut packet) = DataPacket::decode(payload.as_ref()) else {
            tracing::debug!(participant = %p.sid, "undecodable data packet");
            return;
        };
        let reliable = channel == DataChannel::Reliable;
        if reliable && packet.sequence > 0 {
            if packet.sequence <= p.data.last_seq {
                return;
            }
            p.data.last_seq = packet.sequence;
        }
        if self.on_rpc_reply(cx, pid, &packet) || !may {
            return;
        }
        let Some(p) = self.get(pid) else { return };
        if p.member.as_ref().is_some_and(|member| member.restrictions.forbid(&packet)) {
            return;
        }
        let agent = p.is_agent();
        let metrics = matches!(packet.value, Some(Value::Metrics(_)));
        if matches!(packet.value, Some(Value::Transcription(_))) && !agent {
            return;
        }
        let hidden = p.hidden();
        let (identity, sid) = if hidden {
            (String::new(), String::new())
        } else {
            (p.identity().to_owned(), p.sid.to_string())
        };
        let mut to =
            Destinations { identities: std::mem::take(&mut packet.destination_identities), sids: vec![] };
        if let Some(Value::User(user)) = &mut packet.value {
            to.sids = std::mem::take(&mut user.destination_sids);
            if to.identities.is_empty() {
                to.identities = std::mem::take(&mut user.destination_identities);
            }
            let nonce = std::mem::take(&mut user.nonce);
            if !self.nonces.is_new(&nonce) {
                return;
            }
        }
        let kind = if reliable { Kind::Reliable } else { Kind::Lossy } as i32;
        let speaks_for_other =
            agent && !packet.participant_identity.is_empty() && packet.participant_identity != identity;
        if let Some(Value::Metrics(batch)) = &mut packet.value
            && let Some(p) = self.get_mut(pid)
        {
            p.clock.normalise(cx.now.unix_ms, batch);
        }
        let out = if metrics || speaks_for_other && mark_generated(&mut packet) {
            if metrics {
                packet.participant_identity.clone_from(&identity);
            }
            packet.kind = kind;
            packet.participant_sid = sid;
            packet.destination_identities.clone_from(&to.identities);
            packet.encode_to_vec()
        } else {
            let mark = Stamp { kind, sid: &sid, identity: Some(&identity), destinations: &to.identities };
            let Some(out) = stamp(payload, &mark) else { return };
            out
        };
        let out = Bytes::from(out);
        for other in self.pids() {
            let wanted = self.get(other).is_some_and(|o| {
                if metrics {
                    // The sender gets them back: with our times in them.
                    o.permission.can_subscribe_metrics && (other == pid || self.receives_from(o, pid))
                } else {
                    other != pid && to.include(o)
                }
            });
            if wanted {
                self.deliver(cx, other, channel, &out);
            }
        }
    }

    /// Bytes on a channel with a label of the application's own: as if they had come in a user packet.
    pub(crate) fn on_unlabelled_data(&mut self, cx: &mut Cx<'_>, pid: Pid, payload: &Bytes) {
        let user = UserPacket { payload: payload.to_vec(), ..UserPacket::default() };
        let packet = DataPacket { value: Some(Value::User(user)), ..DataPacket::default() };
        self.on_data(cx, pid, DataChannel::Reliable, &packet.encode_to_vec().into());
    }

    /// A message of the server API. The caller has checked the nonce's length.
    pub(crate) fn send_data(&mut self, cx: &mut Cx<'_>, request: SendDataRequest) {
        if !self.nonces.is_new(&request.nonce) {
            return;
        }
        let to = Destinations { identities: request.destination_identities, sids: request.destination_sids };
        let reliable = request.kind != Kind::Lossy as i32;
        let user = UserPacket {
            payload: request.data,
            destination_identities: to.identities.clone(),
            destination_sids: to.sids.clone(),
            topic: request.topic,
            nonce: request.nonce,
            ..UserPacket::default()
        };
        let packet = DataPacket {
            kind: request.kind,
            destination_identities: to.identities.clone(),
            value: Some(Value::User(user)),
            ..DataPacket::default()
        };
        let channel = if reliable { DataChannel::Reliable } else { DataChannel::Lossy };
        let out = Bytes::from(packet.encode_to_vec());
        for pid in self.pids() {
            if self.get(pid).is_some_and(|p| to.include(p)) {
                self.deliver(cx, pid, channel, &out);
            }
        }
    }

    /// Sends on the participant's own channel, or keeps reliable data until that is open.
    pub(super) fn deliver(&mut self, cx: &mut Cx<'_>, pid: Pid, channel: DataChannel, payload: &Bytes) {
        let Some(p) = self.get_mut(pid) else { return };
        if p.primary_has(channel) {
            if let Some(link) = p.primary() {
                let id = link.id;
                cx.command(id.shard, Command::SendData { id, channel, payload: payload.clone() });
            }
            return;
        }
        // A client without an SDK may know no packets. One with an SDK will open the labelled channels yet.
        if p.one_shot.is_some() && p.primary_has(DataChannel::Unlabelled) && channel != DataChannel::DataTrack
        {
            if let Some(payload) = user_payload(payload)
                && let Some(link) = p.primary()
            {
                let (id, channel) = (link.id, DataChannel::Unlabelled);
                cx.command(id.shard, Command::SendData { id, channel, payload });
            }
            return;
        }
        // A session of one offer opens channels with that offer or never.
        let never = p.one_shot.as_ref().is_some_and(|o| !o.has_channels());
        let gone = never || p.state == participant_info::State::Disconnected || p.is_forwarded();
        if channel != DataChannel::Reliable || gone || payload.len() > EARLY_BYTES {
            return;
        }
        p.data.early.push_back(payload.clone());
        p.data.early_bytes += payload.len();
        while p.data.early_bytes > EARLY_BYTES {
            let Some(oldest) = p.data.early.pop_front() else { break };
            p.data.early_bytes -= oldest.len();
        }
    }

    /// A channel of the participant for reliable data is open: what was kept goes out first.
    pub(crate) fn flush_early_data(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        p.data.early_bytes = 0;
        for payload in std::mem::take(&mut p.data.early) {
            self.deliver(cx, pid, DataChannel::Reliable, &payload);
        }
    }

    /// Whether a participant is subscribed to any track of another.
    pub(super) fn receives_from(&self, p: &Participant, publisher: Pid) -> bool {
        self.get(publisher).is_some_and(|o| {
            o.tracks.keys().any(|t| p.subscriptions.get(t).is_some_and(|s| s.down.is_some()))
        })
    }
}

/// What an application sent, for clients that know no packets.
fn user_payload(packet: &[u8]) -> Option<Bytes> {
    match DataPacket::decode(packet).ok()?.value? {
        Value::User(user) => Some(user.payload.into()),
        _ => None,
    }
}

/// An agent speaks for somebody else: its words are marked as generated. False when the packet is of another kind.
fn mark_generated(packet: &mut DataPacket) -> bool {
    match &mut packet.value {
        Some(Value::ChatMessage(chat)) => {
            chat.generated = true;
            true
        }
        Some(Value::StreamHeader(header)) => match &mut header.content_header {
            Some(ContentHeader::TextHeader(text)) => {
                text.generated = true;
                true
            }
            _ => false,
        },
        _ => false,
    }
}
