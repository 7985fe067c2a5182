"""A visitor without a browser: a websocket that opens page after page of the app, as a browser does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from pages.shared.navigation import MAP

ADDRESSES = [address for pages in MAP.values() for *_, address in pages]


@contextlib.contextmanager
def visitor(port: int) -> Iterator[ClientConnection]:
    """A connection to the app on the loopback."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    origin = Origin(f"http://127.0.0.1:{port}")
    with connect(address, origin=origin, max_size=None, open_timeout=60) as socket:
        yield socket


def draw(socket: ClientConnection, page: str, patience_s: float) -> list[str]:
    """Open a page and wait until its script has run to its end; returns what it said went wrong."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    message.rerun_script.page_name = page
    socket.send(message.SerializeToString())
    said = []
    while True:
        forward = ForwardMsg()
        forward.ParseFromString(socket.recv(timeout=patience_s))
        kind = forward.WhichOneof("type")
        if kind == "delta" and forward.delta.new_element.WhichOneof("type") == "exception":
            said.append(f"{page}: {forward.delta.new_element.exception.message}")
        if kind == "script_finished":
            return said
