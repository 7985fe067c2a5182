"""Side by side: what several recommenders show the same person."""

import random

import pandas as pd
import streamlit as st

from llmrec_core.language import t
from llmrec_core.reading import lists, number_format
from llmrec_core.reading.pricing import usd_per_million
from pages.shared import address, frame, people, records, tables, widgets

study = frame.study()
widgets.heading(
    t("Side by side"),
    t(
        "The lists of two or three recommenders for one person: what the difference in "
        "quality looks like."
    ),
    study,
)
if study is None:
    widgets.empty(t("There is no study yet. Queue runs; each finished one brings its lists."))
rows = [row for row in records.rows(study) if row.state == "finished"]
if not rows:
    widgets.empty(
        t("No run of this study has finished yet; its lists come with it."),
        page="build/runs.py",
        label=t("Watch the runs"),
    )

chosen = address.choose_several(
    st.multiselect,
    t("Runs"),
    {row.run_id: row.name for row in rows},
    "side_runs",
    default=people.default_runs(rows, 3),
    moving=True,
    max_selections=3,
)
picked = [row for row in rows if row.run_id in chosen]
if not picked:
    st.info(t("Choose one to three runs."))
    st.stop()

way_column, blind_column = st.columns([3, 1], vertical_alignment="bottom")
way = address.choose(
    way_column.segmented_control,
    t("Person"),
    {"offered": t("Suggested people"), "listed": t("Anyone listed"), "new": t("A new person")},
    "side_way",
    default="offered",
    required=True,
)
blind = blind_column.toggle(
    t("Hide names"),
    key="side_blind",
    bind="query-params",
    help=t("A blind vote: columns are shuffled and called A, B, C."),
)

stored_lists = {row.run_id: records.document(study, row.run_id, "lists") for row in picked}
stored_lists = {run_id: body for run_id, body in stored_lists.items() if body}
history, withheld, shown = [], "", {}
if way == "new":
    history = people.favourites("side", study)
    shown = people.ask_lists("side", study, picked, history)
else:
    user, why = people.listed("side", stored_lists, offered=way == "offered")
    if user is None:
        st.info(
            t(
                "These runs have no list in common. Choose other runs, or type the favourites "
                "of a new person."
            )
        )
        st.stop()
    if why:
        st.caption(why)
    first = next(iter(stored_lists.values()))["users"][user]
    history, withheld = list(first.get("history", [])), first.get("withheld") or ""
    shown = {
        run_id: lists.entries(body["users"][user]["items"]) for run_id, body in stored_lists.items()
    }

people.show_history([str(title) for title in history])
if withheld:
    st.text(t("Withheld item, marked ✓ where a list contains it: {item}", item=withheld))

order = list(picked)
letters = {row.run_id: row.name for row in picked}
if blind:
    random.Random("".join(history) + "".join(chosen)).shuffle(order)
    letters = {
        row.run_id: t("List {letter}", letter=letter)
        for row, letter in zip(order, "ABC", strict=False)
    }

pricing = frame.pricing()
for column, row in zip(st.columns(len(order)), order, strict=True):
    with column, st.container(border=True):
        widgets.say(letters[row.run_id], size="large")
        entries = shown.get(row.run_id)
        if entries is None:
            st.caption(t("No list for this person yet."))
            continue
        table = pd.DataFrame(
            {
                "#": [entry.place for entry in entries],
                t("Title"): [entry.title for entry in entries],
                "✓": ["✓" if entry.withheld else "" for entry in entries],
            }
        )
        tables.table(
            table,
            f"side_{row.run_id}",
            "list.csv",
            column_config={
                "#": st.column_config.Column(width=50),
                "✓": st.column_config.Column(width=50, help=t("✓: the withheld item")),
            },
        )
        if not blind:
            price = usd_per_million(row, pricing)
            widgets.caption(
                t(
                    "p95 {figure} · {price} per million requests",
                    figure=number_format.figure(row.request_figure("latency_p95_s")),
                    price=number_format.figure(price),
                )
            )
        if blind and st.button(t("The best of these"), key=f"side_vote_{row.run_id}"):
            people.vote(row.name)
if blind:
    people.votes()
widgets.caption(
    t(
        "Lists of {k} items, nothing the person already has · {picked}",
        k=picked[0].spec.protocol.k,
        picked=widgets.conditions(picked),
    )
)
