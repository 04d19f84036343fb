//! Descriptions do not grow over a long meeting.

use crate::world::{World, join};
use livekit_protocol::signal_request::Message as Request;

fn sections(sdp: &str) -> usize {
    sdp.lines().filter(|l| l.starts_with("m=")).count()
}

#[test]
fn two_hundred_publications_leave_descriptions_as_they_were() {
    for single in [false, true] {
        let mut w = World::new();
        w.join("alice", join(single));
        w.join("bob", join(single));
        let start = w.client("alice").sections.len();
        for round in 0..200 {
            // Browsers use the transceiver of the track that ended before they add another.
            let cid = format!("cam-{round}");
            let request = livekit_protocol::AddTrackRequest {
                layers: crate::world::layers(),
                ..crate::client::add_track(&cid, true)
            };
            w.send("alice", Request::AddTrack(request));
            let free = w.client("alice").sections.iter_mut().skip(start).find(|s| s.direction == "inactive");
            if let Some(section) = free {
                section.direction = "sendonly";
                section.track = Some(cid.clone());
            } else {
                w.client("alice").add_sending(&cid, true, true);
            }
            let offer = w.client("alice").offer();
            w.send("alice", offer);
            w.settle();
            let sid = w.client("alice").confirmed(&cid).unwrap().sid;
            assert_eq!(
                w.client("bob").receiving.values().collect::<Vec<_>>(),
                [&sid],
                "single {single}, round {round}"
            );
            assert_eq!((w.shard.ups.len(), w.shard.downs.len()), (1, 1));
            w.unpublish("alice", &cid);
            assert!(w.client("bob").receiving.is_empty(), "single {single}, round {round}");
        }
        assert_eq!(w.client("alice").sections.len(), start + 1, "what the publisher offers");
        // A free section is inactive once before it takes the next track, so two may alternate.
        let received = sections(&w.client("bob").last_server_sdp);
        let most = if single { w.client("bob").sections.len() + 1 } else { 3 };
        assert!(received <= most, "single {single}: {received} sections");
        if single {
            assert!(w.client("bob").sections.len() <= 7, "{}", w.client("bob").sections.len());
        }
        assert!(w.client("bob").last_server_sdp.len() < 20_000);
        let stats = w.hub.stats();
        assert_eq!((stats.tracks, stats.subscriptions), (0, 0));
    }
}

#[test]
fn receivers_that_cannot_reuse_sections_replace_stopped_ones() {
    let mut w = World::new();
    w.join("alice", join(false));
    w.join("safari", join(false).with(|p| p.client_info.browser = "Safari".into()));
    for round in 0..50 {
        let cid = format!("mic-{round}");
        w.publish("alice", &cid, false);
        assert_eq!(w.client("safari").receiving.len(), 1);
        w.unpublish("alice", &cid);
    }
    assert!(sections(&w.client("safari").last_server_sdp) <= 3);
}
