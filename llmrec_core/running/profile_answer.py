"""What one request costs on this machine: of a finished run or a backbone, at one size or many."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.contract.recommender import Recommender, ServedElsewhere
from llmrec_core.contract.requests import ProfileRequest
from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.contract.steps import Progress, unnoted
from llmrec_core.costmodel.facts import this_machine
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import t
from llmrec_core.models.backbones import is_decoder
from llmrec_core.profiling import device
from llmrec_core.profiling.economics import economics_of
from llmrec_core.profiling.measure import (
    CostMeter,
    counted_flops,
    device_type,
    evenly_mixed,
)
from llmrec_core.profiling.profiler import TOKENS_PER_ITEM, profile_model
from llmrec_core.profiling.time_account import TimeAccount
from llmrec_core.profiling.timing import TimingWindow
from llmrec_core.recommenders.finished_run import Cache, load_run
from llmrec_core.recommenders.registry import build
from llmrec_core.running.profile_length import refuse_too_long
from llmrec_core.running.serving_cost import Serving
from llmrec_core.running.worker_peaks import peaks_of_worker
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement

REQUESTS = 16
"""Made-up requests that are measured in turn."""


@dataclass(frozen=True)
class _Subject:
    """What is measured."""

    recommender: Recommender
    dataset: Dataset
    spec: RunSpec
    model: Path
    """Folder of the saved recommender."""
    option: str
    """How the command line names it."""


def profile(
    request: ProfileRequest,
    settings: Settings,
    cache: Cache,
    window: TimingWindow = contextlib.nullcontext,
    limit_s: float | None = None,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """Cost of a run's model, or of a backbone with an untrained head, at the asked size.

    With `grid`, or for a `config.json` alone, the answer is the profiler's document instead, with
    sizes in tokens, layers and a roofline. `seconds` says where the time of the whole profile went.

    Args:
        request: what is profiled, and at which sizes.
        settings: where runs, models and this machine's peaks stand.
        cache: models that are loaded already.
        window: in which the machine is the profile's alone.
        limit_s: seconds that it may take, by the cost model; no limit when `None`.
        progress: called before each size of a grid.

    Raises:
        UsageError: for an unknown run, a precision that is not the run's, or more candidates than
            the catalogue holds.
        UnsupportedError: for a precision, runtime or device that this machine lacks.
    """
    account = TimeAccount(window)
    if limit_s is not None:
        refuse_too_long(request, settings, limit_s, account)
    if request.grid or request.model.endswith(".json"):
        body = _profile_grid(request, settings, account, progress)
    else:
        with tempfile.TemporaryDirectory() as folder:
            with account.part("load"):
                subject = _subject(request, settings, cache, Path(folder))
            body = _profile_subject(subject, request, settings, account)
    return body | {"seconds": account.seconds()}


def _profile_subject(
    subject: _Subject, request: ProfileRequest, settings: Settings, account: TimeAccount
) -> dict[str, Any]:
    """The profile at one size, measured in a process that serves the subject alone."""
    dataset = subject.dataset
    largest = max(request.candidates, request.history)
    if largest > dataset.n_items:
        raise UsageError(
            t(
                "{count} items are asked for; the catalogue of {name} has {n_items}",
                count=largest,
                name=dataset.name,
                n_items=dataset.n_items,
            )
        )
    rng = np.random.default_rng(0)
    drawn = [rng.choice(dataset.n_items, request.history, replace=False) for _ in range(REQUESTS)]
    offered = np.stack(
        [rng.choice(dataset.n_items, request.candidates, replace=False) for _ in drawn]
    )
    histories, offered = evenly_mixed(subject.recommender, drawn, offered)
    meter = CostMeter(
        subject.recommender,
        histories,
        offered,
        batch=request.batch,
        precision=subject.spec.precision,
    )
    serving = Serving(subject.spec, dataset.content_hash, subject.model)
    with serving as served:
        with account.timed("serve"):
            served.start(meter)
        with account.timed("requests"):
            served.window(meter)
    with account.timed("peaks"):
        peaks = peaks_of_worker(device_type(subject.recommender), settings.home)
    machine = device.describe()
    _remember(machine.to_dict(), peaks.gemm_flops_per_s, peaks.bandwidth_bytes_per_s, settings)
    with account.part("counting"):
        counted = counted_flops(subject.recommender, histories, offered)
    rows = [
        *meter.measurements(peaks, economics_of(machine), counted),
        *served.measurements(),
    ]
    return {
        "name": subject.spec.name,
        "rows": [dataclasses.asdict(row) for row in rows],
        "windows": meter.windows(),
        "conditions": {
            "precision": subject.spec.precision,
            "device": machine.name,
            "history_items": request.history,
            "data": dataset.name,
        },
        "command": f"python -m llmrec_core profile {subject.option}",
    }


def _subject(request: ProfileRequest, settings: Settings, cache: Cache, scratch: Path) -> _Subject:
    if not request.run:
        return _untrained(request, settings, scratch)
    loaded = load_run(request.run, settings, cache)
    if isinstance(loaded.recommender, ServedElsewhere):
        raise UnsupportedError(
            t(
                "{model} runs on its provider's machines, so it is not profiled here; the record "
                "of run {run} has its latency as it was seen",
                model=loaded.recommender.served_by(),
                run=request.run,
            )
        )
    if request.precision not in ("fp32", loaded.spec.precision):
        raise UsageError(
            t(
                "run {run} is in {precision}; queue a run of its weights in {wanted} to compare",
                run=request.run,
                precision=loaded.spec.precision,
                wanted=request.precision,
            )
        )
    return _Subject(
        loaded.recommender,
        loaded.dataset,
        loaded.spec,
        settings.runs / request.run / "model",
        f"--run {request.run}",
    )


def _untrained(request: ProfileRequest, settings: Settings, scratch: Path) -> _Subject:
    dataset = load_dataset("ml-100k", settings)
    decoder = is_decoder(request.model, settings)
    spec = RunSpec(
        name=t("{model}, not fine-tuned: cost only", model=request.model),
        recommender=RecommenderSpec(
            family="decoder" if decoder else "cross-encoder",
            backbone=request.model,
            head="yes-no" if decoder else "linear",
            history_items=max(request.history, 1),
        ),
        precision=request.precision,
        device=request.device,
    )
    recommender: Any = build(spec, dataset, settings)
    recommender.save(scratch)
    recommender.ready(request.precision)
    return _Subject(recommender, dataset, spec, scratch, f"--model {request.model}")


def _remember(
    machine: dict[str, Any],
    gemm_flops_per_s: float,
    bandwidth_bytes_per_s: float,
    settings: Settings,
) -> None:
    """Keep this machine as a device that `estimate` and `plan` know."""
    this_machine.remember(
        settings.home,
        this_machine.device_of(machine, gemm_flops_per_s, bandwidth_bytes_per_s),
    )


def _profile_grid(
    request: ProfileRequest, settings: Settings, account: TimeAccount, progress: Progress
) -> dict[str, Any]:
    model = request.model
    document = profile_model(
        model,
        settings,
        precision=request.precision,
        runtime=request.runtime,
        device_name=request.device,
        candidate_tokens=request.candidate_tokens,
        depth=request.depth,
        account=account,
        progress=progress,
        **_sizes(request),
    )
    peaks = document["peaks"]
    _remember(
        document["conditions"]["device"],
        peaks["gemm_flops_per_s"],
        peaks["bandwidth_bytes_per_s"],
        settings,
    )
    rows = [
        Measurement(name, row[key], unit, n=len(row["samples_s"]), protocol=_protocol(row))
        for row in document["grid"]
        for name, key, unit in (
            ("latency_p50_s", "p50_s", "s"),
            ("latency_p95_s", "p95_s", "s"),
            ("flops_per_request", "flops", "FLOP"),
            ("mfu", "mfu", "1"),
        )
    ]
    name = (
        t("{model}: cost only, random weights", model=model)
        if document["cost_only"]
        else t("{model}: cost only", model=model)
    )
    return document | {"name": name, "rows": [dataclasses.asdict(row) for row in rows]}


def _sizes(request: ProfileRequest) -> dict[str, Any]:
    """Sizes and repeats for the profiler; what the question leaves out keeps the profiler's own."""
    if request.grid:
        sizes: dict[str, Any] = {
            "batches": request.batches,
            "history_tokens": request.history_tokens,
            "candidates": request.candidate_counts,
        }
    else:
        sizes = {
            "batches": (request.batch,),
            "history_tokens": (TOKENS_PER_ITEM * max(request.history, 1),),
            "candidates": (request.candidates,),
        }
    sizes = {name: values for name, values in sizes.items() if values}
    return sizes if request.repeats is None else sizes | {"repeats": request.repeats}


def _protocol(row: Mapping[str, Any]) -> str:
    return (
        f"request/{row['candidates']}/batch-{row['batch']}/history-{row['history_tokens']}-tokens"
    )
