//! Signalling sessions: one participant's conversation with the server.

mod backup;
mod budget;
mod join;
mod leave;
mod negotiate;
mod offer;
mod one_shot;
mod profile;
mod publish;
mod resume;
mod simulate;
mod transport;
mod viewer;
mod whole;

pub(crate) use budget::Backlog;
pub(crate) use join::refusal;
pub(crate) use one_shot::{OneShot, PreparedOffer};
pub(crate) use profile::By;

use crate::accounts::price;
use crate::context::Cx;
use crate::ids::Pid;
use crate::room::Room;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_request::Message;
use livekit_protocol::{Pong, RequestResponse, TrickleRequest, UpdateSubscription, signal_response};
use serde::Deserialize;

/// Tracks named in one request.
const MAX_TRACKS_PER_REQUEST: usize = 4096;

impl Room {
    /// A message whose sender may send it.
    fn handle_signal(&mut self, cx: &mut Cx<'_>, pid: Pid, message: Message) {
        let now = cx.now;
        let Some(p) = self.get_mut(pid) else { return };
        match message {
            Message::Offer(offer) => self.on_offer(cx, pid, &offer),
            Message::Answer(answer) => self.on_answer(cx, pid, &answer),
            Message::Trickle(trickle) => self.on_trickle(cx, pid, trickle),
            Message::AddTrack(request) => self.on_add_track(cx, pid, request),
            Message::Mute(request) => {
                if self.set_muted(cx, pid, &request.sid, request.muted).is_none() {
                    self.respond(cx, pid, Reason::NotFound, "track not found", Request::Mute(request));
                }
            }
            Message::Subscription(update) => self.on_subscription(cx, pid, update),
            Message::TrackSetting(settings) => self.on_track_setting(cx, pid, settings),
            Message::Leave(leave) => self.on_leave(cx, pid, leave.reason),
            // Deprecated: layers are decided by what subscribers ask for.
            Message::UpdateLayers(_) => {}
            Message::SubscriptionPermission(rules) => self.set_audience(cx, pid, rules),
            Message::SyncState(state) => self.on_sync_state(cx, pid, state),
            Message::Simulate(scenario) => self.on_simulate(cx, pid, scenario),
            Message::Ping(_) => {
                let pong = i64::try_from(now.unix_ms).unwrap_or(i64::MAX);
                p.send(cx, signal_response::Message::Pong(pong));
            }
            Message::PingReq(ping) => {
                let timestamp = i64::try_from(now.unix_ms).unwrap_or(i64::MAX);
                let pong = Pong { last_ping_timestamp: ping.timestamp, timestamp };
                p.send(cx, signal_response::Message::PongResp(pong));
            }
            Message::UpdateMetadata(update) => self.on_update_metadata(cx, pid, update),
            Message::UpdateAudioTrack(update) => self.on_update_audio_track(cx, pid, update),
            Message::UpdateVideoTrack(update) => self.on_update_video_track(cx, pid, update),
            Message::PublishDataTrackRequest(request) => self.publish_data_track(cx, pid, request),
            Message::UnpublishDataTrackRequest(request) => self.unpublish_data_track(cx, pid, request),
            Message::UpdateDataSubscription(update) => self.update_data_subscription(cx, pid, update),
            Message::StoreDataBlobRequest(request) => self.store_blob(cx, pid, request),
            Message::GetDataBlobRequest(request) => self.get_blob(cx, pid, request),
        }
    }

    /// `request_response`, with the request echoed.
    pub(crate) fn respond(&self, cx: &mut Cx<'_>, pid: Pid, reason: Reason, text: &str, request: Request) {
        let request_id = match &request {
            Request::UpdateMetadata(u) => u.request_id,
            _ => 0,
        };
        self.respond_id(cx, pid, reason, text, request_id, Some(request));
    }

    pub(crate) fn respond_id(
        &self,
        cx: &mut Cx<'_>,
        pid: Pid,
        reason: Reason,
        text: &str,
        request_id: u32,
        request: Option<Request>,
    ) {
        let Some(p) = self.get(pid).filter(|p| p.client.knows_new_messages()) else { return };
        if reason == Reason::Ok && p.client.protocol < 15 {
            return;
        }
        let response =
            RequestResponse { request_id, reason: reason as i32, message: text.to_owned(), request };
        p.send(cx, signal_response::Message::RequestResponse(response));
    }

    pub(crate) fn on_subscription(&mut self, cx: &mut Cx<'_>, pid: Pid, update: UpdateSubscription) {
        let nested = update.participant_tracks.into_iter().flat_map(|p| p.track_sids);
        for track in update.track_sids.into_iter().chain(nested).take(MAX_TRACKS_PER_REQUEST) {
            cx.spend(price::RECONCILE);
            if update.subscribe {
                self.subscribe(cx, pid, &track);
            } else {
                self.decline(cx, pid, &track);
            }
        }
    }

    /// Candidates are checked and then ignored: an ICE-lite agent learns the client's addresses from its checks.
    fn on_trickle(&self, cx: &mut Cx<'_>, pid: Pid, trickle: TrickleRequest) {
        #[derive(Deserialize)]
        struct Candidate {
            #[serde(rename = "candidate")]
            _text: String,
        }
        if serde_json::from_str::<Candidate>(&trickle.candidate_init).is_err() {
            let text = "cannot parse ICE candidate";
            self.respond(cx, pid, Reason::UnclassifiedError, text, Request::Trickle(trickle));
        }
    }
}
