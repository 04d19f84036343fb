//! str0m's RTP mode as an SFU uses it: one `Rtc` per connection, packets out of one written to the others.

use super::{Side, vp8_payload};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::crypto::dtls::DtlsVersion;
use str0m::format::Codec;
use str0m::media::{MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// Virtual time from packet to packet.
const STEP: Duration = Duration::from_millis(1);
const AHEAD: u64 = 64;

pub(crate) struct RtcForwarder {
    tracks: usize,
    now: Instant,
    publisher: Rtc,
    source: Rtc,
    sinks: Vec<Rtc>,
    pt: Pt,
    sent: u64,
}

fn address(client: bool) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, if client { 1 } else { 2 }], 4000))
}

fn ssrc(track: usize) -> Ssrc {
    (1000 + 2 * track as u32).into()
}

fn mid(track: usize) -> Mid {
    Mid::from(&*format!("m{track}"))
}

fn build(now: Instant) -> Rtc {
    Rtc::builder()
        .set_rtp_mode(true)
        .set_dtls_version(DtlsVersion::Dtls12)
        .set_stats_interval(None)
        .build(now)
}

/// Drains an `Rtc`: datagrams to `sent`, media to `media`.
fn drain(rtc: &mut Rtc, sent: &mut VecDeque<Vec<u8>>, media: &mut Vec<RtpPacket>) {
    loop {
        match rtc.poll_output().expect("healthy") {
            Output::Timeout(_) => return,
            Output::Transmit(t) => sent.push_back(t.contents.into()),
            Output::Event(Event::RtpPacket(packet)) => media.push(packet),
            Output::Event(_) => {}
        }
    }
}

fn feed(rtc: &mut Rtc, now: Instant, to_client: bool, datagram: &[u8]) {
    let (source, destination) = (address(!to_client), address(to_client));
    let receive = Receive::new(Protocol::Udp, source, destination, datagram).expect("known protocol");
    rtc.handle_input(Input::Receive(now, receive)).expect("accepted");
}

/// A connected pair: client and server.
fn connect(now: &mut Instant) -> (Rtc, Rtc) {
    let (mut client, mut server) = (build(*now), build(*now));
    let candidate = |client| Candidate::host(address(client), "udp").expect("candidate");
    for (rtc, own) in [(&mut client, true), (&mut server, false)] {
        rtc.add_local_candidate(candidate(own));
        rtc.add_remote_candidate(candidate(!own));
    }
    let fingerprints = (
        client.direct_api().local_dtls_fingerprint().clone(),
        server.direct_api().local_dtls_fingerprint().clone(),
    );
    let credentials =
        (client.direct_api().local_ice_credentials(), server.direct_api().local_ice_credentials());
    client.direct_api().set_remote_fingerprint(fingerprints.1);
    server.direct_api().set_remote_fingerprint(fingerprints.0);
    client.direct_api().set_remote_ice_credentials(credentials.1);
    server.direct_api().set_remote_ice_credentials(credentials.0);
    client.direct_api().set_ice_controlling(true);
    server.direct_api().set_ice_controlling(false);
    client.direct_api().start_dtls(true).expect("starts");
    server.direct_api().start_dtls(false).expect("starts");
    let (mut up, mut down, mut media) = (VecDeque::new(), VecDeque::new(), Vec::new());
    for _ in 0..2000 {
        *now += Duration::from_millis(5);
        for (rtc, out) in [(&mut client, &mut up), (&mut server, &mut down)] {
            rtc.handle_input(Input::Timeout(*now)).expect("healthy");
            drain(rtc, out, &mut media);
        }
        for _ in 0..4 {
            while let Some(datagram) = up.pop_front() {
                feed(&mut server, *now, false, &datagram);
                drain(&mut server, &mut down, &mut media);
            }
            while let Some(datagram) = down.pop_front() {
                feed(&mut client, *now, true, &datagram);
                drain(&mut client, &mut up, &mut media);
            }
        }
        if client.is_connected() && server.is_connected() {
            return (client, server);
        }
    }
    panic!("the pair does not connect");
}

impl RtcForwarder {
    /// One publisher, `fanout` subscribers with `tracks` declared send streams of which the first is live.
    pub(crate) fn new(fanout: usize, tracks: usize) -> Self {
        let mut now = Instant::now();
        let (mut publisher, mut source) = connect(&mut now);
        publisher.direct_api().declare_media(mid(0), MediaKind::Video);
        publisher.direct_api().declare_stream_tx(ssrc(0), None, mid(0), None);
        source.direct_api().declare_media(mid(0), MediaKind::Video);
        source.direct_api().expect_stream_rx(ssrc(0), None, mid(0), None);
        let pt = publisher
            .codec_config()
            .find(|p| p.spec().codec == Codec::Vp8)
            .map(str0m::format::PayloadParams::pt)
            .expect("VP8 is configured");
        let mut sinks = Vec::new();
        for _ in 0..fanout {
            let (_, mut server) = connect(&mut now);
            for track in 0..tracks {
                server.direct_api().declare_media(mid(track), MediaKind::Video);
                let rtx = 5001 + 2 * track as u32;
                server.direct_api().declare_stream_tx(ssrc(track), Some(rtx.into()), mid(track), None);
            }
            sinks.push(server);
        }
        let mut this = Self { tracks, now, publisher, source, sinks, pt, sent: 0 };
        this.run(50);
        this
    }

    /// Datagrams of the publisher for the next packets.
    fn prepare(&mut self, packets: u64) -> VecDeque<Vec<u8>> {
        let mut out = VecDeque::new();
        for _ in 0..packets {
            self.sent += 1;
            let payload: Arc<[u8]> = vp8_payload(self.sent as u16, self.sent == 1).into();
            let write = RtpWrite::new(self.pt, self.sent.into(), self.sent as u32 * 90, self.now, payload)
                .marker(true);
            self.publisher.direct_api().stream_tx(&ssrc(0)).expect("declared").write_rtp(write);
            self.publisher.handle_input(Input::Timeout(self.now)).expect("healthy");
            let mut sent = VecDeque::new();
            drain(&mut self.publisher, &mut sent, &mut Vec::new());
            // Media only: the largest datagram.
            out.extend(sent.into_iter().filter(|d| d.len() > super::PAYLOAD));
        }
        assert_eq!(out.len() as u64, packets);
        out
    }
}

impl Side for RtcForwarder {
    fn name(&self) -> String {
        format!("str0m N={} K={}", self.sinks.len(), self.tracks)
    }

    fn fanout(&self) -> usize {
        self.sinks.len()
    }

    fn run(&mut self, packets: u64) -> Duration {
        let mut took = Duration::ZERO;
        let mut left = packets;
        let mut delivered = 0;
        let (mut out, mut media) = (VecDeque::new(), Vec::new());
        while left > 0 {
            let count = left.min(AHEAD);
            left -= count;
            let ready = self.prepare(count);
            let start = Instant::now();
            for datagram in &ready {
                self.now += STEP;
                feed(&mut self.source, self.now, false, datagram);
                drain(&mut self.source, &mut out, &mut media);
                for packet in media.drain(..) {
                    for sink in &mut self.sinks {
                        let write = RtpWrite::new(
                            self.pt,
                            packet.seq_no,
                            packet.header.timestamp,
                            self.now,
                            Arc::clone(&packet.payload),
                        )
                        .marker(packet.header.marker)
                        .nackable(true);
                        sink.direct_api().stream_tx(&ssrc(0)).expect("declared").write_rtp(write);
                        sink.handle_input(Input::Timeout(self.now)).expect("healthy");
                        let before = out.len();
                        drain(sink, &mut out, &mut Vec::new());
                        delivered += u64::from(out.range(before..).any(|d| d.len() > super::PAYLOAD));
                    }
                }
                out.clear();
            }
            took += start.elapsed();
        }
        assert_eq!(delivered, packets * self.sinks.len() as u64, "some packets were not sent");
        took
    }
}
