"""A linear rule that imitates the explanations of many users, and how far it can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from llmrec_core.explain.many_rows import Row

FEATURES = ("recency", "popularity", "shared_genres", "years_apart", "history_items")
"""What the linear rule sees of a history item."""


def surrogate(rows: Sequence[Row], *, folds: int = 5, ridge: float = 1.0) -> dict[str, Any] | None:
    """A linear rule that imitates the values from what an item shows, and how well it does so.

    Features are standardised, so coefficients compare: the change of a value for one standard
    deviation. Below an R² of about 0.3 the rule must not be read as what the model does.

    Args:
        rows: one per player.
        folds: groups of users; the rule is tested on users that it has not seen.
        ridge: pull of the coefficients towards 0.

    Returns:
        None for fewer users than folds.
    """
    used = [row for row in rows if row["kind"] == "item"]
    users = sorted({row["user_id"] for row in used})
    if len(users) < folds:
        return None
    years = [row["years_apart"] for row in used if row["years_apart"] is not None]
    middle = float(np.median(years)) if years else 0.0
    x = np.array(
        [[middle if row[name] is None else float(row[name]) for name in FEATURES] for row in used]
    )
    y = np.array([row["value"] for row in used])
    x = StandardScaler().fit_transform(x)
    fold = np.array([users.index(row["user_id"]) % folds for row in used])
    guess = cross_val_predict(Ridge(alpha=ridge), x, y, cv=PredefinedSplit(fold))
    rule = Ridge(alpha=ridge).fit(x, y)
    return {
        "coefficients": dict(zip(FEATURES, rule.coef_.tolist(), strict=True)),
        "fidelity_r2": float(r2_score(y, guess)) if np.ptp(y) > 0 else None,
        "rows": len(y),
        "users": len(users),
    }
