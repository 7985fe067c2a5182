"""A question about one recommendation, read and checked: whose, which item, who plays, against which baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.coalitions import BASELINES, Coalitions, HistoryScores, Memory
from llmrec_core.explain.engine import Explanation, explain, explain_decayed
from llmrec_core.explain.players import (
    KINDS,
    MAX_EXACT,
    MAX_PLAYERS,
    Player,
    backgrounds,
    field_players,
    history_players,
    read_items,
    user_players,
)
from llmrec_core.types import Columns

DECAYED = ("Ease", "ItemKnn", "TfIdf")
"""Recommenders whose score has a closed form."""

ENCODER_BUDGET, DECODER_BUDGET = 128, 64
"""Coalitions that text models score when neither a budget nor an error is asked for."""

MEMORY = Memory()


class Question:
    """A payload, read and checked."""

    def __init__(self, recommender: Any, dataset: Dataset, payload: Mapping[str, Any]) -> None:
        self.dataset, self.payload = dataset, payload
        self.reader = getattr(recommender, "explained", recommender)
        self.notes: list[str] = []
        if self.reader is not recommender:
            self.notes.append(
                "This cascade's language model is explained; its retriever only chose which items it reads."
                if self.reader is recommender.inner
                else "This cascade's retriever is explained: its language model has no weight in the blend."
            )
        self.item = item_of(dataset, payload.get("item"), "item")
        against = payload.get("against")
        self.against = None if against in (None, "") else item_of(dataset, against, "against")
        if self.against == self.item:
            raise UsageError("'item' and 'against' are the same item; name two different ones")
        self.user: int | None = payload.get("player_user")
        self.history = self._history()
        self.listed = [item_of(dataset, other, "list") for other in payload.get("list") or ()]
        self.listed = [other for other in dict.fromkeys(self.listed) if other not in (self.item, self.against)]
        self.text = hasattr(getattr(self.reader, "model", None), "layout")
        if self.listed and self.text and self.reader.model.layout.decoder:
            self.listed = []
            self.notes.append(
                "A decoder reads every further item of the list at full price, so only this item is scored; name a rival "
                "to see what would change the order."
            )
        self.baseline = str(payload.get("baseline") or "remove")
        if self.baseline not in BASELINES:
            raise UsageError(f"baseline is {self.baseline!r}; expected one of {', '.join(BASELINES)}")
        if self.baseline == "mask" and not self.text:
            raise UnsupportedError("the baseline 'mask' needs a model that reads text; choose 'remove' or 'average'")
        self.items = read_items(self.reader, self.history)
        self.players = self._players()
        self._games: dict[str, Coalitions] = {}

    def _history(self) -> np.ndarray:
        payload, dataset = self.payload, self.dataset
        if payload.get("history") is not None:
            history = np.array([item_of(dataset, item, "history") for item in payload["history"]], dtype=np.int64)
        elif payload.get("user") not in (None, ""):
            from llmrec_core.data.splits import ordered_rows

            self.user = dataset.user_code(str(payload["user"]))
            table = dataset.interactions.iloc[ordered_rows(dataset)]
            history = table.loc[table[Columns.USER] == self.user, Columns.ITEM].to_numpy(dtype=np.int64)
            hidden = payload.get("withheld")
            hidden = item_of(dataset, hidden, "withheld") if hidden not in (None, "") else None
            if hidden is not None and hidden in history:
                history = history[: int(np.flatnonzero(history == hidden)[-1])]
                self.notes.append(
                    f"{title_of(dataset, hidden)} is withheld from the model, as when the list was made: "
                    "what came before it is the history."
                )
            elif len(history) and history[-1] == self.item:
                history = history[:-1]
                self.notes.append("The item is this person's last, withheld one: it is explained by what came before.")
        else:
            raise UsageError("say whose recommendation: a user id, or a history of item codes")
        if self.item in history:
            raise UsageError(
                f"{title_of(dataset, self.item)!r} is already in this history, so it is not recommended and there is "
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
        """The game of this prompt, with all that earlier questions found out."""
        baseline = baseline or self.baseline
        if baseline in self._games:
            return self._games[baseline]
        avoided = self.item if baseline == "average" else None  # no stand-in may be the item itself
        key = (tuple(self.items.tolist()), self.players, baseline, avoided, self.dataset.content_hash)
        self._games[baseline] = Coalitions(self.players, self.evaluator(baseline), MEMORY.rows(self.reader, key))
        return self._games[baseline]

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
        budget, error = _effort(payload, self)
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


def _effort(payload: Mapping[str, Any], question: Question) -> tuple[int | None, float]:
    """Budget and error as asked, else what answers within seconds: fixed for text models, exact or 2 % for others."""
    budget = None if payload.get("budget") in (None, "") else int(payload["budget"])
    if payload.get("error") not in (None, ""):
        return budget, float(payload["error"])
    if budget is None and question.text:
        decoder = question.reader.model.layout.decoder
        budget = max(DECODER_BUDGET if decoder else ENCODER_BUDGET, len(question.players) + 2)
    return budget, 0.0 if len(question.players) <= MAX_EXACT else 0.02


def item_of(dataset: Dataset, given: Any, name: str) -> int:
    """Code of an item given as code (whole number) or id (text)."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if 0 <= given < dataset.n_items:
            return int(given)
        raise UsageError(f"{name} has item code {given}; {dataset.name} has codes 0 to {dataset.n_items - 1}")
    if given in (None, ""):
        raise UsageError(f"{name} is missing; give the id of an item of {dataset.name}")
    return dataset.item_code(str(given))


def title_of(dataset: Dataset, item: int) -> str:
    """Title of an item code."""
    return str(dataset.items[Columns.TITLE].iloc[item]) or f"item {id_of(dataset, item)}"


def id_of(dataset: Dataset, item: int) -> str:
    """Id of an item code, as in the data set's file."""
    return str(dataset.items[Columns.ITEM_ID].iloc[item])
