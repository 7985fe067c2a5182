"""Peaks of this machine, measured once a worker in a process of their own.

The buffers of that measurement are half a gigabyte, and its second would be most of a cheap run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil

from llmrec_core.errors import UnsupportedError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.profiling.peaks import Peaks

FILE = "peaks.json"


def peaks_of_worker(device: str, home: Path) -> Peaks:
    """The peaks of `device`, measured now unless this worker has measured them.

    Args:
        device: `cpu` or `cuda`.
        home: where they are remembered.

    Raises:
        UnsupportedError: when they cannot be measured.
    """
    path, worker = home / FILE, _worker()
    kept = _read(path, worker)
    if device not in kept:
        kept[device] = _measured(device)
        write_json(
            path, {"worker": worker, "peaks": {at: asdict(peaks) for at, peaks in kept.items()}}
        )
    return kept[device]


def _worker() -> str:
    """The worker of this run by process and start; outside a worker, this process itself."""
    pid = int(os.environ.get("LLMREC_WORKER_PID", os.getpid()))
    return f"{pid} {psutil.Process(pid).create_time():.0f}"


def _read(path: Path, worker: str) -> dict[str, Peaks]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["worker"] != worker:
            return {}
        return {device: Peaks(**peaks) for device, peaks in body["peaks"].items()}
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or not ours: measured anew
        return {}


def _measured(device: str) -> Peaks:
    done = subprocess.run(
        [sys.executable, "-m", "llmrec_core.profiling.peaks", device],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnsupportedError(
            t(
                "the peaks of {device} could not be measured: {reason}",
                device=device,
                reason=(done.stderr.strip().splitlines() or [""])[-1],
            )
        )
    return Peaks(**json.loads(done.stdout.splitlines()[-1]))
