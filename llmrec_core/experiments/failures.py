"""How a run ended badly: from its exception, or from the exit status of its process."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

from llmrec_core.errors import LlmrecError, RunFailed

REPORTED, DISK, STOPPED = 3, 74, 75
"""Exit statuses of a run's process: failure already in the ledger; disk full, so not in the ledger; told to stop."""

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "unable to allocate")


def classify(error: BaseException) -> tuple[str, str]:
    """(kind, sentence) of an exception: out_of_memory, disk, data, cancelled, lost or bug."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, RunFailed):
        return error.kind, text
    if _is_full_disk(error):
        return (
            "disk",
            f"no space left while the run was writing ({text}); free some and resume the run, nothing stored is lost",
        )
    # torch.OutOfMemoryError by name: this module must not import torch
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _says_no_memory(error):
        return "out_of_memory", (
            f"out of memory: {text}. Make training.batch_histories or training.negatives smaller (training.accumulate "
            "keeps the effective batch), or keep fewer layers with recommender.depth"
        )
    if isinstance(error, LlmrecError):
        return "data", text
    return "bug", f"{type(error).__name__}: {text}. This is a fault in the program; the log holds the details"


def _is_full_disk(error: BaseException) -> bool:
    """Whether the exception or one it came from is a full disk."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen = seen.__cause__ or seen.__context__
    return "no space left on device" in str(error).lower()  # safetensors wraps it in an error of its own


def _says_no_memory(error: BaseException) -> bool:
    return isinstance(error, (RuntimeError, OSError)) and any(words in str(error).lower() for words in _NO_MEMORY)


def kernel_oom_kills() -> int:
    """Processes this kernel has killed for want of memory since it started; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def classify_exit(status: int, oom_kills: int) -> tuple[str, str]:
    """(kind, sentence) of a process that ended without telling the ledger.

    Args:
        status: as `Popen.returncode`; negative for a signal.
        oom_kills: how many processes the kernel has killed for want of memory meanwhile.
    """
    if status == DISK:
        return "disk", "no space left to write the ledger; free some and resume the run, nothing stored is lost"
    if status >= 0:
        return "bug", f"its process ended with status {status} and no result; the end of its output is in the log"
    name = signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
    if -status == signal.SIGKILL and oom_kills:
        return "out_of_memory", (
            "the kernel ended its process for want of memory. Make training.batch_histories or training.negatives "
            "smaller, or keep fewer layers with recommender.depth"
        )
    if -status in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
        return "lost", f"its process was ended by {name} from outside"
    return "bug", f"its process crashed ({name}); the end of its output is in the log"
