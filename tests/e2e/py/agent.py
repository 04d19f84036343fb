"""A worker on LiveKit's own agents framework. Its agent hums a tone and sends back, reversed, what it is sent.

Arguments: server URL, agent name ('' for the automatic dispatch), room | publisher. Tells what happens as JSON lines.
"""

import asyncio
import logging
import sys

import numpy as np
from livekit import rtc
from livekit.agents import AgentServer, JobContext
from livekit.agents.worker import ServerType

from wire import emit

RATE = 48_000
HUM_HZ = 520


async def hum(source: rtc.AudioSource) -> None:
    n = 0
    block = RATE // 100
    while True:
        t = (np.arange(block) + n) / RATE
        samples = (np.sin(2 * np.pi * HUM_HZ * t) * 12_000).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, block))
        n += block


async def entrypoint(ctx: JobContext) -> None:
    job = ctx.job
    emit("job", id=job.id, room=job.room.name, dispatch=job.dispatch_id, metadata=job.metadata, agent=job.agent_name, participant=job.participant.identity)
    tasks = set()

    async def ended() -> None:
        emit("ended", id=job.id)

    ctx.add_shutdown_callback(ended)

    @ctx.room.on("data_received")
    def _(packet: rtc.DataPacket) -> None:
        answer = ctx.room.local_participant.publish_data(packet.data[::-1], topic="echo")
        task = asyncio.create_task(answer)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    await ctx.connect()
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("hum", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await ctx.room.local_participant.publish_track(track, options)
    tasks.add(asyncio.create_task(hum(source)))
    emit("joined", id=job.id, identity=ctx.room.local_participant.identity)


async def main(url: str, name: str, kind: str) -> None:
    server = AgentServer(
        ws_url=url,
        api_key="devkey",
        api_secret="secret",
        # The test machine is busy, and that must not matter.
        load_fnc=lambda: 0.0,
        num_idle_processes=1,
        initialize_process_timeout=60.0,
        host="127.0.0.1",
        port=0,
    )
    server.rtc_session(entrypoint, agent_name=name, type=ServerType.PUBLISHER if kind == "publisher" else ServerType.ROOM)
    server.on("worker_registered", lambda id, info: emit("registered", id=id, version=info.version))
    await server.run(devmode=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:4]))
