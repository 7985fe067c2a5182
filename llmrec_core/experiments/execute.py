"""One run, from spec to record: fit, then quality and cost of the very same loaded weights."""

from __future__ import annotations

import dataclasses
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core import __version__
from llmrec_core.data.candidates import askable, candidate_sets, sample_cases
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split, split
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.sanity import check_run
from llmrec_core.experiments.spec import RunSpec
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.facets import facets
from llmrec_core.metrics.slices import slices
from llmrec_core.profiling import device as devices
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.profiling.economics import Economics, economics_of
from llmrec_core.profiling.measure import CostMeter, counted_flops
from llmrec_core.profiling.peaks import best_of, measure_peaks
from llmrec_core.recommenders.base import Recommender
from llmrec_core.recommenders.registry import build
from llmrec_core.recommenders.remembered import Remembered, Score
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement

BEFORE_USERS = 24
"""Users on whom the untrained self is measured, a fixed part of the study's sample."""
SHOWN_USERS, EXPLAINED_USERS, EXPLAINED_ITEMS = 16, 3, 6
LISTED = 10


def execute(spec: RunSpec, dataset: Dataset, context: RunContext, settings: Settings) -> None:
    """Fit, measure and store one run; everything it finds goes to `context`.

    Raises:
        LlmrecError: whatever the parts raise; a `RunFailed` says how it ended.
    """
    began = time.perf_counter()
    keep_freed_memory()
    context.document("versions", versions())
    found = devices.describe()
    context.document("device", found.to_dict())
    economics = economics_of(found)
    context.document(
        "conditions", dataclasses.asdict(economics) | {"command": f"python -m llmrec_core run, spec {spec.hash}"}
    )

    parts = askable(split(dataset, spec.protocol.split), spec.protocol.candidates)
    cases = sample_cases(parts.test, spec.protocol.users, spec.protocol.seed)
    candidates = candidate_sets(parts, cases, spec.protocol.candidates, spec.protocol.seed)
    _members(parts, cases, context)

    recommender = build(spec, dataset, settings, parent=context.parent_model)
    context.measure(Measurement("load_s", time.perf_counter() - began, "s", protocol="run"))
    trains = spec.recommender.adaptation != "none" and not spec.weights_from
    before = None
    if trains:
        if hasattr(recommender, "prepare"):
            recommender.prepare(parts, context)
        before = _first_users(recommender.score, parts, cases, candidates, spec)
    fit_s = _fit(recommender, parts, context, economics)
    recommender.save(context.folder / "model")
    reader = getattr(recommender, "inner", recommender)
    if hasattr(reader, "ready"):
        reader.ready(spec.precision)
    memory = Remembered(recommender.score)
    meter = CostMeter(
        recommender, [c.history for c in cases], candidates, spec.protocol.k, precision=spec.precision, keep=memory.keep
    )
    peaks = measure_peaks()
    with context.timing_window():
        meter.run(1)
    _quality(memory.score, parts, cases, candidates, spec, context)
    if trains:
        after = _first_users(memory.score, parts, cases, candidates, spec)
        context.document("training", _training(reader, before, after))
    _check(recommender, dataset, parts, spec, fit_s, context, settings)
    _showcase(recommender, memory.score, dataset, cases, candidates, spec, context)
    with context.timing_window():
        meter.run(2)
    peaks = best_of(peaks, measure_peaks())  # a peak measured beside another program is not one
    context.measure(*meter.measurements(peaks, economics, counted_flops(recommender, meter.histories, candidates)))
    for samples in meter.samples():
        context.keep(samples)
    context.document("windows", meter.windows())
    history = float(np.mean([len(c.history) for c in cases]))
    context.document("model", recommender.describe(history, candidates.shape[1]).notes | {"precision": spec.precision})


def versions() -> dict[str, str]:
    """Versions of this code and of what decides its numbers."""
    names = ("torch", "transformers", "numpy", "pandas", "peft", "shap")
    return {"llmrec": __version__, "python": platform.python_version()} | {name: version(name) for name in names}


def _members(parts: Split, cases: Sequence[Case], context: RunContext) -> None:
    """Which users are in which slice, so that slices of two runs can be compared user by user."""
    users = np.array([case.user for case in cases])
    masks = {name: mask for name, mask in slices(parts, cases).items() if name != "all"}
    context.document("slices", {name: users[mask].tolist() for name, mask in masks.items()})
    groups = {
        name: {"names": list(facet.names), "groups": facet.groups.tolist()}
        for name, facet in facets(parts, cases).items()
    }
    context.document("facets", {"users": users.tolist(), "facets": groups})


def _fit(recommender: Recommender, parts: Split, context: RunContext, economics: Economics) -> float:
    """Fits, measures what that took, and returns its seconds."""
    import resource

    start = context.clock  # stands still while a person's question is answered
    recommender.fit(parts, context)
    reader = getattr(recommender, "inner", recommender)
    result = getattr(reader, "result", None)
    # a resumed run's training began in an earlier attempt: the loop adds up what all attempts spent
    seconds = max(context.clock - start, result.seconds if result else 0.0)
    rows = [Measurement("train_s", seconds, "s", protocol="run")]
    if economics.usd_per_hour is None:
        rows.append(Measurement("train_usd", None, "USD", protocol="run", reason=economics.price_source))
    else:
        rows.append(Measurement("train_usd", seconds / 3600 * economics.usd_per_hour, "USD", protocol="run"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    context.measure(*rows, Measurement("train_peak_memory_bytes", float(peak), "B", protocol="run"))
    return seconds


def _first_users(
    score: Score, parts: Split, cases: Sequence[Case], candidates: np.ndarray, spec: RunSpec
) -> dict[str, Any]:
    k, few = spec.protocol.k, min(BEFORE_USERS, len(cases))
    rows, samples = evaluate(score, parts, cases[:few], candidates[:few], spec.protocol.name, k, batch=8)
    row = next(r for r in rows if r.name == f"ndcg@{k}" and r.slice == "all")
    values = next(s.values for s in samples if s.name == f"ndcg@{k}")
    return {f"ndcg@{k}": row.value, "low": row.low, "high": row.high, "users": few, "values": values}


def _training(reader: Any, before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    from llmrec_core.metrics.intervals import paired_difference

    body: dict[str, Any] = {"before": before, "after": after, **dataclasses.asdict(reader.result)}
    if before is not None:
        difference = paired_difference(np.array(after.pop("values")), np.array(before.pop("values")))
        body["difference"] = {
            "mean": difference.mean,
            "low": difference.low,
            "high": difference.high,
            "n": difference.n,
        }
    return body


def _quality(
    score: Score,
    parts: Split,
    cases: Sequence[Case],
    candidates: np.ndarray,
    spec: RunSpec,
    context: RunContext,
) -> None:
    protocol = spec.protocol
    plans: list[tuple[str, np.ndarray | str]] = [(protocol.name, candidates)]
    if protocol.also_full and protocol.candidates != "full":
        plans.append((f"{protocol.split}/full", "full"))
    for name, offered in plans:
        rows, samples = evaluate(
            score, parts, cases, offered, name, protocol.k, seed=protocol.seed, batch=8,
            progress=lambda done, total: context.progress("evaluate", done, total),
        )  # fmt: skip
        context.measure(*rows)
        for kept in samples:
            context.keep(kept)


def _check(
    recommender: Recommender,
    dataset: Dataset,
    parts: Split,
    spec: RunSpec,
    fit_s: float,
    context: RunContext,
    settings: Settings,
) -> None:
    """Whether this run's figures can be believed, into its record; what failed also into its log."""
    with tempfile.TemporaryDirectory() as folder:
        results = check_run(
            recommender.score, lambda data: build(spec, data, settings), parts, spec, fit_s, Path(folder)
        )
    for result in results:
        if result.passed is False:
            context.log(f"CHECK FAILED: {result.check}: {result.detail}")
    context.document("checks", [dataclasses.asdict(result) for result in results])


def _showcase(
    recommender: Recommender,
    score: Score,
    dataset: Dataset,
    cases: Sequence[Case],
    candidates: np.ndarray,
    spec: RunSpec,
    context: RunContext,
) -> None:
    """Lists and reasons of a few users, kept in the record so that they can be read without the weights."""
    from llmrec_core.explain.game import explain_item

    titles, ids = dataset.items["title"].tolist(), dataset.items["item_id"].astype(str).tolist()
    users = dataset.users["user_id"].astype(str).tolist()
    shown: dict[str, Any] = {}
    reasons: dict[str, Any] = {}
    for number, (case, offered) in enumerate(zip(cases[:SHOWN_USERS], candidates, strict=False)):
        scores = score([case.history], offered[None])[0]
        best = np.argsort(-scores, kind="stable")[:LISTED]
        withheld = int(case.relevant[0])
        shown[users[case.user]] = {
            "history": [titles[i] for i in case.history[-10:]],
            "withheld": titles[withheld],
            "items": [
                {
                    "item_id": ids[i],
                    "title": titles[i],
                    "score": float(s),
                    "withheld": int(i) == withheld,
                    "seen": False,
                }
                for i, s in zip(offered[best], scores[best], strict=True)
            ],
        }
        if number < EXPLAINED_USERS and spec.recommender.family != "decoder":
            explained = explain_item(
                getattr(recommender, "explained", recommender).score,
                case.history,
                int(offered[best[0]]),
                players=min(EXPLAINED_ITEMS, spec.recommender.history_items),
            )
            reasons[users[case.user]] = {
                "item_id": ids[explained.item],
                "title": titles[explained.item],
                "base": explained.base,
                "prediction": explained.prediction,
                "players": [
                    {"item_id": ids[i], "title": titles[i], "value": float(v)}
                    for i, v in zip(explained.players, explained.values, strict=True)
                ],
            }
    context.document("lists", {"protocol": spec.protocol.name, "users": shown})
    context.document("explanations", reasons)
