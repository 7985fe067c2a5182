"""What the Quality page shows: who is really better, where a model is weak, what noise does, what labels buy.

"Best" means better than every other row after Holm's correction over all pairs of the study; what cannot be told
apart from the first row is "tied". No streamlit, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.experiments.views import PerUser, Row, best_first, difference
from llmrec_core.metrics.intervals import bootstrap_mean, holm, p_value

LEVEL = 0.05
FEW = 20
"""Groups with fewer users are shown, but never called the weakest."""
MANY = 2_000
"""Above so many users an interval is mean ± 1.96 standard errors: the same within its last digit, and fast."""


@dataclass(frozen=True)
class Pair:
    """Two rows on the same users: mean of a − b and its p, Holm-adjusted over all pairs of the study."""

    a: Row
    b: Row
    mean: float
    p: float
    n: int

    @property
    def apart(self) -> bool:
        return self.p < LEVEL


def pairs(rows: Sequence[Row], users: Mapping[str, PerUser]) -> list[Pair]:
    """Every pair of rows that share at least two users, in the order of the rows."""
    found = []
    for a, b in combinations(rows, 2):
        mine, theirs = users.get(a.run_id, {}), users.get(b.run_id, {})
        both = sorted(set(mine) & set(theirs))
        if len(both) >= 2:
            gap = np.array([mine[user] - theirs[user] for user in both])
            found.append((a, b, float(gap.mean()), p_value(gap), len(both)))
    adjusted = holm([p for *_, p, _ in found])
    return [Pair(a, b, mean, p, n) for (a, b, mean, _, n), p in zip(found, adjusted, strict=True)]


def marks(rows: Sequence[Row], metric: str, protocol: str, found: Sequence[Pair]) -> dict[str, str]:
    """Run id → `best`, `tied` (with the first) or `worse`; `` where it was not measured or cannot be compared."""
    order = best_first(rows, metric, protocol)
    if not order:
        return {}
    first = order[0]
    apart = {frozenset((pair.a.run_id, pair.b.run_id)): pair.apart for pair in found}
    words = {}
    for row in order[1:]:
        verdict = apart.get(frozenset((first.run_id, row.run_id)))
        words[row.run_id] = "" if verdict is None else "worse" if verdict else "tied"
    alone = all(word == "worse" for word in words.values()) and bool(words)
    words[first.run_id] = "best" if alone else "tied" if "tied" in words.values() else ""
    return words


def quality_table(
    rows: Sequence[Row], metric: str, protocol: str, users: Mapping[str, PerUser], found: Sequence[Pair]
) -> pd.DataFrame:
    """One line per measured row, best first: value, interval, mark, and the paired difference from the first."""
    order = best_first(rows, metric, protocol)
    words = marks(rows, metric, protocol, found)
    p = {frozenset((pair.a.run_id, pair.b.run_id)): pair.p for pair in found}
    lines = []
    for row in order:
        figure = row.figure(metric, protocol)
        gap = None if row is order[0] else difference(users.get(row.run_id, {}), users.get(order[0].run_id, {}))
        adjusted = p.get(frozenset((row.run_id, order[0].run_id)))
        lines.append(
            {
                "Run": row.name,
                "Mark": words.get(row.run_id, ""),
                "Value": figure.value,
                "Low": figure.low,
                "High": figure.high,
                "Users": figure.n,
                "Against the first": None if gap is None else gap.mean,
                "Difference low": None if gap is None else gap.low,
                "Difference high": None if gap is None else gap.high,
                "p (Holm)": adjusted,
            }
        )
    return pd.DataFrame(lines)


def pair_table(found: Sequence[Pair]) -> pd.DataFrame:
    """All pairs with their adjusted p, the clearest first."""
    lines = [
        {
            "Run": pair.a.name,
            "Against": pair.b.name,
            "Difference": pair.mean,
            "p (Holm)": pair.p,
            "Users": pair.n,
            "Told apart": "yes" if pair.apart else "tied",
        }
        for pair in sorted(found, key=lambda pair: pair.p)
    ]
    return pd.DataFrame(lines, columns=["Run", "Against", "Difference", "p (Holm)", "Users", "Told apart"])


# ── slices ───────────────────────────────────────────────────────────────────────────────────────


def facet_names(document: Mapping[str, Any] | None) -> list[str]:
    """Facets of a run's `facets` document."""
    return list((document or {}).get("facets", {}))


def members(document: Mapping[str, Any], facet: str) -> dict[str, list[int]]:
    """Group name → user codes, in the facet's order."""
    body = document["facets"][facet]
    groups: dict[str, list[int]] = {name: [] for name in body["names"]}
    for user, group in zip(document["users"], body["groups"], strict=True):
        groups[body["names"][group]].append(user)
    return groups


def slice_table(rows: Sequence[Row], users: Mapping[str, PerUser], groups: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """One line per row and group: mean with interval, and whether the group is the row's weakest (of `FEW` users or more)."""
    lines = []
    for row in rows:
        own = users.get(row.run_id, {})
        mine: list[dict[str, Any]] = []
        for name, group in groups.items():
            values = np.array([own[user] for user in group if user in own])
            if len(values):
                mean, low, high = _interval(values)
                mine.append(
                    {"Run": row.name, "Group": name, "Value": mean, "Low": low, "High": high, "Users": len(values)}
                )
        large = [line for line in mine if line["Users"] >= FEW]
        weakest = min(large, key=lambda line: line["Value"]) if len(large) > 1 else None
        lines += [line | {"Weakest": "weakest" if line is weakest else ""} for line in mine]
    return pd.DataFrame(lines, columns=["Run", "Group", "Value", "Low", "High", "Users", "Weakest"])


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    if len(values) <= MANY:
        return bootstrap_mean(values)
    mean, error = float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)
    return mean, mean - 1.96 * error, mean + 1.96 * error


def recorded_slices(rows: Sequence[Row], metric: str, protocol: str) -> pd.DataFrame:
    """As `slice_table` from the slices that every record holds, for records that do not name the users."""
    lines = [
        {
            "Run": row.name,
            "Group": found.slice,
            "Value": found.value,
            "Low": found.low,
            "High": found.high,
            "Users": found.n,
            "Weakest": "",
        }
        for row in rows
        for found in row.figures
        if found.name == metric and found.protocol == protocol and found.slice != "all" and found.value is not None
    ]
    return pd.DataFrame(lines, columns=["Run", "Group", "Value", "Low", "High", "Users", "Weakest"])


# ── lists and checks ─────────────────────────────────────────────────────────────────────────────

LIST_FIGURES = {
    "coverage@10": "Catalogue shown",
    "gini@10": "Gini of exposure",
    "novelty@10": "Novelty, bits",
    "diversity@10": "Diversity of genres",
    "snips_ndcg@10": "NDCG@10, items alike",
    "effective_users": "People that this rests on",
}
LIST_DEFINITION = (
    "Catalogue shown: share of items in at least one list of ten. Gini: 0 = all items shown alike, 1 = one item. Novelty: "
    "mean −log2 of an item's share of training interactions. Diversity: mean 1 − cosine of genres over pairs of a list. "
    "Items alike: NDCG@10 with every person weighted by the inverse propensity of the withheld item (SNIPS), as if all items had "
    "been met alike; it rests on fewer people, so its interval is wide. Candidates drawn by chance flatter coverage: read it under full."
)


def list_table(rows: Sequence[Row], protocol: str) -> pd.DataFrame:
    """One line per run with what its lists are like beyond being right; empty where a record has none of it."""
    lines = []
    for row in rows:
        found = {title: row.figure(name, protocol) for name, title in LIST_FIGURES.items()}
        if any(figure.value is not None for figure in found.values()):
            weighted = found["NDCG@10, items alike"]
            line = {"Run": row.name} | {title: figure.value for title, figure in found.items()}
            missing = [f"{title}: not measured, {one.reason}" for title, one in found.items() if one.value is None]
            lines.append(line | {"Low": weighted.low, "High": weighted.high, "Note": "; ".join(missing)})
    columns = ["Run", *LIST_FIGURES.values()]
    return pd.DataFrame(lines, columns=[*columns[:-1], "Low", "High", columns[-1], "Note"])


def check_table(documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Run name → `checks` document, as one line per run and check."""
    words = {True: "passed", False: "FAILED", None: "not made"}
    lines = [
        {"Run": run, "Check": check["check"], "Result": words[check["passed"]], "Seen": check["detail"]}
        for run, checks in documents.items()
        for check in checks
    ]
    return pd.DataFrame(lines, columns=["Run", "Check", "Result", "Seen"])


def check_sentence(table: pd.DataFrame) -> str:
    """How many checks passed, and which did not."""
    failed = table[table["Result"] == "FAILED"]
    if len(failed):
        which = "; ".join(f"{run}: {check}" for run, check in zip(failed["Run"], failed["Check"], strict=True))
        return f"{len(failed)} of {len(table)} checks failed, so do not rely on {which}."
    made = int((table["Result"] == "passed").sum())
    left = len(table) - made
    return f"All {made} checks passed" + (f"; {left} were not made, for the reason given." if left else ".")


def policy_table(documents: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Run name → `policy` document, as one line per run: what the policy costs in quality and time."""
    lines = []
    for run, body in documents.items():
        gap, before, after = (body["ndcg"][name] for name in ("difference", "before", "after"))
        shape = body["lists"]
        lines.append(
            {
                "Run": run,
                "NDCG@10 before": before["value"],
                "NDCG@10 after": after["value"],
                "Difference": gap["mean"],
                "Low": gap["low"],
                "High": gap["high"],
                "People": body["users"],
                "Lists changed": body["changed_lists"],
                "Catalogue shown before": shape["before"]["coverage"],
                "Catalogue shown after": shape["after"]["coverage"],
                "Gini before": shape["before"]["gini"],
                "Gini after": shape["after"]["gini"],
                "Policy, ms a request": 1e3 * body["policy_s"],
                "Scoring, ms a request": 1e3 * body["scoring_s"],
            }
        )
    return pd.DataFrame(lines)


def exposure_table(documents: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One line per run and group of items: its share of shown places before and after the policy."""
    lines = [
        {"Run": run, "Kind": one["kind"], "Group": one["group"], "Before": one["before"], "After": one["after"]}
        for run, body in documents.items()
        for one in body["exposure"]
    ]
    return pd.DataFrame(lines, columns=["Run", "Kind", "Group", "Before", "After"])


# ── robustness and labels ────────────────────────────────────────────────────────────────────────


def robustness_table(documents: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Run name → `robustness` document, as one line per run and noise."""
    lines = []
    for run, body in documents.items():
        for noise in body["noises"]:
            lines.append(
                {
                    "Run": run,
                    "Noise": noise["noise"],
                    "Strength": noise["strength"],
                    "NDCG@10 clean": body["clean"]["value"],
                    "NDCG@10": noise.get("value"),
                    "Kept": noise.get("kept"),
                    "Difference": noise.get("difference"),
                    "Low": noise.get("low"),
                    "High": noise.get("high"),
                    "Users": body["users"],
                    "Note": noise.get("reason") or "",
                }
            )
    return pd.DataFrame(lines)


def worst_sentence(run: str, body: Mapping[str, Any]) -> str:
    """Score and worst slice of one run in words."""
    score, worst = body["score"], body.get("worst_slice")
    text = f"{run}: robustness {score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})."
    if worst:
        facet, group = worst["facet"], worst["group"]
        who = group if group.startswith(facet) else f"{facet} {group}"
        text += (
            f" Hit hardest: {worst['noise']} for people with {who}, "
            f"NDCG@10 {worst['clean']:.3f} to {worst['noisy']:.3f} ({worst['n']} people)."
        )
    return text


def curve_table(body: Mapping[str, Any]) -> pd.DataFrame:
    """One line per method and number of labels: mean over the seeds, interval over users and seeds, price of the training."""
    columns = ["Method", "Labels", "Value", "Low", "High", "Seeds", "Spread over seeds", "Training s", "Training $"]
    lines = [
        {
            "Method": row["method"],
            "Labels": row["labels"],
            "Value": row["value"],
            "Low": row["low"],
            "High": row["high"],
            "Seeds": len(row["seeds"]),
            "Spread over seeds": row.get("spread"),
            "Training s": row.get("train_s"),
            "Training $": row.get("train_usd"),
        }
        for row in body["rows"]
    ]
    return pd.DataFrame(lines, columns=columns)


# ── words and grids ──────────────────────────────────────────────────────────────────────────────


def verdict(order: Sequence[Row], metric: str, protocol: str, found: Sequence[Pair], title: str) -> str:
    """The table in one sentence; "best" only beyond the interval."""
    first = order[0]
    value = first.figure(metric, protocol).value
    words = marks(order, metric, protocol, found)
    if len(order) == 1:
        return f"{first.name} has {title} {value:.3f}; there is nothing to compare it with."
    tied = [row.name for row in order[1:] if words.get(row.run_id) == "tied"]
    if words.get(first.run_id) == "best":
        return f"Best: {first.name}, {title} {value:.3f} under {protocol}; every other row is worse."
    if not tied:
        return (
            f"{first.name} has the highest {title}, {value:.3f}, but shares too few people with other rows to compare."
        )
    others = ", ".join(tied[:3]) + (f" and {len(tied) - 3} more" if len(tied) > 3 else "")
    return f"Tied: {first.name} ({title} {value:.3f}) cannot be told apart from {others}."


def grid(table: pd.DataFrame, column: str, value: str) -> tuple[list[str], list[str], list[list[float | None]]]:
    """Runs × `column` with the cells of `value`, in the table's own order; a missing cell is None."""
    lines, columns = list(dict.fromkeys(table["Run"])), list(dict.fromkeys(table[column]))
    cells = {(run, name): v for run, name, v in zip(table["Run"], table[column], table[value], strict=True)}
    known = {key: None if v is None or v != v else float(v) for key, v in cells.items()}
    return lines, columns, [[known.get((run, name)) for name in columns] for run in lines]
