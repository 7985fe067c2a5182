"""The answer for a product manager: does the language model pay, which row to take, and what an extra hit costs.

A hit: the withheld item stands in the top k of the candidates. Per 100 users it is 100 × Recall@k, as each user has
one withheld item under leave-one-out. Rows are compared user by user; where the paired interval includes 0 the answer
is "not distinguishable".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmrec_core.experiments import formats
from llmrec_core.experiments.front import METRICS, Limits, broken_limits
from llmrec_core.experiments.views import (
    AS_RECORDED,
    Pricing,
    Row,
    best_first,
    candidates_of,
    difference,
    distinguishable,
    price_or_infinity,
    spread,
    usd_per_million,
)
from llmrec_core.types import Measurement

if TYPE_CHECKING:
    from llmrec_core.metrics.intervals import Difference

Users = Mapping[str, Mapping[int, float]]
"""Run id → user code → value."""


@dataclass(frozen=True)
class Traffic:
    """What a reader types on Start."""

    requests_per_month: float = 1e7
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
    silent: str = ""
    """Which rows carry a language model that has no say in their order."""
    language: Row | None = None
    classical: Row | None = None


@dataclass(frozen=True)
class _Question:
    """What is compared, and under which prices."""

    metric: str
    protocol: str
    users: Users
    hits: Users
    traffic: Traffic
    pricing: Pricing

    def difference(self, a: Row, b: Row, only: Sequence[int] | None = None) -> Difference | None:
        return difference(self.users.get(a.run_id, {}), self.users.get(b.run_id, {}), only)

    def tied(self, a: Row, b: Row) -> bool:
        found = self.difference(a, b)
        return found is not None and not distinguishable(found)


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
    ask = _Question(metric, protocol, users, hits, traffic, pricing)
    ranked = best_first(rows, metric, protocol)
    if not ranked:
        return Verdict("unknown", "No run has finished yet, so there is nothing to compare.")
    language = next((row for row in ranked if row.language_model_decides), None)
    classical = next((row for row in ranked if not row.uses_language_model), None)
    cards = _cards(ranked, ask)
    if language is None or classical is None:
        which = "language model" if language is None else "classical recommender"
        sentence = f"No {which} has finished yet, so the two cannot be compared."
        return Verdict("unknown", sentence, cards, silent=_silent(ranked), language=language, classical=classical)
    found = ask.difference(language, classical)
    extra, even = _price_of_a_hit(language, classical, ask)
    return Verdict(
        _answer(found),
        _sentence(language, classical, found, ask),
        cards,
        extra,
        even,
        _turns(rows, ask),
        _silent(ranked),
        language,
        classical,
    )


def _silent(ranked: Sequence[Row]) -> str:
    """The rows whose language model is paid for and not listened to, in a sentence."""
    names = [row.name for row in ranked if row.uses_language_model and not row.language_model_decides]
    if not names:
        return ""
    its = "its" if len(names) == 1 else "their"
    return (
        f"Not counted as a language model: {', '.join(names)}, because validation gave {its} language model no weight "
        "in the blend; the order is the retriever's alone."
    )


def _answer(found: Difference | None) -> str:
    if found is None:
        return "unknown"
    return "not distinguishable" if not found.distinguishable else "yes" if found.mean > 0 else "no"


_OPENINGS = {
    "yes": "Yes, in quality",
    "no": "No",
    "not distinguishable": "Not distinguishable",
    "unknown": "Unknown, as the two share no users",
}


def _sentence(language: Row, classical: Row, found: Difference | None, ask: _Question) -> str:
    item, k, among = noun(language.spec.data.name), language.spec.protocol.k, candidates_of(ask.protocol)
    among = "all candidates" if among == "full" else f"{among} candidates"
    mine, theirs = hits_per_100(language, ask.protocol), hits_per_100(classical, ask.protocol)
    title = METRICS.get(ask.metric, ask.metric)
    if mine.value is not None and theirs.value is not None:
        counts = (
            f"the withheld {item} is in the top {k} of {among} for {mine.value:.0f} of 100 users with {language.name}, "
            f"the best language model here, and for {theirs.value:.0f} with {classical.name}, the best classical one"
        )
    else:
        counts = (
            f"{title} of {language.name} is {formats.figure(language.figure(ask.metric, ask.protocol))}, "
            f"of {classical.name} {formats.figure(classical.figure(ask.metric, ask.protocol))}"
        )
    paired = f" (paired {title} difference: {spread(found)}, {found.n} users)" if found else ""
    ratio = _ratio(usd_per_million(language, ask.pricing).value, usd_per_million(classical, ask.pricing).value)
    cost = f" A request costs {ratio} with the language model." if ratio else ""
    return f"{_OPENINGS[_answer(found)]}: {counts}{paired}.{cost}"


def _ratio(a: float | None, b: float | None) -> str:
    if not a or not b:
        return ""
    return f"{formats.significant(a / b, 2)} times as much" if a >= b else f"{formats.significant(b / a, 2)} times less"


def _price_of_a_hit(language: Row, classical: Row, ask: _Question) -> tuple[str, str]:
    """What one more hit costs by taking the language model, and the worth at which that breaks even."""
    dear, cheap = usd_per_million(language, ask.pricing).value, usd_per_million(classical, ask.pricing).value
    found = difference(ask.hits.get(language.run_id, {}), ask.hits.get(classical.run_id, {}))
    if dear is None or cheap is None or found is None:
        return "The price of an extra hit is unknown: a price or the per-user values are missing.", ""
    a, b, more = language.name, classical.name, dear - cheap
    if not found.distinguishable:
        return (
            f"An extra hit has no price: the hits of {a} and {b} per 100 users are not distinguishable "
            f"({spread(found, 1, 100)}), and a million requests differ by {formats.dollars(more)}."
        ), ""
    if found.mean < 0:
        dearer = f" and costs {formats.dollars(more)} more per million requests" if more > 0 else ""
        fewer = f"{-100 * found.mean:.1f} fewer per 100 users than {b}"
        return f"There is no extra hit to buy: {a} finds {fewer}{dearer}.", ""
    if more <= 0:
        return f"{a} finds {100 * found.mean:.1f} more hits per 100 users and costs no more.", ""
    per_hit, lowest, highest = (more / 1e6 / share for share in (found.mean, found.high, found.low))
    worth, requests = ask.traffic.hit_worth_usd, ask.traffic.requests_per_month
    gain = requests * (found.mean * worth - more / 1e6)
    extra = (
        f"{100 * found.mean:.1f} extra hits per 100 requests ({100 * found.low:.1f} to {100 * found.high:.1f}) "
        f"at {formats.dollars(per_hit)} each, {a} against {b}."
    )
    even = (
        f"It breaks even when a hit is worth {formats.dollars(per_hit)} ({formats.dollars(lowest)} to "
        f"{formats.dollars(highest)}); at {formats.dollars(worth)} a hit the language model "
        f"{'gains' if gain > 0 else 'loses'} {formats.dollars(abs(gain))} a month."
    )
    return extra, even


def _cards(ranked: Sequence[Row], ask: _Question) -> tuple[Card, ...]:
    """Cheapest sensible, best within the budget, best quality."""

    def card(title: str, row: Row, note: str) -> Card:
        cost = monthly(row, ask.traffic, ask.pricing)
        hits, p95 = hits_per_100(row, ask.protocol), row.request_figure("latency_p95_s")
        if row.uses_language_model and not row.language_model_decides:
            note += "; its language model has no weight in the blend"
        return Card(title, row, hits, candidates_of(ask.protocol), p95, cost, note)

    cards = [card("Cheapest sensible", *_sensible(ranked, ask))]
    traffic = ask.traffic
    budget = None if traffic.usd_per_month is None else traffic.usd_per_month / traffic.requests_per_month * 1e6
    within = [row for row in ranked if not broken_limits(row, Limits(traffic.p95_s, budget), ask.pricing)]
    if within:
        cards.append(card("Best within budget", within[0], _tie_note(within[0], within, ask)))
    cards.append(card("Best quality", ranked[0], _tie_note(ranked[0], ranked, ask)))
    return tuple(cards)


def _sensible(ranked: Sequence[Row], ask: _Question) -> tuple[Row, str]:
    """The cheapest row that beats popularity beyond the interval, and that in words."""
    floor = next((row for row in ranked if row.spec.recommender.family == "popularity"), None)
    if floor is None:
        return min(ranked, key=lambda row: price_or_infinity(row, ask.pricing)), "the cheapest row"
    above = []
    for row in ranked:
        found = ask.difference(row, floor)
        if found is not None and found.low > 0:
            above.append(row)
    note = "the cheapest that beats popularity beyond the interval" if above else "the cheapest; none beats popularity"
    return min(above or ranked, key=lambda row: price_or_infinity(row, ask.pricing)), note


def _tie_note(best: Row, rows: Sequence[Row], ask: _Question) -> str:
    """Names of the rows that cannot be told from `best`."""
    tied = [row.name for row in rows if row is not best and ask.tied(best, row)]
    if not tied:
        return "better than every other row beyond the interval" if len(rows) > 1 else "the only row"
    more = f" and {len(tied) - 2} more" if len(tied) > 2 else ""
    return f"not distinguishable from {', '.join(tied[:2])}{more}"


def _turns(rows: Sequence[Row], ask: _Question) -> tuple[str, ...]:
    """For each slice, whether the best language model or the best classical row leads there."""
    names = [figure.slice for row in rows for figure in row.figures if figure.protocol == ask.protocol]
    sentences = []
    for name in dict.fromkeys(name for name in names if name != "all"):
        ranked = best_first(rows, ask.metric, ask.protocol, name)
        language = next((row for row in ranked if row.language_model_decides), None)
        classical = next((row for row in ranked if not row.uses_language_model), None)
        if language is None or classical is None:
            continue
        a = language.figure(ask.metric, ask.protocol, name)
        b = classical.figure(ask.metric, ask.protocol, name)
        sentences.append(
            f"{name[:1].upper()}{name[1:]} ({a.n or '?'} users): {language.name} {formats.figure(a)}, "
            f"{classical.name} {formats.figure(b)} – {_leader(rows, name, language, classical, ask)}."
        )
    return tuple(sentences)


def _leader(rows: Sequence[Row], part: str, language: Row, classical: Row, ask: _Question) -> str:
    """Who leads on a slice: paired where the record names its users, else by whether the intervals overlap."""
    members = next((row.documents["slices"].get(part) for row in rows if row.documents.get("slices")), None)
    if members:
        found = ask.difference(language, classical, members)
        if found is None or not found.distinguishable:
            return "not distinguishable"
        return f"{language.name if found.mean > 0 else classical.name} leads"
    a = language.figure(ask.metric, ask.protocol, part)
    b = classical.figure(ask.metric, ask.protocol, part)
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return "no interval recorded"
    if a.low > b.high:
        return f"{language.name} leads"
    return f"{classical.name} leads" if b.low > a.high else "not distinguishable, the intervals overlap"
