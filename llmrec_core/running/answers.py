"""Answers to people's questions, from models that are kept loaded between them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from llmrec_core.contract.requests import (
    CountModelRequest,
    DiagnoseRequest,
    ExplainManyRequest,
    ExplainRequest,
    MetersRequest,
    ProfileRequest,
    RecommendRequest,
    Request,
    parse_request,
)
from llmrec_core.contract.steps import Progress, noting_steps, unnoted
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.profiling.timing import TimingWindow
from llmrec_core.recommenders.finished_run import Cache, load_run
from llmrec_core.running import model_sizes
from llmrec_core.running.asked_history import history_of
from llmrec_core.running.check_answers import check
from llmrec_core.running.profile_answer import profile
from llmrec_core.running.recommend_answer import recommend
from llmrec_core.settings import Settings


def answer(
    kind: str,
    payload: Mapping[str, Any],
    settings: Settings,
    cache: Cache | None = None,
    window: TimingWindow = contextlib.nullcontext,
    limit_s: float | None = None,
) -> dict[str, Any]:
    """The answer to a question of the ledger, as JSON.

    Args:
        kind: a name of `requests.KINDS`.
        payload: the question's fields.
        settings: where data sets and runs stand.
        cache: what the caller keeps between questions, if it asks more than once.
        window: in which the machine is the caller's alone, for what is timed.
        limit_s: seconds that a measurement may take; no limit when `None`.

    Raises:
        UsageError: for an unknown kind, a field out of its bounds, an unknown run, user, item or
            title.
    """
    request = parse_request(kind, payload)
    with noting_steps(kind, payload, settings) as progress:
        return answer_request(request, settings, cache, window, limit_s, progress)


def answer_request(
    request: Request,
    settings: Settings,
    cache: Cache | None = None,
    window: TimingWindow = contextlib.nullcontext,
    limit_s: float | None = None,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """The answer to a question, as JSON; see `answer`.

    Args:
        request: the question.
        settings: as for `answer`.
        cache: as for `answer`.
        window: as for `answer`.
        limit_s: as for `answer`.
        progress: called at each step of a long answer.
    """
    keep_freed_memory()
    cache = Cache() if cache is None else cache
    if isinstance(request, RecommendRequest):
        return recommend(request, settings, cache)
    if isinstance(request, ProfileRequest):
        return profile(request, settings, cache, window, limit_s, progress)
    if isinstance(request, ExplainRequest):
        return explain(request, settings, cache, progress)
    if isinstance(request, ExplainManyRequest):
        return explain_many(request, settings, cache, progress)
    if isinstance(request, MetersRequest):
        with window():
            return meters()
    if isinstance(request, CountModelRequest):
        return {"reason": model_sizes.ensure(request.model, settings.home)}
    if isinstance(request, DiagnoseRequest):
        return diagnose(request, settings, progress)
    return check(request, settings, window, progress)


def explain(
    request: ExplainRequest, settings: Settings, cache: Cache, progress: Progress = unnoted
) -> dict[str, Any]:
    """Why an item is recommended; see `explain/answer.py`."""
    from llmrec_core.explain.answer import explain_answer
    from llmrec_core.explain.steps import noting

    loaded = load_run(request.run, settings, cache)
    if request.history_titles:
        repeats = loaded.spec.protocol.repeats
        history = history_of(loaded.dataset, "", request.history_titles, repeats)
        request = dataclasses.replace(request, history=tuple(history.tolist()))
    return {"run": request.run} | explain_answer(
        loaded.recommender,
        loaded.dataset,
        loaded.spec,
        request,
        progress=noting(progress, t("prompts read")),
    )


def explain_many(
    request: ExplainManyRequest, settings: Settings, cache: Cache, progress: Progress = unnoted
) -> dict[str, Any]:
    """What moves a run's lists over many people; see `explain/many_users.py`.

    What it says about every single reason of the run is kept in the run's record.
    """
    from llmrec_core.explain.many_rows import DOCUMENT, summary
    from llmrec_core.explain.many_users import explain_many_answer
    from llmrec_core.explain.steps import noting

    loaded = load_run(request.run, settings, cache)
    body = explain_many_answer(
        loaded.recommender,
        loaded.dataset,
        loaded.spec,
        request,
        progress=noting(progress, t("people explained")),
    )
    ledger = Ledger.open(settings)
    earlier = ledger.document(request.run, DOCUMENT) or {}
    measured = {name: value for name, value in summary(body).items() if value is not None}
    ledger.add_document(request.run, DOCUMENT, earlier | measured)
    return {"run": request.run} | body


def diagnose(
    request: DiagnoseRequest, settings: Settings, progress: Progress = unnoted
) -> dict[str, Any]:
    """What a data set gives away; kept with its content, where pages and reports read it."""
    from llmrec_core.checks.diagnosis.answer import (
        diagnose_and_keep,
        diagnosis_of,
        remember_titles,
    )

    if request.model:
        findings = diagnosis_of(request.data, settings, progress)
        findings = remember_titles(
            request.data, request.model, findings, settings, progress=progress
        )
    else:
        findings = diagnose_and_keep(request.data, settings, progress=progress)
    return {"content_hash": findings.content_hash}


def meters() -> dict[str, Any]:
    """Peaks, clock, FLOP counter, and one measurement made twice."""
    from llmrec_core.profiling.meters import check_meters

    return {"checks": [dataclasses.asdict(check) for check in check_meters()]}
