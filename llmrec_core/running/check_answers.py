"""Answers that check a run or a data set; what they find is kept where pages and reports read it.

Each calls the function that its command calls, and takes the machine alone for a step at a time.
"""

from __future__ import annotations

import contextlib
from typing import Any, TypeAlias

from llmrec_core.contract.requests import (
    CheckDataRequest,
    CleanDataRequest,
    FetchDataRequest,
    LabelCurveRequest,
    PolicyEffectRequest,
    RobustnessRequest,
)
from llmrec_core.contract.steps import Progress, unnoted
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.profiling.timing import TimingWindow
from llmrec_core.settings import Settings

CheckRequest: TypeAlias = (
    RobustnessRequest
    | PolicyEffectRequest
    | LabelCurveRequest
    | CheckDataRequest
    | FetchDataRequest
    | CleanDataRequest
)


def check(
    request: CheckRequest,
    settings: Settings,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """Where the answer to such a question is kept.

    Args:
        request: the question.
        settings: where data sets and runs stand.
        window: in which the machine is the check's alone.
        progress: called at each step.

    Raises:
        UsageError: for an unknown run or data set, one without a model, or a method, family or
            switch that does not exist.
    """
    match request:
        case RobustnessRequest():
            return robustness(request, settings, window, progress)
        case PolicyEffectRequest():
            return policy_effect(request, settings, window, progress)
        case LabelCurveRequest():
            return label_curve(request, settings, window, progress)
        case CheckDataRequest():
            return check_data(request, settings, window, progress)
        case FetchDataRequest():
            return {"content_hash": load_dataset(request.data, settings).content_hash}
        case CleanDataRequest():
            return clean_data(request, settings)


def robustness(
    request: RobustnessRequest, settings: Settings, window: TimingWindow, progress: Progress
) -> dict[str, Any]:
    """What noise costs a run; the document is in its record."""
    from llmrec_core.checks.robustness import DOCUMENT, Plan, measure_run

    plan = Plan(users=request.users, seed=request.seed)
    ledger = Ledger.open(settings)
    body = measure_run(request.run, ledger, settings, plan, window=window, progress=progress)
    return {"run": request.run, "document": DOCUMENT, "users": body["users"]}


def policy_effect(
    request: PolicyEffectRequest, settings: Settings, window: TimingWindow, progress: Progress
) -> dict[str, Any]:
    """What a policy does to a run; the document is in its record."""
    from llmrec_core.checks.policy_effect import measure_run
    from llmrec_core.reading.check_results import POLICY_DOCUMENT

    body = measure_run(
        request.run,
        request.policy,
        Ledger.open(settings),
        settings,
        users=request.users,
        window=window,
        progress=progress,
    )
    return {"run": request.run, "document": POLICY_DOCUMENT, "users": body["users"]}


def label_curve(
    request: LabelCurveRequest, settings: Settings, window: TimingWindow, progress: Progress
) -> dict[str, Any]:
    """What labels buy; the curve is in the home, under a name that begins as its data set's."""
    from llmrec_core.checks.label_curve import Plan, measure_and_keep

    plan = Plan(
        request.data,
        tuple(sorted(request.labels)),
        request.methods,
        request.seeds,
        request.users,
        request.steps,
        request.depth,
    )
    _, path = measure_and_keep(plan, settings, beside=True, window=window, progress=progress)
    return {"curve": path.stem}


def check_data(
    request: CheckDataRequest, settings: Settings, window: TimingWindow, progress: Progress
) -> dict[str, Any]:
    """The sanity checks of a data set; the document is kept with its content."""
    from llmrec_core.running.data_check import Plan, check_and_keep

    plan = Plan(request.split, request.candidates, users=request.users)
    dataset = load_dataset(request.data, settings)
    body = check_and_keep(dataset, settings, plan, window=window, progress=progress)
    return {"content_hash": body["content_hash"]}


def clean_data(request: CleanDataRequest, settings: Settings) -> dict[str, Any]:
    """A cleaned version of a data set; its report is in the data set's manifest."""
    from llmrec_core.data.cleaning.cleaned_version import clean_and_store

    switches = {**dict.fromkeys(request.on, True), **dict.fromkeys(request.off, False)}
    cleaned = clean_and_store(request.data, settings, switches, request.k_core)
    return {"version": cleaned.version, "content_hash": cleaned.content_hash}
