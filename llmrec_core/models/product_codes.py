"""Items as short rows of codes: their text vectors, quantised part by part.

A vector is turned into its principal axes, the axes are dealt into m parts of like size and like
product of variances, and each part is replaced by the nearest of C centroids (product
quantisation, Jégou et al. 2011, TPAMI 33(1)). That deal is the best rotation for vectors that are
normally distributed (optimised product quantisation, Ge et al. 2013, CVPR, section 3.2). Codes of
this kind need no order among them, so that all can be foretold at once (Hou et al. 2025,
arXiv:2506.05781).

Symbols: N items, W width of a text vector, m codes of an item, C centroids of each, S = W ÷ m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.language import t

ROUNDS = 30
"""Most rounds of k-means."""
ROWS = 16_384
"""Vectors that are given codes together."""
LEAST_VARIANCE = 1e-12
"""Smaller ones count as this, so that a product of variances is never 0."""
DECIMALS = 6
"""To which the parts of unit vectors are rounded: what is beyond is the noise of float32."""


@dataclass(frozen=True)
class Quantiser:
    """What turns vectors into codes."""

    mean: np.ndarray
    """Of the vectors, float32, shape (W,)."""
    axes: np.ndarray
    """Principal axes in the order of the parts, float32, shape (W, m · S)."""
    centroids: np.ndarray
    """Float32, shape (m, C, S)."""

    def codes(self, vectors: np.ndarray) -> np.ndarray:
        """The nearest centroid of each part, int64, shape (N, m).

        Args:
            vectors: shape (N, W).
        """
        lengths = np.square(self.centroids).sum(axis=2)
        codes = np.empty((len(vectors), len(self.centroids)), np.int64)
        for start in range(0, len(vectors), ROWS):
            rows = slice(start, start + ROWS)
            parts = np.split((vectors[rows] - self.mean) @ self.axes, codes.shape[1], axis=1)
            for code, part in enumerate(parts):
                distances = lengths[code] - 2 * part @ self.centroids[code].T
                codes[rows, code] = distances.argmin(axis=1)
        return codes


def fit_quantiser(
    vectors: np.ndarray,
    codes: int,
    codebook: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Quantiser:
    """Learn axes and centroids from the vectors of a catalogue.

    A part in which fewer than C vectors differ has as many centroids as differ; the others repeat
    the first one and are never the nearest.

    Args:
        vectors: of length 1, float32, shape (N, W); equal texts have equal ones.
        codes: m.
        codebook: C.
        seed: of the first centroids.
        progress: called with parts done and m.

    Raises:
        UsageError: when there are more codes than the vectors are wide, or fewer different texts
            than centroids.
    """
    width = vectors.shape[1]
    if codes > width:
        raise UsageError(
            t(
                "recommender.options.codes is {codes}, but the text vectors are only {width} wide "
                "and every code needs a part of its own; choose at most {width}",
                codes=codes,
                width=width,
            )
        )
    require_texts(vectors, codebook)
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    variances, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred / len(vectors))
    dealt = deal(variances[::-1], codes)
    axes = np.ascontiguousarray(axes[:, ::-1][:, dealt.ravel()].astype(np.float32))
    parts = np.split(centred @ axes, codes, axis=1)
    centroids = np.empty((codes, codebook, parts[0].shape[1]), np.float32)
    for number, part in enumerate(parts):
        centroids[number] = centroids_of(part, codebook, seed + number)
        if progress:
            progress(number + 1, codes)
    return Quantiser(mean, axes, centroids)


def deal(variances: np.ndarray, parts: int) -> np.ndarray:
    """Which axes each part takes, shape (parts, axes ÷ parts, rounded down).

    The largest variance that is left goes to the part that has room and the smallest product so
    far; the smallest variances are left out where the axes do not divide evenly.

    Args:
        variances: of the axes, largest first.
        parts: how many take them.

    >>> deal(np.array([8.0, 4.0, 2.0, 1.0]), 2)  # 8 · 1 and 4 · 2
    array([[0, 3],
           [1, 2]])
    """
    room = len(variances) // parts
    taken: list[list[int]] = [[] for _ in range(parts)]
    products = np.zeros(parts)
    for axis, variance in enumerate(variances[: room * parts]):
        part = int(products.argmin())
        taken[part].append(axis)
        products[part] += np.log(max(float(variance), LEAST_VARIANCE))
        if len(taken[part]) == room:
            products[part] = np.inf
    return np.array(taken)


def require_texts(vectors: np.ndarray, codebook: int) -> None:
    """Refuse a codebook larger than the catalogue.

    Args:
        vectors: of the catalogue, shape (N, W).
        codebook: C.

    Raises:
        UsageError: when fewer vectors differ than there are to be centroids.
    """
    differing = len(np.unique(vectors, axis=0))
    if codebook > differing:
        raise UsageError(
            t(
                "recommender.options.codebook is {codebook:,}, but the catalogue has only "
                "{differing:,} different texts to spread over it; choose at most that many, or "
                "leave it out",
                codebook=codebook,
                differing=differing,
            )
        )


def centroids_of(part: np.ndarray, codebook: int, seed: int) -> np.ndarray:
    """Centroids of some vectors by k-means, shape (C, S).

    Where fewer than C of them differ, there are as many centroids as differ, and the first one
    stands again in the places left.

    Args:
        part: shape (N, S).
        codebook: C.
        seed: of the first centroids.
    """
    # The import takes a second, and reading codes does without it.
    from sklearn.cluster import KMeans

    part = np.round(part, DECIMALS)
    clusters = min(codebook, len(np.unique(part, axis=0)))
    kmeans = KMeans(clusters, n_init=1, max_iter=ROUNDS, random_state=seed).fit(part)
    centres = kmeans.cluster_centers_
    repeated = np.repeat(centres[:1], codebook - clusters, axis=0)
    return np.concatenate((centres, repeated))


@dataclass(frozen=True)
class Groups:
    """Items that share all their codes, and how they are told apart."""

    places: np.ndarray
    """Place of each item in its group, by popularity, int64, shape (N,); 0 for one alone."""
    sizes: np.ndarray
    """Items of its group, int64, shape (N,); 1 for one alone."""

    @property
    def sharing(self) -> int:
        """Items that share their codes with another one."""
        return int((self.sizes > 1).sum())

    @property
    def largest(self) -> int:
        """Items of the largest group."""
        return int(self.sizes.max(initial=1))


def groups_of(codes: np.ndarray, counts: np.ndarray) -> Groups:
    """Find the items with the same codes and put each group in order of popularity.

    Args:
        codes: shape (N, m).
        counts: training interactions of each item, shape (N,); equal ones keep the items' order.

    >>> groups = groups_of(np.array([[1, 2], [0, 0], [1, 2]]), np.array([3, 9, 5]))
    >>> groups.places, groups.sizes  # items 0 and 2 share their codes; item 2 is more popular
    (array([1, 0, 0]), array([2, 1, 2]))
    """
    _, group, sizes = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    order = np.lexsort((np.arange(len(codes)), -np.asarray(counts), group))
    begins = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - begins[group[order]]
    return Groups(places, sizes[group].astype(np.int64))
