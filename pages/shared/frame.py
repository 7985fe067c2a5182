"""The side bar and the banners that stand on every page: chosen study, price, worker, glossary."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import streamlit as st

from llmrec_core.errors import LlmrecError
from llmrec_core.experiments import formats, views
from llmrec_core.experiments.words import GLOSSARY
from llmrec_core.profiling.device import unusable_gpu
from pages.shared import records, widgets


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Show an error meant for a person as its sentence; all others stay errors of ours."""
    try:
        yield
    except LlmrecError as error:
        st.error(formats.plain(error), icon=":material/error:")


def draw() -> None:
    """Draw the side bar; the page reads its values through `study()` and `pricing()`."""
    with st.sidebar:
        _choose_study()
        _price()
        _workers()
        _glossary()
    banner = unusable_gpu(records.device(int(time.time() // 600)))
    if banner:
        st.warning(formats.plain(banner), icon=":material/warning:")


def _choose_study() -> None:
    found = {study.key: study for study in records.studies()}
    if not found:
        st.caption("No study yet. Queue one on *Train*, or run `python -m llmrec_core demo`.")
        st.session_state["_study"] = None
        return
    own = [key for key, study in found.items() if not study.recorded]
    ready = [key for key in own if records.has_finished(found[key])]
    sample = [key for key, study in found.items() if study.recorded]
    asked = st.query_params.get("study")
    keys = list(found)
    if st.session_state.get("study") not in found:
        st.session_state["study"] = asked if asked in found else (ready or sample or own)[0]
    chosen = st.selectbox(
        "Study",
        keys,
        format_func=lambda key: found[key].title + (" (recorded sample)" if found[key].recorded else ""),
        key="study",
        help="All pages show this study. It stands in the address, so a link shows the same.",
    )
    st.session_state["_study"] = found[chosen]
    # By hand, as a bound widget leaves its default out of the address, and the default changes with every new study.
    st.query_params["study"] = chosen


def study() -> records.Study | None:
    """The chosen study; `None` when there is none."""
    return st.session_state.get("_study")


def _price() -> None:
    with st.expander("Price and power", icon=":material/payments:"):
        st.number_input(
            "Price of the machine, $ per hour",
            min_value=0.0001,
            max_value=10_000.0,
            value=None,
            step=0.01,
            format="%.4f",
            placeholder="as recorded",
            key="price",
            bind="query-params",
            help="Empty: the price in the run's record, shown with its date and source on each page.",
        )
        st.number_input(
            "Utilisation, %",
            min_value=1,
            max_value=100,
            value=None,
            placeholder="as recorded (50)",
            key="utilisation",
            bind="query-params",
            help="Share of the hour in which the machine answers requests.",
        )
        st.number_input(
            "Power under load, W",
            min_value=1.0,
            max_value=10_000.0,
            value=None,
            placeholder="measured, where there is a counter",
            key="watts",
            bind="query-params",
            help="Used only where no energy counter was readable; drawn as assumed, never as measured.",
        )
        st.number_input(
            "Grid intensity, g CO2e per kWh",
            min_value=0.0,
            max_value=2_000.0,
            value=None,
            placeholder="as recorded",
            key="grid",
            bind="query-params",
        )


def pricing() -> views.Pricing:
    """Price, utilisation, watts and grid as typed; empty fields keep the record's."""
    state = st.session_state
    used = state.get("utilisation")
    return views.Pricing(state.get("price"), used / 100 if used else None, state.get("grid"), state.get("watts"))


def _workers() -> None:
    alive = live_workers()
    if alive:
        st.caption(f":material/check_circle: {len(alive)} worker{'s' if len(alive) > 1 else ''} running")
    else:
        st.caption(":material/pause_circle: No worker is running. Start one: `python -m llmrec_core up`")


def live_workers() -> list[Any]:
    """Workers heard from lately."""
    return [worker for worker in records.ledger().workers() if worker.state not in ("stopped", "lost")]


def _glossary() -> None:
    with st.expander("Glossary", icon=":material/menu_book:"):
        for term, meaning in GLOSSARY.items():
            st.markdown(f"**{term}.** {widgets.formats.plain(meaning)}")
