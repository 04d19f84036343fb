//! What each verb of RoomService answers to each mistake: code and text of the reference server, which SDKs compare.

use super::{Fixture, fixture};
use serde_json::{Value, json};

const NO_ROOM: (u16, &str, &str) = (404, "not_found", "requested room does not exist");
const NOBODY: (u16, &str, &str) = (404, "not_found", "participant does not exist");
const SAME_ROOM: &str = "destination room cannot be the same as source room";

/// Text and `meta.argument`.
type Complaint = (String, Option<&'static str>);
/// Verb, body, status, code.
type Case = (&'static str, Value, u16, &'static str, Complaint);

const fn invalid(text: &str) -> (u16, &str, &str) {
    (400, "invalid_argument", text)
}

async fn small() -> Fixture {
    fixture(|c| {
        c.hub.limits.room_name = 8;
        c.hub.limits.participant_name = 4;
        c.hub.limits.metadata = 5;
        c.hub.limits.attributes = 6;
    })
}

fn everything(f: &Fixture) -> String {
    f.token(|_, v| {
        v.room_create = true;
        v.room_list = true;
        v.room_admin = true;
        v.destination_room = "den".into();
    })
}

#[tokio::test]
async fn who_is_not_there_is_told_apart_from_a_room_that_is_not() {
    let f = small().await;
    let token = everything(&f);
    let body = json!({
        "room": "den", "identity": "ada", "destinationIdentity": "ada", "method": "m", "muted": true,
        "destinationRoom": "den",
    });
    let ask =
        async |verb: &str| f.twirp(&format!("livekit.RoomService/{verb}"), &token, &body.to_string()).await;
    let person = [
        "GetParticipant",
        "RemoveParticipant",
        "MutePublishedTrack",
        "UpdateParticipant",
        "UpdateSubscriptions",
    ];
    for (verbs, wanted) in [
        (&["DeleteRoom", "SendData", "UpdateRoomMetadata", "PerformRpc"][..], NO_ROOM),
        (&person[..], NOBODY),
    ] {
        for verb in verbs {
            let (status, answer) = ask(verb).await;
            assert_eq!((status, answer), (wanted.0, json!({ "code": wanted.1, "msg": wanted.2 })), "{verb}");
        }
    }
    // As the reference server reads its store.
    assert_eq!(ask("ListParticipants").await, (200, json!({ "participants": [] })));
    assert_eq!(ask("ListRooms").await, (200, json!({ "rooms": [] })));

    let _bob = f.participant("bob").await;
    for verb in person {
        let (status, answer) = ask(verb).await;
        assert_eq!((status, answer), (404, json!({ "code": NOBODY.1, "msg": NOBODY.2 })), "{verb}");
    }
}

#[tokio::test]
async fn mistakes_have_the_code_and_text_that_sdks_know() {
    let f = small().await;
    let token = everything(&f);
    let _ada = f.participant("ada").await;
    let about = |more: Value| {
        let mut body =
            json!({ "room": "den", "identity": "ada", "destinationIdentity": "ada", "method": "m" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let too_long = |what: &'static str| (format!("{what} 5"), Some(what));
    let attributes = ("attribute size exceeds limits 6".to_owned(), Some("attribute size exceeds limits"));
    let plain = |text: &str| (text.to_owned(), None);
    let metadata = || too_long("metadata size exceeds limits");
    let invalid = "invalid_argument";
    let cases: Vec<Case> = vec![
        ("CreateRoom", json!({}), 400, invalid, plain("no room name")),
        (
            "CreateRoom",
            json!({ "name": "x".repeat(9) }),
            400,
            invalid,
            plain("room name length exceeds limits"),
        ),
        ("CreateRoom", json!({ "name": "x", "metadata": "123456" }), 400, invalid, metadata()),
        (
            "CreateRoom",
            json!({ "name": "x", "agents": [{ "metadata": "123456" }] }),
            400,
            invalid,
            metadata(),
        ),
        (
            "CreateRoom",
            json!({ "name": "x", "agents": [{ "attributes": { "a": "123456" } }] }),
            400,
            invalid,
            attributes.clone(),
        ),
        (
            "CreateRoom",
            json!({ "name": "x", "roomPreset": "none" }),
            400,
            invalid,
            plain("unknown room configuration in create room request"),
        ),
        (
            "CreateRoom",
            json!({ "name": "x", "egress": {} }),
            500,
            "internal",
            plain("egress not connected (redis required)"),
        ),
        ("UpdateRoomMetadata", about(json!({ "metadata": "123456" })), 400, invalid, metadata()),
        (
            "UpdateParticipant",
            about(json!({ "name": "12345" })),
            400,
            invalid,
            ("name length exceeds limits 4".into(), Some("name length exceeds limits")),
        ),
        ("UpdateParticipant", about(json!({ "metadata": "123456" })), 400, invalid, metadata()),
        (
            "UpdateParticipant",
            about(json!({ "attributes": { "a": "123456" } })),
            400,
            invalid,
            attributes.clone(),
        ),
        // With what is there already.
        ("UpdateParticipant", about(json!({ "attributes": { "b": "12" } })), 400, invalid, attributes),
        (
            "MutePublishedTrack",
            about(json!({ "trackSid": "TR_x", "muted": false })),
            412,
            "failed_precondition",
            plain("remote unmute not enabled"),
        ),
        (
            "SendData",
            about(json!({ "nonce": "AAAA" })),
            400,
            invalid,
            plain("nonce should be 16-bytes or not present, got: 3 bytes"),
        ),
        (
            "MoveParticipant",
            about(json!({ "destinationRoom": "den" })),
            400,
            invalid,
            (SAME_ROOM.into(), Some(SAME_ROOM)),
        ),
        (
            "ForwardParticipant",
            about(json!({ "destinationRoom": "den" })),
            400,
            invalid,
            (SAME_ROOM.into(), Some(SAME_ROOM)),
        ),
        (
            "PerformRpc",
            about(json!({ "destinationIdentity": "" })),
            400,
            invalid,
            plain("destination identity is required"),
        ),
        ("PerformRpc", about(json!({ "destinationIdentity": "bob" })), 404, NOBODY.1, plain(NOBODY.2)),
        ("DeleteRoom", json!({ "room": "other" }), 404, NO_ROOM.1, plain(NO_ROOM.2)),
    ];
    for (verb, body, status, code, (msg, argument)) in cases {
        let mut wanted = json!({ "code": code, "msg": msg });
        if let Some(argument) = argument {
            wanted["meta"] = json!({ "argument": argument });
        }
        let (got, error) = f.twirp(&format!("livekit.RoomService/{verb}"), &token, &body.to_string()).await;
        assert_eq!((got, error), (status, wanted), "{verb} {body}");
    }
    let unknown = about(json!({ "trackSid": "TR_x", "muted": true })).to_string();
    let muted = f.twirp("livekit.RoomService/MutePublishedTrack", &token, &unknown).await;
    assert_eq!(muted, (200, json!({ "track": null })), "an unknown track is no mistake");
}

#[tokio::test]
async fn agent_dispatches_are_refused_in_the_same_words() {
    let f = small().await;
    let token = everything(&f);
    let _ada = f.participant("ada").await;
    for (verb, body, wanted) in [
        (
            "CreateDispatch",
            json!({ "room": "den", "metadata": "123456" }),
            invalid("metadata size exceeds limits"),
        ),
        (
            "CreateDispatch",
            json!({ "room": "den", "attributes": { "a": "123456" } }),
            invalid("attribute size exceeds limits"),
        ),
        (
            "DeleteDispatch",
            json!({ "room": "den", "dispatchId": "AD_none" }),
            (404, "not_found", "dispatch ID not found"),
        ),
    ] {
        let (status, error) =
            f.twirp(&format!("livekit.AgentDispatchService/{verb}"), &token, &body.to_string()).await;
        assert_eq!(
            (status, error),
            (wanted.0, json!({ "code": wanted.1, "msg": wanted.2 })),
            "{verb} {body}"
        );
    }
}
