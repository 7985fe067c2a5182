"""An item beside the others of its list: why it rather than a rival, and what would change that."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.explain.coalitions import everybody_of
from llmrec_core.explain.counterfactual import Counterfactual, smallest_set
from llmrec_core.explain.explanation import Explanation, contrast
from llmrec_core.explain.occasion import id_of, items_of, title_of
from llmrec_core.explain.question import Question
from llmrec_core.explain.sentences import change, reordering, sentence
from llmrec_core.language import t

PROOF_FORWARDS = 96
"""Coalitions that a counterfactual may score beyond the explanation's own."""

Json = dict[str, Any]


def contrast_with_rival(question: Question, explanation: Explanation) -> Json | None:
    """Why the item rather than the one named in `against`."""
    if question.against is None:
        return None
    both = contrast(explanation, question.explain(question.against))
    return both.to_json() | {"text": sentence(both)}


def smallest_change(question: Question, explanation: Explanation) -> Json | None:
    """What would put the item below the rival, or down the list; None where it stands alone.

    An item of the first half of the list has to leave that half, and every other to lose its place,
    unless the question says how many places count.
    """
    if question.against is not None:
        rivals, places = [question.against], 1
    elif question.listed:
        rivals = question.listed
        places = question.request.top_k or _places(question, rivals)
    else:
        return None
    change_of = smallest_set(
        question.game(),
        question.item,
        rivals,
        places=min(places, len(rivals)),
        together=question.listed,
        values=explanation.values,
        limit=question.request.proof_budget or PROOF_FORWARDS,
    )
    return _change_json(question, rivals, change_of)


def _places(question: Question, rivals: list[int]) -> int:
    game = question.game()
    everybody = np.array([everybody_of(game.players)])
    scores = game.values(everybody, [question.item, *rivals])[0]
    place = 1 + int((scores[1:] > scores[0]).sum())
    return max(len(rivals) // 2, 1, place)


def others(question: Question) -> list[Json]:
    """The same for every other item of the list, so that a page contrasts without asking again."""
    game = question.game()
    rows = []
    for other in question.listed:
        explanation = question.explain(other)
        below = smallest_set(
            game, question.item, [other], together=question.listed, limit=0, thin=False
        )
        rows.append(
            {
                "item_id": explanation.item_id,
                "title": explanation.title,
                "base": explanation.base,
                "prediction": explanation.prediction,
                "values": explanation.values.tolist(),
                "errors": explanation.errors.tolist(),
                "exact": explanation.exact,
                "below": _change_json(question, [other], below),
            }
        )
    return rows


def without(question: Question) -> Json | None:
    """The list in its order when the history items named in `without` are taken away.

    Raises:
        UsageError: when none of them is read.
    """
    if not question.request.without:
        return None
    game = question.game()
    removed = set(items_of(question.dataset, question.request.without, "without"))
    numbers = [
        number
        for number, player in enumerate(game.players)
        if removed & {int(question.items[place]) for place in player.places}
    ]
    if not numbers:
        raise UsageError(
            t(
                "none of the items in 'without' is in the history that the model reads; name one "
                "of its items"
            )
        )
    everybody = everybody_of(game.players)
    mask = everybody & ~sum(1 << number for number in numbers)
    items = np.array([question.item, *question.others])
    scores, before = game.values(np.array([mask, everybody]), items.tolist())
    listed = np.argsort(-before, kind="stable")
    items, scores, before = items[listed], scores[listed], before[listed]
    order = np.argsort(-scores, kind="stable")
    titles = [title_of(question.dataset, int(item)) for item in items]
    return {
        "removed": [game.players[number].label for number in numbers],
        "text": reordering(titles, order.tolist()),
        "items": [
            {
                "item_id": id_of(question.dataset, int(items[old])),
                "title": titles[old],
                "score": float(scores[old]),
                "before": float(before[old]),
                "place_before": int(old) + 1,
            }
            for old in order
        ],
    }


def _change_json(question: Question, rivals: list[int], change_of: Counterfactual) -> Json:
    players = question.players
    labels = [players[number].label for number in change_of.removed]
    titles = [title_of(question.dataset, rival) for rival in rivals]
    return change_of.to_json() | {
        "items": [item for number in change_of.removed for item in players[number].items],
        "players": labels,
        "rivals": [
            {"item_id": id_of(question.dataset, rival), "title": title}
            for rival, title in zip(rivals, titles, strict=True)
        ],
        "text": change(change_of, title_of(question.dataset, question.item), labels, titles),
    }
