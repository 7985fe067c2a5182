"""Drawing of tables: a click on a head orders them, a click on a line opens or marks its run.

The browser's own sorting puts unknown cells first, so a click on a head is answered here. What the
browser gets are numbers with a text of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.table import UNKNOWN, Column, Table, from_frame
from pages.shared import records
from pages.shared.navigation import page_path

Height = int | Literal["auto", "stretch", "content"]
FAILING = "background-color: rgba(217, 112, 43, 0.25)"
"""Colour of a cell that breaks a limit."""
SHOWN = 5_000
"""Lines drawn at most; the export holds all of them."""


def table(
    content: Table | pd.DataFrame,
    key: str,
    file_name: str,
    *,
    study: records.Study | None = None,
    height: Height = "auto",
    column_config: Mapping[str, Any] | None = None,
    marks: bool = False,
) -> None:
    """Draw a table with its export; columns that are empty in all lines become one sentence.

    Args:
        content: a frame is taken as it is, its numbers read with three digits.
        key: of the widgets.
        file_name: of the export.
        study: where a click on a line opens its run; `None` for tables that are not of runs.
        height: of the table in pixels.
        column_config: head → how streamlit draws that column, beside what the table says.
        marks: a click on a line marks its run for the page, see `clicked_run`, with a link below.
    """
    whole = content if isinstance(content, Table) else from_frame(content)
    _drawn(whole, key, file_name, study, height, dict(column_config or {}), marks)


def clicked_run(key: str) -> str:
    """The run of the line that was clicked in a table that marks; empty where none was.

    Args:
        key: of the table.
    """
    return str(st.session_state.get(f"_{key}_marked", ""))


@st.fragment
def _drawn(
    whole: Table,
    key: str,
    file_name: str,
    study: records.Study | None,
    height: Height,
    column_config: dict[str, Any],
    marks: bool,
) -> None:
    order = st.session_state.get(_order_key(key))
    shown, empty = arranged(whole, order)
    part = shown.top(SHOWN)
    opens = study is not None and bool(part.ids)
    state = st.dataframe(
        styled(part),
        key=_grid_key(key),
        hide_index=True,
        height=height,
        placeholder=UNKNOWN,
        column_config=_heads(part.columns, order) | column_config,
        selection_mode=["single-row", "single-column"] if opens else "single-column",
        on_select=partial(_order, key),
    )
    _below(whole, len(part.lines), empty)
    st.download_button(
        "CSV",
        whole.csv,  # made when it is asked for
        file_name,
        "text/csv",
        key=f"{key}_csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        help=t(
            "All lines and columns in base units. Text that starts like a formula gets a "
            "leading apostrophe."
        ),
    )
    if not opens or study is None:
        return
    rows = [row for row in state.selection.rows if row < len(part.ids)]
    run_id = part.ids[rows[0]] if rows else ""
    if marks and run_id != clicked_run(key):
        st.session_state[f"_{key}_marked"] = run_id
        st.rerun()  # of the whole page, whose chart shows the mark
    if not run_id:
        return
    of_run = {"study": study.key, "runs_id": run_id}
    if not marks:
        st.switch_page(page_path("build/runs.py"), query_params=of_run)
    st.page_link(
        page_path("build/runs.py"),
        label=t("Open the marked run"),
        icon=":material/open_in_new:",
        query_params=of_run,
    )


def arranged(whole: Table, order: tuple[str, bool] | None) -> tuple[Table, list[Column]]:
    """The lines as drawn, without the columns that are empty in all of them, and those columns.

    Args:
        whole: the table.
        order: head of the column that was clicked and whether its largest comes first.
    """
    titles = {t(column.title): column.title for column in whole.columns}
    if order and order[0] in titles:
        whole = whole.sorted_by(titles[order[0]], descending=order[1])
    return whole.without_empty_columns()


def _grid_key(key: str) -> str:
    return f"{key}_table"


def _order_key(key: str) -> str:
    return f"_{key}_order"


def _order(key: str) -> None:
    """Note the column that was clicked; a second click turns the order round."""
    columns = st.session_state[_grid_key(key)].selection.columns
    before = st.session_state.get(_order_key(key))
    if columns and (before is None or columns[0] != before[0]):
        st.session_state[_order_key(key)] = (columns[0], False)
    elif before is not None:
        st.session_state[_order_key(key)] = (before[0], not before[1])


def styled(part: Table) -> Styler:
    """What the browser gets: numbers with a text of their own, failing cells marked."""
    frame = part.frame()
    shows = {t(column.title): column.show for column in part.columns if column.show is not None}
    drawn = frame.style.format(shows, na_rep=UNKNOWN)
    if not part.failing:
        return drawn

    def marks(values: pd.Series) -> list[str]:
        return [
            FAILING if (run_id, values.name) in failing else "" for run_id in part.ids or values
        ]

    failing = {(run_id, t(title)) for run_id, title in part.failing}
    return drawn.apply(marks)


def _heads(columns: tuple[Column, ...], order: tuple[str, bool] | None) -> dict[str, Any]:
    heads = {}
    for column in columns:
        title = t(column.title)
        arrow = "" if not order or order[0] != title else " ↓" if order[1] else " ↑"
        heads[title] = st.column_config.Column(label=title + arrow, help=column.help or None)
    return heads


def _below(whole: Table, drawn: int, empty: list[Column]) -> None:
    if drawn < len(whole.lines):
        part = number_format.part_of(drawn, len(whole.lines))
        st.caption(t("{part} lines; the CSV holds all.", part=part))
    if empty:
        st.caption(number_format.plain(whole.about_empty(empty)))
