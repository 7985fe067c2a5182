"""Noise in what a model reads: in titles, in histories, in the labels that it learned from.

| noise | strength s | what is done |
|---|---|---|
| typos | 0.1 | with probability s a letter of a title is dropped, doubled, swapped or replaced |
| truncated titles | 0.5 | of every title the first share 1 − s of its words is left, at least one |
| missing titles | 0.3 | a share s of all items has no title |
| shuffled history | 1 | the history stands in random order |
| injected items | 0.3 | s random unseen items for each item of the history, at random places |
| label flips | 0.2 | a share s of the training interactions becomes random items, learned anew |
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Sequence

import numpy as np

from llmrec_core.contract.families import recorded_family
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split
from llmrec_core.language import marked
from llmrec_core.types import Columns

TYPOS, TRUNCATED, MISSING = marked("typos"), marked("truncated titles"), marked("missing titles")
SHUFFLED, INJECTED = marked("shuffled history"), marked("injected items")
FLIPS = marked("label flips")
STRENGTHS = {TYPOS: 0.1, TRUNCATED: 0.5, MISSING: 0.3, SHUFFLED: 1.0, INJECTED: 0.3, FLIPS: 0.2}
OF_TITLES = (TYPOS, TRUNCATED, MISSING)
OF_HISTORIES = (SHUFFLED, INJECTED)
_TITLE_DRAW, _HISTORY_DRAW, _LABEL_DRAW = 3, 4, 5
"""Second part of the seed of each kind, so that they draw apart."""


def reads_titles(spec: RunSpec) -> bool:
    """Whether a title can move this model's scores."""
    return any(recorded_family(name).reads_text for name in spec.recommender.families)


def noisy_titles(titles: Sequence[str], noise: str, strength: float, seed: int) -> list[str]:
    """The titles, damaged in the same way for the same seed.

    Args:
        titles: of all items.
        noise: one of `OF_TITLES`.
        strength: see the table of this module.
        seed: of the draws.

    >>> noisy_titles(["The Return of the King (2003)"], "truncated titles", 0.5, 0)
    ['The Return of']
    """
    rng = np.random.default_rng((seed, _TITLE_DRAW))
    if noise == TRUNCATED:
        return [_first_words(title, 1 - strength) for title in titles]
    if noise == MISSING:
        gone = rng.random(len(titles)) < strength
        return ["" if missing else title for title, missing in zip(titles, gone, strict=True)]
    return [_typos(title, strength, rng) for title in titles]


def _first_words(title: str, share: float) -> str:
    words = title.split()
    return " ".join(words[: max(1, round(share * len(words)))])


def _typos(title: str, share: float, rng: np.random.Generator) -> str:
    letters, out, skip = list(title), [], False
    for place, letter in enumerate(letters):
        if skip or not letter.isalpha() or rng.random() >= share:
            out.append("" if skip else letter)
            skip = False
            continue
        kind = rng.integers(4)  # 0 drops the letter
        if kind == 1:
            out.append(2 * letter)
        elif kind == 2 and place + 1 < len(letters):
            out.append(letters[place + 1] + letter)
            skip = True
        elif kind == 3:
            out.append(string.ascii_lowercase[rng.integers(26)])
    return "".join(out)


def renamed(dataset: Dataset, noise: str, strength: float, seed: int) -> Dataset:
    """The data set with damaged titles.

    Codes and content hash stay, so that trained weights still fit.

    Args:
        dataset: whose titles are damaged.
        noise: one of `OF_TITLES`.
        strength: see the table of this module.
        seed: of the draws.
    """
    titles = noisy_titles(dataset.items[Columns.TITLE].tolist(), noise, strength, seed)
    return dataclasses.replace(dataset, items=dataset.items.assign(**{Columns.TITLE: titles}))


def noisy_history(case: Case, noise: str, strength: float, items: int, seed: int) -> Case:
    """The case with its history shuffled or with items put in.

    What is asked for stays, and is never put in.

    Args:
        case: of one person.
        noise: one of `OF_HISTORIES`.
        strength: see the table of this module.
        items: size of the catalogue.
        seed: of the draws.
    """
    rng = np.random.default_rng((seed, case.user, _HISTORY_DRAW))
    history = case.history
    if noise == SHUFFLED:
        return dataclasses.replace(case, history=rng.permutation(history))
    free = np.setdiff1d(np.arange(items), np.concatenate([history, case.relevant]))
    count = min(round(strength * len(history)), len(free))
    places = np.sort(rng.integers(0, len(history) + 1, size=count))
    return dataclasses.replace(
        case, history=np.insert(history, places, rng.choice(free, count, replace=False))
    )


def flipped(parts: Split, share: float, seed: int) -> Split:
    """The split with a share of the training interactions replaced by random items.

    What is asked for stays unknown.
    """
    rng = np.random.default_rng((seed, _LABEL_DRAW))
    train = []
    for user, sequence in enumerate(parts.train):
        items = sequence.copy()
        wrong = np.flatnonzero(rng.random(len(items)) < share)
        free = np.setdiff1d(np.arange(parts.dataset.n_items), parts.sequences[user])
        wrong = wrong[: len(free)]
        items[wrong] = rng.choice(free, len(wrong), replace=False)
        train.append(items)
    return dataclasses.replace(parts, train=train)
