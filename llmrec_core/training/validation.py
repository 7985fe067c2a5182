"""NDCG@k on validation users, the number that early stopping and `best:` choices follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.contract.recommender import Score
from llmrec_core.errors import DataError
from llmrec_core.language import t
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.splits import Split


def validator(split: Split, score: Score, spec: RunSpec) -> Callable[[], float]:
    """A function that returns the mean NDCG@k of the validation users, on the run's own protocol.

    Args:
        split: its validation cases are asked.
        score: as `Recommender.score`.
        spec: names the protocol and how many users are asked.

    Raises:
        DataError: when the split leaves nobody to ask.
    """
    exam = _exam(split, spec)

    def validate() -> float:
        return _mean(_figures(exam, score, spec)[f"ndcg@{spec.protocol.k}"])

    return validate


def validation_figures(split: Split, score: Score, spec: RunSpec) -> dict[str, np.ndarray]:
    """Every metric of the validation users, as `metrics.evaluate.per_user` returns it.

    Args:
        split: as for `validator`.
        score: as for `validator`.
        spec: as for `validator`.
    """
    return _figures(_exam(split, spec), score, spec)


def require_people(split: Split) -> None:
    """Refuse a split that leaves nobody on whom a training or a mixture could be validated.

    Raises:
        DataError: saying what to do.
    """
    if not split.valid:
        raise DataError(
            t(
                "split {split!r} of {data!r} leaves nobody to validate on, and what is trained "
                "here is chosen by validation; import more data, or use split 'loo' or a family "
                "that counts (popularity, item-knn, ease)",
                split=split.name,
                data=split.dataset.name,
            )
        )


def _exam(split: Split, spec: RunSpec) -> Exam:
    require_people(split)
    protocol = spec.protocol
    return Exam.on(
        split,
        split.valid,
        protocol.candidates,
        spec.training.validation_users,
        protocol.seed + 1,
    )


def _figures(exam: Exam, score: Score, spec: RunSpec) -> dict[str, np.ndarray]:
    return per_user(score, exam.split, exam.cases, exam.candidates, spec.protocol.k)


def _mean(values: np.ndarray) -> float:
    """The mean of the users for whom it is defined; 0 where there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else 0.0
