"""The warm helper: a process that answers people's questions with models it keeps loaded.

`python -m llmrec_core.experiments.helper`, started by a worker; one JSON line in, one JSON line out. While it works,
runs give way at their next step, and it waits for the end of a timing window (turns.py).
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from typing import IO, Any

from llmrec_core.errors import LlmrecError
from llmrec_core.experiments.child import die_with
from llmrec_core.experiments.records import RequestRow
from llmrec_core.experiments.store import jsonable
from llmrec_core.experiments.turns import Turns
from llmrec_core.settings import load_settings

ANSWERS = "llmrec_core.experiments.answers"
"""The module that answers; `LLMREC_ANSWERS` names another one, for tests of the queue."""
LIMIT_S = 300.0
"""A question that takes longer is given up, and the helper is started afresh."""


class Helper:
    """The worker's side: at most one question under way."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.request: RequestRow | None = None
        self.last_used = 0.0

    @property
    def started(self) -> bool:
        return self._process is not None

    def ask(self, request: RequestRow) -> None:
        """Hand over a question; the process is started when there is none."""
        if self._process is None or self._process.poll() is not None:
            environment = {**os.environ, "LLMREC_WORKER_PID": str(os.getpid())}
            self._lines = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "llmrec_core.experiments.helper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,
            )
            assert self._process.stdout is not None, "asked for a pipe"
            threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()
        assert self._process.stdin is not None, "asked for a pipe"
        self.request, self.last_used = request, time.monotonic()
        try:
            self._process.stdin.write(json.dumps({"kind": request.kind, "payload": request.payload}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lines.put(None)

    def poll(self) -> tuple[RequestRow, dict[str, Any] | None, str | None] | None:
        """(request, answer, error) once the question under way is answered."""
        if self.request is None:
            return None
        try:
            line = self._lines.get_nowait()
        except queue.Empty:
            if time.monotonic() - self.last_used < LIMIT_S:
                return None
            line = None
        request, self.request, self.last_used = self.request, None, time.monotonic()
        if line is not None:
            body = json.loads(line)
            return request, body.get("answer"), body.get("error")
        self.close()
        return (
            request,
            None,
            (
                f"the helper ended, or took longer than {LIMIT_S:.0f} s; ask again, with a smaller model if memory is short"
            ),
        )

    def close(self) -> None:
        """End the process; a question under way stays unanswered."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _read(pipe: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in pipe:
        lines.put(line)
    lines.put(None)


def serve(questions: IO[str], replies: IO[str]) -> None:
    """Answer question after question until the worker closes the pipe."""
    settings = load_settings()
    turns = Turns(settings.home)
    cache: dict[Any, Any] = {}
    for line in questions:
        question = json.loads(line)
        body: dict[str, Any]
        try:
            with turns.alone(first=True):
                answers = importlib.import_module(os.environ.get("LLMREC_ANSWERS") or ANSWERS)
                body = {"answer": jsonable(answers.answer(question["kind"], question["payload"], settings, cache))}
        except LlmrecError as error:
            body = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - a fault in one answer must not end the helper
            traceback.print_exc()
            body = {
                "error": f"{type(error).__name__}: {error}. This is a fault in the program; see the worker's output"
            }
        replies.write(json.dumps(body) + "\n")
        replies.flush()


if __name__ == "__main__":
    die_with(int(os.environ["LLMREC_WORKER_PID"]), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the worker's output, not between the replies
    serve(sys.stdin, replies)
