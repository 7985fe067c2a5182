"""Odd numbers for every numeric option, field and cell of the cost model, and what may come back.

A draw is one question through one front. It has to end in an answer whose every figure is finite,
or in a sentence for a person; anything else is a fault. The short version is a test; the long one is
`tests/benchmarks/plan_fuzz.py`.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import typer
from hypothesis import strategies as st
from typer.testing import CliRunner

from llmrec_core.cli import estimate, plan
from llmrec_core.costmodel.facts import config_reading, model_catalogue
from llmrec_core.costmodel.facts import prices as price_facts
from llmrec_core.costmodel.plan import jobs
from llmrec_core.costmodel.predict import counts, estimate_csv, query_rows, weights
from llmrec_core.errors import LlmrecError
from tests.costmodel.public_configs import PUBLIC

SPECIAL = (
    "0", "-0.0", "-1", "nan", "inf", "-inf", "1e308", "-1e308", "1e-308", "5e-324", "1e30", "1e400",
    "0.5", "1", "1.5", "2", "3", "1e6", "1e9", "9" * 30, "9" * 400, "-9" * 20, "1e15", "99.99999",
)  # fmt: skip
PLAN = {
    "--users": "1e6",
    "--requests-per-user-day": "2",
    "--peak": "2.5",
    "--p95-ms": "200",
    "--candidates": "50",
    "--history-tokens": "100",
    "--candidate-tokens": "10",
    "--keep": "20",
    "--hit-rate": "0.3",
    "--availability": "0.999",
    "--each-up": "0.99",
    "--spare": "1",
    "--largest-batch": "8",
    "--retrain-hours": "10",
    "--usd-per-hour": "1",
}
OTHER_TRAFFIC = ("--requests-per-s", "--requests-per-day")
ESTIMATE = {
    "--batch": "4",
    "--input-tokens": "256",
    "--output-tokens": "16",
    "--devices": "2",
}
CELLS = ("params_m", "n_gpus", "batch_size", "seq_len", "input_len", "output_len")
FIELDS = {
    "plan_daily": "1e6",
    "plan_rate": "100",
    "plan_users": "1e6",
    "plan_each": "1",
    "plan_peak": "2",
    "plan_p95": "200",
    "plan_candidates": "50",
    "plan_history": "100",
    "plan_availability": "99.9",
    "plan_keep": "0",
    "plan_hits": "10",
    "plan_retrain": "0",
    "plan_most": "8",
    "plan_up": "99",
    "plan_spare": "1",
    "plan_purchase": "2000",
    "plan_years": "3",
    "plan_kwh": "0.15",
    "plan_if_daily": "1e7",
    "plan_if_p95": "100",
    "plan_if_peak": "3",
    "plan_if_hits": "50",
    "plan_if_keep": "10",
    "plan_steps": "200",
    "plan_batch": "8",
    "plan_tokens": "264",
    "plan_accumulate": "1",
}
"""Numeric fields of the Plan page, which its address fills."""
WORDS = re.compile(r"(?<![a-z])(nan|inf|infinity)(?![a-z])")

numbers = st.one_of(
    st.sampled_from(SPECIAL),
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers(-(10**40), 10**40).map(str),
    st.floats(1e-3, 1e4).map("{:.6g}".format),
)


def options(usual: dict[str, str]) -> st.SearchStrategy[dict[str, str]]:
    """Some options at usual values, up to three of them odd, the others left out."""

    def chosen(odd: dict[str, str], kept: set[str]) -> dict[str, str]:
        return {name: usual[name] for name in usual if name in kept} | odd

    return st.builds(
        chosen,
        st.dictionaries(st.sampled_from(sorted(usual)), numbers, min_size=1, max_size=3),
        st.sets(st.sampled_from(sorted(usual))),
    )


app = typer.Typer()
estimate.register(app)
plan.register(app)


def command(words: list[str]) -> str:
    """The answer of a command: its JSON line, or the sentence of a refusal.

    Raises:
        AssertionError: for a traceback or an answer that is not finite.
    """
    done = CliRunner().invoke(app, words)
    error = done.exception
    if isinstance(error, LlmrecError):
        return str(error)
    if isinstance(error, SystemExit) and error.code:
        assert error.code == 2, (words, done.output)  # an option that is no number at all
        return done.output
    assert error is None, (words, repr(error))
    finite(json.loads(done.stdout.splitlines()[-1]), words)
    return done.stdout


def finite(value: Any, where: Any) -> None:
    """Refuse a document that holds anything which is no number, or says so.

    Raises:
        AssertionError: naming the question.
    """
    if isinstance(value, float):
        assert math.isfinite(value), (where, value)
    elif isinstance(value, str):
        assert not WORDS.search(value.lower()), (where, value)
    elif isinstance(value, dict):
        for name, item in value.items():
            finite(item, (where, name))
    elif isinstance(value, list):
        for item in value:
            finite(item, where)


def words(name: str, chosen: dict[str, str], *more: str) -> list[str]:
    """A command line."""
    return [name, *more, *(f"{option}={value}" for option, value in chosen.items()), "--json"]


def plans() -> st.SearchStrategy[list[str]]:
    """Questions to `plan`, the traffic stated in any of three ways."""

    def line(chosen: dict[str, str], other: str, value: str, curve: bool) -> list[str]:
        if other:
            chosen = {k: v for k, v in chosen.items() if k != "--users"} | {other: value}
        more = ("--device", "L4,T4", *(("--curve",) if curve else ()))
        return words("plan", chosen, *more)

    others = st.sampled_from(("", *OTHER_TRAFFIC))
    return st.builds(line, options(PLAN), others, numbers, st.integers(0, 9).map(lambda n: n == 0))


def estimates() -> st.SearchStrategy[list[str]]:
    """Questions to `estimate` over tasks, models, runtimes and ways to share."""
    return st.builds(
        lambda chosen, model, task, runtime, sharing: words(
            "estimate",
            chosen,
            f"--model={model}",
            "--device=L4",
            f"--task={task}",
            f"--runtime={runtime}",
            f"--sharing={sharing}",
        ),
        options(ESTIMATE),
        st.sampled_from(("minilm-l6", "llama-3.1-8b", "mixtral-8x7b", "flan-t5-xl", "gemma-2-9b")),
        st.sampled_from(("inference", "prefill", "decode", "training")),
        st.sampled_from(("pytorch", "vllm", "llama.cpp", "tensorrt")),
        st.sampled_from(("", "tensor", "pipeline", "expert", "replicas")),
    )


def rows() -> st.SearchStrategy[dict[str, str]]:
    """Rows of a table whose numeric cells are odd."""
    usual = dict.fromkeys(query_rows.COLUMNS, "") | {
        "model": "bert-base",
        "arch": "encoder",
        "task": "inference",
        "gpu": "L4",
        "precision": "fp16",
        "metric": "latency_ms",
        "framework": "TensorRT",
    }
    return st.dictionaries(st.sampled_from(CELLS), numbers, min_size=1).map(lambda odd: usual | odd)


def row_answer(row: dict[str, str]) -> None:
    """Predict a row and look at what was added."""
    added = estimate_csv.predict_row(row)
    finite([added[name] for name in ("predicted", "low80", "high80")], row)


def configs() -> st.SearchStrategy[dict[str, Any]]:
    """Configs of public models with odd numbers in them."""
    odd = st.one_of(
        st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**30), 10**30), st.none()
    )
    return st.sampled_from(PUBLIC).flatmap(
        lambda model: st.dictionaries(
            st.sampled_from(sorted(model.config)), odd, min_size=1, max_size=2
        ).map(lambda changed: model.config | changed)
    )


def config_answer(config: dict[str, Any]) -> None:
    """Read a config and count with it."""
    try:
        shape = config_reading.from_config(config, "drawn")
    except LlmrecError:
        return
    finite(float(weights.weight_bytes(shape, "fp16")), config)
    finite(counts.kv_cache_bytes(shape, 1e8, 1e6), config)
    finite(counts.forward_flops(shape, 1e6, 1e8), config)


def trainings() -> st.SearchStrategy[dict[str, float]]:
    """Numbers of a training job and of an own device."""
    value = numbers.map(float_or_none).filter(lambda number: number is not None)
    names = ("steps", "batch", "tokens", "accumulate", "usd", "years", "kwh")
    return st.fixed_dictionaries(dict.fromkeys(names, value))


def float_or_none(text: str) -> float | None:
    """A drawn number as a float."""
    try:
        return float(text)
    except (ValueError, OverflowError):
        return None


def training_answer(drawn: dict[str, float]) -> None:
    """Cost a training job, and price an own device."""
    with contextlib.suppress(LlmrecError):
        price_facts.owned(drawn["usd"], drawn["years"], drawn["kwh"])
    try:
        job = jobs.Job(
            drawn["steps"], drawn["batch"], drawn["tokens"], accumulate=drawn["accumulate"]
        )  # type: ignore[arg-type] # whatever is typed
    except LlmrecError:
        return
    shape = model_catalogue.named("minilm-l6")
    from llmrec_core.costmodel.facts import devices

    for answer in jobs.costs(shape, [devices.named("L4")], job):
        spans = (answer.minutes, answer.memory_gb, answer.usd)
        finite([number for span in spans if span for number in vars(span).values()], drawn)


def addresses() -> st.SearchStrategy[dict[str, str]]:
    """Addresses of the Plan page."""
    return st.builds(
        lambda chosen, way, tab: chosen | {"plan_way": way, "plan_tab": tab},
        options(FIELDS),
        st.sampled_from(("day", "second", "users")),
        st.sampled_from(("devices", "users", "if", "training")),
    )


def shown_words(app_test: Any) -> Iterator[str]:
    """Everything a page shows as text, and its tables."""
    for kind in ("markdown", "caption", "error", "info", "metric"):
        for element in app_test.get(kind):
            yield str(element.value)


def page_answer(app_test: Any, address: dict[str, str]) -> None:
    """Look at a page that was opened by an address.

    Raises:
        AssertionError: for a traceback or a figure that is not finite.
    """
    assert not app_test.exception, (address, app_test.exception)
    for text in shown_words(app_test):
        assert not WORDS.search(text.lower().replace("\\", "")) or app_test.error, (address, text)
    for table in app_test.dataframe:
        for value in table.value.to_numpy().ravel():
            if isinstance(value, float) and math.isinf(value):
                raise AssertionError((address, value))
