"""Tables of a study: one line a run, every figure as the record holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from llmrec_core.contract.families import family_title
from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.chart_symbols import SHAPES, size_label
from llmrec_core.reading.choice import Choice
from llmrec_core.reading.labels import flat
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pareto import METRICS, Chart
from llmrec_core.reading.pricing import (
    AS_RECORDED,
    Pricing,
    axis_cost,
    request_energy,
    usd_per_million,
)
from llmrec_core.reading.row import Row, machine_of
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.types import Measurement

RUN = Column(marked("Run"), "run")
LOW = Column(marked("Low"), "low", number_format.quality, marked("Lower end of the interval."))
HIGH = Column(marked("High"), "high", number_format.quality, marked("Upper end of the interval."))
USERS = Column(marked("Users"), "n", number_format.count)
P95 = Column("p95", "latency_p95_s", number_format.duration)
PRICE = Column(marked("$ per million"), "usd_per_million", number_format.dollars)
ENERGY = Column(marked("Energy per request"), "energy_per_request_j", number_format.energy)
PRECISION = Column(marked("Precision"), "precision")
TIMING = Column(
    marked("Timing"), "timing", help=marked("Noisy: another program used the processor meanwhile.")
)
ENERGY_FROM = Column(marked("Energy from"), "energy_from")
COSTS = Column(marked("Costs"), "costs")
FRONT = Column(marked("Front"), "front")
BY_HEART = Column(
    marked("Titles by heart"),
    "titles_by_heart",
    help=marked(
        "Titles of this data that the row's language model completes from their first half without "
        "having been trained here. Memorised: more than a tenth, so its figures may be memory."
    ),
)


_REQUEST = (
    Column("p50", "latency_p50_s", number_format.duration),
    Column(marked("Requests per s"), "throughput_requests_per_s", number_format.significant),
)
_MEMORY = Column(marked("Peak memory"), "peak_memory_bytes", number_format.size)

STUDY = (
    RUN,
    BY_HEART,
    COSTS,
    FRONT,
    Column("NDCG@10", "ndcg@10", number_format.quality),
    LOW,
    HIGH,
    USERS,
    P95,
    PRICE,
    Column("Recall@10", "recall@10", number_format.quality),
    Column("MRR", "mrr", number_format.quality),
    Column("AUC", "auc", number_format.quality),
    *_REQUEST,
    Column(marked("FLOP per request"), "flops_per_request", number_format.flops),
    _MEMORY,
    ENERGY,
    ENERGY_FROM,
    Column(marked("CO2e per million"), "gco2e_per_million", number_format.mass),
    Column(marked("Training"), "train_s", number_format.duration),
    PRECISION,
    TIMING,
)

COST = (
    RUN,
    Column(marked("Family"), "family"),
    Column(marked("Backbone"), "backbone"),
    Column(marked("Layers"), "depth", number_format.count),
    PRECISION,
    Column(marked("Parameters"), "parameters", number_format.count),
    Column(marked("Weights"), "weight_bytes", number_format.size),
    _MEMORY,
    Column(marked("FLOP, formula"), "flops_per_request", number_format.flops),
    Column(marked("FLOP, counted"), "flops_per_request_counted", number_format.flops),
    _REQUEST[0],
    P95,
    Column("p99", "latency_p99_s", number_format.duration),
    _REQUEST[1],
    Column("MFU", "mfu", number_format.share),
    ENERGY,
    ENERGY_FROM,
    PRICE,
    Column(marked("Foreign load"), "foreign_load", number_format.share),
    TIMING,
)

FIGURES = (
    Column(marked("Name"), "name"),
    Column(marked("As read"), "as_read", order=("Unit", "Recorded")),
    Column(marked("Recorded"), "value", number_format.significant),
    Column(marked("Unit"), "unit"),
    Column(marked("Low"), "low", number_format.significant),
    Column(marked("High"), "high", number_format.significant),
    Column("n", "n", number_format.count),
    Column(marked("Slice"), "slice", stored=True),
    Column(marked("Protocol"), "protocol"),
    Column(marked("Why not"), "reason"),
)


def study_table(
    rows: Sequence[Row],
    protocol: str,
    chart: Chart | None = None,
    pricing: Pricing = AS_RECORDED,
    *,
    slice_name: str = "all",
    choice: Choice | None = None,
    limits: Limits | None = None,
    flags: Mapping[str, str] | None = None,
) -> Table:
    """One line a finished row: quality with its interval, then what it costs.

    Args:
        rows: of the study.
        protocol: of the quality figures.
        chart: marks the rows on its front; the column is left out without one.
        pricing: what the reader has typed.
        slice_name: of the quality figures.
        choice: its row comes first.
        limits: cells that break one are marked.
        flags: as of `data_doubts.memorised_flags`; the column is left out without any.
    """
    finished = [row for row in rows if row.state == "finished"]
    front = {point.row.run_id for point in chart.points if point.on_front} if chart else set()
    predicted = any(row.predicted for row in finished)
    left_out = {COSTS.title} - ({COSTS.title} if predicted else set())
    left_out |= set() if chart else {FRONT.title}
    left_out |= set() if flags else {BY_HEART.title}
    columns = [column for column in STUDY if column.title not in left_out]
    lines = [
        _study_line(row, protocol, slice_name, pricing, front)
        | {BY_HEART.title: (flags or {}).get(row.run_id, "")}
        for row in finished
    ]
    table = make(columns, lines, [row.run_id for row in finished])
    if limits is not None:
        table = replace(table, failing=_failing(finished, limits, pricing))
    return table.first(choice.row.run_id) if choice is not None and choice.row else table


def _study_line(
    row: Row, protocol: str, slice_name: str, pricing: Pricing, front: set[str]
) -> dict[str, Cell | Measurement]:
    quality = {title: row.figure(name, protocol, slice_name) for name, title in METRICS.items()}
    ndcg = quality["NDCG@10"]
    where = machine_of(row) or t("an unknown machine")
    costs = (
        t("predicted on {where}", where=where)
        if row.predicted
        else t("measured on {where}", where=where)
    )
    return {
        RUN.title: row.name,
        COSTS.title: costs,
        FRONT.title: t("yes") if row.run_id in front else "",
        **quality,
        LOW.title: ndcg.low,
        HIGH.title: ndcg.high,
        USERS.title: ndcg.n,
        **_costs(row, pricing),
        "FLOP per request": row.request_figure("flops_per_request"),
        "CO2e per million": request_energy(row, pricing).grams_per_million,
        "Training": row.figure("train_s"),
    }


def _costs(row: Row, pricing: Pricing) -> dict[str, Cell | Measurement]:
    """The costs that both tables of a study show."""
    use = request_energy(row, pricing)
    origin = t("assumed") if use.assumed else t("measured")
    return {
        "p50": row.request_figure("latency_p50_s"),
        P95.title: row.request_figure("latency_p95_s"),
        "Requests per s": row.request_figure("throughput_requests_per_s", batch=None),
        "Peak memory": row.figure("peak_memory_bytes"),
        PRICE.title: usd_per_million(row, pricing),
        ENERGY.title: use.joules,
        ENERGY_FROM.title: "" if use.joules.value is None else origin,
        PRECISION.title: row.spec.precision,
        TIMING.title: t("noisy") if row.noisy else "",
    }


def _failing(rows: Sequence[Row], limits: Limits, pricing: Pricing) -> frozenset[tuple[str, str]]:
    """Run id and column of the costs that break a limit."""
    cells = set()
    for row in rows:
        for limit, figure, column in (
            (limits.p95_s, row.request_figure("latency_p95_s"), P95),
            (limits.usd_per_million, usd_per_million(row, pricing), PRICE),
        ):
            if limit is not None and (figure.value is None or figure.value > limit):
                cells.add((row.run_id, column.title))
    return frozenset(cells)


def cost_table(rows: Sequence[Row], pricing: Pricing = AS_RECORDED) -> Table:
    """Everything that was measured of the cost, one line a finished row."""
    finished = [row for row in rows if row.state == "finished"]
    return make(
        COST, [_cost_line(row, pricing) for row in finished], [row.run_id for row in finished]
    )


def _cost_line(row: Row, pricing: Pricing) -> dict[str, Cell | Measurement]:
    spec = row.spec.recommender
    return {
        RUN.title: row.name,
        "Family": family_title(spec.family),
        "Backbone": spec.backbone,
        "Layers": spec.depth or None,
        "Parameters": row.figure("parameters"),
        "Weights": row.figure("weight_bytes"),
        "FLOP, formula": row.request_figure("flops_per_request"),
        "FLOP, counted": row.request_figure("flops_per_request_counted"),
        **_costs(row, pricing),
        "p99": row.request_figure("latency_p99_s"),
        "MFU": row.request_figure("mfu"),
        "Foreign load": row.request_figure("foreign_load"),
    }


@dataclass(frozen=True)
class Grid:
    """Medians by model size and precision; a cell without a measurement is None."""

    sizes: tuple[str, ...]
    precisions: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


def size_by_precision(rows: Sequence[Row], name: str, pricing: Pricing = AS_RECORDED) -> Grid:
    """Median of a cost of each model size and precision that was measured.

    Args:
        rows: of the study.
        name: of a cost axis, e.g. `latency_p95_s`.
        pricing: what the reader has typed.

    Returns:
        Values in the record's unit.
    """
    cells: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        figure, _ = axis_cost(row, name, pricing)
        if figure.value is not None:
            place = (size_label(row.spec.recommender), row.spec.precision)
            cells.setdefault(place, []).append(figure.value)
    sizes = tuple(dict.fromkeys(size for size, _ in cells))
    precisions = tuple(name for name in SHAPES if any(name == precision for _, precision in cells))
    values = tuple(
        tuple(
            median(cells[size, precision]) if (size, precision) in cells else None
            for precision in precisions
        )
        for size in sizes
    )
    return Grid(sizes, precisions, values)


def figure_table(row: Row) -> Table:
    """Every measurement of one run, the value as recorded and in words."""
    lines: list[dict[str, Cell | Measurement]] = [
        {
            "Name": figure.name,
            "As read": "" if figure.value is None else number_format.figure(figure),
            "Recorded": figure.value,
            "Unit": figure.unit,
            "Low": figure.low,
            "High": figure.high,
            "n": figure.n,
            "Slice": figure.slice,
            "Protocol": figure.protocol,
            "Why not": figure.reason or "",
        }
        for figure in row.figures
    ]
    return make(FIGURES, lines)


def spec_differences(rows: Sequence[Row]) -> Table:
    """Fields in which the specs of some runs differ, `data.name` style, one column a run."""
    specs = [flat(row.spec.to_dict()) for row in rows]
    names = [
        name
        for name in dict.fromkeys(name for fields in specs for name in fields)
        if name not in ("name", "minutes")
        and any(fields.get(name) != specs[0].get(name) for fields in specs)
    ]
    columns = [Column(marked("Field"), "field"), *(Column(row.name, row.run_id) for row in rows)]
    lines: list[dict[str, Cell | Measurement]] = []
    for name in names:
        line: dict[str, Cell | Measurement] = {"Field": name}
        for row, fields in zip(rows, specs, strict=True):
            line[row.name] = str(fields.get(name))
        lines.append(line)
    return make(columns, lines)
