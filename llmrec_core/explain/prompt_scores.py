"""Coalitions of a language model's prompt: masks act on token ids, shared parts are read once.

An encoder's history tokens all see each other, so every coalition's history is read anew:
coalitions are sorted by length, padding is never computed, the last layer reads one token, and all
candidates hang on one reading. In mode `per_item` items do not see each other: each is read once in
each place that it can have, and a coalition reads its candidates alone. A decoder's coalitions are
branches of a prefix tree (prefix_tree.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from llmrec_core.contract.recommender import ReadsPrompts
from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.coalitions import owners
from llmrec_core.explain.players import Player, own_text
from llmrec_core.explain.prefix_tree import Segment, score_tree
from llmrec_core.language import t
from llmrec_core.models.per_item import CLOSING
from llmrec_core.models.prompt_layout import DECODER, ENCODER, MAX_ITEM_TOKENS
from llmrec_core.scoring.scorer import BATCH_TOKENS, FULL_BATCH_TOKENS, chunks

if TYPE_CHECKING:
    from llmrec_core.models.packed import History
    from llmrec_core.models.scorer_model import ScorerModel


Progress = Callable[[int, int], None]
"""Called with what is done and all that there is."""


class PromptScores:
    """Scores of coalitions by a language model recommender.

    Args:
        recommender: the language model.
        items: item codes of the history that is read, oldest first.
        players: whose presence varies; places count in `items`.
        baseline: `remove`, `mask` or `average`; the last needs `stand_ins`.
        stand_ins: item codes (backgrounds, history) in place of absent ones.
        progress: called with the prompts read and all prompts of a passage, after each batch.

    Raises:
        UnsupportedError: for `mask` where the tokenizer has no such token.
    """

    def __init__(
        self,
        recommender: ReadsPrompts,
        items: np.ndarray,
        players: Sequence[Player],
        *,
        baseline: str = "remove",
        stand_ins: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._progress = progress
        self.model, self.layout = recommender.model, recommender.layout
        self.dataset = recommender.dataset
        self.tokenizer = self.model.backbone.tokenizer
        self.template = DECODER if self.layout.decoder else ENCODER
        self.items, self.players, self.stand_ins = items, tuple(players), stand_ins
        self.owner = owners(players, len(items))
        self.mask_id = self.tokenizer.mask_token_id if baseline == "mask" else None
        if baseline == "mask" and self.mask_id is None:
            raise UnsupportedError(
                t(
                    "this tokenizer has no [MASK] token (decoders have none); choose the baseline "
                    "'remove' or 'average'"
                )
            )
        self.tokens_read = 0
        self._attributes = {
            number: self._attribute(player)
            for number, player in enumerate(self.players)
            if player.kind == "user"
        }
        self._fields = {
            number: player.field
            for number, player in enumerate(self.players)
            if player.kind == "field"
        }
        # with items read alone a place is one, however many tokens its item has
        by_tokens = baseline == "remove" and self.model.history_attention != "per_item"
        self.lengths = (
            [self._length(number) for number in range(len(self.players))] if by_tokens else None
        )
        self._candidates: dict[int, list[tuple[str, Segment]]] = {}

    def __call__(self, there: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """Scores float64 (coalitions, items) of coalitions as booleans (coalitions, players)."""
        candidates = [[self.candidate(item, row) for item in items] for row in there]
        if self.stand_ins is None:
            return self.scores_of([self.path(row) for row in there], candidates)
        total = np.zeros((len(there), len(items)))
        for other in self.stand_ins:
            total += self.scores_of([self.path(row, other) for row in there], candidates)
        return total / len(self.stand_ins)

    def scores_of(
        self, paths: Sequence[Sequence[Segment]], candidates: Sequence[Sequence[Segment]]
    ) -> np.ndarray:
        """Scores float64 (prompts, candidates) of prompts given as blocks of token ids.

        Args:
            paths: the blocks of each prompt before its candidates.
            candidates: the candidates of each prompt, token ids.
        """
        scores: np.ndarray
        scores, tokens_read = score_prompts(self.model, paths, candidates, self._progress)
        self.tokens_read += tokens_read
        return scores

    def path(self, there: np.ndarray, other: np.ndarray | None = None) -> list[Segment]:
        """The blocks of a prompt before the candidate.

        Args:
            there: which players are present, bool (players,).
            other: item codes (history,) that stand in for absent items.
        """
        path = [tuple(self.layout.opening)]
        path += [self.kept(ids, bool(there[number])) for number, ids in self._attributes.items()]
        for place, item in enumerate(self.items):
            owner = self.owner[place]
            piece = tuple(self.layout.pieces[item])
            if owner == len(self.players) or there[owner]:
                path.append(piece)
            elif other is not None:
                path.append(tuple(self.layout.pieces[other[place]]))
            else:
                path.append(self.kept(piece, False))
        path.append(tuple(self.layout.closing))
        return path

    def block_of(self, place: int) -> int:
        """Where the history item at `place` stands in a path."""
        return 1 + len(self._attributes) + place

    def candidate(self, item: int, there: np.ndarray) -> Segment:
        """Token ids of a candidate with the fields that are present.

        Args:
            item: its code.
            there: whether each field is present, bool, shape (fields,).
        """
        if not self._fields:
            return tuple(self.layout.candidates[item])
        absent = {name for number, name in self._fields.items() if not there[number]}
        parts = self._candidates.setdefault(item, self._split(item))
        return tuple(token for name, ids in parts for token in self.kept(ids, name not in absent))

    def kept(self, ids: Segment, there: bool) -> Segment:
        """The tokens of a part when it is there; else nothing, or as many [MASK] tokens.

        Args:
            ids: token ids of the part.
            there: whether it is present.
        """
        if there:
            return ids
        return () if self.mask_id is None else (self.mask_id,) * len(ids)

    def encoded(self, text: str) -> tuple[list[int], list[int]]:
        """Token ids of a text, and the character at which each token's own letters begin."""
        coded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts = []
        for start, stop in coded["offset_mapping"]:
            token = text[start:stop]
            starts.append(
                start + len(token) - len(token.lstrip())
            )  # a decoder's begins with a space
        return list(coded["input_ids"]), starts

    def _attribute(self, player: Player) -> Segment:
        text = self.layout.clean(f"{player.field} {player.value}")
        whole = f"{self.template.item_start}{text}{self.template.item_end}"
        return tuple(self.tokenizer(whole, add_special_tokens=False)["input_ids"])

    def _length(self, number: int) -> int:
        """Tokens that a player adds to the prompt; none for a field, whose depend on the item."""
        if number in self._attributes:
            return len(self._attributes[number])
        places = np.flatnonzero(self.owner == number)
        return sum(len(self.layout.pieces[self.items[place]]) for place in places)

    def _split(self, item: int) -> list[tuple[str, Segment]]:
        """A candidate's tokens by field, in order; ``""`` for those that always stay."""
        text = self.layout.candidate_texts[item]
        own = own_text(self.layout, self.dataset, item)
        row = self.dataset.items.iloc[item]
        title = self.layout.clean(str(row["title"]))
        year = row.get("year")
        year_at = -1 if pd.isna(year) else title.rfind(f"({year})")
        lead = len(self.template.candidate_start)
        ids, starts = self.encoded(self.template.candidate_start + text)
        ids = ids[:MAX_ITEM_TOKENS]
        full = self.layout.candidates[item]
        assert ids == full[: len(ids)], "the prompt layout tokenises candidates as is done here"
        parts: list[tuple[str, list[int]]] = []
        for token, start in zip(ids, starts, strict=False):
            name = _field_at(start - lead, len(title), len(own), year_at)
            if not parts or parts[-1][0] != name:
                parts.append((name, []))
            parts[-1][1].append(token)
        return [*((name, tuple(tokens)) for name, tokens in parts), ("", tuple(full[len(ids) :]))]


def _field_at(place: int, title_length: int, own_length: int, year_at: int) -> str:
    """The field that a character of a candidate's text belongs to.

    Args:
        place: position in the text; negative before it.
        title_length: characters of the title, with which the text begins.
        own_length: characters of the title and the genres, after which relations follow.
        year_at: where the year stands in the title, -1 where it does not.
    """
    if place < 0:
        return ""
    if place >= own_length:
        return "relations"
    if place >= title_length:
        return "genres"
    return "year" if 0 <= year_at <= place else "title"


@torch.inference_mode()
def score_prompts(
    model: ScorerModel,
    paths: Sequence[Sequence[Segment]],
    candidates: Sequence[Sequence[Segment]],
    progress: Progress | None = None,
) -> tuple[np.ndarray, int]:
    """Scores float64 (prompts, candidates), and how many tokens were read for them.

    Args:
        model: the language model and its head.
        paths: the blocks of token ids of each prompt before its candidates.
        candidates: for each prompt the same number of candidates as token ids.
        progress: called with the prompts read and all of them, after each batch.
    """
    progress = progress or _unnoted
    if model.layout.decoder:
        scores, tokens_read = score_tree(model, paths, candidates, progress)
        return scores, tokens_read
    if model.history_attention == "full":
        return _separate(model, paths, candidates, progress)
    if model.history_attention == "per_item":
        return _by_item(model, paths, candidates, progress)
    return _packed(model, paths, candidates, progress)


def _unnoted(done: int, total: int) -> None:
    pass


def _packed(
    model: ScorerModel,
    paths: Sequence[Sequence[Segment]],
    candidates: Sequence[Sequence[Segment]],
    progress: Progress,
) -> tuple[np.ndarray, int]:
    """An encoder that reads each history once for all of its candidates."""
    flat = [[token for segment in path for token in segment] for path in paths]
    scores = _on_histories(model, flat, model.read_history, candidates, progress)
    return scores, sum(map(len, flat)) + _tokens(candidates)


def _by_item(
    model: ScorerModel,
    paths: Sequence[Sequence[Segment]],
    candidates: Sequence[Sequence[Segment]],
    progress: Progress,
) -> tuple[np.ndarray, int]:
    """An encoder whose items do not see each other.

    Histories are put together from blocks (item, slot), each read once.
    """
    number_of: dict[tuple[Segment, int], int] = {}
    rows = []
    for path in paths:
        there = [segment for segment in path[1:-1] if segment]
        placed = [*zip(there, range(len(there) - 1, -1, -1), strict=True), (path[-1], CLOSING)]
        rows.append([number_of.setdefault(block, len(number_of)) for block in placed])
    blocks = [segment for segment, _ in number_of]
    read = model.read_blocks(blocks, [slot for _, slot in number_of])
    width = 1 + max(len(block) for block in blocks)
    places = [
        [0, *(number * width + 1 + i for number in row for i in range(len(blocks[number])))]
        for row in rows
    ]
    scores = _on_histories(
        model, places, lambda some: read.gathered(*model.tensors(some)), candidates, progress
    )
    return scores, sum(1 + len(block) for block in blocks) + _tokens(candidates)


def _on_histories(
    model: ScorerModel,
    rows: Sequence[Sequence[int]],
    read: Callable[[Sequence[Sequence[int]]], History],
    candidates: Sequence[Sequence[Segment]],
    progress: Progress,
) -> np.ndarray:
    """Scores of candidates on their histories, those of like length together.

    Args:
        model: the language model and its head.
        rows: token ids of each history, or their places in what was read before.
        read: makes histories of some rows.
        candidates: for each row the same number of candidates as token ids.
        progress: called with the rows read and all of them.
    """
    done = 0
    longest = max(len(segment) for row in candidates for segment in row)
    scores = np.empty((len(rows), len(candidates[0])))
    for chunk in chunks(
        np.array([len(row) for row in rows]) + longest * scores.shape[1], BATCH_TOKENS
    ):
        tokens, mask = model.tensors([segment for i in chunk for segment in candidates[i]])
        shape = (len(chunk), scores.shape[1], -1)
        states = read([rows[i] for i in chunk])
        some = model.score_candidates(states, tokens.view(shape), mask.view(shape))
        scores[chunk] = some.double().cpu().numpy()
        done += len(chunk)
        progress(done, len(rows))
    return scores


def _tokens(candidates: Sequence[Sequence[Segment]]) -> int:
    return sum(len(segment) for row in candidates for segment in row)


def _separate(
    model: ScorerModel,
    paths: Sequence[Sequence[Segment]],
    candidates: Sequence[Sequence[Segment]],
    progress: Progress,
) -> tuple[np.ndarray, int]:
    """Every pair alone, the way of mode `full`: history tokens see the candidate."""
    pairs = [
        ([token for segment in path for token in segment], list(segment))
        for path, row in zip(paths, candidates, strict=True)
        for segment in row
    ]
    lengths = np.array([len(history) + len(candidate) for history, candidate in pairs])
    scores, done = np.empty(len(pairs)), 0
    for chunk in chunks(lengths, FULL_BATCH_TOKENS):
        some = model.score_pairs([pairs[i][0] for i in chunk], [pairs[i][1] for i in chunk])
        scores[chunk] = some.double().cpu().numpy()
        done += len(chunk)
        progress(done, len(pairs))
    return scores.reshape(len(paths), -1), int(lengths.sum())
