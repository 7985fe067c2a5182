"""Reading an answer again: its sentences in the reader's language, and its contrasts. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from llmrec_core.explain.counterfactual import Counterfactual
from llmrec_core.explain.explanation import Explanation, contrast
from llmrec_core.explain.sentences import change
from llmrec_core.retelling import retold


def contrast_in(body: Mapping[str, Any], rival: str) -> tuple[Explanation, str] | None:
    """Why the answer's item rather than `rival`, and what would put it below.

    Args:
        body: an answer of `explain_answer`, or the same in the record of a run.
        rival: id of the other item.
    """
    other = next((row for row in body.get("others") or [] if row["item_id"] == rival), None)
    if other is None:
        return None
    first = Explanation.from_json(body)
    second = replace(
        first,
        item_id=rival,
        title=str(other["title"]),
        base=float(other["base"]),
        prediction=float(other["prediction"]),
        values=np.array(other["values"], dtype=np.float64),
        errors=np.array(other["errors"], dtype=np.float64),
        exact=bool(other["exact"]),
    )
    return contrast(first, second), change_text(other["below"], first.title)


def change_text(section: Mapping[str, Any] | None, title: str) -> str:
    """What would change the recommendation, as a sentence; empty where the answer does not say.

    Args:
        section: `smallest_set` of an answer, or `below` of one of its others.
        title: of the answer's item.
    """
    if not section:
        return ""
    rivals = [str(rival["title"]) for rival in section["rivals"]]
    players = [retold(str(label)) for label in section["players"]]
    return change(Counterfactual.from_json(section), title, players, rivals)
