"""Inside one history item: which of its words carry its value.

The words are given Owen values (Owen 1977) by shap's Partition explainer. Its players are the other
parts of the prompt and the words; its masker says which are there, and the masked prompt is put
together from token ids here. The tree that it descends is balanced over the prompt in reading
order, with the words of the opened item as one branch; the other branches stay closed.

Against all coalitions of six items and three to six words this is nearer than random orders at the
same number of scorings (docs/explanation/shapley-values.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shap

from llmrec_core.data.item_texts import item_text
from llmrec_core.explain.players import Player
from llmrec_core.explain.prompt_scores import PromptScores
from llmrec_core.explain.question import Question
from llmrec_core.models.prompt_layout import MAX_ITEM_TOKENS

MAX_WORDS = 8
MAX_EVALUATIONS = 1000
"""Masks that the explainer may look at; each is scored once."""
OPEN, CLOSED = 1.0, -1.0
"""Height of a branch that the explainer descends, and of one that it takes whole."""


@dataclass(frozen=True)
class WordValues:
    """The value of a history item, shared among its words."""

    words: list[str]
    values: np.ndarray
    """Owen value of each word, float64 (words,)."""
    forwards: int
    """Prompts scored."""

    @property
    def total(self) -> float:
        """Value of the item: the sum of the words'."""
        return float(self.values.sum())


def words_of(question: Question, wanted: int) -> WordValues | None:
    """The words of a history item and what each adds to the score of the question's item.

    They share the item's own value where it plays alone. Of a blend, only what the language model
    contributes can be shared among words.

    Args:
        question: about an item of a list that a language model reads for.
        wanted: code of the history item; its latest occurrence is opened.

    Returns:
        None when the item is not among those that are read.
    """
    part = question.reader
    assert part is not None, "only a language model reads words"
    items = question.items[len(question.items) - part.reads :]
    places = np.flatnonzero(items == wanted)
    if not len(places):
        return None
    place = int(places[-1])
    shift = len(question.items) - part.reads
    scores = question.prompt_scores(part)
    opened = open_words(scores, question.item, place)
    weight = question.weight_of(part)
    number = next(
        (i for i, player in enumerate(question.players) if player.places == (place + shift,)), None
    )
    values = weight * opened.values
    if number is not None:
        own = question.explain_part(part)
        values = values + (weight * float(own.values[number]) - values.sum()) / len(values)
    return replace(opened, values=values)


def open_words(scores: PromptScores, item: int, place: int) -> WordValues:
    """Owen values of the words of the history item at `place` for the score of `item`.

    Args:
        scores: what scores prompts.
        item: code of the explained item.
        place: of the history item, 0 the oldest that is read.
    """
    words, word_of_token, piece = _words(scores, int(scores.items[place]))
    owner = int(scores.owner[place])
    others = [number for number in range(len(scores.players)) if number != owner]
    scored: dict[bytes, float] = {}

    def score(masks: np.ndarray) -> np.ndarray:
        rows = masks.astype(bool)
        missing = {row.tobytes(): row for row in rows if row.tobytes() not in scored}
        if missing:
            prompts = [
                _prompt(scores, others, row, place, word_of_token, piece)
                for row in missing.values()
            ]
            everybody = np.ones(len(scores.players), dtype=bool)
            candidates = [[scores.candidate(item, everybody)]] * len(prompts)
            fresh = scores.scores_of(prompts, candidates)[:, 0]
            scored.update(zip(missing, fresh.tolist(), strict=True))
        return np.array([scored[row.tobytes()] for row in rows])

    count = len(others) + len(words)
    tree = _tree(_before(scores.players, others, place), len(others), len(words))
    masker = shap.maskers.Partition(np.zeros((1, count)), clustering=tree)
    explainer = shap.explainers.Partition(score, masker)
    explained = explainer(np.ones((1, count)), max_evals=MAX_EVALUATIONS, silent=True)
    return WordValues(words, explained.values[0][len(others) :], len(scored))


def _words(scores: PromptScores, item: int) -> tuple[list[str], list[int], list[int]]:
    """The words of an item's text, the word of each of its tokens (-1: none), and its token ids."""
    text = scores.layout.clean(item_text(scores.dataset, item, genres=False))
    edges = [match.start() for match in re.finditer(r"\S+", text)]
    edges = edges[:MAX_WORDS]  # the rest of a long title belongs to its last word
    labels = [text[a:b].strip() for a, b in zip(edges, [*edges[1:], len(text)], strict=True)]
    lead = len(scores.template.item_start)
    _, starts = scores.encoded(scores.template.item_start + text)
    word_of_token = [
        int(np.searchsorted(edges, start - lead, side="right")) - 1 if start >= lead else -1
        for start in starts[:MAX_ITEM_TOKENS]
    ]
    piece = list(scores.layout.pieces[item])
    return labels, word_of_token + [-1] * (len(piece) - len(word_of_token)), piece


def _prompt(
    scores: PromptScores,
    others: Sequence[int],
    mask: np.ndarray,
    place: int,
    word_of_token: Sequence[int],
    piece: Sequence[int],
) -> list[tuple[int, ...]]:
    """The prompt with some other players and some words of the item at `place`.

    Args:
        scores: whose prompt it is.
        others: numbers of the other players.
        mask: which of them, and after them which words, are there.
        place: of the opened item.
        word_of_token: the word of each token of the item; its separators come with any word.
        piece: token ids of the item.
    """
    there = np.zeros(len(scores.players), dtype=bool)
    there[list(others)] = mask[: len(others)]
    words = mask[len(others) :]
    path = scores.path(there)
    kept: list[int] = []
    for token, word in zip(piece, word_of_token, strict=True):
        present = bool(words.any()) if word < 0 else bool(words[word])
        kept += scores.kept((token,), present)
    path[scores.block_of(place)] = tuple(kept)
    return path


def _before(players: Sequence[Player], others: Sequence[int], place: int) -> int:
    """How many of the other players stand before the opened item in the prompt."""
    return sum(
        players[number].kind == "user" or max(players[number].places, default=place) < place
        for number in others
    )


def _tree(before: int, others: int, words: int) -> np.ndarray:
    """A balanced tree over the players in reading order, the words in one branch.

    Args:
        before: other players that stand before the words.
        others: other players; they are the first leaves, the words follow.
        words: words of the opened item.

    Returns:
        float64 (leaves - 1, 4): left, right, height, leaves. Branches without a word are `CLOSED`.
    """
    leaves = others + words
    rows: list[list[float]] = []
    sizes = dict.fromkeys(range(leaves), 1)

    def join(nodes: Sequence[int], inside: int | None) -> int:
        if len(nodes) == 1:
            return nodes[0]
        middle = len(nodes) // 2
        left, right = join(nodes[:middle], inside), join(nodes[middle:], inside)
        number = leaves + len(rows)
        sizes[number] = sizes[left] + sizes[right]
        height = OPEN if inside is None or inside in nodes else CLOSED
        rows.append([left, right, height, sizes[number]])
        return number

    branch = join(range(others, leaves), None)
    join([*range(before), branch, *range(before, others)], branch)
    return np.array(rows, dtype=np.float64)
