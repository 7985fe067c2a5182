"""The row to take within limits, in one sentence, and why not the next best.

The choice takes the best quality within the limits, then the cheapest row that cannot be told apart
from it. A reader who asks for a share of the best quality gets the cheapest row that reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import (
    best_first,
    distinguishable,
    spread,
)
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.people import MIN_PEOPLE
from llmrec_core.reading.pricing import (
    price_or_infinity,
    usd_per_million,
)
from llmrec_core.reading.question import Question
from llmrec_core.reading.requirements import Requirements
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.retelling import retold


@dataclass(frozen=True)
class Choice:
    """The row to take within the limits, the next best, and why, in words."""

    row: Row | None
    next_best: Row | None
    sentence: str
    why_not: str


def failing(choice: Choice, rows: Sequence[Row], limits: Limits, question: Question) -> list[Row]:
    """The rows that a faster or cheaper machine could bring within the limits.

    These are the next best row, or all finished ones when none keeps the limits.
    """
    if choice.row is None and choice.next_best is None:
        return []
    ranked = best_first(rows, question.metric, question.protocol, question.slice)
    required = Requirements(limits, question, ranked[0])

    def of_cost(row: Row) -> bool:
        limits_of_row = required.not_kept(row)
        return bool(limits_of_row) and all(limit.of_cost for limit in limits_of_row)

    candidates = ranked if choice.row is None else [choice.next_best]
    return [row for row in candidates if row is not None and of_cost(row)]


def pick(rows: Sequence[Row], limits: Limits, question: Question) -> tuple[Row, Row] | None:
    """The row to take and the best one within the limits; `None` when no row keeps them.

    Args:
        rows: with the metric, best first.
        limits: of the reader.
        question: what is chosen by.
    """
    feasible = Requirements(limits, question, rows[0]).kept(rows)
    if not feasible:
        return None
    best = feasible[0]
    good_enough = (
        feasible
        if limits.share_of_best is not None
        else [row for row in feasible if row is best or question.tied(best, row)]
    )
    return min(good_enough, key=lambda row: price_or_infinity(row, question.pricing)), best


def choose(rows: Sequence[Row], limits: Limits, question: Question) -> Choice:
    """The best row within the limits, or the cheapest one that cannot be told apart from it."""
    ranked = best_first(rows, question.metric, question.protocol, question.slice)
    if not ranked:
        nothing = t(
            "No finished run has {title} under {protocol}.",
            title=question.title,
            protocol=question.protocol,
        )
        return Choice(None, None, nothing, "")
    if question.slice != "all":
        people = slice_size(ranked, question)
        if people < MIN_PEOPLE:
            return _too_few(question.slice, people)
    picked = pick(ranked, limits, question)
    if picked is None:
        return _nothing_fits(ranked, limits, question)
    chosen, best = picked
    required = Requirements(limits, question, ranked[0])
    sentence = _taken(chosen, best, required)
    # a row whose language model has no say is its retriever once more, at a higher price
    others = [row for row in ranked if row is not chosen and not row.language_model_silent]
    if not others:
        alone = t("There is no other finished run to compare it with.")
        return Choice(chosen, None, sentence, alone)
    better = [
        row
        for row in others
        if question.value(row) >= question.value(chosen) and required.broken(row)
    ]
    next_best = better[0] if better else best if best is not chosen else others[0]
    why_broken = "; ".join(required.broken(next_best))
    if why_broken:
        fails = t("The next best, {name}, fails: {why}.", name=next_best.name, why=why_broken)
        return Choice(chosen, next_best, sentence, fails)
    return Choice(chosen, next_best, sentence, _why_not(chosen, next_best, question))


def slice_size(rows: Sequence[Row], question: Question) -> int:
    """How many people of the slice were asked, by the row that was asked most."""
    figures = [row.figure(question.metric, question.protocol, question.slice) for row in rows]
    return max((figure.n or 0 for figure in figures), default=0)


def _too_few(name: str, people: int) -> Choice:
    """No choice: what so few people say holds for nobody else."""
    few = t(
        "No advice for {slice}: {people} people were asked, fewer than {fewest}.",
        slice=retold(name),
        people=people,
        fewest=MIN_PEOPLE,
    )
    return Choice(None, None, few, "")


def _nothing_fits(ranked: Sequence[Row], limits: Limits, question: Question) -> Choice:
    required = Requirements(limits, question, ranked[0])
    good_enough = [row for row in ranked if all(limit.of_cost for limit in required.not_kept(row))]
    nearest = min(
        good_enough, key=lambda row: row.request_figure("latency_p95_s").value or float("inf")
    )
    reasons = "; ".join(required.broken(nearest))
    sentence = (
        t("Nothing measured or predicted keeps these limits.")
        if any(row.predicted for row in ranked)
        else t("Nothing measured keeps these limits.")
    )
    closest = t("The closest, {name}, fails: {reasons}.", name=nearest.name, reasons=reasons)
    return Choice(None, nearest, sentence, closest)


def _taken(chosen: Row, best: Row, required: Requirements) -> str:
    """The row to take with its figures, in words."""
    question = required.question
    parts = [
        t(
            "Take {name}: {title} {value:.3f} under {protocol}, p95 {p95}, {price} per million "
            "requests, {how} on {machine}.",
            name=chosen.name,
            title=question.title,
            value=question.value(chosen),
            protocol=question.protocol,
            p95=number_format.figure(chosen.request_figure("latency_p95_s")),
            price=number_format.figure(usd_per_million(chosen, question.pricing)),
            how=t("predicted") if chosen.predicted else t("measured"),
            machine=machine_of(chosen) or t("a machine that was not recorded"),
        )
    ]
    if chosen.predicted:
        interval = number_format.figure(chosen.request_figure("latency_p95_s"), interval=True)
        parts.append(t("Its 80 % interval: p95 {interval}.", interval=interval))
    if required.limits.share_of_best is not None and required.best not in (chosen, None):
        parts.append(_share_reached(chosen, required))
    elif chosen is not best:
        parts.append(
            t(
                "Its quality is not distinguishable from {name} ({value:.3f}), which costs more.",
                name=best.name,
                value=question.value(best),
            )
        )
    return " ".join(parts)


def _share_reached(chosen: Row, required: Requirements) -> str:
    """How near the cheapest row that is good enough comes to the best of all."""
    assert required.best is not None, "a share is asked of a best row"
    value, best = required.question.value(chosen), required.question.value(required.best)
    return t(
        "It is the cheapest that reaches {share} of the best, {name} ({value:.3f}): it reaches "
        "{reached}.",
        share=number_format.share(required.limits.share_of_best or 0.0),
        name=required.best.name,
        value=best,
        reached=number_format.share(value / best if best else 1.0),
    )


def _why_not(chosen: Row, other: Row, question: Question) -> str:
    """Why a row that keeps the limits is not taken."""
    gap = question.difference(chosen, other)
    if gap is None:
        apart = t(
            "shares fewer than {fewest} people, so the two are not compared", fewest=MIN_PEOPLE
        )
    elif distinguishable(gap) and gap.mean < 0:
        apart = t(
            "ranks better by {mean:.3f} ({low:.3f} to {high:.3f}, paired over {n} users)",
            mean=-gap.mean,
            low=-gap.high,
            high=-gap.low,
            n=gap.n,
        )
    elif distinguishable(gap):
        apart = t(
            "ranks worse by {mean:.3f} ({low:.3f} to {high:.3f}, paired over {n} users)",
            mean=gap.mean,
            low=gap.low,
            high=gap.high,
            n=gap.n,
        )
    else:
        apart = t(
            "is not distinguishable in quality ({gap}, paired over {n} users)",
            gap=spread(gap),
            n=gap.n,
        )
    mine, theirs = (usd_per_million(row, question.pricing).value for row in (chosen, other))
    if mine and theirs and theirs > mine:
        return t(
            "The next best, {name}, {apart} and costs {ratio} times as much.",
            name=other.name,
            apart=apart,
            ratio=number_format.significant(theirs / mine),
        )
    return t("The next best, {name}, {apart}.", name=other.name, apart=apart)
