"""Protocols for the hard regimes: few labels, cold items, cold users, hidden friends.

Each takes data apart so that what it tests cannot have been learned: the few-shot sets share no
user with the test set, cold items lose all their training interactions, cold users all of theirs
but a short history at request time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.history import first_of_each, ordered_table
from llmrec_core.data.splits import Case, Split
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.types import Columns

SHOTS = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Pairs:
    """Labelled pairs: a user's history with its labels, a target, and whether the user liked it."""

    users: np.ndarray
    """User code per pair, int32."""
    histories: list[np.ndarray]
    history_labels: list[np.ndarray]
    """1 liked, 0 disliked, per item of the history."""
    targets: np.ndarray
    labels: np.ndarray
    """0 or 1."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Pairs:
        """Some of the pairs, in the order of `rows`.

        Args:
            rows: positions of pairs, shape (n,).
        """
        return Pairs(
            self.users[rows],
            [self.histories[row] for row in rows],
            [self.history_labels[row] for row in rows],
            self.targets[rows],
            self.labels[rows],
        )


def given_pairs(dataset: Dataset, split: str) -> Pairs:
    """The labelled pairs that came with a data set (`train`, `valid` or `test`).

    Args:
        dataset: which brings pairs.
        split: which of them.

    Raises:
        UnsupportedError: when it came with none of that name.
    """
    table = dataset.extras.get("pairs")
    rows = table[table["split"] == split] if table is not None else None
    if rows is None or not len(rows):
        raise UnsupportedError(
            t(
                "{name!r} has no labelled pairs of split {split!r}; use made_pairs on its ratings",
                name=dataset.name,
                split=split,
            )
        )
    code = {item: number for number, item in enumerate(dataset.items[Columns.ITEM_ID])}
    user_code = {user: number for number, user in enumerate(dataset.users[Columns.USER_ID])}
    return Pairs(
        np.array([user_code[user] for user in rows["user_id"]], np.int32),
        [np.array([code[item] for item in text.split()], np.int32) for text in rows["history"]],
        [np.array([float(label) for label in text.split()]) for text in rows["history_labels"]],
        np.array([code[item] for item in rows["item_id"]], np.int32),
        rows["label"].to_numpy(np.int64),
    )


def made_pairs(
    dataset: Dataset, liked_above: float, history: int = 10, seed: int = 0, test_share: float = 0.2
) -> tuple[Pairs, Pairs]:
    """(training, test) pairs from ratings, users apart.

    A pair is a rating after a user's first `history` ones, with those before it. An item that a
    user rated again counts once, at its first rating: else a history could hold its own target.
    """
    table = ordered_table(dataset)
    table = table[first_of_each(table)]
    rng = np.random.default_rng(seed)
    held = set(rng.permutation(dataset.n_users)[: round(test_share * dataset.n_users)].tolist())
    sides: tuple[list[tuple], list[tuple]] = ([], [])
    for user, rows in table.groupby(Columns.USER, sort=True):
        items, liked = (
            rows[Columns.ITEM].to_numpy(),
            (rows[Columns.RATING] > liked_above).to_numpy(np.int64),
        )
        side = sides[user in held]
        side += [
            (user, items[n - history : n], liked[n - history : n], items[n], liked[n])
            for n in range(history, len(items))
        ]
    train, test = (
        Pairs(
            np.array([row[0] for row in side], np.int32),
            [row[1] for row in side],
            [row[2].astype(float) for row in side],
            np.array([row[3] for row in side], np.int32),
            np.array([row[4] for row in side], np.int64),
        )
        for side in sides
    )
    return train, test


def few_shots(pairs: Pairs, n: int, seed: int) -> Pairs:
    """Training pairs drawn by seed, n of them, of both classes where both exist.

    They are nested: the set of n = 16 holds the set of n = 8.

    Args:
        pairs: that may be learned from.
        n: how many are drawn; all where there are fewer.
        seed: of the draw; a larger n holds the smaller one.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    kinds = pairs.labels[order]
    # One of each class first, so that even n = 8 can be learned from.
    first = [int(np.argmax(kinds == kind)) for kind in np.unique(kinds)]
    rest = np.delete(np.arange(len(order)), first)
    return pairs.take(order[np.concatenate([first, rest]).astype(int)[:n]])


def cold_items(split: Split, share: float = 0.1, seed: int = 0) -> Split:
    """The split with a random share of items left out everywhere; only they are asked for.

    Args:
        split: what is cut.
        share: of the catalogue, 0 to 1.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    cold = np.zeros(split.dataset.n_items, dtype=bool)
    cold[rng.permutation(split.dataset.n_items)[: round(share * split.dataset.n_items)]] = True

    def cold_cases(cases: Sequence[Case]) -> list[Case]:
        kept = []
        for case in cases:
            history, relevant = (
                case.history[~cold[case.history]],
                case.relevant[cold[case.relevant]],
            )
            if len(relevant) and len(history):
                kept.append(Case(case.user, history, relevant))
        return kept

    train = [items[~cold[items]] for items in split.train]
    return _asking(split, "cold-items", train, cold_cases)


def cold_users(split: Split, share: float = 0.2, history: int = 5, seed: int = 0) -> Split:
    """The split with a random share of users left out of training, who bring `history` items.

    Args:
        split: what is cut.
        share: of the people, 0 to 1.
        history: how many of their latest items they bring.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    cold = np.zeros(split.dataset.n_users, dtype=bool)
    cold[rng.permutation(split.dataset.n_users)[: round(share * split.dataset.n_users)]] = True

    def cold_cases(cases: Sequence[Case]) -> list[Case]:
        return [
            Case(case.user, case.history[-history:], case.relevant)
            for case in cases
            if cold[case.user]
        ]

    train = [items[:0] if cold[user] else items for user, items in enumerate(split.train)]
    return _asking(split, "cold-users", train, cold_cases)


def _asking(
    split: Split,
    regime: str,
    train: list[np.ndarray],
    cold_cases: Callable[[Sequence[Case]], list[Case]],
) -> Split:
    """The split that learns from `train` and asks only the cases that a regime keeps."""
    return replace(
        split,
        name=f"{split.name}-{regime}",
        train=train,
        valid=cold_cases(split.valid),
        test=cold_cases(split.test),
    )


def hide_edges(
    dataset: Dataset, share: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Friend edges as codes, (known, hidden), each (n, 2), smaller code first.

    Hidden ones are gone in both directions.

    Args:
        dataset: which brings friends.
        share: of the edges that is hidden, 0 to 1.
        seed: of the draw.

    Raises:
        UnsupportedError: when the data set has no friend edges.
    """
    table = dataset.extras.get("edges")
    if table is None:
        raise UnsupportedError(
            t(
                "{name!r} has no friend edges; import a table with user_id and friend_id",
                name=dataset.name,
            )
        )
    code = pd.Series(np.arange(dataset.n_users), index=dataset.users[Columns.USER_ID])
    ends = np.stack(
        [code.reindex(table[column]).to_numpy(float) for column in ("user_id", "friend_id")], axis=1
    )
    ends = ends[~np.isnan(ends).any(axis=1)].astype(np.int64)
    links = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)
    hidden = np.zeros(len(links), dtype=bool)
    hidden[np.random.default_rng(seed).permutation(len(links))[: round(share * len(links))]] = True
    return links[~hidden], links[hidden]
