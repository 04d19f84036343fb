//! `add_track` for a further codec of a published track.

use super::publish::layer_mode;
use crate::context::Cx;
use crate::enums::known_layers;
use crate::ids::Pid;
use crate::room::{Pending, Room, timed_version};
use bedrud_rtp::Codec;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::{AddTrackRequest, SimulcastCodecInfo, TrackInfo};

/// Codecs of one track.
const MAX_CODECS: usize = 8;

impl Room {
    /// The track exists and the publisher may publish its source.
    pub(super) fn add_codec(&mut self, cx: &mut Cx<'_>, pid: Pid, request: AddTrackRequest) {
        let refused = match self.describe_codec(cx, pid, &request) {
            Ok((cid, info, codec)) => {
                self.await_media(cx, pid, Pending { cid, info, adds: Some(codec) });
                return;
            }
            Err(refused) => refused,
        };
        self.respond(cx, pid, refused.0, refused.1, Request::AddTrack(request));
    }

    fn describe_codec(
        &mut self,
        cx: &Cx<'_>,
        pid: Pid,
        request: &AddTrackRequest,
    ) -> Result<(String, TrackInfo, Codec), (Reason, &'static str)> {
        let not_found = (Reason::NotFound, "track not found");
        let p = self.get_mut(pid).ok_or(not_found)?;
        let enabled = p.client.publish_codecs(cx.codecs);
        let waiting = |codec| p.pending.iter().any(|t| t.adds == Some(codec) && t.info.sid == request.sid);
        let wanted = request.simulcast_codecs.first();
        let kind = p.tracks.get(&*request.sid).map(|t| t.kind).ok_or(not_found)?;
        let codec = wanted
            .and_then(|w| Codec::from_name(&w.codec))
            .filter(|c| c.kind() == kind && *c != Codec::Red && enabled.contains(c));
        let (Some(wanted), Some(codec)) = (wanted, codec) else {
            return Err((Reason::InvalidRequest, "the codec is not enabled"));
        };
        let busy = waiting(codec);
        let t = p.tracks.get_mut(&*request.sid).ok_or(not_found)?;
        if busy || t.arrives_in(codec) {
            return Err((Reason::InvalidRequest, "the track is published in this codec"));
        }
        let cid = if request.cid.is_empty() { &wanted.cid } else { &request.cid };
        let mime = codec.mime_type();
        if !t.info.codecs.iter().any(|c| c.mime_type == mime) {
            if t.info.codecs.len() >= MAX_CODECS {
                return Err((Reason::LimitExceeded, "too many codecs"));
            }
            t.info.codecs.push(SimulcastCodecInfo {
                mime_type: mime.to_owned(),
                video_layer_mode: layer_mode(codec, wanted.video_layer_mode) as i32,
                ..SimulcastCodecInfo::default()
            });
        }
        let entry = t.info.codecs.iter_mut().find(|c| c.mime_type == mime).ok_or(not_found)?;
        entry.cid.clone_from(cid);
        let layers = if wanted.layers.is_empty() { &request.layers } else { &wanted.layers };
        if !layers.is_empty() {
            entry.layers = known_layers(layers);
        } else if entry.layers.is_empty() {
            entry.layers.clone_from(&t.info.layers);
        }
        t.info.version = timed_version(cx.now.unix_ms, 0);
        Ok((cid.clone(), t.info.clone(), codec))
    }
}
