"""Rows and people whose figures can be worked out by hand, for tests of what is read from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmrec_core.contract.spec import stored_run
from llmrec_core.reading.people import People, of_mapping
from llmrec_core.reading.row import Row
from llmrec_core.types import Measurement

PROTOCOL = "loo/100-uniform"
USERS = range(100)


def make(
    name: str,
    family: str = "ease",
    backbone: str = "",
    ndcg: float = 0.2,
    hits: float = 0.5,
    per_s: float = 10.0,
    p95: float = 0.1,
    flops: float = 1e6,
    seed: int = 0,
    run_id: str = "",
    study: str = "s",
    **spec: object,
) -> Row:
    """A finished run: half its p95 at the median, 0.36 $ an hour, half of the time in use."""
    recommender = {"family": family, "backbone": backbone, **spec}
    if family == "cascade":
        recommender |= {"retriever": "ease", "rerank_k": 20}
    one, many = "request/100/batch-1", "request/100/batch-8"
    figures = (
        Measurement("ndcg@10", ndcg, "1", ndcg - 0.02, ndcg + 0.02, 100, "all", PROTOCOL),
        Measurement("recall@10", hits, "1", hits - 0.05, hits + 0.05, 100, "all", PROTOCOL),
        Measurement("latency_p50_s", p95 / 2, "s", protocol=one),
        Measurement("latency_p95_s", p95, "s", protocol=one),
        Measurement("flops_per_request", flops, "FLOP", protocol=one),
        Measurement("throughput_requests_per_s", per_s / 2, "1/s", protocol=one),
        Measurement("throughput_requests_per_s", per_s, "1/s", per_s / 2, per_s * 2, protocol=many),
        Measurement("energy_per_request_j", None, "J", protocol=many, reason="no counter"),
        Measurement("usd_per_hour", 0.36, "USD/h", protocol="run"),
        Measurement("utilisation", 0.5, "1", protocol="run"),
    )
    documents = {"device": {"name": "CPU A"}, "conditions": {"grid_g_per_kwh": 400.0}}
    body = {"name": name, "recommender": recommender, "seed": seed}
    return Row(run_id or name, study, name, "finished", stored_run(body), figures, documents)


def figure_changed(row: Row, name: str, **values: object) -> Row:
    """The row with other values in the figures of a name."""
    figures = tuple(
        replace(figure, **values) if figure.name == name else figure for figure in row.figures
    )
    return replace(row, figures=figures)


def people(value: Callable[[int], float] | float) -> People:
    """A value for each of `USERS`, constant or by user."""
    of = value if callable(value) else lambda _: value
    return of_mapping({user: float(of(user)) for user in USERS})


def mixed(level: float, step: float = 0.15) -> People:
    """People around a level, half of them above it and half below, in another order than `split`."""
    return people(lambda user: level + (step if user % 4 < 2 else -step))


def split(level: float, step: float = 0.15) -> People:
    """People around a level, the even ones below it and the odd ones above."""
    return people(lambda user: level + (step if user % 2 else -step))
