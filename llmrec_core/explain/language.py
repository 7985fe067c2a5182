"""Coalitions of a language model's prompt: masks act on token ids, and what coalitions share is read once.

An encoder's history tokens all see each other, so every coalition's history is read anew: coalitions are sorted by
length, padding is never computed, the last layer reads one token, and all candidates hang on one reading. In mode `per_item`
items do not see each other: each is read once in each place that it can have, and a coalition reads its candidates alone. A
decoder's coalitions are branches of a prefix tree (tree.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llmrec_core.data.text import item_text
from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.coalitions import owners
from llmrec_core.explain.players import Player
from llmrec_core.explain.tree import score_tree
from llmrec_core.models.per_item import CLOSING
from llmrec_core.models.prompts import DECODER, ENCODER, MAX_ITEM_TOKENS
from llmrec_core.scoring.scorer import BATCH_TOKENS, FULL_BATCH_TOKENS, chunks

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.models.packed import History
    from llmrec_core.models.scorer_model import ScorerModel

Segment = tuple[int, ...]


class PromptScores:
    """Scores of coalitions by a language model recommender.

    Args:
        items: the history that is read, oldest first.
        baseline: `remove`, `mask` or `average`; the last needs `stand_ins` (backgrounds, history) item codes.
    """

    def __init__(
        self,
        recommender: Any,
        items: np.ndarray,
        players: Sequence[Player],
        *,
        baseline: str = "remove",
        stand_ins: np.ndarray | None = None,
    ) -> None:
        self.model: ScorerModel = recommender.model
        self.layout = self.model.layout
        self.dataset: Dataset = recommender.dataset
        self.tokenizer = self.model.backbone.tokenizer
        self.items, self.players, self.stand_ins = items, tuple(players), stand_ins
        self.owner = owners(players, len(items))
        self.mask_id = self.tokenizer.mask_token_id if baseline == "mask" else None
        if baseline == "mask" and self.mask_id is None:
            raise UnsupportedError(
                "this tokenizer has no [MASK] token (decoders have none); choose the baseline 'remove' or 'average'"
            )
        self.tokens_read = 0
        template = DECODER if self.layout.decoder else ENCODER
        self._attributes = {
            number: self._ids(f"{template.item_start}{self.layout.clean(f'{p.field} {p.value}')}{template.item_end}")
            for number, p in enumerate(self.players)
            if p.kind == "user"
        }
        self._fields = {number: p.field for number, p in enumerate(self.players) if p.kind == "field"}
        by_tokens = (
            baseline == "remove" and self.model.history_attention != "per_item"
        )  # there a place is one, however long
        self.lengths = [self._length(number) for number in range(len(self.players))] if by_tokens else None
        self._candidates: dict[int, list[tuple[str, Segment]]] = {}

    def __call__(self, there: np.ndarray, items: Sequence[int]) -> np.ndarray:
        candidates = [[self._candidate(item, row) for item in items] for row in there]
        if self.stand_ins is None:
            return score_prompts(self.model, [self._path(row, None) for row in there], candidates, self)
        total = np.zeros((len(there), len(items)))
        for other in self.stand_ins:
            total += score_prompts(self.model, [self._path(row, other) for row in there], candidates, self)
        return total / len(self.stand_ins)

    def _length(self, number: int) -> int:
        """Tokens that a player adds to the prompt; a field's depend on the item, so it counts as none."""
        if number in self._attributes:
            return len(self._attributes[number])
        return sum(len(self.layout.pieces[self.items[place]]) for place in np.flatnonzero(self.owner == number))

    def _path(self, there: np.ndarray, other: np.ndarray | None) -> list[Segment]:
        """The blocks before the candidate."""
        path = [tuple(self.layout.opening)]
        path += [self._kept(ids, bool(there[number])) for number, ids in self._attributes.items()]
        for place, item in enumerate(self.items):
            owner = self.owner[place]
            if owner == len(self.players) or there[owner]:
                path.append(tuple(self.layout.pieces[item]))
            elif other is not None:
                path.append(tuple(self.layout.pieces[other[place]]))
            else:
                path.append(self._kept(tuple(self.layout.pieces[item]), False))
        path.append(tuple(self.layout.closing))
        return path

    def _candidate(self, item: int, there: np.ndarray) -> Segment:
        if not self._fields:
            return tuple(self.layout.candidates[item])
        absent = {name for number, name in self._fields.items() if not there[number]}
        parts = self._candidates.setdefault(item, self._split(item))
        return tuple(token for name, ids in parts for token in self._kept(ids, name not in absent))

    def _kept(self, ids: Segment, there: bool) -> Segment:
        if there:
            return ids
        return () if self.mask_id is None else (self.mask_id,) * len(ids)

    def _ids(self, text: str) -> Segment:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _split(self, item: int) -> list[tuple[str, Segment]]:
        """A candidate's tokens by field, in order; ``""`` for those that always stay."""
        template = DECODER if self.layout.decoder else ENCODER
        text = self.layout.clean(item_text(self.dataset, item, genres=not self.layout.decoder))
        whole = template.candidate_start + text
        row = self.dataset.items.iloc[item]
        title = self.layout.clean(str(row["title"]))
        year = row.get("year")
        year_at = title.rfind(f"({year})") if year == year and year is not None else -1
        lead = len(template.candidate_start)

        def field_at(place: int) -> str:
            place -= lead
            if place < 0:
                return ""
            if place >= len(title):
                return "genres"
            return "year" if 0 <= year_at <= place else "title"

        coded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = coded["input_ids"][:MAX_ITEM_TOKENS], coded["offset_mapping"][:MAX_ITEM_TOKENS]
        full = self.layout.candidates[item]
        assert ids == full[: len(ids)], "the prompt layout tokenises candidates as is done here"
        parts: list[tuple[str, list[int]]] = []
        for token, (start, stop) in zip(ids, offsets, strict=True):
            start += len(whole[start:stop]) - len(whole[start:stop].lstrip())  # a decoder's token begins with its space
            name = field_at(start)
            if not parts or parts[-1][0] != name:
                parts.append((name, []))
            parts[-1][1].append(token)
        return [*((name, tuple(tokens)) for name, tokens in parts), ("", tuple(full[len(ids) :]))]


@torch.inference_mode()
def score_prompts(
    model: ScorerModel,
    paths: Sequence[Sequence[Segment]],
    candidates: Sequence[Sequence[Segment]],
    counter: PromptScores | None = None,
) -> np.ndarray:
    """Scores (prompts, candidates) float64 of prompts given as blocks of token ids."""
    if model.layout.decoder:
        scores, read = score_tree(model, paths, candidates)
    elif model.history_attention == "full":
        scores, read = _separate(model, paths, candidates)
    elif model.history_attention == "per_item":
        scores, read = _by_item(model, paths, candidates)
    else:
        scores, read = _packed(model, paths, candidates)
    if counter is not None:
        counter.tokens_read += read
    return scores


def _packed(
    model: ScorerModel, paths: Sequence[Sequence[Segment]], candidates: Sequence[Sequence[Segment]]
) -> tuple[np.ndarray, int]:
    """An encoder that reads each history once for all of its candidates."""
    flat = [[token for segment in path for token in segment] for path in paths]
    scores = _on_histories(model, flat, model.read_history, candidates)
    return scores, sum(map(len, flat)) + _tokens(candidates)


def _by_item(
    model: ScorerModel, paths: Sequence[Sequence[Segment]], candidates: Sequence[Sequence[Segment]]
) -> tuple[np.ndarray, int]:
    """An encoder whose items do not see each other: histories are put together from blocks (item, slot), each read once."""
    known: dict[tuple[Segment, int], int] = {}
    rows = []
    for path in paths:
        there = [segment for segment in path[1:-1] if segment]
        placed = [*zip(there, range(len(there) - 1, -1, -1), strict=True), (path[-1], CLOSING)]
        rows.append([known.setdefault(block, len(known)) for block in placed])
    blocks = [segment for segment, _ in known]
    read = model.read_blocks(blocks, [slot for _, slot in known])
    width = 1 + max(len(block) for block in blocks)
    places = [[0, *(number * width + 1 + i for number in row for i in range(len(blocks[number])))] for row in rows]
    scores = _on_histories(model, places, lambda some: read.gathered(*model.tensors(some)), candidates)
    return scores, sum(1 + len(block) for block in blocks) + _tokens(candidates)


def _on_histories(
    model: ScorerModel,
    rows: Sequence[Sequence[int]],
    read: Callable[[Sequence[Sequence[int]]], History],
    candidates: Sequence[Sequence[Segment]],
) -> np.ndarray:
    """Scores of candidates on their histories, those of like length together; `read` makes histories of some rows."""
    longest = max(len(segment) for row in candidates for segment in row)
    scores = np.empty((len(rows), len(candidates[0])))
    for chunk in chunks(np.array([len(row) for row in rows]) + longest * scores.shape[1], BATCH_TOKENS):
        tokens, mask = model.tensors([segment for i in chunk for segment in candidates[i]])
        shape = (len(chunk), scores.shape[1], -1)
        found = model.score_candidates(read([rows[i] for i in chunk]), tokens.view(shape), mask.view(shape))
        scores[chunk] = found.double().cpu().numpy()
    return scores


def _tokens(candidates: Sequence[Sequence[Segment]]) -> int:
    return sum(len(segment) for row in candidates for segment in row)


def _separate(
    model: ScorerModel, paths: Sequence[Sequence[Segment]], candidates: Sequence[Sequence[Segment]]
) -> tuple[np.ndarray, int]:
    """Every pair alone, the way of mode `full`: history tokens see the candidate."""
    pairs = [
        ([token for segment in path for token in segment], list(segment))
        for path, row in zip(paths, candidates, strict=True)
        for segment in row
    ]
    lengths = np.array([len(history) + len(candidate) for history, candidate in pairs])
    scores = np.empty(len(pairs))
    for chunk in chunks(lengths, FULL_BATCH_TOKENS):
        found = model.score_pairs([pairs[i][0] for i in chunk], [pairs[i][1] for i in chunk])
        scores[chunk] = found.double().cpu().numpy()
    return scores.reshape(len(paths), -1), int(lengths.sum())
