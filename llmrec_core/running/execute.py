"""One run, from spec to record: fit, quality of its weights, cost of a process that serves them."""

from __future__ import annotations

import dataclasses
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec_core import __version__
from llmrec_core.checks.sanity import CheckResult, check_run
from llmrec_core.contract.families import family_named
from llmrec_core.contract.recommender import (
    Prepares,
    Recommender,
    Score,
    ServesInPrecision,
    TrainsByGradient,
    reader_of,
    routed_requests,
)
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import Dataset
from llmrec_core.language import t
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.facets import facets
from llmrec_core.metrics.intervals import paired_difference, share_interval
from llmrec_core.metrics.slices import slices
from llmrec_core.profiling import device as devices
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.profiling.economics import Economics, economics_of
from llmrec_core.profiling.measure import counted_flops, device_type
from llmrec_core.profiling.resident import highest_resident_bytes
from llmrec_core.profiling.served_elsewhere import meter_of
from llmrec_core.recommenders.registry import build
from llmrec_core.recommenders.remembered import Remembered
from llmrec_core.running.over_time import exam_over_time, measure_over_time
from llmrec_core.running.serving_cost import Serving, inside
from llmrec_core.running.showcase import showcase
from llmrec_core.running.worker_peaks import peaks_of_worker
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement

if TYPE_CHECKING:
    from llmrec_core.training.loop import TrainingResult

BEFORE_USERS = 24
"""Users on whom the untrained self is measured, a fixed part of the study's sample."""
SCORED_AT_ONCE = 8
"""Users scored together: as many as fit the memory of a language model."""


def execute(spec: RunSpec, dataset: Dataset, context: RunContext, settings: Settings) -> None:
    """Fit, measure and store one run; everything it finds goes to `context`.

    Args:
        spec: the run's.
        dataset: the version that the spec names.
        context: the run's side of the ledger.
        settings: where backbones stand.

    Raises:
        LlmrecError: whatever the parts raise; a `RunError` says how it ended.
    """
    keep_freed_memory()
    economics = _conditions(spec, context)
    exam = Exam.of(dataset, spec.protocol)
    later = exam_over_time(spec, dataset)
    _members(exam, context)
    if later is not None:
        _members(later, context, " time")
    recommender = build(spec, dataset, settings, parent=context.parent_model)
    before = _before_training(recommender, exam, spec, context) if _trains(spec) else None
    fit_s = _fit(recommender, exam, context, economics)
    recommender.save(context.folder / "model")
    reader = reader_of(recommender)
    if isinstance(reader, ServesInPrecision):
        reader.ready(spec.precision)
    memory = Remembered(recommender.score)
    meter = meter_of(
        recommender,
        exam.histories,
        exam.candidates,
        spec.protocol.k,
        precision=spec.precision,
        keep=memory.keep,
    )
    model = context.folder / "model"
    with Serving(spec, dataset.content_hash, model, context.should_stop) as served:
        with context.timing_window():
            served.window(meter)
        _quality(memory.score, exam, spec, context)
        _routing(recommender, exam, spec, context)
        if before is not None and isinstance(reader, TrainsByGradient) and reader.result:
            after = _first_users(memory.score, exam, spec)
            context.document("training", _training(reader.result, before, after))
        _check(recommender, exam, spec, fit_s, context, settings)
        showcase(recommender, memory.score, exam, spec, context)
        if later is not None:
            measure_over_time(later, spec, dataset, context, settings, SCORED_AT_ONCE)
        with context.timing_window():
            served.window(meter)
            peaks = peaks_of_worker(device_type(recommender), settings.home)
    counted = counted_flops(recommender, exam.histories, exam.candidates)
    context.measure(*meter.measurements(peaks, economics, counted))
    context.measure(*served.measurements())
    context.document("serving", inside(served.measurements()))
    for samples in meter.samples():
        context.keep(samples)
    context.document("windows", meter.windows())
    context.document("model", meter.describe().notes | {"precision": spec.precision})


def versions() -> dict[str, str]:
    """Versions of this code and of what decides its numbers."""
    names = ("torch", "transformers", "numpy", "pandas", "peft", "shap")
    return {"llmrec": __version__, "python": platform.python_version()} | {
        name: version(name) for name in names
    }


def _conditions(spec: RunSpec, context: RunContext) -> Economics:
    """Put versions, machine and prices into the record, and return the prices."""
    context.document("versions", versions())
    machine = devices.describe()
    context.document("device", machine.to_dict())
    economics = economics_of(machine)
    context.document(
        "conditions",
        dataclasses.asdict(economics) | {"command": f"python -m llmrec_core run, spec {spec.hash}"},
    )
    return economics


def _trains(spec: RunSpec) -> bool:
    """Whether this run moves weights by gradient."""
    family = family_named(spec.recommender.family)
    return family.is_trained and spec.recommender.learns and not spec.borrows_weights


def _members(exam: Exam, context: RunContext, of_split: str = "") -> None:
    """Which users are in which slice, so that slices of two runs compare user by user.

    Args:
        exam: whose people are told apart.
        context: the run's side of the ledger.
        of_split: ends the documents' names where the exam is not the run's own.
    """
    users = np.array([case.user for case in exam.cases])
    masks = slices(exam.split, exam.cases)
    context.document(
        f"slices{of_split}",
        {name: users[mask].tolist() for name, mask in masks.items() if name != "all"},
    )
    groups = {
        name: {"names": list(facet.names), "groups": facet.groups.tolist()}
        for name, facet in facets(exam.split, exam.cases).items()
    }
    context.document(f"facets{of_split}", {"users": users.tolist(), "facets": groups})


def _before_training(
    recommender: Recommender, exam: Exam, spec: RunSpec, context: RunContext
) -> dict[str, Any]:
    """What the untrained self is worth on a few users."""
    if isinstance(recommender, Prepares):
        recommender.prepare(exam.split, context)
    return _first_users(recommender.score, exam, spec)


def _fit(recommender: Recommender, exam: Exam, context: RunContext, economics: Economics) -> float:
    """Fit, put into the record what that took, and return its seconds."""
    start = context.clock  # stands still while a person's question is answered
    recommender.fit(exam.split, context)
    reader = reader_of(recommender)
    result = reader.result if isinstance(reader, TrainsByGradient) else None
    # A resumed run's training began in an earlier attempt: the loop adds up all of them.
    seconds = max(context.clock - start, result.seconds if result else 0.0)
    price = economics.usd_per_hour
    usd = (
        Measurement("train_usd", None, "USD", protocol="run", reason=economics.price_source)
        if price is None
        else Measurement("train_usd", seconds / 3600 * price, "USD", protocol="run")
    )
    context.measure(
        Measurement("train_s", seconds, "s", protocol="run"),
        usd,
        Measurement(
            "train_peak_memory_bytes", float(highest_resident_bytes()), "B", protocol="run"
        ),
    )
    return seconds


def _first_users(score: Score, exam: Exam, spec: RunSpec) -> dict[str, Any]:
    """NDCG of the first users, with its interval and the values behind it."""
    k, few = spec.protocol.k, min(BEFORE_USERS, len(exam.cases))
    rows, samples = evaluate(
        score,
        exam.split,
        exam.cases[:few],
        exam.candidates[:few],
        spec.protocol.name,
        k,
        batch=SCORED_AT_ONCE,
    )
    row = next(row for row in rows if row.name == f"ndcg@{k}" and row.slice == "all")
    values = next(sample.values for sample in samples if sample.name == f"ndcg@{k}")
    return {
        f"ndcg@{k}": row.value,
        "low": row.low,
        "high": row.high,
        "users": few,
        "values": values,
    }


def _training(
    result: TrainingResult, before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any]:
    """What training did, with quality before and after on the same users."""
    difference = paired_difference(np.array(after.pop("values")), np.array(before.pop("values")))
    return {
        "before": before,
        "after": after,
        **dataclasses.asdict(result),
        "difference": {
            "mean": difference.mean,
            "low": difference.low,
            "high": difference.high,
            "n": difference.n,
        },
    }


def _quality(score: Score, exam: Exam, spec: RunSpec, context: RunContext) -> None:
    """Measure the metrics of the protocol, and of full rankings where the spec asks for them."""
    protocol = spec.protocol
    plans: list[tuple[str, np.ndarray | str]] = [(protocol.name, exam.candidates)]
    if protocol.also_full and protocol.candidates != "full":
        plans.append((f"{protocol.split}/full", "full"))
    for name, offered in plans:
        rows, samples = evaluate(
            score,
            exam.split,
            exam.cases,
            offered,
            name,
            protocol.k,
            seed=protocol.seed,
            batch=SCORED_AT_ONCE,
            progress=lambda done, total: context.progress("evaluate", done, total),
        )
        context.measure(*rows)
        for kept in samples:
            context.keep(kept)


def _routing(recommender: Recommender, exam: Exam, spec: RunSpec, context: RunContext) -> None:
    """Measure how many of the people's requests a gate lets through to the language model."""
    routed = routed_requests(recommender, exam.histories, exam.candidates)
    if routed is None:
        return
    share, low, high = share_interval(int(routed.sum()), len(routed))
    context.measure(
        Measurement(
            "requests_read",
            share,
            "1",
            low,
            high,
            len(routed),
            protocol=spec.protocol.name,
        )
    )


def _check(
    recommender: Recommender,
    exam: Exam,
    spec: RunSpec,
    fit_s: float,
    context: RunContext,
    settings: Settings,
) -> None:
    """Put into the record whether its figures can be believed; what failed goes to the log too."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            results = check_run(
                recommender.score,
                lambda data: build(spec, data, settings),
                exam,
                spec,
                fit_s,
                Path(folder),
            )
        except Exception as error:  # noqa: BLE001 - a check that breaks costs nobody the run
            reason = t("could not be made: {error}", error=f"{type(error).__name__}: {error}")
            context.log(t("the checks {reason}", reason=reason))
            results = [CheckResult("checks", None, reason)]
    for result in results:
        if result.passed is False:
            context.log(
                t("CHECK FAILED: {check}: {detail}", check=result.check, detail=result.detail)
            )
    context.document("checks", [dataclasses.asdict(result) for result in results])
