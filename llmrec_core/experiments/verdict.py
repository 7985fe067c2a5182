"""The answer for a product manager: does the language model pay, which row to take, and what an extra hit costs.

A hit: the withheld item stands in the top k of the candidates. Per 100 users it is 100 × Recall@k, as each user has
one withheld item under leave-one-out. Rows are compared user by user; where the paired interval includes 0 the answer
is "not distinguishable".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmrec_core.experiments import formats
from llmrec_core.experiments.front import Limits, broken_limits
from llmrec_core.experiments.views import (
    AS_RECORDED,
    Pricing,
    Row,
    candidates_of,
    difference,
    distinguishable,
    usd_per_million,
)
from llmrec_core.types import Measurement

Users = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Traffic:
    """What a reader types on Start."""

    requests_per_month: float = 1e6
    usd_per_month: float | None = None
    p95_s: float | None = None
    hit_worth_usd: float = 0.001


DEFAULT_TRAFFIC = Traffic()


@dataclass(frozen=True)
class Card:
    """One of the three offers."""

    title: str
    row: Row
    hits: Measurement
    """Hits per 100 users with the 95 % interval."""
    candidates: str
    p95: Measurement
    usd_per_month: Measurement
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """The sentence, the cards, the price of an extra hit, and where the picture turns."""

    answer: str
    """`yes`, `no`, `not distinguishable` or `unknown`."""
    sentence: str
    cards: tuple[Card, ...] = ()
    extra_hit: str = ""
    break_even: str = ""
    turns: tuple[str, ...] = ()
    language: Row | None = None
    classical: Row | None = None


def noun(dataset: str) -> str:
    """What an item of the data set is called."""
    return "film" if dataset.startswith(("ml-", "movielens", "tallrec-movie")) else "item"


def hits_per_100(row: Row, protocol: str, slice: str = "all") -> Measurement:
    """100 × Recall@k with its interval."""
    recall = row.figure(f"recall@{row.spec.protocol.k}", protocol, slice)
    if recall.value is None:
        return recall
    low, high = (None if bound is None else 100 * bound for bound in (recall.low, recall.high))
    return Measurement("hits_per_100", 100 * recall.value, "1", low, high, recall.n, slice, protocol)


def monthly(row: Row, traffic: Traffic, pricing: Pricing) -> Measurement:
    """Dollars a month for the traffic, by the price of a million requests."""
    price = usd_per_million(row, pricing)
    if price.value is None:
        return Measurement("usd_per_month", None, "usd", reason=price.reason)
    return Measurement("usd_per_month", price.value * traffic.requests_per_month / 1e6, "usd")


def judge(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    users: Users,
    hits: Users,
    traffic: Traffic = DEFAULT_TRAFFIC,
    pricing: Pricing = AS_RECORDED,
) -> Verdict:
    """The verdict over the finished rows.

    Args:
        users: per-user values of `metric` by run id; decides who is better.
        hits: per-user hits (Recall@k) by run id; prices an extra hit.
    """
    known = [row for row in rows if row.figure(metric, protocol).value is not None]
    ranked = sorted(known, key=lambda row: -row.figure(metric, protocol).value)
    if not ranked:
        return Verdict("unknown", "No run has finished yet, so there is nothing to compare.")
    language = next((row for row in ranked if row.uses_language_model), None)
    classical = next((row for row in ranked if not row.uses_language_model), None)
    cards = _cards(ranked, metric, protocol, users, traffic, pricing)
    if language is None or classical is None:
        which = "language model" if language is None else "classical recommender"
        return Verdict(
            "unknown",
            f"No {which} has finished yet, so the two cannot be compared.",
            cards,
            "",
            "",
            (),
            language,
            classical,
        )

    found = difference(users.get(language.run_id, {}), users.get(classical.run_id, {}))
    hits_found = difference(hits.get(language.run_id, {}), hits.get(classical.run_id, {}))
    answer = "not distinguishable" if not distinguishable(found) else "yes" if found.mean > 0 else "no"
    if found is None:
        answer = "unknown"
    extra, even = _price_of_a_hit(language, classical, hits_found, traffic, pricing)
    sentence = _sentence(answer, language, classical, metric, protocol, hits_found, found, pricing)
    return Verdict(answer, sentence, cards, extra, even, _turns(rows, protocol, metric, users), language, classical)


def _sentence(answer, language, classical, metric, protocol, hits_found, found, pricing) -> str:
    item, k = noun(language.spec.data.name), language.spec.protocol.k
    mine, theirs = hits_per_100(language, protocol), hits_per_100(classical, protocol)
    among = candidates_of(protocol)
    among = "all candidates" if among == "full" else f"{among} candidates"
    counts = (
        f"the withheld {item} is in the top {k} of {among} for {mine.value:.0f} of 100 users with {language.name}, "
        f"the best language model here, and for {theirs.value:.0f} with {classical.name}, the best classical one"
        if mine.value is not None and theirs.value is not None
        else f"{language.name} reaches {language.figure(metric, protocol).value:.3f}, {classical.name} "
        f"{classical.figure(metric, protocol).value:.3f}"
    )
    ratio = _ratio(usd_per_million(language, pricing).value, usd_per_million(classical, pricing).value)
    cost = f" A request costs {ratio} with the language model." if ratio else ""
    spread = (
        f" (paired {metric.upper()} difference {found.low:+.3f} to {found.high:+.3f}, {found.n} users)" if found else ""
    )
    opening = {
        "yes": "Yes, in quality",
        "no": "No",
        "not distinguishable": "Not distinguishable",
        "unknown": "Unknown, as the two share no users",
    }[answer]
    return f"{opening}: {counts}{spread}.{cost}"


def _ratio(a: float | None, b: float | None) -> str:
    if not a or not b:
        return ""
    return f"{formats.significant(a / b, 2)} times as much" if a >= b else f"{formats.significant(b / a, 2)} times less"


def _price_of_a_hit(language, classical, hits_found, traffic, pricing) -> tuple[str, str]:
    """What one more hit costs by taking the language model, and the worth at which that breaks even."""
    dear, cheap = usd_per_million(language, pricing).value, usd_per_million(classical, pricing).value
    if dear is None or cheap is None or hits_found is None:
        return "The price of an extra hit is unknown: a price or the per-user values are missing.", ""
    more = dear - cheap
    if not distinguishable(hits_found):
        return (
            f"An extra hit has no price: the hits of {language.name} and {classical.name} are not distinguishable "
            f"({100 * hits_found.low:+.1f} to {100 * hits_found.high:+.1f} per 100 users), and a million requests differ "
            f"by {formats.dollars(more)}.",
            "",
        )
    if hits_found.mean < 0:
        return (
            f"There is no extra hit to buy: {language.name} finds {-100 * hits_found.mean:.1f} fewer per 100 users than "
            f"{classical.name}"
            + (f" and costs {formats.dollars(more)} more per million requests." if more > 0 else "."),
            "",
        )
    if more <= 0:
        return f"{language.name} finds {100 * hits_found.mean:.1f} more hits per 100 users and costs no more.", ""
    per_hit = more / 1e6 / hits_found.mean
    gain = traffic.requests_per_month * (hits_found.mean * traffic.hit_worth_usd - more / 1e6)
    extra = (
        f"{100 * hits_found.mean:.1f} extra hits per 100 requests ({100 * hits_found.low:.1f} to "
        f"{100 * hits_found.high:.1f}) at {formats.dollars(per_hit)} each, {language.name} against {classical.name}."
    )
    side = "gains" if gain > 0 else "loses"
    even = (
        f"It breaks even when a hit is worth {formats.dollars(per_hit)} "
        f"({formats.dollars(more / 1e6 / hits_found.high)} to {formats.dollars(more / 1e6 / hits_found.low)}); at "
        f"{formats.dollars(traffic.hit_worth_usd)} a hit the language model {side} {formats.dollars(abs(gain))} a month."
    )
    return extra, even


def _cards(ranked, metric, protocol, users, traffic, pricing) -> tuple[Card, ...]:
    """Cheapest sensible, best within the budget, best quality."""

    def card(title: str, row: Row, note: str) -> Card:
        return Card(
            title,
            row,
            hits_per_100(row, protocol),
            candidates_of(protocol),
            row.request_figure("latency_p95_s"),
            monthly(row, traffic, pricing),
            note,
        )

    def price(row: Row) -> float:
        found = usd_per_million(row, pricing).value
        return float("inf") if found is None else found

    floor = next((row for row in ranked if row.spec.recommender.family == "popularity"), None)
    above = [
        row
        for row in ranked
        if floor is not None
        and row is not floor
        and (found := difference(users.get(row.run_id, {}), users.get(floor.run_id, {}))) is not None
        and found.low > 0
    ]
    sensible = min(above or ranked, key=price)
    note = (
        "the cheapest row that beats popularity beyond the interval"
        if above
        else "the cheapest row; none beats popularity"
    )
    cards = [card("Cheapest sensible", sensible, note if floor else "the cheapest row")]

    budget = None if traffic.usd_per_month is None else traffic.usd_per_month / traffic.requests_per_month * 1e6
    limits = Limits(traffic.p95_s, budget)
    within = [row for row in ranked if not broken_limits(row, limits, pricing)]
    if within:
        cards.append(card("Best within budget", within[0], _tie_note(within[0], within, users)))
    cards.append(card("Best quality", ranked[0], _tie_note(ranked[0], ranked, users)))
    return tuple(cards)


def _tie_note(best: Row, rows: Sequence[Row], users: Users) -> str:
    """Names of the rows that cannot be told from `best`."""
    tied = []
    for row in rows:
        if row is best:
            continue
        found = difference(users.get(best.run_id, {}), users.get(row.run_id, {}))
        if found is not None and not distinguishable(found):
            tied.append(row.name)
    if not tied:
        return "better than every other row beyond the interval" if len(rows) > 1 else "the only row"
    shown = ", ".join(tied[:2]) + (f" and {len(tied) - 2} more" if len(tied) > 2 else "")
    return f"not distinguishable from {shown}"


def _turns(rows: Sequence[Row], protocol: str, metric: str, users: Users) -> tuple[str, ...]:
    """For each slice, whether the best language model or the best classical row leads there."""
    names = [figure.slice for row in rows for figure in row.figures if figure.protocol == protocol]
    sentences = []
    for name in dict.fromkeys(name for name in names if name != "all"):
        known = [row for row in rows if row.figure(metric, protocol, name).value is not None]
        best = sorted(known, key=lambda row: -row.figure(metric, protocol, name).value)
        language = next((row for row in best if row.uses_language_model), None)
        classical = next((row for row in best if not row.uses_language_model), None)
        if language is None or classical is None:
            continue
        a, b = language.figure(metric, protocol, name), classical.figure(metric, protocol, name)
        members = next((row.documents["slices"].get(name) for row in rows if row.documents.get("slices")), None)
        found = (
            difference(users.get(language.run_id, {}), users.get(classical.run_id, {}), members) if members else None
        )
        if found is not None:
            state = "not distinguishable" if not distinguishable(found) else _lead(found.mean, language, classical)
        elif None not in (a.low, a.high, b.low, b.high):
            apart = a.low > b.high or b.low > a.high
            state = (
                _lead(a.value - b.value, language, classical) if apart else "not distinguishable (intervals overlap)"
            )
        else:
            state = "no interval recorded"
        sentences.append(
            f"{name[:1].upper()}{name[1:]} ({a.n or '?'} users): {language.name} {a.value:.3f}, "
            f"{classical.name} {b.value:.3f} – {state}."
        )
    return tuple(sentences)


def _lead(gap: float, language: Row, classical: Row) -> str:
    return f"{language.name} leads" if gap > 0 else f"{classical.name} leads"
