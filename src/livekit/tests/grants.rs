//! Every bit of a grant against every call of the server API, and against joining.

use super::fixture;
use crate::auth::media_token::VideoGrant;
use serde_json::json;

type Set = fn(&mut VideoGrant);
type Rule = fn(&VideoGrant) -> bool;

/// One change for each field of the grant but the room.
const BITS: [(&str, Set); 16] = [
    ("roomCreate", |v| v.room_create = true),
    ("roomList", |v| v.room_list = true),
    ("roomRecord", |v| v.room_record = true),
    ("roomAdmin", |v| v.room_admin = true),
    ("roomJoin", |v| v.room_join = true),
    ("canPublish", |v| v.can_publish = Some(true)),
    ("canSubscribe", |v| v.can_subscribe = Some(true)),
    ("canPublishData", |v| v.can_publish_data = Some(true)),
    ("canPublishSources", |v| v.can_publish_sources = vec!["camera".into()]),
    ("canUpdateOwnMetadata", |v| v.can_update_own_metadata = Some(true)),
    ("ingressAdmin", |v| v.ingress_admin = true),
    ("hidden", |v| v.hidden = true),
    ("recorder", |v| v.recorder = true),
    ("agent", |v| v.agent = true),
    ("canSubscribeMetrics", |v| v.can_subscribe_metrics = Some(true)),
    ("destinationRoom", |v| v.destination_room = "hall".into()),
];

const CREATE: Rule = |v| v.room_create;
const LIST: Rule = |v| v.room_list;
const ADMIN: Rule = |v| v.room_admin && v.room == "den";
const TRANSFER: Rule = |v| v.room_admin && v.room == "den" && v.destination_room == "hall";

const VERBS: [(&str, Rule); 14] = [
    ("CreateRoom", CREATE),
    ("ListRooms", LIST),
    ("DeleteRoom", CREATE),
    ("ListParticipants", ADMIN),
    ("GetParticipant", ADMIN),
    ("RemoveParticipant", ADMIN),
    ("MutePublishedTrack", ADMIN),
    ("UpdateParticipant", ADMIN),
    ("UpdateSubscriptions", ADMIN),
    ("SendData", ADMIN),
    ("UpdateRoomMetadata", ADMIN),
    ("ForwardParticipant", TRANSFER),
    ("MoveParticipant", TRANSFER),
    ("PerformRpc", ADMIN),
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
        all.push(make(format!("all but {name}"), &|j| i != j));
    }
    let elsewhere = all.clone().into_iter().map(|(name, grant)| {
        (format!("{name}, of another room"), VideoGrant { room: "other".into(), ..grant })
    });
    all.extend(elsewhere.collect::<Vec<_>>());
    all
}

#[tokio::test]
async fn each_call_needs_exactly_its_grant() {
    let f = fixture(|_| {});
    let body = json!({
        "name": "den", "room": "den", "identity": "nobody", "destinationIdentity": "nobody",
        "destinationRoom": "hall", "method": "m",
    });
    for (name, grant) in grants() {
        let token = f.token(|_, v| *v = grant.clone());
        for (verb, allowed) in VERBS {
            let (status, answer) =
                f.twirp(&format!("livekit.RoomService/{verb}"), &token, &body.to_string()).await;
            if allowed(&grant) {
                assert!(matches!(status, 200 | 404), "{verb} with {name}: {status} {answer}");
            } else {
                let denied = json!({ "code": "unauthenticated", "msg": "permissions denied" });
                assert_eq!((status, &answer), (401, &denied), "{verb} with {name}");
            }
        }
        let (status, text) = f.get(&format!("/rtc/validate?access_token={token}")).await;
        let expected = if grant.room_join { (200, "success") } else { (401, "permissions denied") };
        assert_eq!((status, text.as_str()), expected, "join with {name}");
    }
}

#[tokio::test]
async fn each_call_needs_a_token() {
    let f = fixture(|_| {});
    for (verb, _) in VERBS {
        let request = axum::http::Request::post(format!("/twirp/livekit.RoomService/{verb}"))
            .header("content-type", "application/json");
        let (status, _, body) = f.send(request, "{}").await;
        assert_eq!(status, 401, "{verb}");
        assert!(body.contains("permissions denied"), "{verb}: {body}");
    }
}
