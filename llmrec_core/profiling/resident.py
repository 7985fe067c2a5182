"""Resident memory of this process: now, and at its highest."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """What stands in memory now, the pages of shared libraries included."""
    return int(psutil.Process().memory_info().rss)


def highest_resident_bytes() -> int:
    """The most that has stood in memory since the program began.

    Linux keeps the `ru_maxrss` of whoever started the program, so a small program behind a large
    one would be as large as that; `VmHWM` begins anew with the program.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak if sys.platform == "darwin" else peak * 1024)  # macOS counts in bytes
    line = next(line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])
