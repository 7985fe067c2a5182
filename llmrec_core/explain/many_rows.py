"""What many explanations say together, computed from plain rows, one per player of one explanation.

A page can draw the results and two runs can be compared from their answers alone. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from llmrec_core.language import marked, t
from llmrec_core.metrics.belief import UNIT, Ends
from llmrec_core.metrics.correlation import spearman
from llmrec_core.metrics.intervals import mean_interval

POPULAR = (
    (0.9, marked("most popular tenth of the items")),
    (0.5, marked("other popular half")),
    (0.0, marked("less popular half")),
)
DOCUMENT = "reasons"
"""Document of a run in which the `summary` of a view of many users is kept."""
FEW_PLAYERS = 3
"""Shared reasons of a user below which two runs are not compared."""
UNRELATED = 0.27
"""Mean |Spearman| of two unrelated orders of ten."""
TOO_ALIKE = 0.35
"""Mean |Spearman| against random layers above which reasons may not be about what was learned."""

Row = Mapping[str, Any]


def groups(rows: Sequence[Row], by: str) -> list[dict[str, Any]]:
    """Mean |value| of players with 95 % intervals over users.

    A user's players are averaged first, then users: people with long histories count once.

    Args:
        rows: one per player.
        by: `field`, `genre`, `recency` or `popularity`.
    """
    parts: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        name = _group(row, by)
        if name is not None:
            parts.setdefault(name, {}).setdefault(row["user_id"], []).append(row["value"])
    lines = []
    for name, users in parts.items():
        sizes = np.array([np.mean(np.abs(values)) for values in users.values()])
        signed = np.array([np.mean(values) for values in users.values()])
        low, high = _reach(sizes)
        lines.append(
            {
                "group": name,
                "mean_abs": float(sizes.mean()),
                "low": low,
                "high": high,
                "mean": float(signed.mean()),
                "users": len(users),
                "players": sum(map(len, users.values())),
            }
        )
    if by == "recency":
        return sorted(lines, key=lambda line: int(line["group"]))
    return sorted(lines, key=lambda line: -line["mean_abs"])


def _group(row: Row, by: str) -> str | None:
    if by == "field":
        return str(row["field"])
    if row["kind"] != "item":
        return None
    if by == "popularity":
        return t(next(name for share, name in POPULAR if row["popularity"] >= share))
    if by == "genre":
        return row["genre"] or t("no genre")
    return str(row[by])


class _User(NamedTuple):
    values: dict[str, float]
    """Value by history item."""
    item: str


def agreement(first: Sequence[Row], second: Sequence[Row]) -> dict[str, Any]:
    """Do two runs give the same reasons? Rank correlation of values and share of equal top reasons.

    Players are matched by history item over shared users, so the two runs may recommend different
    items to a user; how often they recommend the same one stands beside it.

    Args:
        first: rows of one run, as `explain_users` returns them.
        second: rows of the other run.
    """
    ours, theirs = _by_user(first), _by_user(second)
    correlations, same_top, same_item = [], [], []
    for user in ours.keys() & theirs.keys():
        a, b = ours[user].values, theirs[user].values
        shared = sorted(a.keys() & b.keys())
        if len(shared) < FEW_PLAYERS:
            continue
        correlation = spearman(np.array([a[k] for k in shared]), np.array([b[k] for k in shared]))
        if correlation is None:
            continue
        correlations.append(correlation)
        same_top.append(float(max(shared, key=a.__getitem__) == max(shared, key=b.__getitem__)))
        same_item.append(float(ours[user].item == theirs[user].item))
    if not correlations:
        return {
            "users": 0,
            "spearman": None,
            "reason": t("the two samples share no user with three comparable reasons"),
        }
    return {
        "users": len(correlations),
        "spearman": _interval(correlations, (-1.0, 1.0)),
        "mean_abs_spearman": _interval(np.abs(correlations)),
        "same_top": _interval(same_top),
        "same_item": _interval(same_item),
    }


def _by_user(rows: Sequence[Row]) -> dict[str, _User]:
    users: dict[str, _User] = {}
    for row in rows:
        if row["kind"] == "item":
            user = users.setdefault(row["user_id"], _User({}, row["item_id"]))
            user.values[row["player_id"]] = row["value"]
    return users


def _reach(sizes: np.ndarray) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean of sizes, which have no largest value; None without scatter."""
    if len(sizes) < 2 or not sizes.any():
        return None, None
    _, low, high = mean_interval(sizes, None)
    return max(0.0, low), high


def _interval(values: Sequence[float] | np.ndarray, within: Ends = UNIT) -> dict[str, float]:
    mean, low, high = mean_interval(np.asarray(values, dtype=float), within)
    return {"mean": mean, "low": low, "high": high}


def attribute_shares(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Share of each user attribute in a user's summed |value|: the bias probe.

    Args:
        rows: as `explain_users` returns them.
    """
    users: dict[str, dict[str, float]] = {}
    for row in rows:
        name = row["field"] if row["kind"] == "user" else ""
        parts = users.setdefault(row["user_id"], {})
        parts[name] = parts.get(name, 0.0) + abs(row["value"])
    names = sorted({name for parts in users.values() for name in parts} - {""})
    lines = []
    for name in names:
        shares = [
            parts.get(name, 0.0) / sum(parts.values())
            for parts in users.values()
            if sum(parts.values()) > 0
        ]
        lines.append({"attribute": name, **_interval(shares or [0.0]), "users": len(shares)})
    return lines


# ── what a reader of any single reason must know ─────────────────────────────────────────────────


def summary(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of a run keeps of a view of many users: all but its rows and charts."""
    kept = ("users", "randomisation", "bias", "surrogate", "reasons")
    return {name: body.get(name) for name in kept}


def too_alike(randomisation: Mapping[str, Any] | None) -> bool | None:
    """Whether reasons look like those of random layers; None where that was not measured.

    Args:
        randomisation: as the answer holds it; None where it was not measured.
    """
    if not randomisation or not randomisation.get("users"):
        return None
    return bool(randomisation["mean_abs_spearman"]["mean"] > TOO_ALIKE)


def run_warnings(kept: Mapping[str, Any] | None) -> list[str]:
    """What stands beside every reason of a run, from the `summary` of its view of many users.

    Args:
        kept: the run's document `reasons`; None where nobody has looked at many users yet.
    """
    randomisation = (kept or {}).get("randomisation")
    if not too_alike(randomisation):
        return []
    assert randomisation is not None, "it was measured"
    return [
        t(
            "Reasons of this run look much like those of a model with random layers: over {users} "
            "people their mean |rank correlation| is {mean:.2f}, and unrelated orders have "
            "{unrelated:.2f}. They may not be about what the model learned.",
            users=randomisation["users"],
            mean=randomisation["mean_abs_spearman"]["mean"],
            unrelated=UNRELATED,
        )
    ]
