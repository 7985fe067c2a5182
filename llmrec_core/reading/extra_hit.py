"""What one more hit costs by taking the language model, and the worth at which that breaks even.

Both prices are bills of the same traffic, so the answer holds for that traffic: two rows that a
machine and its spare can carry cost the same.
"""

from __future__ import annotations

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import spread
from llmrec_core.reading.pays import Pair


def price_of_a_hit(pair: Pair) -> tuple[str, str]:
    """The price of an extra hit, and the worth of a hit at which it pays, a sentence each."""
    gap, more, unpriced = pair.hits_gap, pair.more_usd, pair.unpriced
    values = {"language": pair.language.name, "classical": pair.classical.name}
    if unpriced is not None:
        reason = unpriced[1].reason
        return t("The price of an extra hit is unknown: {reason}.", reason=reason), ""
    if gap is None or more is None:
        return t("The price of an extra hit is unknown: too few people are shared."), ""
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
    requests = pair.limits.requests_per_month
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
    gain = pair.worth_of(gap.mean) - more
    return extra, _break_even(price, lowest, highest, pair.worth_usd, gain)


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
