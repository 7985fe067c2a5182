"""How failures are named."""

from __future__ import annotations

from llmrec_core.errors import UsageError
from llmrec_core.running import failures


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


def test_classes_of_failures():
    kind_of = {
        "out_of_memory": [
            OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
            ),
        ],
        "disk": [
            OSError(28, "No space left on device"),
            RuntimeError("I/O error: No space left on device (os error 28)"),
        ],
        "data": [UsageError("x")],
        "bug": [ZeroDivisionError("x")],
    }
    for kind, errors in kind_of.items():
        for error in errors:
            assert failures.classify(error)[0] == kind, error
    assert failures.classify_exit(-9, oom_kills=1)[0] == "out_of_memory"
    assert failures.classify_exit(-9, oom_kills=0)[0] == "lost"
    assert failures.classify_exit(failures.DISK, 0)[0] == "disk"
    assert failures.classify_exit(0, 0)[0] == "bug"
