"""Doubts about a data set beside the figures that were measured on it, and its diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llmrec_core.contract.requests import DiagnoseRequest, kind_of
from llmrec_core.data import diagnosis
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.diagnosis import Diagnosis
from llmrec_core.language import t
from llmrec_core.reading import clear_order, number_format
from llmrec_core.reading.data_doubts import (
    doubts,
    doubts_of,
    meanings,
    memorised_flags,
    memory_sentence,
)
from llmrec_core.reading.row import Row
from pages.shared import access, measuring, records, widgets

USUAL_MODEL = "smollm2-135m"


def beside(rows: Sequence[Row]) -> None:
    """Draw the doubts about the data of some rows, as far as it was diagnosed."""
    hashes = [row.spec.data.content_hash for row in rows]
    _warn(doubts_of(hashes, records.settings()))


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        st.warning(number_format.plain(sentence), icon=":material/warning:")


def flags(rows: Sequence[Row]) -> dict[str, str]:
    """Id of a row → how much of the titles its language model knows by heart."""
    return memorised_flags(rows, records.settings())


def switched_off_ties(rows: Sequence[Row], protocol: str, key: str) -> bool:
    """Draw the switch that leaves tied people out, where the records have any.

    Args:
        rows: of the study.
        protocol: in force on the page.
        key: of the widget.

    Returns:
        Whether they are left out.
    """
    if not clear_order.some_are_tied(rows, protocol):
        return False
    return st.toggle(
        t("Without people whose last items share one moment"),
        key=key,
        bind="query-params",
        help=t(
            "Of them the order of the file alone says which item was withheld. A record from "
            "before this was told apart has no figure then."
        ),
    )


def section(dataset: Dataset) -> None:
    """Draw the diagnosis of a data set, or the button that makes it."""
    st.header(t("What the data gives away"))
    findings = diagnosis.kept(dataset.content_hash, records.settings())
    if findings is None:
        _offer(dataset)
        return
    sentences = doubts(findings)
    _warn(sentences)
    if not sentences:
        st.success(t("Nothing in the data gives its targets away."))
    for sentence in meanings(findings):
        widgets.say(sentence)
    widgets.caption(
        t(
            "NDCG@10 among the whole catalogue, {users:,} people, {draws} orders of equal times; "
            "measured in {seconds:.0f} s.",
            users=findings.users,
            draws=findings.ties.draws,
            seconds=findings.seconds,
        )
    )
    _titles(dataset, findings)


def _offer(dataset: Dataset) -> None:
    widgets.caption(
        t(
            "What ties, item numbers and titles give away, what models without training reach, and "
            "what cleaning would move. Its doubts then stand beside every figure."
        )
    )
    key = f"data_diagnose_{dataset.content_hash}"
    seconds = diagnosis.expected_s(len(dataset.interactions))
    if measuring.button(key, t("Diagnose"), seconds, icon=":material/troubleshoot:"):
        measuring.ask(key, DiagnoseRequest(data=dataset.name))
    _wait(key, dataset)


def _titles(dataset: Dataset, findings: Diagnosis) -> None:
    """What language models know of the titles by heart, and the button that asks one."""
    for entry in findings.memorised:
        widgets.say(memory_sentence(findings, entry))
    model_column, button_column = st.columns([2, 3], vertical_alignment="bottom")
    model = model_column.text_input(
        t("Does a language model know the titles by heart?"),
        value=USUAL_MODEL,
        key="data_titles_model",
        help=t(
            "A model that writes: {usual}, a Hugging Face id or a folder. It is shown the first "
            "half of 100 titles.",
            usual=USUAL_MODEL,
        ),
    )
    key = f"data_titles_{dataset.content_hash}"
    if button_column.button(
        t("Let it complete 100 titles, about a minute"),
        key=key,
        icon=":material/psychology:",
        disabled=not (model and access.may("analyst")),
    ):
        measuring.ask(key, DiagnoseRequest(data=dataset.name, model=model))
    _wait(key, dataset)


def _wait(key: str, dataset: Dataset) -> None:
    widgets.answer(key, kind_of(DiagnoseRequest(data=dataset.name)))
