//! Data tracks: named streams of small packets over the `_data_track` channel.

use super::data_flow::Cost;
use super::updates::Audience;
use super::{Participant, Room};
use crate::accounts::price;
use crate::context::Cx;
use crate::enums;
use crate::ids::{Pid, Sid, sid};
use bedrud_sfu::{Command, DataChannel, TransportId};
use bytes::Bytes;
use livekit_protocol::data_track_frame_encoding::Value as Encoding;
use livekit_protocol::data_track_subscriber_handles::PublishedDataTrack;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::{
    DataTrackInfo, DataTrackSubscriberHandles, PublishDataTrackRequest, PublishDataTrackResponse,
    UnpublishDataTrackRequest, UnpublishDataTrackResponse, UpdateDataSubscription, signal_response,
};
use prost::Message as _;
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet, HashSet};

const MAX_NAME: usize = 256;
const MAX_ENCODING: usize = 32;
const MAX_TRACKS: usize = 256;
const MAX_REQUEST: usize = 4096;
const MAX_WISHES: usize = 1024;
/// Data tracks one participant may receive: far fewer than there are handles.
const MAX_HANDLES: usize = 4096;

/// Data tracks of one participant, in both directions.
#[derive(Debug, Default)]
pub(crate) struct DataTracks {
    published: BTreeMap<u16, (Sid, DataTrackInfo)>,
    wishes: BTreeSet<Sid>,
    /// Handle by which the subscriber knows a track.
    handles: BTreeMap<Sid, u16>,
    next_handle: u16,
}

impl DataTracks {
    pub(super) fn infos(&self) -> Vec<DataTrackInfo> {
        self.published.values().map(|(_, info)| info.clone()).collect()
    }

    /// What it received in a room that it leaves.
    pub(super) fn forget_subscriptions(&mut self) {
        self.wishes.clear();
        self.handles.clear();
    }

    /// Bytes of the descriptions of what it publishes.
    pub(super) fn size(&self) -> usize {
        self.published.values().map(|(_, info)| info.encoded_len()).sum()
    }

    /// What it publishes.
    pub(super) fn sids(&self) -> Vec<Sid> {
        self.published.values().map(|(sid, _)| sid.clone()).collect()
    }

    /// Tracks that are no longer there for it.
    pub(super) fn forget_wishes(&mut self, tracks: &[Sid]) {
        for track in tracks {
            self.wishes.remove(track);
        }
    }

    pub(crate) fn has_sid(&self, sid: &str) -> bool {
        self.published.values().any(|(s, _)| **s == *sid)
    }
}

impl Room {
    pub(crate) fn publish_data_track(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        mut request: PublishDataTrackRequest,
    ) {
        enums::settle_data_track(&mut request);
        let disabled = (!cx.config.data_tracks).then_some((Reason::NotAllowed, "data tracks are disabled"));
        let refused = disabled.or_else(|| self.get(pid).and_then(|p| refuse(p, &request)));
        let refused = refused.or_else(|| {
            let space = self.has_space(&cx.config.limits, pid, request.encoded_len());
            (!space).then_some((Reason::LimitExceeded, "the room has no space for more descriptions"))
        });
        if let Some((reason, text)) = refused {
            self.respond(cx, pid, reason, text, Request::PublishDataTrack(request));
            return;
        }
        let Some(p) = self.get_mut(pid) else { return };
        let Ok(handle) = u16::try_from(request.pub_handle) else { return };
        let sid = sid(cx.rng, "DTR_");
        let info = DataTrackInfo {
            pub_handle: request.pub_handle,
            sid: sid.to_string(),
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        p.data_tracks.published.insert(handle, (sid, info.clone()));
        p.is_publisher = true;
        p.touch();
        let response = PublishDataTrackResponse { info: Some(info) };
        p.send(cx, signal_response::Message::PublishDataTrackResponse(response));
        self.announce(cx, pid, Audience::Others, true);
        self.mark_counters(cx);
        self.reconcile_data_tracks(cx);
    }

    pub(crate) fn unpublish_data_track(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        request: UnpublishDataTrackRequest,
    ) {
        let Some(p) = self.get_mut(pid) else { return };
        let handle = u16::try_from(request.pub_handle).unwrap_or(0);
        let Some((_, info)) = p.data_tracks.published.remove(&handle) else {
            self.respond(cx, pid, Reason::NotFound, "", Request::UnpublishDataTrack(request));
            return;
        };
        p.touch();
        let response = UnpublishDataTrackResponse { info: Some(info) };
        p.send(cx, signal_response::Message::UnpublishDataTrackResponse(response));
        self.announce(cx, pid, Audience::Others, true);
        self.reconcile_data_tracks(cx);
    }

    /// Ends all data tracks of a participant (it leaves, or lost the right). The caller announces it.
    pub(crate) fn drop_all_data_tracks(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        if std::mem::take(&mut p.data_tracks.published).is_empty() {
            return;
        }
        p.touch();
        self.reconcile_data_tracks(cx);
    }

    pub(crate) fn update_data_subscription(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        update: UpdateDataSubscription,
    ) {
        let Some(p) = self.get_mut(pid) else { return };
        for u in update.updates {
            cx.spend(price::RECONCILE);
            let track = super::key(&u.track_sid);
            if !u.subscribe {
                p.data_tracks.wishes.remove(&track);
            } else if p.data_tracks.wishes.len() < MAX_WISHES && track.len() <= 64 {
                p.data_tracks.wishes.insert(track);
            }
        }
        let all = self.all_data_tracks();
        self.reconcile_data_tracks_of(cx, pid, &all);
    }

    /// Every data track of the room with its publisher.
    fn all_data_tracks(&self) -> BTreeMap<Sid, Pid> {
        let tracks = |p: &Participant| {
            let pid = p.pid;
            p.data_tracks.published.values().map(move |(sid, _)| (sid.clone(), pid)).collect::<Vec<_>>()
        };
        self.participants.values().flat_map(tracks).collect()
    }

    /// Brings every subscriber's handles in line with tracks, wishes and permissions.
    pub(crate) fn reconcile_data_tracks(&mut self, cx: &mut Cx<'_>) {
        let all = self.all_data_tracks();
        if all.is_empty() && self.participants.values().all(|p| p.data_tracks.handles.is_empty()) {
            return;
        }
        for pid in self.pids() {
            self.reconcile_data_tracks_of(cx, pid, &all);
        }
    }

    fn reconcile_data_tracks_of(&mut self, cx: &mut Cx<'_>, pid: Pid, all: &BTreeMap<Sid, Pid>) {
        cx.spend(price::DATA_TRACK.saturating_mul(all.len() as u64 + 1));
        let wanted = all.iter().filter(|(track, owner)| self.wants_data_track(pid, **owner, track));
        let wanted: BTreeMap<Sid, Pid> =
            wanted.take(MAX_HANDLES).map(|(track, owner)| (track.clone(), *owner)).collect();
        self.set_handles(cx, pid, &wanted);
    }

    fn wants_data_track(&self, pid: Pid, owner: Pid, track: &str) -> bool {
        let (Some(p), Some(publisher)) = (self.get(pid), self.get(owner)) else { return false };
        let wished = p.data_tracks.wishes.contains(track) || p.auto_subscribe_data && !publisher.hidden();
        owner != pid && wished && p.permission.can_subscribe && self.is_audience(owner, track, pid)
    }

    fn set_handles(&mut self, cx: &mut Cx<'_>, pid: Pid, wanted: &BTreeMap<Sid, Pid>) {
        let Some(p) = self.get_mut(pid) else { return };
        let tracks = &mut p.data_tracks;
        if tracks.handles.keys().eq(wanted.keys()) {
            return;
        }
        tracks.handles.retain(|track, _| wanted.contains_key(track));
        if tracks.next_handle == 0 {
            tracks.next_handle = cx.rng.random_range(1..=256);
        }
        let mut used: HashSet<u16> = tracks.handles.values().copied().collect();
        for track in wanted.keys() {
            if !tracks.handles.contains_key(track) {
                while !used.insert(tracks.next_handle) {
                    tracks.next_handle = tracks.next_handle.checked_add(1).unwrap_or(1);
                }
                tracks.handles.insert(track.clone(), tracks.next_handle);
                tracks.next_handle = tracks.next_handle.checked_add(1).unwrap_or(1);
            }
        }
        self.send_handles(cx, pid, wanted);
    }

    /// The full map, as after every change.
    pub(crate) fn send_data_handles(&self, cx: &mut Cx<'_>, pid: Pid) {
        self.send_handles(cx, pid, &self.all_data_tracks());
    }

    fn send_handles(&self, cx: &mut Cx<'_>, pid: Pid, owners: &BTreeMap<Sid, Pid>) {
        let Some(p) = self.get(pid) else { return };
        cx.spend(price::DATA_TRACK.saturating_mul(p.data_tracks.handles.len() as u64));
        let entry = |(track, handle): (&Sid, &u16)| {
            let owner = self.get(*owners.get(track)?)?;
            let published = PublishedDataTrack {
                publisher_identity: owner.identity().to_owned(),
                publisher_sid: owner.sid.to_string(),
                track_sid: track.to_string(),
            };
            Some((u32::from(*handle), published))
        };
        let sub_handles = p.data_tracks.handles.iter().filter_map(entry).collect();
        let handles = DataTrackSubscriberHandles { sub_handles };
        p.send(cx, signal_response::Message::DataTrackSubscriberHandles(handles));
    }

    /// A packet on `_data_track`: forwarded with only its handle changed.
    pub(super) fn on_data_track_packet(&mut self, cx: &mut Cx<'_>, pid: Pid, packet: &Bytes) -> Cost {
        self.relay_track_packet(cx, pid, packet).unwrap_or_default()
    }

    fn relay_track_packet(&self, cx: &mut Cx<'_>, pid: Pid, packet: &Bytes) -> Option<Cost> {
        const HEADER: usize = 12;
        let p = self.get(pid).filter(|p| p.permission.can_publish_data)?;
        let head = packet.first()?;
        let handle = u16::from_be_bytes(*packet.get(2..4)?.first_chunk()?);
        if packet.len() < HEADER || head >> 5 != 0 {
            return None;
        }
        let (track, _) = p.data_tracks.published.get(&handle)?;
        let mut by_shard: BTreeMap<u16, Vec<(TransportId, u16)>> = BTreeMap::new();
        for subscriber in self.participants.values() {
            if let Some(handle) = subscriber.data_tracks.handles.get(track)
                && let Some(link) = subscriber.primary().filter(|l| l.has_channel(DataChannel::DataTrack))
            {
                by_shard.entry(link.id.shard).or_default().push((link.id, *handle));
            }
        }
        let mut copies = 0;
        for (shard, to) in by_shard {
            copies += to.len() as u64;
            cx.command(shard, Command::SendDataTrack { to, packet: packet.clone() });
        }
        cx.data.deliveries += copies;
        let looked_at = self.participants.len() as u64 / 16;
        Some(Cost { deliveries: copies + looked_at, bytes: copies.saturating_mul(packet.len() as u64) })
    }
}

fn refuse(p: &Participant, request: &PublishDataTrackRequest) -> Option<(Reason, &'static str)> {
    let published = &p.data_tracks.published;
    if !p.permission.can_publish_data {
        return Some((Reason::NotAllowed, "does not have permission to publish data"));
    }
    let Some(handle) = u16::try_from(request.pub_handle).ok().filter(|h| *h != 0) else {
        return Some((Reason::InvalidHandle, "handle must be between 1 and 65535"));
    };
    if request.name.is_empty() || request.name.len() > MAX_NAME {
        return Some((Reason::InvalidName, "name must have between 1 and 256 bytes"));
    }
    let custom = request.frame_encoding.as_ref().and_then(|e| e.value.as_ref());
    if let Some(Encoding::Custom(name)) = custom
        && (name.is_empty() || name.len() > MAX_ENCODING)
    {
        return Some((Reason::InvalidRequest, "custom encoding must have between 1 and 32 bytes"));
    }
    if request.encoded_len() > MAX_REQUEST {
        return Some((Reason::InvalidRequest, "request is too large"));
    }
    if published.contains_key(&handle) {
        return Some((Reason::DuplicateHandle, "a data track with this handle is published"));
    }
    if published.values().any(|(_, info)| info.name == request.name) {
        return Some((Reason::DuplicateName, "a data track with this name is published"));
    }
    if published.len() >= MAX_TRACKS {
        return Some((Reason::LimitExceeded, "too many data tracks"));
    }
    None
}
