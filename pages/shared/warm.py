"""Open one session on a server that has just started: its first visitor waits for no import then.

`python -m pages.shared.warm PORT`; `up` runs it. Where people log in, the session sees the login.
"""

from __future__ import annotations

import sys
import time
import urllib.request

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin

from llmrec_core.language import t


def warm(port: int, timeout_s: float = 30.0) -> float:
    """Open the first page; returns the seconds until it was drawn.

    Args:
        port: of the server on this machine.
        timeout_s: how long to wait.

    Raises:
        TimeoutError: when the server does not answer in time.
    """
    start = time.monotonic()
    while not _healthy(port):
        if time.monotonic() - start > timeout_s:
            raise TimeoutError(
                t(
                    "nothing answers on port {port} after {timeout_s:.0f} s",
                    port=port,
                    timeout_s=timeout_s,
                )
            )
        time.sleep(0.1)
    message = BackMsg()
    message.rerun_script.query_string = ""
    origin = Origin(f"http://127.0.0.1:{port}")
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(address, origin=origin, max_size=None) as socket:
        socket.send(message.SerializeToString())
        while time.monotonic() - start < timeout_s:
            forward = ForwardMsg()
            forward.ParseFromString(socket.recv(timeout=timeout_s))
            if forward.WhichOneof("type") == "script_finished":
                return time.monotonic() - start
    raise TimeoutError(
        t(
            "the first page on port {port} took longer than {timeout_s:.0f} s",
            port=port,
            timeout_s=timeout_s,
        )
    )


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    warm(int(sys.argv[1]))
