"""The warm helper: a process that answers people's questions with models it keeps loaded.

A worker has two: one for measurements and work on data sets, which take minutes, and one for all
other questions, so these never wait for a measurement longer than the window it is timing.

`python -m llmrec_core.running.helper`, started by a worker; one JSON line in, one JSON line out.
While a question is answered, runs give way at their next step, and it waits for the end of a timing
window; a measurement has windows of its own (turns.py).
"""

from __future__ import annotations

import contextlib
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
from dataclasses import dataclass
from functools import partial
from typing import IO

from llmrec_core.contract.requests import MEASUREMENT_LIMIT_S, MEASUREMENTS
from llmrec_core.errors import LlmrecError
from llmrec_core.language import t
from llmrec_core.ledger.json_values import Json, jsonable
from llmrec_core.ledger.rows import RequestRow
from llmrec_core.running import limits
from llmrec_core.running.failures import classify
from llmrec_core.running.processes import die_with
from llmrec_core.running.turns import Turns
from llmrec_core.settings import load_settings

ANSWERS = "llmrec_core.running.answers"
"""The module that answers; `LLMREC_ANSWERS` names another one, for tests of the queue."""
LIMIT_S = 300.0
"""A question that takes longer is given up, and the helper is started afresh."""


@dataclass(frozen=True)
class Answered:
    """A question with its answer, or with the sentence why there is none."""

    request: RequestRow
    answer: dict[str, Json] | None
    error: str | None


class Helper:
    """The worker's side: at most one question under way."""

    def __init__(self, *, measurements: bool) -> None:
        """Prepare a helper.

        Args:
            measurements: it answers kinds of `MEASUREMENTS`, and nothing else.
        """
        self.measurements = measurements
        self.answered: Answered | None = None
        """What the ledger has not been told yet."""
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last_used = 0.0
        self.request: RequestRow | None = None

    @property
    def limit_s(self) -> float:
        """Seconds that an answer may take."""
        return MEASUREMENT_LIMIT_S if self.measurements else LIMIT_S

    @property
    def busy(self) -> bool:
        """Whether a question is under way, or its answer is not in the ledger yet."""
        return self.request is not None or self.answered is not None

    @property
    def idle_s(self) -> float:
        """Seconds since the process was last used; 0 when there is none."""
        return 0.0 if self._process is None else time.monotonic() - self._last_used

    def ask(self, request: RequestRow) -> None:
        """Hand over a question; the process is started when there is none."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        assert self._process.stdin is not None, "asked for a pipe"
        self.request, self._last_used = request, time.monotonic()
        try:
            question = json.dumps({"kind": request.kind, "payload": request.payload})
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lines.put(None)

    def _start(self) -> subprocess.Popen[str]:
        self._lines = queue.Queue()
        process = subprocess.Popen(
            [sys.executable, "-m", "llmrec_core.running.helper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LLMREC_WORKER_PID": str(os.getpid())},
            start_new_session=True,
        )
        assert process.stdout is not None, "asked for a pipe"
        threading.Thread(target=_read, args=(process.stdout, self._lines), daemon=True).start()
        return process

    def poll(self) -> Answered | None:
        """Return the question under way with its answer, `None` while there is none."""
        if self.request is None:
            return None
        try:
            line = self._lines.get_nowait()
        except queue.Empty:
            if time.monotonic() - self._last_used < self.limit_s:
                return None
            line = None
        request, self.request, self._last_used = self.request, None, time.monotonic()
        try:
            body = json.loads(line or "")
        except ValueError:  # it ended, perhaps within a line, or took too long
            self.close()
            sentence = t(
                "the helper ended, or took longer than {LIMIT_S:.0f} s; ask again, with a "
                "smaller model if memory is short",
                LIMIT_S=self.limit_s,
            )
            return Answered(request, None, sentence)
        return Answered(request, body.get("answer"), body.get("error"))

    def give_up(self) -> None:
        """Drop the question under way; its process ends with it."""
        self.request = None
        self.close()

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
    """Answer question after question until the worker closes the pipe.

    Args:
        questions: a JSON line each, from the worker.
        replies: a JSON line each, to the worker.
    """
    settings = load_settings()
    turns = Turns(settings.home)
    cache: object = None
    for line in questions:
        question = json.loads(line)
        body: dict[str, Json]
        try:
            measures = question["kind"] in MEASUREMENTS
            with contextlib.nullcontext() if measures else turns.alone(first=True):
                answers = importlib.import_module(os.environ.get("LLMREC_ANSWERS") or ANSWERS)
                cache = answers.Cache() if cache is None else cache
                answer = answers.answer(
                    question["kind"],
                    question["payload"],
                    settings,
                    cache,
                    window=partial(turns.alone, first=True) if measures else contextlib.nullcontext,
                    limit_s=MEASUREMENT_LIMIT_S if measures else None,
                )
                body = {"answer": jsonable(answer)}
        except LlmrecError as error:
            body = {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - a fault in one answer must not end the helper
            traceback.print_exc()
            body = {"error": _sentence(error)}
            cache = None  # memory may be short, and a model half loaded
        replies.write(json.dumps(body) + "\n")
        replies.flush()


def _sentence(error: Exception) -> str:
    if classify(error)[0] == "out_of_memory":
        return t(
            "out of memory while answering: {error}. Ask about fewer items at once, or of a "
            "smaller model; LLMREC_MEMORY_GB sets how much may be used",
            error=error,
        )
    return t(
        "{name}: {error}. This is a fault in the program; see the worker's output",
        name=type(error).__name__,
        error=error,
    )


if __name__ == "__main__":
    die_with(int(os.environ["LLMREC_WORKER_PID"]), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    limits.hold(load_settings(), limits.ANSWERS_FIRST)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the worker's output, not between the replies
    serve(sys.stdin, replies)
