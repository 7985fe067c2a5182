"""Items as short rows of codes from coarse to fine: their text vectors, quantised level by level.

k-means finds C centroids of the vectors; what the nearest one leaves over is quantised in the same
way at the next level, and so on (residual quantisation, Chen et al. 2010, Sensors 10(12)). Codes
of this kind are an address: items whose first codes agree have like texts. TIGER (Rajput et al.
2023, arXiv:2305.05065, section 3.1) learns them with a residual autoencoder; k-means on what is
left needs no training of its own.

Symbols: N items, W width of a text vector, m levels, C centroids of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmrec_core.models.product_codes import ROWS, centroids_of, require_texts


@dataclass(frozen=True)
class ResidualQuantiser:
    """What turns vectors into codes."""

    centroids: np.ndarray
    """Float32, shape (m, C, W)."""

    def codes(self, vectors: np.ndarray) -> np.ndarray:
        """The nearest centroid of what is left at each level, int64, shape (N, m).

        Args:
            vectors: shape (N, W).
        """
        codes = np.empty((len(vectors), len(self.centroids)), np.int64)
        for start in range(0, len(vectors), ROWS):
            rows = slice(start, start + ROWS)
            left = vectors[rows]
            for level, centres in enumerate(self.centroids):
                codes[rows, level] = _nearest(left, centres)
                left = left - centres[codes[rows, level]]
        return codes


def fit_residuals(
    vectors: np.ndarray,
    levels: int,
    codebook: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> ResidualQuantiser:
    """Learn the centroids of every level from the vectors of a catalogue.

    A level at which fewer than C rests differ has as many centroids as differ; the others repeat
    the first one and are never the nearest.

    Args:
        vectors: float32, shape (N, W); equal texts have equal ones.
        levels: m.
        codebook: C.
        seed: of the first centroids.
        progress: called with levels done and m.

    Raises:
        UsageError: when there are fewer different texts than centroids.
    """
    require_texts(vectors, codebook)
    centroids = np.empty((levels, codebook, vectors.shape[1]), np.float32)
    left = vectors
    for level in range(levels):
        centroids[level] = centroids_of(left, codebook, seed + level)
        left = left - centroids[level][_nearest(left, centroids[level])]
        if progress:
            progress(level + 1, levels)
    return ResidualQuantiser(centroids)


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The centroid nearest to each vector, shape (N,)."""
    distances = np.square(centres).sum(axis=1) - 2 * vectors @ centres.T
    return np.asarray(distances.argmin(axis=1))
