"""WHIP and WHEP on GStreamer's webrtcbin as distributions ship it, driven over stdin/stdout with JSON lines.

    gst_one_shot.py publish|play ADDRESS TOKEN HZ vp8|h264 gather|trickle

Publishes a tone and moving pictures, or reports what it hears (frequency) and sees (frame size). With `trickle` the
offer goes out before any candidate is known and each candidate follows by PATCH.
"""

import json
import os
import struct
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from session import Session, emit  # noqa: E402

RATE = 48_000
CAPS = {
    "vp8": "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96",
    "h264": "application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,payload=97,packetization-mode=(string)1,"
    "profile-level-id=(string)42e01f",
    "opus": "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,encoding-params=(string)2,payload=111",
}
ENCODERS = {
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 target-bitrate=600000 ! rtpvp8pay picture-id-mode=15-bit pt=96",
    "h264": "openh264enc gop-size=30 bitrate=600000 complexity=low ! rtph264pay config-interval=-1 pt=97",
}
DECODERS = {"vp8": "rtpvp8depay ! vp8dec", "h264": "rtph264depay ! h264parse ! openh264dec"}
DIRECTION = GstWebRTC.WebRTCRTPTransceiverDirection


def publisher(hz: float, codec: str) -> str:
    return f"""webrtcbin name=rtc bundle-policy=max-bundle
        audiotestsrc is-live=true freq={hz} volume=0.5 ! audio/x-raw,rate={RATE},channels=2 ! audioconvert ! opusenc !
            rtpopuspay pt=111 ! {CAPS["opus"]} ! rtc.
        videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=480,framerate=15/1 !
            {ENCODERS[codec]} ! {CAPS[codec]} ! rtc."""


class Meter:
    """Counts decoded frames and reports the frequency of half seconds of sound, by its zero crossings."""

    def __init__(self) -> None:
        self.frames, self.samples = 0, []

    def video(self, pad, info):
        self.frames += 1
        if self.frames % 5 == 1:
            caps = pad.get_current_caps().get_structure(0)
            emit("saw", frames=self.frames, width=caps.get_int("width")[1], height=caps.get_int("height")[1])
        return Gst.PadProbeReturn.OK

    def audio(self, pad, info):
        data = info.get_buffer().extract_dup(0, info.get_buffer().get_size())
        self.samples += struct.unpack(f"<{len(data) // 2}h", data)
        if len(self.samples) >= RATE // 2:
            pairs = zip(self.samples, self.samples[1:])
            crossings = sum((a < 0) != (b < 0) for a, b in pairs)
            rms = (sum(s * s for s in self.samples) / len(self.samples)) ** 0.5
            emit("heard", hz=crossings / 2 * RATE / len(self.samples), rms=rms)
            self.samples = []
        return Gst.PadProbeReturn.OK


class Peer:
    def __init__(self, role: str, session: Session, hz: float, codec: str, trickle: bool) -> None:
        self.session, self.codec, self.trickle, self.meter = session, codec, trickle, Meter()
        self.ready, self.gathered, self.found = threading.Event(), threading.Event(), []
        if role == "publish":
            self.pipeline = Gst.parse_launch(publisher(hz, codec))
        else:
            self.pipeline = Gst.Pipeline.new()
            self.pipeline.add(Gst.parse_launch("webrtcbin name=rtc bundle-policy=max-bundle"))
        self.rtc = self.pipeline.get_by_name("rtc")
        # Tests stay on the loopback interface.
        self.ice = self.rtc.get_property("ice-agent")  # kept: its reference is the only one that counts
        self.ice.emit("add-local-ip-address", os.environ.get("E2E_NODE_IP", "127.0.0.1"))
        self.rtc.connect("on-negotiation-needed", lambda _: self.ready.set())
        self.rtc.connect("notify::connection-state", self.state)
        self.rtc.connect("notify::ice-gathering-state", self.gathering)
        self.rtc.connect("on-ice-candidate", lambda _, line, candidate: self.found.append(candidate))
        self.rtc.connect("pad-added", self.incoming)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, m: emit("error", text=m.parse_error()[0].message))
        if role == "play":
            for caps in ("opus", codec):
                self.rtc.emit("add-transceiver", DIRECTION.RECVONLY, Gst.Caps.from_string(CAPS[caps]))

    def state(self, rtc, _):
        emit("connection", state=rtc.get_property("connection-state").value_nick)

    def gathering(self, rtc, _):
        if rtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self.gathered.set()

    def incoming(self, _, pad):
        video = pad.get_current_caps().get_structure(0).get_string("media") == "video"
        chain = DECODERS[self.codec] if video else f"rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,rate={RATE},channels=1"
        sink = Gst.parse_bin_from_description(f"{chain} ! fakesink name=end sync=false", True)
        self.pipeline.add(sink)
        end = sink.get_by_name("end").get_static_pad("sink")
        end.add_probe(Gst.PadProbeType.BUFFER, self.meter.video if video else self.meter.audio)
        pad.link(sink.get_static_pad("sink"))
        sink.sync_state_with_parent()

    def ask(self, signal: str, *args):
        promise = Gst.Promise.new()
        self.rtc.emit(signal, *args, promise)
        promise.wait()
        return promise

    def negotiate(self, role: str) -> None:
        self.ready.wait(10)  # earlier the payloaders have not chosen their SSRCs
        if role == "publish":
            for n in range(2):
                self.rtc.emit("get-transceiver", n).set_property("direction", DIRECTION.SENDONLY)
        # All three names are kept: the bindings free what only lies inside another.
        created = self.ask("create-offer", None)
        reply = created.get_reply()
        offer = reply.get_value("offer")
        self.ask("set-local-description", offer)
        if not self.trickle:
            self.gathered.wait(10)
        answer = self.session.open(self.rtc.get_property("local-description").sdp.as_text())
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        self.ask("set-remote-description", GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp))
        if self.trickle:
            self.gathered.wait(10)
            text = self.rtc.get_property("local-description").sdp.as_text()
            text = "\n".join(line for line in text.splitlines() if not line.startswith("a=candidate"))
            self.session.trickle(text, tuple(self.found))


def main() -> None:
    role, address, token, hz, codec, gather = sys.argv[1:7]
    Gst.init(None)
    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()
    session = Session(address, token)
    peer = Peer(role, session, float(hz), codec, gather == "trickle")
    peer.pipeline.set_state(Gst.State.PLAYING)
    peer.negotiate(role)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "delete":
            session.delete()
        elif command["do"] == "leave":
            break
    peer.pipeline.set_state(Gst.State.NULL)
    emit("bye")


main()
