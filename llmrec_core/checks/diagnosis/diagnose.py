"""`data diagnose`: what the data itself gives away, before any training."""

from __future__ import annotations

import time

import numpy as np

from llmrec_core.checks.diagnosis.consequences import consequences
from llmrec_core.checks.diagnosis.models import USERS, Fitted, Measured, fit
from llmrec_core.checks.diagnosis.sparse_exam import K
from llmrec_core.checks.diagnosis.titles import likeness
from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.diagnosis import (
    Diagnosis,
    Figure,
    Reach,
    Shuffled,
    Successors,
    Ties,
)
from llmrec_core.data.ties import shuffled_ties, tied_cases, tied_neighbours
from llmrec_core.language import marked, t
from llmrec_core.metrics.intervals import Difference, mean_interval, paired_difference
from llmrec_core.metrics.seeds import group_difference

DRAWS = 5
REACHES = (1, 3, 10, 0)
STEPS = (
    marked("the models as the file is"),
    marked("ties in another order"),
    marked("titles and histories"),
    marked("what cleaning would do"),
)


def diagnose(
    dataset: Dataset,
    draws: int = DRAWS,
    users: int = USERS,
    progress: Progress = unnoted,
) -> Diagnosis:
    """What the data gives away.

    Args:
        dataset: with at least one person of three items.
        draws: orders of the ties that are drawn.
        users: most people asked.
        progress: called at each step.

    Raises:
        DataError: when nobody can be asked.
    """
    start = time.monotonic()

    def begin(step: int) -> None:
        progress(Step(done=step, total=len(STEPS), phase=t(STEPS[step])))

    begin(0)
    fitted = fit(dataset, users)
    as_is = fitted.measure()
    begin(1)
    ties = _ties(dataset, fitted, as_is, draws, users)
    begin(2)
    last, *_, everything = reached = [fitted.knn_of_last(items) for items in REACHES]
    clear = ~tied_cases(fitted.split, fitted.exam.cases)
    alike = likeness(fitted.split)
    begin(3)
    acted = consequences(dataset, as_is, users)
    return Diagnosis(
        content_hash=dataset.content_hash,
        name=dataset.name.partition("@")[0],
        created=time.time(),
        seconds=time.monotonic() - start,
        users=len(as_is.users),
        chance=float((1 / np.log2(np.arange(2, K + 2))).sum() / max(dataset.n_items, K)),
        ties=ties,
        popularity=figure(fitted.popularity()),
        directed_counts=figure(as_is.directed_counts),
        item_knn=figure(as_is.item_knn),
        untied=figure(as_is.item_knn[clear]) if clear.any() else None,
        next_numbers=figure(as_is.next_numbers),
        successors=_successors(fitted),
        likeness=alike,
        reach=[
            Reach(items=items, quality=figure(values))
            for items, values in zip(REACHES, reached, strict=True)
        ],
        gain=of_difference(paired_difference(everything, last)),
        consequences=acted,
    )


def figure(values: np.ndarray) -> Figure:
    """The mean of values in 0 … 1 with its interval."""
    mean, low, high = mean_interval(values)
    return Figure(value=mean, low=low, high=high, n=len(values))


def of_difference(difference: Difference) -> Figure:
    """A paired difference as a figure."""
    return Figure(value=difference.mean, low=difference.low, high=difference.high, n=difference.n)


def _ties(dataset: Dataset, fitted: Fitted, as_is: Measured, draws: int, users: int) -> Ties:
    tied = tied_cases(fitted.split, fitted.split.test)
    neighbours = tied_neighbours(dataset)
    drawn: list[Measured] = []
    if neighbours.count:
        drawn = [fit(shuffled_ties(dataset, seed), users).measure() for seed in range(draws)]
    models = [
        _loss(
            "directed-counts",
            as_is.directed_counts,
            [order.directed_counts for order in drawn],
        ),
        _loss("item-knn", as_is.item_knn, [order.item_knn for order in drawn]),
        _loss("next-numbers", as_is.next_numbers, [order.next_numbers for order in drawn]),
    ]
    return Ties(
        targets=len(fitted.split.test),
        tied=int(tied.sum()),
        neighbours=neighbours.count,
        ascending=neighbours.ascending,
        draws=len(drawn),
        models=[model for model in models if model],
    )


def _loss(model: str, as_is: np.ndarray, drawn: list[np.ndarray]) -> Shuffled | None:
    if not drawn:
        return None
    values = np.stack(drawn)
    lost = group_difference(as_is[None], values)
    return Shuffled(
        model=model,
        as_is=figure(as_is),
        shuffled=float(values.mean()),
        loss=of_difference(lost),
    )


def _successors(fitted: Fitted) -> Successors:
    after = fitted.directed_counts.successors
    different = np.diff(after.indptr)
    last = np.array([case.history[-1] for case in fitted.exam.cases])
    target = np.array([case.relevant[0] for case in fitted.exam.cases])
    is_successor = np.asarray(after[last, target]).ravel() > 0
    return Successors(
        median=float(np.median(different[different > 0])) if different.any() else 0.0,
        known=figure(is_successor.astype(float)),
    )
