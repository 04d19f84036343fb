//! Tells publishers which codecs and qualities anybody watches, so that they need not send the others.

use super::Room;
use super::track::{Demand, Published};
use crate::context::Cx;
use crate::ids::Pid;
use crate::timers::{Timer, TimerKey};
use bedrud_rtp::{Codec, MediaKind};
use bedrud_sfu::UpTrackId;
use livekit_protocol::{
    SubscribedAudioCodec, SubscribedAudioCodecUpdate, SubscribedCodec, SubscribedQuality,
    SubscribedQualityUpdate, VideoQuality, signal_response,
};

impl Room {
    /// The demand for a track may have changed: more is told at once, less after a while.
    pub(super) fn weigh_demand(&mut self, cx: &mut Cx<'_>, track: &str) {
        let Some(pid) = self.owner(track) else { return };
        let room = self.key;
        let Some(t) = self.published(track) else { return };
        // Sound in one codec has nothing to leave out.
        if t.kind == MediaKind::Audio && t.backup_codecs().next().is_none() {
            return;
        }
        if t.borrowed {
            *cx.demand_moved = true;
            return;
        }
        cx.spend(t.subscribers.len() as u64 * 2);
        let demand = self.demand(track, t);
        let id = t.primary.config.id;
        let timer = Timer::Dynacast(id.0);
        let Some(told) = &t.dynacast.told else {
            // The first message waits for the picture to settle, unless everything is wanted already or somebody waits
            // for a codec that is not sent.
            let (preferred, sound) = (t.primary.codec.codec, t.kind == MediaKind::Audio);
            let urgent = |(codec, most): &(Codec, Option<VideoQuality>)| {
                *most == Some(VideoQuality::High) || (sound || *codec != preferred) && most.is_some()
            };
            if demand.iter().any(urgent) {
                self.tell(cx, pid, id, demand);
            }
            return;
        };
        let before = |codec| told.iter().find(|(c, _)| *c == codec).and_then(|(_, q)| *q);
        let more = demand.iter().any(|(c, q)| *q > before(*c));
        let less = demand.iter().any(|(c, q)| *q < before(*c));
        if more {
            let raised = demand.iter().map(|(c, q)| (*c, (*q).max(before(*c)))).collect();
            self.tell(cx, pid, id, raised);
        }
        if less {
            // A lower demand must last.
            cx.arm_timer(room, Some(pid), timer, cx.config.timeouts.dynacast_pause);
        } else {
            cx.cancel_timer(room, Some(pid), timer);
        }
    }

    pub(crate) fn on_dynacast_timer(&mut self, cx: &mut Cx<'_>, pid: Pid, track: u64) {
        self.tell_demand(cx, pid, UpTrackId(track));
    }

    /// Highest quality anybody watches, by codec. Codecs that are neither sent nor wanted are left out.
    pub(super) fn demand(&self, track: &str, t: &Published) -> Demand {
        let preferred = t.primary.codec.codec;
        let mut out: Demand = vec![(preferred, None)];
        out.extend(t.backups.iter().map(|f| (f.codec.codec, None)));
        let downs =
            t.subscribers.iter().filter_map(|pid| self.get(*pid)?.subscriptions.get(track)?.down.as_ref());
        let here =
            downs.filter(|d| !d.settings.paused).map(|d| (d.codec.unwrap_or(preferred), Some(d.quality)));
        let elsewhere = t.elsewhere.values().flatten().copied();
        for (codec, wanted) in here.chain(elsewhere) {
            match out.iter_mut().find(|(c, _)| *c == codec) {
                Some((_, most)) => *most = (*most).max(wanted),
                None => out.push((codec, wanted)),
            }
        }
        out
    }

    /// Tells the present demand, whether more or less.
    pub(super) fn tell_demand(&mut self, cx: &mut Cx<'_>, pid: Pid, id: UpTrackId) {
        let Some(t) = self.track_by_id(pid, id) else { return };
        let demand = self.demand(t.sid(), t);
        let timer = Timer::Dynacast(t.primary.config.id.0);
        cx.timers.cancel(&TimerKey { room: self.key, pid: Some(pid), timer });
        self.tell(cx, pid, id, demand);
    }

    fn tell(&mut self, cx: &mut Cx<'_>, pid: Pid, id: UpTrackId, demand: Demand) {
        let Some(p) = self.get_mut(pid) else { return };
        let Some(t) = p.tracks.values_mut().find(|t| t.feeds().any(|f| f.config.id == id)) else { return };
        if t.dynacast.told.as_ref() == Some(&demand) {
            return;
        }
        let update = match t.kind {
            MediaKind::Video => video_update(t.sid(), &demand),
            MediaKind::Audio => audio_update(t.sid(), &demand),
        };
        t.dynacast.told = Some(demand);
        p.send(cx, update);
    }

    /// A resumed publisher may have missed messages: tell it again.
    pub(crate) fn repeat_demand(&mut self, cx: &mut Cx<'_>, pid: Pid) {
        let Some(p) = self.get_mut(pid) else { return };
        let mut told = Vec::new();
        for t in p.tracks.values_mut() {
            if t.dynacast.told.take().is_some() {
                told.push(t.primary.config.id);
            }
        }
        for id in told {
            self.tell_demand(cx, pid, id);
        }
    }
}

fn video_update(track: &str, demand: &Demand) -> signal_response::Message {
    let codecs: Vec<SubscribedCodec> = demand.iter().map(subscribed_codec).collect();
    signal_response::Message::SubscribedQualityUpdate(SubscribedQualityUpdate {
        track_sid: track.to_owned(),
        subscribed_qualities: codecs.first().map(|c| c.qualities.clone()).unwrap_or_default(),
        subscribed_codecs: codecs,
    })
}

fn audio_update(track: &str, demand: &Demand) -> signal_response::Message {
    let codec = |(codec, wanted): &(Codec, Option<VideoQuality>)| SubscribedAudioCodec {
        // Clients name what RED (RFC 2198) carries.
        codec: if *codec == Codec::Red { Codec::Opus } else { *codec }.name().to_ascii_lowercase(),
        enabled: wanted.is_some(),
    };
    signal_response::Message::SubscribedAudioCodecUpdate(SubscribedAudioCodecUpdate {
        track_sid: track.to_owned(),
        subscribed_audio_codecs: demand.iter().map(codec).collect(),
    })
}

fn subscribed_codec((codec, demand): &(Codec, Option<VideoQuality>)) -> SubscribedCodec {
    let quality = |q: VideoQuality| SubscribedQuality { quality: q as i32, enabled: *demand >= Some(q) };
    SubscribedCodec {
        codec: codec.name().to_ascii_lowercase(),
        qualities: [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High].map(quality).to_vec(),
    }
}
