"""The tab Checks: the sanity checks of the records, and those of a data set on demand."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.checks import check_files, expected_time
from llmrec_core.contract.requests import CheckDataRequest, kind_of
from llmrec_core.language import marked, t
from llmrec_core.reading import check_results, number_format
from llmrec_core.reading.row import Row
from pages.shared import fields, measuring, records, tables, widgets

KEY = "quality_data_check"
SPLITS = {
    "loo": marked("each person's last item"),
    "time": marked("what came after one instant"),
}
"""What is withheld, in words."""


def section(study: records.Study | None, rows: Sequence[Row]) -> None:
    """Draw what the records hold, then the checks of a data set."""
    documents = records.fresh_documents(study, rows, "checks") if study and rows else {}
    table = check_results.check_table(rows, documents)
    if table.lines:
        widgets.say(check_results.check_sentence(table))
        tables.table(table, "quality_checks", "quality_checks.csv", study=study)
    else:
        st.info(t("These records hold no checks; runs made from now on do."))
    st.header(t("Checks of a data set"))
    widgets.caption(
        t(
            "Whether the split keeps what is asked out of the training, and whether classical "
            "models that learned from shuffled labels know no more than popularity."
        )
    )
    _data(rows)


def _data(rows: Sequence[Row]) -> None:
    names = records.dataset_names()
    if not names:
        widgets.caption(t("No data set is on this machine yet."))
        widgets.link("build/data.py", t("Get a data set"))
        return
    used = next((row.spec.data.name for row in rows), names[0])
    data_column, split_column, users_column = st.columns([2, 2, 1])
    data = data_column.selectbox(
        t("Data set"), names, names.index(used) if used in names else 0, key=f"{KEY}_data"
    )
    split = split_column.selectbox(
        t("Withheld"), list(SPLITS), format_func=lambda name: t(SPLITS[name]), key=f"{KEY}_split"
    )
    users = fields.whole_field(
        users_column, t("Users"), f"{KEY}_users", default=400, low=1, high=100_000
    )
    dataset = records.dataset(data)
    content_hash = dataset.content_hash
    body = check_files.read(content_hash, records.settings())
    question = CheckDataRequest(data=data, split=split, users=users)
    seconds = expected_time.of_data_check(question, dataset, body)
    usual_s = records.ledger().usual_answer_s(kind_of(question))
    key = f"{KEY}_{content_hash}"
    if measuring.button(
        f"{KEY}_ask",
        t("Check this data set"),
        seconds,
        usual_s=usual_s,
        ready=not fields.refused(KEY),
    ):
        measuring.ask(key, question)
    widgets.answer(key, kind_of(question))
    if body is not None:
        table = check_results.data_check_table(body)
        widgets.say(check_results.check_sentence(table, of="Subject"))
        tables.table(table, "quality_data_checks", "data_checks.csv")
        widgets.caption(
            t(
                "{protocol}, {users} people; checked in {time}.",
                protocol=body["protocol"],
                users=body["users"],
                time=number_format.duration(body["seconds"]),
            )
        )
    measuring.from_terminal(f"python -m llmrec_core data check {data}")
