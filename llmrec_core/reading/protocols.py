"""Protocols in plain words, and whether two of them put the same runs in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmrec_core.language import marked, t
from llmrec_core.metrics.intervals import TAILS
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.people import NOBODY, People
from llmrec_core.reading.row import Row

FEWEST_RUNS = 4
"""Fewer runs have too few pairs for an agreement of orders."""
RESAMPLES = 500

SPLITS = {
    "loo": marked("each person's last item is hidden and must be found again"),
    "time": marked("everything after one moment is hidden and must be foreseen from before it"),
    "loo-cold-items": marked("the last item is hidden, and nobody has taken it in training"),
    "loo-cold-users": marked("the last item of people is hidden whom training has never seen"),
}
_KINDS = {
    "uniform": marked("among {count} items drawn by chance"),
    "popular": marked("among {count} items drawn by popularity"),
}


def in_words(protocol: str) -> str:
    """`loo/100-uniform` as a sentence can hold it."""
    split, _, candidates = protocol.partition("/")
    count, _, kind = candidates.partition("-")
    if candidates == "full":
        among = t("among all items")
    elif candidates == "shelf":
        among = t("among the items that nobody has taken in training")
    elif count == "given":
        among = t("in the published lists of {name}", name=kind)
    elif kind in _KINDS:
        among = t(_KINDS[kind], count=count)
    else:
        among = candidates
    return t("{split}, {among}", split=t(SPLITS.get(split, split)), among=among)


@dataclass(frozen=True)
class Agreement:
    """How alike two protocols order the runs that were measured under both."""

    first: str
    second: str
    runs: int
    tau: float
    """Kendall's tau-b of the two orders: 1 = the same, 0 = unrelated, −1 = reversed."""
    low: float
    high: float
    winners: tuple[Row, Row]
    """The best run under each."""
    apart: bool
    """Whether the second protocol tells its winner apart from the first one's: it stays above in
    at least 97.5 % of resamples of people."""


def agreement(
    rows: Sequence[Row],
    metric: str,
    first: str,
    second: str,
    users: Mapping[str, Mapping[str, People]],
) -> Agreement | None:
    """Kendall's tau of the orders of two protocols; `None` for fewer than `FEWEST_RUNS` runs.

    The interval holds the tau of 95 of 100 resamples of the people of either protocol.

    Args:
        rows: of the study.
        metric: e.g. `ndcg@10`.
        first: a protocol.
        second: the other one.
        users: protocol → run id → values of the metric.

    Source: Kendall, Biometrika 1945 (tau-b, with ties).
    """
    orders = [best_first(rows, metric, protocol) for protocol in (first, second)]
    both = [row for row in orders[0] if row in orders[1]]
    if len(both) < FEWEST_RUNS:
        return None
    means = [
        [row.figure(metric, protocol).value or 0.0 for row in both] for protocol in (first, second)
    ]
    rng = np.random.default_rng(0)
    drawn = [
        _resampled([users[p].get(row.run_id, NOBODY) for row in both], rng) for p in (first, second)
    ]
    low, high = np.quantile([tau_b(a, b) for a, b in zip(*drawn, strict=True)], TAILS)
    tau = tau_b(*map(np.array, means))
    winners = tuple(next(row for row in order if row in both) for order in orders)
    below, above = (drawn[1][:, both.index(winner)] for winner in winners)
    return Agreement(
        first,
        second,
        len(both),
        tau,
        min(tau, float(low)),
        max(tau, float(high)),
        (winners[0], winners[1]),
        bool((above > below).mean() >= TAILS[1]),
    )


def _resampled(people: Sequence[People], rng: np.random.Generator) -> np.ndarray:
    """Means of each run over resampled people whom all runs share, shape (resamples, runs)."""
    users = sorted(set.intersection(*(set(values.users) for values in people)))
    if not users:
        return np.zeros((RESAMPLES, len(people)))
    means = np.stack([values.only(users).means for values in people])
    return np.stack(
        [means[:, rng.integers(0, len(users), len(users))].mean(axis=1) for _ in range(RESAMPLES)]
    )


def tau_b(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two lists of values; 0 when one of them is constant.

    >>> tau_b(np.array([3, 2, 1]), np.array([3, 1, 2]))  # two of three pairs agree: (2 − 1) ÷ 3
    0.333
    """
    upper = np.triu_indices(len(a), 1)
    signs = [np.sign(values[:, None] - values[None, :])[upper] for values in (a, b)]
    scale = np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
    return round(float((signs[0] * signs[1]).sum() / scale), 3) if scale else 0.0


def agreement_sentence(agreement: Agreement, title: str) -> str:
    """The agreement of two protocols in words, and whether the winner changes."""
    sentence = t(
        "Over {runs} runs, {first} and {second} agree with a Kendall's tau of {tau:.2f} "
        "({low:.2f} to {high:.2f}) on the order by {title}.",
        runs=agreement.runs,
        first=agreement.first,
        second=agreement.second,
        tau=agreement.tau,
        low=agreement.low,
        high=agreement.high,
        title=title,
    )
    first, other = agreement.winners
    if first.run_id == other.run_id:
        winner = t("The winner stays: {name}.", name=first.name)
    else:
        winner = t(
            "The winner changes: {one} under {first}, {other} under {second}.",
            one=first.name,
            other=other.name,
            first=agreement.first,
            second=agreement.second,
        )
        if not agreement.apart:
            alike = t("The two cannot be told apart under {second}.", second=agreement.second)
            winner = f"{winner} {alike}"
    return f"{sentence} {winner}"
