"""Versions of an imported data set, the report of its import, and a way to delete it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from llmrec_core.data import store
from llmrec_core.language import t
from pages.build import clean_form, cleaning_report, forget_person
from pages.shared import data_access, records, tables


def show(name: str) -> None:
    """Draw the versions of a data set; a built-in one has none."""
    if name in store.BUILT_IN:
        return
    stored = store.manifest(name, records.settings())
    rows = [
        {
            t("Version"): f"{name}@{version.number}",
            t("Note"): version.note,
            t("Hash"): version.content_hash,
            t("Users"): version.users,
            t("Items"): version.items,
            t("Interactions"): version.interactions,
        }
        for version in stored.versions
    ]
    st.header(t("Versions"))
    tables.table(pd.DataFrame(rows), "data_versions", f"{name}-versions.csv")
    report = next((entry.report for entry in reversed(stored.versions) if entry.report), None)
    if report:
        with st.expander(t("Cleaning report")):
            cleaning_report.show(report, "stored")
    clean_form.show(name)
    forget_person.show(name)
    sure = st.checkbox(t("Delete this data set with all its versions"), key="data_sure")
    if st.button(t("Delete"), disabled=not sure, key="data_delete", icon=":material/delete:"):
        data_access.delete_dataset(name)
        st.rerun()
    data_access.sharing(name)
