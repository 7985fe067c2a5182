"""One question, one JSON answer: what the helper of the worker, the command line and the pages read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.coalitions import BASELINES, Coalitions, HistoryScores, Memory
from llmrec_core.explain.counterfactual import curves, smallest_set
from llmrec_core.explain.engine import Explanation, contrast, explain, explain_decayed
from llmrec_core.explain.honesty import faithfulness, spearman
from llmrec_core.explain.players import (
    KINDS, MAX_EXACT, MAX_PLAYERS, Player, backgrounds, field_players, history_players, read_items, user_players,
)  # fmt: skip
from llmrec_core.explain.words import change, sentence, warnings
from llmrec_core.types import Columns

PROOF_FORWARDS = 96
"""Coalitions that a counterfactual may score beyond the explanation's own."""
SENSITIVITY_BUDGET = 48
STRONGEST = 10
DECAYED = ("Ease", "ItemKnn", "TfIdf")
"""Recommenders whose score has a closed form."""

MEMORY = Memory()


class Question:
    """A payload, read and checked."""

    def __init__(self, recommender: Any, dataset: Dataset, payload: Mapping[str, Any]) -> None:
        self.dataset, self.payload = dataset, payload
        self.reader = getattr(recommender, "inner", recommender)
        self.notes: list[str] = []
        if self.reader is not recommender:
            self.notes.append(
                "This cascade's language model is explained; its retriever only chose which items it reads."
            )
        self.item = _item(dataset, payload.get("item"), "item")
        against = payload.get("against")
        self.against = None if against in (None, "") else _item(dataset, against, "against")
        if self.against == self.item:
            raise UsageError("'item' and 'against' are the same item; name two different ones")
        self.user: int | None = payload.get("player_user")
        self.history = self._history()
        self.listed = [_item(dataset, other, "list") for other in payload.get("list") or ()]
        self.listed = [other for other in dict.fromkeys(self.listed) if other not in (self.item, self.against)]
        self.text = hasattr(getattr(self.reader, "model", None), "layout")
        self.baseline = str(payload.get("baseline") or "remove")
        if self.baseline not in BASELINES:
            raise UsageError(f"baseline is {self.baseline!r}; expected one of {', '.join(BASELINES)}")
        if self.baseline == "mask" and not self.text:
            raise UnsupportedError("the baseline 'mask' needs a model that reads text; choose 'remove' or 'average'")
        self.items = read_items(self.reader, self.history)
        self.players = self._players()

    def _history(self) -> np.ndarray:
        payload, dataset = self.payload, self.dataset
        if payload.get("history") is not None:
            history = np.array([_item(dataset, item, "history") for item in payload["history"]], dtype=np.int64)
        elif payload.get("user") not in (None, ""):
            from llmrec_core.data.splits import ordered_rows

            self.user = dataset.user_code(str(payload["user"]))
            table = dataset.interactions.iloc[ordered_rows(dataset)]
            history = table.loc[table[Columns.USER] == self.user, Columns.ITEM].to_numpy(dtype=np.int64)
            if len(history) and history[-1] == self.item:
                history = history[:-1]
                self.notes.append("The item is this person's last, withheld one: it is explained by what came before.")
        else:
            raise UsageError("say whose recommendation: a user id, or a history of item codes")
        if self.item in history:
            raise UsageError(
                f"{_title(dataset, self.item)!r} is already in this history, so it is not recommended and there is "
                "nothing to explain; choose an item of the list"
            )
        return history

    def _players(self) -> tuple[Player, ...]:
        kinds = self.payload.get("players") or "history"
        kinds = {"all": ["history", "fields"]}.get(kinds, [kinds]) if isinstance(kinds, str) else list(kinds)
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise UsageError(f"players {unknown[0]!r}; expected 'all' or some of {', '.join(KINDS)}")
        if "history" in kinds and not len(self.items):
            self.notes.append("The history is empty, so only the candidate's own fields can be reasons.")
            kinds = ["fields"]
        found: list[Player] = []
        if "user" in kinds:
            found += user_players(self.dataset, self.user, self.payload.get("attributes") or ())
            self.notes.append(
                "The user's attributes are put into the prompt for this explanation; the model does not read them "
                "otherwise, so the score differs from the list's."
            )
        if "history" in kinds:
            limit = int(self.payload.get("max_players") or MAX_PLAYERS)
            group_by = str(self.payload.get("group_by") or "recency")
            mine = history_players(self.dataset, self.items, limit=limit, group_by=group_by)
            if any(player.kind == "group" for player in mine):
                self.notes.append(
                    f"The {len(self.items)} history items are grouped into {len(mine)} by {group_by}: "
                    "a group comes and goes as one."
                )
            if len(self.items) < len(self.history):
                self.notes.append(
                    f"The model reads the last {len(self.items)} of {len(self.history)} history items; "
                    "older ones cannot be reasons."
                )
            found += mine
        if "fields" in kinds and self.text:
            decoder = self.reader.model.layout.decoder
            found += field_players(self.dataset, self.item, genres=not decoder)
        elif "fields" in kinds:
            self.notes.append("This recommender reads item ids, not text: a candidate has no fields to leave out.")
        return tuple(found)

    def game(self, baseline: str | None = None) -> Coalitions:
        """The remembered or new game of this prompt."""
        baseline = baseline or self.baseline
        key = (tuple(self.items.tolist()), self.players, baseline, self.dataset.content_hash)
        return MEMORY.game(self.reader, key, lambda: Coalitions(self.players, self.evaluator(baseline)))

    def evaluator(self, baseline: str) -> Any:
        stand_ins = backgrounds(self.dataset, len(self.items), avoid=self.item) if baseline == "average" else None
        if self.text:
            from llmrec_core.explain.language import PromptScores

            return PromptScores(self.reader, self.items, self.players, baseline=baseline, stand_ins=stand_ins)
        return HistoryScores(self.reader, self.items, self.players, stand_ins)

    def explain(self, item: int, together: Sequence[int] = (), progress: Any = None) -> Explanation:
        """One explanation with this question's target and budget."""
        payload = self.payload
        target = str(payload.get("target") or "score")
        budget = None if payload.get("budget") in (None, "") else int(payload["budget"])
        error = 0.05 if payload.get("error") in (None, "") else float(payload["error"])
        single = all(player.kind == "item" for player in self.players)
        if (
            type(self.reader).__name__ in DECAYED and single and len(self.players) > MAX_EXACT
            and self.baseline == "remove" and target == "score"
        ):  # fmt: skip
            return explain_decayed(self.game(), item, float(self.reader.decay))
        return explain(
            self.game(), item, together=together, target=target, budget=budget, error=error,
            seed=int(payload.get("seed") or 0), baseline=self.baseline, progress=progress,
        )  # fmt: skip


def explain_answer(
    recommender: Any, dataset: Dataset, spec: Any, payload: Mapping[str, Any], progress: Any = None
) -> dict[str, Any]:
    """Why `item`, as JSON.

    Args:
        payload: `user` (an id) or `history` (item codes, oldest first); `item`, `against?` (ids as text, or codes as
            whole numbers); `list?` (items shown with it: scored in the same passes, so that asking about them next is
            free); `players?` history | fields | user | all; `budget?`, `error?`, `baseline?`, `target?`, `group_by?`,
            `top_k?`, `honesty?` "full", `words?` (id of a history item to open); `scope?` "model" for the global view.

    Raises:
        LlmrecError: a sentence for every question that has no answer.
    """
    if payload.get("scope") == "model":
        from llmrec_core.explain.globalview import global_answer

        return global_answer(recommender, dataset, spec, payload)
    began = time.perf_counter()
    question = Question(recommender, dataset, payload)
    title = _title(dataset, question.item)
    if not question.players:
        return _nothing(question, title, began)
    game = question.game()
    before, spent = game.forwards, game.cpu_seconds
    together = [*([question.against] if question.against is not None else []), *question.listed]
    found = question.explain(question.item, together, progress)
    body: dict[str, Any] = {
        "item_id": _id(dataset, question.item),
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
    body["curves"] = _curves(game, question, found)
    body["honesty"] = _honesty(question, game, found)
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
                "item_id": _id(question.dataset, items[0]) if player.kind == "item" else "",
                "title": player.label,
                "kind": player.kind,
                "value": float(value),
                "error": float(error),
                "items": [_id(question.dataset, item) for item in items],
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
    rival = _title(question.dataset, question.against)
    return {
        "item_id": _id(question.dataset, question.against),
        "title": rival,
        "base": both.base,
        "prediction": both.prediction,
        "players": _players_json(question, both),
        "text": sentence(_title(question.dataset, first.item), both, rival),
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
    change_of = smallest_set(game, question.item, rivals, places=places, values=found.values, limit=limit)
    labels = [player.label for player in found.players]
    places_of = [place for number in change_of.removed for place in found.players[number].places]
    return {
        "items": [_id(question.dataset, int(question.items[place])) for place in places_of],
        "players": [labels[number] for number in change_of.removed],
        "found": change_of.found,
        "proved": change_of.proved,
        "forwards": change_of.forwards,
        "places": change_of.places,
        "rivals": [_id(question.dataset, rival) for rival in change_of.rivals],
        "scores": list(change_of.scores),
        "text": change(
            change_of, _title(question.dataset, question.item), labels, [_title(question.dataset, r) for r in rivals]
        ),
    }


def _curves(game: Coalitions, question: Question, found: Explanation) -> dict[str, Any] | None:
    """Scores as the strongest reasons come in and go out; only where they cost nothing or were asked for."""
    if found.full_table is None and question.payload.get("honesty") != "full":
        return None
    order = np.argsort(-found.values, kind="stable")
    coming, going = curves(game, [question.item], order)
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

    wanted = _item(question.dataset, question.payload["words"], "words")
    places = np.flatnonzero(question.items == wanted)
    if not len(places):
        raise UsageError(f"{_title(question.dataset, wanted)!r} is not among the history items that are read")
    place = int(places[-1])
    total = next(
        (float(v) for p, v in zip(found.players, found.values, strict=True) if p.places == (place,)), None
    )
    opened = item_words(question.reader, question.evaluator("remove"), question.item, place, total=total)
    return {
        "item_id": _id(question.dataset, wanted),
        "title": _title(question.dataset, wanted),
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
        "item_id": _id(question.dataset, question.item), "title": title, "base": score, "prediction": score,
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


def _item(dataset: Dataset, given: Any, name: str) -> int:
    """Code of an item given as code (whole number) or id (text)."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if 0 <= given < dataset.n_items:
            return int(given)
        raise UsageError(f"{name} has item code {given}; {dataset.name} has codes 0 to {dataset.n_items - 1}")
    if given in (None, ""):
        raise UsageError(f"{name} is missing; give the id of an item of {dataset.name}")
    return dataset.item_code(str(given))


def _title(dataset: Dataset, item: int) -> str:
    return str(dataset.items[Columns.TITLE].iloc[item]) or f"item {_id(dataset, item)}"


def _id(dataset: Dataset, item: int) -> str:
    return str(dataset.items[Columns.ITEM_ID].iloc[item])
