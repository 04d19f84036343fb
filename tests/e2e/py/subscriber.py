"""A participant on the Python SDK that takes tracks and gives them up again, driven over stdin/stdout with JSON lines.

Publishes nothing, and counts what reaches it: loud blocks of audio and frames of video.
"""

import asyncio
import random
import sys

import numpy as np
from livekit import rtc

from wire import commands, emit

RATE = 48_000


async def main() -> None:
    url, token, mode = sys.argv[1:4]
    room = rtc.Room()
    counts = {"audio": 0, "video": 0}
    # By publication: what plays on a track that was given up does not count.
    readers: dict[str, asyncio.Task] = {}

    async def listen(track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            # What is not sent is played as silence.
            samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float32)
            counts["audio"] += bool(np.sqrt(np.mean(samples**2)) > 500)

    async def watch(track: rtc.Track) -> None:
        async for _ in rtc.VideoStream(track):
            counts["video"] += 1

    @room.on("track_unsubscribed")
    def _(_track, publication, _participant):
        if reader := readers.pop(publication.sid, None):
            reader.cancel()

    @room.on("track_subscribed")
    def _(track, publication, _participant):
        if reader := readers.pop(publication.sid, None):
            reader.cancel()
        read = listen if track.kind == rtc.TrackKind.KIND_AUDIO else watch
        readers[publication.sid] = asyncio.create_task(read(track))

    options = rtc.RoomOptions(auto_subscribe=True)
    options.single_peer_connection = mode == "single"
    await room.connect(url, token, options)
    emit("connected")

    async for command in commands():
        if command["do"] == "count":
            emit("counted", **counts)
        elif command["do"] == "toggle":
            chance = random.Random(command["seed"])
            publications = [p for who in room.remote_participants.values() for p in who.track_publications.values()]
            for _ in range(command["times"]):
                chance.choice(publications).set_subscribed(chance.random() < 0.5)
                await asyncio.sleep(chance.choice([0, 0, 0, 0.001, 0.01, 0.03, 0.1, 0.3]))
            await asyncio.sleep(0.5)
            # The core sends each change from a task of its own, so those made at once may overtake each other on their
            # way out. What is asked for last is to be sent last.
            end = command["end"]
            for wanted, pause in [(not end, 0.02), (end, 0.5), (end, 0)]:
                for publication in publications:
                    publication.set_subscribed(wanted)
                await asyncio.sleep(pause)
            emit("toggled", tracks=len(publications))
    for reader in readers.values():
        reader.cancel()
    await room.disconnect()
    emit("bye")


asyncio.run(main())
