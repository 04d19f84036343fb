"""JSON lines to and from the test that started this process, and what it is told of sound."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import numpy as np
from report import emit

__all__ = ["commands", "emit", "loudest"]


async def commands() -> AsyncIterator[dict]:
    """What the test asks for, until it asks to leave or is gone."""
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        command = json.loads(line)
        if command["do"] == "leave":
            return
        yield command


def loudest(window: np.ndarray, rate: int) -> dict[str, float]:
    """The frequency with the most energy in these samples, and how loud they are."""
    spectrum = np.abs(np.fft.rfft(window * np.hanning(len(window))))
    return {"hz": float(np.argmax(spectrum) * rate / len(window)), "rms": float(np.sqrt(np.mean(window**2)))}
