"""Open one session on a server that has just started, so that its first visitor waits for no import.

It also takes away a quirk: with a `pages` folder beside app.py, Streamlit 1.67 shows "Page not found" over the first
page of a fresh server when that page is a deep link. `python -m pages.shared.warm PORT`; `up` runs it.
"""

from __future__ import annotations

import sys
import time
import urllib.request

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect


def warm(port: int, timeout_s: float = 30.0) -> float:
    """Seconds until the first page was drawn.

    Raises:
        TimeoutError: when the server does not answer in time.
    """
    start = time.monotonic()
    while not _healthy(port):
        if time.monotonic() - start > timeout_s:
            raise TimeoutError(f"nothing answers on port {port} after {timeout_s:.0f} s")
        time.sleep(0.1)
    message = BackMsg()
    message.rerun_script.query_string = ""
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", origin=f"http://127.0.0.1:{port}", max_size=None) as socket:
        socket.send(message.SerializeToString())
        while time.monotonic() - start < timeout_s:
            forward = ForwardMsg()
            forward.ParseFromString(socket.recv(timeout=timeout_s))
            if forward.WhichOneof("type") == "script_finished":
                return time.monotonic() - start
    raise TimeoutError(f"the first page on port {port} took longer than {timeout_s:.0f} s")


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    warm(int(sys.argv[1]))
