"""How sure a choice is: how often it stays the choice, and what would settle a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
TOGETHER = 2_000_000
"""Values of a row, a resample and a user that are held at a time."""
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
    for drawn in _resamples(people, rng):
        taken = (
            _choices(drawn, prices, errors)
            if share is None
            else _cheapest_good_enough(drawn, prices, within, share)
        )
        kept += int((taken == place).sum())
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


def _resamples(people: Sequence[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Values of drawn people, means over drawn seeds, shape (rows, resamples, users) at a time."""
    users = people[0].shape[1]
    together = max(1, min(RESAMPLES, TOGETHER // (len(people) * users)))
    for first in range(0, RESAMPLES, together):
        count = min(together, RESAMPLES - first)
        drawn = rng.integers(0, users, (count, users))
        yield np.stack(
            [np.take_along_axis(_seed_means(values, count, rng), drawn, 1) for values in people]
        )


def _seed_means(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Each user's mean over drawn seeds, shape (count, users), of values (seeds, users)."""
    seeds = len(values)
    if seeds == 1:
        return np.broadcast_to(values[0], (count, values.shape[1]))
    drawn = rng.integers(0, seeds, (count, seeds))
    shares = (drawn[:, :, None] == np.arange(seeds)).mean(axis=1)
    means: np.ndarray = shares @ values
    return means


def _choices(drawn: np.ndarray, prices: np.ndarray, seed_variances: np.ndarray) -> np.ndarray:
    """For each resample the place of the cheapest row that cannot be told apart from the best one.

    Args:
        drawn: values, shape (rows, resamples, users).
        prices: of the rows; infinite where unknown.
        seed_variances: squared standard errors over seeds.
    """
    best = drawn.mean(axis=2).argmax(axis=0)
    gaps = drawn[best, np.arange(drawn.shape[1])] - drawn
    variances = gaps.var(axis=2, ddof=1) / drawn.shape[2]
    variances += seed_variances[:, None] + seed_variances[best]
    tied = gaps.mean(axis=2) <= 1.96 * np.sqrt(variances)
    tied[best, np.arange(len(best))] = True
    priced = np.where(tied, prices[:, None], np.inf)
    chosen: np.ndarray = np.where(np.isfinite(priced).any(axis=0), priced.argmin(axis=0), best)
    return chosen


def _cheapest_good_enough(
    drawn: np.ndarray, prices: np.ndarray, within: np.ndarray, share: float
) -> np.ndarray:
    """For each resample the place of the cheapest affordable row that reaches a share of the best.

    Of rows without a price the first is taken, as `pick` does; -1 where no row is good enough.

    Args:
        drawn: values, shape (rows, resamples, users).
        prices: of the rows; infinite where unknown.
        within: whether a row keeps the limits of cost.
        share: of the best quality.
    """
    values = drawn.mean(axis=2)
    enough = within[:, None] & (values >= share * values.max(axis=0))
    priced = np.where(enough, prices[:, None], np.inf)
    has_price = np.isfinite(priced).any(axis=0)
    cheapest = np.where(has_price, priced.argmin(axis=0), enough.argmax(axis=0))
    return np.where(enough.any(axis=0), cheapest, -1)


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
