//! Session descriptions as a browser writes them.

/// A section of a client's offer.
#[derive(Debug, Clone)]
pub struct Section {
    pub mid: String,
    pub video: bool,
    /// `sendonly`, `recvonly`, `inactive`.
    pub direction: &'static str,
    /// Track id in `a=msid`.
    pub track: Option<String>,
    pub simulcast: bool,
}

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
    a=fmtp:63 111/111\r\na=rtpmap:0 PCMU/8000\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 108 109 98 99\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n\
    a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 transport-cc\r\n\
    a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
    a=rtpmap:108 H264/90000\r\na=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
    a=rtcp-fb:108 nack\r\na=rtpmap:109 rtx/90000\r\na=fmtp:109 apt=108\r\n\
    a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=0\r\na=rtcp-fb:98 nack\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";

pub const FINGERPRINT: &str = "sha-256 \
    11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00";

fn head(mids: &str) -> String {
    format!(
        "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\na=msid-semantic: WMS *\r\n"
    )
}

fn transport(ufrag: &str, setup: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n\
         a=fingerprint:{FINGERPRINT}\r\na=setup:{setup}\r\n"
    )
}

/// An offer with an application section of mid `data` first.
pub fn offer(ufrag: &str, sections: &[Section]) -> String {
    let mids: Vec<&str> = sections.iter().map(|s| s.mid.as_str()).collect();
    let mut out = head(format!("data {}", mids.join(" ")).trim_end());
    out += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n";
    out += &transport(ufrag, "actpass");
    out += "a=mid:data\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
    for s in sections {
        out += if s.video { VIDEO } else { AUDIO };
        out += &transport(ufrag, "actpass");
        out += &format!("a=mid:{}\r\na={}\r\n", s.mid, s.direction);
        if s.direction == "sendonly" {
            let track = s.track.as_deref().expect("a sending section has a track");
            out += &format!("a=msid:stream {track}\r\n");
            if s.simulcast {
                out += "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n";
            } else {
                let ssrc = 1000 + s.mid.bytes().fold(0u32, |a, b| a * 10 + u32::from(b));
                out += &format!("a=ssrc:{ssrc} cname:x\r\na=ssrc:{ssrc} msid:stream {track}\r\n");
            }
        }
    }
    out
}

/// The answer a client would give that accepts everything it understands. `refuse_video` answers video with port 0.
pub fn answer(offer: &str, ufrag: &str, refuse_video: bool) -> String {
    let mut out = String::new();
    let mut refused = false;
    for line in offer.lines() {
        if let Some(rest) = line.strip_prefix("m=") {
            refused = refuse_video && rest.starts_with("video");
            if refused {
                let (kind, tail) = rest.split_once(' ').expect("m-line");
                let (_, tail) = tail.split_once(' ').expect("m-line");
                out += &format!("m={kind} 0 {tail}\r\n");
                continue;
            }
        }
        let skip = ["a=candidate", "a=end-of-candidates", "a=msid:", "a=ssrc", "a=ice-lite"];
        let replaced = ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=ice-options"];
        if skip.iter().chain(&replaced).any(|p| line.starts_with(p)) {
            continue;
        }
        match line {
            "a=sendonly" if !refused => out += "a=recvonly\r\n",
            "a=sendonly" => out += "a=inactive\r\n",
            "a=setup:actpass" => out += &transport(ufrag, "active"),
            _ => {
                out += line;
                out += "\r\n";
            }
        }
    }
    out
}

/// The description as a client without this codec would write it.
pub fn without(sdp: &str, codec: &str) -> String {
    let map = |l: &str| {
        l.strip_prefix("a=rtpmap:").and_then(|r| r.split_once(' ')).map(|(p, n)| (p.to_owned(), n.to_owned()))
    };
    let mut gone: Vec<String> = Vec::new();
    for line in sdp.lines() {
        if let Some((pt, name)) = map(line)
            && name.starts_with(codec)
        {
            gone.push(pt);
        }
    }
    let repairs = sdp.lines().filter_map(|l| {
        let (pt, apt) = l.strip_prefix("a=fmtp:")?.split_once(" apt=")?;
        gone.iter().any(|g| g == apt).then(|| pt.to_owned())
    });
    let repairs: Vec<String> = repairs.collect();
    gone.extend(repairs);
    let of_gone = |line: &str| {
        ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().any(|p| {
            let pt = line.strip_prefix(p).and_then(|r| r.split(' ').next());
            pt.is_some_and(|pt| gone.iter().any(|g| g == pt))
        })
    };
    let mut out = String::new();
    for line in sdp.lines().filter(|l| !of_gone(l)) {
        if line.starts_with("m=video") {
            let kept: Vec<&str> = line
                .split(' ')
                .enumerate()
                .filter(|(i, t)| *i < 3 || !gone.iter().any(|g| g == t))
                .map(|(_, t)| t)
                .collect();
            out += &kept.join(" ");
        } else {
            out += line;
        }
        out += "\r\n";
    }
    out
}

/// Value of the first attribute of this name.
pub fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|l| l.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
}
