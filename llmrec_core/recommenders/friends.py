"""Who might be friends: link prediction from shared friends, items and tags, alone and fused.

The fused weights are learned on known edges that are hidden once more, so the edges that are asked
for stay unseen. All scores are dense (users × users): meant for networks of up to some ten thousand
people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.metrics import ranking
from llmrec_core.recommenders.fusion import learn_weights, standardise
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

MAX_USERS = 20_000


def adjacency(edges: np.ndarray, users: int) -> np.ndarray:
    """Symmetric 0/1 matrix, float32, of edges (n, 2)."""
    matrix = np.zeros((users, users), np.float32)
    matrix[edges[:, 0], edges[:, 1]] = matrix[edges[:, 1], edges[:, 0]] = 1
    return matrix


def signals(dataset: Dataset, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Scores (users, users) of each simple method from the known edges.

    `popularity`: friends of the candidate; `common neighbours`: shared friends; `adamic-adar`:
    shared friends, each by 1/log of its own friends (Adamic & Adar 2003); `items` and `tags`:
    cosine of tf-idf vectors of what both listen to and which tags they give.

    Raises:
        UnsupportedError: for more users than dense scores allow.
    """
    users = dataset.n_users
    if users > MAX_USERS:
        raise UnsupportedError(
            t(
                "friend scores are dense; {users:,} users are above the limit of {MAX_USERS:,}",
                users=users,
                MAX_USERS=MAX_USERS,
            )
        )
    linked = adjacency(edges, users)
    degree = linked.sum(axis=1)
    weight = (1 / np.log(np.maximum(degree, 2))).astype(np.float32)
    table = dataset.interactions
    amounts = np.log1p(np.nan_to_num(table[Columns.RATING].to_numpy(), nan=1.0))
    by_name = {
        "popularity": np.tile(degree, (users, 1)),
        "common neighbours": linked @ linked,
        "adamic-adar": (linked * weight) @ linked,
        "items": _cosine(
            table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy(), amounts, users
        ),
    }
    if "tags" in dataset.extras:
        tags = dataset.extras["tags"]
        code = (
            pd.Series(np.arange(users), index=dataset.users[Columns.USER_ID])
            .reindex(tags["user_id"])
            .to_numpy(float)
        )
        in_set = ~np.isnan(code)
        words, _ = pd.factorize(tags["tag"][in_set])
        by_name["tags"] = _cosine(code[in_set].astype(int), words, np.ones(in_set.sum()), users)
    return by_name


def fuse(
    dataset: Dataset, edges: np.ndarray, seed: int = 0, share: float = 0.2
) -> tuple[np.ndarray, dict[str, float]]:
    """Fused scores from the known edges, and the weight of each signal.

    A `share` of the known edges is hidden, the weights that find them are learned, then the signals
    are made again from all of them.
    """
    rng = np.random.default_rng(seed)
    inner = np.zeros(len(edges), dtype=bool)
    inner[rng.permutation(len(edges))[: round(share * len(edges))]] = True
    rest, wanted = edges[~inner], adjacency(edges[inner], dataset.n_users) > 0
    free = _free(rest, dataset.n_users)
    columns = [standardise(score, free) for score in signals(dataset, rest).values()]
    people = np.flatnonzero(wanted.any(axis=1))
    features = [
        np.stack([column[user][free[user]] for column in columns], axis=1) for user in people
    ]
    weights = learn_weights(features, [wanted[user][free[user]] for user in people], ridge=1e-3)
    final, free = signals(dataset, edges), _free(edges, dataset.n_users)
    fused = sum(
        weight * standardise(score, free)
        for weight, score in zip(weights, final.values(), strict=True)
    )
    return np.asarray(fused), dict(zip(final, weights.tolist(), strict=True))


def rank_hidden(
    scores: np.ndarray, edges: np.ndarray, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(people with a hidden friend, ranks of those friends among all who are no known friend).

    Args:
        scores: shape (users, users).
        edges: known friends, shape (edges, 2).
        hidden: friends to find, shape (edges, 2).
    """
    users = len(scores)
    wanted = adjacency(hidden, users) > 0
    people = np.flatnonzero(wanted.any(axis=1))
    open_scores = np.where(_free(edges, users), scores, -np.inf)
    return people, ranking.ranks(open_scores[people], wanted[people])


def _free(edges: np.ndarray, users: int) -> np.ndarray:
    """Pairs that are not yet friends and not the same person."""
    strangers: np.ndarray = adjacency(edges, users) == 0
    return strangers & ~np.eye(users, dtype=bool)


def _cosine(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, users: int) -> np.ndarray:
    """Cosine of tf-idf rows, dense float32 (users, users)."""
    counts = sparse.csr_array((values, (rows, columns)), shape=(users, int(columns.max()) + 1))
    counts.sum_duplicates()
    present = np.bincount(counts.indices, minlength=counts.shape[1])
    weighted = counts @ sparse.diags_array(np.log(users / np.maximum(present, 1)))
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    unit = sparse.diags_array(1 / np.maximum(norms, 1e-12)) @ weighted
    return np.asarray((unit @ unit.T).toarray(), dtype=np.float32)
