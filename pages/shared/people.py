"""Choosing a person and getting lists for them.

The lists come from the records, or from the worker for a new person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.language import t
from llmrec_core.reading import lists, number_format
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.pricing import price_or_infinity
from llmrec_core.reading.row import Row
from pages.shared import records, widgets
from pages.shared.address import choose

MOST_OF_HISTORY = 20


def default_runs(rows: Sequence[Row], many: int) -> list[str]:
    """The best classical row, the best with a language model that decides, then cheaper others.

    A row whose language model has no say shows its retriever's list once more, so it comes last.

    Args:
        rows: finished rows.
        many: runs at most.
    """
    protocol = next((name for row in rows for name in row.protocols), "")
    ranked = best_first(rows, "ndcg@10", protocol)
    classical = next((row for row in ranked if not row.uses_language_model), None)
    language = next((row for row in ranked if row.language_model_decides), None)
    rest = sorted(ranked, key=lambda row: (row.language_model_silent, price_or_infinity(row)))
    chosen = dict.fromkeys(row.run_id for row in [classical, language, *rest] if row is not None)
    return list(chosen)[:many] or [row.run_id for row in rows[:many]]


def choose_run(
    place: DeltaGenerator, rows: Sequence[Row], names: Mapping[str, str], key: str
) -> str:
    """Id of the run that a page looks at: of the address, by id or name, or what is offered first.

    Args:
        place: a column or container.
        rows: the finished runs of the study.
        names: what each is called, by run id.
        key: of the widget and in the address.
    """
    return choose(
        place.selectbox,
        t("Run"),
        names,
        key,
        default=default_runs(rows, 2)[-1],
        moving=True,
        aliases={row.spec.name: row.run_id for row in rows}
        | {row.name: row.run_id for row in rows},
        several=of_one_name(rows),
    )


def of_one_name(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Name → ids of the rows that were given it, whatever tells them apart since."""
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row.spec.name, []).append(row.run_id)
    return {name: same for name, same in ids.items() if len(same) > 1}


def show_history(titles: Sequence[str]) -> None:
    """A person's last items in a folded box, which says how many there are besides.

    Args:
        titles: of the history, oldest first.
    """
    if not titles:
        return
    last = titles[-MOST_OF_HISTORY:]
    with st.expander(t("Last {items} items of the history, newest last", items=len(last))):
        st.text("\n".join(last))
        widgets.caption_part(len(last), len(titles))


def listed(key: str, run_lists: lists.Lists, offered: bool) -> tuple[str | None, str]:
    """A person the runs have lists for, with the reason why they are offered."""
    users = lists.users_of(run_lists)
    if not users:
        return None, ""
    if not offered:
        names = {user: user for user in users}
        return choose(st.selectbox, t("User id"), names, f"{key}_user", default=users[0]), ""
    offers = {offer.kind: offer for offer in lists.offers(run_lists)}
    kind = choose(
        st.segmented_control,
        t("Offered because"),
        {name: t(lists.KINDS[name]) for name in offers},
        f"{key}_offer",
        default=next(iter(offers)),
        required=True,
    )
    offer = offers[kind]
    return offer.user, number_format.plain(t("User {user}. {why}", user=offer.user, why=offer.why))


def favourites(key: str, study: records.Study) -> list[str]:
    """Titles that a new person likes, oldest first."""
    titles = records.titles(next((row.spec.data.name for row in records.rows(study)), ""))
    chosen = st.multiselect(
        t("Favourites, oldest first"),
        titles,
        key=f"{key}_titles",
        placeholder=t("Type a few titles"),
        accept_new_options=True,
        max_selections=20,
        bind="query-params",
    )
    return list(chosen)


def ask_lists(
    key: str, study: records.Study, rows: Sequence[Row], history: Sequence[str]
) -> dict[str, list[lists.Entry]]:
    """Lists for typed favourites, by run id, as the worker answers."""
    if study.recorded:
        st.info(
            t(
                "A recorded study has no models to ask. Finish a study of your own to type in "
                "favourites."
            )
        )
        return {}
    payloads = {
        row.run_id: {"run": row.run_id, "history_titles": list(history), "k": 10} for row in rows
    }
    if st.button(t("Recommend"), key=f"{key}_recommend", type="primary", disabled=not history):
        for run_id, payload in payloads.items():
            widgets.ask(f"{key}_{run_id}", "recommend", payload)
    shown = {}
    for run_id, payload in payloads.items():
        answer = widgets.answer(f"{key}_{run_id}", "recommend", payload)
        if answer:
            shown[run_id] = lists.entries(answer["items"])
    return shown


def vote(name: str) -> None:
    """Note a blind vote for the list of a run."""
    st.session_state.setdefault("_votes", []).append(name)


def votes() -> None:
    """The blind votes of this visit, with names."""
    counted: Counter[str] = Counter(st.session_state.get("_votes", []))
    if not counted:
        st.caption(t("Vote for a list; names appear with the votes."))
        return
    total = sum(counted.values())
    widgets.say(
        t("Votes of this visit: ")
        + ", ".join(f"{name} {n} of {total}" for name, n in counted.most_common())
    )


def history_of(document: Mapping[str, Any] | None, user: str) -> Mapping[str, Any]:
    """A user's part of a `lists` document; empty when there is none."""
    return ((document or {}).get("users") or {}).get(user) or {}
