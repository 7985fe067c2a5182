"""The Data page's import form, cleaning report and versions."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from llmrec_core.data import store
from llmrec_core.data.isolated import import_files
from llmrec_core.errors import LlmrecError
from pages.shared import records, widgets

FLAGS = {
    "User column": "--user",
    "Item column": "--item",
    "Rating column": "--rating",
    "Time column": "--time",
    "Separator": "--separator",
    "Encoding": "--encoding",
    "Time format": "--time-format",
}


def form() -> None:
    """Files, a name, flags; first what was found and why, then a button that stores it."""
    with st.form("data_import", border=False):
        files = st.file_uploader("Tables, gz or one zip", accept_multiple_files=True, key="data_files")
        name = st.text_input("Name", placeholder="my-shop", key="data_new_name")
        widgets.caption(
            "What is left empty is found, and shown with the evidence. Columns by name, or by number from 1."
        )
        cells = st.columns(4)
        given = {
            flag: cells[place % 4].text_input(label, key=f"data{flag}")
            for place, (label, flag) in enumerate(FLAGS.items())
        }
        skip = st.checkbox("Leave out rows that cannot be read", key="data_skip")
        looked = st.form_submit_button("Look at it", icon=":material/search:")
        kept = st.form_submit_button("Import", icon=":material/upload:", type="primary")
    if not (looked or kept):
        return
    if not files:
        st.info("Choose one or more files first: a table of user, item and perhaps rating and time.")
        return
    flags = [part for flag, value in given.items() if value for part in (flag, value)]
    flags += ["--skip-bad-rows"] if skip else []
    try:
        with st.spinner("Reading"):
            found = import_files(
                [(file.name, file.getvalue()) for file in files], name, records.settings(), flags, store=kept
            )
    except LlmrecError as error:
        # What a stranger's file said may stand in the message: shown as text, never as markdown.
        st.warning("This cannot be imported as it is.")
        st.text(str(error))
        return
    st.success("Stored as a new version." if kept else "This is what was found. Nothing is stored yet.")
    evidence(found["tables"])
    report(found["report"], "new")


def evidence(tables: list[dict[str, Any]]) -> None:
    """What each file was taken for, and why."""
    rows = [
        {
            "File": table["file"],
            "Kind": table["kind"],
            "Columns": ", ".join(f"{role} = {column}" for role, column in table.get("roles", {}).items()),
            "Why": "; ".join(table["evidence"]),
        }
        for table in tables
    ]
    widgets.table(pd.DataFrame(rows), "data_evidence", "evidence.csv")


def report(body: dict[str, Any], key: str) -> None:
    """The cleaning report of a version: rule, count, example, switch; k-core effects; steps."""
    findings = [
        {
            "Check": finding["check"],
            "Found": finding["count"],
            "Of": f"{finding['total']:,} {finding['unit']}",
            "Rule": finding["rule"],
            "Cleaning would": finding["action"] or "only report it",
            "On by default": finding["on"],
            "Example": (finding["examples"] or [""])[0],
        }
        for finding in body["findings"]
    ]
    widgets.table(pd.DataFrame(findings), f"data_report_{key}", "cleaning-report.csv")
    cores = pd.DataFrame(body["cores"]).rename(columns=lambda name: {"k": "k-core"}.get(name, name.capitalize()))
    widgets.table(cores, f"data_cores_{key}", "k-cores.csv")


def versions(name: str) -> None:
    """Versions of an imported data set, the report of its import, and a way to delete it."""
    if name in store.BUILT_IN:
        return
    found = store.manifest(name, records.settings())
    rows = [
        {
            "Version": f"{name}@{version['number']}",
            "Note": version["note"],
            "Hash": version["content_hash"],
            "Users": version["users"],
            "Items": version["items"],
            "Interactions": version["interactions"],
        }
        for version in found["versions"]
    ]
    st.subheader("Versions")
    widgets.table(pd.DataFrame(rows), "data_versions", f"{name}-versions.csv")
    reported = next((version["report"] for version in reversed(found["versions"]) if version["report"]), None)
    if reported:
        with st.expander("Cleaning report"):
            report(reported, "stored")
    widgets.caption(f"Clean it into a new version: python -m llmrec_core data clean {name}")
    sure = st.checkbox("Delete this data set with all its versions", key="data_sure")
    if st.button("Delete", disabled=not sure, key="data_delete", icon=":material/delete:"):
        store.delete(name, records.settings())
        st.rerun()
