"""Stands in for `running.answers` in tests of the queue."""

from __future__ import annotations

import os
import time
from typing import Any

from llmrec_core.errors import UsageError
from llmrec_core.profiling.timing import TimingWindow
from llmrec_core.settings import Settings

Cache = dict


def answer(
    kind: str,
    payload: dict[str, Any],
    settings: Settings,
    cache: dict[Any, Any],
    window: TimingWindow,
    limit_s: float | None,
) -> dict[str, Any]:
    if kind == "profile":
        time.sleep(payload["load_s"])
        with window():
            began = time.time()
            time.sleep(payload["window_s"])
            return {"began": began, "ended": time.time(), "limit_s": limit_s}
    if kind == "die":
        os._exit(9)
    if kind == "bug":
        raise KeyError("x")
    if kind != "echo":
        raise UsageError(f"unknown question {kind!r}; expected echo")
    began = time.time()
    time.sleep(payload.get("seconds", 0.0))
    cache["asked"] = cache.get("asked", 0) + 1
    print("a library talks on stdout")
    return {"payload": payload, "began": began, "ended": time.time(), "asked": cache["asked"]}
