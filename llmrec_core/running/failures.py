"""How a run ended badly: from its exception, or from the exit status of its process."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

from llmrec_core.errors import LlmrecError, RunError
from llmrec_core.language import t

REPORTED, DISK, STOPPED, KEPT, AWAY = 3, 74, 75, 76, 77
"""Exit statuses of a run's process: failure already in the ledger; disk full, so not in the ledger;
asked to stop; finished with its record in the run's folder, since the ledger is away; not begun, or
not reported, since the ledger is away."""

_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
)


def classify(error: BaseException) -> tuple[str, str]:
    """Return (kind, sentence) of an exception.

    The kind is one of out_of_memory, disk, data, cancelled, lost, time or bug.
    """
    text = str(error).strip() or type(error).__name__
    if isinstance(error, RunError):
        return error.kind, text
    if _is_full_disk(error):
        return (
            "disk",
            t(
                "no space left while the run was writing ({text}); free some and resume the "
                "run, nothing stored is lost",
                text=text,
            ),
        )
    if _is_no_memory(error):
        return (
            "out_of_memory",
            t(
                "out of memory: {text}. Make training.batch_histories or training.negatives "
                "smaller (training.accumulate keeps the effective batch), or keep fewer layers "
                "with recommender.depth",
                text=text,
            ),
        )
    if isinstance(error, LlmrecError):
        return "data", text
    return (
        "bug",
        t(
            "{name}: {text}. This is a fault in the program; the log holds the details",
            name=type(error).__name__,
            text=text,
        ),
    )


def _is_full_disk(error: BaseException) -> bool:
    """Whether the exception or one it came from is a full disk, or a file over its limit."""
    cause: BaseException | None = error
    while cause is not None:
        full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if isinstance(cause, OSError) and cause.errno in full:
            return True
        cause = cause.__cause__ or cause.__context__
    # safetensors wraps it in an error of its own
    return "no space left on device" in str(error).lower()


def _is_no_memory(error: BaseException) -> bool:
    # torch.OutOfMemoryError by name: this module must not import torch
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(
        words in str(error).lower() for words in _NO_MEMORY
    )


def kernel_oom_kills() -> int:
    """Return how many processes this kernel has killed for want of memory since it started.

    It is 0 where the kernel does not say.
    """
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def classify_exit(status: int, oom_kills: int) -> tuple[str, str]:
    """Return (kind, sentence) of a process that ended without telling the ledger.

    Args:
        status: as `Popen.returncode`; negative for a signal.
        oom_kills: how many processes the kernel has killed for want of memory meanwhile.
    """
    if status == DISK:
        return (
            "disk",
            t(
                "no space left to write the ledger; free some and resume the run, nothing "
                "stored is lost"
            ),
        )
    if status >= 0:
        return (
            "bug",
            t(
                "its process ended with status {status} and no result; the end of its output "
                "is in the log",
                status=status,
            ),
        )
    name = (
        signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
    )
    if -status == signal.SIGKILL and oom_kills:
        return (
            "out_of_memory",
            t(
                "the kernel ended its process for want of memory. Make "
                "training.batch_histories or training.negatives smaller, or keep fewer layers "
                "with recommender.depth"
            ),
        )
    if -status in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
        return "lost", t("its process was ended by {name} from outside", name=name)
    return "bug", t("its process crashed ({name}); the end of its output is in the log", name=name)
