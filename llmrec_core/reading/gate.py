"""What a cascade's gate learned and did, in sentences, from a run's document and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmrec_core.language import number, t
from llmrec_core.reading import number_format
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.row import Row

Body = Mapping[str, Any]
"""The document `gate` of a run."""


def metric(body: Body) -> str:
    """The metric that the gate was learned on, for readers."""
    name = str(body["metric"])
    return METRICS.get(name) or name


def sentences(row: Row, body: Body) -> list[str]:
    """What share is read, what that does to quality, how far expectations hold, what it costs.

    Args:
        row: the run.
        body: its document `gate`.
    """
    said = [_read(row, body), _quality(body), _calibration(body)]
    mean_s = row.request_figure("latency_mean_s").value
    if mean_s is not None:
        said.append(
            t(
                "A request takes {mean} on average; half of them are answered within {p50}, 95 % "
                "within {p95}.",
                mean=number_format.duration(mean_s),
                p50=_duration(row, "latency_p50_s"),
                p95=_duration(row, "latency_p95_s"),
            )
        )
    return said


def _duration(row: Row, name: str) -> str:
    value = row.request_figure(name).value
    return t("not measured") if value is None else number_format.duration(value)


def _read(row: Row, body: Body) -> str:
    measured = row.figure("requests_read", row.spec.protocol.name)
    if body["outcome"] == "never":
        return t(
            "The language model reads no request: on validation the retriever's order is as good "
            "as reading always, or within 0.5 % of it."
        )
    if body["outcome"] == "always":
        return t(
            "The language model reads every request: on validation reading fewer lost more than "
            "0.5 % of the quality."
        )
    if measured.value is None:
        return t(
            "On validation the language model reads {share} of the requests; the others keep the "
            "retriever's order, at its price.",
            share=number_format.share(body["served_share"]),
        )
    return t(
        "The language model reads {share} of the requests of {people} people asked; the others "
        "keep the retriever's order, at its price.",
        share=number_format.share(measured.value),
        people=number_format.count(measured.n or 0),
    )


def _quality(body: Body) -> str:
    return t(
        "{metric} of {people} validation people: {ndcg} with {share} of them read, {always} with "
        "all, {never} with none (difference from all {low} to {high}).",
        metric=metric(body),
        people=number_format.count(body["people"]),
        ndcg=_fine(body["ndcg"]),
        share=number_format.share(body["share"]),
        always=_fine(body["always"]),
        never=_fine(body["never"]),
        low=number_format.signed(body["difference"]["low"], 4),
        high=number_format.signed(body["difference"]["high"], 4),
    )


def _calibration(body: Body) -> str:
    return t(
        "Expected gains of people who taught it nothing are off by {error} on average; groups so "
        "small are off by {chance} by chance alone.",
        error=_fine(body["calibration_error"]),
        chance=_fine(body["calibration_error_by_chance"]),
    )


def _fine(value: float) -> str:
    """Four decimals: half a percent of a small NDCG is seen in the fourth."""
    return number(value, ".4f")
