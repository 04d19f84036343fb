//! Data packets between participants, and from the server API.

use super::Room;
use super::data_flow::{Cost, Flow, Meter};
use super::destinations::{Destinations, MAX_DESTINATIONS};
use super::wire::{Stamp, Survey, stamp, survey};
use crate::context::Cx;
use crate::ids::Pid;
use crate::io::{ServiceError, ServiceErrorCode};
use bedrud_sfu::{Command, DataChannel, TransportId};
use bytes::Bytes;
use livekit_protocol::data_packet::{Kind, Value};
use livekit_protocol::data_stream::header::ContentHeader;
use livekit_protocol::{DataPacket, SendDataRequest, UserPacket, participant_info};
use prost::Message as _;
use std::collections::{BTreeMap, VecDeque};

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
    /// How fast it sends, and who waits for whom.
    pub(super) flow: Flow,
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

/// Copies of one message on their way to the shards: one command each.
#[derive(Default)]
struct Fanout {
    /// By shard, and whether the client takes bytes instead of packets.
    to: BTreeMap<(u16, bool), Vec<TransportId>>,
    /// Receivers that are behind.
    behind: Vec<Pid>,
}

impl Room {
    /// A message arrived on `_reliable` or `_lossy`.
    pub(super) fn on_data(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        channel: DataChannel,
        payload: &Bytes,
    ) -> Cost {
        let Some(p) = self.get_mut(pid) else { return Cost::default() };
        let may = p.permission.can_publish_data;
        // Who may not send data may still answer the server.
        if payload.is_empty() || !may && !self.calls.await_answer_of(pid) {
            return Cost::default();
        }
        // Reading a packet takes time for each of its fields, so they are counted before it is read.
        let seen = survey(payload, MAX_DESTINATIONS);
        let mut cost = Cost { deliveries: seen.map_or(1, |s| s.work()), bytes: 0 };
        match seen {
            Some(Survey { destinations, .. }) if destinations > MAX_DESTINATIONS => {
                cx.data.too_many_destinations += 1;
            }
            Some(_) => {
                let sent = self.relay_packet(cx, pid, channel, payload);
                cost.deliveries = cost.deliveries.saturating_add(sent.deliveries);
                cost.bytes = sent.bytes;
            }
            None => tracing::debug!("undecodable data packet"),
        }
        cost
    }

    fn relay_packet(&mut self, cx: &mut Cx<'_>, pid: Pid, channel: DataChannel, payload: &Bytes) -> Cost {
        self.relay_decoded(cx, pid, channel, payload).unwrap_or_default()
    }

    fn relay_decoded(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        channel: DataChannel,
        payload: &Bytes,
    ) -> Option<Cost> {
        let p = self.get_mut(pid)?;
        let may = p.permission.can_publish_data;
        let Ok(mut packet) = DataPacket::decode(payload.as_ref()) else {
            tracing::debug!(participant = %p.sid, "undecodable data packet");
            return None;
        };
        let reliable = channel == DataChannel::Reliable;
        if reliable && packet.sequence > 0 {
            if packet.sequence <= p.data.last_seq {
                return None;
            }
            p.data.last_seq = packet.sequence;
        }
        if self.on_rpc_reply(cx, pid, &packet) || !may {
            return None;
        }
        let p = self.get(pid)?;
        if p.member.as_ref().is_some_and(|member| member.restrictions.forbid(&packet)) {
            return None;
        }
        let agent = p.is_agent();
        let metrics = matches!(packet.value, Some(Value::Metrics(_)));
        if matches!(packet.value, Some(Value::Transcription(_))) && !agent {
            return None;
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
                return None;
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
            stamp(payload, &mark)?
        };
        let out = Bytes::from(out);
        let targets = if metrics {
            // The sender gets them back: with our times in them.
            let wanted = |o: &&super::Participant| {
                o.permission.can_subscribe_metrics && (o.pid == pid || self.receives_from(o, pid))
            };
            self.participants.values().filter(wanted).map(|o| o.pid).collect()
        } else {
            let (found, steps) = to.find(self, Some(pid));
            cx.data.lookups += steps as u64;
            found
        };
        let looked_at = if metrics { self.participants.len() as u64 } else { 0 };
        let mut cost = self.send_to(cx, Some(pid), &targets, channel, &out);
        cost.deliveries = cost.deliveries.saturating_add(looked_at);
        Some(cost)
    }

    /// Bytes on a channel with a label of the application's own: as if they had come in a user packet.
    pub(super) fn on_unlabelled_data(&mut self, cx: &mut Cx<'_>, pid: Pid, payload: &Bytes) -> Cost {
        let user = UserPacket { payload: payload.to_vec(), ..UserPacket::default() };
        let packet = DataPacket { value: Some(Value::User(user)), ..DataPacket::default() };
        self.on_data(cx, pid, DataChannel::Reliable, &packet.encode_to_vec().into())
    }

    /// A message of the server API. The caller has checked the nonce's length.
    ///
    /// # Errors
    /// Too many receivers, or more data than one sender may send into the room.
    pub(crate) fn send_data(
        &mut self,
        cx: &mut Cx<'_>,
        request: SendDataRequest,
    ) -> Result<(), ServiceError> {
        let to = Destinations { identities: request.destination_identities, sids: request.destination_sids };
        if to.len() > MAX_DESTINATIONS {
            let text = format!("at most {MAX_DESTINATIONS} destinations");
            return Err(ServiceError::new(ServiceErrorCode::InvalidArgument, text));
        }
        let meter = self.api_data.get_or_insert_with(|| Meter::new(&cx.config.limits));
        if !meter.is_ready(cx.now.mono) {
            let text = "too much data is being sent to this room";
            return Err(ServiceError::new(ServiceErrorCode::ResourceExhausted, text));
        }
        if !self.nonces.is_new(&request.nonce) {
            return Ok(());
        }
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
        let (targets, steps) = to.find(self, None);
        cx.data.lookups += steps as u64;
        let cost = self.send_to(cx, None, &targets, channel, &out);
        if let Some(meter) = &mut self.api_data {
            meter.pay(cx.now.mono, cost);
        }
        Ok(())
    }

    /// Sends to one participant, or keeps reliable data until its channel is open.
    pub(super) fn deliver(&mut self, cx: &mut Cx<'_>, pid: Pid, channel: DataChannel, payload: &Bytes) {
        self.send_to(cx, None, &[pid], channel, payload);
    }

    /// Sends on the participants' own channels, or keeps reliable data until these are open. `from` is held back for those
    /// that are behind.
    fn send_to(
        &mut self,
        cx: &mut Cx<'_>,
        from: Option<Pid>,
        targets: &[Pid],
        channel: DataChannel,
        payload: &Bytes,
    ) -> Cost {
        let mut out = Fanout::default();
        for pid in targets {
            self.place(&mut out, *pid, channel, payload);
        }
        let mut copies = 0;
        for ((shard, raw), to) in out.to {
            let count = to.len() as u64;
            let command = if raw {
                user_payload(payload).map(|payload| Command::SendData {
                    to,
                    channel: DataChannel::Unlabelled,
                    payload,
                })
            } else {
                Some(Command::SendData { to, channel, payload: payload.clone() })
            };
            if let Some(command) = command {
                copies += count;
                cx.command(shard, command);
            }
        }
        cx.data.deliveries += copies;
        if let Some(sender) = from
            && channel.is_reliable()
        {
            self.hold_for(cx, sender, out.behind);
        }
        Cost { deliveries: copies, bytes: copies.saturating_mul(payload.len() as u64) }
    }

    fn place(&mut self, out: &mut Fanout, pid: Pid, channel: DataChannel, payload: &Bytes) {
        let Some(p) = self.get_mut(pid) else { return };
        // A client without an SDK may know no packets. One with an SDK will open the labelled channels yet.
        let packets = p.primary_has(channel);
        let raw = !packets
            && p.one_shot.is_some()
            && p.primary_has(DataChannel::Unlabelled)
            && channel != DataChannel::DataTrack;
        if packets || raw {
            let Some(id) = p.primary().map(|l| l.id) else { return };
            if p.data.flow.is_congested(id) {
                out.behind.push(pid);
            }
            out.to.entry((id.shard, raw)).or_default().push(id);
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
    pub(super) fn receives_from(&self, p: &super::Participant, publisher: Pid) -> bool {
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
