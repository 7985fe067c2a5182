"""The reader's language: what the address says, else what was chosen before, else the browser's."""

from __future__ import annotations

import threading

import streamlit as st

from llmrec_core.language import best_language, catalogues, language, name_of, t

IN_ADDRESS = "lang"
_settled = threading.local()
"""What `settle` decided for the run of this thread: a page asks some five hundred times."""


def of_reader() -> str:
    """The language of whoever looks at the page."""
    return getattr(_settled, "language", "") or _of_session()


def _of_session() -> str:
    return str(st.session_state.get("_language") or _of_browser())


def settle() -> None:
    """Decide on the language of this visit, before anything is written.

    A choice that differs from the browser's language stands in the address, so that it survives a
    reload.
    """
    wanted = st.query_params.get(IN_ADDRESS)
    if wanted in catalogues():
        st.session_state["_language"] = wanted
    _settled.language = _of_session()
    _write(_settled.language)


def switch() -> None:
    """Every language by its own name, so that it is found by whoever cannot read the page."""
    st.session_state["language"] = language()

    def changed() -> None:
        st.session_state["_language"] = st.session_state["language"]
        _write(st.session_state["language"])

    st.segmented_control(
        t("Language"),
        catalogues(),
        format_func=name_of,
        key="language",
        required=True,
        on_change=changed,
        label_visibility="collapsed",
    )


def _of_browser() -> str:
    return best_language(st.context.locale)


def _write(code: str) -> None:
    if code != _of_browser():
        st.query_params[IN_ADDRESS] = code
    elif IN_ADDRESS in st.query_params:
        del st.query_params[IN_ADDRESS]
