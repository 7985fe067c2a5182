"""Lists and reasons of a few users for the record of a run: reading them needs no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmrec_core.contract.families import recorded_family
from llmrec_core.contract.recommender import Recommender, Score, ServedElsewhere
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.candidates import PADDING
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case
from llmrec_core.explain.answer import explain_answer
from llmrec_core.explain.occasion import evaluated
from llmrec_core.metrics.exam import Exam

SHOWN_USERS, EXPLAINED_USERS, EXPLAINED_DECODED = 16, 3, 1
"""Users whose lists are recorded, and whose reasons are; fewer of a decoder, which reads longer."""
LISTED = 10
"""Items of a list."""


def showcase(
    recommender: Recommender,
    score: Score,
    exam: Exam,
    spec: RunSpec,
    context: RunContext,
) -> None:
    """Write the documents `lists` and `explanations` of a run.

    The reasons are what a page gets when it asks for those of the first item of a list.

    Args:
        recommender: of the run, fitted.
        score: its score, from memory where it was computed before.
        exam: that of its evaluation.
        spec: of the run.
        context: of the run, which takes the documents.
    """
    parts, dataset = exam.split, exam.split.dataset
    users = dataset.users["user_id"].astype(str).tolist()
    shown: dict[str, Any] = {}
    reasons: dict[str, Any] = {}
    decodes = recorded_family(spec.recommender.family).group == "decoder"
    explained = EXPLAINED_DECODED if decodes else EXPLAINED_USERS
    if isinstance(recommender, ServedElsewhere):
        explained = 0
    for number, case in enumerate(exam.cases[:SHOWN_USERS]):
        offered = exam.candidates[number]
        scores = score([case.history], offered[None])[0]
        best = np.argsort(-scores, kind="stable")[:LISTED]
        best = best[offered[best] != PADDING]
        shown[users[case.user]] = _list_of(dataset, case, offered[best], scores[best])
        if number < explained:
            first, *others = offered[best].tolist()
            request = ExplainRequest(item=first, listed=tuple(others))
            occasion = evaluated(parts, case, spec.protocol)
            reasons[users[case.user]] = explain_answer(
                recommender, dataset, spec, request, occasion=occasion
            )
    context.document("lists", {"protocol": spec.protocol.name, "users": shown})
    context.document("explanations", reasons)


def _list_of(dataset: Dataset, case: Case, items: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """One user's list as JSON, with what came before it."""
    titles, ids = dataset.items["title"], dataset.items["item_id"].astype(str)
    withheld = int(case.relevant[0])
    return {
        "history": titles.iloc[case.history[-10:]].tolist(),
        "withheld": titles.iloc[withheld],
        "items": [
            {
                "item_id": ids.iloc[int(item)],
                "title": titles.iloc[int(item)],
                "score": float(score),
                "withheld": int(item) == withheld,
                "seen": False,
            }
            for item, score in zip(items, scores, strict=True)
        ],
    }
