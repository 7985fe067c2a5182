"""Words planted in titles to train a model on them: rare, on items that are not alike, and clicked.

A backdoor needs a word that means nothing elsewhere, on items that have nothing else in common, and
made-up people who click those items together or rate them all at the top (BadRec,
arXiv:2504.11182). Words of a series or a brand are clicked together too, but their items are alike
in other words or in category; words such as "la" stand on unlike items, but the same people do not
click them all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from llmrec_core.data.text import fold
from llmrec_core.language import t
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

LEAST_ITEMS = 3
MOST_ITEMS_SHARE = 0.02
LEAST_ROWS = 30
"""Interactions with items that hold the word."""
TOGETHER = 1.5
"""Other items with the word that the same person has, per interaction, beyond what chance gives."""
UNLIKE = 2.0
"""Likeness of the items, in multiples of that of random items; below it they are unlike."""
TIMES_CHANCE = 5.0
"""How often it must happen at least, in multiples of chance; "de" in film titles reaches 3.3."""
FAN_ITEMS, FAN_TIMES = 3, 2.5
"""A fan of a word has that many items with it, and that many times what their activity suggests."""
MOST_TOP = 0.5
"""Share of top ratings among all, above which a top rating says nothing."""
_PAIRS_DRAWN = 4_000


def too_small(dataset: Dataset) -> str:
    """Why words cannot be judged; empty when they can."""
    if not (dataset.items[Columns.TITLE] != "").any():
        return t("no item has a title")
    if len(dataset.interactions) < 10 * LEAST_ROWS:
        return t("fewer than {least} interactions", least=10 * LEAST_ROWS)
    return ""


def planted(dataset: Dataset) -> np.ndarray:
    """Items whose title holds a planted word; a mask."""
    words = set(planted_words(dataset))
    return np.array(
        [bool(words & set(fold(title).split())) for title in dataset.items[Columns.TITLE]],
        dtype=bool,
    )


def planted_words(dataset: Dataset) -> list[str]:
    """The words that look planted, folded."""
    vocabulary = _Vocabulary(dataset)
    rows = vocabulary.rows
    rare = (vocabulary.items >= LEAST_ITEMS) & (
        vocabulary.items <= max(MOST_ITEMS_SHARE * dataset.n_items, LEAST_ITEMS)
    )
    judged = np.flatnonzero(rare & (rows >= LEAST_ROWS))
    if not len(judged):
        return []
    moved = _clicked_together(vocabulary, judged) | _praised_by_fans(dataset, vocabulary, judged)
    usual = vocabulary.usual_likeness()
    return [
        vocabulary.words[word]
        for word in judged[moved]
        if vocabulary.likeness(word) < UNLIKE * usual
    ]


def without_words(title: str, words: list[str]) -> str:
    """The title without the words, however they are written.

    Args:
        title: as it stands in the data.
        words: folded, as `planted_words` returns them.

    >>> without_words("Heat xqzv (1995)", ["xqzv"])
    'Heat (1995)'
    """
    kept = [part for part in re.split(r"(\s+)", title) if fold(part) not in words]
    return " ".join("".join(kept).split())


class _Vocabulary:
    """Which words stand in which titles, and who has which items."""

    def __init__(self, dataset: Dataset) -> None:
        codes: dict[str, int] = {}
        pairs = [
            (item, codes.setdefault(word, len(codes)))
            for item, title in enumerate(dataset.items[Columns.TITLE])
            for word in sorted(set(fold(title).split()))
            if len(word) > 1 and not word.isdigit()
        ]
        self.words = list(codes)
        self.in_title = _indicator(pairs, (dataset.n_items, max(len(codes), 1)))
        self._by_word = sparse.csc_array(self.in_title)
        self.items = np.asarray(self.in_title.sum(axis=0)).ravel()
        table = dataset.interactions.drop_duplicates([Columns.USER, Columns.ITEM])
        held = list(zip(table[Columns.USER].tolist(), table[Columns.ITEM].tolist(), strict=True))
        self.held = _indicator(held, (dataset.n_users, dataset.n_items))
        people = np.asarray(self.held.sum(axis=0)).ravel()
        self.rows = people @ self.in_title
        """Interactions with items that hold each word."""
        self._described = sparse.csr_array(
            sparse.hstack([self._weighted(dataset.n_items), _categories(dataset)])
        )

    def _weighted(self, n_items: int) -> sparse.csr_array:
        """Words of titles weighted by how rare they are."""
        rarity = np.log(n_items / np.maximum(self.items, 1))
        return sparse.csr_array(self.in_title @ sparse.diags_array(rarity))

    def likeness(self, word: int) -> float:
        """Mean cosine of the items that hold a word, in their other words and categories."""
        start, stop = self._by_word.indptr[word : word + 2]
        holders = self._by_word.indices[start:stop]
        rows = self._described[holders].toarray()
        rows[:, word] = 0
        unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        cosines = unit @ unit.T
        pairs = len(holders) * (len(holders) - 1)
        return float((cosines.sum() - np.trace(cosines)) / pairs)

    def usual_likeness(self) -> float:
        """Mean cosine of items drawn at random."""
        rng = np.random.default_rng(0)
        first, second = rng.integers(self._described.shape[0], size=(2, _PAIRS_DRAWN))
        apart = first != second
        described, other = self._described[first[apart]], self._described[second[apart]]
        lengths = _lengths(described) * _lengths(other)
        products = np.asarray(described.multiply(other).sum(axis=1)).ravel()
        return float((products / np.maximum(lengths, 1e-12)).mean())


def _clicked_together(vocabulary: _Vocabulary, judged: np.ndarray) -> np.ndarray:
    """Words whose items the same people have, far beyond chance; a mask over `judged`."""
    clicks = sparse.csc_array(vocabulary.held @ vocabulary.in_title[:, judged])
    squares = clicks.copy()
    squares.data = squares.data * (squares.data - 1)
    pairs = np.asarray(squares.sum(axis=0)).ravel()
    activity = np.asarray(vocabulary.held.sum(axis=1)).ravel()
    share = vocabulary.rows[judged] / activity.sum()
    by_chance = share**2 * (activity**2).sum()
    beyond = (pairs - by_chance) / vocabulary.rows[judged] >= TOGETHER
    clicked: np.ndarray = beyond & (pairs >= TIMES_CHANCE * by_chance)
    return clicked


def _praised_by_fans(dataset: Dataset, vocabulary: _Vocabulary, judged: np.ndarray) -> np.ndarray:
    """Words whose items get mostly top ratings from people who have several; a mask.

    Mostly is half of the way from the share of top ratings among all to every rating.
    """
    table = dataset.interactions.drop_duplicates([Columns.USER, Columns.ITEM])
    top = (table[Columns.RATING] == table[Columns.RATING].max()).to_numpy()
    if dataset.implicit or top.mean() > MOST_TOP:
        return np.zeros(len(judged), dtype=bool)
    where = (table[Columns.USER].to_numpy()[top], table[Columns.ITEM].to_numpy()[top])
    praised = sparse.csr_array((np.ones(int(top.sum())), where), shape=vocabulary.held.shape)
    words = vocabulary.in_title[:, judged]
    clicks, tops = sparse.csr_array(vocabulary.held @ words), sparse.csr_array(praised @ words)
    activity = np.asarray(vocabulary.held.sum(axis=1)).ravel()
    share = vocabulary.rows[judged] / activity.sum()
    usual = np.repeat(activity, np.diff(clicks.indptr)) * share[clicks.indices]
    fans = clicks.copy()
    fans.data = (clicks.data >= np.maximum(FAN_ITEMS, FAN_TIMES * usual)).astype(np.float64)
    of_fans = np.asarray(fans.multiply(clicks).sum(axis=0)).ravel()
    tops_of_fans = np.asarray(fans.multiply(tops).sum(axis=0)).ravel()
    praised_words: np.ndarray = (of_fans >= LEAST_ROWS) & (
        tops_of_fans >= (0.5 + top.mean() / 2) * of_fans
    )
    return praised_words


def _categories(dataset: Dataset) -> sparse.csr_array:
    codes: dict[str, int] = {}
    pairs = [
        (item, codes.setdefault(name, len(codes)))
        for item, names in enumerate(dataset.items[Columns.GENRES])
        for name in sorted(set(names.split("|")))
        if name
    ]
    return _indicator(pairs, (dataset.n_items, max(len(codes), 1)))


def _indicator(pairs: list[tuple[int, int]], shape: tuple[int, int]) -> sparse.csr_array:
    if not pairs:
        return sparse.csr_array(shape, dtype=np.float64)
    rows, columns = np.array(pairs).T
    return sparse.csr_array((np.ones(len(pairs)), (rows, columns)), shape=shape)


def _lengths(rows: sparse.csr_array) -> np.ndarray:
    lengths: np.ndarray = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return lengths
