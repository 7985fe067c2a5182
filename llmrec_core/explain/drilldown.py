"""Inside one history item: which of its words carry its value (Owen values: Owen 1977)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_core.data.text import item_text
from llmrec_core.errors import UsageError
from llmrec_core.explain.language import PromptScores, score_prompts
from llmrec_core.models.prompts import DECODER, ENCODER, MAX_ITEM_TOKENS

MAX_WORDS = 8
DRAWS = 24
"""Random orders of the other items and of the words."""


@dataclass(frozen=True)
class WordValues:
    """The value of a history item, shared among its words."""

    words: list[str]
    values: np.ndarray
    errors: np.ndarray
    """Half-widths of 95 % intervals."""
    total: float
    """Value of the item: the sum of the words'."""
    forwards: int


def item_words(
    recommender: Any, scores: PromptScores, item: int, place: int, *, total: float | None = None, seed: int = 0
) -> WordValues:
    """Owen values of the words of history item `place` for the score of `item`.

    The other players come in random order before the item, then its words in random order: a word's value is the mean
    of what it adds. The words share `total`, the item's value, when that is known; separators come with the first word.

    Raises:
        UsageError: when the item is not in the history that is read.
    """
    if not 0 <= place < len(scores.items):
        raise UsageError(f"history place {place} of {len(scores.items)} items that are read; choose one of them")
    words, spans, piece = _words(scores, int(scores.items[place]))
    owner = int(scores.owner[place])
    rng = np.random.default_rng(seed)
    others = [i for i in range(len(scores.players)) if i != owner]
    rows: dict[tuple[bytes, bytes], int] = {}
    paths: list[list[tuple[int, ...]]] = []
    candidates: list[list[tuple[int, ...]]] = []
    steps: list[tuple[np.ndarray, list[int]]] = []
    arrived, order, word_order = 0, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for draw in range(DRAWS):
        if draw % 2:  # every second draw is the opposite of the one before: their mean varies less
            arrived, order, word_order = len(others) - arrived, order[::-1], word_order[::-1]
        else:
            arrived = int(rng.integers(0, len(others) + 1))
            order, word_order = rng.permutation(len(others)), rng.permutation(len(words))
        there = np.zeros(len(scores.players), dtype=bool)
        there[[others[i] for i in order[:arrived]]] = True
        chosen = np.zeros(len(words), dtype=bool)
        visited = []
        for word in (None, *word_order):
            if word is not None:
                chosen[word] = True
            key = (there.tobytes(), chosen.tobytes())
            if key not in rows:
                rows[key] = len(paths)
                paths.append(_path(scores, there, place, chosen, spans, piece))
                everybody = there.copy()
                everybody[owner] = True
                candidates.append([scores._candidate(item, everybody)])
            visited.append(rows[key])
        steps.append((word_order, visited))
    found = score_prompts(scores.model, paths, candidates, scores)[:, 0]
    marginals = np.zeros((DRAWS, len(words)))
    for draw, (word_order, visited) in enumerate(steps):
        marginals[draw, word_order] = np.diff(found[visited])
    pairs = marginals.reshape(DRAWS // 2, 2, -1).mean(1)  # opposite orders are one draw
    values = pairs.mean(0)
    errors = 1.96 * pairs.std(0, ddof=1) / np.sqrt(len(pairs))
    if total is not None:
        values = values + (total - values.sum()) / len(words)
    return WordValues(words, values, errors, float(values.sum()), len(paths))


def _words(scores: PromptScores, item: int) -> tuple[list[str], list[int], list[int]]:
    """The words of an item's text, for each token of its piece the word it belongs to (-1: none), and the piece."""
    template = DECODER if scores.layout.decoder else ENCODER
    text = scores.layout.clean(item_text(scores.dataset, item, genres=False))
    found = list(re.finditer(r"\S+", text))
    if len(found) > MAX_WORDS:  # the rest of a long title is one word
        edges = [match.start() for match in found[: MAX_WORDS - 1]] + [found[MAX_WORDS - 1].start()]
    else:
        edges = [match.start() for match in found]
    labels = [text[a:b].strip() for a, b in zip(edges, [*edges[1:], len(text)], strict=True)]
    whole, lead = template.item_start + text, len(template.item_start)
    coded = scores.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    piece = list(scores.layout.pieces[item])
    spans = []
    for start, stop in coded["offset_mapping"][:MAX_ITEM_TOKENS]:
        start += len(whole[start:stop]) - len(whole[start:stop].lstrip())
        spans.append(int(np.searchsorted(edges, start - lead, side="right")) - 1 if start >= lead else -1)
    return labels, spans + [-1] * (len(piece) - len(spans)), piece


def _path(
    scores: PromptScores, there: np.ndarray, place: int, chosen: np.ndarray, spans: list[int], piece: list[int]
) -> list[tuple[int, ...]]:
    """The prompt with some other players and some words of the item at `place`."""
    path = scores._path(there, None)
    at = 1 + sum(player.kind == "user" for player in scores.players) + place
    kept: list[int] = []
    for token, word in zip(piece, spans, strict=True):
        if (word < 0 and chosen.any()) or (word >= 0 and chosen[word]):
            kept.append(token)
        elif scores.mask_id is not None:
            kept.append(scores.mask_id)
    path[at] = tuple(kept)
    return path
