//! The place of a subscription in the SDP: a section of its subscriber's connection.

use super::binding::BIND;
use super::subscriptions::Down;
use super::{Farewell, Link, Room, Subscriber};
use crate::accounts::price;
use crate::context::Cx;
use crate::ids::Pid;
use crate::timers::Timer;
use bedrud_rtp::MediaKind;
use bedrud_sdp::{CodecSpec, Offerer, OffererConfig, SendTrack};
use bedrud_sfu::{Command, DataChannel};
use livekit_protocol::leave_request::Action;
use livekit_protocol::{AudioTrackFeature, DisconnectReason, VideoQuality};
use rand::Rng as _;

impl Room {
    /// Gives a subscription its place in the SDP.
    pub(super) fn attach(&mut self, cx: &mut Cx<'_>, pid: Pid, owner: Pid, track: &str) {
        if self.get(pid).is_some_and(|p| p.one_shot.is_some()) {
            self.mark_viewers(cx);
            return;
        }
        cx.spend(price::NEGOTIATION);
        let Some(codecs) = self.codecs_of(cx, owner, track) else { return };
        let Some(publisher) = self.get(owner) else { return };
        let Some(t) = publisher.tracks.get(track) else { return };
        let stereo = t.info.stereo || t.info.audio_features.contains(&(AudioTrackFeature::TfStereo as i32));
        let (kind, participant_sid) = (t.kind, publisher.sid.to_string());
        let stream = Some(t.info.stream.clone()).filter(|s| self.syncs_streams() && !s.is_empty());
        if !self.ensure_subscriber(cx, pid) {
            return;
        }
        let Some(p) = self.participants.get_mut(&pid) else { return };
        let send = SendTrack {
            cname: participant_sid.clone(),
            participant_sid,
            track_sid: track.to_owned(),
            stream_name: stream.filter(|_| p.client.syncs_streams()),
            kind,
            codecs,
            ssrc: p.take_ssrc(cx),
            rtx_ssrc: (kind == MediaKind::Video).then(|| p.take_ssrc(cx)),
            stereo: stereo && kind == MediaKind::Audio,
        };
        if let Some(s) = &mut p.subscriber {
            if let Err(error) = s.offerer.add_track(send.clone()) {
                tracing::warn!(participant = %p.sid, %error, "no room for a subscription");
                p.give_ssrcs(&send);
                return;
            }
        } else {
            p.publisher.answerer.add_track(send.clone());
        }
        let may_pause = p.may_pause;
        let first = if p.adaptive_stream { VideoQuality::Low } else { VideoQuality::High };
        if let Some(s) = p.subscriptions.get_mut(track) {
            s.down = Some(Down::new(cx.now.mono, send, may_pause, first));
        }
        self.settle_initial(cx, pid, track);
        cx.arm_timer(self.key, Some(pid), Timer::Bind, BIND);
        self.schedule_negotiation(cx, pid);
        self.weigh_demand(cx, track);
    }

    /// Dual-connection clients need a connection for what they receive. False when there is none to be had.
    pub(crate) fn ensure_subscriber(&mut self, cx: &mut Cx<'_>, pid: Pid) -> bool {
        let (room, shard, sync) = (self.key, self.shard, self.syncs_streams());
        let Some(p) = self.get_mut(pid) else { return false };
        if p.single_pc || p.subscriber.is_some() {
            return true;
        }
        let Some(link) = Link::open(cx, room, pid, shard, p.tcp_only) else {
            self.remove(cx, pid, DisconnectReason::JoinFailure, Farewell::Leave(Action::Disconnect));
            return false;
        };
        if p.subscriber_primary {
            for channel in DataChannel::ALL {
                cx.command(shard, Command::OpenDataChannel { id: link.id, channel });
            }
        }
        let mut quirks = p.client.quirks();
        // Streams that belong together must not change their name within a section.
        quirks.reuse_sections &= !(sync && p.client.syncs_streams());
        let offerer = Offerer::new(OffererConfig {
            codecs: cx.codecs.clone(),
            quirks,
            session_id: cx.rng.random::<u64>() >> 2,
            first_offer_id: cx.rng.random_range(2..=257),
        });
        p.subscriber = Some(Subscriber { link, offerer, offered_at: None, restart_ice: false });
        true
    }

    /// Takes a subscription out of the SDP and stops forwarding. The wish stays.
    pub(super) fn detach(&mut self, cx: &mut Cx<'_>, pid: Pid, track: &str) {
        let shard = self.shard;
        let Some(p) = self.get_mut(pid) else { return };
        let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.take()) else { return };
        cx.spend(price::NEGOTIATION);
        if let Some(bound) = down.bound {
            cx.routes.downs.remove(&bound.id);
            cx.command(shard, Command::RemoveDownTrack { id: bound.id });
        }
        if let Some(s) = &mut p.subscriber {
            s.offerer.remove_track(track);
        } else {
            p.publisher.answerer.remove_track(track);
        }
        p.give_ssrcs(&down.send);
        self.schedule_negotiation(cx, pid);
    }

    /// The publisher's codec changed: the place in the SDP stays, its codecs are offered anew.
    pub(super) fn refresh_codecs(&mut self, cx: &mut Cx<'_>, owner: Pid, track: &str) {
        let Some(codecs) = self.codecs_of(cx, owner, track) else { return };
        for pid in self.pids() {
            let Some(p) = self.get_mut(pid).filter(|p| p.one_shot.is_none()) else { continue };
            let Some(down) = p.subscriptions.get_mut(track).and_then(|s| s.down.as_mut()) else { continue };
            if down.send.codecs == codecs {
                continue;
            }
            down.send.codecs.clone_from(&codecs);
            let send = down.send.clone();
            if let Some(s) = &mut p.subscriber {
                // It has its section, so there is room.
                let _ = s.offerer.add_track(send);
            } else {
                p.publisher.answerer.add_track(send);
            }
            self.schedule_negotiation(cx, pid);
        }
    }

    /// Codecs to send of a track.
    fn codecs_of(&self, cx: &Cx<'_>, owner: Pid, track: &str) -> Option<Vec<CodecSpec>> {
        let t = self.get(owner)?.tracks.get(track)?;
        Some(t.send_codecs(cx.codecs))
    }
}
