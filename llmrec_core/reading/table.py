"""Tables whose numbers stay numbers: sorted by value, shown with units, exported as recorded.

A cell holds what the record holds, in its base unit. How a number is read ("12.3 ms") belongs to
its column, so "8.82 GFLOP" never sorts between "11.1 MFLOP" and "80.6 kFLOP". What is not known is
`None`: it comes last in either order and is empty in an export. Numbers inside text count as
numbers, so "item 9" comes before "item 10".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.retelling import retold
from llmrec_core.types import Measurement

if TYPE_CHECKING:
    import pandas as pd

Cell = str | float | int | bool | None
Show = Callable[[float], str]
UNKNOWN = "–"
"""What stands in a cell whose value is not known."""


@dataclass(frozen=True)
class Column:
    """A column: its head, the name of its figure in exports, and how a number of it is read."""

    title: str
    """English; shown in the reader's language."""
    name: str = ""
    """Head in an export, with the unit; the title when empty."""
    show: Show | None = None
    """How a number is read; `None` for text."""
    help: str = ""
    stored: bool = False
    """Whether its text was stored in English, such as a reason, and is read in another language."""
    order: tuple[str, ...] = ()
    """Titles of the columns that order this one, where its text reads their numbers."""


@dataclass(frozen=True)
class Table:
    """Lines of cells, one column each; `ids` name the run behind each line."""

    columns: tuple[Column, ...]
    lines: tuple[tuple[Cell, ...], ...]
    ids: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Title of a column → why its values are not known, where one reason explains them."""
    failing: frozenset[tuple[str, str]] = frozenset()
    """Run id and title of the cells that break a limit."""

    def __post_init__(self) -> None:
        titles = [column.title for column in self.columns]
        if len(set(titles)) < len(titles):
            raise ValueError(t("columns of one title: {titles}", titles=", ".join(titles)))

    def values(self, title: str) -> list[Cell]:
        """The cells of a column, from the first line on."""
        place = [column.title for column in self.columns].index(title)
        return [line[place] for line in self.lines]

    def sorted_by(self, title: str, *, descending: bool = False) -> Table:
        """The same lines in the order of a column; equal ones keep their order, unknown come last.

        Args:
            title: of the column.
            descending: whether the largest comes first.
        """
        cells = self.values(title)
        column = next(column for column in self.columns if column.title == title)
        keys = [self.values(name) for name in column.order or (title,)]
        filled = [place for place, cell in enumerate(cells) if cell is not None and cell != ""]
        empty = [place for place, cell in enumerate(cells) if cell is None or cell == ""]
        filled.sort(
            key=lambda place: [_sort_key(cells[place]) for cells in keys], reverse=descending
        )
        return self._picked([*filled, *empty])

    def first(self, run_id: str) -> Table:
        """The same lines with that of a run first."""
        places = range(len(self.lines))
        return self._picked(sorted(places, key=lambda place: self.ids[place] != run_id))

    def top(self, many: int) -> Table:
        """The first lines, at most so many."""
        return self._picked(range(min(many, len(self.lines))))

    def _picked(self, places: Sequence[int]) -> Table:
        ids = tuple(self.ids[place] for place in places) if self.ids else ()
        return replace(self, lines=tuple(self.lines[place] for place in places), ids=ids)

    def without_empty_columns(self) -> tuple[Table, list[Column]]:
        """The table without the columns that are empty in all lines, and those columns."""
        empty = [
            place
            for place in range(len(self.columns))
            if self.lines and all(line[place] is None or line[place] == "" for line in self.lines)
        ]
        kept = [place for place in range(len(self.columns)) if place not in empty]
        lines = tuple(tuple(line[place] for place in kept) for line in self.lines)
        left = replace(self, columns=tuple(self.columns[place] for place in kept), lines=lines)
        return left, [self.columns[place] for place in empty]

    def about_empty(self, columns: Sequence[Column]) -> str:
        """One sentence on columns that are empty in all lines, with the reasons that are known."""
        parts = [
            t("{title} ({reason})", title=t(column.title), reason=self.reasons[column.title])
            if column.title in self.reasons
            else t(column.title)
            for column in columns
        ]
        return t("Empty in all lines: {columns}.", columns="; ".join(parts))

    def frame(self) -> pd.DataFrame:
        """The values in base units, heads and stored sentences in the reader's language."""
        return self._in_words()._frame([t(column.title) for column in self.columns])

    def csv(self) -> bytes:
        """The values in base units at full precision, heads as the record names them."""
        return number_format.to_csv(
            self._frame([column.name or column.title for column in self.columns])
        )

    def _frame(self, heads: Sequence[str]) -> pd.DataFrame:
        import pandas as pd

        series = {}
        for place, (head, column) in enumerate(zip(heads, self.columns, strict=True)):
            cells = [line[place] for line in self.lines]
            kind = "float64" if column.show is not None else object
            series[head] = pd.Series(cells, dtype=kind)
        return pd.DataFrame(series)

    def read(self, line: tuple[Cell, ...]) -> list[str]:
        """A line as text, each number as its column is read."""
        return [
            UNKNOWN if cell is None else _read(_in_words(cell, column), column.show)
            for cell, column in zip(line, self.columns, strict=True)
        ]

    def _in_words(self) -> Table:
        if not any(column.stored for column in self.columns):
            return self
        lines = tuple(tuple(map(_in_words, line, self.columns)) for line in self.lines)
        return replace(self, lines=lines)


def _in_words(cell: Cell, column: Column) -> Cell:
    return retold(cell) if column.stored and isinstance(cell, str) else cell


def _sort_key(cell: Cell) -> tuple[int, float, list[tuple[int, int, str]]]:
    """Numbers by value; text by letters whatever their case, and by the numbers in it."""
    if not isinstance(cell, str):
        return 0, float(cell or 0), []
    parts = re.findall(r"[0-9]+|[^0-9]+", cell.casefold())
    return 1, 0.0, [(0, int(part), "") if part[0] in DIGITS else (1, 0, part) for part in parts]


DIGITS = frozenset("0123456789")


def _read(cell: Cell, show: Show | None) -> str:
    if show is None or isinstance(cell, str) or cell is None:
        return str(cell)
    return show(float(cell))


def make(
    columns: Sequence[Column],
    lines: Sequence[Mapping[str, Cell | Measurement]],
    ids: Sequence[str] = (),
) -> Table:
    """A table from lines by title; a measurement gives its value, or why there is none.

    Args:
        columns: in the order shown.
        lines: title → cell; a title that is missing is an unknown cell.
        ids: the run behind each line.
    """
    reasons: dict[str, set[str]] = {}
    cells_of_lines = []
    for line in lines:
        cells: list[Cell] = []
        for column in columns:
            cell = line.get(column.title)
            if isinstance(cell, Measurement):
                if cell.value is None and cell.reason:
                    reasons.setdefault(column.title, set()).add(cell.reason)
                cell = cell.value
            cells.append(None if isinstance(cell, float) and cell != cell else cell)
        cells_of_lines.append(tuple(cells))
    shared = {title: next(iter(texts)) for title, texts in reasons.items() if len(texts) == 1}
    return Table(tuple(columns), tuple(cells_of_lines), tuple(ids), shared)


def _as_numbers_are(values: pd.Series) -> Show:
    """Whole numbers are counts; a column that lacks some holds them as fractions."""
    present = values.dropna()
    are_whole = len(present) > 0 and ((present == present.round()) & (present.abs() < 1e15)).all()
    return number_format.whole if are_whole else number_format.significant


def from_frame(frame: pd.DataFrame, shows: Mapping[str, Show] | None = None) -> Table:
    """A table from a data frame; where `shows` says nothing, counts keep every digit, others three.

    Args:
        frame: text and numbers, heads in the reader's language.
        shows: head → how its numbers are read.
    """
    import pandas as pd

    columns = []
    for head in frame.columns:
        numbers = pd.api.types.is_numeric_dtype(frame[head]) and frame[head].dtype != bool
        show = (shows or {}).get(head, _as_numbers_are(frame[head])) if numbers else None
        columns.append(Column(str(head), show=show))
    lines = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
    return make(columns, [dict(zip(map(str, frame.columns), line, strict=True)) for line in lines])
