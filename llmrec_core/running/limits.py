"""What the process of a run or of answers may use, held by the kernel.

An allocation beyond the limit is refused at once, as an exception in that process; without a limit
the kernel would look for a victim among all programs of the machine.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
from pathlib import Path

import psutil

from llmrec_core.settings import Settings

SHARE = 0.9
"""Part of the machine's memory that one process of ours may use."""
RESERVE_BYTES = 256 * 2**20
"""Free disk that no single file may take."""
RUN_FIRST, ANSWERS_FIRST = 900, 700
"""How much sooner than other programs the kernel ends a run, or the answers, for want of memory
(-1000 to 1000)."""


def memory_limit_bytes(settings: Settings) -> int:
    """Return the memory that a run may use, in bytes: the setting, else a share of the machine's.

    Inside a container the limit of its control group counts as the machine's memory.
    """
    if settings.memory_gb is not None:
        return int(settings.memory_gb * 1e9)
    return int(SHARE * min(psutil.virtual_memory().total, _group_limit_bytes()))


def _group_limit_bytes() -> float:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            return float((Path("/sys/fs/cgroup") / name).read_text(encoding="ascii"))
    return float("inf")


def free_disk_bytes(folder: Path) -> int:
    """Return the free space where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def hold(settings: Settings, oom_score: int) -> None:
    """Limit this process: its private memory, its largest file, no core dumps.

    Args:
        settings: the home whose disk it writes to, and the limit of memory.
        oom_score: see `RUN_FIRST`.
    """
    _lower(resource.RLIMIT_DATA, memory_limit_bytes(settings))
    largest = max(free_disk_bytes(settings.home) - RESERVE_BYTES, RESERVE_BYTES)
    _lower(resource.RLIMIT_FSIZE, largest)
    _lower(resource.RLIMIT_CORE, 0)
    with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
        Path("/proc/self/oom_score_adj").write_text(str(oom_score), encoding="ascii")


def _lower(kind: int, limit: int) -> None:
    """Set a limit, unless a lower one holds already."""
    soft, hard = resource.getrlimit(kind)
    now = min((value for value in (soft, hard) if value != resource.RLIM_INFINITY), default=limit)
    resource.setrlimit(kind, (min(limit, now), hard))
