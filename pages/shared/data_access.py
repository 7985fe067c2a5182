"""Importing, deleting and sharing data sets in the name of whoever looks at the page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import streamlit as st

from llmrec_core.data import store
from llmrec_core.language import t
from llmrec_core.ledger.owners import base_name
from llmrec_core.running import forgetting
from llmrec_core.running.forgetting import Forgotten
from pages.shared import access, records


@contextlib.contextmanager
def importing(name: str, *, stored: bool) -> Iterator[None]:
    """Import a data set in the reader's name; where people log in it is private to them at first.

    Args:
        name: of the data set.
        stored: whether it is kept, or only looked at.

    Raises:
        AccessError: when the role is too low, or the name is somebody else's.
    """
    ledger = records.ledger()
    with ledger.acting("analyst", "import" if stored else "look at", name):
        folder = store.folder_of(base_name(name), records.settings())
        new = not folder.is_dir()
        if stored and access.rules().login is not None:
            if new or base_name(name) in ledger.owners():
                ledger.own(name, ledger.person.name)
            else:
                ledger.person.require("admin", t("a new version of a data set of everybody"))
        try:
            yield
        finally:
            if new and not folder.is_dir():  # nothing was stored
                ledger.disown(name)


def delete_dataset(name: str) -> None:
    """Delete a data set of the reader's own, or as an admin any.

    Raises:
        AccessError: when it is somebody else's.
    """
    ledger = records.ledger()
    with ledger.acting(ledger.role_for_data(name), "delete data", name):
        store.delete(name, records.settings())
        ledger.disown(name)


def forget_person(name: str, user_id: str, *, with_models: bool) -> Forgotten:
    """Take one person out of a data set and of the records of its runs, as an admin.

    Args:
        name: of the data set.
        user_id: the person, as in the file.
        with_models: whether models that were trained on it go too.

    Raises:
        UsageError: for an unknown data set or person.
        AccessError: for anybody but an admin; nothing has gone then.
    """
    ledger = records.ledger()
    ledger.person.require("admin", t("to forget a person"))
    return forgetting.forget_person(ledger, name, user_id, with_models=with_models)


def sharing(name: str) -> None:
    """Draw the switch that shares a data set of one's own with everybody who logs in."""
    ledger = records.ledger()
    owner = ledger.owners().get(base_name(name))
    if owner is None or not (owner.owner == ledger.person.name or ledger.person.may("admin")):
        return
    shared = st.toggle(
        t("Everybody who logs in sees this data set and its runs"),
        value=owner.shared,
        key=f"data_shared_{name}",
    )
    if shared != owner.shared:
        ledger.share(name, shared)
        st.rerun()
