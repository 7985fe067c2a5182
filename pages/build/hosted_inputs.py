"""Fields of Train for a hosted model: where it answers, its price, and what a run may spend.

The key is no field: it stands in the environment of the worker, which alone asks.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from llmrec_core.contract.endpoint import ADDRESS, FEWEST_LETTERS, KEY, LETTERS
from llmrec_core.contract.families import fusable
from llmrec_core.contract.spec import RunSpec
from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.recommenders.hosted.spending import estimate
from pages.shared import records
from pages.shared.fields import number_field, whole_field

RETRIEVER = "item-knn"
ORDERED = 20


def chosen() -> dict[str, Any]:
    """Fields of `recommender` for the family `hosted`."""
    address, model = st.columns(2)
    endpoint: dict[str, Any] = {
        "url": address.text_input(
            t("Address of the endpoint"),
            key="train_endpoint",
            bind="query-params",
            placeholder="https://api.example.com/v1",
            help=t(
                "OpenAI-compatible; https, or http on this machine. The worker sends the key in "
                "{key} to the address in {address} alone.",
                key=KEY,
                address=ADDRESS,
            ),
        ),
        "model": model.text_input(t("Model"), key="train_model", bind="query-params"),
    }
    endpoint |= _prices()
    retriever, count, history = st.columns(3)
    offered = [family.name for family in fusable()]
    return {
        "endpoint": endpoint,
        "retriever": retriever.selectbox(
            t("Cheap retriever"),
            offered,
            index=offered.index(RETRIEVER),
            key="train_hosted_retriever",
            bind="query-params",
            accept_new_options=True,
            help=t("Several joined by + are fused, e.g. item-knn+tf-idf."),
        ),
        "rerank_k": whole_field(
            count,
            t("Items in the prompt, K"),
            "train_letters",
            default=ORDERED,
            low=FEWEST_LETTERS,
            high=len(LETTERS),
        ),
        "history_items": whole_field(
            history,
            t("History items in the prompt"),
            "train_history",
            default=10,
            low=1,
            high=200,
        ),
    }


def _prices() -> dict[str, Any]:
    tokens_in, tokens_out, day, limit = st.columns(4, vertical_alignment="bottom")
    fields = {
        "usd_per_million_in": number_field(
            tokens_in, t("$ per million tokens in"), "train_usd_in", high=1e6
        ),
        "usd_per_million_out": number_field(
            tokens_out, t("$ per million tokens out"), "train_usd_out", high=1e6
        ),
        "limit_usd": number_field(
            limit,
            t("Spend at most, $"),
            "train_limit",
            high=1e6,
            help=t("For the run and later questions to it. It stops before it passes this."),
        ),
    }
    priced_on = day.date_input(t("Price read on"), date.today(), key="train_priced_on")
    return {name: value for name, value in fields.items() if value is not None} | {
        "priced_on": priced_on.isoformat() if isinstance(priced_on, date) else ""
    }


def show_estimate(runs: list[RunSpec]) -> None:
    """Say what the runs are expected to ask for and to cost."""
    for run in runs:
        if not records.has_dataset(run.data.name):
            continue
        expected = estimate(run, records.dataset(run.data.name))
        st.caption(
            number_format.plain(
                t(
                    "{name}: about {prompts:,} prompts, {tokens:,.0f} tokens, {usd} of at most "
                    "{limit}. No reasons are computed for it, and other hardware is not "
                    "predicted.",
                    name=run.name,
                    prompts=expected.prompts,
                    tokens=expected.tokens_in + expected.tokens_out,
                    usd=number_format.small_dollars(expected.usd),
                    limit=number_format.small_dollars(run.recommender.endpoint.limit_usd or 0.0),
                )
            )
        )
