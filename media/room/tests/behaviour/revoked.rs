//! A removed participant does not come back with its old token.

use crate::world::{Join, World, join};
use bedrud_room::{Now, Revocation, RoomEvent, ServiceRequest, ServiceResponse};
use livekit_protocol::RoomParticipantIdentity;
use std::time::Duration;

fn issued(w: &World) -> i64 {
    i64::try_from(w.unix_ms() / 1000).unwrap()
}

fn with_token(digest: &'static str, nbf: i64) -> Join {
    join(false).with(|p| {
        p.token = digest.into();
        p.claims.sub = "alice".into();
        p.claims.nbf = Some(nbf);
        p.claims.exp = Some(nbf + 3600);
    })
}

fn remove(w: &mut World, revoke_token_ts: i64) {
    let (room, identity) = ("room".into(), "alice".into());
    let r = RoomParticipantIdentity { room, identity, revoke_token_ts };
    let answer = w.service(ServiceRequest::RemoveParticipant(r)).unwrap();
    let ServiceResponse::Removed(Some(entry)) = answer else { panic!("{answer:?}") };
    assert!(w.events.contains(&RoomEvent::TokensRevoked(*entry)), "told as well");
}

fn refused(w: &mut World, how: Join) -> bool {
    let client = w.join("again", how);
    let refused = client.refused.clone();
    if let Some(error) = &refused {
        assert_eq!((error.status, error.message.as_str()), (401, "token has been revoked"));
    }
    refused.is_some()
}

#[test]
fn same_token_is_refused_and_a_newer_one_is_welcome() {
    let mut w = World::new();
    let t = issued(&w);
    w.join("alice", with_token("first", t));
    remove(&mut w, 0);
    assert!(refused(&mut w, with_token("first", t)), "used, although issued in the second of the removal");
    assert!(refused(&mut w, with_token("unused", t - 20)), "issued earlier");
    assert!(!refused(&mut w, with_token("newer", t)));
}

#[test]
fn fresh_token_that_does_not_say_when_it_was_signed_is_welcome() {
    let mut w = World::new();
    let t = issued(&w);
    let undated = |digest: &'static str, nbf: Option<i64>| {
        with_token(digest, t).with(|p| (p.claims.nbf, p.claims.iat) = (nbf, None))
    };
    for (first, second, nbf) in [("a", "b", None), ("c", "d", Some(0))] {
        w.join("alice", undated(first, nbf));
        remove(&mut w, 0);
        assert!(refused(&mut w, undated(first, nbf)), "the one that was used");
        assert!(!refused(&mut w, undated(second, nbf)));
    }
    remove(&mut w, t + 1);
    assert!(refused(&mut w, undated("e", None)), "a time was given");
}

#[test]
fn refreshed_tokens_of_the_session_are_refused() {
    let mut w = World::new();
    let t = issued(&w);
    w.join("alice", with_token("first", t));
    let refreshed = w.client("alice").tokens.last().cloned().unwrap();
    remove(&mut w, 0);
    let mut how = with_token("refreshed", t);
    how.params.claims = refreshed;
    how.params.claims.nbf = Some(t);
    assert!(refused(&mut w, how.clone()));
    let mut resume = how;
    resume.params.reconnect = Some(bedrud_room::Reconnect { sid: String::new(), reason: Default::default() });
    assert!(refused(&mut w, resume));
}

#[test]
fn secondary_connection_does_not_go_round_the_removal() {
    let mut w = World::new();
    let t = issued(&w);
    w.join("alice", with_token("first", t));
    remove(&mut w, 0);
    assert!(refused(&mut w, with_token("first", t).with(|p| p.publish = Some("screen".into()))));
}

#[test]
fn others_and_other_rooms_are_not_concerned() {
    let mut w = World::new();
    let t = issued(&w);
    w.join("alice", with_token("first", t));
    w.join("bob", join(false));
    remove(&mut w, 0);
    assert!(!refused(&mut w, with_token("first", t).grant(|g| g.room = "other".into())));
    assert!(!refused(&mut w, with_token("first", t).with(|p| p.claims.sub = "bob".into())));
}

#[test]
fn given_time_is_honoured() {
    let mut w = World::new();
    let t = issued(&w);
    w.join("alice", with_token("first", t));
    remove(&mut w, t + 60);
    assert!(refused(&mut w, with_token("second", t + 59)));
    assert!(!refused(&mut w, with_token("third", t + 60)));
    w.join("alice", with_token("fourth", t + 60));
    remove(&mut w, 1);
    assert!(refused(&mut w, with_token("fifth", t + 59)), "an earlier time does not lift what was revoked");
}

#[test]
fn revocations_survive_a_restart_and_end_with_the_tokens() {
    let mut w = World::new();
    let t = issued(&w);
    w.join("alice", with_token("first", t));
    remove(&mut w, 0);
    let told: Vec<Revocation> = w
        .events
        .iter()
        .filter_map(|e| match e {
            RoomEvent::TokensRevoked(r) => Some(r.clone()),
            _ => None,
        })
        .collect();
    let now = |w: &World| Now { mono: w.now, unix_ms: w.unix_ms() };
    assert_eq!(w.hub.revocations(now(&w)), told);
    let mut other = World::new();
    let at = now(&other);
    other.hub.restore_revocations(at, told);
    assert!(refused(&mut other, with_token("first", t)));
    assert!(!refused(&mut other, with_token("newer", t)));
    other.advance(Duration::from_secs(6 * 3600 + 120));
    assert!(other.hub.revocations(now(&other)).is_empty());
}
