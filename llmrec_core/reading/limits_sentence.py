"""Limits as a sentence, "p95 ≤ 50 ms, ≤ $5, at least 99 % of the best": read and written.

Every word of the sentence has to be known, so that "p99 ≤ 50 ms" or "median ≤ 50 ms" is refused
and not taken for something else. English and Chinese are read, whatever the page's language.
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
_NUMBER = re.compile(r"\d+(?:[\s.,'\u2019]\d+)*")
_MOST = re.compile(
    r"≤|<=|<|\b(?:at most|no more than|up to|under|below|within)\b|至多|最多|不超过|不高于|以内"
)
_LEAST = re.compile(r"≥|>=|>|\b(?:at least|no less than)\b|至少|不低于|达到")
_SHORT_OF = re.compile(r"\bwithin\b|以内")
_UNITS = (
    (SHARE, re.compile(r"%|％|\bpercent\b")),
    (PER_MONTH, re.compile(r"(?=.*(?:\bmonth\b|月))(?=.*(?:\$|\busd\b|\bdollars?\b|美元))")),
    (PER_MILLION, re.compile(r"\$|\busd\b|\bdollars?\b|美元")),
    (P95_MS, re.compile(r"\b(?:ms|milliseconds?|s|seconds?)\b|毫秒|秒")),
)
_SECONDS = re.compile(r"\b(?:s|seconds?)\b|(?<!毫)秒")
_KNOWN = re.compile(
    r"[≤≥<>=$%％/]|\b(?:p95|ms|milliseconds?|s|seconds?|usd|dollars?|percent|at|most|least|no|more"
    r"|less|than|up|to|under|below|within|a|an|per|of|the|best|quality|requests?|million|month"
    r"|latency|price|budget|is)\b|至多|最多|不超过|不高于|以内|至少|不低于|达到|毫秒|秒|美元|每百万次"
    r"|百万|每月|每个月|月|每|次|请求|最佳|最好|质量|延迟|价格|预算|为|的"
)


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
    text = clause.lower()
    numbers = _NUMBER.findall(re.sub(r"\bp95\b", " ", text))
    name = next((name for name, unit in _UNITS if unit.search(text)), None)
    rest = _KNOWN.sub(" ", _NUMBER.sub(" ", re.sub(r"\bp95\b", " ", text))).strip()
    wrong_way = (_MOST if name == SHARE else _LEAST).search(text)
    if name == SHARE and _SHORT_OF.search(text):
        wrong_way = _LEAST.search(text)
    if name is None or len(numbers) != 1 or rest or wrong_way:
        example = "p95 ≤ 50 ms, ≤ $5, at least 99 % of the best"
        raise UsageError(
            t("{clause!r} is not understood; type e.g. {example}", clause=clause, example=example)
        )
    value = read_number(numbers[0], clause)
    if name == P95_MS and _SECONDS.search(text):
        value *= 1000
    if name == SHARE and _SHORT_OF.search(text):
        value = 100 - value
    return name, value


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
    asked = {name: limits.get(name) for name in parts}
    return ", ".join(
        parts[name](as_typed(value)) for name, value in asked.items() if value is not None
    )
