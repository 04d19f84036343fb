//! News of the shards, brought to the rooms they are about.

use super::Hub;
use crate::context::Cx;
use crate::ids::{Pid, RoomKey, Sid};
use crate::io::Now;
use crate::room::{Room, RoomStats};
use bedrud_sfu::{AudioLevel, DownTrackId, Event, TransportId, UpTrackId};
use std::collections::BTreeMap;

impl Hub {
    pub(super) fn on_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Connected { id, .. } => self.at_transport(now, id, |r, cx, p| r.on_connected(cx, p, id)),
            Event::PathChanged { id, .. } | Event::Reconnected { id } => {
                self.at_transport(now, id, |r, cx, p| r.on_life(cx, p, id));
            }
            Event::Disconnected { id } => self.at_transport(now, id, |r, cx, p| r.on_silence(cx, p, id)),
            Event::Closed { id, reason } => {
                self.on_relay_closed(now, id);
                self.at_transport(now, id, |r, cx, p| r.on_transport_closed(cx, p, id, reason));
            }
            Event::ChannelOpen { id, channel } => {
                self.at_transport(now, id, |r, cx, p| r.on_channel(cx, p, id, channel, true));
            }
            Event::ChannelClosed { id, channel } => {
                self.at_transport(now, id, |r, cx, p| r.on_channel(cx, p, id, channel, false));
            }
            Event::Data { id, channel, payload } => {
                self.at_transport(now, id, |r, cx, p| r.on_data_message(cx, p, id, channel, &payload));
            }
            Event::DataCongested { id, congested } => {
                self.at_transport(now, id, |r, cx, p| r.on_data_congested(cx, p, id, congested));
            }
            Event::UpLayerStarted { track, spatial, ssrc, codec } => {
                self.at_up(now, track, |r, cx, p, t| {
                    r.on_layer_started(cx, (p, t), track, (spatial, ssrc), codec);
                    r.mark_viewers(cx);
                });
            }
            Event::DownTrackUnsupported { track, .. } => {
                self.at_down(now, track, |r, cx, p, t| r.codec_unsupported(cx, p, t));
            }
            Event::DownTrackCongested { track, paused } => {
                self.at_down(now, track, |r, cx, p, t| r.on_congestion(cx, p, t, paused));
            }
            Event::UpLayerActivity { .. } | Event::DownTrackStarted { .. } => {}
            Event::AudioLevels(levels) => self.on_levels(now, &levels),
            Event::Stats { up, down } => self.on_stats(now, up, down),
        }
    }

    fn at_transport(&mut self, now: Now, id: TransportId, f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid)) {
        if let Some(at) = self.core.routes.transports.get(&id).copied() {
            self.with(now, at, f);
        }
    }

    fn at_up(&mut self, now: Now, id: UpTrackId, f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid, &Sid)) {
        if let Some((room, pid, track)) = self.core.routes.ups.get(&id).cloned() {
            self.with(now, (room, pid), |r, cx, p| f(r, cx, p, &track));
        }
    }

    fn at_down(&mut self, now: Now, id: DownTrackId, f: impl FnOnce(&mut Room, &mut Cx<'_>, Pid, &Sid)) {
        if let Some((room, pid, track)) = self.core.routes.downs.get(&id).cloned() {
            self.with(now, (room, pid), |r, cx, p| f(r, cx, p, &track));
        }
    }

    fn on_levels(&mut self, now: Now, levels: &[AudioLevel]) {
        let mut by_room: BTreeMap<RoomKey, Vec<(Pid, Sid, AudioLevel)>> = BTreeMap::new();
        for level in levels {
            if let Some((room, pid, track)) = self.core.routes.ups.get(&level.track).cloned() {
                by_room.entry(room).or_default().push((pid, track, *level));
            }
        }
        for (key, levels) in by_room {
            if let Some(room) = self.rooms.get_mut(&key) {
                room.on_audio_levels(&mut self.core.at(now), &levels);
            }
        }
    }

    fn on_stats(
        &mut self,
        now: Now,
        up: Vec<(UpTrackId, u8, bedrud_sfu::TrackStats)>,
        down: Vec<(DownTrackId, bedrud_sfu::TrackStats)>,
    ) {
        let mut by_room: BTreeMap<RoomKey, RoomStats> = BTreeMap::new();
        for (id, _, stats) in up {
            if let Some((room, pid, track)) = self.core.routes.ups.get(&id).cloned() {
                by_room.entry(room).or_default().add_up(pid, track, stats);
            }
        }
        for (id, stats) in down {
            if let Some((room, pid, track)) = self.core.routes.downs.get(&id).cloned() {
                by_room.entry(room).or_default().down.insert((pid, track), stats);
            }
        }
        for (key, stats) in by_room {
            if let Some(room) = self.rooms.get_mut(&key) {
                self.tally.carried(key, &stats);
                room.on_stats(&mut self.core.at(now), stats);
            }
        }
    }
}
