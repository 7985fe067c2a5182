"""Limits as a sentence, "p95 ≤ 50 ms, ≤ $5, at least 99 % of the best": read and written.

A part of the sentence is understood whole or refused, so that "p99 ≤ 50 ms" or "$5 per request" is
not taken for something else. English and Chinese are read, whatever the page's language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.reading.typed_numbers import as_typed, read_number

P95_MS, PER_MILLION, PER_MONTH, SHARE = "p95_ms", "usd_per_million", "usd_per_month", "share"
"""What a sentence can limit: milliseconds, dollars, dollars and % of the best quality."""

_CLAUSES = re.compile(r",\s+|[;，；、]|\band\b|和|并且")
_NUMBER = r"(?P<number>\d+(?:[\s.,'\u2019]\d+)*)"
_MOST = r"(?:≤|<=|<|at most|no more than|up to|under|below|within|至多|最多|不超过|不高于)"
_LEAST = r"(?:≥|>=|at least|no less than|至少达到|至少|不低于|达到)"
_USD = rf"(?:\$\s*{_NUMBER}|{_NUMBER.replace('number', 'before')}\s*(?:usd|dollars?|美元))"
_PER = r"(?:a|per|/)"
_SHORT_OF = "short of the best"
_FORMS = tuple(
    (name, re.compile(form.replace(" ", r"\s*")))
    for name, form in (
        (
            P95_MS,
            rf"(?:p95)? (?:latency|延迟)? {_MOST}? {_NUMBER} (?:ms|milliseconds?|毫秒) (?:以内)?",
        ),
        ("p95_s", rf"(?:p95)? (?:latency|延迟)? {_MOST}? {_NUMBER} (?:s|seconds?|秒) (?:以内)?"),
        (PER_MONTH, rf"(?:budget|预算)? {_MOST}? {_USD} {_PER} month"),
        (PER_MONTH, rf"(?:budget|每个?月 (?:预算)?|预算) {_MOST}? {_USD}"),
        (PER_MILLION, rf"(?:price)? {_MOST}? {_USD} (?:{_PER} million (?:requests)?)?"),
        (PER_MILLION, rf"(?:每百万次)? (?:请求)? (?:价格)? {_MOST}? {_USD}"),
        (SHARE, rf"(?:quality)? {_LEAST}? {_NUMBER} [%％] (?:of the best (?:quality)?)?"),
        (SHARE, rf"(?:效果|质量)? {_LEAST}? (?:最佳|最好) (?:效果|质量)? 的? {_NUMBER} [%％]"),
        (_SHORT_OF, rf"within {_NUMBER} [%％] of the best (?:quality)?"),
    )
)
"""What may be said of each limit; a space stands for any number of them."""


def read(sentence: str) -> dict[str, float]:
    """The limits that a sentence names, by `P95_MS`, `PER_MILLION`, `PER_MONTH` and `SHARE`.

    Raises:
        UsageError: for a part that is not understood, and for a limit that is named twice.

    >>> read("p95 ≤ 50 ms, ≤ $5, at least 99 % of the best")
    {'p95_ms': 50.0, 'usd_per_million': 5.0, 'share': 99.0}
    """
    limits: dict[str, float] = {}
    for clause in filter(None, (part.strip(" .。") for part in _CLAUSES.split(sentence))):
        name, value = _clause(clause)
        if name in limits:
            raise UsageError(t("{clause!r} limits a second time what is limited", clause=clause))
        limits[name] = value
    return limits


def _clause(clause: str) -> tuple[str, float]:
    """What one part of a sentence limits, and where."""
    for name, form in _FORMS:
        said = form.fullmatch(clause.lower())
        if said is None:
            continue
        digits = next(text for text in said.groupdict().values() if text)
        value = read_number(digits, clause)
        if name == "p95_s":
            return P95_MS, value * 1000
        return (SHARE, 100 - value) if name == _SHORT_OF else (name, value)
    example = "p95 ≤ 50 ms, ≤ $5, at least 99 % of the best"
    raise UsageError(
        t("{clause!r} is not understood; type e.g. {example}", clause=clause, example=example)
    )


def written(limits: Mapping[str, float | None]) -> str:
    """Limits as a sentence that `read` takes; empty where there is none.

    >>> written({"p95_ms": 50.0, "usd_per_month": 1200.0})
    'p95 ≤ 50 ms, ≤ $1200 a month'
    """
    parts = {
        P95_MS: lambda number: t("p95 ≤ {number} ms", number=number),
        PER_MILLION: lambda number: t("≤ ${number} per million", number=number),
        PER_MONTH: lambda number: t("≤ ${number} a month", number=number),
        SHARE: lambda number: t("at least {number} % of the best", number=number),
    }
    held = {name: limits.get(name) for name in parts}
    return ", ".join(
        parts[name](as_typed(value)) for name, value in held.items() if value is not None
    )
