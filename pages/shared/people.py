"""Choosing a person and getting lists for them: from the records, or from the worker for a new person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from llmrec_core.experiments import formats, lists, views
from pages.shared import records, widgets


def default_runs(rows: Sequence[views.Row], many: int) -> list[str]:
    """The best classical row, the best with a language model, then the cheapest other one."""
    protocol = next((name for row in rows for name in row.protocols), "")
    ranked = views.best_first(rows, "ndcg@10", protocol)
    first = [next((row for row in ranked if row.uses_language_model is kind), None) for kind in (False, True)]
    rest = sorted(ranked, key=lambda row: views.usd_per_million(row).value or float("inf"))
    chosen = list(dict.fromkeys(row.run_id for row in [*first, *rest] if row is not None))
    return chosen[:many] or [row.run_id for row in rows[:many]]


def listed(key: str, known: lists.Lists, offered: bool) -> tuple[str | None, str]:
    """A person the runs have lists for, with the reason why they are offered."""
    users = lists.users_of(known)
    if not users:
        return None, ""
    if not offered:
        return st.selectbox("User id", users, key=f"{key}_user", bind="query-params"), ""
    offers = {offer.kind: offer for offer in lists.offers(known)}
    kind = st.segmented_control(
        "Offered because",
        list(offers),
        default=next(iter(offers)),
        required=True,
        key=f"{key}_offer",
        bind="query-params",
    )
    offer = offers[kind]
    return offer.user, f"User {formats.plain(offer.user)}. {offer.why}"


def favourites(key: str, study: records.Study) -> list[str]:
    """Titles that a new person likes, oldest first."""
    titles = records.titles(next((row.spec.data.name for row in records.rows(study)), ""))
    chosen = st.multiselect(
        "Favourites, oldest first",
        titles,
        key=f"{key}_titles",
        placeholder="Type a few titles",
        accept_new_options=True,
        max_selections=20,
        bind="query-params",
    )
    return list(chosen)


def ask_lists(
    key: str, study: records.Study, rows: Sequence[views.Row], history: Sequence[str]
) -> dict[str, list[lists.Entry]]:
    """Lists for typed favourites, by run id, as the worker answers."""
    if study.recorded:
        st.info("A recorded study has no models to ask. Finish a study of your own to type in favourites.")
        return {}
    payloads = {row.run_id: {"run": row.run_id, "history_titles": list(history), "k": 10} for row in rows}
    if st.button("Recommend", key=f"{key}_recommend", type="primary", disabled=not history):
        for run_id, payload in payloads.items():
            widgets.ask(f"{key}_{run_id}", "recommend", payload)
    shown = {}
    for run_id, payload in payloads.items():
        answer = widgets.answer(f"{key}_{run_id}", "recommend", payload)
        if answer:
            shown[run_id] = lists.entries(answer["items"])
    return shown


def vote(name: str) -> None:
    st.session_state.setdefault("_votes", []).append(name)


def votes() -> None:
    """The blind votes of this visit, with names."""
    counted: Counter[str] = Counter(st.session_state.get("_votes", []))
    if not counted:
        st.caption("Vote for a list; names appear with the votes.")
        return
    total = sum(counted.values())
    widgets.say("Votes of this visit: " + ", ".join(f"{name} {n} of {total}" for name, n in counted.most_common()))


def history_of(document: Mapping[str, Any] | None, user: str) -> Mapping[str, Any]:
    """A user's part of a `lists` document; empty when there is none."""
    return ((document or {}).get("users") or {}).get(user) or {}
