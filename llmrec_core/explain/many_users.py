"""Reasons over many users: what kind of history item moves a model, and are they about the model?

The rows made here, one per player of one explanation, are summed up in many_rows.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.contract.recommender import Recommender
from llmrec_core.contract.requests import ExplainManyRequest, ExplainRequest
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.candidates import sample_cases
from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import LlmrecError, UsageError
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.many_rows import agreement, attribute_shares, groups
from llmrec_core.explain.occasion import Occasion, evaluated
from llmrec_core.explain.parts import require_scored_here
from llmrec_core.explain.players import Player
from llmrec_core.explain.question import Question
from llmrec_core.explain.random_layers import randomised
from llmrec_core.explain.surrogate import surrogate
from llmrec_core.language import t
from llmrec_core.metrics.exam import protocol_split
from llmrec_core.types import Columns

GROUPED_BY = ("recency", "genre", "popularity")

Json = dict[str, Any]


def explain_users(
    recommender: Recommender,
    dataset: Dataset,
    spec: RunSpec,
    request: ExplainManyRequest,
    *,
    items: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Json]:
    """Rows, one per player, of explanations of many users' best recommendation.

    The recommendations are those of the run's evaluation.

    Args:
        recommender: of the run.
        dataset: its data.
        spec: its spec, which says how it was evaluated.
        request: how many users, and how each is explained.
        items: item ids to explain by user id, instead of the best one.
        progress: called with the number of users done and of all.

    Raises:
        UsageError: when no user has a history.
    """
    require_scored_here(recommender)
    protocol = spec.protocol
    parts = protocol_split(dataset, protocol)
    cases = sample_cases(parts.test, request.users, request.seed)
    cases = [case for case in cases if len(case.history)]
    if not cases:
        raise UsageError(
            t(
                "no user of {name!r} has a history, so there is nothing to explain",
                name=dataset.name,
            )
        )
    rarer = _share_of_rarer(parts.item_counts)
    rows: list[Json] = []
    for number, case in enumerate(cases):
        occasion = evaluated(parts, case, protocol)
        user_id = str(dataset.users[Columns.USER_ID].iloc[case.user])
        wanted = (items or {}).get(user_id)
        item = _best(recommender, occasion) if wanted is None else int(dataset.item_code(wanted))
        question = Question(recommender, dataset, occasion, _question_of(request, item))
        if question.players:
            least = len(question.players) + 2
            question.request = replace(question.request, budget=max(request.budget, least))
            rows += _rows(dataset, question, question.explain(item), user_id, rarer)
        if progress is not None:
            progress(number + 1, len(cases))
    return rows


def _best(recommender: Recommender, occasion: Occasion) -> int:
    scores = recommender.score([occasion.history], occasion.candidates[None])[0]
    return int(occasion.candidates[np.argmax(scores)])


def _question_of(request: ExplainManyRequest, item: int) -> ExplainRequest:
    """The question about one of the users."""
    return ExplainRequest(
        item=item,
        players=request.players,
        attributes=request.attributes,
        group_by=request.group_by,
        baseline=request.baseline,
        target=request.target,
        error=request.error,
        seed=request.seed,
    )


def _share_of_rarer(counts: np.ndarray) -> np.ndarray:
    """Share of the items that are rarer than each, 0 to 1."""
    ranks = np.argsort(np.argsort(counts, kind="stable"), kind="stable")
    return ranks / max(len(counts) - 1, 1)


def _rows(
    dataset: Dataset,
    question: Question,
    explanation: Explanation,
    user_id: str,
    rarer: np.ndarray,
) -> list[Json]:
    rows = []
    triples = zip(explanation.players, explanation.values, explanation.errors, strict=True)
    for player, value, error in triples:
        rows.append(
            {
                "user_id": user_id,
                "item_id": explanation.item_id,
                "kind": player.kind,
                "player": player.label,
                "field": player.field or "history",
                "value": float(value),
                "error": float(error),
                "base": explanation.base,
                "prediction": explanation.prediction,
                "history_items": len(question.items),
                "reads_text": question.reader is not None,
                **_seen(dataset, question, explanation.item, player, rarer),
            }
        )
    return rows


def _seen(
    dataset: Dataset, question: Question, item: int, player: Player, rarer: np.ndarray
) -> Json:
    """What can be seen of a history item beside the item that it speaks for."""
    if player.kind != "item":
        return {
            "player_id": "",
            "recency": None,
            "popularity": None,
            "genre": "",
            "shared_genres": None,
            "years_apart": None,
        }
    code = int(question.items[player.places[0]])
    ours, theirs = _genres(dataset, code), _genres(dataset, item)
    year, other = _year(dataset, code), _year(dataset, item)
    return {
        "player_id": player.item_id,
        "recency": player.back,
        "popularity": float(rarer[code]),
        "genre": ours[0] if ours else "",
        "shared_genres": len({*ours} & {*theirs}) / max(len({*ours, *theirs}), 1),
        "years_apart": None if year is None or other is None else abs(year - other),
    }


def _genres(dataset: Dataset, item: int) -> list[str]:
    return [name for name in str(dataset.items[Columns.GENRES].iloc[item]).split("|") if name]


def _year(dataset: Dataset, item: int) -> int | None:
    value = dataset.items[Columns.YEAR].iloc[item] if Columns.YEAR in dataset.items else None
    return None if value is None or pd.isna(value) else int(value)


# ── the answer ───────────────────────────────────────────────────────────────────────────────────


def explain_many_answer(
    recommender: Recommender,
    dataset: Dataset,
    spec: RunSpec,
    request: ExplainManyRequest,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Json:
    """The view of many users as JSON: rows, groups, surrogate, and the checks that were asked for.

    Args:
        recommender: of the run.
        dataset: its data.
        spec: its spec, which says how it was evaluated.
        request: `randomise` asks for the randomisation check, `attributes` for the bias probe.
        progress: called with the number of users done and of all, for the rows of histories.
    """
    began, cpu = time.perf_counter(), time.process_time()
    plain = replace(request, players=("history",), attributes=())
    rows = explain_users(recommender, dataset, spec, plain, progress=progress)
    body: Json = {
        "rows": rows,
        "users": len({row["user_id"] for row in rows}),
        "groups": {by: groups(rows, by) for by in GROUPED_BY},
        "surrogate": surrogate(rows),
        "randomisation": None,
        "bias": None,
        "fields": None,
        "reasons": [],
    }
    if any(row["reads_text"] for row in rows):
        with_fields = replace(plain, players=("history", "fields"))
        body["fields"] = groups(explain_users(recommender, dataset, spec, with_fields), "field")
    checks = {
        "randomisation": (request.randomise, _randomisation),
        "bias": (bool(request.attributes), _bias),
    }
    for name, (wanted, check) in checks.items():
        if wanted:
            try:
                body[name] = check(recommender, dataset, spec, request, rows)
            except LlmrecError as error:
                body["reasons"].append(str(error))
    body["seconds"], body["cpu_seconds"] = time.perf_counter() - began, time.process_time() - cpu
    return body


def _randomisation(
    recommender: Recommender,
    dataset: Dataset,
    spec: RunSpec,
    request: ExplainManyRequest,
    rows: Sequence[Json],
) -> Json:
    plain = replace(request, players=("history",), attributes=())
    same = {row["user_id"]: row["item_id"] for row in rows}
    blank = randomised(recommender, seed=request.seed)
    return agreement(rows, explain_users(blank, dataset, spec, plain, items=same))


def _bias(
    recommender: Recommender,
    dataset: Dataset,
    spec: RunSpec,
    request: ExplainManyRequest,
    rows: Sequence[Json],
) -> list[Json]:
    probed = replace(request, players=("user", "history"))
    return attribute_shares(explain_users(recommender, dataset, spec, probed))
