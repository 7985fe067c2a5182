"""Why one run costs more than another: exact Shapley values on the logarithm of cost. No torch.

Two runs differ in backbone, depth, precision, mode, candidates read and history length. Only the two were measured; what
the mixtures between them would cost comes from the FLOP formula of the packed scorer (profiling/counts.py), with a
measured factor for a precision where the study has one. On a log scale the values multiply to the ratio of the two
measured costs exactly, because what the formula does not explain (kernels, launch overhead, memory) is a factor of its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_core.costmodel.architecture import find
from llmrec_core.costmodel.requests import mode_of
from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.shapley import present, shapley_from_table
from llmrec_core.profiling import counts

FACTORS = ("backbone", "depth", "precision", "mode", "candidates", "history")
TITLES = {
    "backbone": "backbone (width and tokenizer)",
    "depth": "layers",
    "precision": "precision",
    "mode": "history read once or with every candidate",
    "candidates": "candidates that the language model reads",
    "history": "history items",
}
REST = "kernels and overhead (not in the formula)"


@dataclass(frozen=True)
class RunCost:
    """What the formula needs of a run, and its measured cost in any unit."""

    name: str
    backbone: str
    depth: int
    precision: str
    mode: str
    candidates: float
    history: float
    history_tokens: float
    candidate_tokens: float
    cost: float


@dataclass(frozen=True)
class Factor:
    """How many times dearer one difference makes the second run; below 1 it makes it cheaper."""

    name: str
    title: str
    first: str
    second: str
    times: float


@dataclass(frozen=True)
class CostReasons:
    """The factors multiply to `ratio`, the second run's cost over the first's."""

    ratio: float
    factors: tuple[Factor, ...]
    text: str


def run_cost(row: Any, cost: float | None) -> RunCost:
    """The facts of a record's row (`experiments.views.Row`).

    Raises:
        UnsupportedError: when its recommender is no language model, or the record lacks a part.
    """
    chosen, notes = row.spec.recommender, row.documents.get("model") or {}
    if chosen.family not in ("cross-encoder", "decoder", "cascade") or not chosen.backbone:
        raise UnsupportedError(
            f"{row.name!r} reads no prompt with a language model, so the formula has nothing to say about it; "
            "compare two cross-encoders, decoders or cascades"
        )
    if cost is None or cost <= 0 or "history_tokens" not in notes:
        raise UnsupportedError(f"the record of {row.name!r} lacks its cost or its prompt's length; run it again")
    if find(chosen.backbone) is None:
        raise UnsupportedError(f"the shape of backbone {chosen.backbone!r} is not in the catalogue of architectures")
    offered = next((int(f.protocol.split("/")[1]) for f in row.figures if f.protocol.startswith("request/")), 100)
    return RunCost(
        row.name, chosen.backbone, int(notes.get("layers") or chosen.depth), row.spec.precision, mode_of(chosen.history_attention),
        min(offered, chosen.rerank_k or offered), chosen.history_items, float(notes["history_tokens"]),
        float(notes["candidate_tokens"]), cost,
    )  # fmt: skip


def precision_factors(rows: Sequence[Any], costs: Mapping[str, float | None]) -> dict[str, float]:
    """Measured cost of each precision over fp32's, from pairs of rows that differ in nothing else.

    Args:
        costs: cost by run id.
    """
    found: dict[str, list[float]] = {}
    for one in rows:
        for other in rows:
            a, b = costs.get(one.run_id), costs.get(other.run_id)
            if one.spec.precision == "fp32" != other.spec.precision and a and b:
                same = dataclasses.replace(other.spec.recommender) == one.spec.recommender
                if same and one.spec.data == other.spec.data:
                    found.setdefault(other.spec.precision, []).append(b / a)
    return {name: float(np.exp(np.mean(np.log(ratios)))) for name, ratios in found.items()}


def work(run: RunCost, precisions: Mapping[str, float]) -> float:
    """FLOPs of a request by formula, times the measured factor of the precision (1 where none was measured)."""
    architecture = find(run.backbone)
    assert architecture is not None, "checked when the facts were read"
    shape = dataclasses.replace(architecture.shape, layers=run.depth)
    flops = counts.full_flops if run.mode == "full" else counts.shared_flops
    return flops(shape, run.history_tokens, run.candidates, run.candidate_tokens) * precisions.get(run.precision, 1.0)


def why_dearer(first: RunCost, second: RunCost, precisions: Mapping[str, float] | None = None) -> CostReasons:
    """The factors by which the second run's cost differs from the first's.

    Tokens per item belong to the backbone, whose tokenizer makes them; a longer history is more items.
    """
    factors = [name for name in FACTORS if getattr(first, name) != getattr(second, name)]
    known = dict(precisions or {})
    masks = np.arange(1 << len(factors))
    table = np.array(
        [math.log(work(_mixture(first, second, set(np.array(factors)[row])), known)) for row in present(masks, len(factors))]
    ) if factors else np.array([math.log(work(first, known))])  # fmt: skip
    values = shapley_from_table(table) if factors else np.zeros(0)
    ratio = second.cost / first.cost
    rest = math.log(ratio) - (table[-1] - table[0])
    found = [
        Factor(name, TITLES[name], str(getattr(first, name)), str(getattr(second, name)), math.exp(value))
        for name, value in zip(factors, values, strict=True)
    ]
    found.sort(key=lambda factor: -abs(math.log(factor.times)))
    found.append(Factor("rest", REST, "", "", math.exp(rest)))
    return CostReasons(ratio, tuple(found), _sentence(first, second, ratio, found))


def _mixture(first: RunCost, second: RunCost, changed: set[str]) -> RunCost:
    """The first run with some of the second's settings."""
    values: dict[str, Any] = {name: getattr(second, name) for name in changed}
    tokenizer = second if "backbone" in changed else first
    values["history_tokens"] = tokenizer.history_tokens / tokenizer.history * values.get("history", first.history)
    values["candidate_tokens"] = tokenizer.candidate_tokens
    return dataclasses.replace(first, **values)


def _sentence(first: RunCost, second: RunCost, ratio: float, factors: Sequence[Factor]) -> str:
    if ratio < 1:
        lead = f"{second.name} costs {ratio:.2g} times what {first.name} costs"
    else:
        lead = f"{second.name} is {ratio:.2g} times dearer than {first.name}"
    named = [f"× {factor.times:.2g} {factor.title}" for factor in factors if abs(math.log(factor.times)) > 0.02]
    return f"{lead}: {', '.join(named)}." if named else f"{lead}; nothing about them differs."
