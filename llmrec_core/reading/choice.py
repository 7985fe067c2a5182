"""The row to take within limits, in one sentence, and why not the next best.

The choice takes the best quality within the limits, then the cheapest row that cannot be told apart
from it. A reader who asks for a share of the best quality gets the cheapest row that reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading import bills, number_format
from llmrec_core.reading.comparison import (
    best_first,
    difference,
    distinguishable,
    spread,
)
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People
from llmrec_core.reading.pricing import (
    AS_RECORDED,
    Pricing,
    price_or_infinity,
    usd_per_million,
)
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.retelling import retold
from llmrec_core.types import Measurement


@dataclass(frozen=True)
class Choice:
    """The row to take within the limits, the next best, and why, in words."""

    row: Row | None
    next_best: Row | None
    sentence: str
    why_not: str


@dataclass(frozen=True)
class NotKept:
    """A limit that a row breaks, or is not known to keep."""

    words: str
    unknown: Literal["", "latency", "price"] = ""
    """The cost that is not known; empty where the limit is broken."""
    of_cost: bool = True
    """Whether a faster or cheaper machine could keep it."""


@dataclass(frozen=True)
class Question:
    """What is chosen by: a metric of some users under a protocol, and the prices in force."""

    metric: str
    protocol: str
    users: Mapping[str, People]
    """Values of the metric by run id, for paired intervals."""
    pricing: Pricing = AS_RECORDED
    slice: str = "all"
    only: Sequence[int] | None = None
    """User codes of the slice, when it is not "all"."""

    @property
    def title(self) -> str:
        """The metric as a reader calls it."""
        return METRICS.get(self.metric, self.metric)

    def value(self, row: Row) -> float:
        """The metric of a row that has it."""
        return row.figure(self.metric, self.protocol, self.slice).value or 0.0

    def difference(self, a: Row, b: Row) -> Difference | None:
        """Paired difference a − b; `None` when too few people are shared."""
        first, second = (self.users.get(row.run_id, NOBODY) for row in (a, b))
        return difference(first, second, self.only)

    def tied(self, a: Row, b: Row) -> bool:
        """Whether the two were compared and cannot be told apart."""
        gap = self.difference(a, b)
        return gap is not None and not distinguishable(gap)


@dataclass(frozen=True)
class Terms:
    """What a row has to keep: limits of cost, and a share of the quality of the best row."""

    limits: Limits
    question: Question
    best: Row | None = None
    """The best of the rows compared, whatever it costs; without one no share is asked for."""

    def not_kept(self, row: Row) -> list[NotKept]:
        """The limits that a row breaks or is not known to keep."""
        limits, pricing = self.limits, self.question.pricing
        asked = (
            _too_slow(row, limits.p95_s),
            _too_dear(row, limits.usd_per_million, pricing),
            _over_budget(row, limits, pricing),
            self._too_poor(row),
        )
        return [limit for limit in asked if limit is not None]

    def broken(self, row: Row) -> list[str]:
        """The limits a row does not keep, in words; an unmeasured cost does not keep a limit."""
        return [limit.words for limit in self.not_kept(row)]

    def kept(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that keep all limits, in their order."""
        return [row for row in rows if not self.not_kept(row)]

    def _too_poor(self, row: Row) -> NotKept | None:
        share = self.limits.share_of_best
        if share is None or self.best is None:
            return None
        value, best = self.question.value(row), self.question.value(self.best)
        if value >= share * best:
            return None
        return NotKept(
            t(
                "its {title} of {value:.3f} is {reached} of the best, below {share}",
                title=self.question.title,
                value=value,
                reached=number_format.share(value / best),
                share=number_format.share(share),
            ),
            of_cost=False,
        )


def _too_slow(row: Row, limit: float | None) -> NotKept | None:
    p95 = row.request_figure("latency_p95_s")
    if limit is None or (p95.value is not None and p95.value <= limit):
        return None
    if p95.value is None:
        unknown = t("its p95 latency is {p95}", p95=number_format.figure(p95))
        return NotKept(unknown, "latency")
    return NotKept(
        t(
            "its p95 of {value} is above {limit}",
            value=number_format.duration(p95.value),
            limit=number_format.duration(limit),
        )
    )


def _too_dear(row: Row, limit: float | None, pricing: Pricing) -> NotKept | None:
    price = usd_per_million(row, pricing)
    if limit is None or (price.value is not None and price.value <= limit):
        return None
    if price.value is None:
        return NotKept(t("its price is {price}", price=number_format.figure(price)), "price")
    return NotKept(
        t(
            "its {value} per million is above {limit}",
            value=number_format.small_dollars(price.value),
            limit=number_format.small_dollars(limit),
        )
    )


def _over_budget(row: Row, limits: Limits, pricing: Pricing) -> NotKept | None:
    if limits.usd_per_month is None:
        return None
    month = monthly(row, limits.requests_per_month, pricing, limits.p95_s)
    if month.value is None:
        unknown = t("its bill is {bill}", bill=number_format.figure(month))
        return NotKept(unknown, "price")
    if month.value <= limits.usd_per_month:
        return None
    return NotKept(
        t(
            "its {value} a month is above {limit}",
            value=number_format.dollars(month.value),
            limit=number_format.dollars(limits.usd_per_month),
        )
    )


def monthly(
    row: Row, requests_per_month: float, pricing: Pricing, p95_s: float | None = None
) -> Measurement:
    """Dollars a month of whole machines with the reserve, with the 80 % interval, or why unknown.

    A hosted model has no machines here: a month is its price per million requests.

    Args:
        row: the run.
        requests_per_month: requests of a twelfth of a year.
        pricing: what the reader has typed.
        p95_s: latency that 95 % of requests meet; `None` for no limit.
    """
    if row.is_hosted:
        return _monthly_by_tokens(row, requests_per_month, p95_s)
    try:
        bill = bills.of_month(row, requests_per_month, pricing, p95_s)
    except UnsupportedError as error:
        return Measurement("usd_per_month", None, "usd", reason=str(error))
    if bill.usd_per_month is None:
        reason = t("no price per hour is recorded; type one in")
        return Measurement("usd_per_month", None, "usd", reason=reason)
    return Measurement("usd_per_month", bill.usd_per_month, "usd", bill.usd_low80, bill.usd_high80)


def _monthly_by_tokens(row: Row, requests_per_month: float, p95_s: float | None) -> Measurement:
    """What a hosted model's tokens cost in a month, unless it is slower than the limit."""
    price, seen = usd_per_million(row), row.request_figure("latency_p95_s")
    if price.value is None:
        return Measurement("usd_per_month", None, "usd", reason=price.reason)
    if p95_s is not None and seen.value is not None and seen.value > p95_s:
        reason = t(
            "{name} was seen to answer with a p95 of {seen}, over the limit of {limit}",
            name=row.name,
            seen=number_format.duration(seen.value),
            limit=number_format.duration(p95_s),
        )
        return Measurement("usd_per_month", None, "usd", reason=reason)
    return Measurement("usd_per_month", price.value * requests_per_month / 1e6, "usd")


def failing(choice: Choice, rows: Sequence[Row], limits: Limits, question: Question) -> list[Row]:
    """The rows that a faster or cheaper machine could bring within the limits.

    These are the next best row, or all finished ones when none keeps the limits.
    """
    if choice.row is None and choice.next_best is None:
        return []
    ranked = best_first(rows, question.metric, question.protocol, question.slice)
    terms = Terms(limits, question, ranked[0])

    def of_cost(row: Row) -> bool:
        limits_of_row = terms.not_kept(row)
        return bool(limits_of_row) and all(limit.of_cost for limit in limits_of_row)

    asked = ranked if choice.row is None else [choice.next_best]
    return [row for row in asked if row is not None and of_cost(row)]


def pick(rows: Sequence[Row], limits: Limits, question: Question) -> tuple[Row, Row] | None:
    """The row to take and the best one within the limits; `None` when no row keeps them.

    Args:
        rows: with the metric, best first.
        limits: of the reader.
        question: what is chosen by.
    """
    feasible = Terms(limits, question, rows[0]).kept(rows)
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
    terms = Terms(limits, question, ranked[0])
    sentence = _taken(chosen, best, terms)
    # a row whose language model has no say is its retriever once more, at a higher price
    others = [row for row in ranked if row is not chosen and not row.language_model_silent]
    if not others:
        alone = t("There is no other finished run to compare it with.")
        return Choice(chosen, None, sentence, alone)
    better = [
        row for row in others if question.value(row) >= question.value(chosen) and terms.broken(row)
    ]
    next_best = better[0] if better else best if best is not chosen else others[0]
    why_broken = "; ".join(terms.broken(next_best))
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
    terms = Terms(limits, question, ranked[0])
    good_enough = [row for row in ranked if all(limit.of_cost for limit in terms.not_kept(row))]
    nearest = min(
        good_enough, key=lambda row: row.request_figure("latency_p95_s").value or float("inf")
    )
    reasons = "; ".join(terms.broken(nearest))
    sentence = (
        t("Nothing measured or predicted keeps these limits.")
        if any(row.predicted for row in ranked)
        else t("Nothing measured keeps these limits.")
    )
    closest = t("The closest, {name}, fails: {reasons}.", name=nearest.name, reasons=reasons)
    return Choice(None, nearest, sentence, closest)


def _taken(chosen: Row, best: Row, terms: Terms) -> str:
    """The row to take with its figures, in words."""
    question = terms.question
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
    if terms.limits.share_of_best is not None and terms.best not in (chosen, None):
        parts.append(_share_reached(chosen, terms))
    elif chosen is not best:
        parts.append(
            t(
                "Its quality is not distinguishable from {name} ({value:.3f}), which costs more.",
                name=best.name,
                value=question.value(best),
            )
        )
    return " ".join(parts)


def _share_reached(chosen: Row, terms: Terms) -> str:
    """How near the cheapest row that is good enough comes to the best of all."""
    assert terms.best is not None, "a share is asked of a best row"
    value, best = terms.question.value(chosen), terms.question.value(terms.best)
    return t(
        "It is the cheapest that reaches {share} of the best, {name} ({value:.3f}): it reaches "
        "{reached}.",
        share=number_format.share(terms.limits.share_of_best or 0.0),
        name=terms.best.name,
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
