//! Every bit of a grant against every call of the server API, and against every other door.

use super::{Fixture, fixture};
use crate::auth::media_token::VideoGrant;
use axum::http::Request;
use serde_json::json;

type Set = fn(&mut VideoGrant);
type Rule = fn(&VideoGrant) -> bool;

/// One change for each field of the grant but the room; what is true when absent is taken away.
const BITS: [(&str, Set); 20] = [
    ("roomCreate", |v| v.room_create = true),
    ("roomList", |v| v.room_list = true),
    ("roomRecord", |v| v.room_record = true),
    ("roomAdmin", |v| v.room_admin = true),
    ("roomJoin", |v| v.room_join = true),
    ("canPublish", |v| v.can_publish = Some(true)),
    ("canPublish false", |v| v.can_publish = Some(false)),
    ("canSubscribe", |v| v.can_subscribe = Some(true)),
    ("canSubscribe false", |v| v.can_subscribe = Some(false)),
    ("canPublishData", |v| v.can_publish_data = Some(true)),
    ("canPublishData false", |v| v.can_publish_data = Some(false)),
    ("canPublishSources", |v| v.can_publish_sources = vec!["camera".into()]),
    ("canUpdateOwnMetadata", |v| v.can_update_own_metadata = Some(true)),
    ("ingressAdmin", |v| v.ingress_admin = true),
    ("hidden", |v| v.hidden = true),
    ("recorder", |v| v.recorder = true),
    ("agent", |v| v.agent = true),
    ("canSubscribeMetrics", |v| v.can_subscribe_metrics = Some(true)),
    ("canManageAgentSession", |v| v.can_manage_agent_session = Some(true)),
    ("destinationRoom", |v| v.destination_room = "hall".into()),
];

const CREATE: Rule = |v| v.room_create;
const LIST: Rule = |v| v.room_list;
const ADMIN: Rule = |v| v.room_admin && v.room == "den";
const TRANSFER: Rule = |v| v.room_admin && v.room == "den" && v.destination_room == "hall";
const JOIN: Rule = |v| v.room_join;
const PUBLISH: Rule = |v| v.room_join && v.can_publish != Some(false);
const WATCH: Rule = |v| v.room_join && v.can_subscribe != Some(false);
const AGENT: Rule = |v| v.agent;

const VERBS: [(&str, Rule); 17] = [
    ("RoomService/CreateRoom", CREATE),
    ("RoomService/ListRooms", LIST),
    ("RoomService/DeleteRoom", CREATE),
    ("RoomService/ListParticipants", ADMIN),
    ("RoomService/GetParticipant", ADMIN),
    ("RoomService/RemoveParticipant", ADMIN),
    ("RoomService/MutePublishedTrack", ADMIN),
    ("RoomService/UpdateParticipant", ADMIN),
    ("RoomService/UpdateSubscriptions", ADMIN),
    ("RoomService/SendData", ADMIN),
    ("RoomService/UpdateRoomMetadata", ADMIN),
    ("RoomService/ForwardParticipant", TRANSFER),
    ("RoomService/MoveParticipant", TRANSFER),
    ("RoomService/PerformRpc", ADMIN),
    ("AgentDispatchService/CreateDispatch", ADMIN),
    ("AgentDispatchService/DeleteDispatch", ADMIN),
    ("AgentDispatchService/ListDispatch", ADMIN),
];

/// How a door is tried.
#[derive(Clone, Copy)]
enum Knock {
    Get,
    /// With the upgrade of a WebSocket.
    Upgrade,
    /// With an offer that nobody can answer.
    Offer,
}

/// Each door with its rule and its answer to who may enter.
const DOORS: [(&str, Knock, Rule, u16); 8] = [
    ("/rtc/validate", Knock::Get, JOIN, 200),
    ("/rtc/v1/validate?join_request=EgA=", Knock::Get, JOIN, 200),
    ("/rtc", Knock::Upgrade, JOIN, 101),
    ("/rtc/v1?join_request=EgA=", Knock::Upgrade, JOIN, 101),
    ("/agent", Knock::Upgrade, AGENT, 101),
    ("/livekit/agent", Knock::Upgrade, AGENT, 101),
    ("/whip/v1", Knock::Offer, PUBLISH, 400),
    ("/whep/v1", Knock::Offer, WATCH, 400),
];

/// None, each alone, all but each, all.
fn grants() -> Vec<(String, VideoGrant)> {
    let make = |name: String, keep: &dyn Fn(usize) -> bool| {
        let mut grant = VideoGrant { room: "den".into(), ..VideoGrant::default() };
        for (_, (_, set)) in BITS.iter().enumerate().filter(|(i, _)| keep(*i)) {
            set(&mut grant);
        }
        (name, grant)
    };
    let mut all = vec![make("nothing".into(), &|_| false), make("everything".into(), &|_| true)];
    for (i, (name, _)) in BITS.iter().enumerate() {
        all.push(make(format!("only {name}"), &|j| i == j));
        all.push(make(format!("roomJoin and {name}"), &|j| i == j || BITS[j].0 == "roomJoin"));
        all.push(make(format!("all but {name}"), &|j| i != j));
    }
    let elsewhere = all.clone().into_iter().map(|(name, grant)| {
        (format!("{name}, of another room"), VideoGrant { room: "other".into(), ..grant })
    });
    all.extend(elsewhere.collect::<Vec<_>>());
    all
}

async fn knock(f: &Fixture, door: &str, how: Knock, token: &str) -> (u16, String) {
    let request = match how {
        Knock::Get => Request::get(door),
        Knock::Upgrade => super::upgrade(door),
        Knock::Offer => Request::post(door).header("content-type", "application/sdp"),
    };
    let request = request.header("authorization", format!("Bearer {token}"));
    let (status, _, body) = f.send(request, if matches!(how, Knock::Offer) { "v=0\r\n" } else { "" }).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn each_call_and_each_door_needs_exactly_its_grant() {
    let f = fixture(|_| {});
    let body = json!({
        "name": "den", "room": "den", "identity": "nobody", "destinationIdentity": "nobody",
        "destinationRoom": "hall", "method": "m", "agentName": "helper", "dispatchId": "AD_none",
    });
    for (name, grant) in grants() {
        let token = f.token(|_, v| *v = grant.clone());
        for (verb, allowed) in VERBS {
            let (status, answer) = f.twirp(&format!("livekit.{verb}"), &token, &body.to_string()).await;
            if allowed(&grant) {
                assert!(matches!(status, 200 | 404), "{verb} with {name}: {status} {answer}");
            } else {
                let denied = json!({ "code": "unauthenticated", "msg": "permissions denied" });
                assert_eq!((status, &answer), (401, &denied), "{verb} with {name}");
            }
        }
        for (door, how, allowed, welcome) in DOORS {
            let (status, text) = knock(&f, door, how, &token).await;
            if allowed(&grant) {
                assert_eq!(status, welcome, "{door} with {name}: {text}");
            } else {
                assert_eq!(status, 401, "{door} with {name}: {text}");
                assert!(text.contains("permissions denied"), "{door} with {name}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn each_call_and_each_door_needs_a_token() {
    let f = fixture(|_| {});
    for (verb, _) in VERBS {
        let request =
            Request::post(format!("/twirp/livekit.{verb}")).header("content-type", "application/json");
        let (status, _, body) = f.send(request, "{}").await;
        assert_eq!(status, 401, "{verb}");
        assert!(body.contains("permissions denied"), "{verb}: {body}");
    }
    for (door, how, ..) in DOORS {
        let request = match how {
            Knock::Get => Request::get(door),
            Knock::Upgrade => super::upgrade(door),
            Knock::Offer => Request::post(door).header("content-type", "application/sdp"),
        };
        let (status, _, body) = f.send(request, "v=0\r\n").await;
        assert_eq!(status, 401, "{door}: {body}");
    }
}

/// No grant opens a service that is not there, and none learns more about it than others.
#[tokio::test]
async fn services_that_are_absent_stay_absent_for_everyone() {
    let f = fixture(|_| {});
    for (name, grant) in grants() {
        let token = f.token(|_, v| *v = grant);
        for verb in ["Egress/ListEgress", "Ingress/ListIngress", "SIP/ListSIPTrunk"] {
            let (status, answer) = f.twirp(&format!("livekit.{verb}"), &token, "{}").await;
            assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{verb} with {name}");
        }
    }
}
