"""NDCG@k on validation users, the number that early stopping and `best:` choices follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.metrics.evaluate import evaluate

if TYPE_CHECKING:
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.spec import RunSpec

Score = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]


def validator(split: Split, score: Score, spec: RunSpec) -> Callable[[], float]:
    """A function that returns the mean NDCG@k of `validation_users` users on the run's own candidate protocol."""
    protocol = spec.protocol
    cases = sample_cases(split.valid, spec.training.validation_users, protocol.seed + 1)
    candidates = candidate_sets(split, cases, protocol.candidates, protocol.seed + 1)

    def validate() -> float:
        rows, _ = evaluate(score, split, cases, candidates, protocol.name, protocol.k)
        return next(row.value for row in rows if row.name == f"ndcg@{protocol.k}" and row.slice == "all") or 0.0

    return validate
