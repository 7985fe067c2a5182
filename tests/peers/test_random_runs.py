"""A few of the random runs of tests/benchmarks/random_runs.py, and that its judge is not blind."""

from __future__ import annotations

import dataclasses

import numpy as np

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from tests.benchmarks import random_runs


def test_random_runs_end_in_figures_or_in_a_sentence(monkeypatch):
    monkeypatch.setenv("LLMREC_HOME", "")  # the program sets it; afterwards it is as before
    outcomes = random_runs.runs(seed=1, first=0, count=40)
    others = {number: end for number, end in outcomes.items() if end.startswith("other")}
    assert not others
    ends = {end.partition(":")[0] for end in outcomes.values()}
    assert ends == {"figures", "a sentence"}


def test_the_judge_sees_a_wrong_figure(catalogue):
    exam = Exam.of(catalogue, ProtocolSpec(candidates="full", users=0))
    scores = np.random.default_rng(0).normal(size=exam.candidates.shape)
    scores[exam.candidates < 0] = -np.inf
    score = iter([scores])
    rows, samples = evaluate(
        lambda histories, items: next(score), exam.split, exam.cases, exam.candidates, "loo/full", 3
    )
    judged = (scores, exam.candidates, exam, 3)
    assert random_runs.differences(*judged, rows, samples) == ""
    for place, row in enumerate(rows):
        if row.slice != "all" or row.value is None or row.name.startswith(random_runs.NOT_RECKONED):
            continue
        off = dataclasses.replace(row, value=row.value + 2e-9)
        said = random_runs.differences(*judged, [*rows[:place], off, *rows[place + 1 :]], samples)
        assert said.startswith(row.name)
