"""What an answer says about the order of lettered candidates.

An answer is read strictly: a letter counts where it stands alone. An answer that does not name
every letter exactly once is illegal; what can be used of it is used, in its order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_THOUGHT = "</think>"
"""Models that think aloud end their thoughts with this mark."""
_SEPARATORS = re.compile(r"[\s,;:>.()\[\]\"'*`]+")
FEWEST_IN_PROSE = 2
"""Letters in a row that count among other words; one alone may be the article "A"."""


@dataclass(frozen=True)
class Ranking:
    """Places of candidates, best first, as far as the answer names them."""

    places: tuple[int, ...]
    legal: bool
    """The answer was what had been asked for."""


def by_probabilities(top: Iterable[tuple[str, float]], letters: str) -> Ranking:
    """The letters by the probability of being the first token.

    Args:
        top: tokens and their log-probabilities; a letter with and without a space before it is one
            letter, whose probabilities are added.
        letters: those of the candidates, in the order of their places.

    Returns:
        The letters that have a probability; legal when there is one.

    >>> by_probabilities([("B", -0.1), (" A", -3.0), ("A", -4.0), ("The", -5.0)], "ABC").places
    (1, 0)
    """
    mass: dict[int, float] = {}
    for token, log_probability in top:
        name = token.strip()
        if len(name) == 1 and name in letters and math.isfinite(log_probability):
            place = letters.index(name)
            mass[place] = mass.get(place, 0.0) + math.exp(min(log_probability, 0.0))
    places = sorted(mass, key=lambda place: (-mass[place], place))
    return Ranking(tuple(places), bool(places))


def by_written_order(text: str, letters: str) -> Ranking:
    """The letters in the order in which an answer writes them.

    The longest row of letters that stand alone is the answer; a letter counts where it comes first.

    Args:
        text: the answer.
        letters: those of the candidates, in the order of their places.

    >>> by_written_order("B, A, C", "ABC")
    Ranking(places=(1, 0, 2), legal=True)
    >>> by_written_order("I think B, A and then A.", "ABC")
    Ranking(places=(1, 0), legal=False)
    >>> by_written_order("A person may like anything.", "ABC")
    Ranking(places=(), legal=False)
    """
    words = [word for word in _SEPARATORS.split(text.rpartition(_THOUGHT)[2]) if word]
    row = max(_rows(words, letters), key=len, default=[])
    if len(row) < FEWEST_IN_PROSE and len(row) < len(words):
        row = []
    places = tuple(dict.fromkeys(letters.index(letter) for letter in row))
    return Ranking(places, sorted(words) == sorted(letters))


def _rows(words: Iterable[str], letters: str) -> Iterator[list[str]]:
    """Letters that follow each other without another word between them."""
    row: list[str] = []
    for word in words:
        if len(word) == 1 and word in letters:
            row.append(word)
        else:
            yield row
            row = []
    yield row
