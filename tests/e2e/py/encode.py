"""Writes eight seconds of a tone and moving pictures, encoded as OBS does, for clients that cannot encode.

    encode.py FILE HZ

H.264 baseline access units (Annex B, a key frame every two seconds) and Opus packets, in order of time, each preceded
by one byte (v or a), its time in milliseconds and its length as 32-bit big-endian integers.
"""

import fractions
import struct
import sys

import av
import numpy as np

SECONDS, RATE, FPS, BLOCK = 8, 48_000, 15, 960
WIDTH, HEIGHT = 640, 480


def pictures():
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = WIDTH, HEIGHT, "yuv420p", 500_000
    encoder.time_base, encoder.framerate, encoder.gop_size = fractions.Fraction(1, FPS), fractions.Fraction(FPS), FPS * 2
    encoder.options = {"profile": "baseline", "preset": "veryfast", "tune": "zerolatency", "x264-params": "scenecut=0"}
    for n in range(SECONDS * FPS):
        rgb = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        rgb[:, (n * 8) % WIDTH : (n * 8) % WIDTH + 16] = 255
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = n, encoder.time_base
        for packet in encoder.encode(frame):
            yield round(packet.pts * 1000 / FPS), b"v", bytes(packet)


def sound(hz: float):
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "s16"
    for n in range(SECONDS * RATE // BLOCK):
        t = (np.arange(BLOCK) + n * BLOCK) / RATE
        wave = (np.sin(2 * np.pi * hz * t) * 12_000).astype(np.int16).repeat(2)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, n * BLOCK, fractions.Fraction(1, RATE)
        for packet in encoder.encode(frame):
            yield n * BLOCK * 1000 // RATE, b"a", bytes(packet)


with open(sys.argv[1], "wb") as out:
    for time, kind, data in sorted([*pictures(), *sound(float(sys.argv[2]))], key=lambda p: p[0]):
        out.write(kind + struct.pack(">II", time, len(data)) + data)
