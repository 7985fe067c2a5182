"""What a row has to keep: the reader's limits of cost, and a share of the best quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmrec_core.language import t
from llmrec_core.reading import bills, number_format
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pricing import Pricing, usd_per_million
from llmrec_core.reading.question import Question
from llmrec_core.reading.row import Row


@dataclass(frozen=True)
class NotKept:
    """A limit that a row breaks, or is not known to keep."""

    words: str
    unknown: Literal["", "latency", "price"] = ""
    """The cost that is not known; empty where the limit is broken."""
    of_cost: bool = True
    """Whether a faster or cheaper machine could keep it."""


@dataclass(frozen=True)
class Requirements:
    """What a row has to keep: limits of cost, and a share of the quality of the best row."""

    limits: Limits
    question: Question
    best: Row | None = None
    """The best of the rows compared, whatever it costs; without one no share is asked for."""

    def not_kept(self, row: Row) -> list[NotKept]:
        """The limits that a row breaks or is not known to keep."""
        limits, pricing = self.limits, self.question.pricing
        checked = (
            _too_slow(row, limits.p95_s),
            _too_dear(row, limits.usd_per_million, pricing),
            _over_budget(row, limits, pricing),
            self._too_poor(row),
        )
        return [limit for limit in checked if limit is not None]

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
    month = bills.monthly(row, limits.requests_per_month, pricing, limits.p95_s)
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
