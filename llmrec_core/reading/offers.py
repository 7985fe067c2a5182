"""Three offers for one's traffic: the cheapest sensible row, the one to take, the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmrec_core.language import t
from llmrec_core.reading.bills import monthly
from llmrec_core.reading.choice import pick
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.number_format import share
from llmrec_core.reading.pricing import price_or_infinity
from llmrec_core.reading.question import Question
from llmrec_core.reading.requirements import Requirements
from llmrec_core.reading.row import Row, candidates_of
from llmrec_core.reading.ties import some_names
from llmrec_core.types import Measurement


@dataclass(frozen=True)
class Card:
    """One of the offers."""

    title: str
    row: Row
    hits: Measurement
    """Hits per 100 users with the 95 % interval."""
    candidates: str
    p95: Measurement
    usd_per_month: Measurement
    """The bill of the traffic, with its 80 % interval."""
    note: str = ""


def hits_per_100(row: Row, protocol: str, slice: str = "all") -> Measurement:
    """100 × Recall@k with its interval."""
    recall = row.figure(f"recall@{row.spec.protocol.k}", protocol, slice)
    if recall.value is None:
        return recall
    low, high = (None if bound is None else 100 * bound for bound in (recall.low, recall.high))
    return Measurement(
        "hits_per_100", 100 * recall.value, "1", low, high, recall.n, slice, protocol
    )


def cards(ranked: Sequence[Row], limits: Limits, question: Question) -> tuple[Card, ...]:
    """The offers; one row that is several of them has one card.

    Args:
        ranked: measured rows, best first.
        limits: of the reader, with the traffic.
        question: what is chosen by.
    """
    offers: list[tuple[str, Row, str]] = [(t("Cheapest sensible"), *_sensible(ranked, question))]
    picked = pick(ranked, limits, question)
    if picked is not None:
        chosen, best = picked
        within = Requirements(limits, question, ranked[0]).kept(ranked)
        if chosen is best:
            note = _tie_note(chosen, within, question)
        elif limits.share_of_best is None:
            note = t("not distinguishable from {name}, which costs more", name=best.name)
        else:
            reached = share(limits.share_of_best)
            note = t("the cheapest that reaches {share} of the best", share=reached)
        offers.append((t("The one to take"), chosen, note))
    offers.append((t("Best quality"), ranked[0], _tie_note(ranked[0], ranked, question)))
    merged: dict[str, tuple[list[str], Row, list[str]]] = {}
    for title, row, note in offers:
        titles, _, notes = merged.setdefault(row.run_id, ([], row, []))
        titles.append(title)
        if note not in notes:
            notes.append(note)
    return tuple(
        _card(" · ".join(titles), row, "; ".join(notes), limits, question)
        for titles, row, notes in merged.values()
    )


def _card(title: str, row: Row, note: str, limits: Limits, question: Question) -> Card:
    if row.unweighted:
        note = t("{note}; its language model has no weight in the blend", note=note)
    elif row.never_read:
        note = t("{note}; its gate lets no request through to the language model", note=note)
    return Card(
        title,
        row,
        hits_per_100(row, question.protocol),
        candidates_of(question.protocol),
        row.request_figure("latency_p95_s"),
        monthly(row, limits.requests_per_month, question.pricing, limits.p95_s),
        note,
    )


def _sensible(ranked: Sequence[Row], question: Question) -> tuple[Row, str]:
    """The cheapest row that beats popularity beyond the interval, and that in words."""

    def price(row: Row) -> float:
        return price_or_infinity(row, question.pricing)

    floor = next((row for row in ranked if row.spec.recommender.family == "popularity"), None)
    if floor is None:
        return min(ranked, key=price), t("the cheapest row")
    above = []
    for row in ranked:
        gap = question.difference(row, floor)
        if gap is not None and gap.low > 0:
            above.append(row)
    if above:
        note = t("the cheapest that beats popularity beyond the interval")
        return min(above, key=price), note
    return min(ranked, key=price), t("the cheapest; none beats popularity beyond the interval")


def _tie_note(best: Row, rows: Sequence[Row], question: Question) -> str:
    """The rows that cannot be told apart from the best one, or that there is none."""
    others = [row for row in rows if row is not best]
    if not others:
        return t("the only row")
    gaps = {row.name: question.difference(best, row) for row in others}
    tied = [name for name, gap in gaps.items() if gap is not None and not gap.distinguishable]
    if tied:
        return t("not distinguishable from {names}", names=some_names(tied, 2))
    if any(gap is None for gap in gaps.values()):
        return t("too few people to compare it with the others")
    return t("better than every other row beyond the interval")
