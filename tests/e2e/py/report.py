"""What a client started by a test tells that test: JSON lines."""

import json
import threading

_line = threading.Lock()


def emit(event: str, **fields) -> None:
    with _line:  # GStreamer reports from several threads
        print(json.dumps({"event": event, **fields}), flush=True)
