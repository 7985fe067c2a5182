"""Fetching the built-in data set onto this machine, by the worker."""

from __future__ import annotations

import streamlit as st

from llmrec_core.assets import ASSETS
from llmrec_core.contract.requests import FetchDataRequest, kind_of
from llmrec_core.language import t
from llmrec_core.reading import number_format
from pages.shared import measuring, records, widgets

NAME = "ml-100k"
KEY = "data_fetch"


def show() -> None:
    """Draw what would be fetched, and the button."""
    asset = ASSETS[NAME]
    st.info(
        number_format.plain(
            t(
                "No data set is on this machine yet. {title} ({size}; {licence}) can be fetched.",
                title=t(asset.title),
                size=number_format.size(asset.total_bytes),
                licence=t(asset.licence),
            )
        )
    )
    question = FetchDataRequest(data=NAME)
    kind = kind_of(question)
    usual_s = records.ledger().usual_answer_s(kind)
    if measuring.button(KEY, t("Fetch it"), None, usual_s=usual_s, icon=":material/download:"):
        measuring.ask(f"{KEY}_request", question)
    if widgets.answer(f"{KEY}_request", kind) is not None:
        st.caption(
            t("The worker has fetched it, but not onto the machine that serves these pages.")
        )
    measuring.from_terminal(f"python -m llmrec_core data inspect {NAME}")
