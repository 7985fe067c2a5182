"""What an import may take: memory and processor time of the child, and growth at each step.

The limits hold only in a process that asked for them with `limit_process`; a notebook that imports
in its own process has none.
"""

from __future__ import annotations

from pathlib import Path

try:
    import resource
except ImportError:  # no such limits on this system; the child is still a process of its own
    resource = None  # type: ignore[assignment] # typeshed knows the module on this system

MEMORY_BYTES = 4 << 30
"""Address space of the child."""
CPU_S = 900
GROWTH_BYTES = 640 << 20
"""How much one step of parsing (a block of text, a batch of rows) may add."""

_is_limited = False


def limit_process(memory_bytes: int = MEMORY_BYTES, cpu_s: int = CPU_S) -> None:
    """Bound this process for the rest of its life.

    Args:
        memory_bytes: address space.
        cpu_s: processor time, after which the system ends the process.
    """
    global _is_limited
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _is_limited = True


def allow_growth(growth_bytes: int = GROWTH_BYTES) -> None:
    """Let memory grow by that much from where it is; more makes an allocation fail.

    Without this a crafted piece of a file could take all of the child's memory at once, while the
    rows of a large honest file add up slowly.

    Args:
        growth_bytes: beyond what the process holds now.
    """
    if _is_limited:
        _limit_growth(_writable_bytes() + growth_bytes)


def lift_growth() -> None:
    """Take the bound on growth away: everything that follows is our own arithmetic on rows."""
    if _is_limited:
        _limit_growth(resource.RLIM_INFINITY)


def _limit_growth(soft: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _writable_bytes() -> int:
    """Private writable memory of this process, as the limit counts it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0
