"""Importing one's own files in the browser: look at them, settle what is open, store, train."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from llmrec_core.data.importing.described_table import KINDS, NONE, Options
from llmrec_core.data.importing.isolated import import_files
from llmrec_core.data.importing.request import Column, ImportOutcome, Preview
from llmrec_core.errors import LlmrecError
from llmrec_core.language import marked, t, tn
from llmrec_core.reading import number_format
from llmrec_core.retelling import retold
from pages.build import cleaning_report
from pages.shared import crowd, data_access, records, tables, widgets

ROLES = {
    "user": marked("User"),
    "item": marked("Item"),
    "rating": marked("Rating"),
    "time": marked("Time"),
    "title": marked("Title"),
    "genres": marked("Category"),
}
AS_FOUND = ""
TIME_FORMS = (
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
    "%d-%m-%Y", "%d-%m-%Y %H:%M", "%m-%d-%Y", "%m-%d-%Y %H:%M",
)  # fmt: skip
EXAMPLE = datetime.datetime(2025, 12, 31, 23, 59, tzinfo=datetime.UTC)
"""Shows what a form of times looks like: its day can be no month."""
KIND_NAMES = {
    "interactions": marked("interactions: who took what"),
    "items": marked("items and what they are called"),
    "users": marked("people"),
    "edges": marked("friends"),
    "tags": marked("tags that people gave"),
    "tag-names": marked("names of tags"),
    "sequences": marked("histories, one person a row"),
    "lists": marked("candidate lists"),
    "prompts": marked("prompts with answers"),
    "relations": marked("relations: head, relation, tail"),
    "entity-links": marked("which item is which entity of the relations"),
    "other": marked("nothing that is needed"),
}
_OUTCOME = "_import_outcome"
_FILES = "_import_files"
_REFUSAL = "_import_refusal"


def form() -> None:
    """Files and a name; then each file with what it was taken for; then the button that stores."""
    files = st.file_uploader(
        t("Tables (CSV, TSV, JSON, Parquet), also as gz or in one zip"),
        accept_multiple_files=True,
        key="data_files",
    )
    name = st.text_input(t("Name of the data set"), placeholder="my-shop", key="data_new_name")
    contents = [(file.name, file.getvalue()) for file in files or []]
    stamp = [(label, len(content), hash(content)) for label, content in contents]
    if st.session_state.get(_FILES) != stamp:
        st.session_state[_FILES] = stamp
        st.session_state.pop(_OUTCOME, None)
    outcome = st.session_state.get(_OUTCOME)
    if outcome is not None and outcome.version is not None:
        _show_result(outcome)
        return
    if outcome is None:
        widgets.caption(t("Everything is found by itself, and shown before anything is stored."))
        if st.button(t("Look at the files"), key="data_look", icon=":material/search:"):
            _run(contents, name, Options(), store=False)
            st.rerun()
        _show_refusal()
        return
    options = _settle(outcome)
    _actions(contents, name, options, outcome)
    _show_refusal()
    _show_result(outcome)


def is_open() -> bool:
    """Whether files are being looked at or were stored just now."""
    return _OUTCOME in st.session_state or _REFUSAL in st.session_state


def _run(contents: list[tuple[str, bytes]], name: str, options: Options, *, store: bool) -> None:
    """Look at the files or store them, in a child; the answer is kept for the next run."""
    st.session_state.pop(_REFUSAL, None)
    if not contents:
        st.session_state[_REFUSAL] = t(
            "Choose one or more files first: a table of user, item and perhaps rating and time."
        )
        return
    try:
        importing = data_access.importing(name or "look", stored=store)
        with st.spinner(t("Reading")), importing, crowd.elsewhere():
            outcome = import_files(
                contents, name or "look", records.settings(), options, store=store
            )
    except LlmrecError as error:
        st.session_state[_REFUSAL] = str(error)
        return
    st.session_state[_OUTCOME] = outcome


def _show_refusal() -> None:
    refusal = st.session_state.get(_REFUSAL)
    if refusal:
        st.warning(t("This cannot be imported as it is."))
        # What a stranger's file said may stand in the message: shown as text, never as markdown.
        st.text(refusal)


def _settle(outcome: ImportOutcome) -> Options:
    """Each file with its preview and choices; what was chosen."""
    chosen: dict[str, dict[str, Any]] = {}
    previews = {preview.file: preview for preview in outcome.previews}
    skipped = {
        table["file"]: table["evidence"] for table in outcome.tables if table["kind"] == "skipped"
    }
    evidence = {table["file"]: table["evidence"] for table in outcome.tables}
    questioned = [problem.file for problem in outcome.problems]
    labels = list(dict.fromkeys([*previews, *questioned, *skipped]))
    if outcome.problems:
        st.warning(
            tn(
                "{count} thing has to be settled before this can be stored.",
                "{count} things have to be settled before this can be stored.",
                len(outcome.problems),
            )
        )
    for number, label in enumerate(label for label in labels if label):
        with st.expander(_title(label, previews.get(label)), expanded=label not in skipped):
            for problem in outcome.problems:
                if problem.file == label:
                    st.text(f"⚠ {retold(problem.error().on_page)}")
            preview = previews.get(label)
            if preview is not None:
                _show_rows(preview, f"data_preview{number}")
            choices = _choices(preview, f"data_file{number}")
            if choices:
                chosen[label] = choices
            reasons = "; ".join(evidence.get(label, []))
            widgets.caption(t("Why: {reasons}", reasons=retold(reasons)))
    skip = st.checkbox(t("Leave out rows that cannot be read"), key="data_skip")
    return Options.of(files=chosen, skip_bad_rows=skip)


def _title(label: str, preview: Preview | None) -> str:
    """The heading of a file; markdown of its name is escaped."""
    kind = t(KIND_NAMES[preview.kind]) if preview else t("not read")
    return number_format.plain(t("{file}: {kind}", file=label, kind=kind))


def _show_rows(preview: Preview, key: str) -> None:
    """The first rows, as the file has them, under names that say what each column was taken for."""
    heads = [" → ".join([column.name, *_taken_for(column)]) for column in preview.columns]
    names = [name if heads.index(name) == n else f"{name} ({n})" for n, name in enumerate(heads)]
    tables.table(pd.DataFrame(preview.rows, columns=names), key, "preview.csv")


def _taken_for(column: Column) -> list[str]:
    """The roles of a column in words, as one text; empty when it has none."""
    words = [t(ROLES.get(role, role)) for role in column.roles]
    return [", ".join(words)] if words else []


def _choices(preview: Preview | None, key: str) -> dict[str, Any]:
    """What a person fixes about one file; empty when all stays as found."""
    columns = _chosen_columns(preview, key) if preview is not None else {}
    cells = st.columns(4)
    values = {
        "kind": cells[0].selectbox(
            t("The file holds"), [AS_FOUND, *KINDS], format_func=_kind_words, key=f"{key}_kind"
        ),
        "time_format": cells[1].selectbox(
            t("Times are written as"),
            [AS_FOUND, *TIME_FORMS],
            format_func=_time_words,
            key=f"{key}_time_form",
        ),
        "separator": cells[2].text_input(t("Separator"), key=f"{key}_separator", placeholder=";"),
        "encoding": cells[3].text_input(t("Encoding"), key=f"{key}_encoding", placeholder="utf-8"),
    }
    chosen: dict[str, Any] = {field: str(text).strip() for field, text in values.items() if text}
    return chosen | ({"columns": columns} if columns else {})


def _chosen_columns(preview: Preview, key: str) -> dict[str, str]:
    """Role → column of a file, or `none`, where a person picked one."""
    proposed = {role: column.name for column in preview.columns for role in column.roles}
    names = [column.name for column in preview.columns]
    cells = [*st.columns(3), *st.columns(3)]
    columns: dict[str, str] = {}
    for place, (role, title) in enumerate(ROLES.items()):
        picked = cells[place].selectbox(
            t(title),
            [AS_FOUND, NONE, *names],
            format_func=partial(_column_words, proposed=proposed.get(role, "")),
            key=f"{key}_{role}",
        )
        if picked:
            columns[role] = str(picked)
    return columns


def _kind_words(value: str) -> str:
    return t(KIND_NAMES[value]) if value else t("as found")


def _time_words(value: str) -> str:
    return EXAMPLE.strftime(value) if value else t("as found")


def _column_words(value: str, proposed: str) -> str:
    """An option of a column picker."""
    if value == AS_FOUND:
        return t("as found: {column}", column=proposed) if proposed else t("as found: none")
    return t("none") if value == NONE else value


def _actions(
    contents: list[tuple[str, bytes]], name: str, options: Options, outcome: ImportOutcome
) -> None:
    """Look again with the choices, or store."""
    again, store, _ = st.columns([1, 1, 3])
    if again.button(t("Look again"), key="data_look_again", icon=":material/search:"):
        _run(contents, name, options, store=False)
        st.rerun()
    if store.button(
        t("Import"), key="data_import", icon=":material/upload:", type="primary", disabled=not name
    ):
        _run(contents, name, options, store=True)
        st.rerun()
    if not name:
        widgets.caption(t("Give the data set a name to store it."))


def _show_result(outcome: ImportOutcome) -> None:
    """What was stored, or what would be; rows left out; the report."""
    if outcome.problems or outcome.report is None:
        return
    counts = t(
        "{rows:,} interactions, {users:,} users, {items:,} items",
        rows=outcome.interactions,
        users=outcome.users,
        items=outcome.items,
    )
    if outcome.version is None:
        st.info(t("Nothing is stored yet. An import would store {counts}.", counts=counts))
    else:
        st.success(
            t("Stored as version {number}: {counts}.", number=outcome.version, counts=counts)
        )
        widgets.link("build/train.py", t("Train on this"), train_data=outcome.name)
    for reason, count in outcome.left_out.items():
        widgets.say(
            tn(
                "{count:,} row left out: {reason}",
                "{count:,} rows left out: {reason}",
                count,
                reason=reason,
            )
        )
    cleaning_report.show(outcome.report, "new")
