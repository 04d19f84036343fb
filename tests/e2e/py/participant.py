"""A participant on the Python SDK (the Rust core underneath), driven over stdin/stdout with JSON lines.

Reports what it hears (peak frequency), sees (frame size and mean colour) and receives as data.
"""

import asyncio
import sys

import numpy as np
from livekit import rtc

from wire import commands, emit, loudest

RATE = 48_000


async def send_tone(source: rtc.AudioSource, hz: float) -> None:
    n = 0
    block = RATE // 100
    while True:
        t = (np.arange(block) + n) / RATE
        samples = (np.sin(2 * np.pi * hz * t) * 12_000).astype(np.int16)
        frame = rtc.AudioFrame(samples.tobytes(), RATE, 1, block)
        await source.capture_frame(frame)
        n += block


async def send_video(source: rtc.VideoSource, width: int, height: int) -> None:
    n = 0
    while True:
        rgba = np.zeros((height, width, 4), dtype=np.uint8)
        rgba[:, :] = (220, 30, 30, 255)
        rgba[:, (n * 8) % width : (n * 8) % width + 16] = (255, 255, 255, 255)
        frame = rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, rgba.tobytes())
        source.capture_frame(frame)
        n += 1
        await asyncio.sleep(1 / 15)


async def listen(track: rtc.Track, identity: str) -> None:
    window = np.zeros(0, dtype=np.float32)
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        window = np.concatenate([window, np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float32)])
        if len(window) >= RATE // 2:
            emit("heard", identity=identity, **loudest(window, RATE))
            window = np.zeros(0, dtype=np.float32)


async def watch(track: rtc.Track, identity: str) -> None:
    frames = 0
    async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.RGBA):
        frames += 1
        if frames % 10 == 1:
            frame = event.frame
            pixels = np.frombuffer(frame.data, dtype=np.uint8).reshape(frame.height, frame.width, 4)
            emit(
                "saw",
                identity=identity,
                frames=frames,
                width=frame.width,
                height=frame.height,
                mean=[int(c) for c in pixels[:, :, :3].mean(axis=(0, 1))],
            )


async def main() -> None:
    url, token, hz = sys.argv[1], sys.argv[2], float(sys.argv[3])
    single = len(sys.argv) < 5 or sys.argv[4] != "dual"
    room = rtc.Room()
    tasks: list[asyncio.Task] = []

    @room.on("track_subscribed")
    def _(track, publication, participant):
        emit("subscribed", identity=participant.identity, media=int(track.kind), sid=publication.sid)
        reader = listen if track.kind == rtc.TrackKind.KIND_AUDIO else watch
        tasks.append(asyncio.create_task(reader(track, participant.identity)))

    @room.on("data_received")
    def _(packet):
        who = packet.participant.identity if packet.participant else ""
        emit("data", identity=who, text=packet.data.decode(), topic=packet.topic)

    room.on("track_muted", lambda p, pub: emit("muted", identity=p.identity, sid=pub.sid))
    room.on("track_unmuted", lambda p, pub: emit("unmuted", identity=p.identity, sid=pub.sid))
    room.on("participant_disconnected", lambda p: emit("left", identity=p.identity))
    room.on("connection_state_changed", lambda s: emit("state", state=int(s)))
    room.on("reconnected", lambda: emit("reconnected"))
    room.on("disconnected", lambda reason: emit("disconnected", reason=str(reason)))

    options = rtc.RoomOptions(auto_subscribe=True)
    if hasattr(options, "single_peer_connection"):
        options.single_peer_connection = single
    await room.connect(url, token, options)
    emit("connected", sid=room.local_participant.sid)

    audio = rtc.AudioSource(RATE, 1)
    mic = rtc.LocalAudioTrack.create_audio_track("tone", audio)
    await room.local_participant.publish_track(mic, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    video = rtc.VideoSource(640, 480)
    cam = rtc.LocalVideoTrack.create_video_track("camera", video)
    await room.local_participant.publish_track(
        cam, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False, video_codec=rtc.VideoCodec.VP8)
    )
    tasks.append(asyncio.create_task(send_tone(audio, hz)))
    tasks.append(asyncio.create_task(send_video(video, 640, 480)))
    emit("published")

    async for command in commands():
        if command["do"] == "send":
            await room.local_participant.publish_data(
                command["text"].encode(), reliable=command.get("reliable", True), topic=command.get("topic", "")
            )
        elif command["do"] == "mute":
            mic.mute()
        elif command["do"] == "unmute":
            mic.unmute()
    for task in tasks:
        task.cancel()
    await room.disconnect()
    emit("bye")


asyncio.run(main())
