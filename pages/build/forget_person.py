"""A person asks to be forgotten: their rows leave the data set and the records of its runs."""

from __future__ import annotations

import streamlit as st

from llmrec_core.errors import LlmrecError
from llmrec_core.language import t
from llmrec_core.reading import number_format
from pages.shared import access, data_access


def show(name: str) -> None:
    """Draw the form, for those who may use it.

    Args:
        name: of a stored data set.
    """
    if not access.may("admin"):
        return
    done = st.session_state.pop("_data_forgotten", None)
    if done:
        st.success(number_format.plain(done), icon=":material/check:")
    with st.expander(t("Forget a person")), st.form("data_forget", border=False):
        user_id = st.text_input(t("User id, as in the file"), key="data_forget_user")
        with_models = st.checkbox(
            t("Remove the models that were trained on this data set, too"),
            key="data_forget_models",
        )
        st.caption(
            t(
                "The rows leave every version and the records of all runs; this cannot be undone. "
                "Backups made before still hold them."
            )
        )
        if st.form_submit_button(t("Forget this person"), icon=":material/person_remove:"):
            _forget(name, user_id.strip(), with_models)


def _forget(name: str, user_id: str, with_models: bool) -> None:
    try:
        gone = data_access.forget_person(name, user_id, with_models=with_models)
    except LlmrecError as error:
        st.error(number_format.plain(str(error)))
        return
    st.session_state["_data_forgotten"] = t(
        "removed {interactions} interactions from {versions} versions, and the person from "
        "{runs} records",
        interactions=gone.interactions,
        versions=gone.versions,
        runs=len(gone.runs),
    )
    st.rerun()
