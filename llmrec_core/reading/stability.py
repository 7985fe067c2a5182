"""How sure a choice is: how often it stays the choice, and what would settle a question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_core.language import t
from llmrec_core.metrics.seeds import Needed, needed, seed_error
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People, shared
from llmrec_core.reading.pricing import price_or_infinity
from llmrec_core.reading.question import Question
from llmrec_core.reading.requirements import Requirements
from llmrec_core.reading.row import Row

RESAMPLES = 400
MOST = 100_000
"""People or seeds beyond which a number helps nobody."""


def share_stays(
    rows: Sequence[Row], chosen: Row, limits: Limits, question: Question
) -> float | None:
    """Share of resamples of people and seeds in which the choice stays the choice.

    Each resample takes the best row within the limits and then the cheapest one whose paired
    difference from it is within 1.96 standard errors over people and seeds; where a share of the
    best quality is asked for, the cheapest row that reaches it.

    Args:
        rows: of the study.
        chosen: the choice.
        limits: of the reader.
        question: what is chosen by.

    Returns:
        A share, or `None` when fewer than `MIN_PEOPLE` are shared by all rows.
    """
    ranked = best_first(rows, question.metric, question.protocol, question.slice)
    affordable = Requirements(limits, question).kept(ranked)
    share = limits.share_of_best
    compared = affordable if share is None else ranked
    people = _shared_by_all([question.users.get(row.run_id, NOBODY) for row in compared], question)
    if people is None or chosen not in affordable:
        return None
    prices = np.array([price_or_infinity(row, question.pricing) for row in compared])
    within = np.array([row in affordable for row in compared])
    errors = np.array([_seed_variance(values) for values in people])
    rng = np.random.default_rng(0)
    place, kept = compared.index(chosen), 0
    for _ in range(RESAMPLES):
        means = _resample(people, rng)
        taken = (
            _choice(means, prices, errors)
            if share is None
            else _cheapest_good_enough(means, prices, within, share)
        )
        kept += taken == place
    return kept / RESAMPLES


def _shared_by_all(people: Sequence[People], question: Question) -> list[np.ndarray] | None:
    """The values of the people all rows share, each (seeds, users)."""
    if not people:
        return None
    users = set.intersection(*(set(values.users) for values in people))
    if question.only is not None:
        users &= set(question.only)
    return [values.only(users).values for values in people] if len(users) >= MIN_PEOPLE else None


def _seed_variance(values: np.ndarray) -> float:
    error = seed_error(values)
    return 0.0 if error is None else error.error**2


def _resample(people: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Means over seeds of drawn people and drawn seeds, shape (rows, users)."""
    drawn = rng.integers(0, people[0].shape[1], people[0].shape[1])
    return np.stack(
        [
            values[rng.integers(0, len(values), len(values))][:, drawn].mean(axis=0)
            for values in people
        ]
    )


def _choice(means: np.ndarray, prices: np.ndarray, seed_variances: np.ndarray) -> int:
    """The place of the cheapest row that cannot be told apart from the best one."""
    best = int(means.mean(axis=1).argmax())
    gaps = means[best] - means
    variances = gaps.var(axis=1, ddof=1) / means.shape[1] + seed_variances + seed_variances[best]
    tied = gaps.mean(axis=1) <= 1.96 * np.sqrt(variances)
    tied[best] = True
    return int(np.where(tied, prices, np.inf).argmin()) if np.isfinite(prices[tied]).any() else best


def _cheapest_good_enough(
    means: np.ndarray, prices: np.ndarray, within: np.ndarray, share: float
) -> int:
    """The place of the cheapest affordable row that reaches a share of the best; -1 for none.

    Of rows without a price the first is taken, as `pick` does.
    """
    values = means.mean(axis=1)
    places = np.flatnonzero(within & (values >= share * values.max()))
    return int(places[prices[places].argmin()]) if len(places) else -1


def what_would_settle(a: People, b: People) -> Needed | None:
    """What would settle which of two rows is better; `None` when too few people are shared."""
    values = shared(a, b)
    return None if values is None else needed(*values)


def settle_words(more: Needed, people: int) -> str:
    """How many more people, or seeds, would settle an undecided question.

    Args:
        more: what would settle it.
        people: how many there are.
    """
    users = None if more.users is None or more.users > MOST else more.users - people
    if users is not None and users > 0:
        return t("about {users:,} more people would settle it", users=_round(users))
    if more.seeds is not None and more.seeds <= MOST:
        return t("about {seeds} seeds of each would settle it", seeds=more.seeds)
    return t("the two are so alike that no practical number of people would settle it")


def _round(count: int) -> int:
    """Two digits: more would be false exactness.

    >>> _round(1234), _round(87), _round(3)
    (1200, 87, 3)
    """
    digits = max(0, len(str(count)) - 2)
    return int(round(count, -digits))
