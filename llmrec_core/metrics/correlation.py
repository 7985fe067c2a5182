"""How alike two orders of the same things are."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's rank correlation, with mean ranks for ties.

    None when one side is constant or shorter than 2.

    Args:
        a: values, shape (n,).
        b: values of the same things in the same order, shape (n,).

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 4.0]))
    0.5
    """
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.round(spearmanr(a, b).statistic, 12))
