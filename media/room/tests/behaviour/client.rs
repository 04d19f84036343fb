//! A client as the signalling protocol sees it.

use crate::sdp::{self, Section};
use crate::shard::Shard;
use bedrud_room::ConnId;
use bedrud_sfu::TransportId;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::{
    AddTrackRequest, JoinResponse, LeaveRequest, ParticipantInfo, SessionDescription, TrackInfo, TrackSource,
    TrackType, UpdateSubscription,
};

#[derive(Default)]
pub struct Client {
    pub conn: Option<ConnId>,
    pub single_pc: bool,
    pub inbox: Vec<Message>,
    /// Everything ever received.
    pub log: Vec<Message>,
    pub outbox: Vec<Request>,
    pub sections: Vec<Section>,
    pub ufrag: String,
    pub next_offer_id: u32,
    /// `Some(clean)` once the server has closed the socket.
    pub closed: Option<bool>,
    pub refused: Option<bedrud_room::JoinError>,
    pub tokens: Vec<bedrud_room::Claims>,
    pub refuse_video: bool,
    /// Names of video codecs it has not.
    pub lacks: &'static [&'static str],
    /// Does not answer offers and requirements.
    pub mute_negotiation: bool,
    pub publisher: Option<TransportId>,
    pub subscriber: Option<TransportId>,
    /// Mid to track sid of the last server description.
    pub receiving: std::collections::HashMap<String, String>,
    pub last_server_sdp: String,
}

impl Client {
    /// Reacts as an SDK would.
    pub fn receive(&mut self, message: Message) {
        match &message {
            Message::Offer(offer) => {
                assert!(!self.single_pc, "the server never offers on a single connection");
                self.subscriber = Some(Shard::by_sdp(&offer.sdp));
                self.receiving.clone_from(&offer.mid_to_track_id);
                self.last_server_sdp.clone_from(&offer.sdp);
                if !self.mute_negotiation {
                    let sdp = self.own(sdp::answer(&offer.sdp, "suba", self.refuse_video));
                    let answer = SessionDescription {
                        r#type: "answer".into(),
                        sdp,
                        id: offer.id,
                        ..Default::default()
                    };
                    self.outbox.push(Request::Answer(answer));
                }
            }
            Message::Answer(answer) => {
                assert_eq!(answer.id, self.next_offer_id, "the answer echoes the offer's id");
                self.publisher = Some(Shard::by_sdp(&answer.sdp));
                if self.single_pc {
                    self.receiving.clone_from(&answer.mid_to_track_id);
                }
                self.last_server_sdp.clone_from(&answer.sdp);
            }
            Message::MediaSectionsRequirement(r) if !self.mute_negotiation => {
                for (video, n) in [(false, r.num_audios), (true, r.num_videos)] {
                    for _ in 0..n {
                        self.add_receiving(video);
                    }
                }
                let offer = self.offer();
                self.outbox.push(offer);
            }
            _ => {}
        }
        self.log.push(message.clone());
        self.inbox.push(message);
    }

    pub fn add_receiving(&mut self, video: bool) {
        let mid = self.sections.len().to_string();
        self.sections.push(Section { mid, video, direction: "recvonly", track: None, simulcast: false });
    }

    pub fn add_sending(&mut self, cid: &str, video: bool, simulcast: bool) {
        let mid = self.sections.len().to_string();
        let track = Some(cid.to_owned());
        self.sections.push(Section { mid, video, direction: "sendonly", track, simulcast });
    }

    pub fn stop_sending(&mut self, cid: &str) {
        let section = self.sections.iter_mut().find(|s| s.track.as_deref() == Some(cid)).expect("sent");
        section.direction = "inactive";
        section.track = None;
    }

    /// A publisher offer of the present sections.
    pub fn offer(&mut self) -> Request {
        self.next_offer_id += 1;
        let sdp = self.own(sdp::offer(&self.ufrag, &self.sections));
        let id = self.next_offer_id;
        Request::Offer(SessionDescription { r#type: "offer".into(), sdp, id, ..Default::default() })
    }

    fn own(&self, sdp: String) -> String {
        self.lacks.iter().fold(sdp, |sdp, codec| sdp::without(&sdp, codec))
    }

    pub fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.inbox)
    }

    pub fn join_response(&self) -> &JoinResponse {
        match self.log.first() {
            Some(Message::Join(join)) => join,
            other => panic!("expected join first, got {other:?}"),
        }
    }

    pub fn sid(&self) -> String {
        self.join_response().participant.as_ref().unwrap().sid.clone()
    }

    pub fn find<T>(&self, pick: impl Fn(&Message) -> Option<T>) -> Option<T> {
        self.log.iter().rev().find_map(pick)
    }

    /// Newest info about somebody, from `join` and updates.
    pub fn sees(&self, identity: &str) -> Option<ParticipantInfo> {
        self.find(|m| match m {
            Message::Update(u) => u.participants.iter().rev().find(|p| p.identity == identity).cloned(),
            Message::Join(j) => j.other_participants.iter().find(|p| p.identity == identity).cloned(),
            _ => None,
        })
    }

    pub fn leave(&self) -> Option<LeaveRequest> {
        self.find(|m| match m {
            Message::Leave(l) => Some(l.clone()),
            _ => None,
        })
    }

    /// Track confirmed for a client id.
    pub fn confirmed(&self, cid: &str) -> Option<TrackInfo> {
        self.find(|m| match m {
            Message::TrackPublished(t) if t.cid == cid => t.track.clone(),
            _ => None,
        })
    }
}

pub fn add_track(cid: &str, video: bool) -> AddTrackRequest {
    let (kind, source) = if video {
        (TrackType::Video, TrackSource::Camera)
    } else {
        (TrackType::Audio, TrackSource::Microphone)
    };
    AddTrackRequest {
        cid: cid.into(),
        r#type: kind as i32,
        source: source as i32,
        ..AddTrackRequest::default()
    }
}

/// Asks for a track, or gives it up.
pub fn subscribe(sid: &str, subscribe: bool) -> Request {
    Request::Subscription(UpdateSubscription {
        track_sids: vec![sid.into()],
        subscribe,
        ..Default::default()
    })
}
