"""Half the batch after a run was out of memory, with the effective batch as it was."""

from __future__ import annotations

import dataclasses

from llmrec_core.contract.spec import RunSpec, TrainingSpec
from llmrec_core.language import t


def can_halve(spec: RunSpec) -> bool:
    """Whether a smaller batch can help: the run trains, on more than one history at a time."""
    return (
        spec.recommender.adaptation != "none"
        and not spec.borrows_weights
        and spec.training.batch_histories > 1
    )


def halved(training: TrainingSpec) -> TrainingSpec:
    """Return the training with at most half the histories at a time and as many a step.

    The largest part of the batch that divides it is taken, so that batch × accumulate stays.

    >>> smaller = halved(TrainingSpec(batch_histories=8, accumulate=3))
    >>> smaller.batch_histories, smaller.accumulate
    (4, 6)
    >>> smaller = halved(TrainingSpec(batch_histories=9))
    >>> smaller.batch_histories, smaller.accumulate
    (3, 3)
    """
    batch = training.batch_histories
    smaller = next(part for part in range(max(batch // 2, 1), 0, -1) if batch % part == 0)
    return dataclasses.replace(
        training, batch_histories=smaller, accumulate=training.accumulate * batch // smaller
    )


def sentence(before: TrainingSpec, after: TrainingSpec) -> str:
    """Return what the run's page says about the smaller batch."""
    return t(
        "memory was short, so the run went on with training.batch_histories {smaller} and "
        "training.accumulate {accumulate} in place of {batch} and {before}: {effective} histories "
        "a step, as asked for",
        smaller=after.batch_histories,
        accumulate=after.accumulate,
        batch=before.batch_histories,
        before=before.accumulate,
        effective=after.batch_histories * after.accumulate,
    )
