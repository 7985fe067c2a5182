"""Whether the language model pays: quality, limits and worth of a hit as one answer.

Yes: it ranks better beyond the interval, keeps the limits, and its extra hits are worth more than
they cost at both ends of their interval. No: it ranks worse, breaks a limit, or costs more than its
hits are worth at both ends. What the people asked leave open, or a cost that is not known, is not
answered yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmrec_core.language import t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading import number_format
from llmrec_core.reading.bills import monthly
from llmrec_core.reading.comparison import difference, spread
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.offers import hits_per_100
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People
from llmrec_core.reading.question import Question
from llmrec_core.reading.requirements import NotKept, Requirements
from llmrec_core.reading.row import Row
from llmrec_core.reading.stability import settle_words, what_would_settle
from llmrec_core.types import Measurement


@dataclass(frozen=True)
class Pair:
    """The language model and the cheap row that are compared, and all that is known of the two."""

    language: Row
    classical: Row
    question: Question
    hits: Mapping[str, People]
    """Hits (Recall@k) of each person by run id."""
    limits: Limits
    worth_usd: float
    """Of a hit."""
    best: Row | None = None
    """The best of all rows that the two were taken from."""

    @property
    def gap(self) -> Difference | None:
        """Paired difference in quality; `None` when too few people are shared."""
        return self.question.difference(self.language, self.classical)

    @property
    def hits_gap(self) -> Difference | None:
        """Paired difference in hits; `None` when too few people are shared."""
        return difference(*self._of_each(self.hits))

    @property
    def bills(self) -> tuple[Measurement, Measurement]:
        """A month of the traffic with the language model, and with the cheap row."""
        requests, pricing = self.limits.requests_per_month, self.question.pricing
        with_it, without = (
            monthly(row, requests, pricing, self.limits.p95_s)
            for row in (self.language, self.classical)
        )
        return with_it, without

    @property
    def unpriced(self) -> tuple[Row, Measurement] | None:
        """The row whose bill is unknown, and that bill; the language model's where both are."""
        rows = zip((self.language, self.classical), self.bills, strict=True)
        return next((pair for pair in rows if pair[1].value is None), None)

    @property
    def more_usd(self) -> float | None:
        """What a month costs more with the language model; `None` where a bill is unknown."""
        with_it, without = (bill.value for bill in self.bills)
        return None if with_it is None or without is None else with_it - without

    @property
    def dear_share(self) -> float | None:
        """Extra hits a request from which the language model is worth its cost.

        `None` where it costs no more, or the bills are unknown; infinite for hits worth nothing.
        """
        more, worth = self.more_usd, self.worth_of(1.0)
        if more is None or more <= 0:
            return None
        return more / worth if worth else float("inf")

    def worth_of(self, hits: float) -> float:
        """Dollars that so many extra hits a request are worth in a month."""
        return hits * self.limits.requests_per_month * self.worth_usd

    def not_kept(self, row: Row) -> list[NotKept]:
        """The limits that a row breaks or is not known to keep."""
        return Requirements(self.limits, self.question, self.best).not_kept(row)

    @property
    def ranks_worse(self) -> bool:
        """Whether the language model ranks worse, beyond the interval."""
        return self.gap is not None and self.gap.high < 0

    @property
    def never_pays(self) -> bool:
        """Whether the most extra hits that the interval allows are worth less than they cost."""
        gap, share = self.hits_gap, self.dear_share
        return gap is not None and share is not None and gap.high < share

    def settle(self) -> str:
        """How many more people would settle which of the two is better."""
        return self._settled(*self._of_each(self.question.users))

    def settle_worth(self, share: float) -> str:
        """How many more people would settle whether the extra hits are worth their cost.

        Args:
            share: as `dear_share`; it is taken off the hits, and what is left has to be above 0.
        """
        mine, theirs = self._of_each(self.hits)
        return self._settled(People(mine.users, mine.values - share), theirs)

    def _settled(self, mine: People, theirs: People) -> str:
        more = what_would_settle(mine, theirs)
        shared = len(set(mine.users) & set(theirs.users))
        return "" if more is None else settle_words(more, shared)

    def _of_each(self, values: Mapping[str, People]) -> tuple[People, People]:
        mine, theirs = (values.get(row.run_id, NOBODY) for row in (self.language, self.classical))
        return mine, theirs


def best_of_each(
    ranked: Sequence[Row], limits: Limits, question: Question
) -> tuple[Row | None, Row | None]:
    """The best row in which a language model decides and the best without one.

    Rows that keep the limits go first, whatever their quality, then those not known to break one.

    Args:
        ranked: measured rows, best first.
        limits: of the reader.
        question: what is compared by.
    """
    terms = Requirements(limits, question, ranked[0] if ranked else None)

    def doubt(row: Row) -> int:
        limits_of_row = terms.not_kept(row)
        return 2 if _broken(limits_of_row) else 1 if limits_of_row else 0

    def best(rows: Sequence[Row]) -> Row | None:
        return min(rows, key=doubt, default=None)

    language = best([row for row in ranked if row.language_model_decides])
    return language, best([row for row in ranked if not row.uses_language_model])


def answer(pair: Pair) -> tuple[str, str]:
    """The answer, `yes`, `no`, `not yet` or `unknown`, and the headline that says it."""
    gap, mine, theirs = pair.gap, *map(pair.not_kept, (pair.language, pair.classical))
    if _broken(mine) or (pair.ranks_worse and not theirs):
        return "no", t("No")
    if mine:
        return "unknown", _not_known(mine[0].unknown, pair.language, pair)
    if _broken(theirs):
        return "yes", t("Yes")
    if theirs:
        return "unknown", _not_known(theirs[0].unknown, pair.classical, pair)
    if gap is None:
        return _too_few()
    if pair.never_pays:
        return "no", t("No")
    if not gap.distinguishable:
        return "not yet", t("Not yet: {settle}", settle=pair.settle())
    return _worth(pair)


def _broken(limits: Sequence[NotKept]) -> bool:
    """Whether a limit is surely broken, rather than its cost unknown."""
    return any(not limit.unknown for limit in limits)


def _not_known(cost: str, row: Row, pair: Pair) -> str:
    """Which cost leaves the question open, as a headline."""
    if row is pair.classical:
        if cost == "latency":
            return t("Not yet: the latency of {name} is not known", name=row.name)
        return t("Not yet: the price of {name} is not known", name=row.name)
    if cost == "latency":
        return t("Not yet: its latency is not known")
    return t("Not yet: its price is not known")


def _worth(pair: Pair) -> tuple[str, str]:
    """The answer for a language model that ranks better and keeps the limits."""
    unpriced = pair.unpriced
    if unpriced is not None:
        return "unknown", _not_known("price", unpriced[0], pair)
    share, gap = pair.dear_share, pair.hits_gap
    if share is None:
        return "yes", t("Yes")
    if gap is None:
        return _too_few()
    if gap.low > share:
        return "yes", t("Yes")
    return "not yet", t("Not yet: {settle}", settle=pair.settle_worth(share))


def _too_few() -> tuple[str, str]:
    few = t("Not yet: fewer than {fewest} people were asked by both", fewest=MIN_PEOPLE)
    return "unknown", few


def sentence(pair: Pair, item: str) -> str:
    """Why, in one short sentence that no metric has to be known for.

    Args:
        pair: what is compared.
        item: what an item of the data set is called.
    """
    mine, theirs = (
        hits_per_100(row, pair.question.protocol).value for row in (pair.language, pair.classical)
    )
    names = {"language": pair.language.name, "classical": pair.classical.name}
    outcome = _outcome(pair)
    if mine is None or theirs is None:
        return t("{language} against {classical}: {outcome}.", outcome=outcome, **names)
    return t(
        "{mine:.0f} of 100 people find their {item} in the top {k} with {language}, {theirs:.0f} "
        "with {classical}; {outcome}.",
        mine=mine,
        theirs=theirs,
        item=item,
        k=pair.language.spec.protocol.k,
        outcome=outcome,
        **names,
    )


def _outcome(pair: Pair) -> str:
    """What decides: a limit, the worth of the extra hits, or the two bills."""
    mine, theirs = map(pair.not_kept, (pair.language, pair.classical))
    if _broken(mine):
        why = "; ".join(limit.words for limit in mine)
        return t("{name} breaks a limit: {why}", name=pair.language.name, why=why)
    if mine and (theirs or not pair.ranks_worse):
        return _open(pair.language, mine)
    if _broken(theirs):
        return t("no recommender without a language model is known to keep these limits")
    if theirs:
        return _open(pair.classical, theirs)
    unpriced = pair.unpriced
    if unpriced is not None:
        return t(
            "what a month costs with {name} is not known: {reason}",
            name=unpriced[0].name,
            reason=unpriced[1].reason,
        )
    return _of_bills(pair, pair.more_usd or 0.0)


def _of_bills(pair: Pair, more: float) -> str:
    """What decides where both rows keep the limits and have a bill."""
    gap = pair.gap
    requests = number_format.count(pair.limits.requests_per_month)
    if gap is not None and gap.low > 0:
        return _gain(pair, more, requests)
    if pair.never_pays and not pair.ranks_worse:
        return _at_most(pair, more, requests)
    with_it, without = (number_format.dollars(bill.value or 0.0) for bill in pair.bills)
    return t(
        "{requests} requests a month cost {dear} with the language model and {cheap} without",
        requests=requests,
        dear=with_it,
        cheap=without,
    )


def _open(row: Row, limits: Sequence[NotKept]) -> str:
    why = "; ".join(limit.words for limit in limits)
    return t("whether {name} keeps the limits is not known: {why}", name=row.name, why=why)


def _gain(pair: Pair, more: float, requests: str) -> str:
    if more <= 0:
        return t(
            "at {requests} requests a month the language model costs no more", requests=requests
        )
    extra = 0.0 if pair.hits_gap is None else max(0.0, pair.hits_gap.mean)
    return t(
        "at {requests} requests a month the extra hits are worth {worth} and cost {more}",
        requests=requests,
        worth=number_format.dollars(pair.worth_of(extra)),
        more=number_format.dollars(more),
    )


def _at_most(pair: Pair, more: float, requests: str) -> str:
    """Why more people change nothing, though it is open which of the two ranks better."""
    most = 0.0 if pair.hits_gap is None else max(0.0, pair.hits_gap.high)
    return t(
        "at {requests} requests a month the extra hits are worth {worth} at most and cost {more}",
        requests=requests,
        worth=number_format.dollars(pair.worth_of(most)),
        more=number_format.dollars(more),
    )


def exact(pair: Pair) -> str:
    """The difference in quality with its interval, for a caption; empty where there is none."""
    gap = pair.gap
    if gap is None:
        return ""
    if not gap.differing:
        words = spread(gap)
    else:
        words = t("{mean} ({interval})", mean=number_format.signed(gap.mean), interval=spread(gap))
    return t(
        "Exactly: the paired {title} difference of {language} and {classical} is {gap} over {n} "
        "people.",
        title=pair.question.title,
        language=pair.language.name,
        classical=pair.classical.name,
        gap=words,
        n=gap.n,
    )
