"""An OpenAI-compatible endpoint on loopback: it prefers high numbers and misbehaves on demand.

Before another endpoint it only passes on what is sent, and counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

_CANDIDATE = re.compile(r"^([A-Z])\. .*?(\d+)$", re.MULTILINE)


@dataclass
class Stub:
    """What the endpoint does, and what it has seen."""

    url: str = ""
    manner: str = "probabilities"
    """`probabilities` gives them; `ignores` answers as if they had not been asked for; `refuses`
    says 400 to the field; `thinks` wants max_completion_tokens."""
    behind: str = ""
    """Address of a real endpoint that answers in its place."""
    script: list[str] = field(default_factory=list)
    """What happens to the next requests, in order; then all goes well."""
    delay_s: float = 0.0
    retry_after: str = "0"
    tokens_each: int = 0
    """Added to the tokens of every prompt."""
    seen: Counter[str] = field(default_factory=Counter)
    """How often each prompt was answered or begun to be answered, by hash."""
    prompts: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    tokens_in: int = 0
    tokens_out: int = 0
    echo: str = ""
    """Added to what is said about an error."""


def passed_on(stub: Stub, raw: bytes) -> tuple[int, dict[str, Any]]:
    """What the endpoint behind answers; its own counts of tokens are added up."""
    address = f"{stub.behind}/chat/completions"
    reply = httpx.post(
        address, content=raw, headers={"Content-Type": "application/json"}, timeout=60
    )
    body = reply.json()
    usage = body.get("usage") or {}
    stub.tokens_in += usage.get("prompt_tokens", 0)
    stub.tokens_out += usage.get("completion_tokens", 0)
    return reply.status_code, body


def answer(stub: Stub, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and body of a well-behaved answer."""
    if stub.manner == "refuses" and "logprobs" in body:
        return 400, {"error": {"message": "logprobs is not supported"}}
    if stub.manner == "thinks" and "max_completion_tokens" not in body:
        return 400, {"error": {"message": "use max_completion_tokens"}}
    text = body["messages"][0]["content"]
    lettered = {letter: int(number) for letter, number in _CANDIDATE.findall(text)}
    order = sorted(lettered, key=lambda letter: -lettered[letter])
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    if "logprobs" in body and stub.manner == "probabilities":
        written = order[0]
        top = [
            {"token": f" {letter}", "logprob": -0.5 * place} for place, letter in enumerate(order)
        ]
        choice["logprobs"] = {"content": [{"token": written, "top_logprobs": top}]}
    elif body.get("max_tokens") == 1:
        written = order[0]
    else:
        written = ", ".join(order)
        if stub.manner == "thinks":
            written = f"<think>Perhaps A, B.</think>{written}"
    tokens_in, tokens_out = len(text.split()) + stub.tokens_each, len(written.split())
    stub.tokens_in += tokens_in
    stub.tokens_out += tokens_out
    return 200, {
        "choices": [choice | {"message": {"role": "assistant", "content": written}}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        stub = self.stub
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        text = body["messages"][0]["content"]
        stub.moments.append(time.monotonic())
        stub.keys.append(self.headers.get("Authorization"))
        act = stub.script.pop(0) if stub.script else "well"
        if act in ("429", "500", "401", "404"):
            said = {"error": {"message": f"not now {stub.echo}"}}
            return self._send(int(act), json.dumps(said).encode())
        stub.seen[hashlib.sha256(raw).hexdigest()] += 1
        stub.prompts.append(text)
        time.sleep(5.0 if act == "slow" else stub.delay_s)
        if act == "close":
            self.close_connection = True
            return None
        if act == "nonsense":
            return self._send(200, b"<html>hello")
        if act == "prose":
            said = {
                "choices": [{"message": {"content": "A person may like B, A best."}}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 9},
            }
            return self._send(200, json.dumps(said).encode())
        status, said = passed_on(stub, raw) if stub.behind else answer(stub, body)
        whole = json.dumps(said).encode()
        if act == "half":
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
            self.close_connection = True
            return None
        return self._send(status, whole)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", self.stub.retry_after)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)  # unless the client was killed, or has given up


@contextmanager
def running_stub(**fields: Any) -> Iterator[Stub]:
    """An endpoint that runs until the block ends."""
    stub = Stub(**fields)
    handler = type("Handler", (_Handler,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
