"""A ladder of sizes as tables of numbers, lines of text and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmrec_core.language import marked, t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import difference
from llmrec_core.reading.ladder import BEST, OPEN, SHOWN, WORSE, Ladder, Model, Size
from llmrec_core.reading.ladder_words import gap_words, notes, sentence
from llmrec_core.reading.people import People
from llmrec_core.reading.study_tables import HIGH, LOW, P95, PRICE, USERS
from llmrec_core.reading.table import UNKNOWN, Cell, Column, Table, make
from llmrec_core.types import Measurement

VERDICTS = {
    BEST: marked("the best"),
    SHOWN: marked("shown"),
    OPEN: marked("not shown"),
    WORSE: marked("worse by more"),
}


def _plus(show: Callable[[float], str]) -> Callable[[float], str]:
    """How a difference is read: as its figure, with a sign."""
    return lambda value: ("+" if value > 0 else "-" if value < 0 else "") + show(abs(value))


MODEL = Column(marked("Model"), "model")
LAYERS = Column(
    marked("Layers"),
    "layers",
    number_format.count,
    marked("From the first; the others are left out."),
)
COST = dataclasses.replace(PRICE, show=number_format.small_dollars)
"""A model that only looks up vectors costs far less than a cent."""
VALUE = Column(marked("Value"), "value", number_format.quality)
SIZES = (
    MODEL,
    LAYERS,
    Column(
        marked("Within the margin"),
        "verdict",
        help=marked("Whether it is shown not to be worse than the best by more than the margin."),
    ),
    VALUE,
    LOW,
    HIGH,
    Column(marked("Step"), "step", number_format.signed, marked("More than the size before.")),
    Column(marked("Step low"), "step_low", number_format.signed),
    Column(marked("Step high"), "step_high", number_format.signed),
    COST,
    Column(
        marked("Step in $ per million"),
        "step_usd_per_million",
        _plus(number_format.small_dollars),
        marked("More than the size before, on the same machine."),
    ),
    P95,
    Column(
        marked("Step in p95"),
        "step_latency_p95_s",
        _plus(number_format.duration),
        marked("More than the size before, on the same machine."),
    ),
    Column(marked("Against the best"), "against_best", number_format.signed),
    Column(marked("Against the best, low"), "against_best_low", number_format.signed),
    Column(marked("Against the best, high"), "against_best_high", number_format.signed),
    USERS,
)
MODELS = (
    MODEL,
    LAYERS,
    VALUE,
    LOW,
    HIGH,
    Column(marked("Against the first"), "difference", number_format.signed),
    Column(marked("Difference low"), "difference_low", number_format.signed),
    Column(marked("Difference high"), "difference_high", number_format.signed),
    COST,
    P95,
    USERS,
)
SHORT = (
    marked("Model"),
    marked("Layers"),
    marked("Value"),
    marked("Step"),
    marked("$ per million"),
    marked("Step in $"),
    "p95",
    marked("Step in p95"),
    marked("Against the best"),
    marked("Within the margin"),
)
"""Heads of `short_lines`."""
SHORT_MODELS = (
    marked("Model"),
    marked("Layers"),
    marked("Value"),
    marked("Against the first"),
    marked("$ per million"),
    "p95",
)
"""Heads of `short_models`."""


def size_table(measured: Ladder) -> Table:
    """One line a size, smallest first within each model."""
    lines: list[dict[str, Cell | Measurement]] = []
    for model in measured.models:
        for size in model.sizes:
            line = _line(model, size) | _ends(size.step, "Step", "Step low", "Step high")
            line |= _ends(
                size.against_best,
                "Against the best",
                "Against the best, low",
                "Against the best, high",
            )
            line |= {
                "Step in $ per million": size.more_usd,
                "Step in p95": size.more_p95_s,
                "Within the margin": t(VERDICTS[size.verdict]),
            }
            lines.append(line)
    return make(SIZES, lines, [row.run_id for row in measured.rows])


def model_table(measured: Ladder, users: Mapping[str, People]) -> Table:
    """One line a model at its largest size, best first, each against the first.

    Args:
        measured: with two models or more.
        users: values of the metric by run id.
    """
    order = models_in_order(measured)
    lines = [
        _line(model, model.largest)
        | _ends(gap, "Against the first", "Difference low", "Difference high")
        for model, gap in _against_first(order, users)
    ]
    return make(MODELS, lines, [model.largest.row.run_id for model in order])


def models_in_order(measured: Ladder) -> list[Model]:
    """The models, the best at its largest size first."""
    return sorted(measured.models, key=lambda model: -model.largest.value)


def _against_first(
    order: Sequence[Model], users: Mapping[str, People]
) -> list[tuple[Model, Difference | None]]:
    """Each model with its paired difference to the first; the first has none."""
    first = order[0]
    return [
        (
            model,
            None
            if model is first
            else difference(users[model.largest.row.run_id], users[first.largest.row.run_id]),
        )
        for model in order
    ]


def _line(model: Model, size: Size) -> dict[str, Cell | Measurement]:
    return {
        "Model": model.name,
        "Layers": size.layers,
        "Value": size.quality,
        "Low": size.quality.low,
        "High": size.quality.high,
        COST.title: size.usd_per_million,
        P95.title: size.p95_s,
        "Users": size.quality.n,
    }


def _ends(gap: Difference | None, *titles: str) -> dict[str, Cell | Measurement]:
    if gap is None:
        return {}
    return dict(zip(titles, (gap.mean, gap.low, gap.high), strict=True))


def short_lines(measured: Ladder) -> list[tuple[str, ...]]:
    """One line a size as text with intervals in brackets, as `SHORT` names its cells."""
    return [
        (
            model.name,
            t("all") if size.layers is None else str(size.layers),
            number_format.figure(size.quality, interval=True),
            gap_words(size.step),
            _shown(size.usd_per_million.value, number_format.small_dollars),
            _shown(size.more_usd, _plus(number_format.small_dollars)),
            _shown(size.p95_s.value, number_format.duration),
            _shown(size.more_p95_s, _plus(number_format.duration)),
            gap_words(size.against_best),
            t(VERDICTS[size.verdict]),
        )
        for model in measured.models
        for size in model.sizes
    ]


def short_models(measured: Ladder, users: Mapping[str, People]) -> list[tuple[str, ...]]:
    """One line a model as text, as `SHORT_MODELS` names its cells."""
    return [
        (
            model.name,
            t("all") if model.largest.layers is None else str(model.largest.layers),
            number_format.figure(model.largest.quality, interval=True),
            gap_words(gap),
            _shown(model.largest.usd_per_million.value, number_format.small_dollars),
            _shown(model.largest.p95_s.value, number_format.duration),
        )
        for model, gap in _against_first(models_in_order(measured), users)
    ]


def _shown(value: float | None, show: Callable[[float], str]) -> str:
    return UNKNOWN if value is None else show(value)


def document(measured: Ladder, users: Mapping[str, People]) -> dict[str, Any]:
    """The ladder as one JSON object, in base units; what is not known is null.

    Args:
        measured: the ladder.
        users: values of the metric by run id.
    """
    across = _against_first(models_in_order(measured), users) if len(measured.models) > 1 else []
    return {
        "metric": measured.metric,
        "protocol": measured.protocol,
        "margin": measured.margin,
        "models": [
            {
                "model": model.name,
                "best_layers": model.best.layers,
                "smallest_layers": model.smallest.layers if model.concludes else None,
                "sentence": sentence(model, measured),
                "sizes": [_size(size) for size in model.sizes],
            }
            for model in measured.models
        ],
        "across_models": [
            {
                "model": model.name,
                **_figures(model.largest),
                "against_first": _gap_body(gap),
            }
            for model, gap in across
        ],
        "notes": notes(measured),
    }


def _figures(size: Size) -> dict[str, Any]:
    quality = size.quality
    return {
        "run": size.row.run_id,
        "name": size.row.name,
        "layers": size.layers,
        "value": quality.value,
        "low": quality.low,
        "high": quality.high,
        "users": quality.n,
        "usd_per_million": size.usd_per_million.value,
        "latency_p95_s": size.p95_s.value,
    }


def _size(size: Size) -> dict[str, Any]:
    return {
        **_figures(size),
        "step": _gap_body(size.step),
        "step_usd_per_million": size.more_usd,
        "step_latency_p95_s": size.more_p95_s,
        "against_best": _gap_body(size.against_best),
        "verdict": size.verdict,
    }


def _gap_body(gap: Difference | None) -> dict[str, float] | None:
    if gap is None:
        return None
    return {"mean": gap.mean, "low": gap.low, "high": gap.high, "users": gap.n}
