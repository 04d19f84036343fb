//! Tracks that are given up and taken again, in any order and at any pace, end as they were asked for last.

use crate::client::subscribe;
use crate::sdp;
use crate::world::{World, join};
use livekit_protocol::SessionDescription;
use livekit_protocol::client_info::Sdk;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TOGGLES: usize = 200;

/// What one section of a server's description sends: mid, stream id, track id.
fn sending(description: &str) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for section in description.split("\r\nm=").skip(1) {
        let value = |name| sdp::attribute(section, name).map(str::to_owned);
        let live = section.split(' ').nth(1) != Some("0");
        if let (true, Some(mid), Some(msid)) = (live, value("mid"), value("msid")) {
            let (stream, track) = msid.split_once(' ').unwrap();
            out.push((mid, stream.to_owned(), track.to_owned()));
        }
    }
    out
}

/// An SDK that reads its messages late, and learns of a track as libwebrtc does: when a section begins to send, not when
/// what it sends is another stream.
struct Reader {
    single: bool,
    /// SDKs on the Rust core pass over a stream that was announced before with the same section. On one connection they
    /// forget it while the section is silent, on two they never do.
    rust_core: bool,
    read: usize,
    offering: bool,
    offer_again: bool,
    live: BTreeSet<String>,
    known: BTreeSet<(String, String)>,
    wanted: BTreeMap<String, bool>,
    /// Section of each track it has.
    tracks: BTreeMap<String, String>,
}

impl Reader {
    fn set_subscribed(&mut self, w: &mut World, track: &str, on: bool) {
        self.wanted.insert(track.to_owned(), on);
        if !on {
            self.tracks.remove(track);
        }
        w.send("bob", subscribe(track, on));
    }

    fn apply(&mut self, description: &str) {
        let now = sending(description);
        if self.single {
            self.known.retain(|(mid, stream)| now.iter().any(|(m, s, _)| m == mid && s == stream));
        }
        for (mid, stream, track) in &now {
            let began = !self.live.contains(mid);
            let fresh = self.known.insert((mid.clone(), stream.clone()));
            if began && (fresh || !self.rust_core) {
                self.tracks.insert(track.clone(), mid.clone());
            }
        }
        self.live = now.into_iter().map(|(mid, ..)| mid).collect();
    }

    fn offer(&mut self, w: &mut World) {
        if std::mem::replace(&mut self.offering, true) {
            self.offer_again = true;
            return;
        }
        let offer = w.client("bob").offer();
        w.send("bob", offer);
    }

    /// Reads the next message, if there is one.
    fn next(&mut self, w: &mut World) -> bool {
        let Some(message) = w.client("bob").log.get(self.read).cloned() else { return false };
        self.read += 1;
        match message {
            Message::Offer(offer) => {
                self.apply(&offer.sdp);
                let sdp = sdp::answer(&offer.sdp, "suba", false);
                let (r#type, id) = ("answer".into(), offer.id);
                w.send("bob", Request::Answer(SessionDescription { r#type, sdp, id, ..Default::default() }));
            }
            Message::Answer(answer) => {
                self.apply(&answer.sdp);
                self.offering = false;
                if std::mem::take(&mut self.offer_again) {
                    self.offer(w);
                }
            }
            Message::MediaSectionsRequirement(r) => {
                for (video, n) in [(false, r.num_audios), (true, r.num_videos)] {
                    for _ in 0..n {
                        w.client("bob").add_receiving(video);
                    }
                }
                self.offer(w);
            }
            _ => {}
        }
        true
    }

    fn catch_up(&mut self, w: &mut World) {
        let mut quiet = 0;
        while quiet < 3 {
            quiet = if self.next(w) { 0 } else { quiet + 1 };
            w.settle();
        }
    }
}

fn run(single: bool, sdk: Sdk, seed: u64) {
    let what = format!("single {single}, {sdk:?}, seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut w = World::new();
    w.join("alice", join(false));
    let tracks = [w.publish("alice", "cam", true), w.publish("alice", "mic", false)];
    let mut how = join(single);
    how.params.client_info.sdk = sdk as i32;
    w.join("bob", how);
    w.client("bob").mute_negotiation = true;
    let mut bob = Reader {
        single,
        rust_core: sdk != Sdk::Js,
        read: 0,
        offering: single,
        offer_again: false,
        live: BTreeSet::new(),
        known: BTreeSet::new(),
        wanted: tracks.iter().map(|t| (t.clone(), true)).collect(),
        tracks: BTreeMap::new(),
    };
    if !single {
        // What the client answered by itself while it joined.
        bob.read = w.client("bob").log.len();
        let first = w.client("bob").last_server_sdp.clone();
        bob.apply(&first);
    }
    bob.catch_up(&mut w);
    assert_eq!((bob.tracks.len(), w.shard.downs.len()), (2, 2), "{what}");
    for toggle in 0..TOGGLES {
        let track = &tracks[rng.random_range(0..2)];
        bob.set_subscribed(&mut w, track, rng.random_bool(0.5));
        for _ in 0..rng.random_range(0..4) {
            bob.next(&mut w);
        }
        w.advance(Duration::from_millis([0, 0, 0, 5, 30, 300][rng.random_range(0..6)]));
        if toggle % 50 == 49 {
            bob.catch_up(&mut w);
            check(&mut w, &bob, &format!("{what}, {} changes", toggle + 1));
        }
    }
    for on in [false, true] {
        for track in &tracks {
            bob.set_subscribed(&mut w, track, !on);
            bob.set_subscribed(&mut w, track, on);
        }
        bob.catch_up(&mut w);
        check(&mut w, &bob, &format!("{what}, in the end"));
    }
    assert_eq!(bob.tracks.len(), 2, "{what}");
    let sections = w.client("bob").last_server_sdp.matches("\r\nm=").count();
    assert!(sections <= 12, "{what}: {sections} sections");
}

fn check(w: &mut World, bob: &Reader, what: &str) {
    let wanted: BTreeSet<&String> = bob.wanted.iter().filter(|(_, on)| **on).map(|(t, _)| t).collect();
    // A track may have been announced after it was given up: SDKs pass over it then.
    let has = bob.tracks.iter().filter(|(track, _)| wanted.contains(track));
    assert_eq!(has.clone().map(|(track, _)| track).collect::<BTreeSet<_>>(), wanted, "{what}");
    assert_eq!(w.shard.downs.len(), wanted.len(), "{what}");
    let described = w.client("bob").last_server_sdp.clone();
    for (track, mid) in has {
        let down = w.shard.downs.values().find(|d| d.mid.as_str() == mid);
        let down = down.unwrap_or_else(|| panic!("{what}: nothing is sent on {mid}"));
        assert!(described.contains(&format!("a=ssrc:{} msid:", down.ssrc)), "{what}");
        assert!(sending(&described).iter().any(|(m, _, t)| m == mid && t == track), "{what}");
    }
}

#[test]
fn two_hundred_changes_end_with_what_was_asked_for_last() {
    for seed in 0..12 {
        for single in [true, false] {
            run(single, Sdk::Js, seed);
            run(single, Sdk::Python, seed);
        }
    }
}
