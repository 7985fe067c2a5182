"""How a cascade's gate is learned: on validation people, each judged by those of the other half.

    half A                              half B
      quarter 1: ridge → quarter 2: isotonic     the same
      quarter 2: ridge → quarter 1: isotonic
      mean of both → expected gains of half B    → expected gains of half A

The expected gains of people who taught nothing to their own estimate give the calibration error and
the curve of quality against the share of requests read, on which the share is chosen. What serves
is then learned on both halves, with the threshold that this share of them exceeds.

Isotonic calibration: Zadrozny and Elkan, KDD 2002. The expected calibration error in groups of
equal numbers: Naeini, Cooper and Hauskrecht, AAAI 2015, here of a gain in NDCG in place of a
probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata

from llmrec_core.contract.gate_rules import FEWEST_PEOPLE
from llmrec_core.errors import DataError, RunError
from llmrec_core.language import t
from llmrec_core.metrics.intervals import paired_difference
from llmrec_core.recommenders.gate import (
    GainEstimate,
    Gate,
    mean_gain,
    request_features,
    standardised,
)
from llmrec_core.training.validation import validation_figures

if TYPE_CHECKING:
    from llmrec_core.contract.recommender import Score
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.splits import Split

RIDGE = 0.1
"""Pull of the weights of standardised features towards 0, per person."""
FEWEST_OF_KNOT = 25
"""People over whom a gain is averaged before the line through them is made to rise."""
BINS = 10
"""Groups of equal numbers in which expected gains are held against those that came about."""
LOSS = 0.005
"""Share of the quality of always reading that the gate may lose on validation, both as it came out
and as expected."""
POINTS = 40
"""Steps of the share of requests in the recorded curve."""
Read = Callable[[Sequence[np.ndarray], np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Scores of histories and their candidates where everything is read, (batch, N); and the
retriever's best scores and their items, (batch, K) each."""


@dataclass(frozen=True)
class Learned:
    """What validation taught."""

    estimates: tuple[GainEstimate, ...]
    share: float
    """As `Gate.share`."""
    threshold: float
    """As `Gate.threshold`."""
    record: dict[str, Any]
    """The run's document `gate`."""


def learned_gate(
    split: Split, spec: RunSpec, context: RunContext, read: Read, retrieve: Score
) -> Gate:
    """The gate of a cascade, learned on its validation people; its record goes to `context`.

    Args:
        split: whose validation people are asked.
        spec: the run's.
        context: the run's side of the ledger.
        read: the cascade where everything is read.
        retrieve: the retriever alone.

    Raises:
        DataError: when there are too few validation people to learn from.
        RunError: when the run is asked to stop meanwhile.
    """
    features: list[np.ndarray] = []
    popularity = np.log1p(split.item_counts)
    people = min(spec.training.validation_users or len(split.valid), len(split.valid))

    def always(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        if context.should_stop():
            raise RunError(t("stopped on request"), "cancelled")
        scores, best, items = read(histories, candidates)
        features.append(request_features(best, items, histories, popularity))
        context.progress("gate", sum(map(len, features)), people)
        return scores

    require_enough(people)
    name = f"ndcg@{spec.protocol.k}"
    reading = validation_figures(split, always, spec)[name]
    retrieving = validation_figures(split, retrieve, spec)[name]
    measured = np.isfinite(reading) & np.isfinite(retrieving)
    learned = learn(
        np.concatenate(features)[measured], reading[measured], retrieving[measured], spec.seed
    )
    gate = Gate(learned.estimates, split.item_counts, learned.share, learned.threshold)
    record = {"outcome": gate.outcome, "metric": name, **learned.record}
    context.document("gate", record)
    context.log(
        t(
            "gate: {share:.1%} of {people:,} validation people are read, NDCG {ndcg:.4f} "
            "(always {always:.4f}, never {never:.4f})",
            **{key: record[key] for key in ("share", "people", "ndcg", "always", "never")},
        )
    )
    return gate


def require_enough(people: int) -> None:
    """Refuse to learn a gate from too few people.

    Raises:
        DataError: saying how many there are and what to do.
    """
    if people < FEWEST_PEOPLE:
        raise DataError(
            t(
                "the gate has {people} validation people to learn from; expected at least "
                "{fewest}, half of whom judge what the other half teaches: import more data, or "
                "leave recommender.gate out",
                people=people,
                fewest=FEWEST_PEOPLE,
            )
        )


def learn(features: np.ndarray, always: np.ndarray, never: np.ndarray, seed: int) -> Learned:
    """The expected gain of reading, and the threshold that costs least within `LOSS` of always.

    Args:
        features: of the validation people, shape (people, 6).
        always: NDCG of each where the language model reads, (people,).
        never: NDCG of each in the retriever's order, (people,).
        seed: of the halves.

    Raises:
        DataError: as `require_enough`.
    """
    people, gains = len(never), always - never
    require_enough(people)
    order = np.random.default_rng(seed).permutation(people)
    first, second = order[: people // 2], order[people // 2 :]
    expected, place = np.empty(people), np.empty(people)
    for taught, judged in ((first, second), (second, first)):
        estimates = _estimates(features[taught], gains[taught])
        expected[judged] = mean_gain(estimates, features[judged])
        # places within a half: the level of its gains is the other half's, and differs by chance
        place[judged] = rankdata(expected[judged]) / len(judged)
    shares, quality, least = curve(place, always, never)
    _, foreseen, _ = curve(place, never + expected, never)
    allowed = LOSS * always.mean()
    # the expectation besides, since the smallest share that came out well owes some of it to luck
    kept = (quality[-1] - quality <= allowed) & (foreseen[-1] - foreseen <= allowed)
    chosen = int(np.argmax(kept))  # always itself is among them
    loss = paired_difference(np.where(place > least[chosen], always, never), always)
    estimates = _estimates(features[order], gains[order])
    served, threshold = _threshold(mean_gain(estimates, features), float(shares[chosen]), allowed)
    agreement = reliability(expected, gains)
    return Learned(
        estimates,
        served,
        threshold,
        {
            "people": people,
            "share": float(shares[chosen]),
            "served_share": served,
            "threshold": threshold,
            "ndcg": float(quality[chosen]),
            "always": float(always.mean()),
            "never": float(never.mean()),
            "difference": {"mean": loss.mean, "low": loss.low, "high": loss.high},
            "helped": float((gains > 0).mean()),
            "harmed": float((gains < 0).mean()),
            "calibration_error": agreement["error"],
            "calibration_error_by_chance": agreement["by_chance"],
            "bins": agreement["bins"],
            "curve": _thinned(shares, quality, chosen),
        },
    )


def _threshold(expected: np.ndarray, share: float, allowed: float) -> tuple[float, float]:
    """Share of people close to the wanted one, and the gain that they exceed.

    People who expect the same are read together. Those at the wanted share stay out where no more
    than the allowed loss is expected without them. Nobody and everybody have no threshold, 0.
    """
    wanted, people = round(share * len(expected)), len(expected)
    values = -np.sort(-expected)
    if not wanted:
        return 0.0, 0.0
    before, reached = (
        int(np.searchsorted(-values, -values[wanted - 1], side=side)) for side in ("left", "right")
    )
    if reached > wanted and values[before:].sum() <= allowed * people:
        reached = before
    if reached in (0, people):
        return reached / people, 0.0
    return reached / people, float(values[reached - 1] + values[reached]) / 2


def curve(
    wish: np.ndarray, always: np.ndarray, never: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quality by the share of requests read, those first that expect the most of it.

    Args:
        wish: what each person would gain, or their place by that, (people,).
        always: as for `learn`.
        never: as for `learn`.

    Returns:
        Share, mean NDCG and the wish above which they are read, each (points,), from nobody
        (inf) to everybody (-inf). People who wish the same are read together.

    >>> shares, quality, _ = curve(np.array([0.3, 0.1]), np.array([1.0, 0.5]), np.array([0.5, 0.5]))
    >>> shares.tolist(), quality.tolist()
    ([0.0, 0.5, 1.0], [0.5, 0.75, 0.75])
    """
    order = np.argsort(-wish, kind="stable")
    sorted_gains, values = (always - never)[order], wish[order]
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # last one of equal values
    quality = never.mean() + np.cumsum(sorted_gains)[ends] / len(values)
    quality[-1] = always.mean()
    between = (values[ends[:-1]] + values[ends[:-1] + 1]) / 2
    return (
        np.append(0.0, (ends + 1) / len(values)),
        np.append(never.mean(), quality),
        np.concatenate([[np.inf], between, [-np.inf]]),
    )


def reliability(expected: np.ndarray, gains: np.ndarray) -> dict[str, Any]:
    """How far expected gains are from those that came about, in groups of equal numbers.

    Args:
        expected: gain of each person, learned without them, (people,).
        gains: what reading changed for them, (people,).

    Returns:
        `error`: mean distance over the groups (expected calibration error, in NDCG); `by_chance`:
        what an estimate without any error would have, as groups are small; `bins`: the groups.
    """
    groups = np.array_split(np.argsort(expected, kind="stable"), min(BINS, len(expected)))
    bins = [
        {
            "people": len(group),
            "expected": float(expected[group].mean()),
            "observed": float(gains[group].mean()),
            "standard_error": float(gains[group].std(ddof=1) / np.sqrt(len(group)))
            if len(group) > 1
            else 0.0,
        }
        for group in groups
    ]
    shares = np.array([len(group) for group in groups]) / len(expected)
    gaps = np.abs([one["expected"] - one["observed"] for one in bins])
    # the mean distance of a normal variable from its mean is √(2/π) of its deviation
    noise = np.sqrt(2 / np.pi) * np.array([one["standard_error"] for one in bins])
    return {"error": float(shares @ gaps), "by_chance": float(shares @ noise), "bins": bins}


def _estimates(features: np.ndarray, gains: np.ndarray) -> tuple[GainEstimate, ...]:
    """Two estimates: each half is regressed on, and the other half calibrates it."""
    middle = len(gains) // 2
    halves = (slice(None, middle), slice(middle, None))
    return tuple(
        _calibrated(features[taught], gains[taught], features[other], gains[other])
        for taught, other in (halves, halves[::-1])
    )


def _calibrated(
    features: np.ndarray, gains: np.ndarray, others: np.ndarray, their_gains: np.ndarray
) -> GainEstimate:
    means, spreads = features.mean(axis=0), features.std(axis=0)
    spreads = np.where(spreads > 1e-12, spreads, np.inf)
    columns = standardised(features, means, spreads)
    penalty = RIDGE * len(gains) * np.eye(columns.shape[1])
    weights = np.linalg.solve(columns.T @ columns + penalty, columns.T @ (gains - gains.mean()))
    raw = standardised(others, means, spreads) @ weights
    return GainEstimate(means, spreads, weights, *rising(raw, their_gains))


def rising(raw: np.ndarray, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the rising line through gains by raw value, each over `FEWEST_OF_KNOT` people.

    Args:
        raw: value of each person, (people,).
        gains: what reading changed for them, (people,).

    Returns:
        Rising raw values and their gains, which never fall.
    """
    order = np.argsort(raw, kind="stable")
    x, y = raw[order], gains[order]
    starts, begin = [0], 0
    for place in range(1, len(x)):
        enough = place - begin >= FEWEST_OF_KNOT and len(x) - place >= FEWEST_OF_KNOT
        if enough and x[place] > x[place - 1]:
            starts.append(place)
            begin = place
    sizes = np.diff([*starts, len(x)])
    rising = isotonic_regression(np.add.reduceat(y, starts) / sizes, weights=sizes)
    return np.add.reduceat(x, starts) / sizes, np.asarray(rising.x)


def _thinned(shares: np.ndarray, quality: np.ndarray, chosen: int) -> list[dict[str, float]]:
    """The curve at `POINTS` steps of the share, with its ends and the chosen point."""
    wanted = np.searchsorted(shares, np.linspace(0, 1, POINTS + 1)).clip(max=len(shares) - 1)
    places = np.unique([*wanted, chosen])
    return [{"share": float(shares[at]), "ndcg": float(quality[at])} for at in places]
