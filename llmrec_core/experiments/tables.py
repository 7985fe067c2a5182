"""Tables of a study as data frames: figures in plain units, "not measured: reason" in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from llmrec_core.experiments import formats
from llmrec_core.experiments.front import METRICS, Chart
from llmrec_core.experiments.marks import COLOURS, size_label
from llmrec_core.experiments.views import AS_RECORDED, Pricing, Row, cost, energy, machine, usd_per_million
from llmrec_core.experiments.words import family_title


def study_table(
    rows: Sequence[Row], protocol: str, chart: Chart | None = None, pricing: Pricing = AS_RECORDED
) -> pd.DataFrame:
    """One line per finished row: quality with interval, then what it costs, as text."""
    front = {point.row.run_id for point in chart.points if point.on_front} if chart else set()
    lines = []
    for row in rows:
        if row.state != "finished":
            continue
        line = {"Run": row.name}
        if any(one.predicted for one in rows):
            line["Costs"] = f"{'predicted' if row.predicted else 'measured'} on {machine(row) or 'an unknown machine'}"
        if chart:
            line["Front"] = "yes" if row.run_id in front else ""
        use = energy(row, pricing)
        quality = {title: formats.figure(row.figure(name, protocol)) for name, title in METRICS.items()}
        line |= {
            "NDCG@10": formats.figure(row.figure("ndcg@10", protocol), interval=True),
            "p95": formats.figure(row.request_figure("latency_p95_s")) + (" (noisy)" if row.noisy else ""),
            "$ per million": formats.figure(usd_per_million(row, pricing)),
            **{title: text for title, text in quality.items() if title != "NDCG@10"},
            "p50": formats.figure(row.request_figure("latency_p50_s")),
            "Requests per s": formats.figure(row.request_figure("throughput_requests_per_s", batch=None)),
            "FLOP per request": formats.figure(row.request_figure("flops_per_request")),
            "Peak memory": formats.figure(row.figure("peak_memory_bytes")),
            "Energy per request": formats.figure(use.joules) + (" (assumed)" if use.assumed else ""),
            "CO2e per million": formats.figure(use.grams_per_million) + (" (assumed)" if use.assumed else ""),
            "Training": formats.figure(row.figure("train_s")),
            "Precision": row.spec.precision,
        }
        lines.append(line)
    return pd.DataFrame(lines)


def cost_table(rows: Sequence[Row], pricing: Pricing = AS_RECORDED) -> pd.DataFrame:
    """Everything that was measured of the cost, one line per finished row."""
    lines = []
    for row in rows:
        if row.state != "finished":
            continue
        use = energy(row, pricing)
        spec = row.spec.recommender
        lines.append(
            {
                "Run": row.name,
                "Family": family_title(spec.family),
                "Backbone": spec.backbone or "none",
                "Layers": str(spec.depth) if spec.depth else "all" if spec.backbone else "",
                "Precision": row.spec.precision,
                "Parameters": formats.figure(row.figure("parameters")),
                "Weights": formats.figure(row.figure("weight_bytes")),
                "Peak memory": formats.figure(row.figure("peak_memory_bytes")),
                "FLOP, formula": formats.figure(row.request_figure("flops_per_request")),
                "FLOP, counted": formats.figure(row.request_figure("flops_per_request_counted")),
                "p50": formats.figure(row.request_figure("latency_p50_s")),
                "p95": formats.figure(row.request_figure("latency_p95_s")),
                "p99": formats.figure(row.request_figure("latency_p99_s")),
                "Requests per s": formats.figure(row.request_figure("throughput_requests_per_s", batch=None)),
                "MFU": formats.figure(row.request_figure("mfu")),
                "Energy per request": formats.figure(use.joules) + (" (assumed)" if use.assumed else ""),
                "$ per million": formats.figure(usd_per_million(row, pricing)),
                "Foreign load": formats.figure(row.request_figure("foreign_load")),
                "Timing": "noisy" if row.noisy else "quiet",
            }
        )
    return pd.DataFrame(lines)


@dataclass(frozen=True)
class Grid:
    """A cost by model size (lines) and precision (columns): the median of the rows that share both."""

    sizes: tuple[str, ...]
    precisions: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


def size_by_precision(rows: Sequence[Row], name: str, pricing: Pricing = AS_RECORDED) -> Grid:
    """The cost `name`, in the record's unit, of each model size and precision that was measured."""
    cells: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        found, _ = cost(row, name, pricing)
        if found.value is not None:
            cells.setdefault((size_label(row.spec.recommender), row.spec.precision), []).append(found.value)
    sizes = tuple(dict.fromkeys(size for size, _ in cells))
    precisions = tuple(name for name in COLOURS if any(name == precision for _, precision in cells))
    values = tuple(
        tuple(median(cells[size, one]) if (size, one) in cells else None for one in precisions) for size in sizes
    )
    return Grid(sizes, precisions, values)


def figure_table(row: Row) -> pd.DataFrame:
    """Every measurement of one run, the value as recorded and in words."""
    return pd.DataFrame(
        [
            {
                "Name": found.name,
                "Value": formats.figure(found, interval=True),
                "Recorded": "" if found.value is None else f"{found.value:.6g}",
                "Unit": found.unit,
                "n": "" if found.n is None else str(found.n),
                "Slice": found.slice,
                "Protocol": found.protocol,
            }
            for found in row.figures
        ],
        columns=["Name", "Value", "Recorded", "Unit", "n", "Slice", "Protocol"],
    )


def spec_differences(a: Row, b: Row) -> pd.DataFrame:
    """Fields of the two specs that differ, `recommender.depth` style."""
    left, right = _flat(a.spec.to_dict()), _flat(b.spec.to_dict())
    names = [name for name in left if left[name] != right.get(name) and name not in ("name", "minutes")]
    return pd.DataFrame(
        [
            {
                "Field": name,
                a.name: str(left[name]),
                b.name + ("" if a.name != b.name else " (second)"): str(right.get(name)),
            }
            for name in names
        ]
    )


def _flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
