"""Why this item: which of the things a person did moved the score of one recommendation, and what would change it."""

import pandas as pd
import streamlit as st

from llmrec_core.experiments import explanations, formats, lists
from pages.shared import charts, conversation, frame, people, records, widgets

study = frame.study()
widgets.heading(
    "Why this item",
    "A person, their ten recommendations, and how much each history item moved the score of one of them.",
    study,
)
if study is None:
    widgets.empty("There is no study yet. Queue a run; when it has finished its recommendations can be explained.")
rows = [row for row in records.rows(study) if row.state == "finished"]
if not rows:
    widgets.empty(
        "No run of this study has finished yet, so there is nothing to explain.",
        page="build/runs.py",
        label="Watch the runs",
    )

run_column, user_column, item_column = st.columns([2, 1, 2])
default = people.default_runs(rows, 2)[-1]
ids = [row.run_id for row in rows]
run_id = run_column.selectbox(
    "Run", ids, index=ids.index(default), format_func=widgets.run_names(rows), key="why_run", bind="query-params"
)
row = next(row for row in rows if row.run_id == run_id)
recorded = records.document(study, run_id, "explanations") or {}
document = records.document(study, run_id, "lists")
users = sorted(
    {*recorded, *((document or {}).get("users") or {})}, key=lambda user: (user not in recorded, len(user), user)
)
user = user_column.selectbox(
    "User id",
    users,
    key="why_user",
    bind="query-params",
    accept_new_options=not study.recorded,
    placeholder="Type a user id",
    help="Users with a recorded explanation come first.",
)
if not user:
    st.info("Choose a user.")
    st.stop()

person = people.history_of(document, user)
items = list(person.get("items", []))
if not items and not study.recorded:
    question = {"run": run_id, "user": user, "k": 10}
    widgets.ask("why_list", "recommend", question)
    found = widgets.answer("why_list", "recommend", question)
    person, items = (found, list(found["items"])) if found else ({}, [])
entries = lists.entries(items)
saved = recorded.get(user)
if saved and str(saved.get("item_id")) not in {entry.item_id for entry in entries}:
    entries.append(
        lists.Entry(len(entries) + 1, str(saved["item_id"]), str(saved["title"]), float(saved["prediction"]), False)
    )
if not entries:
    st.info("There is no list for this user yet.")
    st.stop()

by_id = {entry.item_id: entry for entry in entries}
first = str(saved["item_id"]) if saved else entries[0].item_id
item_id = item_column.selectbox(
    "Item",
    list(by_id),
    index=list(by_id).index(first),
    format_func=lambda item: f"{by_id[item].place}. {by_id[item].title}",
    key="why_item",
    bind="query-params",
)
entry = by_id[item_id]

list_column, reason_column = st.columns([2, 3])
with list_column:
    st.subheader("Recommended")
    table = pd.DataFrame(
        {
            "#": [f"{one.place} ✓" if one.withheld else str(one.place) for one in entries],
            "Title": [one.title for one in entries],
            "Score": [one.score for one in entries],
        }
    )
    widgets.table(
        table,
        "why_list",
        "recommendations.csv",
        column_config={
            "#": st.column_config.TextColumn(width=50, help="✓: the withheld item"),
            "Score": st.column_config.NumberColumn(format="%.3f"),
        },
    )
    history = [str(title) for title in person.get("history", [])]
    if history:
        with st.expander(f"History, {len(history)} items, newest last"):
            st.text("\n".join(history[-20:]))

with reason_column:
    st.subheader("Why")
    body = saved if saved and str(saved.get("item_id")) == item_id else None
    # the list is scored in the same passes: the next item of it, a contrast and a removal then cost nothing
    question = {"run": run_id, "user": user, "item": item_id, "list": [one.item_id for one in entries]}
    withheld = next((one.item_id for one in entries if one.withheld), None)
    if withheld is not None:
        question["withheld"] = withheld
    if body is None and study.recorded:
        st.info(
            "This recorded study explains one item of some users: those listed first. In a study of your own, any "
            "item can be explained."
        )
    elif not study.recorded:
        label = "Explain this item" if body is None else "Explain it anew, with all details"
        if st.button(label, key="why_explain", type="primary" if body is None else "secondary"):
            widgets.ask("why_explain_request", "explain", question)
        live = widgets.answer("why_explain_request", "explain", question)
        if live is None and body is None:
            st.caption(
                "The worker scores subsets of what the model reads, with the model itself: all of them, or as many as give "
                "every value an error bar."
            )
        body = live or body
    if body is not None:
        found = explanations.read(body, entry.title)
        widgets.say(found.text, size="large")
        players = found.players
        st.plotly_chart(
            charts.waterfall(
                [one.title for one in players], [one.value for one in players], found.base, found.prediction
            ),
            key="why_waterfall",
            config=charts.CONFIG,
            alt="Waterfall from the score without history to the score of the item",
        )
        effort = [f"base + values − score = {found.gap:.1e}"]
        if body.get("estimated_error"):
            effort.append(f"estimated error {formats.share(body['estimated_error'])}")
        if found.forwards is not None:
            effort.append(f"{found.forwards} scorings")
        if found.seconds is not None:
            effort.append(formats.duration(float(found.seconds)))
        widgets.caption(" · ".join(effort))
        values = {"History item": [one.title for one in players], "Shapley value": [one.value for one in players]}
        if any(one.get("error") for one in body["players"]):
            values["± 95 %"] = [one.get("error") for one in body["players"]]
        widgets.table(
            pd.DataFrame(values),
            "why_values",
            "shapley.csv",
            column_config={
                "Shapley value": st.column_config.NumberColumn(format="%+.4f"),
                "± 95 %": st.column_config.NumberColumn(format="%.4f"),
            },
        )
        conversation.exports(body, f"{row.name}, user {user}")
        conversation.honesty(question, body)
        if not study.recorded:
            conversation.contrast(question, body, entries)
            conversation.change(question, body)
            conversation.compare(question, body, {one.run_id: one.name for one in rows})
widgets.caption(f"{row.name} · {widgets.conditions([row])}")
widgets.method_card("explanation")
