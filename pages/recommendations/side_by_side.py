"""Side by side: what several recommenders show the same person."""

import random

import pandas as pd
import streamlit as st

from llmrec_core.experiments import formats, lists, views
from pages.shared import frame, people, records, widgets

study = frame.study()
widgets.heading(
    "Side by side",
    "The lists of two or three recommenders for one person: what the difference in quality looks like.",
    study,
)
if study is None:
    widgets.empty("There is no study yet. Queue runs; each finished one brings its lists.")
rows = [row for row in records.rows(study) if row.state == "finished"]
if not rows:
    widgets.empty(
        "No run of this study has finished yet; its lists come with it.", page="build/runs.py", label="Watch the runs"
    )

chosen = st.multiselect(
    "Runs",
    [row.run_id for row in rows],
    default=people.default_runs(rows, 3),
    format_func=widgets.run_names(rows),
    max_selections=3,
    key="side_runs",
    bind="query-params",
)
picked = [row for row in rows if row.run_id in chosen]
if not picked:
    st.info("Choose one to three runs.")
    st.stop()

WAYS = ("Offered people", "Anyone listed", "A new person")
way_column, blind_column = st.columns([3, 1], vertical_alignment="bottom")
way = way_column.segmented_control("Person", WAYS, default=WAYS[0], required=True, key="side_way", bind="query-params")
blind = blind_column.toggle(
    "Hide names", key="side_blind", bind="query-params", help="A blind vote: columns are shuffled and called A, B, C."
)

known = {row.run_id: records.document(study, row.run_id, "lists") for row in picked}
known = {run_id: body for run_id, body in known.items() if body}
history, withheld, shown = [], "", {}
if way == "A new person":
    history = people.favourites("side", study)
    shown = people.ask_lists("side", study, picked, history)
else:
    user, why = people.listed("side", known, offered=way == WAYS[0])
    if user is None:
        st.info("These runs have no list in common. Choose other runs, or type the favourites of a new person.")
        st.stop()
    if why:
        st.caption(why)
    first = next(iter(known.values()))["users"][user]
    history, withheld = list(first.get("history", [])), first.get("withheld") or ""
    shown = {run_id: lists.entries(body["users"][user]["items"]) for run_id, body in known.items()}

if history:
    with st.expander(f"History, {len(history)} items, newest last", expanded=False):
        st.text("\n".join(str(title) for title in history[-20:]))
if withheld:
    st.text(f"Withheld item, marked ✓ where a list contains it: {withheld}")

order = list(picked)
letters = {row.run_id: row.name for row in picked}
if blind:
    random.Random("".join(history) + "".join(chosen)).shuffle(order)
    letters = {row.run_id: f"List {letter}" for row, letter in zip(order, "ABC", strict=False)}

pricing = frame.pricing()
for column, row in zip(st.columns(len(order)), order, strict=True):
    with column, st.container(border=True):
        widgets.say(letters[row.run_id], size="large")
        entries = shown.get(row.run_id)
        if entries is None:
            st.caption("No list for this person yet.")
            continue
        table = pd.DataFrame(
            {
                "#": [f"{entry.place} ✓" if entry.withheld else str(entry.place) for entry in entries],
                "Title": [entry.title for entry in entries],
            }
        )
        widgets.table(
            table, f"side_{row.run_id}", "list.csv", column_config={"#": st.column_config.TextColumn(width=50)}
        )
        if not blind:
            price = views.usd_per_million(row, pricing)
            widgets.caption(
                f"p95 {formats.figure(row.request_figure('latency_p95_s'))} · "
                f"{formats.figure(price)} per million requests"
            )
        if blind and st.button("The best of these", key=f"side_vote_{row.run_id}"):
            people.vote(row.name)
if blind:
    people.votes()
widgets.caption(
    f"Lists of {picked[0].spec.protocol.k} items, nothing the person already has · {widgets.conditions(picked)}"
)
