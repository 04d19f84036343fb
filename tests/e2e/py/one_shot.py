"""WHIP and WHEP on aiortc, an independent WebRTC stack, driven over stdin/stdout with JSON lines.

    one_shot.py publish|play ADDRESS TOKEN HZ

Publishes a tone and moving pictures, or reports what it hears (peak frequency) and sees (frame size).
"""

import asyncio
import fractions
import sys

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from session import Session
from wire import commands, emit, loudest

RATE = 48_000


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self.hz, self.n, self.begin = hz, 0, None

    async def recv(self) -> AudioFrame:
        block = RATE // 50
        loop = asyncio.get_running_loop()
        self.begin = self.begin or loop.time()
        await asyncio.sleep(max(0, self.begin + self.n / RATE - loop.time()))
        t = (np.arange(block) + self.n) / RATE
        samples = (np.sin(2 * np.pi * self.hz * t) * 12_000).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.n, fractions.Fraction(1, RATE)
        self.n += block
        return frame


class Picture(MediaStreamTrack):
    kind = "video"

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.size, self.n = (height, width), 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(1 / 15)
        height, width = self.size
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        rgb[:, :] = (30, 30, 220)
        rgb[:, (self.n * 8) % width : (self.n * 8) % width + 16] = 255
        frame = VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = self.n * 6000, fractions.Fraction(1, 90_000)
        self.n += 1
        return frame


async def listen(track: MediaStreamTrack) -> None:
    window = np.zeros(0, dtype=np.float32)
    while True:
        frame = await track.recv()
        samples = frame.to_ndarray().astype(np.float32).reshape(-1)
        window = np.concatenate([window, samples[:: len(frame.layout.channels)]])
        if len(window) >= RATE // 2:
            emit("heard", **loudest(window, RATE))
            window = np.zeros(0, dtype=np.float32)


async def watch(track: MediaStreamTrack) -> None:
    frames = 0
    while True:
        frame = await track.recv()
        frames += 1
        if frames % 5 == 1:
            emit("saw", frames=frames, width=frame.width, height=frame.height)


async def until_ended(reading) -> None:
    try:
        await reading
    except MediaStreamError:
        emit("track_ended")


async def main() -> None:
    role, address, token, hz = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    pc = RTCPeerConnection()
    tasks: list[asyncio.Task] = []
    pc.on("connectionstatechange", lambda: emit("connection", state=pc.connectionState))

    @pc.on("track")
    def _(track):
        reading = listen(track) if track.kind == "audio" else watch(track)
        tasks.append(asyncio.create_task(until_ended(reading)))

    if role == "publish":
        pc.addTransceiver(Tone(hz), direction="sendonly")
        pc.addTransceiver(Picture(640, 480), direction="sendonly")
    else:
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    session = Session(address, token)
    answer = await asyncio.to_thread(session.open, pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async for command in commands():
        if command["do"] == "trickle":
            await asyncio.to_thread(session.trickle, pc.localDescription.sdp)
        elif command["do"] == "delete":
            await asyncio.to_thread(session.delete)
    for task in tasks:
        task.cancel()
    await pc.close()
    emit("bye")


asyncio.run(main())
