"""What the tests of workers share: queueing stand-ins, working, waiting."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import RunRow
from llmrec_core.running.worker import Worker
from llmrec_core.settings import Settings

ROOT = Path(__file__).parents[2]
LEASE_S = 2.0


class Start(Protocol):
    """Starts a real worker."""

    def __call__(self, *options: str) -> subprocess.Popen[str]: ...


def add(ledger: Ledger, **runs: dict[str, float]) -> list[str]:
    """Queue one run a name, with its options."""
    specs = tuple(
        RunSpec(name=name, recommender=RecommenderSpec(options=options), seed=number)
        for number, (name, options) in enumerate(runs.items())
    )
    return ledger.add_study(StudySpec("s", "S", specs))


def drain(settings: Settings, ledger: Ledger) -> list[RunRow]:
    """Let a worker in this process work until nothing is queued."""
    Worker(settings, ledger).run(until_idle=True)
    return ledger.runs("s")


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
