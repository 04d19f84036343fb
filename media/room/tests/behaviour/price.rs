//! What one participant may cost the control plane and the others: every kind of message as fast as it can be sent, and what
//! those beside it notice.

use crate::client::{add_track, subscribe};
use crate::world::{World, join, layers};
use bedrud_room::VideoGrant;
use livekit_protocol::data_blob_key::Key;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use livekit_protocol::simulate_scenario::Scenario;
use livekit_protocol::*;
use std::time::Duration;

const LISTENERS: usize = 20;
/// A small budget shows soon whether it holds: 200 messages and 0.1 s of work at once.
const BURST: u32 = 200;
/// Work per second that is 5 % of the control thread, and what may be spent at once: the burst, and a debt as large.
const SHARE: u64 = 500_000;
const AT_ONCE: u64 = 2 * 5000 * BURST as u64;

pub fn name(n: usize) -> &'static str {
    format!("listener-{n}").leak()
}

pub fn own_metadata(grant: &mut VideoGrant) {
    grant.can_update_own_metadata = Some(true);
}

/// A room of listeners, one of whom speaks and one of whom is going to mean harm.
fn hall(listeners: usize) -> World {
    let mut w = World::with(|c| {
        c.limits.signal_burst = BURST;
        c.data_blobs = true;
    });
    for n in 0..listeners {
        w.join(name(n), join(true));
    }
    w.publish(name(0), "cam", true);
    w.publish(name(0), "mic", false);
    w.join("eve", join(false).grant(own_metadata));
    w.publish("eve", "cam", true);
    w.publish("eve", "mic", false);
    w.advance(Duration::from_secs(10));
    w
}

/// What a flood led to.
struct Outcome {
    work: u64,
    busy: Duration,
    /// Eve lost her socket so often.
    cut_off: u32,
    /// She could not come back so often.
    refused: u32,
}

/// Eve sends what `make` says as fast as the server lets her, and comes back whenever it sends her away.
fn flood(
    w: &mut World,
    seconds: u64,
    per_second: u32,
    mut make: impl FnMut(&mut World, u32) -> Request,
) -> Outcome {
    let (work, busy) = (w.hub.work(), w.busy);
    let (mut cut_off, mut refused, mut number) = (0, 0, 0);
    for _ in 0..seconds {
        for _ in 0..per_second {
            if w.client("eve").closed.is_some() || w.client("eve").refused.is_some() {
                break;
            }
            number += 1;
            let message = make(w, number);
            w.send("eve", message);
        }
        w.advance(Duration::from_secs(1));
        let eve = w.client("eve");
        eve.take();
        if eve.refused.is_some() {
            refused += 1;
        }
        if eve.closed.is_some() || eve.refused.is_some() {
            cut_off += u32::from(eve.closed.is_some());
            come_back(w);
        }
        for c in w.clients.values_mut() {
            c.inbox.clear();
            let old = c.log.len().saturating_sub(50);
            c.log.drain(1..old.max(1));
        }
    }
    Outcome { work: w.hub.work() - work, busy: w.busy - busy, cut_off, refused }
}

/// Eve takes her session up again, or begins another one.
fn come_back(w: &mut World) {
    let lost = |w: &mut World| w.client("eve").closed.is_some() || w.client("eve").refused.is_some();
    w.client("eve").refused = None;
    w.resume("eve", join(false).grant(own_metadata));
    if w.client("eve").closed.is_some() {
        w.join("eve", join(false).grant(own_metadata));
        if !lost(w) {
            w.publish("eve", "cam", true);
            if !lost(w) {
                w.publish("eve", "mic", false);
            }
        }
    }
}

/// A published track of Eve's.
fn own(w: &World, video: bool) -> String {
    let speaker = w.clients.get(name(1)).expect("a listener");
    let tracks = speaker.sees("eve").map(|p| p.tracks).unwrap_or_default();
    tracks
        .into_iter()
        .find(|t| (t.r#type == TrackType::Video as i32) == video)
        .map(|t| t.sid)
        .unwrap_or_default()
}

fn permission(number: u32) -> Request {
    let entry = |i: u32| TrackPermission {
        participant_sid: format!("PA_{number}_{i}"),
        all_tracks: true,
        ..TrackPermission::default()
    };
    Request::SubscriptionPermission(SubscriptionPermission {
        all_participants: false,
        track_permissions: (0..4096).map(entry).collect(),
    })
}

/// A kind of message by its name, and how the n-th of it is made.
type Kind = (&'static str, Box<dyn FnMut(&mut World, u32) -> Request>);

/// Everything a client can say, at its most expensive.
fn kinds(w: &mut World) -> Vec<Kind> {
    let theirs = theirs(w);
    let many: Vec<String> = (0..4096).map(|i| format!("TR_{i}")).collect();
    let mut out: Vec<Kind> = Vec::new();
    out.push(("ping", Box::new(|_, n| Request::Ping(i64::from(n)))));
    out.push(("ping_req", Box::new(|_, n| Request::PingReq(Ping { timestamp: i64::from(n), rtt: 0 }))));
    out.push(("permission", Box::new(|_, n| permission(n))));
    out.push((
        "permission, on and off",
        Box::new(|_, n| {
            let all_participants = n % 2 == 0;
            Request::SubscriptionPermission(SubscriptionPermission { all_participants, ..Default::default() })
        }),
    ));
    let metadata = "m".repeat(512 << 10);
    out.push((
        "large metadata",
        Box::new(move |_, n| {
            let metadata = format!("{n}{}", &metadata[8..]);
            Request::UpdateMetadata(UpdateParticipantMetadata { metadata, ..Default::default() })
        }),
    ));
    out.push((
        "small metadata",
        Box::new(|_, n| {
            let attributes = [("n".to_owned(), n.to_string())].into();
            Request::UpdateMetadata(UpdateParticipantMetadata { attributes, ..Default::default() })
        }),
    ));
    out.push((
        "mute",
        Box::new(|w, n| Request::Mute(MuteTrackRequest { sid: own(w, false), muted: n % 2 == 1 })),
    ));
    out.push((
        "audio features",
        Box::new(|w, n| {
            let features = if n % 2 == 0 { vec![0] } else { vec![1] };
            Request::UpdateAudioTrack(UpdateLocalAudioTrack { track_sid: own(w, false), features })
        }),
    ));
    out.push((
        "video size",
        Box::new(|w, n| {
            Request::UpdateVideoTrack(UpdateLocalVideoTrack { track_sid: own(w, true), width: n, height: n })
        }),
    ));
    let track_sids = many.clone();
    out.push((
        "many subscriptions",
        Box::new(move |_, n| {
            let (track_sids, subscribe) = (track_sids.clone(), n % 2 == 1);
            Request::Subscription(UpdateSubscription { track_sids, subscribe, ..Default::default() })
        }),
    ));
    let wished = theirs.clone();
    out.push(("toggled subscriptions", Box::new(move |_, n| subscribe(&wished[0], n % 2 == 0))));
    let track_sids = [many.clone(), theirs].concat();
    out.push((
        "many settings",
        Box::new(move |_, n| {
            let (track_sids, disabled) = (track_sids.clone(), n % 2 == 1);
            Request::TrackSetting(UpdateTrackSettings { track_sids, disabled, ..Default::default() })
        }),
    ));
    let tracks = many.clone();
    out.push((
        "sync state",
        Box::new(move |_, n| {
            let (track_sids, subscribe) = (tracks.clone(), n % 2 == 1);
            let subscription = Some(UpdateSubscription { track_sids, subscribe, ..Default::default() });
            let track_sids_disabled = tracks.clone();
            Request::SyncState(SyncState { subscription, track_sids_disabled, ..Default::default() })
        }),
    ));
    let tracks = many.clone();
    out.push((
        "data subscriptions",
        Box::new(move |_, n| {
            let subscribe = n % 2 == 1;
            let one = |track_sid: &String| update_data_subscription::Update {
                track_sid: track_sid.clone(),
                subscribe,
                ..Default::default()
            };
            Request::UpdateDataSubscription(UpdateDataSubscription {
                updates: tracks.iter().map(one).collect(),
            })
        }),
    ));
    out.push((
        "data tracks",
        Box::new(|_, n| {
            let pub_handle = n / 2 % 200 + 1;
            if n % 2 == 0 {
                return Request::UnpublishDataTrackRequest(UnpublishDataTrackRequest { pub_handle });
            }
            let name = pub_handle.to_string();
            Request::PublishDataTrackRequest(PublishDataTrackRequest {
                pub_handle,
                name,
                ..Default::default()
            })
        }),
    ));
    out.push((
        "many data tracks",
        Box::new(|_, n| {
            let name = n.to_string();
            let request = PublishDataTrackRequest { pub_handle: n, name, ..Default::default() };
            Request::PublishDataTrackRequest(request)
        }),
    ));
    out.push((
        "new tracks",
        Box::new(|_, n| {
            Request::AddTrack(AddTrackRequest { layers: layers(), ..add_track(&format!("t{n}"), true) })
        }),
    ));
    out.push((
        "tracks that come and go",
        Box::new(|w, n| {
            let eve = w.client("eve");
            let cid = format!("t{}", (n - 1) / 4);
            match n % 4 {
                1 => Request::AddTrack(add_track(&cid, true)),
                2 => {
                    eve.add_sending(&cid, true, false);
                    eve.offer()
                }
                3 => Request::Ping(1),
                _ => {
                    if eve.sections.iter().any(|s| s.track.as_deref() == Some(cid.as_str())) {
                        eve.stop_sending(&cid);
                    }
                    eve.offer()
                }
            }
        }),
    ));
    out.push(("the same offer", Box::new(|w, _| w.client("eve").offer())));
    out.push((
        "answers",
        Box::new(|_, _| Request::Answer(crate::world::description(&"v=0\r\na=x\r\n".repeat(40_000)))),
    ));
    out.push((
        "candidates",
        Box::new(|_, _| {
            let candidate_init = "{".repeat(100_000);
            Request::Trickle(TrickleRequest { candidate_init, ..Default::default() })
        }),
    ));
    out.push((
        "layers",
        Box::new(|_, _| {
            let layer = VideoLayer::default();
            Request::UpdateLayers(UpdateVideoLayers { layers: vec![layer; 10_000], ..Default::default() })
        }),
    ));
    for (what, scenario) in [
        ("simulated speech", Scenario::SpeakerUpdate(0)),
        ("simulated migration", Scenario::Migration(true)),
        ("simulated departure", Scenario::ServerLeave(true)),
        ("another protocol", Scenario::SwitchCandidateProtocol(1)),
        ("bandwidth", Scenario::SubscriberBandwidth(1)),
        ("ends at resume", Scenario::DisconnectSignalOnResume(true)),
    ] {
        out.push((
            what,
            Box::new(move |_, _| Request::Simulate(SimulateScenario { scenario: Some(scenario) })),
        ));
    }
    out.push(("leave", Box::new(|_, _| Request::Leave(LeaveRequest::default()))));
    out.push((
        "blobs",
        Box::new(|_, n| {
            let key = Some(DataBlobKey { key: Some(Key::Generic((n % 2000).to_string())) });
            let blob = Some(DataBlob { key, contents: vec![0; 20] });
            Request::StoreDataBlobRequest(StoreDataBlobRequest { request_id: n, blob })
        }),
    ));
    out.push((
        "blobs of others",
        Box::new(|_, n| {
            let participant_identity = "listener-0".to_owned();
            let key = Some(DataBlobKey { key: Some(Key::Generic(n.to_string())) });
            Request::GetDataBlobRequest(GetDataBlobRequest { request_id: n, participant_identity, key })
        }),
    ));
    out
}

fn theirs(w: &mut World) -> Vec<String> {
    let speaker = w.client("eve").join_response().other_participants.clone();
    speaker.iter().flat_map(|p| p.tracks.iter().map(|t| t.sid.clone())).collect()
}

#[test]
fn no_kind_of_message_takes_more_than_its_share() {
    const SECONDS: u64 = 4;
    let count = kinds(&mut hall(1)).len();
    for i in 0..count {
        let mut w = hall(LISTENERS);
        let before = w.hub.work();
        w.advance(Duration::from_secs(SECONDS));
        let quiet = w.hub.work() - before;
        let (what, mut make) = kinds(&mut w).swap_remove(i);
        let got = flood(&mut w, SECONDS, 500, &mut *make);
        println!(
            "{what}: {} ms of work, took {:?}, cut off {}, refused {}",
            got.work / 10_000,
            got.busy,
            got.cut_off,
            got.refused
        );
        let most = AT_ONCE + SHARE * SECONDS + quiet * 2;
        assert!(got.work <= most, "{what}: {} ms of work", got.work / 10_000);
        for n in 0..LISTENERS {
            assert!(w.client(name(n)).closed.is_none(), "{what}: {}", name(n));
        }
        w.send(name(1), Request::Ping(1));
        assert!(matches!(w.client(name(1)).inbox.last(), Some(Message::Pong(_))), "{what}");
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn rules_of_thousands_of_entries_cost_the_same_whoever_listens() {
    let of = |listeners: usize| {
        let mut w = World::new();
        w.join("eve", join(true));
        w.publish("eve", "cam", true);
        w.publish("eve", "mic", false);
        for n in 0..listeners {
            w.join(name(n), join(true));
        }
        w.settle();
        w.send("eve", permission(0));
        let messages: Vec<Request> = (1..=40).map(permission).collect();
        let before = cpu();
        for message in messages {
            w.send("eve", message);
        }
        cpu() - before
    };
    let (few, many) = (of(2), of(60));
    // Thirty times as much where each listener is looked up in the list.
    assert!(many < few * 8, "{few:?} for two listeners, {many:?} for sixty");
}

#[test]
fn who_is_over_its_budget_waits_and_is_served_in_order() {
    let mut w = hall(2);
    let id =
        |n: u32| UpdateParticipantMetadata { request_id: n, name: format!("Eve {n}"), ..Default::default() };
    // More work than it may ask for at once.
    for n in 1..=3 {
        let mut many = permission(n);
        if let Request::SubscriptionPermission(p) = &mut many {
            p.track_permissions
                .iter_mut()
                .for_each(|t| t.track_sids = (0..12).map(|i| i.to_string()).collect());
        }
        w.send("eve", many);
    }
    w.client("eve").take();
    for n in 1..=5 {
        w.send("eve", Request::UpdateMetadata(id(n)));
    }
    let answers = |w: &mut World| -> Vec<u32> {
        let all = w.client("eve").inbox.iter();
        all.filter_map(|m| match m {
            Message::RequestResponse(r) => Some(r.request_id),
            _ => None,
        })
        .collect()
    };
    assert_eq!(answers(&mut w), [0; 0], "nothing yet");
    w.send("eve", Request::Ping(1));
    assert!(matches!(w.client("eve").inbox.last(), Some(Message::Pong(_))), "it is alive");
    w.advance(Duration::from_secs(10));
    assert_eq!(answers(&mut w), [1, 2, 3, 4, 5]);
    assert_eq!(w.client(name(0)).sees("eve").unwrap().name, "Eve 5");
    assert!(w.client("eve").closed.is_none());
    // Who says goodbye need not wait.
    w.send("eve", permission(9));
    w.send("eve", Request::Leave(LeaveRequest::default()));
    assert_eq!(w.hub.stats().participants, 2);
}

#[test]
fn who_goes_on_over_its_budget_is_told_why_it_is_cut_off() {
    let mut w = hall(2);
    for n in 0.. {
        assert!(n < 200, "it is never cut off");
        if w.client("eve").closed.is_some() {
            break;
        }
        w.send("eve", permission(n));
    }
    let said = w.client("eve").find(|m| match m {
        Message::RequestResponse(r) => Some((r.reason, r.message.clone())),
        _ => None,
    });
    let (reason, text) = said.expect("it is told");
    assert_eq!(reason, request_response::Reason::LimitExceeded as i32);
    assert!(text.contains("server's time"), "{text}");
    assert!(w.client(name(0)).closed.is_none());
    // It comes back when it has recovered, not before.
    w.resume("eve", join(false).grant(own_metadata));
    assert_eq!(w.client("eve").refused.take().expect("refused").status, 429);
    w.advance(Duration::from_secs(3));
    w.resume("eve", join(false).grant(own_metadata));
    assert!(w.client("eve").refused.is_none() && w.client("eve").closed.is_none());
}

#[test]
fn who_comes_and_goes_without_end_is_refused_and_others_join() {
    let mut w = hall(LISTENERS);
    let work = w.hub.work();
    let mut refused = 0;
    for _ in 0..5 {
        for _ in 0..400 {
            let eve = w.join("eve", join(true));
            refused += u32::from(eve.refused.is_some());
            if eve.refused.is_some() {
                break;
            }
        }
        w.advance(Duration::from_secs(1));
    }
    assert!(refused > 0);
    assert!(w.hub.work() - work < AT_ONCE + 10 * SHARE, "{}", w.hub.work() - work);
    assert!(w.join("latecomer", join(true)).refused.is_none());
    w.advance(Duration::from_secs(10));
    assert!(w.join("eve", join(true)).refused.is_none(), "she has recovered");
}
