"""A home with two finished runs of a small ring of items, made within this process."""

from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd
import pytest

from llmrec_core.data import store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.profiling.timing import Window
from llmrec_core.running import child, execute
from llmrec_core.running.study import prepare_study
from llmrec_core.settings import load_settings
from tests.tiny import tiny_backbone

PEOPLE, RING = 40, 12
READER = "Tiny cross-encoder"
PEAKS = Peaks(gemm_flops_per_s=1e11, bandwidth_bytes_per_s=1e10)


class FixedWindows:
    """In the place of the process that serves: every request took two seconds."""

    def __init__(self, *arguments: object) -> None: ...

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None: ...

    def start(self, meter): ...

    def window(self, meter):
        window = Window([2.0] * 4, 8.0, 0.0, False, None, None, None, 10**6)
        meter.single.append(window)
        meter.batched.append(window)

    def measurements(self):
        return []


def make_finished_home(folder: Path) -> None:
    """Import the ring and finish item-kNN and a cross-encoder trained for two steps.

    The runs are claimed and executed as a worker and its child do it, without their processes, and
    nothing is measured by a clock.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMREC_HOME", str(folder))
        patch.delenv("LLMREC_LEDGER", raising=False)
        patch.setattr(execute, "Serving", FixedWindows)
        patch.setattr(execute, "peaks_of_worker", lambda *of: PEAKS)
        settings = load_settings()
        store.save(ring(), settings, note="a ring")
        study = folder / "study.toml"
        study.write_text(_study(tiny_backbone(folder / "backbone")), encoding="utf-8")
        ledger = Ledger.open(settings)
        ids = ledger.add_study(prepare_study(study, settings))
        before = signal.getsignal(signal.SIGTERM)
        try:
            while lease := ledger.claim("this process"):
                assert child.main(lease.run_id, lease.worker, lease.attempt) == 0
        finally:
            signal.signal(signal.SIGTERM, before)
        runs = [ledger.run(run_id) for run_id in ids]
        assert [run.state for run in runs] == ["finished"] * 2, [run.error for run in runs]
        ledger.close()


def ring():
    """Everybody takes six neighbours of a ring: 0 to 5, 1 to 6, …; four people two at one moment."""
    rows = [
        (
            f"u{user}",
            f"i{(user + step) % RING}",
            1_700_000_000.0 + 86_400 * min(step, 4 if user >= PEOPLE - 4 else 5),
        )
        for user in range(PEOPLE)
        for step in range(6)
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(RING)]})
    items["title"] = [f"number{item} white field" for item in range(RING)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return build_dataset("ring", table, items)


def _study(backbone: Path) -> str:
    return f"""
        name = "ring"
        title = "A ring"
        [defaults]
        data = {{ name = "ring" }}
        protocol = {{ candidates = "full", users = 0 }}
        [[run]]
        name = "Item-kNN"
        recommender = {{ family = "item-knn" }}
        [[run]]
        name = "{READER}"
        training = {{ steps = 2, warmup_steps = 0, validate_every = 2, validation_users = 4 }}
        [run.recommender]
        family = "cross-encoder"
        backbone = "{backbone}"
        history_items = 4
        adaptation = "head"
    """
