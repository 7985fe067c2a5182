"""Other hardware: a run measured here, predicted on devices one does not own, and how well."""

import streamlit as st

from llmrec_core.language import t
from pages.measure import measured_and_predicted, prediction_evidence
from pages.shared import address, fact_tables, frame, hardware, records, tables, widgets

study = frame.study()
widgets.heading(
    t("Other hardware"),
    t(
        "What a request would cost on devices you do not own, beside what was measured "
        "here, and how far to trust that."
    ),
    study,
)
beside_tab, trust_tab, devices_tab = address.tabs(
    {
        "predicted": t("Measured and predicted"),
        "trust": t("How good the predictions are"),
        "devices": t("The devices"),
    },
    "other_tab",
)

with beside_tab:
    if beside_tab.open:
        measured_and_predicted.section(records.rows(study) if study else [], frame.pricing())

with trust_tab:
    if trust_tab.open:
        prediction_evidence.section()

with devices_tab:
    if devices_tab.open:
        st.caption(
            t(
                "Dense peaks, not with sparsity. Verified: the bandwidth was seen in the "
                "source named; other fields are data-sheet values from general knowledge. Your "
                "own device: `python -m llmrec_core profile`, or a line in "
                "`costmodel/devices.csv` under the home folder."
            )
        )
        table = fact_tables.catalogue(hardware.catalogue().values())
        tables.table(table, "other_catalogue", "devices.csv")
