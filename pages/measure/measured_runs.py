"""Measuring finished runs of a study once more: which of them, of how many people, and the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import streamlit as st

from llmrec_core.checks import expected_time
from llmrec_core.contract.requests import MEASUREMENT_LIMIT_S, Request
from llmrec_core.language import t, tn
from llmrec_core.profiling.device import Device
from llmrec_core.reading.row import Row
from pages.shared import fields, measuring, records, widgets

USERS, MOST_USERS = 200, 100_000

Expected: TypeAlias = Callable[[Row, int, Device, Mapping[str, Any] | None], float | None]
"""Seconds by row, number of people, machine and earlier document; `None` is not known."""


def section(
    key: str,
    study: records.Study | None,
    rows: Sequence[Row],
    *,
    kind: str,
    documents: Mapping[str, Mapping[str, Any]],
    question: Callable[[str, int], Request],
    expected: Expected,
) -> None:
    """Draw the choice of runs and the button that queues a question about each.

    Args:
        key: of the widgets; fields whose keys begin so are part of the question.
        study: of the rows.
        rows: its finished runs.
        kind: of the questions.
        documents: by run id, of those that have been measured; of the others, those that the
            worker can measure in time are chosen first.
        question: by run id and number of people.
        expected: seconds that one run takes.
    """
    if study is None or not rows:
        st.info(t("No run of this study has finished yet, so there is nothing to measure."))
        return
    if study.recorded:
        st.info(
            t("A recorded study has no models on this machine, so its runs cannot be measured.")
        )
        return

    def expected_s(row: Row, users: int) -> float | None:
        return expected(row, users, records.device(), documents.get(row.run_id))

    ours = [row for row in rows if not row.is_hosted]
    elsewhere = [row.name for row in rows if row.is_hosted]
    if elsewhere:
        names = ", ".join(elsewhere)
        widgets.caption(
            t("Left out, since their provider is paid for each request: {names}.", names=names)
        )
    runs_column, users_column = st.columns([4, 1])
    chosen = runs_column.multiselect(
        t("Runs"),
        [row.run_id for row in ours],
        default=[
            row.run_id
            for row in ours
            if row.run_id not in documents
            and (expected_s(row, USERS) or 0.0) <= MEASUREMENT_LIMIT_S
        ],
        format_func=widgets.run_names(ours),
        key=f"{key}_runs",
        placeholder=t("none"),
    )
    users = fields.whole_field(
        users_column,
        t("Users"),
        f"{key}_users",
        default=USERS,
        low=1,
        high=MOST_USERS,
        help=t("Fixed by their seed."),
    )
    seconds = [expected_s(row, users) for row in ours if row.run_id in chosen]
    if measuring.button(
        f"{key}_ask",
        tn("Measure {count} run", "Measure {count} runs", len(chosen)),
        expected_time.in_all(seconds),
        longest_s=max((part for part in seconds if part is not None), default=None),
        usual_s=records.ledger().usual_answer_s(kind),
        ready=bool(chosen) and not fields.refused(key),
    ):
        measuring.ask_each(key, {run_id: question(run_id, users) for run_id in chosen})
    measuring.wait_each(key, kind, {row.run_id: row.name for row in ours})
