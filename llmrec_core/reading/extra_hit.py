"""What one more hit costs by taking the language model, and the worth at which that breaks even.

Both prices are bills of the same traffic, so the answer holds for that traffic: two rows that a
machine and its spare can carry cost the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.choice import Question, monthly
from llmrec_core.reading.comparison import difference, spread
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.people import NOBODY, People
from llmrec_core.reading.row import Row


def price_of_a_hit(
    language: Row,
    classical: Row,
    hits: Mapping[str, People],
    limits: Limits,
    worth_usd: float,
    question: Question,
) -> tuple[str, str]:
    """The price of an extra hit, and the worth of a hit at which it pays, a sentence each.

    Args:
        language: the best row in which a language model decides.
        classical: the best other row.
        hits: hits of each person by run id.
        limits: with the traffic.
        worth_usd: of a hit.
        question: with the prices in force.
    """
    bills = [
        monthly(row, limits.requests_per_month, question.pricing, limits.p95_s)
        for row in (language, classical)
    ]
    mine, theirs = (hits.get(row.run_id, NOBODY) for row in (language, classical))
    gap = difference(mine, theirs)
    values = {"language": language.name, "classical": classical.name}
    unpriced = next((bill for bill in bills if bill.value is None), None)
    if unpriced is not None:
        reason = unpriced.reason
        return t("The price of an extra hit is unknown: {reason}.", reason=reason), ""
    if gap is None:
        return t("The price of an extra hit is unknown: too few people are shared."), ""
    more = (bills[0].value or 0.0) - (bills[1].value or 0.0)
    if not gap.distinguishable:
        return t(
            "An extra hit has no price: the hits of {language} and {classical} per 100 users are "
            "not distinguishable ({gap}), and a month costs {more} more with {language}.",
            gap=spread(gap, 1, 100),
            more=number_format.dollars(more),
            **values,
        ), ""
    if gap.mean < 0:
        return t(
            "There is no extra hit to buy: {language} finds {fewer:.1f} fewer per 100 users than "
            "{classical}, and a month costs {more} more.",
            fewer=-100 * gap.mean,
            more=number_format.dollars(more),
            **values,
        ), ""
    if more <= 0:
        return t(
            "{language} finds {mean:.1f} more hits per 100 users than {classical} and costs no "
            "more.",
            mean=100 * gap.mean,
            **values,
        ), ""
    requests = limits.requests_per_month
    price, lowest, highest = (more / (requests * share) for share in (gap.mean, gap.high, gap.low))
    extra = t(
        "{mean:.1f} extra hits per 100 requests ({low:.1f} to {high:.1f}) at {price} each, "
        "{language} against {classical}.",
        mean=100 * gap.mean,
        low=100 * gap.low,
        high=100 * gap.high,
        price=number_format.small_dollars(price),
        **values,
    )
    return extra, _break_even(
        price, lowest, highest, worth_usd, requests * gap.mean * worth_usd - more
    )


def _break_even(price: float, lowest: float, highest: float, worth: float, gain: float) -> str:
    values = {
        "price": number_format.small_dollars(price),
        "lowest": number_format.small_dollars(lowest),
        "highest": number_format.small_dollars(highest),
        "worth": number_format.small_dollars(worth),
        "gain": number_format.dollars(abs(gain)),
    }
    if gain > 0:
        return t(
            "It breaks even when a hit is worth {price} ({lowest} to {highest}); at {worth} a hit "
            "the language model gains {gain} a month.",
            **values,
        )
    return t(
        "It breaks even when a hit is worth {price} ({lowest} to {highest}); at {worth} a hit the "
        "language model loses {gain} a month.",
        **values,
    )
