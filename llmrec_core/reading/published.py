"""Figures that others have published on a data set, beside those of a study.

A file of `assets/published` holds those of the data set whose name it bears. A published figure is
hardly ever of exactly this data and this protocol, so every line says how near it is, on how many
people it was taken, what was trained on where the authors say so, and who computed it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from llmrec_core.errors import AssetError
from llmrec_core.installation import ASSETS
from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.row import Row
from llmrec_core.reading.study_tables import HIGH, LOW, USERS
from llmrec_core.reading.table import Cell, Column, Table, make

FOLDER = ASSETS / "published"
Nearness = Literal["same", "near twin", "other"]
NEARNESS: dict[Nearness, str] = {
    "same": marked("same"),
    "near twin": marked("near twin"),
    "other": marked("other"),
}
"""`same` rows and people; a `near twin` differs by a few people or items; `other` by more."""

MODEL = Column(marked("Model"), "model")
WHOSE = Column(marked("Whose"), "whose")
VALUE = Column(marked("Value"), "value", number_format.quality)
DATA = Column(
    marked("Data set"),
    "data_set",
    help=marked("A near twin differs from this data set by a few people or items."),
)
TRAINED_ON = Column(marked("Trained on"), "trained_on")
SOURCE = Column(marked("Source"), "source")
COLUMNS = (
    MODEL,
    WHOSE,
    VALUE,
    LOW,
    HIGH,
    USERS,
    DATA,
    Column(marked("Size"), "size"),
    TRAINED_ON,
    Column(marked("Figure by"), "figure_by"),
    SOURCE,
)


@dataclass(frozen=True)
class PublishedFigure:
    """One figure of a paper or a repository."""

    model: str
    size: str
    metric: str
    value: float
    protocol: str
    data_set: Nearness
    people: int | None
    """People it is a mean over; None where that is not said."""
    trained_on: str
    """What the model had seen, empty where that is not said."""
    figure_by: str
    """Who computed it: the authors, or somebody from their files."""
    source: str


def published(data: str, folder: Path = FOLDER) -> list[PublishedFigure]:
    """The published figures of a data set, in the order of their file; none where there is no file.

    Args:
        data: name of the data set.
        folder: where the files stand.

    Raises:
        AssetError: when a line is not as expected; it names file and line.
    """
    path = folder / f"{data}.csv"
    if path.parent != folder or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    figures = []
    for number, line in enumerate(lines, start=2):
        try:
            figures.append(_figure(line))
        except (KeyError, TypeError, ValueError) as error:
            raise AssetError(
                t(
                    "{file}, line {number}: {error}; restore it from the repository",
                    file=path.name,
                    number=number,
                    error=error,
                )
            ) from error
    return figures


def _figure(line: dict[str, str]) -> PublishedFigure:
    nearness = line["data_set"]
    value = float(line["value"])
    if nearness not in get_args(Nearness) or not 0 <= value <= 1 or not line["source"]:
        raise ValueError(
            t(
                "a figure needs a value from 0 to 1, a source and one of {names}, not {line}",
                names=", ".join(NEARNESS),
                line=line,
            )
        )
    return PublishedFigure(
        line["model"],
        line["size"],
        line["metric"],
        value,
        line["protocol"],
        next(kind for kind in NEARNESS if kind == nearness),
        int(line["people"]) if line["people"] else None,
        line["trained_on"],
        line["figure_by"],
        line["source"],
    )


def comparable(
    figures: Sequence[PublishedFigure], metric: str, protocol: str
) -> list[PublishedFigure]:
    """The figures of a metric under a protocol."""
    return [figure for figure in figures if (figure.metric, figure.protocol) == (metric, protocol)]


def published_table(
    rows: Sequence[Row], figures: Sequence[PublishedFigure], metric: str, protocol: str
) -> Table:
    """Published figures and ours, best first; ours carry their intervals and their run's id.

    Args:
        rows: of the study, on the data set of the figures.
        figures: as `published` returns them.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/full`.
    """
    lines: list[tuple[float, str, dict[str, Cell]]] = [
        (figure.value, "", _published_line(figure))
        for figure in comparable(figures, metric, protocol)
    ]
    for row in best_first(rows, metric, protocol):
        value = row.figure(metric, protocol).value
        if value is not None:
            lines.append((value, row.run_id, _our_line(row, metric, protocol)))
    lines.sort(key=lambda line: -line[0])
    return make(COLUMNS, [cells for *_, cells in lines], [run_id for _, run_id, _ in lines])


def _published_line(figure: PublishedFigure) -> dict[str, Cell]:
    return {
        MODEL.title: figure.model,
        WHOSE.title: t("published"),
        VALUE.title: figure.value,
        USERS.title: figure.people,
        DATA.title: t(NEARNESS[figure.data_set]),
        "Size": figure.size,
        TRAINED_ON.title: figure.trained_on or t("not said"),
        "Figure by": figure.figure_by,
        SOURCE.title: figure.source,
    }


def _our_line(row: Row, metric: str, protocol: str) -> dict[str, Cell]:
    figure = row.figure(metric, protocol)
    return {
        MODEL.title: row.name,
        WHOSE.title: t("ours"),
        VALUE.title: figure.value,
        LOW.title: figure.low,
        HIGH.title: figure.high,
        USERS.title: figure.n,
        DATA.title: t(NEARNESS["same"]),
        TRAINED_ON.title: t("the training part of the split alone"),
        SOURCE.title: t("run {id}", id=row.run_id),
    }


def place_sentence(
    rows: Sequence[Row], figures: Sequence[PublishedFigure], metric: str, protocol: str, title: str
) -> str:
    """How our best row stands to the best published figure, in words.

    Args:
        rows: of the study.
        figures: as `published` returns them.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/full`.
        title: what people call the metric.
    """
    theirs = max(
        comparable(figures, metric, protocol), key=lambda figure: figure.value, default=None
    )
    ours = best_first(rows, metric, protocol)
    if theirs is None or not ours:
        return ""
    figure = ours[0].figure(metric, protocol)
    return t(
        "{title}: our best is {ours:.4f} ({row}), the best published one {theirs:.4f} ({model}, "
        "data set: {nearness}).",
        title=title,
        ours=figure.value or 0.0,
        row=ours[0].name,
        theirs=theirs.value,
        model=theirs.model,
        nearness=t(NEARNESS[theirs.data_set]),
    )
