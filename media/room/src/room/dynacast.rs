//! Tells publishers which qualities anybody watches, so that they need not send the others.

use super::Room;
use crate::context::Cx;
use crate::ids::Pid;
use crate::timers::{Timer, TimerKey};
use bedrud_rtp::MediaKind;
use bedrud_sfu::UpTrackId;
use livekit_protocol::{
    SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate, VideoQuality, signal_response,
};
use std::time::Duration;

/// A lower demand must last this long.
const PAUSE_DELAY: Duration = Duration::from_secs(5);

impl Room {
    /// The demand for a track may have changed: more is told at once, less after a while.
    pub(super) fn weigh_demand(&mut self, cx: &mut Cx<'_>, track: &str) {
        let Some(pid) = self.owner(track) else { return };
        let demand = self.demand(track);
        let room = self.key;
        let Some(t) = self.get(pid).and_then(|p| p.tracks.get(track)) else { return };
        if t.kind != MediaKind::Video {
            return;
        }
        let id = t.config.id;
        let timer = Timer::Dynacast(id.0);
        match t.dynacast.told {
            // The first message waits for the picture to settle, unless everything is wanted already.
            None if demand == Some(VideoQuality::High) => self.tell_demand(cx, pid, id),
            None => {}
            Some(told) if demand > told => self.tell_demand(cx, pid, id),
            Some(told) if demand < told => cx.arm_timer(room, Some(pid), timer, PAUSE_DELAY),
            Some(_) => cx.cancel_timer(room, Some(pid), timer),
        }
    }

    pub(crate) fn on_dynacast_timer(&mut self, cx: &mut Cx<'_>, pid: Pid, track: u64) {
        self.tell_demand(cx, pid, UpTrackId(track));
    }

    /// Highest quality anybody watches.
    fn demand(&self, track: &str) -> Option<VideoQuality> {
        let t = self.published(track)?;
        let downs =
            t.subscribers.iter().filter_map(|pid| self.get(*pid)?.subscriptions.get(track)?.down.as_ref());
        downs.filter(|d| !d.settings.paused).map(|d| d.quality).max()
    }

    fn tell_demand(&mut self, cx: &mut Cx<'_>, pid: Pid, id: UpTrackId) {
        let Some(track) = self.track_by_id(pid, id).map(|t| super::key(t.sid())) else { return };
        let demand = self.demand(&track);
        cx.timers.cancel(&TimerKey { room: self.key, pid: Some(pid), timer: Timer::Dynacast(id.0) });
        let Some(p) = self.get_mut(pid) else { return };
        let Some(t) = p.tracks.get_mut(&track) else { return };
        if t.dynacast.told.replace(demand) == Some(demand) {
            return;
        }
        let all = [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High];
        let qualities: Vec<_> = all
            .into_iter()
            .map(|q| SubscribedQuality { quality: q as i32, enabled: demand.is_some_and(|d| q <= d) })
            .collect();
        let codec = t.codec.codec.name().to_ascii_lowercase();
        let update = SubscribedQualityUpdate {
            track_sid: track.to_string(),
            subscribed_qualities: qualities.clone(),
            subscribed_codecs: vec![SubscribedCodec { codec, qualities }],
        };
        p.send(cx, signal_response::Message::SubscribedQualityUpdate(update));
    }

    /// A resumed publisher may have missed messages: tell it again.
    pub(crate) fn repeat_demand(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        let mut told = Vec::new();
        for t in p.tracks.values_mut() {
            if t.dynacast.told.take().is_some() {
                told.push(t.config.id);
            }
        }
        for id in told {
            self.tell_demand(cx, pid, id);
        }
    }
}
