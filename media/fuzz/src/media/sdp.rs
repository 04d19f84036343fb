//! Session descriptions and negotiation.

use bedrud_rtp::{Codec, MediaKind};
use bedrud_sdp::{
    AnswerChoices, Answerer, AnswererConfig, ClientQuirks, CodecSpec, CodecTable, HostCandidate,
    IceCredentials, IceFragment, LocalTransport, Offerer, OffererConfig, SendTrack, SessionDescription,
};
use std::sync::Arc;

fn local() -> LocalTransport {
    LocalTransport {
        ice: IceCredentials { ufrag: "abcd".into(), pwd: "0123456789012345678901".into() },
        fingerprint: format!("sha-256 {}", ["AB"; 32].join(":")),
        candidates: vec![HostCandidate { addr: ([192, 0, 2, 1], 7880).into(), tcp: false }],
        ice_lite: true,
    }
}

fn track(sid: &str, codec: Codec, ssrc: u32) -> SendTrack {
    SendTrack {
        participant_sid: "PA_1".into(),
        track_sid: sid.into(),
        stream_name: None,
        kind: codec.kind(),
        codecs: vec![CodecSpec::plain(codec)],
        ssrc,
        rtx_ssrc: (codec.kind() == MediaKind::Video).then_some(ssrc + 1),
        cname: "cname".into(),
        stereo: false,
    }
}

/// The text is parsed and printed, answered as an offer, and taken as the answer to one of ours. What we print we can
/// read, and printing it again changes nothing.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(parsed) = SessionDescription::parse(&text) {
        let printed = parsed.to_string();
        let again = SessionDescription::parse(&printed).expect("own text");
        assert_eq!(again.to_string(), printed);
    }
    let _ = IceFragment::parse(&text);
    let codecs = Arc::new(CodecTable::default());
    let quirks = ClientQuirks::default();
    for single_connection in [false, true] {
        let config = AnswererConfig { codecs: Arc::clone(&codecs), quirks, single_connection, session_id: 1 };
        let mut answerer = Answerer::new(config);
        answerer.add_track(track("TR_a", Codec::Opus, 10));
        answerer.add_track(track("TR_v", Codec::Vp8, 20));
        for _ in 0..2 {
            if answerer.apply_offer(&text).is_ok() {
                let answer = answerer.answer(&local(), &AnswerChoices::new()).expect("an offer waits");
                SessionDescription::parse(&answer.sdp).expect("own answer");
            }
            answerer.remove_track("TR_a");
        }
    }
    let mut offerer = Offerer::new(OffererConfig { codecs, quirks, session_id: 1, first_offer_id: 2 });
    offerer.add_track(track("TR_a", Codec::Opus, 10)).expect("room for a section");
    offerer.add_track(track("TR_v", Codec::Vp8, 20)).expect("room for a section");
    let offer = offerer.create_offer(&local()).expect("nothing in flight");
    SessionDescription::parse(&offer.sdp).expect("own offer");
    let _ = offerer.apply_answer(&text);
}
