"""Limits typed as a sentence: what is understood, what is refused, and that it reads its own."""

import pytest

from llmrec_core import language
from llmrec_core.errors import UsageError
from llmrec_core.reading.limits_sentence import read, written


@pytest.mark.parametrize(
    ("sentence", "limits"),
    [
        ("", {}),
        ("p95 ≤ 50 ms", {"p95_ms": 50}),
        ("p95 under 0,5 s", {"p95_ms": 500}),
        ("50 ms and $5", {"p95_ms": 50, "usd_per_million": 5}),
        (
            "at most $1,200.50 a month; within 1 % of the best",
            {"usd_per_month": 1200.5, "share": 99},
        ),
        ("≥ 99 %", {"share": 99}),
        ("p95 latency ≤50ms, ≤$5/million", {"p95_ms": 50, "usd_per_million": 5}),
        ("budget 300 dollars", {"usd_per_month": 300}),
        ("Price up to 5 USD per million requests", {"usd_per_million": 5}),
        ("latency below 2 seconds.", {"p95_ms": 2000}),
        (
            "p95 ≤ 50 毫秒，不超过 5 美元，至少最佳的 99 %",
            {"p95_ms": 50, "usd_per_million": 5, "share": 99},
        ),
        ("每月不超过 300 美元、延迟 2 秒以内", {"usd_per_month": 300, "p95_ms": 2000}),
    ],
)
def test_a_sentence_is_read_part_by_part(sentence, limits):
    assert read(sentence) == limits


@pytest.mark.parametrize(
    "sentence",
    [
        "p99 ≤ 50 ms",
        "median ≤ 50 ms",
        "p95 ≥ 50 ms",
        "at least $5",
        "at most 99 % of the best",
        "fast and cheap",
        "50",
        "50 100 ms or 3 ms",
        "€5",
        "$5 and $6",
        "-50 ms",
        "$5 per request",
        "$5 a second",
        "$5 per 1000 requests",
        "50 ms per month",
        "50 ms of the best",
        "at least at most 99 %",
    ],
)
def test_what_is_not_understood_whole_is_refused(sentence):
    with pytest.raises(UsageError, match=r"not understood|second time"):
        read(sentence)


@pytest.fixture(params=language.catalogues())
def tongue(request):
    language.ask_language_of(lambda: request.param)
    yield request.param
    language.ask_language_of(language.source_language)


def test_a_written_sentence_reads_as_the_same_limits(tongue):
    limits = {"p95_ms": 12.5, "usd_per_million": 0.004, "usd_per_month": 1e6, "share": 99.5}
    assert read(written(limits)) == limits
    assert written({}) == ""
