"""The figures of a hosted model's record: what its prompts took, cost and came to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_core.contract.endpoint import EndpointSpec
from llmrec_core.language import t
from llmrec_core.recommenders.hosted.answers import Ranking
from llmrec_core.recommenders.hosted.asking import Answered
from llmrec_core.recommenders.hosted.kept_answers import Kept, Spent
from llmrec_core.types import Measurement

NOT_HERE = (
    ("throughput_requests_per_s", "1/s"),
    ("flops_per_request", "FLOP"),
    ("flops_per_request_counted", "FLOP"),
    ("mfu", "1"),
    ("energy_per_request_j", "J"),
    ("gco2e_per_million", "g"),
    ("weight_bytes", "B"),
    ("parameters", "1"),
    ("trainable_parameters", "1"),
    ("usd_per_hour", "USD/h"),
)
"""Figures of the machine that answers, which its provider does not tell."""


def figures(
    endpoint: EndpointSpec,
    read: Sequence[tuple[Answered, Ranking]],
    spent: Spent,
    protocol: str,
) -> list[Measurement]:
    """All cost figures of a run.

    Args:
        endpoint: who was asked, at what price.
        read: every prompt of the run once, with what its answer says.
        spent: what the run has spent over all its attempts.
        protocol: that of one request, e.g. `request/100/batch-1`.
    """
    kept = [answered.kept for answered, _ in read if answered.kept is not None]
    usd = endpoint.usd(spent.tokens_in, spent.tokens_out)
    unknown = t("{host} does not tell what it computes with", host=endpoint.host)
    return [
        *_latencies(kept, protocol),
        *_prices(endpoint, kept, protocol),
        _run("hosted_prompts", len(read), "1"),
        _run("hosted_tokens_in", spent.tokens_in, "token"),
        _run("hosted_tokens_out", spent.tokens_out, "token"),
        _run("hosted_usd", usd, "USD"),
        _run("hosted_tries_again", spent.again, "1"),
        _run("hosted_lost_answers", len(read) - len(kept), "1"),
        _run("hosted_illegal_answers", sum(not ranking.legal for _, ranking in read), "1"),
        _run("hosted_unusable_answers", sum(not ranking.places for _, ranking in read), "1"),
        *(
            Measurement(name, None, unit, protocol=protocol, reason=unknown)
            for name, unit in NOT_HERE
        ),
    ]


def _run(name: str, value: float, unit: str) -> Measurement:
    return Measurement(name, float(value), unit, protocol="run")


def _latencies(kept: Sequence[Kept], protocol: str) -> list[Measurement]:
    """Percentiles of the tries that were answered; waits and earlier tries are not in them."""
    names = ("latency_p50_s", "latency_p95_s", "latency_p99_s")
    if not kept:
        reason = t("no prompt was answered")
        return [Measurement(name, None, "s", protocol=protocol, reason=reason) for name in names]
    values = np.percentile([answer.seconds for answer in kept], (50, 95, 99))
    return [
        Measurement(name, float(value), "s", n=len(kept), protocol=protocol)
        for name, value in zip(names, values, strict=True)
    ]


def _prices(endpoint: EndpointSpec, kept: Sequence[Kept], protocol: str) -> list[Measurement]:
    """Tokens of a request by the endpoint's own count, and a million requests at its price."""
    counted = [
        (answer.tokens_in, answer.tokens_out)
        for answer in kept
        if answer.tokens_in is not None and answer.tokens_out is not None
    ]
    rows = (
        ("hosted_tokens_in_per_request", "token"),
        ("hosted_tokens_out_per_request", "token"),
        ("usd_per_million", "USD"),
    )
    if not counted:
        reason = t("{host} counts no tokens in its answers", host=endpoint.host)
        return [
            Measurement(name, None, unit, protocol=protocol, reason=reason) for name, unit in rows
        ]
    tokens_in, tokens_out = (float(mean) for mean in np.mean(counted, axis=0))
    values = (tokens_in, tokens_out, 1e6 * endpoint.usd(tokens_in, tokens_out))
    return [
        Measurement(name, value, unit, n=len(counted), protocol=protocol)
        for (name, unit), value in zip(rows, values, strict=True)
    ]
