"""FFmpeg's WHIP muxer, through PyAV, driven over stdin with JSON lines.

    ffmpeg_whip.py ADDRESS TOKEN HZ passive|active PROFILE

Publishes a tone and moving pictures (H.264 of this profile and Opus). `passive` or `active` is FFmpeg's part in DTLS. Its
certificate is made here: FFmpeg 8 with GnuTLS makes one on P-224, a curve that WebRTC endpoints need not know.
"""

import fractions
import json
import subprocess
import sys
import tempfile
import threading
import time

import av
import numpy as np

from session import emit

RATE, FPS, BLOCK = 48_000, 15, 960
WIDTH, HEIGHT = 640, 480


def certificate(directory: str) -> dict[str, str]:
    files = {"cert_file": f"{directory}/certificate.pem", "key_file": f"{directory}/key.pem"}
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=WebRTC".split()
    subprocess.run([*make, "-out", files["cert_file"], "-keyout", files["key_file"]], check=True, capture_output=True)
    return files


def main(directory: str) -> None:
    address, token, hz, part, profile = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4], sys.argv[5]
    options = {"authorization": token, **certificate(directory)}
    if part == "active":
        options["whip_flags"] = "dtls_active"
    stop = threading.Event()

    def commands() -> None:
        for line in sys.stdin:
            if json.loads(line)["do"] in ("leave", "delete"):
                break
        stop.set()

    threading.Thread(target=commands, daemon=True).start()
    with av.open(address, "w", format="whip", options=options) as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 500_000
        video.gop_size = FPS * 2
        # The fastest preset uses nothing that is beyond baseline.
        preset = "ultrafast" if profile == "baseline" else "veryfast"
        video.options = {"profile": profile, "preset": preset, "tune": "zerolatency"}
        audio = out.add_stream("libopus", rate=RATE, layout="stereo")
        began, frames, samples = time.monotonic(), 0, 0
        while not stop.is_set():
            now = time.monotonic() - began
            if frames / FPS <= now:
                rgb = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
                rgb[:, (frames * 8) % WIDTH : (frames * 8) % WIDTH + 16] = 255
                picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                picture.pts, picture.time_base = frames, fractions.Fraction(1, FPS)
                out.mux(video.encode(picture))
                if frames == 0:
                    emit("opened")
                frames += 1
            if samples / RATE <= now:
                t = (np.arange(BLOCK) + samples) / RATE
                wave = (np.sin(2 * np.pi * hz * t) * 12_000).astype(np.int16).repeat(2)
                sound = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="stereo")
                sound.sample_rate, sound.pts, sound.time_base = RATE, samples, fractions.Fraction(1, RATE)
                out.mux(audio.encode(sound))
                samples += BLOCK
            else:
                time.sleep(0.004)
    emit("bye")


with tempfile.TemporaryDirectory() as directory:
    main(directory)
