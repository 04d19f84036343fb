//! Runs every fuzz entry of the media plane on generated inputs, so that the entries keep compiling and holding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]
#![allow(clippy::disallowed_methods, reason = "the recorders compare instants, and only the clock makes one")]
#![allow(unreachable_pub, reason = "shared with the fuzz crate")]

#[path = "../fuzz/src/media/mod.rs"]
mod media;

use proptest::prelude::*;

/// Noise, and noise behind bytes that lead past the first checks.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let lead = prop_oneof![
        Just(vec![]),
        Just(vec![0, 0x90, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1]),
        (198u8..208, 0u8..20).prop_map(|(kind, words)| vec![0x81, kind, 0, words]),
        Just(vec![0, 0x90, 0xf0, 0x92, 0x34]),
        Just(vec![3, 0, 5]),
        Just(
            b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".to_vec()
        ),
        Just(b"auto_subscribe=1&join_request=".to_vec()),
    ];
    (lead, proptest::collection::vec(any::<u8>(), 0..160)).prop_map(|(mut lead, tail)| {
        lead.extend(tail);
        lead
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn kind(data in bytes()) { media::kind::run(&data); }

    #[test]
    fn rtp(data in bytes()) { media::rtp::run(&data); }

    #[test]
    fn rtcp(data in bytes()) { media::rtcp::run(&data); }

    #[test]
    fn srtp(data in bytes()) { media::srtp::run(&data); }

    #[test]
    fn sniff(data in bytes()) { media::sniff::run(&data); }

    #[test]
    fn feedback(data in bytes()) { media::feedback::run(&data); }

    #[test]
    fn sctp(data in bytes()) { media::sctp::run(&data); }

    #[test]
    fn sdp(data in bytes()) { media::sdp::run(&data); }

    #[test]
    fn framing(data in bytes()) { media::framing::run(&data); }

    #[test]
    fn shard(data in bytes()) { media::shard::run(&data); }

    #[test]
    fn signal(data in bytes()) { media::signal::run(&data); }
}

/// Inputs worth keeping: typical ones to start from, and those that once failed.
#[test]
fn kept_inputs() {
    type Entry = (&'static str, fn(&[u8]));
    let entries: [Entry; 11] = [
        ("kind", media::kind::run),
        ("rtp", media::rtp::run),
        ("rtcp", media::rtcp::run),
        ("srtp", media::srtp::run),
        ("sniff", media::sniff::run),
        ("feedback", media::feedback::run),
        ("sctp", media::sctp::run),
        ("sdp", media::sdp::run),
        ("framing", media::framing::run),
        ("shard", media::shard::run),
        ("signal", media::signal::run),
    ];
    for (name, run) in entries {
        let folder = format!("{}/fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for file in std::fs::read_dir(&folder).expect("folder of kept inputs") {
            run(&std::fs::read(file.expect("entry").path()).expect("readable"));
            files += 1;
        }
        assert!(files > 0, "{folder} is empty");
    }
}
