"""What stands on every page: who has logged in, chosen study, price, worker, glossary, banners."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import ParamSpec

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.errors import LlmrecError
from llmrec_core.language import t
from llmrec_core.ledger.rows import WorkerRow
from llmrec_core.profiling.device import unusable_gpu
from llmrec_core.reading import number_format
from llmrec_core.reading.glossary import GLOSSARY
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.report_command import ends
from llmrec_core.retelling import retold
from pages.shared import access, crowd, languages, records
from pages.shared.fields import begin, number_field

Arguments = ParamSpec("Arguments")
FITS = 28
"""Characters of a study's title that its picker shows; a longer one is repeated below, whole."""


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Show an error meant for a person as its sentence; all others stay errors of ours."""
    try:
        yield
    except LlmrecError as error:
        st.error(number_format.plain(retold(str(error))), icon=":material/error:")


def redrawn_alone(part: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A part of a page that its own widgets draw again, without the frame around it.

    The part takes its turn and says errors in sentences, as the whole page does. It has to read the
    ledger itself: what it is given is as old as the page.
    """

    @st.fragment
    @functools.wraps(part)
    def drawn(*given: Arguments.args, **named: Arguments.kwargs) -> None:
        with crowd.turn(), sentences():
            part(*given, **named)

    return drawn


def draw() -> None:
    """Draw the side bar; the page reads its values through `study()` and `pricing()`."""
    begin()
    with st.sidebar:
        access.draw()
        _choose_study()
        _price()
        _glossary()
        languages.switch()
    _damage()
    banner = unusable_gpu(records.device())
    if banner:
        st.warning(number_format.plain(banner), icon=":material/warning:")


def _damage() -> None:
    """Say on every page which of the shown figures are not the ones that were written."""
    chosen = study()
    if chosen is None:
        return
    damaged = records.damaged(chosen)
    if damaged:
        names = {run.id: run.name for run in records.runs(chosen)}
        sentence = t(
            "The record of {runs} is not the one that was written: the ledger's file was damaged "
            "or changed by another program. Do not use these figures; restore a backup, or queue "
            "the runs again.",
            runs=", ".join(f"{names[run_id]} ({run_id})" for run_id in damaged),
        )
        st.error(number_format.plain(sentence), icon=":material/gpp_bad:")


def _choose_study() -> None:
    studies = {study.key: study for study in records.studies()}
    if not studies:
        st.caption(t("No study yet. Queue one on *Train*, or run `python -m llmrec_core demo`."))
        st.session_state["_study"] = None
        return
    in_address = st.query_params.get("study")
    keys = list(studies)
    if in_address in studies and in_address != st.session_state.get("_study_address"):
        st.session_state["study"] = in_address  # a link to another study
    if st.session_state.get("study") not in studies:
        st.session_state["study"] = in_address if in_address in studies else _first(studies)
    titles = {
        key: study.title + (t(" (recorded sample)") if study.recorded else "")
        for key, study in studies.items()
    }
    chosen = st.selectbox(
        t("Study"),
        keys,
        format_func=titles.__getitem__,
        key="study",
        help=t("All pages show this study. It stands in the address, so a link shows the same."),
    )
    if len(titles[chosen]) > FITS:
        st.caption(number_format.plain(titles[chosen]))
    st.session_state["_study"] = studies[chosen]
    # By hand, as a bound widget leaves its default out of the address, and the default changes with
    # every new study.
    st.query_params["study"] = st.session_state["_study_address"] = chosen


def _first(studies: Mapping[str, records.Study]) -> str:
    """The study that is shown before one is chosen: the newest with a result, else a sample.

    It is asked for once a visit, as it may have to look into every study.
    """
    own = [key for key, study in studies.items() if not study.recorded]
    ready = next((key for key in own if records.has_finished(studies[key])), None)
    sample = next((key for key, study in studies.items() if study.recorded), None)
    return ready or sample or own[0]


def study() -> records.Study | None:
    """Return the chosen study; `None` when there is none."""
    return st.session_state.get("_study")


def _price() -> None:
    """Fields for price and power; an empty one keeps what the record says."""
    recorded = t("as recorded")
    box = st.expander(t("Price and power"), icon=":material/payments:")
    price = _price_field(
        box,
        t("Price of the machine, $ per hour"),
        "price",
        "usd_per_hour",
        placeholder=recorded,
        help=t(
            "Empty: the price in the run's record, shown with its date and source on each page."
        ),
    )
    used = _price_field(
        box,
        t("Utilisation, %"),
        "utilisation",
        "utilisation",
        placeholder=t("as recorded (50)"),
        help=t("Share of the hour in which the machine answers requests."),
    )
    watts = _price_field(
        box,
        t("Power under load, W"),
        "watts",
        "watts",
        placeholder=t("measured, where there is a counter"),
        help=t(
            "Used only where no energy counter was readable; drawn as assumed, never as measured."
        ),
    )
    grams = _price_field(
        box,
        t("Grid intensity, g CO2e per kWh"),
        "grid",
        "grid_g_per_kwh",
        placeholder=recorded,
    )
    st.session_state["_pricing"] = Pricing(
        price, None if used is None else used / 100, grams, watts
    )


def _price_field(
    place: DeltaGenerator,
    label: str,
    key: str,
    of: str,
    *,
    placeholder: str,
    help: str | None = None,
) -> float | None:
    """A field for a part of the price, within the range that the command line takes too."""
    low, high = ends(of)
    return number_field(place, label, key, low=low, high=high, placeholder=placeholder, help=help)


def pricing() -> Pricing:
    """Price, utilisation, watts and grid as typed; empty fields keep the record's."""
    typed: Pricing = st.session_state.get("_pricing", AS_RECORDED)
    return typed


def live_workers() -> list[WorkerRow]:
    """Return the workers heard from lately."""
    return [
        worker for worker in records.ledger().workers() if worker.state not in ("stopped", "lost")
    ]


def _glossary() -> None:
    with st.expander(t("Glossary"), icon=":material/menu_book:"):
        keyboard = t(
            "**Keyboard.** In a table, Tab goes from cell to cell; Esc and then Tab leave it."
        )
        terms = [
            f"**{t(term)}.** {number_format.plain(t(word))}" for term, word in GLOSSARY.items()
        ]
        st.markdown("\n\n".join([keyboard, *terms]))
