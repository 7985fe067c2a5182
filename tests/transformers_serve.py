"""A real OpenAI-compatible server, `transformers serve`, with a tiny model of random weights."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.served import free_port
from tests.tiny import tiny_backbone

STARTS_S = 300.0
"""It imports torch and transformers, which takes a while beside other tests."""


def tiny_chat_model(folder: Path) -> Path:
    """A tiny decoder whose tokenizer puts a message into a prompt as it is."""
    from transformers import AutoTokenizer

    tiny_backbone(folder, "llama")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def serving(model: Path | str, log: Path) -> Iterator[str]:
    """Serve a model on loopback until the block ends.

    Args:
        model: its folder, which is also what the server calls it.
        log: file for what the server prints.

    Yields:
        The base address.
    """
    port = free_port()
    command = [Path(sys.executable).with_name("transformers"), "serve", model]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [*map(str, command), *options], stdout=sink, stderr=sink, env=environment
        )
    try:
        _wait_until_healthy(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text(errors="replace")
        try:
            if httpx.get(address, timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"not healthy after {STARTS_S:.0f} s: {log.read_text(errors='replace')}")
