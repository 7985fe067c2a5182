"""One question, one JSON answer: what the helper of the worker, the command line and the pages read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.coalitions import BASELINES, Coalitions
from llmrec_core.explain.counterfactual import Counterfactual, curves, smallest_set
from llmrec_core.explain.engine import Explanation, contrast, explain
from llmrec_core.explain.honesty import faithfulness, spearman
from llmrec_core.explain.question import Question, id_of, item_of, title_of
from llmrec_core.explain.words import change, sentence, warnings

PROOF_FORWARDS = 96
"""Coalitions that a counterfactual may score beyond the explanation's own."""
SENSITIVITY_BUDGET = 48
STRONGEST = 10


def explain_answer(
    recommender: Any, dataset: Dataset, spec: Any, payload: Mapping[str, Any], progress: Any = None
) -> dict[str, Any]:
    """Why `item`, as JSON.

    Args:
        payload: `user` (an id) or `history` (item codes, oldest first); `item`, `against?` (ids as text, or codes as
            whole numbers); `list?` (items shown with it: scored in the same passes, so that asking about them next is
            free); `without?` (history items to take away: the list is put in order again); `players?` history | fields | user | all; `budget?`, `error?`, `baseline?`, `target?`, `group_by?`,
            `withheld?` (an item the list was made without), `top_k?`, `honesty?` "full", `words?` (id of a history item to open); `scope?` "model" for the global view.

    Raises:
        LlmrecError: a sentence for every question that has no answer.
    """
    if payload.get("scope") == "model":
        from llmrec_core.explain.globalview import global_answer

        return global_answer(recommender, dataset, spec, payload)
    began = time.perf_counter()
    question = Question(recommender, dataset, payload)
    title = title_of(dataset, question.item)
    if not question.players:
        return _nothing(question, title, began)
    game = question.game()
    before, spent = game.forwards, game.cpu_seconds
    together = [*([question.against] if question.against is not None else []), *question.listed]
    found = question.explain(question.item, together, progress)
    body: dict[str, Any] = {
        "item_id": id_of(dataset, question.item),
        "title": title,
        "base": found.base,
        "prediction": found.prediction,
        "players": _players_json(question, found),
        "text": sentence(title, found),
        "exact": found.exact,
        "estimated_error": found.relative_error,
        "additivity_gap": found.additivity_gap,
        "target": found.target,
        "baseline": found.baseline,
        "interactions": _interactions(found),
        "leave_one_out": [None if value != value else float(value) for value in found.leave_one_out],
        "notes": question.notes,
    }
    rival = None
    if question.against is not None:
        rival = question.explain(question.against)
        body["contrast"] = _contrast(question, found, rival)
    body["smallest_set"] = _smallest(question, game, found)
    body["others"] = _others(question, game, found)
    body["curves"] = _curves(game, question, found)
    body["honesty"] = _honesty(question, game, found)
    if payload.get("without"):
        body["without"] = _without(question, game, found)
    if payload.get("words") not in (None, ""):
        body["words"] = _words(question, found)
    body["forwards"] = game.forwards - before
    body["seconds"] = time.perf_counter() - began
    body["honesty"] |= {
        "forwards": body["forwards"],
        "remembered": body["forwards"] == 0,
        "cpu_seconds": game.cpu_seconds - spent,
        **_spent(body["seconds"]),
    }
    return body


def _players_json(question: Question, found: Explanation) -> list[dict[str, Any]]:
    rows = []
    for player, value, error in zip(found.players, found.values, found.errors, strict=True):
        items = [int(question.items[place]) for place in player.places]
        rows.append(
            {
                "item_id": id_of(question.dataset, items[0]) if player.kind == "item" else "",
                "title": player.label,
                "kind": player.kind,
                "value": float(value),
                "error": float(error),
                "items": [id_of(question.dataset, item) for item in items],
                "back": len(question.items) - min(player.places) if player.places else None,
                "field": player.field,
            }
        )
    return rows


def _interactions(found: Explanation) -> list[dict[str, Any]] | None:
    """The strongest pairs, or None when not every coalition was scored."""
    table = found.interactions
    if table is None:
        return None
    pairs = [(i, j) for i in range(len(table)) for j in range(i)]
    pairs.sort(key=lambda pair: -abs(table[pair]))
    labels = [player.label for player in found.players]
    return [{"a": labels[i], "b": labels[j], "value": float(table[i, j])} for i, j in pairs[:STRONGEST]]


def _contrast(question: Question, first: Explanation, second: Explanation) -> dict[str, Any]:
    both = contrast(first, second)
    assert question.against is not None, "a contrast has two items"
    rival = title_of(question.dataset, question.against)
    return {
        "item_id": id_of(question.dataset, question.against),
        "title": rival,
        "base": both.base,
        "prediction": both.prediction,
        "players": _players_json(question, both),
        "text": sentence(title_of(question.dataset, first.item), both, rival),
        "seconds": both.seconds,
        "exact": both.exact,
    }


def _smallest(question: Question, game: Coalitions, found: Explanation) -> dict[str, Any]:
    """Out of the first k of the list, or below the item named in `against`."""
    if question.against is not None:
        rivals, places = [question.against], 1
    elif question.listed:
        rivals = question.listed
        places = min(int(question.payload.get("top_k") or max(len(rivals) // 2, 1)), len(rivals))
    else:
        return {"items": [], "players": [], "proved": False, "found": False, "reason": "name a rival or a list"}
    limit = int(question.payload.get("proof_budget") or PROOF_FORWARDS)
    change_of = smallest_set(
        game, question.item, rivals, places=places, together=question.listed, values=found.values, limit=limit
    )
    return _change_json(question, found, change_of)


def _change_json(question: Question, found: Explanation, change_of: Counterfactual) -> dict[str, Any]:
    labels = [player.label for player in found.players]
    places_of = [place for number in change_of.removed for place in found.players[number].places]
    return {
        "items": [id_of(question.dataset, int(question.items[place])) for place in places_of],
        "players": [labels[number] for number in change_of.removed],
        "found": change_of.found,
        "proved": change_of.proved,
        "forwards": change_of.forwards,
        "places": change_of.places,
        "rivals": [id_of(question.dataset, rival) for rival in change_of.rivals],
        "scores": list(change_of.scores),
        "text": change(
            change_of,
            title_of(question.dataset, question.item),
            labels,
            [title_of(question.dataset, rival) for rival in change_of.rivals],
        ),
    }


def _others(question: Question, game: Coalitions, found: Explanation) -> list[dict[str, Any]]:
    """The same for every other item of the list, and what would put it in front: a page contrasts without asking."""
    rows = []
    for other in question.listed:
        one = question.explain(other)
        below = smallest_set(game, question.item, [other], together=question.listed, limit=0, thin=False)
        rows.append(
            {
                "item_id": id_of(question.dataset, other),
                "title": title_of(question.dataset, other),
                "base": one.base,
                "prediction": one.prediction,
                "values": one.values.tolist(),
                "errors": one.errors.tolist(),
                "below": _change_json(question, found, below),
            }
        )
    return rows


def _without(question: Question, game: Coalitions, found: Explanation) -> dict[str, Any]:
    """The list in its order when some history items are taken away."""
    removed = {item_of(question.dataset, item, "without") for item in question.payload["without"]}
    numbers = [
        number
        for number, player in enumerate(found.players)
        if player.places and removed & {int(question.items[place]) for place in player.places}
    ]
    if not numbers:
        raise UsageError("none of the items in 'without' is in the history that the model reads; name one of its items")
    mask = game.everybody & ~sum(1 << number for number in numbers)
    items = [question.item, *([question.against] if question.against is not None else []), *question.listed]
    scores, before = game.values(np.array([mask, game.everybody]), items)
    order = np.argsort(-scores, kind="stable")
    return {
        "removed": [found.players[number].label for number in numbers],
        "items": [
            {
                "item_id": id_of(question.dataset, items[i]),
                "title": title_of(question.dataset, items[i]),
                "score": float(scores[i]),
                "before": float(before[i]),
            }
            for i in order
        ],
    }


def _curves(game: Coalitions, question: Question, found: Explanation) -> dict[str, Any] | None:
    """Scores as the strongest reasons come in and go out; only where they cost nothing or were asked for."""
    if found.full_table is None and question.payload.get("honesty") != "full":
        return None
    order = np.argsort(-found.values, kind="stable")
    coming, going = curves(game, [question.item], order.tolist())
    return {
        "order": [found.players[i].label for i in order],
        "insertion": coming[:, 0].tolist(),
        "deletion": going[:, 0].tolist(),
    }


def _honesty(question: Question, game: Coalitions, found: Explanation) -> dict[str, Any]:
    full = question.payload.get("honesty") == "full"
    body: dict[str, Any] = {
        "additivity_gap": found.additivity_gap,
        "estimated_error": found.relative_error,
        "exact": found.exact,
        "coalitions": len(found.masks),
        "of": 1 << len(found.players),
        "warnings": warnings(found),
        "faithfulness": None,
        "baseline_sensitivity": None,
    }
    if (full or found.full_table is not None) and len(found.players) > 1:
        measured = faithfulness(found, game)
        body["faithfulness"] = {
            "z": measured.z, "z_leave_one_out": measured.z_leave_one_out, "orders": measured.orders,
        }  # fmt: skip
    if full and len(found.players) > 1:
        body["baseline_sensitivity"] = _sensitivity(question, found)
    return body


def _sensitivity(question: Question, found: Explanation) -> list[dict[str, Any]]:
    """Rank correlation with the values under the other baselines, at a small budget."""
    rows = []
    for baseline in BASELINES:
        if baseline == found.baseline or (baseline == "mask" and not question.text):
            continue
        try:
            game = question.game(baseline)
        except UnsupportedError:
            continue
        n = len(found.players)
        other = explain(
            game, question.item, target=found.target, budget=max(SENSITIVITY_BUDGET, n + 2), baseline=baseline
        )
        same = int(np.argmax(other.values)) == int(np.argmax(found.values))
        rows.append({"baseline": baseline, "spearman": spearman(found.values, other.values), "same_top": same})
    return rows


def _words(question: Question, found: Explanation) -> dict[str, Any]:
    if not question.text:
        raise UnsupportedError("this recommender reads item ids, not words; only text models can be opened further")
    from llmrec_core.explain.drilldown import item_words

    wanted = item_of(question.dataset, question.payload["words"], "words")
    places = np.flatnonzero(question.items == wanted)
    if not len(places):
        raise UsageError(f"{title_of(question.dataset, wanted)!r} is not among the history items that are read")
    place = int(places[-1])
    total = next((float(v) for p, v in zip(found.players, found.values, strict=True) if p.places == (place,)), None)
    opened = item_words(question.reader, question.evaluator("remove"), question.item, place, total=total)
    return {
        "item_id": id_of(question.dataset, wanted),
        "title": title_of(question.dataset, wanted),
        "words": [
            {"word": w, "value": float(v), "error": float(e)}
            for w, v, e in zip(opened.words, opened.values, opened.errors, strict=True)
        ],
        "total": opened.total,
        "forwards": opened.forwards,
    }


def _nothing(question: Question, title: str, began: float) -> dict[str, Any]:
    """An empty history and a model without fields: the score is all there is to say."""
    score = float(question.reader.score([question.items], np.array([[question.item]]))[0, 0])
    seconds = time.perf_counter() - began
    return {
        "item_id": id_of(question.dataset, question.item), "title": title, "base": score, "prediction": score,
        "players": [], "text": f"{title} is scored without any history, so there is nothing to attribute.",
        "exact": True, "estimated_error": 0.0, "additivity_gap": 0.0, "target": "score", "baseline": question.baseline,
        "interactions": None, "leave_one_out": [], "smallest_set": None, "notes": question.notes, "forwards": 1,
        "seconds": seconds, "honesty": {"additivity_gap": 0.0, "estimated_error": 0.0, "exact": True, "coalitions": 1,
            "of": 1, "warnings": [], "faithfulness": None, "baseline_sensitivity": None, "forwards": 1,
            "remembered": False, "cpu_seconds": seconds, **_spent(seconds)},
    }  # fmt: skip


@lru_cache(maxsize=1)
def _price() -> tuple[float | None, str]:
    from llmrec_core.profiling import device
    from llmrec_core.profiling.economics import economics_of

    economics = economics_of(device.describe())
    return economics.usd_per_hour, economics.price_source


def _spent(seconds: float) -> dict[str, Any]:
    """Dollars of the machine for so long, or why they are not known."""
    price, source = _price()
    return {"usd": None if price is None else price * seconds / 3600, "price_source": source}
