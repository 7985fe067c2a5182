"""Asking for an explanation: how it is made, when, and what the address says of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import streamlit as st

from llmrec_core.contract.requests import (
    Baseline,
    ExplainRequest,
    RecommendRequest,
    Target,
    to_json,
)
from llmrec_core.language import t
from pages.shared import address, widgets

LIST_LENGTH = 10
BASELINES: Mapping[str, Baseline] = {name: name for name in get_args(Baseline)}
TARGETS: Mapping[str, Target] = {name: name for name in get_args(Target)}
ERRORS = {"usual": None, "5-percent": 0.05, "exact": 0.0}
"""The error that is asked for, by what stands in the address."""


def list_of(run_id: str, user: str) -> Mapping[str, Any]:
    """The list of a user whose list no record holds, from the worker; empty until it answers."""
    payload = to_json(RecommendRequest(run=run_id, user=user, k=LIST_LENGTH))
    widgets.ask("why_list", "recommend", payload)
    return widgets.answer("why_list", "recommend", payload) or {}


def dials(question: ExplainRequest) -> ExplainRequest:
    """The question with the chosen baseline, players, target and effort, as in the address."""
    with st.expander(t("How it is explained")):
        baseline = address.choose(
            st.segmented_control,
            t("An absent part"),
            {
                "remove": t("is left out"),
                "mask": t("is masked, in text models"),
                "average": t("is another person's"),
            },
            "why_baseline",
            default="remove",
            help=t("The baseline changes the answer: look at two before you believe one."),
        )
        players = address.choose(
            st.segmented_control,
            t("What may be a reason"),
            {"history": t("history items"), "all": t("and the item's own words")},
            "why_players",
            default="history",
        )
        target = address.choose(
            st.segmented_control,
            t("What is explained"),
            {"score": t("the score of the list"), "probability": t("the probability")},
            "why_target",
            default="score",
        )
        effort = address.choose(
            st.segmented_control,
            t("How sure"),
            {
                "usual": t("in seconds"),
                "5-percent": t("error of 5 %"),
                "exact": t("exact, up to 12 reasons"),
            },
            "why_effort",
            default="usual",
        )
    return replace(
        question,
        baseline=BASELINES[baseline],
        players=("history", "fields") if players == "all" else ("history",),
        target=TARGETS[target],
        error=ERRORS[effort],
    )


def ask(question: ExplainRequest, body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The answer of the worker once it was asked for, else what the record holds.

    A question that was asked stands in the address, so whoever opens it asks the same.

    Args:
        question: what is asked.
        body: the explanation of this item in the run's record, if it has one.
    """
    payload = to_json(question)
    mark = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:8]
    label = t("Explain this item") if body is None else t("Explain it anew, with these settings")
    wanted = st.query_params.get("why_asked") == mark
    if st.button(label, key="why_explain", type="secondary" if body or wanted else "primary"):
        wanted = True
    if wanted:
        address.remember("why_asked", mark)
        widgets.ask("why_explain_request", "explain", payload)
    live = widgets.answer("why_explain_request", "explain", payload)
    if live is None and body is None and not wanted:
        st.caption(
            t(
                "The worker scores subsets of what the model reads, with the model itself: all of "
                "them, or as many as give every value an error bar."
            )
        )
    return live or body
