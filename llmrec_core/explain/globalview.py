"""Reasons over many users: what kind of history item moves a model, and whether its explanations are about the model.

Everything is computed from plain rows (one per player of one explanation), so a page can draw them and two runs can be
compared from their answers alone. No torch, except in the randomisation check.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import LlmrecError, UsageError
from llmrec_core.explain.honesty import spearman
from llmrec_core.metrics.intervals import bootstrap_mean
from llmrec_core.types import Columns

USERS, BUDGET = 30, 64
POPULAR = ((0.9, "most popular tenth of the items"), (0.5, "other popular half"), (0.0, "less popular half"))
FEATURES = ("recency", "popularity", "shared_genres", "years_apart", "history_items")


def explain_users(
    recommender: Any,
    dataset: Dataset,
    spec: Any,
    payload: Mapping[str, Any],
    *,
    items: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Rows (one per player) of explanations of many users' best recommendation, a sample fixed by seed.

    Args:
        payload: `users`, `seed`, and what `explain_answer` takes besides user and item.
        items: item ids to explain by user id, instead of the best one.

    Raises:
        UsageError: when no user has a history.
    """
    from llmrec_core.data.candidates import candidate_sets, sample_cases
    from llmrec_core.data.splits import split
    from llmrec_core.explain.question import Question

    count, seed = int(payload.get("users") or USERS), int(payload.get("seed") or 0)
    if count < 1:
        raise UsageError(f"{count} users; a view of many users needs at least 1, {USERS} give useful intervals")
    parts = split(dataset, spec.protocol.split)
    cases = [case for case in sample_cases(parts.test, count, seed) if len(case.history)]
    if not cases:
        raise UsageError(f"no user of {dataset.name!r} has a history, so there is nothing to explain")
    offered = candidate_sets(parts, cases, spec.protocol.candidates, seed)
    counts = parts.item_counts
    order = np.argsort(np.argsort(counts, kind="stable"), kind="stable") / max(
        len(counts) - 1, 1
    )  # share of rarer items
    reader = getattr(recommender, "explained", recommender)
    dropped = ("scope", "users", "item", "user")
    asked = {"budget": BUDGET, **{k: v for k, v in payload.items() if k not in dropped and v not in (None, "")}}
    rows: list[dict[str, Any]] = []
    for number, (case, candidates) in enumerate(zip(cases, offered, strict=True)):
        real = candidates[candidates >= 0]
        wanted = (items or {}).get(str(dataset.users[Columns.USER_ID].iloc[case.user]))
        if wanted is not None:
            best = dataset.item_code(wanted)
        else:
            best = int(real[np.argmax(reader.score([case.history], real[None])[0])])
        question = Question(
            recommender, dataset, {**asked, "history": case.history.tolist(), "item": best, "player_user": case.user}
        )
        if not question.players:
            continue
        question.payload = {**asked, "budget": max(int(asked["budget"]), len(question.players) + 2)}
        found = question.explain(best)
        rows += _rows(dataset, question, found, case.user, best, order)
        if progress is not None:
            progress(number + 1, len(cases))
    return rows


def _rows(dataset: Dataset, question: Any, found: Any, user: int, item: int, rank: np.ndarray) -> list[dict[str, Any]]:
    mine = set(str(dataset.items[Columns.GENRES].iloc[item]).split("|")) - {""}
    year = _year(dataset, item)
    result = []
    for player, value, error in zip(found.players, found.values, found.errors, strict=True):
        row = {
            "user_id": str(dataset.users[Columns.USER_ID].iloc[user]),
            "item_id": str(dataset.items[Columns.ITEM_ID].iloc[item]),
            "kind": player.kind,
            "player": player.label,
            "field": player.field or "history",
            "value": float(value),
            "error": float(error),
            "base": found.base,
            "prediction": found.prediction,
            "recency": None, "popularity": None, "genre": "", "shared_genres": None, "years_apart": None,
            "history_items": len(question.items), "player_id": "",
        }  # fmt: skip
        if player.kind == "item":
            code = int(question.items[player.places[0]])
            genres = set(str(dataset.items[Columns.GENRES].iloc[code]).split("|")) - {""}
            other = _year(dataset, code)
            row |= {
                "player_id": str(dataset.items[Columns.ITEM_ID].iloc[code]),
                "recency": len(question.items) - player.places[0],
                "popularity": float(rank[code]),
                "genre": str(dataset.items[Columns.GENRES].iloc[code]).split("|")[0],
                "shared_genres": len(mine & genres) / max(len(mine | genres), 1),
                "years_apart": None if year is None or other is None else abs(year - other),
            }
        result.append(row)
    return result


def _year(dataset: Dataset, item: int) -> int | None:
    value = dataset.items[Columns.YEAR].iloc[item] if Columns.YEAR in dataset.items else None
    return None if value is None or value != value or str(value) == "<NA>" else int(value)


# ── views of the rows ────────────────────────────────────────────────────────────────────────────


def groups(rows: Sequence[Mapping[str, Any]], by: str) -> list[dict[str, Any]]:
    """Mean |value| of players by `field`, `genre`, `recency` or `popularity`, with 95 % intervals over users.

    A user's players are averaged first, then users: people with long histories count once.
    """
    parts: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        name = _group(row, by)
        if name is not None:
            parts.setdefault(name, {}).setdefault(row["user_id"], []).append(row["value"])
    found = []
    for name, users in parts.items():
        sizes = np.array([np.mean(np.abs(values)) for values in users.values()])
        signed = np.array([np.mean(values) for values in users.values()])
        mean, low, high = bootstrap_mean(sizes)
        found.append(
            {
                "group": name,
                "mean_abs": mean,
                "low": low,
                "high": high,
                "mean": float(signed.mean()),
                "users": len(users),
                "players": sum(map(len, users.values())),
            }
        )
    if by == "recency":
        return sorted(found, key=lambda row: int(row["group"]))
    return sorted(found, key=lambda row: -row["mean_abs"])


def _group(row: Mapping[str, Any], by: str) -> str | None:
    if by == "field":
        return str(row["field"])
    if row["kind"] != "item":
        return None
    if by == "popularity":
        return next(name for share, name in POPULAR if row["popularity"] >= share)
    if by == "genre":
        return row["genre"] or "no genre"
    return str(row[by])


def agreement(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Do two runs give the same reasons? Rank correlation of values and share of equal top reasons, over shared users.

    Players are matched by history item, so the two runs may recommend different items to a user; how often they
    recommend the same one stands beside it.
    """
    one, two = _by_user(first), _by_user(second)
    correlations, same_top, same_item = [], [], []
    for user in one.keys() & two.keys():
        a, b = one[user]["values"], two[user]["values"]
        shared = sorted(a.keys() & b.keys())
        if len(shared) < 3:
            continue
        found = spearman(np.array([a[k] for k in shared]), np.array([b[k] for k in shared]))
        if found is None:
            continue
        correlations.append(found)
        same_top.append(float(max(shared, key=a.get) == max(shared, key=b.get)))
        same_item.append(float(one[user]["item"] == two[user]["item"]))
    if not correlations:
        return {"users": 0, "spearman": None, "reason": "the two samples share no user with three comparable reasons"}
    return {
        "users": len(correlations),
        "spearman": _interval(correlations),
        "mean_abs_spearman": _interval(np.abs(correlations)),
        "same_top": _interval(same_top),
        "same_item": _interval(same_item),
    }


def _by_user(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    users: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["kind"] == "item":
            users.setdefault(row["user_id"], {"values": {}, "item": row["item_id"]})["values"][row["player_id"]] = row[
                "value"
            ]
    return users


def _interval(values: Any) -> dict[str, float]:
    mean, low, high = bootstrap_mean(np.asarray(values, dtype=float))
    return {"mean": mean, "low": low, "high": high}


def surrogate(rows: Sequence[Mapping[str, Any]], *, folds: int = 5, ridge: float = 1.0) -> dict[str, Any] | None:
    """A linear rule that imitates the values from what can be seen of an item, and how well it does (R² on unseen users).

    Features are standardised, so coefficients compare: the change of a value for one standard deviation. Below an R² of
    about 0.3 the rule must not be read as what the model does.
    """
    used = [row for row in rows if row["kind"] == "item"]
    users = sorted({row["user_id"] for row in used})
    if len(users) < folds:
        return None
    years = [row["years_apart"] for row in used if row["years_apart"] is not None]
    middle = float(np.median(years)) if years else 0.0
    x = np.array([[middle if row[name] is None else float(row[name]) for name in FEATURES] for row in used])
    y = np.array([row["value"] for row in used])
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)
    fold = np.array([users.index(row["user_id"]) % folds for row in used])

    def fit(rows_in: np.ndarray) -> tuple[np.ndarray, float]:
        design = x[rows_in]
        middle_y = float(y[rows_in].mean())
        gram = design.T @ design + ridge * np.eye(x.shape[1])
        return np.linalg.solve(gram, design.T @ (y[rows_in] - middle_y)), middle_y

    guess = np.empty(len(y))
    for number in range(folds):
        weights, level = fit(fold != number)
        guess[fold == number] = x[fold == number] @ weights + level
    total = float(((y - y.mean()) ** 2).sum())
    weights, _ = fit(np.ones(len(y), dtype=bool))
    return {
        "coefficients": dict(zip(FEATURES, weights.tolist(), strict=True)),
        "fidelity_r2": 1 - float(((y - guess) ** 2).sum()) / total if total > 0 else None,
        "rows": len(y),
        "users": len(users),
    }


def attribute_shares(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Share of each user attribute in a user's summed |value|, with 95 % intervals: the bias probe."""
    users: dict[str, dict[str, float]] = {}
    for row in rows:
        name = row["field"] if row["kind"] == "user" else ""
        parts = users.setdefault(row["user_id"], {})
        parts[name] = parts.get(name, 0.0) + abs(row["value"])
    names = sorted({name for parts in users.values() for name in parts} - {""})
    found = []
    for name in names:
        shares = [parts.get(name, 0.0) / sum(parts.values()) for parts in users.values() if sum(parts.values()) > 0]
        found.append({"attribute": name, **_interval(shares or [0.0]), "users": len(shares)})
    return found


# ── the randomisation check ──────────────────────────────────────────────────────────────────────


VECTORS = ("word_embeddings", "embed_tokens", "wte", "embed_in")
"""Names of token vectors in BERT, Llama and Qwen2, GPT-2, GPT-NeoX."""


def randomised(recommender: Any, *, seed: int = 0) -> Any:
    """A copy of a neural recommender whose layers, positions and head are drawn anew; vectors of tokens or items stay.

    An explanation that looks the same for it is not about what the model learned (Adebayo et al., arXiv:1810.03292).

    Raises:
        UsageError: for a recommender without layers.
    """
    import copy

    import torch

    reader = getattr(recommender, "explained", recommender)
    if not hasattr(getattr(reader, "model", None), "named_parameters"):
        raise UsageError("only neural models have layers to randomise; this recommender has none")
    made = copy.copy(reader)
    made.model = copy.deepcopy(reader.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.model.named_parameters():
            if any(part in name for part in VECTORS) or name.startswith("ids"):
                continue
            fresh = torch.randn(parameter.shape, generator=generator).to(parameter)
            spread = parameter.float().std() if parameter.numel() > 1 else torch.tensor(0.02)
            if parameter.ndim >= 2:
                parameter.copy_(fresh * spread)
            elif "norm" not in name.lower():
                parameter.copy_(fresh * 0.02)
    if hasattr(made, "scorer"):
        from llmrec_core.scoring.scorer import Scorer

        made.scorer = Scorer(made.model)
    if hasattr(made, "_table"):
        made._table = None  # SASRec's remembered item vectors
    return made


def global_answer(recommender: Any, dataset: Dataset, spec: Any, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The view of many users as JSON: rows, groups, surrogate, and the checks that were asked for.

    Args:
        payload: `users`, `seed`, `budget`, `baseline`, `target` as for one explanation; `randomise` true for the
            randomisation check, `attributes` (names) for the bias probe.
    """
    began, cpu = time.perf_counter(), time.process_time()
    plain = {k: v for k, v in payload.items() if k not in ("randomise", "attributes", "players")}
    rows = explain_users(recommender, dataset, spec, plain)
    body: dict[str, Any] = {
        "rows": rows,
        "users": len({row["user_id"] for row in rows}),
        "groups": {by: groups(rows, by) for by in ("recency", "genre", "popularity")},
        "surrogate": surrogate(rows),
        "randomisation": None,
        "bias": None,
        "fields": None,
        "reasons": [],
    }
    text = hasattr(getattr(getattr(recommender, "explained", recommender), "model", None), "layout")
    if text:
        body["fields"] = groups(explain_users(recommender, dataset, spec, {**plain, "players": "all"}), "field")
    for name, wanted in (("randomisation", payload.get("randomise")), ("bias", payload.get("attributes"))):
        if wanted:
            try:
                body[name] = _check(name, recommender, dataset, spec, plain, payload, rows)
            except LlmrecError as error:
                body["reasons"].append(str(error))
    body["seconds"], body["cpu_seconds"] = time.perf_counter() - began, time.process_time() - cpu
    return body


def _check(
    name: str,
    recommender: Any,
    dataset: Dataset,
    spec: Any,
    plain: Mapping[str, Any],
    payload: Mapping[str, Any],
    rows: Any,
) -> Any:
    if name == "randomisation":
        same = {row["user_id"]: row["item_id"] for row in rows}
        return agreement(rows, explain_users(randomised(recommender), dataset, spec, plain, items=same))
    asked = {**plain, "players": ["user", "history"], "attributes": list(payload["attributes"])}
    return attribute_shares(explain_users(recommender, dataset, spec, asked))
