"""Cleaning an imported data set into a version of its own: which rules act, and the button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from llmrec_core.contract.requests import CleanDataRequest, kind_of
from llmrec_core.data.cleaning.checks import CHECKS
from llmrec_core.language import t
from pages.shared import fields, measuring, records, widgets
from pages.shared.fields import whole_field

KEY = "data_clean"
ACTING = {check.name: check for check in CHECKS if check.action}
USUAL = [name for name, check in ACTING.items() if check.default]


def show(name: str) -> None:
    """Draw the form in an expander.

    Args:
        name: of an imported data set; its newest version is cleaned.
    """
    with st.expander(t("Clean it into a new version"), icon=":material/cleaning_services:"):
        chosen = st.multiselect(
            t("What to remove or repair"),
            list(ACTING),
            default=USUAL,
            format_func=_words,
            key=f"{KEY}_rules",
        )
        k_core = whole_field(
            st.container(),
            t("Fewest interactions of a user and an item that stay"),
            f"{KEY}_k_core",
            default=0,
            low=0,
            high=1_000,
            help=t("Repeated until all have so many; 0 keeps everybody."),
        )
        question = CleanDataRequest(
            data=name,
            on=tuple(rule for rule in chosen if rule not in USUAL),
            off=tuple(rule for rule in USUAL if rule not in chosen),
            k_core=k_core,
        )
        kind, key = kind_of(question), f"{KEY}_{name}"
        ledger = records.ledger()
        if measuring.button(
            f"{KEY}_ask",
            t("Store a cleaned version"),
            None,
            usual_s=ledger.usual_answer_s(kind),
            role=ledger.role_for_data(name),
            ready=not fields.refused(KEY),
        ):
            measuring.ask(key, question)
        _result(name, widgets.answer(key, kind))
        measuring.from_terminal(f"python -m llmrec_core data clean {name}")


def _words(rule: str) -> str:
    return t("{rule}: {action}", rule=t(ACTING[rule].rule), action=t(ACTING[rule].action))


def _result(name: str, answer: Mapping[str, Any] | None) -> None:
    if answer is None:
        return
    if answer["version"] is None:
        widgets.caption(t("There was nothing to change, so there is no new version."))
    else:
        widgets.say(
            t("Stored as {name}@{version}.", name=name, version=answer["version"]),
        )
