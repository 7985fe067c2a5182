"""Why one run costs more than another: exact Shapley values on the logarithm of cost. No torch.

Two runs differ in backbone, depth, precision, mode, candidates read and history length. Only the
two were measured; what the mixtures between them would cost comes from the FLOP formula of the
packed scorer (profiling/counts.py), with a measured factor for a precision where the study has one.
On a log scale the values multiply to the ratio of the two measured costs exactly, because what the
formula does not explain (kernels, launch overhead, memory) is a factor of its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from llmrec_core.contract.families import is_hosted, reads_prompt
from llmrec_core.contract.spec import RunSpec
from llmrec_core.costmodel.facts.model_catalogue import find
from llmrec_core.costmodel.predict.request import mode_of, sequences_read
from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.shapley import present, shapley_from_table
from llmrec_core.language import marked, number, t
from llmrec_core.profiling import counts
from llmrec_core.types import Measurement

FACTORS = ("backbone", "depth", "precision", "mode", "candidates", "history")
TITLES = {
    "backbone": marked("backbone (width and tokenizer)"),
    "depth": marked("layers"),
    "precision": marked("precision"),
    "mode": marked("history read once or with every candidate"),
    "candidates": marked("candidates that the language model reads"),
    "history": marked("history items"),
}
REST = marked("kernels and overhead (not in the formula)")
USUAL_CANDIDATES = 100
"""Candidates of a request where the record does not say."""
VISIBLE = 0.02
"""Logarithm of a factor below which the sentence leaves it out."""


class CostRow(Protocol):
    """What is needed of a run's record (`reading.row.Row`)."""

    @property
    def run_id(self) -> str:
        """Id of the run."""

    @property
    def name(self) -> str:
        """Its name in the study."""

    @property
    def spec(self) -> RunSpec:
        """What was run."""

    @property
    def documents(self) -> Mapping[str, Any]:
        """Its documents by name; `model` holds the sizes of its prompt."""

    @property
    def figures(self) -> Sequence[Measurement]:
        """What was measured."""


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
    """How many times more one difference makes the second run cost; below 1 it makes it cheaper."""

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


def run_cost(row: CostRow, cost: float | None) -> RunCost:
    """The facts of a run's record.

    Args:
        row: the record.
        cost: its measured cost in any unit, None where it is not known.

    Raises:
        UnsupportedError: when its recommender is no language model, or the record lacks a part.
    """
    chosen, notes = row.spec.recommender, row.documents.get("model") or {}
    if is_hosted(chosen.family):
        raise UnsupportedError(
            t(
                "{name!r} is a hosted model: its price is its provider's, by tokens, and no "
                "formula of operations explains it",
                name=row.name,
            )
        )
    if not reads_prompt(chosen.family) or not chosen.backbone:
        raise UnsupportedError(
            t(
                "{name!r} reads no prompt with a language model, so the formula has nothing to "
                "say about it; compare two cross-encoders, decoders or cascades",
                name=row.name,
            )
        )
    if notes.get("gate", "always") != "always":
        raise UnsupportedError(
            t(
                "the gate of {name!r} lets only some requests through to the language model, and "
                "the formula is of requests that are read; compare it without a gate",
                name=row.name,
            )
        )
    if cost is None or cost <= 0 or "history_tokens" not in notes:
        raise UnsupportedError(
            t(
                "the record of {name!r} lacks its cost or its prompt's length; run it again",
                name=row.name,
            )
        )
    if find(chosen.backbone) is None:
        raise UnsupportedError(
            t(
                "the shape of backbone {backbone!r} is not in the catalogue of architectures",
                backbone=chosen.backbone,
            )
        )
    offered = next(
        (int(f.protocol.split("/")[1]) for f in row.figures if f.protocol.startswith("request/")),
        USUAL_CANDIDATES,
    )
    candidates = min(offered, chosen.rerank_k or offered)
    read = sequences_read(notes, candidates)
    return RunCost(
        row.name,
        chosen.backbone,
        int(notes.get("layers") or chosen.depth),
        row.spec.precision,
        mode_of(chosen.history_attention),
        candidates,
        chosen.history_items,
        float(notes["history_tokens"]),
        float(notes["candidate_tokens"]) * read / candidates,  # of a list: each one's share
        cost,
    )


def precision_factors(
    rows: Sequence[CostRow], costs: Mapping[str, float | None]
) -> dict[str, float]:
    """Measured cost of each precision over fp32's, from pairs of rows that differ in nothing else.

    Args:
        rows: of one study.
        costs: cost by run id.
    """
    ratios: dict[str, list[float]] = {}
    for full in rows:
        for other in rows:
            a, b = costs.get(full.run_id), costs.get(other.run_id)
            if (
                full.spec.precision == "fp32" != other.spec.precision
                and a
                and b
                and full.spec.recommender == other.spec.recommender
                and full.spec.data == other.spec.data
            ):
                ratios.setdefault(other.spec.precision, []).append(b / a)
    return {name: float(np.exp(np.mean(np.log(values)))) for name, values in ratios.items()}


def work(run: RunCost, precisions: Mapping[str, float]) -> float:
    """FLOPs of a request by formula, times the measured factor of the precision.

    Args:
        run: whose request it is.
        precisions: cost over fp32's by precision; 1 where none was measured.
    """
    architecture = find(run.backbone)
    assert architecture is not None, "checked when the facts were read"
    shape = dataclasses.replace(architecture.shape, layers=run.depth)
    flops = counts.full_flops if run.mode == "full" else counts.shared_flops
    count = flops(shape, run.history_tokens, run.candidates, run.candidate_tokens)
    return float(count) * precisions.get(run.precision, 1.0)


def why_more_expensive(
    first: RunCost, second: RunCost, precisions: Mapping[str, float] | None = None
) -> CostReasons:
    """The factors by which the second run's cost differs from the first's.

    Tokens per item belong to the backbone, whose tokenizer makes them; a longer history is more
    items.

    Args:
        first: the run that the other is compared with.
        second: the run whose cost is explained.
        precisions: as `precision_factors`.
    """
    before, after = dataclasses.asdict(first), dataclasses.asdict(second)
    differing = [name for name in FACTORS if before[name] != after[name]]
    measured = dict(precisions or {})
    there = present(np.arange(1 << len(differing)), len(differing))
    mixtures = [_mixture(first, second, set(np.array(differing)[row])) for row in there]
    table = np.log([work(mixture, measured) for mixture in mixtures])
    values = shapley_from_table(table) if differing else np.zeros(0)
    ratio = second.cost / first.cost
    rest = math.log(ratio) - (table[-1] - table[0])
    factors = [
        Factor(
            name,
            TITLES[name],
            str(before[name]),
            str(after[name]),
            math.exp(value),
        )
        for name, value in zip(differing, values, strict=True)
    ]
    factors.sort(key=lambda factor: -abs(math.log(factor.times)))
    factors.append(Factor("rest", REST, "", "", math.exp(rest)))
    return CostReasons(ratio, tuple(factors), _sentence(first, second, ratio, factors))


def _mixture(first: RunCost, second: RunCost, changed: set[str]) -> RunCost:
    """The first run with some of the second's settings."""
    settings = dataclasses.asdict(second)
    values = {name: settings[name] for name in changed}
    tokenizer = second if "backbone" in changed else first
    values["history_tokens"] = (
        tokenizer.history_tokens / tokenizer.history * values.get("history", first.history)
    )
    values["candidate_tokens"] = tokenizer.candidate_tokens
    return dataclasses.replace(first, **values)


def _two_digits(ratio: float) -> str:
    """A ratio as people read it: `1234` → `1,200`, never as `1.2e+03`."""
    rounded = float(f"{ratio:.1e}")
    return number(rounded, ",.0f" if rounded >= 10 else ",.12g")


def _sentence(first: RunCost, second: RunCost, ratio: float, factors: Sequence[Factor]) -> str:
    names = {"second": second.name, "first": first.name, "ratio": _two_digits(ratio)}
    if ratio < 1:
        lead = t("{second} costs {ratio} times what {first} costs", **names)
    else:
        lead = t("{second} is {ratio} times as expensive as {first}", **names)
    reasons = [
        t("× {times} {title}", times=_two_digits(factor.times), title=t(factor.title))
        for factor in factors
        if abs(math.log(factor.times)) > VISIBLE
    ]
    if not reasons:
        return t("{lead}; nothing about them differs.", lead=lead)
    return t("{lead}: {reasons}.", lead=lead, reasons=", ".join(reasons))
