"""Memory: what a run may use is held by the kernel, and a short memory halves the batch once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llmrec_core.contract.spec import RecommenderSpec, RunSpec, TrainingSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.running.halving import can_halve, halved
from tests.running.workers import ROOT, drain

pytestmark = pytest.mark.usefixtures("stand_ins")


def add_hungry(ledger: Ledger, gb_a_history: float, **fields: object) -> str:
    recommender = RecommenderSpec(
        family="sasrec", adaptation="full", options={"takes_gb": gb_a_history}
    )
    training = TrainingSpec(batch_histories=8, accumulate=3)
    spec = RunSpec(name="a", recommender=recommender, training=training, **fields)
    return ledger.add_study(StudySpec("s", "S", (spec,)))[0]


@pytest.mark.threat("resource-limits")
def test_short_memory_halves_the_batch_and_keeps_the_step(any_settings, any_ledger, monkeypatch):
    """8 histories of 0.4 GB do not fit 2 GB, 4 do; 4 × 6 histories a step are 8 × 3."""
    monkeypatch.setenv("LLMREC_MEMORY_GB", "2")
    run_id = add_hungry(any_ledger, 0.4)
    (row,) = drain(any_settings, any_ledger)
    assert (row.state, row.attempt, row.halvings, row.error) == ("finished", 2, 1, None)
    assert any_ledger.document(run_id, "batch") == [4, 6]
    said = any_ledger.document(run_id, "smaller_batch")["sentence"]
    assert said == (
        "memory was short, so the run went on with training.batch_histories 4 and "
        "training.accumulate 6 in place of 8 and 3: 24 histories a step, as asked for"
    )
    lines = [line for _, line in any_ledger.logs(run_id)]
    assert said in lines
    assert any(line.startswith("out_of_memory: ") for line in lines)
    assert row.spec["training"]["batch_histories"] == 8  # what was asked for stays on record


@pytest.mark.threat("resource-limits")
def test_batch_is_halved_once(settings, ledger, monkeypatch):
    monkeypatch.setenv("LLMREC_MEMORY_GB", "2")
    run_id = add_hungry(ledger, 0.9)  # 4 × 0.9 GB do not fit either
    (row,) = drain(settings, ledger)
    assert (row.state, row.error_kind, row.attempt) == ("failed", "out_of_memory", 2)
    assert "Make training.batch_histories or training.negatives smaller" in row.error
    ledger.retry(run_id)
    (row,) = drain(settings, ledger)
    assert (row.state, row.attempt, row.halvings) == ("failed", 3, 1)


def test_what_trains_nothing_is_not_halved():
    trained = RunSpec(recommender=RecommenderSpec(family="sasrec", adaptation="full"))
    assert can_halve(trained)
    assert not can_halve(RunSpec(recommender=RecommenderSpec(family="ease")))
    assert not can_halve(RunSpec(recommender=trained.recommender, weights_from="a"))
    one = TrainingSpec(batch_histories=1)
    assert not can_halve(RunSpec(recommender=trained.recommender, training=one))


@pytest.mark.threat("resource-limits")
@pytest.mark.parametrize(
    ("batch", "smaller", "times"), [(8, 4, 2), (9, 3, 3), (7, 1, 7), (2, 1, 2), (12, 6, 2)]
)
def test_effective_batch_stays(batch, smaller, times):
    training = halved(TrainingSpec(batch_histories=batch, accumulate=5))
    assert (training.batch_histories, training.accumulate) == (smaller, 5 * times)
    assert training.batch_histories * training.accumulate == batch * 5


PROGRAM = """
import resource, sys
from llmrec_core.running import limits
from llmrec_core.settings import load_settings
limits.hold(load_settings(), limits.RUN_FIRST)
print(resource.getrlimit(resource.RLIMIT_DATA)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])
print(open("/proc/self/oom_score_adj").read())
limits.hold(load_settings(), limits.RUN_FIRST)  # a lower limit of the system's own stays
try:
    bytearray(3 * 10**9)
except MemoryError:
    print("refused")
"""


@pytest.mark.threat("resource-limits")
def test_kernel_holds_the_limit_and_takes_the_run_first(home):
    environment = {**os.environ, "LLMREC_MEMORY_GB": "1.5"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1500000000", "0", "900", "refused"]
